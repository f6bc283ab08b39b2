"""A torch module of somebody's code, with weights of the user's: named by a TOML file.

``--model net.toml``, as for a network of the package ``ldct-benchmark``::

    module = "ldctbench.methods.redcnn.network:Model"    # or "net.py:Model", beside this file
    weights = "redcnn.pt"
    offset_hu = -1024
    scale_hu = 1000
    arguments = { args = {} }

``arguments`` go to the class; a table in it becomes a namespace. Weights are a state dictionary,
alone or under ``state_dict`` or ``model_state_dict``. Weights ``net.pt`` beside ``net.toml`` need
not be named in it; where there are none, the module runs untrained, and its name says so.
"""

from argparse import Namespace
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ctlab.ct.denoiser import Denoiser
from ctlab.workflows.named_code import named_object, random_states_kept, version_of
from ctlab.workflows.network_file import MODULE, NetworkFile, network_denoiser, read_toml


def module_file(path: Path, weights: Path | None = None) -> Denoiser:
    """The denoiser of a TOML file that names a torch module, its weights and its scale.

    Raises
    ------
    ValueError
        The file names no module, the module cannot be made, or the weights are not its own.
    """
    content = read_toml(path)
    spec = content.get("module", "")
    if ":" not in str(spec):
        raise ValueError(
            f"{path}: expected module = 'package.module:Class' or 'file.py:Class', got {spec!r}; "
            "name the class"
        )
    facts = NetworkFile.of({k: v for k, v in content.items() if k not in MODULE}, path)
    arguments = {
        name: Namespace(**value) if isinstance(value, dict) else value
        for name, value in content.get("arguments", {}).items()
    }
    try:
        with random_states_kept():
            made, source = named_object(spec, beside=path.parent)
            module = made(**arguments)
    except FileNotFoundError:
        raise
    except (Exception, SystemExit) as error:  # whatever a stranger's code raises
        why = str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
        raise ValueError(
            f"{path}: {spec} cannot be made: {why}; check module and arguments"
        ) from error
    beside = path.with_suffix(".pt")
    if weights is None and ("weights" in content or beside.is_file()):
        weights = path.parent / content.get("weights", beside.name)
    if weights is not None:
        _load(module, weights)
    module.eval()

    def network(batch: np.ndarray) -> np.ndarray:
        import torch

        with torch.inference_mode():
            return np.asarray(module(torch.from_numpy(batch)).float())

    name = f"torch {path.name}" if weights else f"torch {path.name} (untrained)"
    found = network_denoiser(name, "torch", weights or path, facts, network)
    return replace(found, version=facts.version or version_of(source, made))


def _load(module: Any, weights: Path) -> None:
    import torch

    try:
        found = torch.load(weights, map_location="cpu", weights_only=True)
        for key in ("state_dict", "model_state_dict"):
            found = found.get(key, found)
        module.load_state_dict(found)
    except FileNotFoundError:
        raise
    except Exception as error:  # of pickle, zip or torch
        first = str(error).strip().splitlines()[0]
        raise ValueError(
            f"{weights}: expected the weights of {type(module).__name__}, got {first}; save "
            "module.state_dict()"
        ) from error

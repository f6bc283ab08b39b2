"""A torch module of somebody's code, with weights of the user's: named by a TOML file.

``--model net.toml``, as for a network of the package ``ldct-benchmark``::

    module = "ldctbench.methods.redcnn.network:Model"
    weights = "redcnn.pt"
    offset_hu = -1024
    scale_hu = 1000
    arguments = { args = {} }

``arguments`` go to the class; a table in it becomes a namespace. Weights are a state dictionary,
alone or under ``state_dict`` or ``model_state_dict``; without them the module runs untrained.
"""

import importlib
import tomllib
from argparse import Namespace
from pathlib import Path
from typing import Any

import numpy as np

from ctlab.ct.denoiser import Denoiser
from ctlab.workflows.network_file import NetworkFile, network_denoiser

OWN = ("module", "weights", "arguments")


def module_file(path: Path) -> Denoiser:
    """The denoiser of a TOML file that names a torch module, its weights and its scale.

    Raises
    ------
    ValueError
        The file names no module, the module cannot be made, or the weights are not its own.
    """
    content = tomllib.loads(path.read_text(encoding="utf-8"))
    spec = content.get("module", "")
    if ":" not in str(spec):
        raise ValueError(
            f"{path}: expected module = 'package.module:Class', got {spec!r}; name the class"
        )
    facts = NetworkFile.of({k: v for k, v in content.items() if k not in OWN}, path)
    arguments = {
        name: Namespace(**value) if isinstance(value, dict) else value
        for name, value in content.get("arguments", {}).items()
    }
    module_name, _, name = spec.partition(":")
    before = np.random.get_state()  # noqa: NPY002  # a stranger may draw its weights from it
    try:
        module = getattr(importlib.import_module(module_name), name)(**arguments)
    except Exception as error:  # whatever a stranger's code raises becomes one sentence
        raise ValueError(
            f"{path}: {spec} cannot be made: {type(error).__name__}: {error}; check module and "
            "arguments"
        ) from error
    finally:
        np.random.set_state(before)  # noqa: NPY002  # and it is given back
    weights = path.parent / content["weights"] if "weights" in content else None
    if weights is not None:
        _load(module, weights)
    module.eval()

    def network(batch: np.ndarray) -> np.ndarray:
        import torch

        with torch.inference_mode():
            return np.asarray(module(torch.from_numpy(batch)).float())

    return network_denoiser(f"torch {path.name}", "torch", weights or path, facts, network)


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

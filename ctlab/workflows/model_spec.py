"""``--model SPEC``: from one line to a :class:`ctlab.ct.denoiser.Denoiser`.

======================== ==================================================================
``model``                the network that ships
``P.pt``                 a checkpoint of ``ctlab train``; TorchScript; ``.pt2`` of torch.export
``tv``, ``tv:0.8``       a filter of :data:`ctlab.classic.METHODS`, with its strength
``net.toml``             a torch module, its weights and scale: see :mod:`.torch_module`
``net.onnx``             a network, with ``net.toml`` beside it
``package.module:name``  a function from slices (z, y, x) in HU and their spacing in mm to HU;
``file.py:name``         the same, by its file
``exec:CMD {in} {out}``  a command that turns a folder of DICOM into another (``--exec``)
======================== ==================================================================

Nothing is imported or run but what the line names, and no command goes through a shell.
"""

import importlib
import importlib.util
import json
import shlex
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Sequence
from dataclasses import replace
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from ctlab.classic import METHODS, denoise_classic
from ctlab.ct import Volume, measure_noise_hu, read_series, write_series
from ctlab.ct.denoiser import Denoiser, Spacing
from ctlab.workflows.network_file import NetworkFile, file_sha256, network_denoiser

TIME_LIMIT_S = 600.0
CARD_KEY, NETWORK_KEY = "ctlab.card", "ctlab.network"
"""Metadata of an ONNX file that hold its model card, and what :class:`NetworkFile` says."""

_BATCH = 4  # slices in a network at once


def load_denoiser(spec: str, *, time_limit_s: float = TIME_LIMIT_S) -> Denoiser:
    """The denoiser that a line names; see the table of :mod:`ctlab.workflows.model_spec`.

    Raises
    ------
    ValueError
        The line names none, the file is of another kind, or its description is missing or wrong.
    """
    name, _, rest = spec.partition(":")
    if spec == "model":
        return own_network(None)
    if name == "exec":
        return command(rest, time_limit_s=time_limit_s)
    if name in METHODS:
        return classic_filter(name, _strength(spec, rest))
    path = Path(spec)
    if path.suffix == ".onnx":
        return replace(onnx_file(path), time_limit_s=time_limit_s)
    if path.suffix == ".toml":
        from ctlab.workflows.torch_module import module_file

        return replace(module_file(_existing(path)), time_limit_s=time_limit_s)
    if path.suffix in (".pt", ".pth", ".pt2", ".ts") or path.is_file():
        return _torch_or_checkpoint(path, time_limit_s)
    if name.endswith(".py") and rest:
        return replace(function_in_file(spec), time_limit_s=time_limit_s)
    if ":" in spec and not Path(name).exists():
        return replace(function(spec), time_limit_s=time_limit_s)
    raise ValueError(
        f"--model: expected model, a filter ({', '.join(METHODS)}), a file (.pt, .onnx), "
        f"package.module:function, file.py:function or exec:COMMAND, got {spec!r}; name one of "
        "these"
    )


def load_denoisers(
    specs: Sequence[str], execute: str | None = None, *, time_limit_s: float = TIME_LIMIT_S
) -> list[Denoiser]:
    """The denoisers of ``--model``, as often as it was given, and of ``--exec``."""
    named = [*specs, *([f"exec:{execute}"] if execute else [])]
    return [load_denoiser(spec, time_limit_s=time_limit_s) for spec in named]


def own_network(checkpoint: Any) -> Denoiser:
    """The denoiser of a checkpoint of the kit; the one that ships for None."""
    from ctlab.learn import denoise_slices, load_checkpoint

    checkpoint = load_checkpoint() if checkpoint is None else checkpoint
    model = checkpoint.denoiser()

    def run(hu: np.ndarray, _spacing: Spacing) -> np.ndarray:
        if checkpoint.config.networks.slices != 1:
            return np.asarray(denoise_slices(hu, model))
        parts = range(0, len(hu), _BATCH)
        return np.concatenate([denoise_slices(hu[k : k + _BATCH], model) for k in parts])

    return Denoiser(
        f"model {checkpoint.sha256[:12]}",
        run,
        "model",
        slices=checkpoint.config.networks.slices,
        sha256=checkpoint.sha256,
        card=checkpoint.card,
        checkpoint=checkpoint,
    )


def classic_filter(method: str, strength: float | None = None) -> Denoiser:
    """A filter at the strength it chooses from the noise of the series, or at the one given.

    Raises
    ------
    ValueError
        There is no filter of that name.
    """
    if method not in METHODS:
        raise ValueError(f"unknown method {method!r}; choose one of model, {', '.join(METHODS)}")
    name = f"filter {method}" + ("" if strength is None else f":{strength:g}")

    def run(hu: np.ndarray, noise_sd_hu: float) -> np.ndarray:
        out = denoise_classic(hu, method, noise_sd_hu=noise_sd_hu, strength=strength)
        return np.asarray(out)

    def tune(volume: Volume) -> Denoiser:
        noise_sd_hu = measure_noise_hu(volume)
        return Denoiser(name, lambda hu, _spacing: run(hu, noise_sd_hu), "filter", slices=1)

    def untuned(hu: np.ndarray, spacing_mm: Spacing) -> np.ndarray:
        z, y, x = (float(mm) for mm in spacing_mm)
        return run(hu, measure_noise_hu(Volume(hu, (z, y, x))))

    return Denoiser(name, untuned, "filter", slices=1, tune=tune)


def _strength(spec: str, text: str) -> float | None:
    if not text:
        return None
    try:
        return float(text)
    except ValueError:
        raise ValueError(
            f"--model {spec}: expected a strength as in tv:0.8, got {text!r}"
        ) from None


def function(spec: str) -> Denoiser:
    """A function ``package.module:name`` of (z, y, x) HU and spacing in mm, to HU.

    It is called with one slice, or with neighbours. Where it says ``name.slices = 1``, slices
    that are no neighbours of each other are handed to it together.
    """
    module_name, _, name = spec.partition(":")
    try:
        if importlib.util.find_spec(module_name) is None:
            raise ModuleNotFoundError(module_name)
        denoise = getattr(importlib.import_module(module_name), name)
    except ModuleNotFoundError as error:
        raise ValueError(
            f"--model {spec}: no module {error.name or module_name!r} on the path; set PYTHONPATH "
            "to its folder or install it"
        ) from None
    except AttributeError:
        raise ValueError(f"--model {spec}: {module_name} has no {name!r}; check its name") from None
    source = getattr(sys.modules[module_name], "__file__", None)
    return _of_function(spec, denoise, Path(source) if source else None)


def function_in_file(spec: str) -> Denoiser:
    """A function ``file.py:name``, as :func:`function`; its module is named by the file's hash."""
    file, _, name = spec.rpartition(":")
    path = _existing(Path(file))
    module_name = f"_denoiser_{file_sha256(path)[:16]}"
    module = ModuleType(module_name)
    module.__file__ = str(path)
    try:
        SourceFileLoader(module_name, str(path)).exec_module(module)
    except Exception as error:  # whatever a stranger's file raises becomes one sentence
        raise ValueError(
            f"--model {spec}: {path.name} cannot be imported: {type(error).__name__}: {error}; "
            f"run python {path.name} to see where"
        ) from error
    if not hasattr(module, name):
        raise ValueError(f"--model {spec}: {path.name} has no {name!r}; check its name")
    return _of_function(f"{path.name}:{name}", getattr(module, name), path)


def _of_function(spec: str, denoise: Any, source: Path | None) -> Denoiser:
    if not callable(denoise):
        raise ValueError(f"--model {spec}: expected a function, got {type(denoise).__name__}")
    return Denoiser(
        f"function {spec}",
        denoise,
        "function",
        slices=getattr(denoise, "slices", None),
        sha256=file_sha256(source) if source else None,
    )


def command(line: str, *, time_limit_s: float = TIME_LIMIT_S) -> Denoiser:
    """A command that reads DICOM from the folder ``{in}`` and writes it to the folder ``{out}``."""
    words = shlex.split(line)
    if not words or not all(any(mark in word for word in words) for mark in ("{in}", "{out}")):
        raise ValueError(
            f"--exec: expected a command with {{in}} and {{out}}, got {line!r}; as in "
            "--exec 'denoise {in} {out}'"
        )

    def run(hu: np.ndarray, spacing_mm: Spacing) -> np.ndarray:
        z, y, x = (float(mm) for mm in spacing_mm)
        with tempfile.TemporaryDirectory(prefix="ctlab-") as place:
            source, out = Path(place) / "in", Path(place) / "out"
            write_series(Volume(hu, (z, y, x)), source, description="input")
            _run(words, source, out, time_limit_s)
            return np.asarray(read_series(out, allow_gaps=len(hu) == 1).hu)

    return Denoiser(f"command {words[0]}", run, "command", slices=None)


def _run(words: list[str], source: Path, out: Path, time_limit_s: float) -> None:
    """The command on two folders; what it says when it fails becomes part of the sentence."""
    filled = [w.replace("{in}", str(source)).replace("{out}", str(out)) for w in words]
    try:
        subprocess.run(filled, check=True, capture_output=True, text=True, timeout=time_limit_s)
    except FileNotFoundError:
        raise ValueError(f"no program {words[0]!r}; check its name") from None
    except subprocess.TimeoutExpired:
        raise ValueError(f"the command took longer than {time_limit_s:g} s and was ended") from None
    except subprocess.CalledProcessError as error:
        said = (error.stderr or error.stdout or "nothing").strip().splitlines()[-1:]
        raise ValueError(
            f"the command ended with exit code {error.returncode} and said: {' '.join(said)}"
        ) from None


def onnx_file(path: Path) -> Denoiser:
    """A network as ONNX, with its scale in a TOML file beside it, or inside (``ctlab export``)."""
    toml = path.with_suffix(".toml")
    facts = NetworkFile.beside(_existing(path)) if toml.is_file() else None
    try:
        import onnxruntime
    except ModuleNotFoundError:
        raise ValueError(f"{path} needs onnxruntime; install ctlab[engines]") from None
    try:
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    except Exception as error:  # its own classes, without a common one
        if facts is None:  # the likelier fault of a stranger's file is named first
            NetworkFile.beside(path)
        last = str(error).strip().splitlines()[-1]
        raise ValueError(
            f"{path}: expected a network as ONNX, got a file that says {last}"
        ) from None
    inside = session.get_modelmeta().custom_metadata_map
    if facts is None and NETWORK_KEY in inside:
        facts = NetworkFile.of(json.loads(inside[NETWORK_KEY]), path)
    facts = facts or NetworkFile.beside(path)
    name = session.get_inputs()[0].name

    def network(batch: np.ndarray) -> np.ndarray:
        return np.asarray(session.run(None, {name: batch})[0])

    made = network_denoiser(f"onnx {path.name}", "onnx", path, facts, network)
    return replace(made, card=json.loads(inside.get(CARD_KEY, "{}")))


def _torch_or_checkpoint(path: Path, time_limit_s: float) -> Denoiser:
    """A checkpoint of the kit where it is one; else TorchScript or a program of torch.export."""
    import torch

    from ctlab.learn import load_checkpoint

    if path.suffix != ".pt2" and not _is_script(_existing(path)):
        return own_network(load_checkpoint(path))
    facts = NetworkFile.beside(_existing(path))
    if path.suffix == ".pt2":
        module: Any = torch.export.load(path).module()
    else:
        load: Any = torch.jit.load  # declares no types
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # users have such files
            module = load(path, map_location="cpu")

    def network(batch: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return np.asarray(module(torch.from_numpy(batch)).float())

    made = network_denoiser(f"torch {path.name}", "torch", path, facts, network)
    return replace(made, time_limit_s=time_limit_s)


def _is_script(path: Path) -> bool:
    """Whether a file holds TorchScript: an archive with code in it."""
    import zipfile

    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any("/code/" in name for name in archive.namelist())


def _existing(path: Path) -> Path:
    if not path.is_file():
        raise FileNotFoundError(2, "No such file or directory", str(path))
    return path

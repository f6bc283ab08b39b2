"""``--model SPEC``: from one line to a :class:`ctlab.ct.denoiser.Denoiser`.

======================== ==================================================================
``model``                the network that ships
``P.pt``                 a checkpoint of ``ctlab train``; TorchScript; ``.pt2`` of torch.export
``tv``, ``tv:0.8``       a filter of :data:`ctlab.classic.METHODS`, with its strength
``net.toml``             a torch module, its weights and scale: see :mod:`.torch_module`;
                         weights ``net.pt`` beside it may be named instead
``net.onnx``             a network, with ``net.toml`` beside it
``package.module:name``  a function from slices (z, y, x) in HU and their spacing in mm to HU;
``file.py:name``         the same, by its file
``exec:CMD {in} {out}``  a command that turns a folder of DICOM into another (``--exec``)
======================== ==================================================================

Nothing is imported or run but what the line names, and no command goes through a shell.
"""

import hashlib
import json
import shlex
import shutil
import subprocess
import tempfile
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ctlab.classic import METHODS, denoise_classic
from ctlab.ct import Volume, measure_noise_hu, read_series, write_series
from ctlab.ct.denoiser import Denoiser, Spacing
from ctlab.workflows.named_code import named_object, version_of
from ctlab.workflows.network_file import NetworkFile, file_sha256, network_denoiser, read_toml

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
    if path.suffix in (".pt", ".pth", ".pt2", ".ts") or (path.is_file() and path.suffix != ".py"):
        return _torch_or_checkpoint(path, time_limit_s)
    if ":" in spec and (".py:" in spec or not Path(name).exists()):
        return replace(function(spec), time_limit_s=time_limit_s)
    if path.suffix == ".py":
        raise ValueError(f"--model {spec}: expected a function in it, got none; as {spec}:denoise")
    raise ValueError(
        f"--model: expected model, a filter ({', '.join(METHODS)}), a file (.pt, .onnx, .toml), "
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
        version=f"step {checkpoint.step}, written by ctlab {checkpoint.code_version}",
        multiple=int(model.network.size_multiple),
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
    """A function ``package.module:name`` or ``file.py:name`` of (z, y, x) HU and spacing, to HU.

    It is called with one slice, or with neighbours. Where it says ``name.slices = 1``, slices
    that are no neighbours of each other are handed to it together; where it says 3, 5, ..., it
    never gets fewer: the outermost ones are repeated.
    """
    try:
        denoise, module = named_object(spec)
    except ValueError as error:
        raise ValueError(f"--model {error}") from error
    if isinstance(denoise, type):
        raise ValueError(
            f"--model {spec}: expected a function, got a class; for a torch module write net.toml "
            f"with module = '{spec}' and scale_hu = 1000, one a line, and name that file"
        )
    if not callable(denoise):
        raise ValueError(f"--model {spec}: expected a function, got {type(denoise).__name__}")
    slices = getattr(denoise, "slices", None)
    if slices is not None and (not isinstance(slices, int) or slices < 1 or slices % 2 == 0):
        raise ValueError(
            f"--model {spec}: expected an odd number as {denoise.__name__}.slices, got {slices!r}; "
            "leave it out where it sees the whole stack"
        )
    place, _, name = spec.rpartition(":")
    source = getattr(module, "__file__", None)
    return Denoiser(
        f"function {Path(place).name if place.endswith('.py') else place}:{name}",
        denoise,
        "function",
        slices=slices,
        sha256=file_sha256(Path(source)) if source else None,
        version=version_of(module, denoise),
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

    shown = " ".join(Path(word).name for word in words if word not in ("{in}", "{out}"))
    files = [Path(f) for w in words if (f := shutil.which(w) or w) and Path(f).is_file()]
    digest = hashlib.sha256("".join(file_sha256(file) for file in files).encode()).hexdigest()
    return Denoiser(
        f"command {shown}", run, "command", slices=None, sha256=digest if files else None
    )


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
    entry = session.get_inputs()[0]
    kind = _checked_entry(path, entry.shape, entry.type, facts)

    def network(batch: np.ndarray) -> np.ndarray:
        return np.asarray(session.run(None, {entry.name: batch.astype(kind)})[0])

    made = network_denoiser(f"onnx {path.name}", "onnx", path, facts, network)
    written = session.get_modelmeta().version
    version = (
        made.version or inside.get("ctlab.code_version") or (str(written) if written else None)
    )
    return replace(made, version=version, card=json.loads(inside.get(CARD_KEY, "{}")))


def _checked_entry(path: Path, shape: Sequence[Any], kind: str, facts: NetworkFile) -> str:
    """Type of a network's input; its channels and size are compared with what its file says."""
    types = {"tensor(float)": "f4", "tensor(double)": "f8", "tensor(float16)": "f2"}
    if kind not in types or len(shape) != 4:
        raise ValueError(
            f"{path}: expected an input of floats (n, c, y, x), got {kind} of {list(shape)}; "
            "export it so"
        )
    _, channels, height, width = shape
    if isinstance(channels, int) and channels != facts.slices:
        raise ValueError(
            f"{path}: its input has {channels} channels, its TOML file says slices = "
            f"{facts.slices}; write slices = {channels}"
        )
    fixed = [n for n in (height, width) if isinstance(n, int)]
    if any(n != facts.multiple for n in fixed):
        raise ValueError(
            f"{path}: it takes images of {height} x {width} alone; export it with any height and "
            f"width, or write multiple = {max(fixed)} in its TOML file"
        )
    return types[kind]


def _torch_or_checkpoint(path: Path, time_limit_s: float) -> Denoiser:
    """A checkpoint of the kit where it is one; else TorchScript or a program of torch.export."""
    import torch

    from ctlab.learn import load_checkpoint

    if path.suffix != ".pt2" and not _is_script(_existing(path)):
        toml = path.with_suffix(".toml")
        if toml.is_file() and "module" in read_toml(toml):
            from ctlab.workflows.torch_module import module_file

            return replace(module_file(toml, path), time_limit_s=time_limit_s)
        try:
            return own_network(load_checkpoint(path))
        except ValueError as error:
            raise ValueError(
                f"{error}; for weights of your own write {toml.name} beside them: module = "
                "'net.py:Net', scale_hu = 1000, offset_hu = 0, one a line"
            ) from None
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

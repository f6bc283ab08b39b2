"""A network's units, slices and size multiple, from a TOML file; and the denoiser it makes."""

import hashlib
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ctlab.ct.denoiser import Denoiser

MODULE = ("module", "weights", "arguments")
"""What the same file may say of a torch module; see :mod:`ctlab.workflows.torch_module`."""

EXAMPLE = """
offset_hu = -300
scale_hu = 1000
slices = 1
multiple = 8
output = "image"
"""


@dataclass(frozen=True)
class NetworkFile:
    """What a TOML file says of the network beside it: network units are ``(HU - offset) / scale``.

    Attributes
    ----------
    offset_hu, scale_hu : float
    slices : int
        Channels of its input: neighbouring slices, the middle one of which it denoises.
    multiple : int
        Height and width are padded to a multiple of it.
    output : ``image``, or ``noise`` where it returns what is to be subtracted
    least_hu : HU below are raised to it first, where it is given
    version : of the network, as its maker states it
    """

    offset_hu: float = 0.0
    scale_hu: float = 1.0
    slices: int = 1
    multiple: int = 1
    output: str = "image"
    least_hu: float | None = None
    version: str | None = None

    @classmethod
    def beside(cls, path: Path) -> "NetworkFile":
        """Read from the TOML file of the same name as the network's."""
        toml = path.with_suffix(".toml")
        if not toml.is_file():
            raise ValueError(
                f"{path}: expected its scale in {toml.name}, got none; write lines as {_LINES}"
            )
        content = read_toml(toml)
        return cls.of({k: v for k, v in content.items() if k not in MODULE}, toml)

    @classmethod
    def of(cls, content: dict[str, Any], toml: Path) -> "NetworkFile":
        """From the values of a file, checked; null in an ONNX file is what was left out."""
        content = {name: value for name, value in content.items() if value is not None}
        unknown = set(content) - set(cls.__dataclass_fields__)
        if unknown or "scale_hu" not in content:
            raise ValueError(
                f"{toml}: expected lines as {_LINES}, got {', '.join(sorted(content)) or 'nothing'}"
                "; scale_hu is needed"
            )
        for name, value in content.items():
            kind, words = _KINDS.get(name, ((int, float), "a number"))
            if isinstance(value, bool) or not isinstance(value, kind):
                raise ValueError(f"{toml}: expected {words} as {name}, got {value!r}; correct it")
        network = cls(**content)
        if (
            network.scale_hu == 0
            or network.slices % 2 == 0
            or min(network.slices, network.multiple) < 1
        ):
            raise ValueError(f"{toml}: expected a scale other than 0 and odd slices, got {content}")
        if network.output not in ("image", "noise"):
            raise ValueError(f"{toml}: expected output 'image' or 'noise', got {network.output!r}")
        return network

    def run(self, network: Callable[[np.ndarray], np.ndarray], hu: np.ndarray) -> np.ndarray:
        """Slices (z, y, x) in HU through a network of batches (n, c, y, x) in its own units."""
        hu = hu if self.least_hu is None else np.maximum(hu, self.least_hu)
        height, width = hu.shape[1:]
        edges = ((0, 0), (0, -height % self.multiple), (0, -width % self.multiple))
        units = ((np.pad(hu, edges, mode="edge") - self.offset_hu) / self.scale_hu).astype("f4")
        reach = self.slices // 2
        near = np.arange(-reach, reach + 1)
        out = []
        for k in range(len(hu)):
            stack = units[np.clip(k + near, 0, len(hu) - 1)]
            output = np.asarray(network(stack[None]))
            output = output.reshape(output.shape[-2:]) if output.size == stack[0].size else output
            if output.shape != stack[0].shape:
                raise ValueError(
                    f"the network was given {stack.shape} and returned {output.shape}, not one "
                    "slice of that size: check slices and multiple in its TOML file"
                )
            out.append(stack[reach] - output if self.output == "noise" else output)
        return np.stack(out)[:, :height, :width] * self.scale_hu + self.offset_hu


_LINES = " / ".join(EXAMPLE.split("\n")[1:-1])
_KINDS: dict[str, Any] = {
    "slices": (int, "a whole number"),
    "multiple": (int, "a whole number"),
    "output": (str, "a text"),
    "version": (str, "a text"),
}


def read_toml(path: Path) -> dict[str, Any]:
    """Values of a TOML file; what is no TOML is refused with its name."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"{path}: expected TOML, one line each as {_LINES}, got {error}") from None


def network_denoiser(
    name: str,
    kind: str,
    path: Path,
    facts: NetworkFile,
    network: Callable[[np.ndarray], np.ndarray],
) -> Denoiser:
    """A network of batches (n, c, y, x) in its own units, as a denoiser."""
    return Denoiser(
        name,
        lambda hu, _spacing: facts.run(network, hu),
        kind,
        slices=facts.slices,
        version=facts.version,
        scale=(facts.offset_hu, facts.scale_hu),
        multiple=facts.multiple,
        sha256=file_sha256(path),
    )


def file_sha256(path: Path) -> str:
    """SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()

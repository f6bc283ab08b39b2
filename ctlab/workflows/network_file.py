"""A network's units, slices and size multiple, from a TOML file; and the denoiser it makes."""

import hashlib
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ctlab.ct.denoiser import Denoiser


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
    """

    offset_hu: float = 0.0
    scale_hu: float = 1.0
    slices: int = 1
    multiple: int = 1
    output: str = "image"
    least_hu: float | None = None

    @classmethod
    def beside(cls, path: Path) -> "NetworkFile":
        """Read from the TOML file of the same name as the network's."""
        toml = path.with_suffix(".toml")
        example = "offset_hu = -300, scale_hu = 1000, slices = 1, multiple = 8, output = 'image'"
        if not toml.is_file():
            raise ValueError(
                f"{path}: expected its scale in {toml.name}, got none; write {example}"
            )
        return cls.of(tomllib.loads(toml.read_text(encoding="utf-8")), toml)

    @classmethod
    def of(cls, content: dict[str, Any], toml: Path) -> "NetworkFile":
        """From the values of a file, checked."""
        example = "offset_hu = -300, scale_hu = 1000, slices = 1, multiple = 8, output = 'image'"
        unknown = set(content) - set(cls.__dataclass_fields__)
        if unknown or "scale_hu" not in content:
            raise ValueError(
                f"{toml}: expected {example}, got {', '.join(sorted(content)) or 'nothing'}; "
                "scale_hu is needed"
            )
        network = cls(**content)
        if network.scale_hu == 0 or network.slices % 2 == 0 or network.multiple < 1:
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
                raise ValueError(f"expected one slice of {stack[0].shape}, got {output.shape}")
            out.append(stack[reach] - output if self.output == "noise" else output)
        return np.stack(out)[:, :height, :width] * self.scale_hu + self.offset_hu


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
        sha256=file_sha256(path),
    )


def file_sha256(path: Path) -> str:
    """SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()

"""Synthetic lesions: a nodule the denoiser erases, or one it invents."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from ctlab.ct.simulation.lesion import nodule_profile
from ctlab.explain.probe.denoiser_probe import DenoiserProbe

KINDS = ("erased", "invented")


class FailingDenoiser(nn.Module):
    """A denoiser whose output is off by a fixed HU map; hooks reach the denoiser's own layers."""

    has_one_size = True
    """A crop of the image would meet the map in another place."""

    def __init__(self, probe: DenoiserProbe, change_hu: np.ndarray) -> None:
        super().__init__()
        self.denoiser = probe.model
        self.network = probe.network
        self.change_hu = torch.from_numpy(np.asarray(change_hu, dtype=np.float32))

    def forward(self, hu: Tensor) -> Tensor:
        """Output of the denoiser plus the map, HU."""
        out: Tensor = self.denoiser(hu)
        return out + self.change_hu.to(hu.device)


@dataclass(frozen=True)
class SyntheticLesion:
    """An input, a denoiser that fails on it, and where.

    Attributes
    ----------
    image_hu : ndarray, float32, shape (y, x), or (c, y, x) with neighbouring slices
        What the denoiser sees: with the nodule where it is going to be erased.
    probe : DenoiserProbe
    mask : ndarray of bool, shape (y, x)
        The nodule.
    """

    kind: str
    image_hu: np.ndarray
    probe: DenoiserProbe
    mask: np.ndarray

    @property
    def slice_hu(self) -> np.ndarray:
        """The slice itself, (y, x)."""
        return self.image_hu if self.image_hu.ndim == 2 else self.image_hu[len(self.image_hu) // 2]


def insert_lesion(
    probe: DenoiserProbe,
    image_hu: np.ndarray,
    centre: tuple[float, float],
    *,
    kind: str,
    diameter_px: float,
    contrast_hu: float,
) -> SyntheticLesion:
    """A failure of the given kind at one place of a slice.

    ``erased``: the nodule is in the input, and the output is what the denoiser would have given
    without it. ``invented``: the output holds a nodule that the input does not.

    Parameters
    ----------
    image_hu : ndarray, HU, shape (y, x), sides a multiple of the network's step
        Or (c, y, x) for a model of neighbouring slices: a nodule then lies in all of them.
    centre : (y, x), pixels
    kind : one of :data:`KINDS`
    """
    if kind not in KINDS:
        raise ValueError(f"unknown kind {kind!r}; choose one of {', '.join(KINDS)}")
    if any(side % probe.size_multiple for side in image_hu.shape[-2:]):
        raise ValueError(f"cut the slice to multiples of {probe.size_multiple} px first")
    image_hu = np.asarray(image_hu, dtype=np.float32)
    profile = nodule_profile(image_hu.shape[-2:], centre, diameter_px) * np.float32(contrast_hu)
    if kind == "erased":
        shown = image_hu + profile
        change = probe.run(image_hu) - probe.run(shown)
    else:
        shown, change = image_hu, profile
    failing = DenoiserProbe(FailingDenoiser(probe, change))
    return SyntheticLesion(kind, shown, failing, profile >= np.float32(contrast_hu) / 2)

"""An exactly invertible denoiser: Haar details contracted, block means untouched.

Each level of a Haar transform parts an image into means of 2x2 pixels and three details. The
details are changed one after the other by a gain and a shift that depend on everything *but*
the detail itself, so each change can be undone; the coarsest means are never changed. Two
properties therefore hold for any weights, trained or not: the network has an inverse, and means
over blocks of ``2**levels`` pixels keep their HU.

The price: noise is made small, never discarded. Once the result is rounded to whole HU, what was
contracted to less than that cannot be brought back.
"""

from functools import lru_cache

import torch
from torch import Tensor, nn

from ctlab.learn.models.unet import INPUT_GAIN, conv

LOWEST_LOG_GAIN = -3.0
"""Details are contracted to e^-3 = 1/20 at most: stronger, and float32 could not undo it."""

_HAAR = 0.5 * torch.tensor(
    [[1.0, 1.0, 1.0, 1.0], [1.0, -1.0, 1.0, -1.0], [1.0, 1.0, -1.0, -1.0], [1.0, -1.0, -1.0, 1.0]]
)


def haar(image: Tensor) -> Tensor:
    """Means and details (B, 4, H/2, W/2) of an image (B, 1, H, W); orthonormal.

    Examples
    --------
    >>> haar(torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]])).flatten().tolist()
    [5.0, -1.0, -2.0, 0.0]
    """
    blocks = nn.functional.pixel_unshuffle(image, 2)
    return torch.einsum("kc,bchw->bkhw", _haar_like(image.dtype, image.device), blocks)


def inverse_haar(bands: Tensor) -> Tensor:
    """Image (B, 1, H, W) of its bands (B, 4, H/2, W/2)."""
    # The matrix is orthonormal: its transpose undoes it.
    matrix = _haar_like(bands.dtype, bands.device)
    return nn.functional.pixel_shuffle(torch.einsum("kc,bkhw->bchw", matrix, bands), 2)


@lru_cache(maxsize=16)
def _haar_like(dtype: torch.dtype, device: torch.device) -> Tensor:
    """The matrix on a device, copied there once: a captured step may not copy from the host."""
    return _HAAR.to(device, dtype)


class Coupling(nn.Module):
    """Gain and shift of one detail, from the other three bands; starts at a gain of 0.95."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList([conv(3, width), conv(width, width)])
        self.last = conv(width, 2)
        for parameter in self.last.parameters():
            nn.init.zeros_(parameter)

    def forward(self, others: Tensor) -> tuple[Tensor, Tensor]:  # (B, 3, h, w) -> 2 x (B, h, w)
        """Gain and shift of one part, from the three others."""
        features = INPUT_GAIN * others
        for layer in self.layers:
            features = nn.functional.leaky_relu(layer(features), 0.1)
        log_gain, shift = self.last(features).float().unbind(1)
        # Below 0, for a gain above 1 would amplify noise; near 0 at the start, yet with a slope.
        return (LOWEST_LOG_GAIN * torch.sigmoid(log_gain - 4.0)).exp(), shift


class InvertibleDenoiser(nn.Module):
    """Coarse-to-fine contraction of Haar details; see the module for what always holds.

    Parameters
    ----------
    width : int
        Channels inside a coupling.
    levels : int
        Depth of the transform: block means of ``2**levels`` pixels are preserved.

    Examples
    --------
    >>> flat = torch.full((1, 1, 8, 8), 2.5)
    >>> torch.allclose(InvertibleDenoiser(4)(flat), flat)
    True
    """

    depends_on_extent = False

    def __init__(self, width: int = 32, levels: int = 3) -> None:
        super().__init__()
        self.levels = levels
        self.size_multiple = 2**levels
        # Two rounds over the three details of each level, coarsest level first.
        self.couplings = nn.ModuleList(
            [nn.ModuleList([Coupling(width) for _ in range(6)]) for _ in range(levels)]
        )

    def forward(self, image: Tensor) -> Tensor:
        """Denoised image (B, 1, H, W), network units; H and W multiples of ``size_multiple``."""
        scales = self._scales(image)
        means = scales[0][:, :1]
        for level, bands in zip(self.couplings, scales, strict=True):
            details = self._couple(level, torch.cat([means, bands[:, 1:]], 1), undo=False)
            means = inverse_haar(torch.cat([means, details], 1))
        return means

    def inverse(self, denoised: Tensor) -> Tensor:
        """The image that :meth:`forward` maps to ``denoised``."""
        scales = self._scales(denoised)
        means = scales[0][:, :1]
        for level, bands in zip(self.couplings, scales, strict=True):
            # The couplings saw the denoised means of this level, so they must see them again;
            # the restored ones are for putting the image together.
            details = self._couple(level, bands, undo=True)
            means = inverse_haar(torch.cat([means, details], 1))
        return means

    def _scales(self, image: Tensor) -> list[Tensor]:
        """Bands (B, 4, h, w) of every level, coarsest first."""
        scales = []
        for _ in range(self.levels):
            scales.append(haar(image))
            image = scales[-1][:, :1]
        return scales[::-1]

    def _couple(self, level: nn.Module, bands: Tensor, *, undo: bool) -> Tensor:
        """Changed (or restored) details (B, 3, h, w) of one level."""
        parts = list(bands.unbind(1))
        steps = list(enumerate(level.children()))
        for k, coupling in reversed(steps) if undo else steps:
            n = 1 + k % 3
            others = torch.stack([part for m, part in enumerate(parts) if m != n], 1)
            gain, shift = coupling(others)
            parts[n] = (parts[n] - shift) / gain if undo else parts[n] * gain + shift
        return torch.stack(parts[1:], 1)

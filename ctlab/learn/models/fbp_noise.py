"""A degrader that knows how noise of a reconstruction looks, and learns only what it cannot know.

A free mixture of noise textures can do too much. Where the anatomy of the two unpaired domains
differs, the critic of low-dose images sees vessels that the routine-dose domain lacks, and the
degrader learns to make "noise" of their size and contrast, in lung several times the true SD. The
denoiser then learns to take such structure away. Three facts of filtered back-projection rule
that out, without saying how strong the noise is anywhere or which way its streaks run:

- its power spectrum is a ramp times a smooth function (Riederer, Pelc, Chesler 1978, doi
  10.1088/0031-9155/23/3/008): textures are small kernels behind the root of the ramp;
- the variance at a pixel is a sum over all views, so it varies slowly over the image: amplitudes
  come from means over centimetres, never from edges;
- its level follows how dense the surroundings are, along a curve that is measured in both domains
  without pairs (:func:`measure_noise_curve`); what is learned stays near it.
"""

import itertools
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from scipy.ndimage import convolve, uniform_filter
from torch import Tensor, nn

from ctlab.ct import HuScale
from ctlab.learn.models.degrader import NoiseDegrader, root_ramp

if TYPE_CHECKING:
    from ctlab.learn.config import TrainConfig
    from ctlab.learn.data.patches import PatchDomain

CONTEXT_PX = 33
"""Amplitudes follow means over this many pixels, about 2 cm."""

LEVEL, LEVEL_NEAR_CURVE = 1.8, 1.2
"""The local SD lies between the expected one divided and multiplied by this: by the first without
a curve of the level, by the second around a curve."""

Curve = Sequence[tuple[float, float]]
"""Points (mean HU of the surroundings, noise SD over that in soft tissue), rising in HU."""


class ReconstructionNoise(NoiseDegrader):
    """Image plus noise of unit-power textures, mixed and scaled slowly over the image.

    ``low = max(full + strength * level * sum_k w_k * (kernel_k conv white_k), air)`` with
    ``sum_k w_k^2 = 1`` at every pixel, so that ``strength * level`` *is* the local noise SD.

    Parameters
    ----------
    kernels, kernel_px : int
        Number and size of the noise textures; small ones, for the ramp brings the long range.
    air_net : float
        -1024 HU in network units.
    known : int
        Channels of the slow context; by default the local mean alone.
    curve : sequence of (HU, factor)
        Expected level by the mean of the surroundings, linear between the points; none: 1.
    scale : HuScale, optional
        Units of the images, wanted with a curve.

    Examples
    --------
    >>> degrader = ReconstructionNoise(4, 9)
    >>> image = torch.zeros(64, 1, 32, 32)
    >>> noise = degrader.draw(image, torch.Generator().manual_seed(0))
    >>> level = degrader.level(image, noise[1])
    >>> bool((level < LEVEL).all() and (level > 1 / LEVEL).all())
    True
    >>> measured = (degrader(image, noise, 2.0) / (2.0 * level)).std().item()
    >>> abs(measured - 1) < 0.02
    True
    """

    def __init__(
        self,
        kernels: int = 16,
        kernel_px: int = 11,
        *,
        air_net: float = -14.48,
        known: int = 1,
        curve: Curve = (),
        scale: HuScale | None = None,
    ) -> None:
        if curve and scale is None:
            raise ValueError("a curve of the noise level wants the scale of the images as well")
        super().__init__(kernels, kernel_px, air_net=air_net, ramp=True, known=known)
        self.curve = [((hu - scale.centre_hu) / scale.unit_hu, f) for hu, f in curve if scale]
        hidden: Any = self.amplitude[0].out_channels
        self.amplitude[-1] = nn.Conv2d(hidden, kernels + 1, 1)

    def level(self, image: Tensor, mood: Tensor) -> Tensor:  # (B, 1, H, W) -> (B, 1, H, W)
        """Local noise SD as a fraction of the strength asked for."""
        return self._mixture(image, mood)[1]

    def _mixture(self, image: Tensor, mood: Tensor) -> tuple[Tensor, Tensor]:
        context = slow_mean(self._context(image))
        amplitudes = self.amplitude(torch.cat([context, mood.expand(-1, -1, *image.shape[2:])], 1))
        # A share of zero would have an infinite slope under the root.
        weights = amplitudes[:, :-1].softmax(1).clamp_min(1e-8).sqrt()
        within = LEVEL_NEAR_CURVE if self.curve else LEVEL
        level = (math.log(within) * torch.tanh(amplitudes[:, -1:])).exp()
        return weights, level * along(self.curve, slow_mean(image)) if self.curve else level

    def _context(self, image: Tensor) -> Tensor:
        return 0.2 * image

    def _amplitudes(self, image: Tensor, mood: Tensor) -> Tensor:
        weights, level = self._mixture(image, mood)
        return weights * level

    def _coloured(self, white: Tensor) -> Tensor:
        """White noise (B, K, H, W) filtered by each texture and the ramp, of unit variance."""
        height, width = white.shape[2:]
        centre = self.textures.shape[-1] // 2
        margins = (0, width - 2 * centre - 1, 0, height - 2 * centre - 1)
        padded = nn.functional.pad(self.textures, margins).roll((-centre, -centre), (1, 2))
        spectrum = torch.fft.rfft2(padded) * root_ramp(height, width, white.device)
        energy = torch.fft.irfft2(spectrum, s=(height, width)).square().sum((1, 2), keepdim=True)
        spectrum = spectrum * energy.clamp_min(1e-12).rsqrt()
        coloured: Tensor = torch.fft.irfft2(torch.fft.rfft2(white) * spectrum, s=(height, width))
        return coloured


def slow_mean(features: Tensor) -> Tensor:  # (B, C, H, W) -> (B, C, H, W)
    """Means over :data:`CONTEXT_PX` pixels, of what lies inside the image."""
    half = CONTEXT_PX // 2
    # Along one axis after the other: a window of 33 x 33 at once costs 16 times as much.
    along_y = nn.functional.avg_pool2d(
        features, (CONTEXT_PX, 1), stride=1, padding=(half, 0), count_include_pad=False
    )
    return nn.functional.avg_pool2d(
        along_y, (1, CONTEXT_PX), stride=1, padding=(0, half), count_include_pad=False
    )


def along(curve: Curve, values: Tensor) -> Tensor:
    """Piecewise linear function through points (x, y), constant beyond its ends.

    Examples
    --------
    >>> along([(0.0, 1.0), (2.0, 5.0), (3.0, 4.0)], torch.tensor([-9.0, 1.0, 2.5, 9.0])).tolist()
    [1.0, 3.0, 4.5, 4.0]
    """
    total = torch.zeros_like(values) + curve[0][1]
    for (x, y), (further, other) in itertools.pairwise(curve):
        total = total + (other - y) * ((values - x) / (further - x)).clamp(0.0, 1.0)
    return total


BIN_EDGES_HU = (-950.0, -800.0, -650.0, -400.0, -150.0, 0.0, 80.0, 200.0, 400.0)
SOFT_BINS_HU = (0.0, 80.0)
"""Bins of block means along which the noise is measured. They are no tissue classes: a curve has no
gaps, and its reference is the bin that most blocks of muscle and organs fall into."""
MIDDLES_HU = [(a + b) / 2 for a, b in itertools.pairwise(BIN_EDGES_HU)]
_LEAST = 50
_SECOND_DIFFERENCES = np.outer([1.0, -2.0, 1.0], [1.0, -2.0, 1.0])


def measure_noise_curve(
    full: Sequence[np.ndarray], low: Sequence[np.ndarray]
) -> list[tuple[float, float]]:
    """How the noise of the low-dose domain depends on the mean of its surroundings; no pairs.

    Where the low-dose domain is of another scanner with a softer kernel, its fine noise may be less
    than that of the routine-dose domain although its noise is more: then nothing can be taken away,
    and the curve is that of the low-dose noise as it stands, own noise of a routine dose included.
    Both follow the same attenuation.

    In blocks of :data:`CONTEXT_PX` pixels noise is the median absolute second difference along both
    axes, which few edges and vessels move (the mask of Immerkaer 1996, doi
    10.1006/cviu.1996.0060). Per class of block mean the variance in the routine-dose domain is
    taken away from that in the low-dose domain; the roots, over that of soft tissue, are averaged
    over the slabs that show the class.

    Parameters
    ----------
    full, low : sequences of ndarray (z, y, x), HU

    Returns
    -------
    list of (HU, factor)
        One point a class that enough blocks of both domains belong to.

    Raises
    ------
    ValueError
        There is no soft tissue in the low-dose domain.
    """
    soft = BIN_EDGES_HU.index(SOFT_BINS_HU[0])
    mean_full, noise_full = _blocks(full)
    tables = []
    for slab in low:
        mean_low, noise_low = _blocks([slab])
        bins = [
            (noise_low[_within(mean_low, edges)], noise_full[_within(mean_full, edges)])
            for edges in itertools.pairwise(BIN_EDGES_HU)
        ]
        added = [_added(of_low, of_full) for of_low, of_full in bins]
        if not math.isfinite(added[soft]):
            added = [_added(of_low, np.zeros_like(of_low)) for of_low, _ in bins]
        tables.append(np.array(added) / added[soft])
    factors = _mean_of_known(np.array(tables))
    if not np.isfinite(factors[soft]):
        raise ValueError(
            f"expected soft tissue ({SOFT_BINS_HU[0]:g} to {SOFT_BINS_HU[1]:g} HU) in the low-dose "
            "domain to measure the curve of its noise, got none"
        )
    return [
        (hu, round(float(factor), 3))
        for hu, factor in zip(MIDDLES_HU, factors, strict=True)
        if np.isfinite(factor)
    ]


def with_noise_curve(
    config: "TrainConfig", full: "PatchDomain", low: "PatchDomain"
) -> "TrainConfig":
    """The configuration with the curve of the noise level measured, where it asks for that.

    Raises
    ------
    ValueError
        Low dose is nowhere noisier, or no curve can be measured in these domains; see
        :func:`measure_noise_curve`.
    """
    networks = config.networks
    if (
        networks.degrader not in ("reconstruction", "spectrum")
        or networks.noise_curve != "measured"
    ):
        return config
    if not any(low.noise_hu):
        raise ValueError(
            "expected low-dose series that are noisier in soft tissue than the routine-dose ones, "
            "got none; exchange data.full and data.low, or choose series of one kernel"
        )
    try:
        points = measure_noise_curve(full.slabs, low.slabs)
    except ValueError as error:
        raise ValueError(
            f"{error}; give networks.noise_curve points of your own, or [] for a level that is "
            "learned freely"
        ) from None
    changed = networks.model_copy(update={"noise_curve": tuple(points)})
    return config.model_copy(update={"networks": changed})


def _mean_of_known(tables: np.ndarray) -> np.ndarray:
    """Column means of what is not NaN; NaN where nothing is known."""
    known = np.isfinite(tables)
    total = np.where(known, tables, 0.0).sum(0)
    return np.where(known.any(0), total / np.maximum(known.sum(0), 1), np.nan)


def _blocks(slabs: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Mean and robust second difference of overlapping blocks of all slabs."""
    half = CONTEXT_PX // 2
    means, noises = [], []
    for image in (image for slab in slabs for image in slab):
        image = np.asarray(image, float)
        second = np.abs(convolve(image, _SECOND_DIFFERENCES))
        inside = (slice(half, -half, half),) * 2
        shape = (CONTEXT_PX, CONTEXT_PX)
        views = np.lib.stride_tricks.sliding_window_view(second, shape)[::half, ::half]
        rows, columns = (min(a, b) for a, b in zip(views.shape, image[inside].shape, strict=False))
        means.append(uniform_filter(image, CONTEXT_PX)[inside][:rows, :columns].ravel())
        noises.append(np.median(views[:rows, :columns], axis=(2, 3)).ravel())
    return np.concatenate(means), np.concatenate(noises)


def _within(means: np.ndarray, edges: tuple[float, float]) -> np.ndarray:
    return (means >= edges[0]) & (means < edges[1])


def _added(low: np.ndarray, full: np.ndarray) -> float:
    """Root of the variance that low dose adds; NaN where blocks are too few or none is added."""
    if min(len(low), len(full)) < _LEAST:
        return math.nan
    more = float(np.median(low) ** 2 - np.median(full) ** 2)
    return math.sqrt(more) if more > 0 else math.nan


class TrunkNoise(ReconstructionNoise):
    """Noise whose context comes from the trunk of a switchable generator, slowed down.

    The trunk belongs to the denoiser: its weights are not this module's parameters.
    """

    def __init__(self, trunk: nn.Module, *args: Any, **kwargs: Any) -> None:
        last: Any = trunk.last
        super().__init__(*args, known=last.in_channels, **kwargs)
        self.follow(trunk)

    def follow(self, trunk: nn.Module) -> None:
        """Take features from this trunk from now on."""
        self.__dict__["trunk"] = trunk  # past nn.Module, which would adopt its parameters

    def _context(self, image: Tensor) -> Tensor:
        features = self.__dict__["trunk"].degrading_features(image)
        return nn.functional.interpolate(features, scale_factor=2.0)

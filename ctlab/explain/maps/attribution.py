"""Attributions to input pixels: integrated gradients, local attribution maps, occlusion."""

from collections.abc import Callable
from math import lcm

import numpy as np
import torch
from captum.attr import IntegratedGradients, Occlusion
from scipy.ndimage import gaussian_filter
from torch import Tensor

from ctlab.explain.probe.denoiser_probe import DenoiserProbe
from ctlab.explain.probe.targets import RegionTarget, Target

_BASELINE_SIGMA_PX = 3.0
_PATH_SIGMA_PX = 4.0
_AT_ONCE = 8  # images in one pass


def local_mean(image: np.ndarray, *, sigma_px: float = _BASELINE_SIGMA_PX) -> np.ndarray:
    """The image without its detail: what the attributions compare with. Gaussian of 3 px."""
    image = np.asarray(image, dtype=np.float32)
    return gaussian_filter(image, sigma_px, axes=(-2, -1)) if sigma_px > 0 else image


def blurred(image: np.ndarray) -> np.ndarray:
    """Start of the path of :func:`local_attribution`: Gaussian of 4 px."""
    return local_mean(image, sigma_px=_PATH_SIGMA_PX)


def integrated_gradients(
    probe: DenoiserProbe,
    image: np.ndarray,
    target: Target,
    *,
    baseline: np.ndarray | None = None,
    steps: int = 16,
) -> np.ndarray:
    """Share of each pixel in ``target(image) - target(baseline)``, to which the map adds up.

    Sundararajan et al. 2017, arXiv 1703.01365, equation 1, by captum (Gauss-Legendre steps).

    Parameters
    ----------
    image : ndarray, HU, shape (y, x), (c, y, x) or a batch (b, c, y, x)
    baseline : ndarray, HU, same shape, optional
        None takes :func:`local_mean`: black, as is usual for photographs, is air.

    Returns
    -------
    ndarray, float32, shape (y, x), in units of the target
    """
    start = local_mean(image) if baseline is None else baseline
    method = IntegratedGradients(_reader(probe, target))
    batch = probe.tensor(image).requires_grad_(True)
    attribution = method.attribute(
        batch,
        baselines=probe.tensor(start),
        n_steps=steps,
        internal_batch_size=_AT_ONCE * len(batch),
    )
    return _plane(attribution, image)


def occlusion(
    probe: DenoiserProbe,
    image: np.ndarray,
    target: Target,
    *,
    patch_px: int = 8,
    stride_px: int = 8,
) -> np.ndarray:
    """How much the target falls when a patch loses its detail; mean over the patches at a pixel.

    Zeiler, Fergus 2014, arXiv 1311.2901, by captum; the patch is replaced by
    :func:`local_mean`, not by a constant. Where a crop is exact, only patches that can reach the
    target's region are tried; the map is exactly 0 elsewhere.

    Parameters
    ----------
    image : ndarray, HU, shape (y, x), (c, y, x) or a batch (b, c, y, x)
    patch_px, stride_px : int

    Returns
    -------
    ndarray, float32, shape (y, x), in units of the target
    """
    start = local_mean(image)
    if np.ndim(image) == 4 or not (isinstance(target, RegionTarget) and probe.crops_are_exact):
        return _occluded(probe, image, start, target, patch_px, stride_px)
    height, width = target.mask.shape
    # Where patches overlap, those beyond the reach still count in the mean at a pixel.
    spare = 2 * patch_px if stride_px < patch_px else 0
    margin = (probe.reach_px or 0) + target.reach_px + spare
    box = probe.field_box(target.mask, margin_px=margin)
    grid = lcm(stride_px, probe.size_multiple)  # the patches stay where they were
    top, left = (side // grid * grid for side in box[:2])
    bottom, right = min(height, -(-box[2] // grid) * grid), min(width, -(-box[3] // grid) * grid)
    near = (..., slice(top, bottom), slice(left, right))
    importance = np.zeros((height, width), dtype=np.float32)
    importance[near] = _occluded(
        probe,
        np.asarray(image)[near],
        start[near],
        target.crop((top, left, bottom, right)),
        patch_px,
        stride_px,
    )
    return importance


def _occluded(
    probe: DenoiserProbe,
    image: np.ndarray,
    start: np.ndarray,
    target: Target,
    patch_px: int,
    stride_px: int,
) -> np.ndarray:
    method = Occlusion(_reader(probe, target))
    attribution = method.attribute(
        probe.tensor(image),
        sliding_window_shapes=(probe.channels, patch_px, patch_px),
        strides=(probe.channels, stride_px, stride_px),
        baselines=probe.tensor(start),
        perturbations_per_eval=16,
    )
    return _plane(attribution, image)


def local_attribution(
    probe: DenoiserProbe,
    image: np.ndarray,
    target: Target,
    *,
    sigma_px: float = _PATH_SIGMA_PX,
    steps: int = 16,
) -> np.ndarray:
    """Gradients along a path from the blurred to the sharp image, times the path's own steps.

    Gu, Dong, CVPR 2021 (arXiv 2011.11036), equations 4 to 6: for networks that restore images,
    blur stands for the absence of a feature. Adds up to the change of the target along the path,
    up to the error of the sum.

    Parameters
    ----------
    sigma_px : float
        Blur at the start of the path.
    """
    image = np.asarray(image, dtype=np.float32)
    sigmas = np.linspace(sigma_px, 0.0, steps + 1)
    path = np.stack([local_mean(image, sigma_px=s) for s in sigmas])
    middles, moves = (path[:-1] + path[1:]) / 2, np.diff(path, axis=0)
    stack = (-1, *image.shape[-3:]) if image.ndim > 2 else (-1, 1, *image.shape)
    read = _reader(probe, target)
    total = np.zeros(image.shape, dtype=np.float64)
    for first in range(0, steps, _AT_ONCE):
        part = slice(first, first + _AT_ONCE)
        batch = probe.tensor(middles[part].reshape(stack)).requires_grad_(True)
        with torch.enable_grad():
            (gradient,) = torch.autograd.grad(read(batch).sum(), batch)
        total += (gradient.cpu().numpy().reshape(moves[part].shape) * moves[part]).sum(axis=0)
    shown = total.astype(np.float32).reshape(stack)
    return _plane(torch.from_numpy(shown), image)


def _reader(probe: DenoiserProbe, target: Target) -> Callable[[Tensor], Tensor]:
    """Function of a batch to one number per image."""

    def read(batch: Tensor) -> Tensor:
        return target(probe.middle(batch), probe.forward(batch))

    return read


def _plane(values: Tensor, image: np.ndarray) -> np.ndarray:
    """Map (y, x), or (b, y, x) for a batch: the sum over neighbouring slices."""
    maps = values.detach().sum(dim=1).cpu().numpy().astype(np.float32)
    return maps if np.ndim(image) == 4 else maps[0]

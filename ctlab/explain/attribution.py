"""Attributions to input pixels: integrated gradients, local attribution maps, occlusion."""

from itertools import pairwise

import numpy as np
import torch
from captum.attr import IntegratedGradients, Occlusion
from scipy.ndimage import gaussian_filter
from torch import Tensor

from ctlab.explain.subject import Subject
from ctlab.explain.targets import Target

_BASELINE_SIGMA_PX = 3.0


def local_mean(image: np.ndarray) -> np.ndarray:
    """The image without its detail: what the attributions compare with. Gaussian of 3 px."""
    return gaussian_filter(np.asarray(image, dtype=np.float32), _BASELINE_SIGMA_PX)


def integrated_gradients(
    subject: Subject,
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
    image : ndarray, HU, shape (y, x)
    baseline : ndarray, HU, shape (y, x), optional
        None takes :func:`local_mean`: black, as is usual for photographs, is air.

    Returns
    -------
    ndarray, float32, shape (y, x), in units of the target
    """
    start = local_mean(image) if baseline is None else baseline
    method = IntegratedGradients(_reader(subject, target))
    batch = subject.tensor(image).requires_grad_(True)
    found = method.attribute(
        batch, baselines=subject.tensor(start), n_steps=steps, internal_batch_size=8
    )
    return _plane(found)


def occlusion(
    subject: Subject, image: np.ndarray, target: Target, *, patch_px: int = 8, stride_px: int = 4
) -> np.ndarray:
    """How much the target falls when a patch loses its detail; mean over the patches at a pixel.

    Zeiler, Fergus 2014, arXiv 1311.2901, by captum; the patch is replaced by
    :func:`local_mean`, not by a constant.
    """
    method = Occlusion(_reader(subject, target))
    found = method.attribute(
        subject.tensor(image),
        sliding_window_shapes=(1, patch_px, patch_px),
        strides=(1, stride_px, stride_px),
        baselines=subject.tensor(local_mean(image)),
        perturbations_per_eval=16,
    )
    return _plane(found)


def local_attribution(
    subject: Subject, image: np.ndarray, target: Target, *, sigma_px: float = 4.0, steps: int = 16
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
    path = [gaussian_filter(image, s) if s > 0 else image for s in sigmas]
    read = _reader(subject, target)
    total = np.zeros(image.shape, dtype=np.float64)
    for before, after in pairwise(path):
        batch = subject.tensor((before + after) / 2).requires_grad_(True)
        with torch.enable_grad():
            (gradient,) = torch.autograd.grad(read(batch).sum(), batch)
        total += _plane(gradient) * (after - before)
    return total.astype(np.float32)


def diffusion_index(attribution: np.ndarray) -> float:
    """How widely a map spreads, 0 (one pixel) to 100 (even): ``100 (1 - Gini)``.

    Gu, Dong 2021, equation 8.

    Examples
    --------
    >>> diffusion_index(np.ones((10, 10))), round(diffusion_index(np.eye(1, 1000)), 3)
    (100.0, 0.1)
    """
    sizes = np.sort(np.abs(np.asarray(attribution, dtype=np.float64)).ravel())
    if sizes.sum() == 0:
        raise ValueError("the map is empty; there is nothing whose spread could be measured")
    n = sizes.size
    gini = (2 * np.sum(np.arange(1, n + 1) * sizes) / sizes.sum() - (n + 1)) / n
    return float(100 * (1 - gini))


def _reader(subject: Subject, target: Target):
    """Function of a batch to one number per image."""

    def read(batch: Tensor) -> Tensor:
        middle = batch[:, batch.shape[1] // 2][:, None]
        return target(middle, subject.forward(batch))

    return read


def _plane(values: Tensor) -> np.ndarray:
    return values[0].detach().sum(dim=0).cpu().numpy().astype(np.float32)

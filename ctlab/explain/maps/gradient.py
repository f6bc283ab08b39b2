"""Gradient of the target with respect to the input."""

import numpy as np
import torch

from ctlab.explain.probe.denoiser_probe import DenoiserProbe
from ctlab.explain.probe.targets import Target


def input_gradient(probe: DenoiserProbe, image: np.ndarray, target: Target) -> np.ndarray:
    """Derivative of the target with respect to each input pixel, (y, x), or (b, y, x) of a batch.

    Of neighbouring slices, (c, y, x), the sum: the effect of a pixel that all of them share.
    """
    maps = gradient_of_slices(probe, image, target).sum(axis=1)
    return np.asarray(maps if np.ndim(image) == 4 else maps[0])


def gradient_of_slices(probe: DenoiserProbe, image: np.ndarray, target: Target) -> np.ndarray:
    """Derivative of the target with respect to each pixel of each slice, (b, c, y, x)."""
    batch = probe.tensor(image).requires_grad_(True)
    with torch.enable_grad():
        score = target(probe.middle(batch), probe.forward(batch)).sum()
    (gradient,) = torch.autograd.grad(score, batch)
    return gradient.cpu().numpy()

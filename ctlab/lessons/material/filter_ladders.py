"""Classic filters at several strengths, and where their errors sit."""

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from ctlab.assess import rmse_hu
from ctlab.classic import METHODS, denoise_classic

LINEAR = ("gaussian", "median")
"""Filters that do not ask for the noise: their strength is a reach in pixels."""


def filter_ladder(
    image: np.ndarray, method: str, strengths: Sequence[float], *, noise_hu: float
) -> np.ndarray:
    """One slice filtered at several strengths: float32, shape (strengths, y, x).

    Parameters
    ----------
    image : slice in HU, shape (y, x)
    method : ``gaussian`` (strength: SD in pixels), ``median`` (strength: radius in pixels), or a
        method of :func:`ctlab.classic.denoise_classic` (strength in noise SD)
    """
    return np.stack([_filter(image, method, strength, noise_hu) for strength in strengths])


def errors_by_place(
    truth: np.ndarray, image: np.ndarray, *, share: float = 0.1
) -> dict[str, float]:
    """RMSE in HU ``at edges`` (the steepest share of the pixels of the truth) and ``elsewhere``."""
    slope = ndimage.gaussian_gradient_magnitude(truth.astype(float), 1.0)
    edge = slope >= np.quantile(slope, 1 - share)
    error = (image - truth) ** 2
    return {
        "at edges": float(error[edge].mean() ** 0.5),
        "elsewhere": float(error[~edge].mean() ** 0.5),
    }


def rmse_ladder(
    truth: np.ndarray,
    image: np.ndarray,
    method: str,
    strengths: Sequence[float],
    *,
    noise_hu: float,
) -> list[float]:
    """RMSE in HU at each strength."""
    ladder = filter_ladder(image, method, strengths, noise_hu=noise_hu)
    return [float(rmse_hu(truth, rung)) for rung in ladder]


def _filter(image: np.ndarray, method: str, strength: float, noise_hu: float) -> np.ndarray:
    if method == "gaussian":
        return np.asarray(ndimage.gaussian_filter(image, strength), np.float32)
    if method == "median":
        return np.asarray(ndimage.median_filter(image, 2 * round(strength) + 1), np.float32)
    if method not in METHODS:
        raise ValueError(f"no filter {method!r}; choose {', '.join((*LINEAR, *METHODS))}")
    filtered: np.ndarray = denoise_classic(image, method, noise_sd_hu=noise_hu, strength=strength)
    return filtered

"""Strength of a classic filter, chosen on a validation slab and never on the test slices."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ctlab.classic.filters import METHODS, denoise_classic


@dataclass(frozen=True)
class Tuning:
    """The chosen strength and every strength that was tried.

    Attributes
    ----------
    strength : float, in noise standard deviations
    rmse_hu : float, at that strength
    tried : dict from strength to RMSE in HU, sorted; strength 0 is the unfiltered image
    """

    method: str
    strength: float
    rmse_hu: float
    tried: dict[float, float]


def tune(
    method: str,
    reference: np.ndarray,
    noisy: np.ndarray,
    *,
    noise_sd_hu: float | np.ndarray,
    low: float = 0.1,
    high: float = 6.0,
    trials: int = 9,
) -> Tuning:
    """Strength with the smallest RMSE against the reference of a validation slab.

    A golden-section search over log strength: the RMSE of all four filters falls, then rises.

    Parameters
    ----------
    reference, noisy : ndarray, HU, shape (z, y, x) or (y, x)
        Slices that the filter will not be judged on afterwards.
    noise_sd_hu : float or ndarray of shape (z,), HU
    low, high : float
        Interval searched, in noise standard deviations.
    trials : int
        Number of strengths tried, at least 3.

    Raises
    ------
    ValueError
        Shapes that differ, an unknown method, or an empty interval.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> flat = np.zeros((32, 32), dtype=np.float32)
    >>> found = tune("tv", flat, flat + rng.normal(0, 10, flat.shape), noise_sd_hu=10.0)
    >>> found.rmse_hu < 3.0 < found.tried[0.0]
    True
    """
    reference, noisy = np.asarray(reference, float), np.asarray(noisy, float)
    if reference.shape != noisy.shape:
        raise ValueError(f"reference is {reference.shape}, noisy image {noisy.shape}; use one grid")
    if method not in METHODS or not 0 < low < high or trials < 3:
        raise ValueError(
            f"expected a method of {', '.join(METHODS)}, 0 < low < high and 3 trials or more, "
            f"got {method!r}, {low}, {high}, {trials}"
        )
    tried = {0.0: _rmse(reference, noisy)}

    def judge(log_strength: float) -> float:
        strength = float(np.exp(log_strength))
        image = denoise_classic(noisy, method, noise_sd_hu=noise_sd_hu, strength=strength)
        tried[strength] = _rmse(reference, image)
        return tried[strength]

    _golden_section(judge, np.log(low), np.log(high), trials)
    best = min(tried, key=lambda strength: tried[strength])
    return Tuning(method, best, tried[best], dict(sorted(tried.items())))


def _rmse(reference: np.ndarray, image: np.ndarray) -> float:
    return float(np.sqrt(np.mean((reference - image) ** 2)))


def _golden_section(judge: Callable[[float], float], low: float, high: float, trials: int) -> None:
    """Calls ``judge`` at ``trials`` points that close in on the minimum of a unimodal function."""
    ratio = (np.sqrt(5) - 1) / 2
    left, right = high - ratio * (high - low), low + ratio * (high - low)
    at_left, at_right = judge(left), judge(right)
    for _ in range(trials - 2):
        if at_left < at_right:
            high, right, at_right = right, left, at_left
            left = high - ratio * (high - low)
            at_left = judge(left)
        else:
            low, left, at_left = left, right, at_right
            right = low + ratio * (high - low)
            at_right = judge(right)

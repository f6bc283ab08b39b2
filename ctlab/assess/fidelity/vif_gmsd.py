"""Visual information fidelity and gradient magnitude similarity of one plane."""

import numpy as np
from scipy.ndimage import correlate, correlate1d

from ctlab.assess.fidelity._ssim_kernels import gaussian_taps, halve

VIF_TAPS = (17, 9, 5, 3)
VIF_NOISE_VARIANCE = 2.0
VIF_SMALLEST_PX = 41  # below it the coarsest scale has no pixel whose window lies inside
_TINY = 1e-10

GMSD_CONSTANT = 170.0 / 255.0**2


def vif_plane(reference: np.ndarray, image: np.ndarray) -> float:
    """Pixel-domain visual information fidelity of one plane.

    Sheikh, Bovik, IEEE TIP 15:430, 2006, doi 10.1109/TIP.2005.859378, in the pixel-domain form
    of four Gaussian scales with visual noise of variance 2 that is in general use.

    Parameters
    ----------
    reference, image : ndarray, HU, shape (y, x), 41 x 41 or more

    Notes
    -----
    The visual noise is 2 HU^2: the value depends on the unit, so images are passed in HU.
    """
    reference, image = np.asarray(reference, float), np.asarray(image, float)
    # Only variances count; without the mean, those of a constant are 0 to the last digit.
    reference, image = reference - reference.mean(), image - image.mean()
    same = np.array_equal(reference, image)
    kept, present = 0.0, 0.0
    for scale, taps in enumerate(VIF_TAPS):
        weights = gaussian_taps(taps, taps / 5)
        if scale:
            reference = _inside(reference, weights)[::2, ::2]
            image = _inside(image, weights)[::2, ::2]
        now_kept, now_present = _information(reference, image, weights)
        kept, present = kept + now_kept, present + now_present
    if present == 0:
        return 1.0 if same else float("nan")
    return float(kept / present)


def _information(
    reference: np.ndarray, image: np.ndarray, weights: np.ndarray
) -> tuple[float, float]:
    """Information of the reference that is kept in the image, and that was present."""
    mean_r, mean_i = _inside(reference, weights), _inside(image, weights)
    var_r = np.maximum(_inside(reference**2, weights) - mean_r**2, 0)
    var_i = np.maximum(_inside(image**2, weights) - mean_i**2, 0)
    covariance = _inside(reference * image, weights) - mean_r * mean_i
    gain = covariance / (var_r + _TINY)
    rest = var_i - gain * covariance
    flat_r, flat_i = var_r < _TINY, var_i < _TINY
    gain[flat_r | flat_i] = 0
    rest[flat_r] = var_i[flat_r]
    rest[flat_i] = 0
    var_r[flat_r] = 0
    rest[gain < 0] = var_i[gain < 0]
    gain, rest = np.maximum(gain, 0), np.maximum(rest, _TINY)
    kept = np.log10(1 + gain**2 * var_r / (rest + VIF_NOISE_VARIANCE)).sum()
    return float(kept), float(np.log10(1 + var_r / VIF_NOISE_VARIANCE).sum())


def _inside(plane: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Separable filter, kept where the whole window lies inside."""
    radius = len(weights) // 2
    filtered = correlate1d(correlate1d(plane, weights, axis=0), weights, axis=1)
    return np.asarray(filtered[radius : plane.shape[0] - radius, radius : plane.shape[1] - radius])


def gmsd_plane(reference: np.ndarray, image: np.ndarray, data_range: float) -> float:
    """Standard deviation of the gradient similarity of two planes at half resolution.

    Xue et al., IEEE TIP 23:684, 2014, eq. 4 to 6, doi 10.1109/TIP.2013.2293423: Prewitt
    gradients, constant 170 for a range of 255.

    Examples
    --------
    >>> gmsd_plane(np.zeros((8, 8)), np.full((8, 8), 50.0), 255.0)
    0.0
    """
    a = _gradient(halve(np.asarray(reference, float)) / data_range)
    b = _gradient(halve(np.asarray(image, float)) / data_range)
    likeness = (2 * a * b + GMSD_CONSTANT) / (a**2 + b**2 + GMSD_CONSTANT)
    return float(likeness.std())


def _gradient(plane: np.ndarray) -> np.ndarray:
    prewitt = np.array([[1.0, 0.0, -1.0]] * 3) / 3
    return np.asarray(
        np.hypot(
            correlate(plane, prewitt, mode="nearest"), correlate(plane, prewitt.T, mode="nearest")
        )
    )

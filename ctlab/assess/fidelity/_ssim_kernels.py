"""SSIM and its multi-scale form as one fused, compiled pass over the image."""

from typing import Any

import numba
import numpy as np

TAPS = 11
SIGMA_PX = 1.5
K1, K2 = 0.01, 0.03
MS_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)


def gaussian_taps(taps: int, sigma_px: float) -> np.ndarray:
    """Gaussian weights that add up to 1, float64, odd length.

    Examples
    --------
    >>> gaussian_taps(3, 1e-3)
    array([0., 1., 0.])
    """
    offsets = np.arange(taps) - taps // 2
    weights = np.exp(-0.5 * (offsets / sigma_px) ** 2)
    return np.asarray(weights / weights.sum())


def ssim_grey(reference: np.ndarray, image: np.ndarray, data_range: float) -> float:
    """Mean SSIM of two planes of any unit whose peak-to-peak range is ``data_range``.

    Gaussian window of 11 taps, sigma 1.5 px, population covariance, mean over the pixels whose
    window lies inside (Wang et al., IEEE TIP 13:600, 2004, eq. 13, doi 10.1109/TIP.2003.819861):
    scikit-image's ``gaussian_weights=True, sigma=1.5, use_sample_covariance=False``.

    Parameters
    ----------
    reference, image : ndarray, shape (y, x), at least 11 x 11
    """
    return _both_means(reference, image, data_range)[0]


def ms_ssim_grey(reference: np.ndarray, image: np.ndarray, data_range: float) -> float:
    """Multi-scale SSIM over five scales; planes of at least 176 x 176.

    Contrast and structure at every scale, luminance at the coarsest only, each to the power of
    the published weight (Wang, Simoncelli, Bovik, Asilomar 2003, eq. 7,
    doi 10.1109/ACSSC.2003.1292216). A negative mean counts as 0, because a power of it has no
    real value.
    """
    product = 1.0
    for scale, weight in enumerate(MS_WEIGHTS):
        whole, contrast = _both_means(reference, image, data_range)
        last = scale == len(MS_WEIGHTS) - 1
        product *= max(whole if last else contrast, 0.0) ** weight
        if not last:
            reference, image = halve(reference), halve(image)
    return float(product)


def _both_means(reference: np.ndarray, image: np.ndarray, data_range: float) -> tuple[float, float]:
    """Mean SSIM and mean contrast-structure term, in the precision of the images."""
    kind = np.float32 if reference.dtype == image.dtype == np.float32 else np.float64
    first, second = np.ascontiguousarray(reference, kind), np.ascontiguousarray(image, kind)
    # Twice the constants: the kernel's terms are all doubled.
    centre: Any = kind(first.mean())  # of the kind that the kernel computes in
    c1: Any = kind(2 * (K1 * data_range) ** 2)
    c2: Any = kind(2 * (K2 * data_range) ** 2)
    taps = gaussian_taps(TAPS, SIGMA_PX).astype(kind)
    whole, contrast = _fused(first, second, taps, centre, c1, c2)
    return whole, contrast


def halve(plane: np.ndarray) -> np.ndarray:
    """Mean of each 2 x 2 block; an odd last row or column is dropped.

    Examples
    --------
    >>> halve(np.arange(8.0).reshape(2, 4))
    array([[2.5, 4.5]])
    """
    y, x = plane.shape[0] // 2 * 2, plane.shape[1] // 2 * 2
    plane = plane[:y, :x]
    return np.asarray(
        (plane[::2, ::2] + plane[1::2, ::2] + plane[::2, 1::2] + plane[1::2, 1::2]) / 4
    )


@numba.njit(cache=True, nogil=True, fastmath=True)
def _along(line: np.ndarray, t: np.ndarray, out: np.ndarray) -> None:  # pragma: no cover - compiled
    """Symmetric eleven-tap filter of a row; written out, so that it vectorises along x."""
    for x in range(out.size):
        out[x] = (
            t[5] * line[x + 5]
            + t[4] * (line[x + 4] + line[x + 6])
            + t[3] * (line[x + 3] + line[x + 7])
            + t[2] * (line[x + 2] + line[x + 8])
            + t[1] * (line[x + 1] + line[x + 9])
            + t[0] * (line[x] + line[x + 10])
        )


@numba.njit(cache=True, nogil=True, fastmath=True)
def _down(
    ring: np.ndarray, y: int, t: np.ndarray, out: np.ndarray
) -> None:  # pragma: no cover - compiled
    """The same filter across the eleven rows kept in a ring whose newest row is y."""
    a, b, c, d = ring[(y + 1) % 11], ring[(y + 2) % 11], ring[(y + 3) % 11], ring[(y + 4) % 11]
    e, f, g, h = ring[(y + 5) % 11], ring[(y + 6) % 11], ring[(y + 7) % 11], ring[(y + 8) % 11]
    i, j, k = ring[(y + 9) % 11], ring[(y + 10) % 11], ring[y % 11]
    for x in range(out.size):
        out[x] = (
            t[5] * f[x]
            + t[4] * (e[x] + g[x])
            + t[3] * (d[x] + h[x])
            + t[2] * (c[x] + i[x])
            + t[1] * (b[x] + j[x])
            + t[0] * (a[x] + k[x])
        )


@numba.njit(cache=True, nogil=True, fastmath=True)
def _fused(  # pragma: no cover - compiled
    reference: np.ndarray, image: np.ndarray, taps: np.ndarray, centre: float, c1: float, c2: float
) -> tuple[float, float]:
    """Mean SSIM and mean contrast-structure term over the inside of the image.

    Sum and difference of the two images need four filtered maps instead of five:
    var(a) + var(b) = (var(s) + var(d)) / 2 and cov(a, b) = (var(s) - var(d)) / 4.
    Each row is filtered along x once and kept for the eleven output rows that need it. A centre
    is taken off before squaring, so that single precision loses no digits.
    """
    rows, columns = reference.shape
    wide = columns - TAPS + 1
    line, ring = np.empty((4, columns), taps.dtype), np.empty((4, TAPS, wide), taps.dtype)
    mean = np.empty((4, wide), taps.dtype)
    total, contrast_total = 0.0, 0.0
    for y in range(rows):
        for x in range(columns):
            a, b = reference[y, x] - centre, image[y, x] - centre
            s, d = a + b, a - b
            line[0, x], line[1, x] = s, d
            line[2, x], line[3, x] = s * s, d * d
        for m in range(4):
            _along(line[m], taps, ring[m, y % TAPS])
        if y < TAPS - 1:
            continue
        for m in range(4):
            _down(ring[m], y, taps, mean[m])
        row_total, row_contrast = taps.dtype.type(0), taps.dtype.type(0)
        for x in range(wide):
            s, d = mean[0, x] * mean[0, x], mean[1, x] * mean[1, x]
            var_s, var_d = mean[2, x] - s, mean[3, x] - d
            s = (mean[0, x] + 2 * centre) * (mean[0, x] + 2 * centre)
            contrast = (var_s - var_d + c2) / (var_s + var_d + c2)
            row_contrast += contrast
            row_total += contrast * (s - d + c1) / (s + d + c1)
        total += row_total
        contrast_total += row_contrast
    count = (rows - TAPS + 1) * wide
    return total / count, contrast_total / count

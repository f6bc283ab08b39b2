"""Discrete Fourier spectra of regions of interest, and rings of equal frequency.

Arrays over frequency are in ``numpy.fft`` order: zero frequency first.
"""

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

Spacing = float | Sequence[float]
"""Pixel size in mm: one number, (y, x) or (z, y, x)."""

DETREND_ORDER = {"none": -1, "mean": 0, "plane": 1, "quadratic": 2}


def spacing_yx(spacing_mm: float | Sequence[float]) -> tuple[float, float]:
    """Pixel spacing ``(y, x)`` in mm from one number, ``(y, x)`` or ``(z, y, x)``.

    Examples
    --------
    >>> spacing_yx(0.7), spacing_yx((2.5, 0.7, 0.6))
    ((0.7, 0.7), (0.7, 0.6))
    """
    values = np.atleast_1d(np.asarray(spacing_mm, dtype=float))
    if values.ndim != 1 or len(values) > 3 or not np.all(np.isfinite(values) & (values > 0)):
        raise ValueError(
            f"spacing_mm must be one, two (y, x) or three (z, y, x) values above 0 mm, "
            f"got {spacing_mm}"
        )
    return (float(values[-2]) if len(values) > 1 else float(values[-1])), float(values[-1])


def as_rois(rois: np.ndarray, *, name: str = "rois", least: int = 1) -> np.ndarray:
    """The regions as a float64 array ``(n, y, x)``; refuses other shapes, too few, and NaN."""
    array = np.asarray(rois, dtype=np.float64)
    if array.ndim != 3 or min(array.shape[1:], default=0) < 4:
        raise ValueError(
            f"{name} must have shape (n, y, x) with at least 4 x 4 px, got {array.shape}"
        )
    if len(array) < least:
        raise ValueError(f"{name} needs at least {least} regions, got {len(array)}")
    if not np.isfinite(array).all():
        raise ValueError(f"{name} holds NaN or infinite HU; cut regions from inside the image")
    return array


def same_shape(first: np.ndarray, second: np.ndarray, names: str) -> None:
    """Refuses two arrays of different shapes with a sentence that names them."""
    if np.shape(first) != np.shape(second):
        raise ValueError(
            f"{names} must have the same shape, got {np.shape(first)} and {np.shape(second)}; "
            f"resample one onto the other's grid"
        )


def frequency_per_mm(shape: tuple[int, ...], spacing_mm: Spacing) -> np.ndarray:
    """Radial frequency of each DFT bin in cycles per mm, shape ``(y, x)``."""
    dy, dx = spacing_yx(spacing_mm)
    return np.asarray(
        np.hypot(np.fft.fftfreq(shape[0], dy)[:, None], np.fft.fftfreq(shape[1], dx)[None, :])
    )


def ring_index(shape: tuple[int, ...], spacing_mm: Spacing) -> tuple[np.ndarray, int, float]:
    """Ring number of each DFT bin, number of rings up to Nyquist, and ring width per mm.

    Ring ``k`` holds the frequencies nearest to ``k`` widths; ring 0 is zero frequency alone.
    Bins beyond the lower of the two Nyquist frequencies (the corners) get the number of rings,
    so that no curve runs to frequencies that only the diagonals have.
    """
    dy, dx = spacing_yx(spacing_mm)
    width = max(1 / (shape[0] * dy), 1 / (shape[1] * dx))
    n_rings = int(0.5 / max(dy, dx) / width + 1e-9) + 1
    index = np.rint(frequency_per_mm(shape, spacing_mm) / width).astype(np.intp)
    index[0, 0] = 0
    return np.minimum(index, n_rings), n_rings, width


def ring_sum(values: np.ndarray, index: np.ndarray, n_rings: int) -> np.ndarray:
    """Sum of ``values (..., y, x)`` over each ring, shape ``(..., n_rings)``."""
    flat = np.asarray(values, dtype=float).reshape(-1, index.size)
    sums = [np.bincount(index.ravel(), row, n_rings + 1)[:n_rings] for row in flat]
    return np.reshape(sums, (*np.shape(values)[:-2], n_rings))


def radial_mean(
    power: np.ndarray, spacing_mm: Spacing
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Frequency per mm, mean power and number of bins of each ring up to Nyquist.

    The frequency is the mean over the bins of the ring, not its nominal radius: on small regions
    the two differ by several per cent at low frequencies. Zero frequency is left out.
    """
    index, n_rings, _ = ring_index(power.shape, spacing_mm)
    radius = frequency_per_mm(power.shape, spacing_mm)
    bins, frequency, mean = (
        ring_sum(values, index, n_rings)[1:] for values in (np.ones(power.shape), radius, power)
    )
    return frequency / bins, mean / bins, bins.astype(int)


def peak_frequency_per_mm(power: np.ndarray, spacing_mm: Spacing) -> float:
    """Frequency at which a noise power spectrum (y, x) is highest; NaN where it is 0.

    The radial curve is smoothed by one ring; the peak is that of the parabola through the highest
    ring and its neighbours. Arbitrary for white noise.
    """
    frequency, mean, _ = radial_mean(power, spacing_mm)
    curve = ndimage.gaussian_filter1d(mean, 1.0)
    top = int(np.argmax(curve))
    if not curve[top] > 0:
        return float("nan")
    if not 0 < top < len(curve) - 1:
        return float(frequency[top])
    a, b, _ = np.polyfit(frequency[top - 1 : top + 2], curve[top - 1 : top + 2], 2)
    return float(-b / (2 * a)) if a < 0 else float(frequency[top])


def half_plane(shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Masks ``(y, x)`` of one bin of every conjugate pair, and of the bins that are real.

    The DFT of a real image repeats itself conjugated, so only these bins are independent; a real
    bin has one degree of freedom where the others have two.
    """
    flat = np.arange(shape[0] * shape[1]).reshape(shape)
    partner = np.roll(flat[::-1, ::-1], (1, 1), axis=(0, 1))
    return flat < partner, flat == partner


def window_2d(shape: tuple[int, int], name: str) -> np.ndarray:
    """Separable weighting of a region: ``none`` or periodic ``hann``, shape ``(y, x)``."""
    if name == "none":
        return np.ones(shape)
    if name == "hann":
        one = [np.sin(np.pi * (np.arange(n) + 0.5) / n) ** 2 for n in shape]
        return np.asarray(one[0][:, None] * one[1][None, :])
    raise ValueError(f"window must be 'none' or 'hann', got {name!r}")


def detrended(rois: np.ndarray, order: str) -> np.ndarray:
    """Regions ``(n, y, x)`` less their least-squares mean, plane or quadratic surface.

    Examples
    --------
    >>> ramp = np.arange(16.0).reshape(1, 4, 4)
    >>> float(np.abs(detrended(ramp, "plane")).max().round(9))
    0.0
    """
    if order not in DETREND_ORDER:
        raise ValueError(f"detrend must be one of {', '.join(DETREND_ORDER)}, got {order!r}")
    top = DETREND_ORDER[order]
    y, x = (np.linspace(-1, 1, n) for n in rois.shape[1:])
    powers = [(j, i) for j in range(top + 1) for i in range(top + 1 - j)]
    if not powers:
        return rois
    basis = np.stack([np.outer(y**j, x**i).ravel() for j, i in powers], axis=1)
    orthonormal = np.linalg.qr(basis)[0]
    flat = rois.reshape(len(rois), -1)
    return np.asarray((flat - (flat @ orthonormal) @ orthonormal.T).reshape(rois.shape))


def roi_spectra(
    rois: np.ndarray, spacing_mm: Spacing, *, detrend: str = "mean", window: str = "none"
) -> np.ndarray:
    """Complex spectra ``(n, y, x)`` whose mean squared modulus is the NPS in HU^2 mm^2.

    The DFT is scaled by ``sqrt(dy dx / sum(window^2))``: the power a window takes away is given
    back, for any window (IEC 62220-1; Siewerdsen et al. 2002, doi 10.1118/1.1513157).
    """
    dy, dx = spacing_yx(spacing_mm)
    weight = window_2d(rois.shape[1:], window)
    scale = np.sqrt(dy * dx / np.sum(weight**2))
    return np.asarray(scale * np.fft.fft2(detrended(rois, detrend) * weight))

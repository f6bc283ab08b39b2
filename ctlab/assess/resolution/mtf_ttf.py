"""Spatial resolution: slanted-edge MTF, and the task transfer function of a denoiser."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.interpolate import CubicSpline
from scipy.signal.windows import tukey

from ctlab.ct.spectra import (
    Spacing,
    as_rois,
    frequency_per_mm,
    ring_index,
    ring_sum,
    same_shape,
    spacing_yx,
)

DenoiseImage = Callable[[np.ndarray], np.ndarray]
"""A function from an image ``(y, x)`` in HU to an image of the same shape in HU."""


@dataclass(frozen=True)
class Transfer:
    """A transfer curve over frequency.

    Attributes
    ----------
    frequency_per_mm, gain : ndarray, shape (n,)
        ``gain`` at frequency zero is the contrast transfer; it is 1 by definition for an MTF.
    """

    frequency_per_mm: np.ndarray
    gain: np.ndarray

    @property
    def normalised(self) -> np.ndarray:
        """Gain divided by the gain at frequency zero."""
        return np.asarray(self.gain / self.gain[0])

    def frequency_at(self, level: float) -> float:
        """First frequency per mm at which the normalised gain falls to ``level``; NaN if never.

        Examples
        --------
        >>> Transfer(np.array([0.0, 0.5, 1.0]), np.array([2.0, 1.5, 0.5])).frequency_at(0.5)
        0.75
        """
        curve = self.normalised
        below = np.flatnonzero(curve < level)
        if len(below) == 0 or below[0] == 0:
            return float("nan")
        i = below[0]
        part = (curve[i - 1] - level) / (curve[i - 1] - curve[i])
        step = self.frequency_per_mm[i] - self.frequency_per_mm[i - 1]
        return float(self.frequency_per_mm[i - 1] + part * step)

    @property
    def f50_per_mm(self) -> float:
        """Frequency per mm at which the transfer falls to one half."""
        return self.frequency_at(0.5)

    @property
    def f10_per_mm(self) -> float:
        """Frequency per mm at which the transfer falls to one tenth.

        Examples
        --------
        >>> Transfer(np.array([0.0, 0.5, 1.0]), np.array([1.0, 0.2, 0.0])).f10_per_mm
        0.75
        """
        return self.frequency_at(0.1)

    def frame(self) -> pd.DataFrame:
        """Tidy table: ``frequency_per_mm, gain, normalised``."""
        return pd.DataFrame(
            {
                "frequency_per_mm": self.frequency_per_mm,
                "gain": self.gain,
                "normalised": self.normalised,
            }
        )


def mtf_edge(image: np.ndarray, spacing_mm: Spacing, *, oversample: int = 8) -> Transfer:
    """Modulation transfer function across one straight, slightly tilted edge.

    The edge is found from the gradient's centroid in each row, pixels are sorted by their
    distance to it into bins of ``pixel / oversample``, and the line spread is the derivative of
    that profile. The losses by binning and differencing (a sinc each) are given back.

    Parameters
    ----------
    image : ndarray, shape (y, x), HU
        A region with one edge that crosses it from side to side near its middle, tilted 1 to 40
        degrees from an axis; at least 16 px wide on each side of the edge for the tails.
    spacing_mm : float, (y, x) or (z, y, x)
    oversample : int

    Returns
    -------
    Transfer
        Up to the Nyquist frequency of the pixels along the edge's normal.

    Raises
    ------
    ValueError
        No edge stands out of the noise, or it is parallel to the pixels.

    Notes
    -----
    ISO 12233; Samei, Flynn and Reimann, Med Phys 25:102 (1998), doi 10.1118/1.598165.

    Examples
    --------
    An edge blurred by a Gaussian of SD s has f50 = sqrt(ln 2 / 2) / (pi s); s = 1 px here.

    >>> from scipy.special import ndtr
    >>> y, x = np.mgrid[-32:32, -32:32]
    >>> edge = 100 * ndtr(x * np.cos(0.1) - y * np.sin(0.1))
    >>> round(mtf_edge(edge, 1.0).f50_per_mm, 3), round(float(np.sqrt(np.log(2) / 2) / np.pi), 3)
    (0.187, 0.187)
    """
    plane = as_rois(np.asarray(image)[None], name="image")[0]
    dy, dx = spacing_yx(spacing_mm)
    slope = np.abs(np.diff(plane.mean(axis=0))).max(), np.abs(np.diff(plane.mean(axis=1))).max()
    if slope[1] > slope[0]:  # a horizontal edge: look at it from the side
        plane, dy, dx = plane.T, dx, dy
    distance = _edge_distance_mm(plane, dy, dx)
    profile, bin_mm = _edge_profile(plane, distance, dx, oversample)
    spread = np.diff(profile) * tukey(len(profile) - 1, 0.5)
    frequency = np.fft.rfftfreq(8 * len(spread), bin_mm)
    modulus = np.abs(np.fft.rfft(spread, 8 * len(spread))) / np.sinc(frequency * bin_mm) ** 2
    shown = frequency <= 0.5 / dx
    return Transfer(frequency[shown], modulus[shown] / modulus[0])


def _edge_profile(
    plane: np.ndarray, distance: np.ndarray, pixel_mm: float, oversample: int
) -> tuple[np.ndarray, float]:
    """Mean HU by distance from the edge, and the width of its bins in mm.

    Tilts whose tangent is near a simple fraction sample few distances: the bins are widened
    until practically all hold a pixel, and each counts at the mean distance of its pixels.
    """
    for factor in range(oversample, 1, -1):
        bin_mm = pixel_mm / factor
        half = int(min(-distance.min(), distance.max()) / bin_mm)
        number = np.rint(distance / bin_mm).astype(int) + half
        inside = (number >= 0) & (number <= 2 * half)
        count = np.bincount(number[inside], minlength=2 * half + 1)
        if np.mean(count > 0) > 0.98:
            held = count > 0
            means = (
                np.bincount(number[inside], values[inside], 2 * half + 1)[held] / count[held]
                for values in (distance, plane)
            )
            return CubicSpline(*means)((np.arange(2 * half + 1) - half) * bin_mm), bin_mm
    raise ValueError("the edge is parallel to the pixels; tilt it by 2 to 10 degrees")


def _edge_distance_mm(plane: np.ndarray, dy: float, dx: float) -> np.ndarray:
    """Signed distance of every pixel from the one edge of the region."""
    height, width = plane.shape
    gradient = np.diff(plane, axis=1)
    gradient = gradient * np.sign(gradient.sum())
    between = np.arange(width - 1) + 0.5
    rows = np.arange(height)
    centre = np.full(height, float(np.argmax(gradient.mean(axis=0)) + 0.5))
    line = np.array([0.0, centre[0]])
    for reach in (width, width / 2, width / 4, width / 4):  # ever closer around the line
        weight = gradient * (np.abs(between - np.polyval(line, rows)[:, None]) <= reach)
        total = weight.sum(axis=1)
        good = total > 0.5 * np.median(total)
        if good.sum() < 8:
            raise ValueError("no edge crosses this region; cut it so that one edge runs through it")
        line = np.polyfit(rows[good], ((weight @ between)[good] / total[good]), 1)
    tilt = np.arctan(line[0] * dx / dy)
    offset = (np.arange(width) - np.polyval(line, rows)[:, None]) * dx
    distance = offset * np.cos(tilt)
    far = np.abs(distance) > 0.5 * np.abs(distance).max()
    low, high = plane[far & (distance < 0)], plane[far & (distance > 0)]
    if min(len(low), len(high)) < 8:
        raise ValueError("the edge is at the region's border; cut it with the edge in the middle")
    error = np.hypot(low.std() / np.sqrt(len(low)), high.std() / np.sqrt(len(high)))
    if abs(high.mean() - low.mean()) <= 10 * error:
        raise ValueError("no edge stands out of the noise; average slices or choose another edge")
    if not 1.0 <= abs(np.degrees(tilt)) <= 44.0:
        raise ValueError(
            f"the edge is tilted by {np.degrees(tilt):.1f} degrees; tilt it by 2 to 40 degrees "
            f"from the pixel rows or columns"
        )
    return np.asarray(distance)


def task_transfer(
    denoise: DenoiseImage,
    background: np.ndarray,
    signal: np.ndarray,
    noises: np.ndarray,
    *,
    spacing_mm: Spacing,
) -> Transfer:
    """Transfer of one insert through a denoiser in its anatomical background.

    ``d = <f(b + s + n) - f(b + n)>`` over noise realisations, then the least-squares gain from
    signal to ``d`` in each ring of frequencies: ``sum Re(D S*) / sum |S|^2``. A denoiser is not
    linear, so the answer belongs to this contrast, noise and place.

    Parameters
    ----------
    denoise : function
    background : ndarray, shape (y, x), HU, free of noise
    signal : ndarray, shape (y, x), HU
        The insert as the scanner shows it, on zero, not touching the border.
    noises : ndarray, shape (n, y, x), HU
    spacing_mm : float, (y, x) or (z, y, x)

    Returns
    -------
    Transfer
        Up to the first frequency at which the signal holds less than 1e-6 of its highest power;
        ``gain[0]`` is the contrast transfer of the whole insert.

    Raises
    ------
    ValueError
        Shapes differ, the signal is empty, or its mean is 0 (no gain at frequency zero).

    Notes
    -----
    Richard et al., Med Phys 39:4115 (2012), doi 10.1118/1.4725171; AAPM Report 233.

    Examples
    --------
    >>> spot = np.zeros((16, 16))
    >>> spot[7:9, 7:9] = 100.0
    >>> noises = np.random.default_rng(0).normal(0, 20, (2, 16, 16))
    >>> halved = task_transfer(lambda hu: 0.5 * hu, spot * 0, spot, noises, spacing_mm=0.7)
    >>> halved.gain.round(9).tolist()[:3], halved.normalised.round(9).tolist()[:3]
    ([0.5, 0.5, 0.5], [1.0, 1.0, 1.0])
    """
    noises = as_rois(noises, name="noises")
    background, signal = np.asarray(background, float), np.asarray(signal, float)
    same_shape(background, signal, "background and signal")
    same_shape(background, noises[0], "background and noise")
    if not abs(signal.sum()) > 1e-9 * np.abs(signal).sum():
        raise ValueError("the signal has mean 0 or is empty; pass an insert of one sign on zero")
    response = np.zeros(signal.shape)
    for noise in noises:
        response += np.asarray(denoise(background + signal + noise), float)
        response -= np.asarray(denoise(background + noise), float)
    spectrum, given = np.fft.fft2(response / len(noises)), np.fft.fft2(signal)
    index, n_rings, _ = ring_index(signal.shape, spacing_mm)
    power = ring_sum(np.abs(given) ** 2, index, n_rings)
    radius = frequency_per_mm(signal.shape, spacing_mm)
    mean_power = power / ring_sum(np.ones(index.shape), index, n_rings)
    empty = np.flatnonzero(mean_power < 1e-6 * mean_power.max())
    end = empty[0] if len(empty) else n_rings
    gain = ring_sum((spectrum * given.conj()).real, index, n_rings)[:end] / power[:end]
    frequency = ring_sum(radius * np.abs(given) ** 2, index, n_rings)[:end] / power[:end]
    return Transfer(frequency, gain)

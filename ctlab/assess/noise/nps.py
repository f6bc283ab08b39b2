"""Noise of CT images: local maps and power spectra."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.ndimage import correlate1d, uniform_filter

from ctlab.ct.spectra import (
    Spacing,
    as_rois,
    peak_frequency_per_mm,
    radial_mean,
    roi_spectra,
    same_shape,
    spacing_yx,
)


@dataclass(frozen=True)
class Nps:
    """Noise power spectrum of an ensemble of regions.

    Attributes
    ----------
    power_hu2_mm2 : ndarray, shape (y, x), HU^2 mm^2
        In ``numpy.fft`` order, zero frequency first; ``numpy.fft.fftshift`` centres it.
    spacing_mm : tuple of float, (y, x)
    n_rois : int
    """

    power_hu2_mm2: np.ndarray
    spacing_mm: tuple[float, float]
    n_rois: int

    @property
    def variance_hu2(self) -> float:
        """Integral of the spectrum over both frequencies: the noise variance in HU^2."""
        (dy, dx), (ny, nx) = self.spacing_mm, self.power_hu2_mm2.shape
        return float(self.power_hu2_mm2.sum() / (ny * dy * nx * dx))

    @property
    def noise_sd_hu(self) -> float:
        """Standard deviation of the noise, HU."""
        return float(np.sqrt(self.variance_hu2))

    def radial(self) -> pd.DataFrame:
        """Mean over rings up to Nyquist: ``frequency_per_mm, nps_hu2_mm2, n_bins``.

        See :func:`ctlab.ct.spectra.radial_mean`.
        """
        frequency, power, bins = radial_mean(self.power_hu2_mm2, self.spacing_mm)
        return pd.DataFrame({"frequency_per_mm": frequency, "nps_hu2_mm2": power, "n_bins": bins})

    @property
    def mean_frequency_per_mm(self) -> float:
        """Mean frequency of the radial spectrum (AAPM Report 233, f_av); NaN without noise."""
        curve = self.radial()
        total = curve.nps_hu2_mm2.sum()
        if total == 0:
            return float("nan")
        return float((curve.frequency_per_mm * curve.nps_hu2_mm2).sum() / total)

    @property
    def peak_frequency_per_mm(self) -> float:
        """Frequency of the highest radial value; NaN without noise, arbitrary for white noise."""
        return peak_frequency_per_mm(self.power_hu2_mm2, self.spacing_mm)


def nps(
    rois: np.ndarray, spacing_mm: Spacing, *, detrend: str = "mean", window: str = "none"
) -> Nps:
    """Noise power spectrum in HU^2 mm^2: ``dy dx / (Ny Nx) <|DFT(roi - trend)|^2>``.

    Parameters
    ----------
    rois : ndarray, shape (n, y, x) or (y, x), HU
        Uniform regions, or differences of two realisations divided by the root of 2.
    spacing_mm : float, (y, x) or (z, y, x)
    detrend : {"mean", "plane", "quadratic", "none"}
        Surface subtracted from each region. The mean takes ``1/(Ny Nx)`` of the variance with
        it; planes and quadratics also take low-frequency noise (the first bins on the axes lose
        about a third) and belong on regions of patients, which are never flat.
    window : {"none", "hann"}
        ``hann`` stops the leakage of strong frequencies into weak ones; its power is given back.

    Returns
    -------
    Nps

    Raises
    ------
    ValueError
        Wrong shape, fewer than 4 x 4 px, NaN, or an unknown name.

    Notes
    -----
    ICRU Report 87, section 4; AAPM Report 233 (2019).

    Examples
    --------
    White noise of variance sigma^2 has the flat spectrum sigma^2 dy dx; a chequerboard of +-2 HU
    has all its power, 4 HU^2, at the corner frequency.

    >>> board = 2.0 * (-1.0) ** np.add.outer(np.arange(8), np.arange(8))
    >>> spectrum = nps(board, 0.5)
    >>> round(spectrum.variance_hu2, 9), round(float(spectrum.power_hu2_mm2[4, 4]), 9)
    (4.0, 64.0)
    """
    rois = as_rois(np.asarray(rois)[None] if np.ndim(rois) == 2 else rois)
    power = np.zeros(rois.shape[1:])
    for start in range(0, len(rois), 64):  # in portions: the spectra are complex
        spectra = roi_spectra(rois[start : start + 64], spacing_mm, detrend=detrend, window=window)
        power += (spectra.real**2 + spectra.imag**2).sum(axis=0)
    return Nps(power / len(rois), spacing_yx(spacing_mm), len(rois))


def nps_of_difference(
    first: np.ndarray, second: np.ndarray, spacing_mm: Spacing, **options: str
) -> Nps:
    """NPS from two noise realisations of the same object: half that of their difference.

    Everything the two share, anatomy and any bias a denoiser adds to both, cancels; this is the
    way to a spectrum after a non-linear denoiser, whose noise depends on the background.

    Parameters
    ----------
    first, second : ndarray, shape (n, y, x) or (y, x), HU
    options
        As for :func:`nps`.

    Examples
    --------
    >>> board = 2.0 * (-1.0) ** np.add.outer(np.arange(8), np.arange(8))
    >>> nps_of_difference(100 + board, 100 - board, 0.5).variance_hu2.__round__(9)
    8.0
    """
    same_shape(first, second, "the two realisations")
    difference = np.subtract(first, second, dtype=np.float64)
    return nps(difference / np.sqrt(2), spacing_mm, **options)


def nps_distance(reference: Nps, image: Nps) -> dict[str, float]:
    """How far apart two spectra are, in amount and in texture.

    Returns
    -------
    dict
        ``power_ratio`` of the variances; ``shape`` (0 to 1), the share of noise power that sits
        at another frequency (total variation distance of the radial curves at area 1);
        ``transport_per_mm``, the mean distance that power has to move (Wasserstein-1 distance);
        ``mean_shift_per_mm``, image less reference, negative where noise became coarser.

    Notes
    -----
    Two spectra of different pixel size or region size are compared on one fine grid
    over the frequencies that both hold.

    Examples
    --------
    >>> spectrum = nps(np.random.default_rng(1).normal(size=(4, 16, 16)), 1.0)
    >>> nps_distance(spectrum, spectrum)["shape"]
    0.0
    """
    curves = [spectrum.radial() for spectrum in (reference, image)]
    top = min(c.frequency_per_mm.iloc[-1] for c in curves)
    bottom = max(c.frequency_per_mm.iloc[0] for c in curves)
    grid = np.linspace(bottom, top, 4 * max(len(c) for c in curves))
    shapes = [np.interp(grid, c.frequency_per_mm, c.nps_hu2_mm2) for c in curves]
    if any(s.sum() == 0 for s in shapes):
        raise ValueError("one of the two spectra holds no noise; pass regions with noise")
    p, q = (s / s.sum() for s in shapes)
    return {
        "power_ratio": image.variance_hu2 / reference.variance_hu2,
        "shape": float(0.5 * np.abs(p - q).sum()),
        "transport_per_mm": float(np.abs(np.cumsum(p - q)).sum() * (grid[1] - grid[0])),
        "mean_shift_per_mm": float(((q - p) * grid).sum()),
    }


def noise_map(
    image: np.ndarray, other: np.ndarray | None = None, *, size_px: int = 15
) -> np.ndarray:
    """Local noise SD in HU, float32, shape of ``image``.

    :func:`ctlab.assess.local_noise_hu` of every slice. Edges of organs count as noise there; with
    ``other``, a second realisation, structure cancels and the map is of the noise alone.
    Within half a window of the border the image is mirrored.

    Parameters
    ----------
    image, other : ndarray, shape (y, x) or (z, y, x), HU
        Volumes are worked through slice by slice.
    size_px : int, odd, at least 3

    Examples
    --------
    >>> ramp = np.add.outer(np.arange(32.0), 2 * np.arange(32.0))
    >>> bool(noise_map(ramp, size_px=5)[8:-8, 8:-8].max() < 1e-4)
    True
    """
    if np.ndim(image) not in (2, 3):
        raise ValueError(f"an image has shape (y, x) or (z, y, x), got {np.shape(image)}")
    if other is not None:
        same_shape(image, other, "the two realisations")
    if np.ndim(image) == 3:
        rest = [None] * len(image) if other is None else other
        planes = [noise_map(a, b, size_px=size_px) for a, b in zip(image, rest, strict=True)]
        return np.stack(planes)
    plane = np.asarray(image, dtype=np.float64)
    if other is not None:
        plane = (plane - other) / np.sqrt(2)
    return local_noise_hu(plane - np.median(plane), size_px=size_px).astype(np.float32)


def local_noise_hu(image: np.ndarray, *, size_px: int = 9) -> np.ndarray:
    """Standard deviation around each pixel after a plane is taken off, HU, shape (y, x).

    Edges of organs still count as noise: read the map inside tissues. For one figure of a series
    there is :func:`ctlab.ct.measure_noise_hu`.

    Parameters
    ----------
    image : ndarray, HU, shape (y, x), at least ``size_px`` in both directions
    size_px : int
        Odd side of the neighbourhood, at least 3. Noise correlated over more than about half
        of it is underestimated.

    Examples
    --------
    A slope is not noise:

    >>> slope = np.arange(20.0) * np.ones((20, 1))
    >>> bool(local_noise_hu(slope)[10, 10] < 1e-6)
    True
    """
    image = np.asarray(image, dtype=np.float64)
    if size_px < 3 or size_px % 2 == 0 or image.ndim != 2 or min(image.shape) < size_px:
        raise ValueError(
            f"expected (y, x) of at least size_px, which is odd and 3 or more; "
            f"got {image.shape} and {size_px}"
        )
    image = image - image.mean()
    offsets = np.arange(size_px) - size_px // 2
    variance = uniform_filter(image**2, size_px) - uniform_filter(image, size_px) ** 2
    spread = np.mean(offsets**2)
    for axis in (0, 1):
        along = correlate1d(image, offsets / size_px, axis=axis)
        slope = uniform_filter(along, [1, size_px] if axis == 0 else [size_px, 1]) / spread
        variance -= slope**2 * spread
    n = size_px**2
    return np.asarray(np.sqrt(np.maximum(variance, 0) * n / (n - 3)))

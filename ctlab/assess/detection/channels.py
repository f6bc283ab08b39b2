"""Channels of model observers: a few numbers that stand for how eyes filter an image."""

import numpy as np

from ctlab.ct.spectra import Spacing, spacing_yx


def laguerre_gauss(
    shape: tuple[int, int],
    spacing_mm: Spacing,
    *,
    width_mm: float,
    count: int = 10,
    centre_px: tuple[float, float] | None = None,
) -> np.ndarray:
    """Laguerre-Gauss channels, shape ``(count, y, x)``, orthonormal where the region is large.

    ``sqrt(2)/a exp(-pi r^2/a^2) L_j(2 pi r^2/a^2)``: the efficient choice for a round signal at
    a known place (Gallas and Barrett, JOSA A 20:1725, 2003, doi 10.1364/JOSAA.20.001725, eq. 8).

    Parameters
    ----------
    shape : (y, x) in pixels
    width_mm : float
        Width a of the Gaussian; sqrt(2 pi) = 2.5 times the SD of a Gaussian signal matches it.
    centre_px : (y, x), optional
        Default: the middle, ``(n - 1) / 2``.

    Examples
    --------
    >>> u = laguerre_gauss((65, 65), 1.0, width_mm=12.0, count=4).reshape(4, -1)
    >>> np.allclose(u @ u.T, np.eye(4))
    True
    """
    if not (width_mm > 0 and count >= 1):
        raise ValueError(
            f"channels need a width above 0 mm and a count of 1 or more, got {width_mm} and {count}"
        )
    dy, dx = spacing_yx(spacing_mm)
    middle = centre_px or ((shape[0] - 1) / 2, (shape[1] - 1) / 2)
    y, x = (np.arange(shape[0]) - middle[0]) * dy, (np.arange(shape[1]) - middle[1]) * dx
    g = 2 * np.pi * (y[:, None] ** 2 + x[None, :] ** 2) / width_mm**2
    planes = [np.polynomial.laguerre.Laguerre.basis(j)(g) * np.exp(-g / 2) for j in range(count)]
    return np.asarray(np.sqrt(2 * dy * dx) / width_mm * np.stack(planes))


def difference_of_gaussians(
    shape: tuple[int, int], spacing_mm: Spacing, *, count: int = 10, lowest_per_mm: float = 0.005
) -> np.ndarray:
    """Dense difference-of-Gaussians channels, shape ``(count, y, x)``; round and band-pass.

    Channel j is ``exp(-f^2/(2 (Q s_j)^2)) - exp(-f^2/(2 s_j^2))`` in frequency with
    ``s_j = s_0 1.4^j`` and ``Q = 1.67`` (Abbey and Barrett, JOSA A 18:473, 2001,
    doi 10.1364/JOSAA.18.000473). ``s_0`` is 0.005 cycles per pixel there and per mm here.

    Examples
    --------
    >>> u = difference_of_gaussians((33, 33), 0.7, count=3)
    >>> u.shape, bool(abs(u.sum()) < 1e-6)  # no channel answers to a constant
    ((3, 33, 33), True)
    """
    fy, fx = _frequencies(shape, spacing_mm)
    square = fy**2 + fx**2
    scales = lowest_per_mm * 1.4 ** np.arange(count)
    bands = [np.exp(-square / (2 * (1.67 * s) ** 2)) - np.exp(-square / (2 * s**2)) for s in scales]
    return _to_image(np.stack(bands), shape)


def gabor(
    shape: tuple[int, int],
    spacing_mm: Spacing,
    *,
    octaves: int = 4,
    orientations: int = 5,
    highest_per_mm: float | None = None,
) -> np.ndarray:
    """Gabor channels, shape ``(octaves * orientations * 2, y, x)``; even and odd phase.

    Pass bands one octave wide, downwards from ``highest_per_mm`` (default: half of Nyquist to
    Nyquist is the first band): ``exp(-4 ln2 r^2 / w^2) cos(2 pi f0 u + phase)`` with
    ``w = 4 ln2 / (pi band)`` (Wunderlich et al., IEEE TMI 34:453, 2015,
    doi 10.1109/TMI.2014.2360496).

    Examples
    --------
    >>> gabor((33, 33), 0.7, octaves=4, orientations=5).shape
    (40, 33, 33)
    """
    dy, dx = spacing_yx(spacing_mm)
    top = highest_per_mm or 0.5 / max(dy, dx)
    y, x = _centred(shape[0])[:, None] * dy, _centred(shape[1])[None, :] * dx
    planes = []
    for octave in range(octaves):
        band = top / 2 ** (octave + 1)
        width, middle = 4 * np.log(2) / (np.pi * band), 1.5 * band
        envelope = np.exp(-4 * np.log(2) * (y**2 + x**2) / width**2)
        for angle in np.pi * np.arange(orientations) / orientations:
            along = x * np.cos(angle) + y * np.sin(angle)
            waves = [np.cos(2 * np.pi * middle * along + phase) for phase in (0.0, np.pi / 2)]
            planes += [envelope * wave for wave in waves]
    return _unit(np.stack(planes))


def eye_filter(
    shape: tuple[int, int],
    spacing_mm: Spacing,
    *,
    distance_mm: float = 500.0,
    magnification: float = 1.0,
) -> np.ndarray:
    """Contrast sensitivity of the eye at each DFT bin, shape ``(y, x)``, 1 at its peak.

    ``E(f) = f^1.3 exp(-0.041 f^2)`` with f in cycles per degree, highest at 4 (Burgess,
    JOSA A 11:1237, 1994, doi 10.1364/JOSAA.11.001237).

    Parameters
    ----------
    distance_mm : float
        From eye to display.
    magnification : float
        Millimetres on the display per millimetre in the patient.

    Examples
    --------
    >>> e = eye_filter((256, 256), 0.5, distance_mm=500, magnification=1)
    >>> float(e[0, 0]), round(float(e.max()), 2)
    (0.0, 1.0)
    """
    fy, fx = _frequencies(shape, spacing_mm)
    degree_mm = distance_mm * np.pi / 180 / magnification  # patient millimetres in a degree
    f = np.hypot(fy, fx) * degree_mm
    peak = 4.0
    c = 1.3 / (2 * peak**2)
    return np.asarray((f / peak) ** 1.3 * np.exp(c * (peak**2 - f**2)))


def _centred(n: int) -> np.ndarray:
    return np.arange(n) - (n - 1) / 2


def _frequencies(shape: tuple[int, int], spacing_mm: Spacing) -> tuple[np.ndarray, np.ndarray]:
    """Frequency axes per mm that broadcast to ``shape``."""
    dy, dx = spacing_yx(spacing_mm)
    return np.fft.fftfreq(shape[0], dy)[:, None], np.fft.fftfreq(shape[1], dx)[None, :]


def _to_image(bands: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Real channels of unit length whose middle is the middle of the region."""
    for axis, n in zip((1, 2), shape, strict=True):
        shift = np.exp(-1j * np.pi * np.fft.fftfreq(n) * (n - 1))
        bands = bands * (shift[:, None] if axis == 1 else shift)
    return _unit(np.fft.ifft2(bands).real)


def _unit(planes: np.ndarray) -> np.ndarray:
    return np.asarray(planes / np.sqrt(np.sum(planes**2, axis=(1, 2), keepdims=True)))

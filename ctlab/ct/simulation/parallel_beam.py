"""Parallel-beam CT: line integrals and filtered back-projection.

Coordinates: x grows along a row, y down the columns, both in mm from the image centre. The ray
of angle ``a`` and detector position ``s`` is the line ``x cos a + y sin a = s``. Kernels are
compiled on first use and run on all cores that numba is given.
"""

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

FILTERS = ("ramp", "shepp-logan", "cosine", "hamming", "hann")


@dataclass(frozen=True)
class ParallelBeam:
    """Sampling of a parallel-beam scan of an image of ``shape`` (y, x).

    Attributes
    ----------
    angles_rad : tuple of float
    detectors : number of detector elements
    detector_mm : distance between their centres, at the rotation axis
    """

    shape: tuple[int, int]
    pixel_mm: float
    angles_rad: tuple[float, ...]
    detectors: int
    detector_mm: float

    def __post_init__(self) -> None:
        if not (self.pixel_mm > 0 and self.detector_mm > 0):
            raise ValueError(
                f"pixel and detector size must be above 0 mm, got {self.pixel_mm} and "
                f"{self.detector_mm}"
            )
        if self.detectors < 1 or not self.angles_rad:
            raise ValueError("a scan needs at least one detector element and one angle")

    @classmethod
    def covering(
        cls, shape: tuple[int, int], pixel_mm: float, *, views: int = 720, detector_mm: float = 0.0
    ) -> "ParallelBeam":
        """A half turn whose detector covers the whole image, one element a pixel by default.

        Examples
        --------
        >>> ParallelBeam.covering((3, 4), 1.0, views=2).detectors
        7
        """
        detector_mm = detector_mm or pixel_mm
        diagonal = np.hypot(*shape) * pixel_mm / detector_mm
        angles = tuple(np.arange(views) * np.pi / views)
        return cls((shape[0], shape[1]), pixel_mm, angles, int(np.ceil(diagonal)) + 2, detector_mm)

    @property
    def sinogram_shape(self) -> tuple[int, int]:
        """Angles and detectors."""
        return len(self.angles_rad), self.detectors

    @property
    def detector_positions_mm(self) -> np.ndarray:
        """Signed distance of each detector element's centre from the axis, shape (detectors,)."""
        return (np.arange(self.detectors) - (self.detectors - 1) / 2) * self.detector_mm


def project(image: np.ndarray, beam: ParallelBeam) -> np.ndarray:
    """Line integrals of an image by Joseph's method; float32, shape (angles, detectors).

    Parameters
    ----------
    image : ndarray, shape (y, x), attenuation per mm (or any quantity per mm)

    Notes
    -----
    A ray that runs mostly down the columns is sampled once a row, linearly interpolated along
    the row, and the samples are summed times the length between them; rays that run mostly
    along rows the other way round (Joseph, IEEE Trans Med Imaging 1:192, 1982,
    doi 10.1109/TMI.1982.4307572). Outside the image the attenuation is zero.

    Raises
    ------
    ValueError
        The image does not have the beam's shape.

    Examples
    --------
    A 4 mm square of 0.5 per mm, seen from the front through its middle:

    >>> beam = ParallelBeam((4, 4), 1.0, (0.0,), 3, 1.0)
    >>> project(np.full((4, 4), 0.5), beam)[0, 1]
    np.float32(2.0)
    """
    image = np.ascontiguousarray(image, np.float32)
    if image.shape != tuple(beam.shape):
        raise ValueError(f"the beam is made for images of shape {beam.shape}, got {image.shape}")
    # A zero rim lets the inner loop read both neighbours of any point without asking.
    flat, transposed = np.pad(image, 1), np.pad(np.ascontiguousarray(image.T), 1)
    return np.asarray(_kernels()["project"](flat, transposed, *_scalars(beam)))


def fbp(sinogram: np.ndarray, beam: ParallelBeam, *, filter_name: str = "ramp") -> np.ndarray:
    """Filtered back-projection of a half or full turn of equidistant angles; float32, (y, x).

    Parameters
    ----------
    sinogram : ndarray, shape (angles, detectors), line integrals
    filter_name : one of :data:`FILTERS`, the window on the ramp

    Notes
    -----
    Kak and Slaney, Principles of Computerized Tomographic Imaging (1988), equations 3.29 to
    3.36. The ramp is the transform of its band-limited impulse response, sampled; a ramp that
    is sampled in frequency instead is zero at DC and lowers all values.
    """
    return backproject(filter_views(_checked(sinogram, beam), beam.detector_mm, filter_name), beam)


def backproject(views: np.ndarray, beam: ParallelBeam) -> np.ndarray:
    """Sum of filtered views along their rays, linearly interpolated; float32, (y, x)."""
    views = np.pad(_checked(views, beam), ((0, 0), (1, 2)))
    angles, cosines, sines, _, detector_mm, pixel_mm = _scalars(beam)
    step = np.float32(pixel_mm / detector_mm)
    image: np.ndarray = _kernels()["backproject"](views, *beam.shape, cosines * step, sines * step)
    image *= np.float32(np.pi / angles)
    return image


def filter_views(sinogram: np.ndarray, detector_mm: float, filter_name: str = "ramp") -> np.ndarray:
    """Views convolved with the windowed ramp; same shape, float32, per mm."""
    from scipy import fft

    n = sinogram.shape[1]
    size = fft.next_fast_len(2 * n, real=True)
    response = ramp_response(size, detector_mm) * apodisation(
        np.linspace(0, 1, size // 2 + 1) if size % 2 == 0 else np.arange(size // 2 + 1) * 2 / size,
        filter_name,
    )
    spectrum = fft.rfft(sinogram, size, axis=1)
    spectrum *= response.astype(np.float32)
    return np.asarray(fft.irfft(spectrum, size, axis=1)[:, :n], dtype=np.float32)


def ramp_response(size: int, detector_mm: float) -> np.ndarray:
    """Transform of the band-limited ramp's impulse response (Kak and Slaney, equation 3.29).

    Real, shape (size // 2 + 1,), per mm.
    """
    distance = np.minimum(np.arange(size), size - np.arange(size))
    impulse = np.zeros(size)
    odd = distance % 2 == 1
    impulse[odd] = -1.0 / (np.pi * distance[odd] * detector_mm) ** 2
    impulse[0] = 1.0 / (4.0 * detector_mm**2)
    return np.fft.rfft(impulse).real * detector_mm


def apodisation(frequency: np.ndarray, filter_name: str) -> np.ndarray:
    """Window on the ramp at frequencies from 0 to 1 (the detector's Nyquist frequency).

    Examples
    --------
    >>> apodisation(np.array([0.0, 0.5, 1.0]), "hann").round(3)
    array([1. , 0.5, 0. ])
    """
    f = np.asarray(frequency, float)
    windows = {
        "ramp": np.ones_like(f),
        "shepp-logan": np.sinc(f / 2),
        "cosine": np.cos(np.pi * f / 2),
        "hamming": 0.54 + 0.46 * np.cos(np.pi * f),
        "hann": 0.5 + 0.5 * np.cos(np.pi * f),
    }
    if filter_name not in windows:
        raise ValueError(f"filter must be one of {', '.join(FILTERS)}, got {filter_name!r}")
    return windows[filter_name]


def _checked(sinogram: np.ndarray, beam: ParallelBeam) -> np.ndarray:
    sinogram = np.ascontiguousarray(sinogram, np.float32)
    if sinogram.shape != beam.sinogram_shape:
        raise ValueError(
            f"the beam makes sinograms of shape {beam.sinogram_shape}, got {sinogram.shape}"
        )
    return sinogram


def _scalars(beam: ParallelBeam) -> tuple[Any, ...]:
    angles = np.asarray(beam.angles_rad, np.float64)
    return (
        len(angles),
        np.cos(angles).astype(np.float32),
        np.sin(angles).astype(np.float32),
        beam.detectors,
        float(beam.detector_mm),
        float(beam.pixel_mm),
    )


@cache
def _kernels() -> dict[str, Any]:
    """The compiled loops; importing the compiler takes a second, so it waits for first use."""
    from ctlab.ct.simulation._parallel_beam_kernels import backproject, project

    return {"project": project, "backproject": backproject}

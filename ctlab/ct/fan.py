"""Equiangular fan beam: what third-generation scanners measure, and how it is reconstructed.

The source of view ``b`` stands at ``R (-sin b, cos b)``. The ray at fan angle ``g`` is the
parallel-beam ray of angle ``b + g`` at ``s = R sin g`` (Kak and Slaney, 1988, section 3.4).
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ctlab.ct.projector import apodisation


@dataclass(frozen=True)
class FanBeam:
    """Sampling of an equiangular fan-beam scan of an image of ``shape`` (y, x).

    Attributes
    ----------
    source_mm : distance of the source from the axis
    views : projections, equidistant
    short_scan : half a turn plus the fan angle instead of a full turn
    """

    shape: tuple[int, int]
    pixel_mm: float
    source_mm: float
    detectors: int
    detector_rad: float
    views: int
    short_scan: bool = False

    def __post_init__(self) -> None:
        reach = float(np.hypot(*self.shape)) * self.pixel_mm / 2
        if not self.source_mm > reach:
            raise ValueError(
                f"the source must stand outside the image ({reach:.0f} mm), got {self.source_mm}"
            )
        if self.detectors < 2 or self.views < 1 or not 0 < 2 * self.half_fan_rad < np.pi:
            raise ValueError("a fan needs two detectors, one view and less than half a turn")

    @classmethod
    def covering(
        cls,
        shape: tuple[int, int],
        pixel_mm: float,
        *,
        views: int = 984,
        source_mm: float = 541.0,
        short_scan: bool = False,
    ) -> "FanBeam":
        """A fan that covers the circle inscribed in the image, one detector a pixel at the axis.

        The default source distance is that of the scanner of the packaged sample.
        """
        radius = min(shape) * pixel_mm / 2
        step = pixel_mm / source_mm
        detectors = 2 * int(np.ceil(np.arcsin(radius / source_mm) / step)) + 4
        return cls((shape[0], shape[1]), pixel_mm, source_mm, detectors, step, views, short_scan)

    @property
    def half_fan_rad(self) -> float:
        return self.detectors * self.detector_rad / 2

    @property
    def sinogram_shape(self) -> tuple[int, int]:
        return self.views, self.detectors

    @cached_property
    def fan_angles_rad(self) -> np.ndarray:
        """Angle of each detector's centre from the central ray, shape (detectors,)."""
        return (np.arange(self.detectors) - (self.detectors - 1) / 2) * self.detector_rad

    @property
    def arc_rad(self) -> float:
        """How far the source travels."""
        return np.pi + 2 * self.half_fan_rad if self.short_scan else 2 * np.pi

    @cached_property
    def source_angles_rad(self) -> np.ndarray:
        return np.arange(self.views) * self.arc_rad / self.views

    def rays(self) -> tuple[np.ndarray, np.ndarray]:
        """Angle and signed distance (mm) of every ray as parallel-beam rays, (views, detectors)."""
        angles = self.source_angles_rad[:, None] + self.fan_angles_rad[None, :]
        distances = np.broadcast_to(self.source_mm * np.sin(self.fan_angles_rad), angles.shape)
        return angles, distances


def project_fan(image: np.ndarray, fan: FanBeam) -> np.ndarray:
    """Line integrals along the fan's rays by Joseph's method; float32, (views, detectors).

    Parameters
    ----------
    image : ndarray, shape (y, x), attenuation per mm

    Raises
    ------
    ValueError
        The image does not have the fan's shape.
    """
    from ctlab.ct import _fan_kernels

    image = np.ascontiguousarray(image, np.float32)
    if image.shape != tuple(fan.shape):
        raise ValueError(f"the fan is made for images of shape {fan.shape}, got {image.shape}")
    angles, distances = fan.rays()
    rows, columns = np.pad(image, 1), np.pad(np.ascontiguousarray(image.T), 1)
    return _fan_kernels.project_rays(
        rows, columns, np.cos(angles), np.sin(angles), distances / fan.pixel_mm, fan.pixel_mm
    )


def adjoint_fan(sinogram: np.ndarray, fan: FanBeam) -> np.ndarray:
    """Transpose of :func:`project_fan`; float32, (y, x).

    For every image and sinogram ``<project_fan(image), sinogram> = <image, adjoint_fan(sinogram)>``
    but for rounding, which iterative reconstruction needs.

    Raises
    ------
    ValueError
        The sinogram does not have the fan's shape.
    """
    from ctlab.ct import _fan_kernels

    sinogram = np.ascontiguousarray(sinogram, np.float32)
    if sinogram.shape != fan.sinogram_shape:
        raise ValueError(
            f"the fan makes sinograms of shape {fan.sinogram_shape}, got {sinogram.shape}"
        )
    angles, distances = fan.rays()
    rows, columns = _fan_kernels.spread_rays(
        sinogram,
        np.cos(angles),
        np.sin(angles),
        distances / fan.pixel_mm,
        fan.pixel_mm,
        *fan.shape,
        min(8, fan.views),
    )
    whole = rows.sum(axis=0) + columns.sum(axis=0).T
    return np.ascontiguousarray(whole[1:-1, 1:-1])


def fbp_fan(sinogram: np.ndarray, fan: FanBeam, *, filter_name: str = "ramp") -> np.ndarray:
    """Filtered back-projection of an equiangular fan-beam sinogram; float32, (y, x).

    Full scans weigh every ray alike. Short scans see some rays twice; these are shared smoothly
    between both views (Parker, Med Phys 9:254, 1982).

    Notes
    -----
    Kak and Slaney (1988), equations 3.102 to 3.107: weigh by ``R cos g``, convolve with
    ``(g / sin g)^2 h(g) / 2``, back-project with ``1 / L^2``.
    """
    from ctlab.ct import _fan_kernels

    sinogram = np.asarray(sinogram, np.float64)
    if sinogram.shape != fan.sinogram_shape:
        raise ValueError(
            f"the fan makes sinograms of shape {fan.sinogram_shape}, got {sinogram.shape}"
        )
    weighted = sinogram * scan_weights(fan) * fan.source_mm * np.cos(fan.fan_angles_rad)
    filtered = _filtered(weighted, fan.detector_rad, filter_name)
    betas = fan.source_angles_rad
    image = _fan_kernels.backproject_fan(
        np.pad(filtered, ((0, 0), (1, 2))).astype(np.float32),
        *fan.shape,
        np.cos(betas),
        np.sin(betas),
        float(fan.source_mm / fan.pixel_mm),
        float(fan.detector_rad),
    )
    image *= np.float32(fan.arc_rad / fan.views / fan.pixel_mm**2)
    return image


def scan_weights(fan: FanBeam) -> np.ndarray:
    """Weight of each ray, (views, detectors); both sightings of a line add up to two.

    Examples
    --------
    >>> fan = FanBeam.covering((32, 32), 1.0, views=40)
    >>> bool((scan_weights(fan) == 1).all())
    True
    """
    if not fan.short_scan:
        return np.ones(fan.sinogram_shape)
    half = fan.half_fan_rad
    beta, gamma = fan.source_angles_rad[:, None], fan.fan_angles_rad[None, :]
    rising = np.sin(np.pi / 4 * beta / (half - gamma)) ** 2
    falling = np.sin(np.pi / 4 * (np.pi + 2 * half - beta) / (half + gamma)) ** 2
    weights = np.ones(fan.sinogram_shape)
    first, last = beta < 2 * (half - gamma), beta > np.pi - 2 * gamma
    weights[first] = rising[first]
    weights[last] = falling[last]
    return 2 * weights


def _filtered(weighted: np.ndarray, step_rad: float, filter_name: str) -> np.ndarray:
    from scipy import fft

    n = weighted.shape[1]
    size = fft.next_fast_len(2 * n, real=True)
    distance = np.minimum(np.arange(size), size - np.arange(size))
    impulse = np.zeros(size)
    odd = (distance % 2 == 1) & (distance < n)
    impulse[odd] = -0.5 / (np.pi * np.sin(distance[odd] * step_rad)) ** 2
    impulse[0] = 1 / (8 * step_rad**2)
    response = fft.rfft(impulse).real * step_rad
    response *= apodisation(np.arange(response.size) * 2 / size, filter_name)
    return fft.irfft(fft.rfft(weighted, size, axis=1) * response, size, axis=1)[:, :n]

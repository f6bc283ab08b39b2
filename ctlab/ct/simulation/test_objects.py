"""Computed test objects in HU, noise-free and known to the voxel.

Shapes are drawn analytically and then averaged over ``oversample`` x ``oversample`` points a
pixel, so that edges are as smooth as a real pixel makes them.
"""

from dataclasses import dataclass

import numpy as np

from ctlab.ct.volume import Volume

AIR_HU, WATER_HU = -1000.0, 0.0


@dataclass(frozen=True)
class Ellipse:
    """An ellipse in a slice: centre and semi-axes in mm from the image centre, value in HU.

    Values are absolute, not added: later ellipses cover earlier ones.
    """

    centre_mm: tuple[float, float]  # (y, x)
    semi_axes_mm: tuple[float, float]  # (y, x)
    hu: float
    turn_rad: float = 0.0

    def covers(self, y_mm: np.ndarray, x_mm: np.ndarray) -> np.ndarray:
        """Whether points lie inside; broadcast boolean array."""
        dy, dx = y_mm - self.centre_mm[0], x_mm - self.centre_mm[1]
        cos, sin = np.cos(self.turn_rad), np.sin(self.turn_rad)
        along, across = dx * cos + dy * sin, dy * cos - dx * sin
        inside = (across / self.semi_axes_mm[0]) ** 2 + (along / self.semi_axes_mm[1]) ** 2 <= 1
        return np.asarray(inside)


def grid_mm(size: int, pixel_mm: float, oversample: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Coordinates (y, x) in mm of a square grid about its centre, shapes (n, 1) and (1, n)."""
    n = size * oversample
    axis = (np.arange(n) - (n - 1) / 2) * pixel_mm / oversample
    return axis[:, None], axis[None, :]


def draw(
    ellipses: list[Ellipse],
    *,
    size: int,
    pixel_mm: float,
    background_hu: float = AIR_HU,
    oversample: int = 4,
) -> np.ndarray:
    """Image in HU (float32, size x size) of ellipses, the later ones on top.

    Examples
    --------
    A disc of half the width covers pi/16, a fifth, of the image:

    >>> image = draw([Ellipse((0, 0), (16, 16), 100.0)], size=64, pixel_mm=1.0, background_hu=0)
    >>> round(float(image.mean())), round(100 * np.pi / 16)
    (20, 20)
    """
    y, x = grid_mm(size, pixel_mm, oversample)
    fine = np.full((size * oversample, size * oversample), background_hu, np.float32)
    for ellipse in ellipses:
        fine[ellipse.covers(y, x)] = ellipse.hu
    fine = fine.reshape(size, oversample, size, oversample)
    return np.asarray(fine.mean(axis=(1, 3), dtype=np.float32))


def line_integral_of_ellipse(
    ellipse: Ellipse, angles_rad: np.ndarray, positions_mm: np.ndarray
) -> np.ndarray:
    """Chord lengths in mm of parallel rays through an ellipse, shape (angles, positions).

    Kak and Slaney (1988), equation 3.5: with ``a^2 = A^2 cos^2 + B^2 sin^2`` the chord of the
    ray at distance ``t`` from the centre is ``2 A B sqrt(a^2 - t^2) / a^2``.

    Examples
    --------
    >>> disc = Ellipse((0, 0), (10, 10), 0.0)
    >>> line_integral_of_ellipse(disc, np.zeros(1), np.array([0.0, 6.0, 11.0]))
    array([[20., 16.,  0.]])
    """
    b, a = ellipse.semi_axes_mm  # along the ellipse's own y and x
    turned = np.asarray(angles_rad)[:, None] - ellipse.turn_rad
    width = (a * np.cos(turned)) ** 2 + (b * np.sin(turned)) ** 2
    y, x = ellipse.centre_mm
    angles = np.asarray(angles_rad)[:, None]
    t = np.asarray(positions_mm)[None, :] - (x * np.cos(angles) + y * np.sin(angles))
    return np.asarray(2 * a * b * np.sqrt(np.maximum(width - t**2, 0)) / width)


def stack(image_hu: np.ndarray, *, slices: int, pixel_mm: float, slice_mm: float) -> Volume:
    """A volume of equal slices (a cylinder) from one image."""
    hu = np.repeat(np.asarray(image_hu, np.float32)[None], slices, axis=0)
    return Volume(hu=hu, spacing_mm=(slice_mm, pixel_mm, pixel_mm))


def water_cylinder(
    *,
    size: int = 256,
    pixel_mm: float = 1.0,
    radius_mm: float = 100.0,
    slices: int = 1,
    slice_mm: float = 2.5,
) -> Volume:
    """Water (0 HU) in air (-1000 HU), noise-free.

    Examples
    --------
    >>> water = water_cylinder(size=64, radius_mm=20)
    >>> float(water.hu[0, 32, 32]), float(water.hu[0, 0, 0])
    (0.0, -1000.0)
    """
    image = draw([Ellipse((0, 0), (radius_mm, radius_mm), WATER_HU)], size=size, pixel_mm=pixel_mm)
    return stack(image, slices=slices, pixel_mm=pixel_mm, slice_mm=slice_mm)


def low_contrast(
    *,
    size: int = 256,
    pixel_mm: float = 1.0,
    contrasts_hu: tuple[float, ...] = (5.0, 10.0, 20.0, 40.0),
    radii_mm: tuple[float, ...] = (2.0, 4.0, 8.0),
    slices: int = 1,
) -> tuple[Volume, list[Ellipse]]:
    """Water cylinder with discs: one ray per contrast, one ring per radius; and the discs."""
    discs = []
    for i, contrast in enumerate(contrasts_hu):
        angle = 2 * np.pi * i / len(contrasts_hu)
        for ring, radius in enumerate(radii_mm, 1):
            away = 0.32 * size * pixel_mm * ring / len(radii_mm)
            centre = (away * np.sin(angle), away * np.cos(angle))
            discs.append(Ellipse(centre, (radius, radius), WATER_HU + contrast))
    body = Ellipse((0, 0), (0.4 * size * pixel_mm, 0.4 * size * pixel_mm), WATER_HU)
    image = draw([body, *discs], size=size, pixel_mm=pixel_mm)
    return stack(image, slices=slices, pixel_mm=pixel_mm, slice_mm=2.5), discs

"""Nodules and other lesions of known size, place and contrast, as sharp as the scanner shows them.

All that the kit draws comes from here: spheres in whole scans (:func:`insert_lesion`), a slice of
one (:func:`slab_share`), a central plane (:func:`nodule_plane`), a mark (:func:`nodule_profile`).
"""

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter

from ctlab.ct.volume import Volume


@dataclass(frozen=True)
class Lesion:
    """A spherical lesion.

    Attributes
    ----------
    centre : voxel coordinates (z, y, x), fractions allowed
    diameter_mm : of the sphere before blurring
    hu : HU in the middle of a large lesion of this kind; about 40 for solid nodules, -600 for
        ground glass
    """

    centre: tuple[float, float, float]
    diameter_mm: float
    hu: float

    def __post_init__(self) -> None:
        if not self.diameter_mm > 0:
            raise ValueError(f"a lesion needs a diameter above 0 mm, got {self.diameter_mm}")


def blur_sigma_mm(mtf50_per_mm: float) -> float:
    """SD of the Gaussian whose MTF is 0.5 at a frequency: ``sqrt(2 ln 2) / (2 pi f)``.

    Examples
    --------
    >>> round(blur_sigma_mm(0.4), 3)
    0.468
    """
    if not mtf50_per_mm > 0:
        raise ValueError(f"the MTF50 must be above 0 per mm, got {mtf50_per_mm}")
    return float(np.sqrt(2 * np.log(2)) / (2 * np.pi * mtf50_per_mm))


def insert_lesion(
    volume: Volume, lesion: Lesion, *, mtf50_per_mm: float = 0.4, background_hu: float | None = None
) -> tuple[Volume, np.ndarray]:
    """The volume with a lesion, and the share of lesion in each voxel (float32, z, y, x, 0 to 1).

    The scan's own noise and vessels stay: contrast times share is added, nothing is replaced.
    Share is that of a sphere, blurred in the plane by the scanner's resolution; across slices
    it is averaged over the slice spacing, which stands for the slice thickness.

    Parameters
    ----------
    mtf50_per_mm : where the scanner's MTF has fallen to one half; 0.4 for standard body kernels
    background_hu : what the lesion's HU is reckoned from; default: median HU in a shell around it

    Raises
    ------
    ValueError
        The lesion does not lie inside the volume.
    """
    box = _box(volume, lesion, blur_sigma_mm(mtf50_per_mm))
    share = np.zeros(volume.shape, np.float32)
    share[box] = sphere_share(volume, lesion, box, blur_sigma_mm(mtf50_per_mm))
    if background_hu is None:
        shell = _shell(volume, lesion, box)
        background_hu = float(np.median(volume.hu[box][shell]))
    hu = volume.hu + np.float32(lesion.hu - background_hu) * share
    return volume.with_hu(hu), share


def _box(volume: Volume, lesion: Lesion, sigma_mm: float) -> tuple[slice, slice, slice]:
    """Voxels that the lesion and the shell around it may touch."""
    centre = np.asarray(lesion.centre, float)
    if np.any(centre < 0) or np.any(centre > np.asarray(volume.shape) - 1):
        raise ValueError(f"the lesion's centre {lesion.centre} lies outside {volume.shape}")
    reach = (lesion.diameter_mm + 4 * sigma_mm) / np.asarray(volume.spacing_mm) + 1
    low = np.maximum(np.floor(centre - reach), 0).astype(int)
    high = np.minimum(np.ceil(centre + reach) + 1, volume.shape).astype(int)
    z, y, x = (slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    return z, y, x


def _axes_mm(
    volume: Volume, lesion: Lesion, box: tuple[slice, slice, slice], in_plane: int = 1
) -> list[np.ndarray]:
    """Coordinates z, y, x about the lesion's centre, each pixel cut ``in_plane`` times."""
    axes = []
    for axis, fine in enumerate((1, in_plane, in_plane)):
        count = (box[axis].stop - box[axis].start) * fine
        voxel = (np.arange(count) + 0.5) / fine - 0.5 + box[axis].start
        axes.append((voxel - lesion.centre[axis]) * volume.spacing_mm[axis])
    return axes


def slab_share(
    y_mm: np.ndarray,
    x_mm: np.ndarray,
    radius_mm: np.ndarray | float,
    *,
    middle_mm: float,
    thickness_mm: float,
) -> np.ndarray:
    """Share of a slice's thickness that a sphere fills at points about its centre, 0 to 1.

    Parameters
    ----------
    y_mm, x_mm : ndarray, broadcast against each other
    radius_mm : of the sphere; an array lets it differ with direction (lobes)
    middle_mm, thickness_mm : of the slice, from the sphere's centre

    Examples
    --------
    Above the centre of a sphere of 10 mm, 2 mm of a slice from 3 to 7 mm are filled:

    >>> float(slab_share(np.zeros(1), np.zeros(1), 5.0, middle_mm=5.0, thickness_mm=4.0)[0])
    0.5
    """
    half = np.sqrt(np.maximum(np.square(radius_mm) - y_mm**2 - x_mm**2, 0.0))
    top = np.minimum(half, middle_mm + thickness_mm / 2)
    bottom = np.maximum(-half, middle_mm - thickness_mm / 2)
    return np.asarray(np.maximum(top - bottom, 0.0) / thickness_mm)


def sphere_share(
    volume: Volume, lesion: Lesion, box: tuple[slice, slice, slice], sigma_mm: float
) -> np.ndarray:
    """Share of the blurred sphere in the voxels of ``box``; its sum is the sphere's volume."""
    fine = 4
    z, y, x = _axes_mm(volume, lesion, box, fine)
    slice_mm, *pixel_mm = volume.spacing_mm
    sigma = [sigma_mm / size * fine for size in pixel_mm]
    share = np.empty([s.stop - s.start for s in box], np.float32)
    for k, middle in enumerate(z):
        filled = slab_share(
            y[:, None], x, lesion.diameter_mm / 2, middle_mm=middle, thickness_mm=slice_mm
        )
        filled = gaussian_filter(filled.astype(np.float32), sigma, mode="nearest")
        share[k] = filled.reshape(share.shape[1], fine, share.shape[2], fine).mean(axis=(1, 3))
    return share


def _shell(volume: Volume, lesion: Lesion, box: tuple[slice, slice, slice]) -> np.ndarray:
    """Voxels from 0.7 to 1 diameters away from the centre, never none."""
    z, y, x = _axes_mm(volume, lesion, box)
    squares = (z**2)[:, None, None] + (y**2)[:, None] + x**2
    away = np.sqrt(squares) / lesion.diameter_mm
    shell = (away >= 0.7) & (away <= 1.0)
    return np.asarray(shell if shell.any() else away >= away.max())


def nodule_profile(
    shape: tuple[int, ...], centre: tuple[float, float], diameter_px: float
) -> np.ndarray:
    """Disc of height 1 with an edge of about one pixel, float32.

    Anywhere on a slice and in pixels, with an edge that no scanner's blur decides: the mark by
    which maps are audited. :func:`nodule_plane` is a nodule as a scanner shows it, in mm.

    Examples
    --------
    >>> profile = nodule_profile((21, 21), (10, 10), 8)
    >>> bool(profile[10, 10] > 0.99), bool(profile[0, 0] < 0.01), float(profile[10, 14])
    (True, True, 0.5)
    """
    y, x = np.mgrid[: shape[0], : shape[1]]
    distance = np.hypot(y - centre[0], x - centre[1])
    height = 0.5 * (1 - np.tanh((distance - diameter_px / 2) / 1.2))
    return np.asarray(height, dtype=np.float32)


def nodule_plane(
    shape: tuple[int, int],
    pixel_mm: tuple[float, float],
    diameter_mm: float,
    *,
    soft_edged: bool = False,
    blur_mm: float = 0.5,
) -> np.ndarray:
    """Central plane of a nodule of height 1 in the middle of a region, (y, x).

    A disc with a sharp border, or one that falls as ``1 - (r/R)^2`` like ground glass; drawn on a
    grid five times as fine, averaged, and blurred by a Gaussian of SD ``blur_mm``, the scanner's.

    Parameters
    ----------
    pixel_mm : (y, x)
    """
    fine = 5
    y, x = (
        (np.arange(n * fine) - (n * fine - 1) / 2) / fine * d
        for n, d in zip(shape, pixel_mm, strict=True)
    )
    r = np.hypot(y[:, None], x[None, :]) / (diameter_mm / 2)
    profile = np.clip(1 - r**2, 0, None) if soft_edged else (r <= 1).astype(float)
    plane = profile.reshape(shape[0], fine, shape[1], fine).mean(axis=(1, 3))
    return np.asarray(gaussian_filter(plane, [blur_mm / d for d in pixel_mm]))

"""Lesions of known size, place and contrast in real scans, as sharp as the scanner shows them."""

from dataclasses import dataclass

import numpy as np

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


def _distances_mm(
    volume: Volume,
    lesion: Lesion,
    box: tuple[slice, slice, slice],
    oversample: tuple[int, int, int],
) -> np.ndarray:
    """Distance of each sub-voxel's centre from the lesion's, box shape times oversampling."""
    axes = []
    for axis in range(3):
        count = (box[axis].stop - box[axis].start) * oversample[axis]
        voxel = (np.arange(count) + 0.5) / oversample[axis] - 0.5 + box[axis].start
        axes.append((voxel - lesion.centre[axis]) * volume.spacing_mm[axis])
    z, y, x = np.meshgrid(*axes, indexing="ij", sparse=True)
    return np.sqrt(z * z + y * y + x * x)


def sphere_share(
    volume: Volume, lesion: Lesion, box: tuple[slice, slice, slice], sigma_mm: float
) -> np.ndarray:
    """Share of the blurred sphere in the voxels of ``box``; its sum is the sphere's volume."""
    from scipy.ndimage import gaussian_filter

    finer = (8, 4, 4)
    inside = _distances_mm(volume, lesion, box, finer) <= lesion.diameter_mm / 2
    shape = [s.stop - s.start for s in box]
    cut = inside.reshape(shape[0], finer[0], shape[1] * finer[1], shape[2] * finer[2])
    share = cut.mean(axis=1, dtype=np.float32)
    sigma = [sigma_mm / volume.spacing_mm[k] * finer[k] for k in (1, 2)]
    share = gaussian_filter(share, (0, *sigma), mode="nearest")
    share = share.reshape(shape[0], shape[1], finer[1], shape[2], finer[2])
    return share.mean(axis=(2, 4))


def _shell(volume: Volume, lesion: Lesion, box: tuple[slice, slice, slice]) -> np.ndarray:
    """Voxels from 0.7 to 1 diameters away from the centre, never none."""
    away = _distances_mm(volume, lesion, box, (1, 1, 1)) / lesion.diameter_mm
    shell = (away >= 0.7) & (away <= 1.0)
    return shell if shell.any() else away >= away.max()


def nodule_profile(
    shape: tuple[int, ...], centre: tuple[float, float], diameter_px: float
) -> np.ndarray:
    """Disc of height 1 with an edge of about one pixel, float32.

    Examples
    --------
    >>> profile = nodule_profile((21, 21), (10, 10), 8)
    >>> bool(profile[10, 10] > 0.99), bool(profile[0, 0] < 0.01), float(profile[10, 14])
    (True, True, 0.5)
    """
    y, x = np.mgrid[: shape[0], : shape[1]]
    distance = np.hypot(y - centre[0], x - centre[1])
    return (0.5 * (1 - np.tanh((distance - diameter_px / 2) / 1.2))).astype(np.float32)

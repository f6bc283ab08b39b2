"""Computed nodules in training patches: what the scans of two slabs need not hold.

A critic calls normal what its domain shows. Where no slab shows ground glass, a denoiser that
flattens it looks better to the critic, and the cycle has nothing to lose by it. Nodules of random
place, size, shape and contrast are therefore inserted into lung of *both* domains, each drawn for
itself: no patch of one domain has a partner in the other, so the training stays unpaired.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter, uniform_filter

from ctlab.ct.simulation.lesion import blur_sigma_mm, slab_share
from ctlab.ct.tissue import LUNG_CENTRE_HU

DIAMETERS_MM = (3.0, 14.0)
GROUND_GLASS_HU, SOLID_HU = (100.0, 400.0), (400.0, 900.0)
"""Contrast to lung, evenly within either range, and either range as often as the other."""
MOST = 3
"""Nodules in a patch that gets any."""
FREE_HU, TAKEN_HU = -600.0, -300.0
"""A nodule is added in full where less than the first is seen, and not at all above the second:
vessels and walls keep their HU."""
SYSTEM_SD_MM = blur_sigma_mm(0.4)


@dataclass(frozen=True)
class Nodule:
    """One nodule, in millimetres from the corner of a patch.

    Its edge lies at ``radius_mm * (1 + sum_k a_k cos(k angle + phase_k))``.
    """

    y_mm: float
    x_mm: float
    z_mm: float  # of its centre above the middle of the slice
    radius_mm: float
    contrast_hu: float
    softness_mm: float  # SD by which its edge is blurred beyond the system's resolution
    lobes: tuple[tuple[float, float], ...] = ()  # amplitude and phase for k = 1, 2, ...

    def draw(
        self, shape: tuple[int, int], pixel_mm: float, slice_mm: float, *, above: int = 0
    ) -> np.ndarray:
        """HU (y, x) that it adds to a slice, ``above`` slices from the first.

        In the slice it fills the share of the thickness that a sphere of the local radius fills,
        blurred by the system's resolution.

        Examples
        --------
        A sphere of 10 mm fills a slice of 2.5 mm in its middle, and not one 3 slices above:

        >>> nodule = Nodule(16.0, 16.0, 0.0, 5.0, 200.0, 0.0)
        >>> float(nodule.draw((32, 32), 1.0, 2.5)[16, 16].round(2))
        200.0
        >>> float(nodule.draw((32, 32), 1.0, 2.5, above=3).max())
        0.0
        """
        y = (np.arange(shape[0]) * pixel_mm - self.y_mm)[:, None]
        x = (np.arange(shape[1]) * pixel_mm - self.x_mm)[None]
        angle = np.arctan2(y, x)
        waves = [a * np.cos(k * angle + phase) for k, (a, phase) in enumerate(self.lobes, 1)]
        radius = self.radius_mm * (1.0 + sum(waves, np.zeros(())))
        middle = above * slice_mm - self.z_mm
        share = slab_share(y, x, radius, middle_mm=middle, thickness_mm=slice_mm)
        sd_mm = math.hypot(SYSTEM_SD_MM, self.softness_mm)
        blurred: np.ndarray = gaussian_filter(share, sd_mm / pixel_mm)
        return self.contrast_hu * blurred


def random_nodule(rng: np.random.Generator, y_mm: float, x_mm: float, *, slice_mm: float) -> Nodule:
    """A nodule at a place: solid or ground glass, irregular, soft-edged if it is ground glass."""
    is_solid = bool(rng.integers(2))
    radius_mm = float(rng.uniform(*DIAMETERS_MM)) / 2
    reach_mm = min(radius_mm / 2, slice_mm)
    return Nodule(
        y_mm,
        x_mm,
        float(rng.uniform(-reach_mm, reach_mm)),
        radius_mm,
        float(rng.uniform(*(SOLID_HU if is_solid else GROUND_GLASS_HU))),
        float(rng.uniform(0.0, 0.3 if is_solid else 1.2)),
        tuple((float(rng.uniform(0, 0.4 / k)), float(rng.uniform(0, 6.283))) for k in (1, 2, 3)),
    )


def with_nodules(
    patches: Sequence[np.ndarray],
    rng: np.random.Generator,
    *,
    share: float,
    voxel_mm: tuple[float, float],
    above: Sequence[int] = (),
) -> list[np.ndarray]:
    """Patches (y, x) in HU of one place, with the same nodules in lung or, mostly, untouched.

    Parameters
    ----------
    patches : sequence of ndarray (y, x), HU
        Views of one place: neighbouring slices, or one slice at two doses. Lung, and what stands
        in it, are found in their mean.
    share : float
        Probability that a patch that shows lung gets one to :data:`MOST` nodules.
    voxel_mm : (float, float)
        Slice spacing and pixel size.
    above : sequence of int, optional
        How many slices each view lies above the first; by default all are one slice.

    Returns
    -------
    list of ndarray (y, x), HU
        New arrays where nodules are added; those given, where none is.
    """
    if rng.random() >= share:
        return list(patches)
    seen = np.mean(np.stack([np.asarray(patch, float) for patch in patches]), 0)
    local = lung_level(seen)
    lung = np.argwhere((local > LUNG_CENTRE_HU[0]) & (local < LUNG_CENTRE_HU[1]))
    if not len(lung):
        return list(patches)
    slice_mm, pixel_mm = voxel_mm
    added = np.zeros((len(patches), *seen.shape))
    for _ in range(rng.integers(1, MOST + 1)):
        y, x = pixel_mm * lung[rng.integers(len(lung))].astype(float)
        nodule = random_nodule(rng, y, x, slice_mm=slice_mm)
        for image, slices in zip(added, above or (0,) * len(patches), strict=True):
            drawn = nodule.draw(seen.shape, pixel_mm, slice_mm, above=slices)
            np.maximum(image, drawn, out=image)
    free = free_lung(seen, local)
    return [p + (free * image).astype(np.float32) for p, image in zip(patches, added, strict=True)]


def lung_level(seen: np.ndarray) -> np.ndarray:
    """HU of the surroundings: the lower of two means, so that skin beside air is not lung."""
    level: np.ndarray = np.minimum(
        uniform_filter(seen, 9, mode="nearest"), gaussian_filter(seen, 2.0)
    )
    return level


def free_lung(seen: np.ndarray, local: np.ndarray) -> np.ndarray:
    """How far each pixel is lung with room for a nodule, 0 to 1.

    1 wherever there is lung alone, however noisy, so that a nodule brings no noise of its own.
    """
    narrow = gaussian_filter(seen, 1.2)
    below_vessels: np.ndarray = np.clip((TAKEN_HU - narrow) / (TAKEN_HU - FREE_HU), 0.0, 1.0)
    above_air = np.clip((local - LUNG_CENTRE_HU[0] + 20.0) / 20.0, 0.0, 1.0)
    return below_vessels * above_air

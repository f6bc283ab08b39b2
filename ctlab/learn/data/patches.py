"""Unpaired patches: what the networks see of the two domains."""

from collections.abc import Callable, Sequence

import numpy as np
from scipy.ndimage import uniform_filter

from ctlab.ct.hu import HU_MAX, HU_MIN
from ctlab.learn.data.nodule_augmentation import with_nodules

AIR_BELOW_HU, LUNG_BELOW_HU = -950.0, -600.0
"""Edges of local means between air around the patient, lung, and all else. They are no tissue
classes: every pixel of a patch falls into one of the three."""
STRIDE_PX = 8


class PatchDomain:
    """Slabs of one domain, from which patches are drawn evenly over kinds of tissue.

    Lung, border and soft-tissue patches are drawn equally often from either domain, so that a
    critic cannot tell the domains by how much lung they happen to contain.

    Parameters
    ----------
    slabs : sequence of ndarray (z, y, x), HU
    noise_hu : sequence of float
        SD of the noise added in each slab, handed out with its patches; 0 for routine dose.
    patch_px : int
    partners : sequence of ndarray (z, y, x), HU, optional
        For each slab another one of the same shape that is cut alike, such as its routine dose.
    voxel_mm : sequence of (float, float), optional
        Slice spacing and pixel size of each slab; wanted for nodules.
    nodule_share : float
        Probability that a patch with lung gets computed nodules
        (:mod:`ctlab.learn.data.nodule_augmentation`).

    Raises
    ------
    ValueError
        A slab is smaller than a patch, or holds nothing but air; partners of another shape.
    """

    def __init__(
        self,
        slabs: Sequence[np.ndarray],
        noise_hu: Sequence[float],
        *,
        patch_px: int,
        partners: Sequence[np.ndarray] | None = None,
        voxel_mm: Sequence[tuple[float, float]] | None = None,
        nodule_share: float = 0.0,
    ) -> None:
        if nodule_share > 0 and (voxel_mm is None or len(voxel_mm) != len(slabs)):
            raise ValueError("nodules have a size in mm; give voxel_mm for every slab")
        self.patch_px = patch_px
        self.voxel_mm, self.nodule_share = list(voxel_mm or []), nodule_share
        self.slabs = [np.clip(slab, HU_MIN, HU_MAX).astype(np.float32) for slab in slabs]
        self.noise_hu = [float(sd) for sd in noise_hu]
        if partners is not None and [p.shape for p in partners] != [s.shape for s in slabs]:
            raise ValueError("every slab needs a partner of its own shape")
        self.partners = partners and [
            np.clip(slab, HU_MIN, HU_MAX).astype(np.float32) for slab in partners
        ]
        kinds: list[list[np.ndarray]] = [[], [], []]
        for k, slab in enumerate(self.slabs):
            corners, kind = _corners(slab, patch_px)
            for n in range(3):
                chosen = corners[kind == n]
                kinds[n].append(np.column_stack([np.full(len(chosen), k), chosen]))
        merged = [np.concatenate(rows) for rows in kinds]
        self.places = [rows for rows in merged if len(rows)]
        """For each kind of tissue present: rows of (slab, z, y, x) of a patch's corner."""
        if not self.places:
            raise ValueError(f"no patch of {patch_px} px holds tissue (under 40 % air)")

    def draw(
        self, count: int, rng: np.random.Generator, *, slices: int = 1
    ) -> tuple[np.ndarray, np.ndarray]:
        """Patches (count, slices, p, p) in HU and the noise SD of their slabs (count,) in HU.

        Three slices are one with those above and below it; at the end of a slab, with itself.

        Flipped at random along both axes and, every other time, turned by 90 degrees. Noise is
        streaked along the longest path through the body, across it in the abdomen, otherwise
        in the chest: a network that only saw one direction would take vessels of that direction
        for noise, and leave noise of the other.
        """
        patches, noise_hu = self._draw(
            count, rng, lambda k, z: _stack(self.slabs[k], z, slices), above=_above(slices)
        )
        return np.concatenate(patches, 1), noise_hu

    def draw_pairs(
        self, count: int, rng: np.random.Generator, *, slices: int = 1
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Patches, those of their partners cut alike, and the noise SD; see :meth:`draw`."""
        if self.partners is None:
            raise ValueError("this domain has no partners; it was built without pairs")
        partners = self.partners
        both, noise_hu = self._draw(
            count,
            rng,
            lambda k, z: _stack(self.slabs[k], z, slices) + _stack(partners[k], z, slices),
            above=2 * _above(slices),
        )
        return np.concatenate(both[:slices], 1), np.concatenate(both[slices:], 1), noise_hu

    def draw_neighbours(
        self, count: int, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Patches, those of the slice above or below at the same place, and the noise SD."""

        def cut(k: int, z: int) -> tuple[np.ndarray, np.ndarray]:
            slab = self.slabs[k]
            beside = z + 1 if z == 0 or (z + 1 < len(slab) and rng.integers(2)) else z - 1
            return slab[z], slab[beside]

        (patches, others), noise_hu = self._draw(count, rng, cut, above=(0, 1))
        return patches, others, noise_hu

    def _draw(
        self,
        count: int,
        rng: np.random.Generator,
        slices_of: Callable[[int, int], tuple[np.ndarray, ...]],
        *,
        above: tuple[int, ...],
    ) -> tuple[list[np.ndarray], np.ndarray]:
        """Patches of each kind of slice that ``slices_of`` gives for a slab and z, cut alike.

        ``above`` tells how far apart the kinds lie; nodules differ with that.
        """
        size = self.patch_px
        rows_of, noise_hu = [], np.empty(count, dtype=np.float32)
        for n in range(count):
            rows = self.places[rng.integers(len(self.places))]
            k, z, y, x = rows[rng.integers(len(rows))]
            slab = self.slabs[k]
            y = min(y + rng.integers(STRIDE_PX), slab.shape[1] - size)
            x = min(x + rng.integers(STRIDE_PX), slab.shape[2] - size)
            down, across = rng.choice([-1, 1]), rng.choice([-1, 1])
            is_turned = rng.integers(2)
            cut = [image[y : y + size, x : x + size] for image in slices_of(int(k), int(z))]
            if self.nodule_share > 0:  # else nothing is drawn: earlier runs repeat exactly
                share, voxel_mm = self.nodule_share, self.voxel_mm[int(k)]
                cut = with_nodules(cut, rng, share=share, voxel_mm=voxel_mm, above=above)
            flipped = [patch[::down, ::across] for patch in cut]
            rows_of.append([patch.T if is_turned else patch for patch in flipped])
            noise_hu[n] = self.noise_hu[k]
        return [np.stack(kind)[:, None] for kind in zip(*rows_of, strict=True)], noise_hu

    def noise_like(self, count: int, noise_hu: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Noise SDs (count,) in HU: those given, then others drawn from this domain's slabs."""
        more = rng.choice(np.asarray(self.noise_hu, np.float32), count - len(noise_hu))
        return np.concatenate([noise_hu, more]).astype(np.float32)


def _stack(slab: np.ndarray, z: int, slices: int) -> tuple[np.ndarray, ...]:
    """Slice ``z`` with as many neighbours; the ends are their own."""
    reach = slices // 2
    return tuple(slab[min(max(n, 0), len(slab) - 1)] for n in range(z - reach, z + reach + 1))


def _above(slices: int) -> tuple[int, ...]:
    """How far each slice of a stack lies above the middle one."""
    return tuple(range(-(slices // 2), slices // 2 + 1))


def _corners(slab: np.ndarray, patch_px: int) -> tuple[np.ndarray, np.ndarray]:
    """Corners (n, 3) of the patches on a grid that are not air, and their kind.

    0: more than 40 % lung. 1: a border, of lung or of the body. 2: under 5 % lung and air.
    Patches that are more than 40 % air are left out.
    """
    if min(slab.shape[1:]) < patch_px:
        raise ValueError(f"slices of {slab.shape[1:]} px are smaller than a patch of {patch_px} px")
    local = uniform_filter(slab, (0, 9, 9), mode="nearest")
    air = _share(local < AIR_BELOW_HU, patch_px)
    lung = _share((local >= AIR_BELOW_HU) & (local < LUNG_BELOW_HU), patch_px)
    kind = np.where(lung > 0.4, 0, np.where(lung + air > 0.05, 1, 2))
    kept = np.argwhere(air <= 0.4)
    return kept * (1, STRIDE_PX, STRIDE_PX), kind[tuple(kept.T)]


def _share(mask: np.ndarray, patch_px: int) -> np.ndarray:
    """Share of true pixels in the patch at each corner of the grid, (z, rows, columns)."""
    share: np.ndarray = uniform_filter(
        mask.astype(np.float32), (0, patch_px, patch_px), mode="nearest"
    )
    # An even window is centred half a pixel late: index half is the patch that starts at 0.
    half = patch_px // 2
    height, width = mask.shape[1:]
    return share[:, half : height - half + 1 : STRIDE_PX, half : width - half + 1 : STRIDE_PX]

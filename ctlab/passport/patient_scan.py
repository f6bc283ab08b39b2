"""One patient's slices as checks need them: low dose, twice, and both denoised."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from ctlab.assess.safety.failure_gallery import lung_piece
from ctlab.ct import LUNG_ROI_HU, Volume, find_rois, simulate_dose
from ctlab.ct.denoiser import DenoiseImages

PATCH_PX = 64


@dataclass(frozen=True)
class PatientScan:
    """One patient's slices as the checks need them.

    Attributes
    ----------
    full : Volume
        Reference slices, noisy as they are.
    low, other : ndarray, shape (z, y, x), HU
        Two realisations of the simulated low dose.
    out, other_out : ndarray
        Both denoised.
    dose : float
    seconds_per_slice : float
    run : PatientScan or None
        Neighbouring slices, for what shows along z only.
    """

    full: Volume
    low: np.ndarray
    other: np.ndarray
    out: np.ndarray
    other_out: np.ndarray
    dose: float
    seconds_per_slice: float
    run: "PatientScan | None" = None

    @property
    def pixel_mm(self) -> tuple[float, float]:
        """Pixel size (y, x), mm."""
        return self.full.spacing_mm[1], self.full.spacing_mm[2]

    def noise_patches(self) -> np.ndarray:
        """Low-dose noise in lung, zero mean, (n, 64, 64), HU, in its four reflections.

        The difference of two realisations holds the inserted noise alone; it is scaled up to the
        whole noise of that dose, whose variance is ``1 / (1 - dose)`` times as large.
        """
        differences = []
        for image, a, b in zip(self.full.hu, self.low, self.other, strict=True):
            for y, x in find_rois(image, LUNG_ROI_HU, size_px=PATCH_PX, least_share=0.8):
                inside = np.s_[y : y + PATCH_PX, x : x + PATCH_PX]
                differences.append((a[inside] - b[inside]) / np.sqrt(2 * (1 - self.dose)))
        if len(differences) < 8:
            raise ValueError(
                f"only {len(differences)} regions of {PATCH_PX} px of lung were found; 8 are needed"
            )
        patches = np.stack(differences).astype(np.float64)
        patches -= patches.mean(axis=(1, 2), keepdims=True)
        flips = [patches, patches[:, ::-1], patches[:, :, ::-1], patches[:, ::-1, ::-1]]
        return np.concatenate(flips)


def make_patient_scan(
    volume: Volume,
    denoise: DenoiseImages,
    *,
    dose: float,
    slices: int,
    rng: np.random.Generator,
    neighbours: int = 0,
    together: DenoiseImages | None = None,
    adjacent: bool = False,
) -> PatientScan:
    """Slices spread evenly over a series, twice at low dose, and both denoised.

    With ``neighbours``, so many slices from the middle, one after the other, come along as
    ``run``; a series of fewer gives all it has. ``together`` denoises neighbours; default: as the
    others. With ``adjacent``, the slices lie side by side in the middle of the series, and are
    denoised together.
    """
    if adjacent:
        scan = _scanned(_middle(volume, slices), together or denoise, dose, rng)
    else:
        spread = np.unique(np.linspace(0, len(volume.hu) - 1, slices).round().astype(int))
        scan = _scanned(_picked(volume, spread), denoise, dose, rng)
    if min(neighbours, len(volume.hu)) < 2:
        return scan
    return replace(scan, run=_scanned(_middle(volume, neighbours), together or denoise, dose, rng))


def _middle(volume: Volume, count: int) -> Volume:
    count = min(count, len(volume.hu))
    start = (len(volume.hu) - count) // 2
    return volume.slices(start, start + count)


def _picked(volume: Volume, slices: np.ndarray) -> Volume:
    return replace(volume, hu=np.ascontiguousarray(volume.hu[slices]), sources=())


def _scanned(
    full: Volume, denoise: DenoiseImages, dose: float, rng: np.random.Generator
) -> PatientScan:
    low, other = (simulate_dose(full, dose, rng=rng).hu for _ in range(2))
    start = time.perf_counter()
    out = denoise(low)
    seconds = (time.perf_counter() - start) / len(full.hu)
    return PatientScan(full, low, other, out, denoise(other), dose, seconds)


def clean_patches(rng: np.random.Generator, count: int) -> np.ndarray:
    """Noise-free pieces of lung with vessels, (n, 64, 64), HU: the truth a patient cannot give."""
    return np.stack([lung_piece(rng, size=PATCH_PX, vessels=3) for _ in range(count)])


def one_by_one(denoise: DenoiseImages) -> Callable[[np.ndarray], np.ndarray]:
    """The denoiser as a function of one image."""
    return lambda image: denoise(np.asarray(image, dtype=np.float32)[None])[0]


def taking_turns(patches: np.ndarray, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """The patches in random order, over and over."""
    while True:
        for k in rng.permutation(len(patches)):
            yield patches[k]

"""Patients whose truth is known: computed chests, scanned at a fraction of the dose.

They stand for the "simulated population" on which a guarantee can be calibrated when there are no
paired scans of patients, which unpaired training never has.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from ctlab.ct import (
    Scanner,
    chest_phantom,
    simulate_dose,
)

SIZE_PX = 512
COUNT = 24
"""Patients of a passport: two thirds calibrate, the others verify."""

POPULATION = "simulated population: computed chests"


@dataclass(frozen=True)
class PhantomPatient:
    """One slice through a lung, with heart and chest wall.

    Attributes
    ----------
    truth, low : ndarray, float32, shape (y, x), HU
        Free of noise, and as scanned at low dose.
    pixel_mm : float
    """

    truth: np.ndarray
    low: np.ndarray
    pixel_mm: float

    @property
    def body(self) -> np.ndarray:
        """Voxels that count: everything but the air around the patient."""
        return self.truth > -950


@lru_cache(maxsize=64)
def phantom_patient(
    seed: int, dose: float, *, noise: int = 0, size_px: int | None = None
) -> PhantomPatient:
    """The patient of a seed; every seed is another anatomy and another noise.

    Parameters
    ----------
    dose : fraction of the dose of :class:`ctlab.ct.Scanner`, whose full dose gives 14 HU of noise
    noise : int
        Which scan of the patient: another number is the same anatomy in other noise.
    size_px : int
        Of the whole slice, 400 mm wide; the patient is half of it in both directions.
    """
    size = size_px or SIZE_PX
    rng = np.random.default_rng([seed, 20_000])
    chest = chest_phantom(rng=rng, size=size, slices=1, nodules=1).volume
    scan = np.random.default_rng([seed, 30_000 + noise])
    noisy = simulate_dose(chest, dose, rng=scan, scanner=Scanner(), missing_only=False)
    inside = np.s_[0, size // 4 : 3 * size // 4, 5 * size // 64 : 37 * size // 64]
    return PhantomPatient(chest.hu[inside], noisy.hu[inside], float(chest.spacing_mm[1]))

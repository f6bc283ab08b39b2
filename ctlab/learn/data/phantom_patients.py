"""Computed chests as further patients: anatomy that differs, noise like that of a real scan."""

from dataclasses import replace

import numpy as np

from ctlab.ct import (
    Volume,
    calibrate,
    chest_phantom,
    simulate_dose,
)
from ctlab.learn.config import Data

PHANTOM = "phantom-"
"""Phantom patients are named ``phantom-0`` and so on, as series and as patient."""

SIZE_PX = 512


def phantom_volumes(data: Data, scan: Volume) -> dict[str, Volume]:
    """Phantom patients at routine dose by name: sharpness as painted, noise like ``scan``.

    The photons are those that give ``scan`` its noise, so each phantom is as noisy as its own
    attenuation makes it. Sampling across slices and header facts are those of ``scan``.
    """
    if data.phantoms == 0:
        return {}
    scanner = calibrate(scan)
    volumes = {}
    for k in range(data.phantoms):
        rng = np.random.default_rng([data.seed, 0x6368657374, k])
        clean = chest_phantom(
            rng=rng, size=SIZE_PX, slices=data.phantom_slices, slice_mm=scan.spacing_mm[0]
        ).volume
        noisy = simulate_dose(clean, 1.0, rng=rng, scanner=scanner, missing_only=False)
        facts = replace(scan.acquisition, patient_id=f"{PHANTOM}{k}", series_uid="")
        volumes[f"{PHANTOM}{k}"] = replace(noisy, acquisition=facts)
    return volumes

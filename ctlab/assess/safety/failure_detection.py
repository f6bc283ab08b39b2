"""Which check detects each failure of the gallery."""

from collections.abc import Callable

import numpy as np
import pandas as pd

from ctlab.assess.detection.detectability import contrast_recovery, false_lesion_rate
from ctlab.assess.detection.model_observer import auc_difference, cho
from ctlab.assess.fidelity.metrics import psnr_db, ssim
from ctlab.assess.noise.nps import noise_map, nps_of_difference
from ctlab.assess.resolution.fourier_ring import scan_frc
from ctlab.assess.resolution.residual import coherence
from ctlab.assess.safety.failure_gallery import (
    LESION,
    LESION_PX,
    NOISE_HU,
    PIXEL_MM,
    Exhibit,
    ct_noise,
    lung_piece,
)
from ctlab.ct import LUNG

SMALL_PX = 64
_CROP = np.s_[..., 8:-8, 8:-8]

Finding = tuple[float, float, bool]
"""Value, limit, and whether the check would have warned."""


def checks_that_detect(exhibit: Exhibit, *, seed: int = 0) -> pd.DataFrame:
    """Every check on one exhibit: which would have warned.

    Image metrics compare the exhibit's image with its noise-free truth; the others draw further
    pieces of lung from ``seed`` and pass them through the exhibit's filter. Limits are fixed
    beforehand and the same for all exhibits.

    Returns
    -------
    DataFrame
        One row per check: ``exhibit, check, value, limit, notices``.

    Examples
    --------
    >>> from ctlab.assess import GALLERY
    >>> table = checks_that_detect(GALLERY["vanished nodule"](0)).set_index("check")
    >>> table.notices[["PSNR change, dB", "contrast recovery"]].tolist()
    [False, True]
    """
    rows = []
    for name, check in CHECKS.items():
        value, limit, notices = check(exhibit, np.random.default_rng(seed))
        rows.append((exhibit.name, name, value, limit, notices))
    return pd.DataFrame(rows, columns=["exhibit", "check", "value", "limit", "notices"])


def _psnr_change(exhibit: Exhibit, _rng: np.random.Generator) -> Finding:
    before, after = (psnr_db(exhibit.clean, i, window=LUNG) for i in (exhibit.low, exhibit.image))
    return after - before, 0.0, after < before


def _ssim_change(exhibit: Exhibit, _rng: np.random.Generator) -> Finding:
    before, after = (ssim(exhibit.clean, i, window=LUNG) for i in (exhibit.low, exhibit.image))
    return after - before, 0.0, after < before


def _noise_ratio(exhibit: Exhibit, _rng: np.random.Generator) -> Finding:
    before, after = (float(np.median(noise_map(i))) for i in (exhibit.low, exhibit.image))
    return after / before, 1.0, after > before


def _frequency_shift(exhibit: Exhibit, rng: np.random.Generator) -> Finding:
    """Relative shift of the noise's mean frequency; 0.16 is what a marketed product shows."""
    pieces = np.stack([lung_piece(rng, size=SMALL_PX, vessels=0) for _ in range(16)])
    pairs = [pieces + ct_noise(rng, pieces.shape, sd_hu=NOISE_HU) for _ in range(2)]
    before, after = (
        nps_of_difference(
            arm[0][_CROP], arm[1][_CROP], PIXEL_MM, window="hann"
        ).mean_frequency_per_mm
        for arm in (pairs, [_apply(exhibit, p) for p in pairs])
    )
    shift = after / before - 1
    return shift, 0.2, abs(shift) > 0.2


def _structure_removed(exhibit: Exhibit, rng: np.random.Generator) -> Finding:
    """Largest share of anatomy in the residual, among frequencies where it is significant."""
    clean = np.stack([lung_piece(rng, size=SMALL_PX, vessels=4) for _ in range(48)])
    low = clean + ct_noise(rng, clean.shape, sd_hu=NOISE_HU)
    table = coherence((low - _apply(exhibit, low))[_CROP], clean[_CROP], PIXEL_MM, window="hann")
    fractions = table.removed_fraction[
        (table.finding == "removed") & (table.frequency_per_mm < 0.25)
    ]
    value = float(fractions.max()) if len(fractions) else 0.0
    return value, 0.2, value > 0.2


def _contrast_kept(exhibit: Exhibit, rng: np.random.Generator) -> Finding:
    lesion = LESION.draw((SMALL_PX + 1, SMALL_PX + 1), PIXEL_MM)
    flat = np.full((24, *lesion.shape), -850.0)
    noises = ct_noise(rng, flat.shape, sd_hu=NOISE_HU)
    recovery = contrast_recovery(exhibit.denoise, flat, lesion, noises)
    return recovery["recovery"], 0.8, recovery["high"] < 0.8


def _auc_change(exhibit: Exhibit, rng: np.random.Generator) -> Finding:
    """Change of the observer's AUC for half the contrast in twice the noise.

    At the exhibit's own, an observer who knows place and shape never errs before or after.
    """
    size = 3 * LESION_PX
    lesion = 0.5 * LESION.draw((size, size), PIXEL_MM)
    noise = -850 + ct_noise(rng, (2, 120, size, size), sd_hu=2 * NOISE_HU)
    pairs = (noise[0] + lesion, noise[1])
    core = np.s_[:, LESION_PX:-LESION_PX, LESION_PX:-LESION_PX]
    before, after = (
        cho(*(i[core] for i in arm), rng=np.random.default_rng(0))
        for arm in (pairs, [_apply(exhibit, i) for i in pairs])
    )
    change = auc_difference(before, after)
    return change["difference"], 0.0, change["high"] < 0


def _lesions_invented(exhibit: Exhibit, rng: np.random.Generator) -> Finding:
    clean = np.stack([lung_piece(rng, size=SMALL_PX, vessels=0) for _ in range(40)])
    low = clean + ct_noise(rng, clean.shape, sd_hu=NOISE_HU)
    unit = LESION.draw((LESION_PX, LESION_PX), PIXEL_MM)
    least = 0.8 * LESION.contrast_hu
    false_lesions = false_lesion_rate(_apply(exhibit, low), clean, unit, least_contrast_hu=least)
    return false_lesions["rate"], 0.05, false_lesions["low"] > 0.05


def _patches_flagged(exhibit: Exhibit, rng: np.random.Generator) -> Finding:
    """Patches that agree less with a full-dose scan than its repeat does (10 times the dose)."""
    shape, sd = exhibit.clean.shape, NOISE_HU / np.sqrt(10)
    reference, repeat = (exhibit.clean + ct_noise(rng, shape, sd_hu=sd) for _ in range(2))
    table = scan_frc(exhibit.image, reference, repeat, PIXEL_MM, rng=rng)
    count = float((table.flagged != "").sum())
    return count, 0.0, count > 0


CHECKS: dict[str, Callable[[Exhibit, np.random.Generator], Finding]] = {
    "PSNR change, dB": _psnr_change,
    "SSIM change": _ssim_change,
    "noise, output over input": _noise_ratio,
    "NPS mean frequency, relative shift": _frequency_shift,
    "coherence, structure removed": _structure_removed,
    "contrast recovery": _contrast_kept,
    "observer, AUC change": _auc_change,
    "false-lesion rate": _lesions_invented,
    "ring scan, patches flagged": _patches_flagged,
}


def _apply(exhibit: Exhibit, images: np.ndarray) -> np.ndarray:
    return np.stack([exhibit.denoise(image) for image in images])

"""Images of a forced-choice test: lesions of known contrast, put in before the dose is lowered.

A trial shows squares of several places of lung; one of them holds the lesion. Every arm shows
the same places under the same noise, so arms are compared within reader and case.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import ndimage

from ctlab.assess.detection.ideal_observer import ideal_d_prime
from ctlab.assess.detection.model_observer import cho
from ctlab.assess.detection.roc import share_found
from ctlab.assess.noise.nps import Nps, nps
from ctlab.console import Note
from ctlab.ct import Volume, simulate_dose
from ctlab.ct.denoiser import Denoiser, tell_behaviour
from ctlab.ct.simulation.calibration import calibrate
from ctlab.ct.simulation.lesion import Lesion, insert_lesion
from ctlab.ct.simulation.scanner import Scanner
from ctlab.ct.tissue import LUNG_ROI_HU
from ctlab.files import fresh_folder, write_csv, write_json

FORMAT_VERSION = 1
FEWEST_SPOTS = 44
"""Places for the channelised observer: twice its six channels for training, ten for the test."""


@dataclass(frozen=True)
class ForcedChoicePlan:
    """What a forced-choice test shows.

    Attributes
    ----------
    dose : fraction of the scan's dose at which every arm but ``full-dose`` is made
    contrasts_hu : of the lesion over lung; each trial has one of them
    diameter_mm : of the spherical lesion
    places : to choose from in a trial
    trials : per contrast
    tile_mm : side of the square that is shown; the lesion lies in its middle
    seed : draws places, noise and order
    """

    dose: float = 0.1
    contrasts_hu: tuple[float, ...] = (40.0, 80.0, 160.0)
    diameter_mm: float = 6.0
    places: int = 4
    trials: int = 8
    tile_mm: float = 24.0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.places < 2:
            raise ValueError(f"expected two places or more, got {self.places}")
        check_trials(self.trials, self.contrasts_hu)
        if not 0 < self.diameter_mm <= self.tile_mm / 2:
            raise ValueError(
                f"expected a lesion of at most half the tile of {self.tile_mm:g} mm, got "
                f"{self.diameter_mm:g} mm"
            )


def write_forced_choice(
    full: Volume,
    out: str | Path,
    denoisers: Sequence[Denoiser] = (),
    *,
    plan: ForcedChoicePlan | None = None,
    overwrite: bool = False,
    note: Note | None = None,
) -> dict[str, Any]:
    """Write ``set.json``, ``tiles.npz`` and ``observers.csv`` into a folder; the facts of the set.

    Arms are ``low-dose`` and each denoiser on it. ``tiles.npz`` holds for each arm
    (trials, places, y, x) in HU, int16; the first place of each trial holds the lesion, so this
    folder is the coordinator's and no reader's.

    Parameters
    ----------
    full : series at its own dose
    note : called with what a denoiser did wrong on images whose answer is known

    Raises
    ------
    ValueError
        Too little lung for so many places, a dose or a denoiser that fails, two arms of one name.

    Notes
    -----
    Observers read the same places, with the lesion and without, under the same noise: the
    channelised Hotelling observer on halves of them, and, for ``low-dose``, the ideal observer of
    the noise's spectrum, who knows the anatomy. They say what readers can be expected to see,
    before anybody reads.
    """
    plan = plan or ForcedChoicePlan()
    names = arm_names(denoisers)
    tell_behaviour(denoisers, note)
    rng = np.random.default_rng(plan.seed)
    size = odd_px(plan.tile_mm, full.spacing_mm[1])
    needed = max(plan.places * plan.trials * len(plan.contrasts_hu), FEWEST_SPOTS)
    spots = find_spots(full, needed, plan.diameter_mm, size, rng)
    making = Making(denoisers, plan.dose, calibrate(full), int(rng.integers(2**31)), spots, size)
    absent = making.arms(full)
    case_contrast = np.resize(plan.contrasts_hu, plan.trials * len(plan.contrasts_hu))
    tiles = {
        name: np.zeros((len(case_contrast), plan.places, size, size), np.int16) for name in names
    }
    observers = []
    for contrast in plan.contrasts_hu:
        holding = with_lesions(full, spots, plan.diameter_mm, contrast)
        present = making.arms(holding)
        signal = (making.tiles(holding.hu) - making.tiles(full.hu)).mean(axis=0)
        own = np.flatnonzero(case_contrast == contrast)
        for name in names:
            for case in own:
                at = slice(case * plan.places, (case + 1) * plan.places)
                shown = absent[name][at].copy()
                shown[0] = present[name][at][0]
                tiles[name][case] = np.rint(shown)
        noise = absent["low-dose"] - making.tiles(full.hu)
        observers += _observed(present, absent, noise, signal, full, contrast, plan)
    facts = {
        "format_version": FORMAT_VERSION,
        **asdict(plan),
        "arms": names,
        "cases": [f"case {k + 1:03d}" for k in range(len(case_contrast))],
        "case_contrasts_hu": [float(c) for c in case_contrast],
        "pixel_mm": float(full.spacing_mm[1]),
        "tile_px": size,
    }
    write_set(out, facts, tiles, observers, overwrite=overwrite)
    return {**facts, "observers": observers}


def check_trials(trials: int, contrasts_hu: Sequence[float]) -> None:
    """Refuse a test without trials or whose lesions have no contrast."""
    if trials < 1:
        raise ValueError(f"expected one trial or more, got {trials}")
    if not contrasts_hu or min(contrasts_hu) <= 0:
        raise ValueError(f"expected contrasts above 0 HU, got {list(contrasts_hu)}")


def arm_names(denoisers: Sequence[Denoiser]) -> list[str]:
    """``low-dose`` and the denoisers; two of one name are refused."""
    names = ["low-dose", *(d.name for d in denoisers)]
    if len(set(names)) < len(names):
        raise ValueError(f"expected arms of different names, got {', '.join(names)}; rename one")
    return names


def odd_px(side_mm: float, pixel_mm: float) -> int:
    """Side of a square in pixels, odd, so that a pixel lies in its middle."""
    return 2 * round(side_mm / pixel_mm / 2) + 1


def write_set(
    out: str | Path,
    facts: dict[str, Any],
    tiles: dict[str, np.ndarray],
    observers: list[dict[str, Any]],
    *,
    overwrite: bool,
) -> None:
    """The three files of a test; ``tiles`` by arm, (trials, places, y, x) in HU."""
    with fresh_folder(out, overwrite=overwrite) as folder:
        write_json(folder / "set.json", facts)
        shown: dict[str, Any] = {
            f"arm_{k}": np.rint(t).astype(np.int16) for k, t in enumerate(tiles.values())
        }
        np.savez_compressed(folder / "tiles.npz", **shown)
        write_csv(folder / "observers.csv", pd.DataFrame(observers))


def find_spots(
    full: Volume, needed: int, diameter_mm: float, size: int, rng: np.random.Generator
) -> np.ndarray:
    """So many places (slice, y, x) of plain lung, squares of ``size`` pixels around them apart.

    Raises
    ------
    ValueError
        There are fewer.
    """
    step = max(1, math.ceil(2 * diameter_mm / full.spacing_mm[0]))
    radius = math.ceil(diameter_mm / full.spacing_mm[1])
    found: list[tuple[int, int, int]] = []
    for z in rng.permutation(np.arange(step // 2, len(full.hu), step)):
        if len(found) >= needed:
            break
        plain = plain_lung(full.hu[z], radius)
        half = size // 2
        plain[:half], plain[-half:], plain[:, :half], plain[:, -half:] = False, False, False, False
        free = np.argwhere(plain)
        rng.shuffle(free)
        here: list[np.ndarray] = []
        for spot in free:
            if all(np.abs(spot - other).max() >= size for other in here):
                here.append(spot)
        found += [(int(z), int(y), int(x)) for y, x in here]
    if len(found) < needed:
        raise ValueError(
            f"expected {needed} places of lung of {size * full.spacing_mm[1]:.0f} mm, found "
            f"{len(found)} in {len(full.hu)} slices; ask for fewer trials or places, or give a "
            "longer series"
        )
    return np.array([found[k] for k in rng.permutation(len(found))[:needed]])


def plain_lung(hu: np.ndarray, radius_px: int) -> np.ndarray:
    """Pixels of a slice with nothing but lung around them: where lesions are put; bool (y, x)."""
    low, high = LUNG_ROI_HU
    smooth = ndimage.gaussian_filter(hu, 1.5)
    lung = (smooth > low) & (smooth < high)
    return np.asarray(ndimage.uniform_filter(lung.astype(float), 2 * radius_px + 1) > 0.9)


def with_lesions(
    volume: Volume, spots: np.ndarray, diameter_mm: float, contrast_hu: float
) -> Volume:
    """The series with a lesion of so much contrast at each place."""
    made = volume
    for z, y, x in spots:
        lesion = Lesion((float(z), float(y), float(x)), diameter_mm, contrast_hu)
        made, _ = insert_lesion(made, lesion, background_hu=0.0)
    return made


@dataclass(frozen=True)
class Making:
    """From a series to the tiles of each arm; the same seed gives the same noise.

    ``spots`` are the middles of tiles of ``size`` pixels.
    """

    denoisers: Sequence[Denoiser]
    dose: float
    scanner: Scanner
    noise_seed: int
    spots: np.ndarray
    size: int

    def arms(self, volume: Volume) -> dict[str, np.ndarray]:
        """Tiles (spots, y, x) of each arm, of the slices shown and their neighbours alone."""
        used, place = np.unique(self.spots[:, 0], return_inverse=True)
        rows = np.clip(used[:, None] + [-1, 0, 1], 0, len(volume.hu) - 1).ravel()
        part = Volume(volume.hu[rows], volume.spacing_mm, acquisition=volume.acquisition)
        spots = np.column_stack([3 * place + 1, self.spots[:, 1:]])
        rng = np.random.default_rng(self.noise_seed)
        low = simulate_dose(part, self.dose, rng=rng, scanner=self.scanner)
        made = {"low-dose": self.tiles(low.hu, spots)}
        for denoiser in self.denoisers:
            cleaned = denoiser.tuned_to(low)(low.hu, low.spacing_mm)
            made[denoiser.name] = self.tiles(cleaned, spots)
        return made

    def tiles(self, hu: np.ndarray, spots: np.ndarray | None = None) -> np.ndarray:
        """Squares (spots, y, x) around the places."""
        half = self.size // 2
        return np.stack(
            [
                hu[z, y - half : y + half + 1, x - half : x + half + 1]
                for z, y, x in (self.spots if spots is None else spots)
            ]
        ).astype(np.float64)


def _observed(
    present: dict[str, np.ndarray],
    absent: dict[str, np.ndarray],
    noise: np.ndarray,
    signal: np.ndarray,
    volume: Volume,
    contrast_hu: float,
    plan: ForcedChoicePlan,
) -> list[dict[str, Any]]:
    """What model observers see of one contrast: d' and the share right among the places."""
    rows = []
    for name in present:
        centred = [t - t.mean(axis=(1, 2), keepdims=True) for t in (present[name], absent[name])]
        d_prime = max(float(cho(*centred, channels="laguerre-gauss").d_prime), 0.0)
        rows.append(_row(name, contrast_hu, "channelised", d_prime, plan.places))
    ideal = ideal_d_prime(signal, floored(nps(noise, volume.spacing_mm[1:])))
    rows.append(_row("low-dose", contrast_hu, "ideal", ideal, plan.places))
    return rows


def floored(spectrum: Nps) -> Nps:
    """The spectrum with a hundredth of its peak as floor.

    At the highest frequencies the simulation leaves no noise, and nothing of a real scan: there the
    ideal observer would see what no scanner shows.
    """
    power = spectrum.power_hu2_mm2
    floor = np.maximum(power, 0.01 * power.max())
    floor[0, 0] = 0.0  # the mean of a region is not known
    return replace(spectrum, power_hu2_mm2=floor)


def _row(arm: str, contrast_hu: float, name: str, d_prime: float, places: int) -> dict[str, Any]:
    return {
        "arm": arm,
        "contrast_hu": contrast_hu,
        "observer": name,
        "d_prime": d_prime,
        "share_expected": share_found(d_prime, places),
    }

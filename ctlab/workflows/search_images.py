"""Images of a search test: a lesion of known contrast somewhere in a square of lung, or none.

A trial shows one square; half of them hold a lesion. Every arm shows the same squares under the
same noise. Model observers search the same squares.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy import signal

from ctlab.assess.detection.channels import laguerre_gauss
from ctlab.assess.detection.ideal_observer import ideal_d_prime
from ctlab.assess.noise.nps import nps
from ctlab.console import Note
from ctlab.ct import Volume
from ctlab.ct.denoiser import Denoiser, tell_behaviour
from ctlab.ct.simulation.calibration import calibrate
from ctlab.workflows.forced_choice_images import (
    FEWEST_SPOTS,
    FORMAT_VERSION,
    Making,
    arm_names,
    check_trials,
    find_spots,
    floored,
    odd_px,
    plain_lung,
    with_lesions,
    write_set,
)


@dataclass(frozen=True)
class SearchPlan:
    """What a search test shows.

    Attributes
    ----------
    dose : fraction of the scan's dose at which every arm is made
    contrasts_hu : of the lesion over lung; each trial with a lesion has one of them
    diameter_mm : of the spherical lesion; a mark within a diameter of its centre found it
    trials : with a lesion, per contrast; as many in all have none
    tile_mm : side of the square that is searched
    seed : draws places, noise and order
    """

    dose: float = 0.1
    contrasts_hu: tuple[float, ...] = (80.0, 160.0)
    diameter_mm: float = 6.0
    trials: int = 10
    tile_mm: float = 48.0
    seed: int = 0

    def __post_init__(self) -> None:
        check_trials(self.trials, self.contrasts_hu)
        if not 0 < self.diameter_mm <= self.tile_mm / 4:
            raise ValueError(
                f"expected a lesion of at most a quarter of the square of {self.tile_mm:g} mm, got "
                f"{self.diameter_mm:g} mm"
            )


def write_search(
    full: Volume,
    out: str | Path,
    denoisers: Sequence[Denoiser] = (),
    *,
    plan: SearchPlan | None = None,
    overwrite: bool = False,
    note: Note | None = None,
) -> dict[str, Any]:
    """Write ``set.json``, ``tiles.npz`` and ``observers.csv`` into a folder; the facts of the set.

    Arms are ``low-dose`` and each denoiser on it. ``tiles.npz`` holds for each arm
    (trials, 1, y, x) in HU, int16; where the lesions lie stands in ``set.json``.

    Parameters
    ----------
    full : series at its own dose
    note : called with what a denoiser did wrong on images whose answer is known

    Raises
    ------
    ValueError
        Too little lung, a dose or a denoiser that fails, two arms of one name.

    Notes
    -----
    Two observers search by a template, take the place of its largest response and rate by it: the
    channelised Hotelling observer, its template from one half of the squares and its search in the
    other, and, for ``low-dose``, the prewhitening one, who knows the anatomy. ``observers.csv``
    has the share of lesions they found, the area under their localisation ROC curve (Swensson
    1996, doi:10.1118/1.597758), and d' of a lesion at a known place.
    """
    plan = plan or SearchPlan()
    names = arm_names(denoisers)
    tell_behaviour(denoisers, note)
    rng = np.random.default_rng(plan.seed)
    pixel = full.spacing_mm[1]
    size = odd_px(plan.tile_mm, pixel)
    margin = math.ceil(plan.diameter_mm / pixel)
    held = plan.trials * len(plan.contrasts_hu)
    lesions = find_spots(full, max(2 * held, FEWEST_SPOTS), plan.diameter_mm, size, rng)
    middles = _middles(lesions, full, size, size // 2 - margin, rng)
    places = lesions[:, 1:] - middles[:, 1:] + size // 2  # (y, x) in the square
    seed = int(rng.integers(2**31))
    making = Making(denoisers, plan.dose, calibrate(full), seed, middles, size)
    plain = making.tiles(np.stack([plain_lung(slice_, margin) for slice_ in full.hu])) > 0
    absent, clean = making.arms(full), making.tiles(full.hu)
    contrasts = np.resize(plan.contrasts_hu, held)
    tiles = {name: shown[: 2 * held].copy() for name, shown in absent.items()}
    observers: list[dict[str, Any]] = []
    for contrast in plan.contrasts_hu:
        holding = with_lesions(full, lesions, plan.diameter_mm, contrast)
        present, change = making.arms(holding), making.tiles(holding.hu) - clean
        own = np.flatnonzero(contrasts == contrast)
        for name in names:
            tiles[name][own] = present[name][own]
        scene = _Scene(places, plain, margin, pixel, contrast)
        observers += [scene.channelised(name, present[name], absent[name]) for name in names]
        observers.append(scene.ideal(present["low-dose"], absent["low-dose"], clean, change))
    there = [*map(float, contrasts), *[None] * held]
    facts = {
        "format_version": FORMAT_VERSION,
        "task": "search",
        **asdict(plan),
        "places": 1,
        "arms": names,
        "cases": [f"case {k + 1:03d}" for k in range(2 * held)],
        "case_contrasts_hu": there,
        "case_places_px": [
            place.tolist() if c else None for c, place in zip(there, places, strict=False)
        ],
        "pixel_mm": float(pixel),
        "tile_px": size,
        "margin_px": margin,
    }
    stored = {name: shown[:, None] for name, shown in tiles.items()}
    write_set(out, facts, stored, observers, overwrite=overwrite)
    return {**facts, "observers": observers}


def _middles(
    lesions: np.ndarray, full: Volume, size: int, reach: int, rng: np.random.Generator
) -> np.ndarray:
    """Middles (slice, y, x) of squares that hold the lesions anywhere but at their edge.

    Lesions lie apart by a square's side, so that no square shows the lesion of another.
    """
    offsets = rng.integers(-reach, reach + 1, (len(lesions), 2))
    made = lesions + np.column_stack([np.zeros(len(lesions), int), offsets])
    last = np.array(full.hu.shape[1:]) - size // 2 - 1
    made[:, 1:] = np.clip(made[:, 1:], size // 2, last)
    return np.asarray(made)


@dataclass(frozen=True)
class _Scene:
    """Lesions of one contrast and how observers search: in plain lung alone, where lesions lie."""

    places: np.ndarray
    plain: np.ndarray
    margin: int
    pixel_mm: float
    contrast_hu: float

    def _patches(self, tiles: np.ndarray) -> np.ndarray:
        """Squares around the lesions' places, less their mean."""
        m = self.margin
        cut = [
            tile[y - m : y + m + 1, x - m : x + m + 1]
            for tile, (y, x) in zip(tiles, self.places, strict=True)
        ]
        patches = np.stack(cut)
        return np.asarray(patches - patches.mean(axis=(1, 2), keepdims=True))

    def _searched(
        self, tile: np.ndarray, plain: np.ndarray, template: np.ndarray
    ) -> tuple[float, np.ndarray]:
        """Largest response and its place (y, x) in plain lung, edges of the square left out."""
        response = signal.fftconvolve(tile, template[::-1, ::-1], mode="valid")
        m = self.margin
        response = np.where(plain[m:-m, m:-m], response, -np.inf)
        at = np.array(np.unravel_index(int(response.argmax()), response.shape))
        return float(response.max()), at + m

    def _row(
        self, arm: str, observer: str, templates: list[tuple[np.ndarray, np.ndarray]], **tiles: Any
    ) -> dict[str, Any]:
        """Search of the squares by the template of the other half; ``d_prime`` at known places."""
        rated = {"present": np.zeros(len(self.places)), "absent": np.zeros(len(self.places))}
        known = {"present": np.zeros(len(self.places)), "absent": np.zeros(len(self.places))}
        found = np.zeros(len(self.places), bool)
        for rows, template in templates:
            for kind, shown in tiles.items():
                patches = self._patches(shown)
                known[kind][rows] = np.tensordot(patches[rows], template, 2)
                for row in rows:
                    there = self.plain[row]
                    rated[kind][row], at = self._searched(shown[row], there, template)
                    if kind == "present":
                        found[row] = np.hypot(*(at - self.places[row])) <= self.margin
        gap = known["present"].mean() - known["absent"].mean()
        spread = math.sqrt((known["present"].var() + known["absent"].var()) / 2)
        beaten = rated["present"][:, None] > rated["absent"][None, :]
        return {
            "arm": arm,
            "contrast_hu": self.contrast_hu,
            "observer": observer,
            "d_prime": max(float(gap / spread), 0.0),
            "share_found": float(found.mean()),
            "area": float((beaten & found[:, None]).mean()),
        }

    def channelised(self, arm: str, present: np.ndarray, absent: np.ndarray) -> dict[str, Any]:
        """The channelised Hotelling observer, six Laguerre-Gauss channels."""
        patches = [self._patches(tiles) for tiles in (present, absent)]
        width = 2.5 * self.margin * self.pixel_mm / 2
        u = laguerre_gauss(patches[0].shape[1:], self.pixel_mm, width_mm=width, count=6)
        half = np.arange(len(self.places)) % 2 == 0
        templates = []
        for train in (half, ~half):
            seen = [np.tensordot(p[train], u, ([1, 2], [1, 2])) for p in patches]
            scatter = sum(np.cov(v, rowvar=False) for v in seen) / 2
            weights = np.linalg.solve(scatter, seen[0].mean(axis=0) - seen[1].mean(axis=0))
            template = np.tensordot(weights, u, 1)
            templates.append((np.flatnonzero(~train), template - template.mean()))
        return self._row(arm, "channelised", templates, present=present, absent=absent)

    def ideal(
        self, present: np.ndarray, absent: np.ndarray, clean: np.ndarray, change: np.ndarray
    ) -> dict[str, Any]:
        """The prewhitening observer of the noise's spectrum, who knows the anatomy."""
        profile = self._patches(change).mean(axis=0)
        noise = floored(nps(self._patches(absent - clean), (self.pixel_mm, self.pixel_mm)))
        power = noise.power_hu2_mm2
        weight = np.divide(1.0, power, out=np.zeros_like(power), where=power > 0)
        template = np.real(np.fft.ifft2(np.fft.fft2(profile) * weight))
        every = [(np.arange(len(self.places)), template - template.mean())]
        row = self._row("low-dose", "ideal", every, present=present - clean, absent=absent - clean)
        return row | {"d_prime": ideal_d_prime(profile, noise)}

"""Do maps help you? Ten patches of lung in the page, five with the right map, five with another's.

The reading lives in the page and needs no kernel. Answers stay in the browser; they can be taken
along as a table for ``reader-study stats reliance``.
"""

import html
import json
from dataclasses import dataclass
from importlib.resources import files

import numpy as np
from scipy import ndimage

from ctlab.ct.tissue import LUNG_ROI_HU
from ctlab.lessons.exercises.nodule_hunt import DIAMETER_MM, EDGE_PX, WINDOW, grey_png, scenes

DOSE = 0.05
MARKED_SD = 4.2
"""Response to the nodule's shape, in SDs of the patch, from which a map is coloured."""
PLAN = (
    *((True, "own"), (False, "shuffled"), (True, "shuffled"), (False, "own"), (True, "own")),
    *((False, "shuffled"), (False, "own"), (True, "shuffled"), (True, "own"), (False, "shuffled")),
)
"""Whether each patch holds a nodule, and whose map is shown over it."""


@dataclass(frozen=True)
class OverlayReading:
    """Ten trials: patches (HU), maps (SDs of response), truth, and whether the map is right."""

    patches_hu: np.ndarray  # (trials, y, x)
    maps_sd: np.ndarray  # (trials, y, x)
    places: tuple[tuple[int, int] | None, ...]
    kinds: tuple[str, ...]
    advice_right: tuple[bool, ...]

    def _repr_html_(self) -> str:
        facts = {
            "pictures": [grey_png(WINDOW.render(patch)) for patch in self.patches_hu],
            "maps": [grey_png(_levels(made)) for made in self.maps_sd],
            "places": self.places,
            "kinds": self.kinds,
            "right": self.advice_right,
            "size_px": self.patches_hu.shape[-1],
        }
        data = html.escape(json.dumps(facts), quote=True)
        script = files(__package__).joinpath("overlay_reading.js").read_text("utf-8")
        return (
            f'<div class="ctlab-overlay" data-facts="{data}"><noscript>The reading needs scripts; '
            f"every figure below works without.</noscript></div><script>{script}</script>"
        )


def _levels(map_sd: np.ndarray) -> np.ndarray:
    """The map as grey levels, which the page colours; 0 is see-through."""
    above = np.clip((map_sd - MARKED_SD) / MARKED_SD, 0, 1)
    return np.asarray(np.where(map_sd > MARKED_SD, 90 + 165 * above, 0), np.uint8)


def overlay_reading() -> OverlayReading:
    """Ten patches at 5 % dose: is there a nodule of 6 mm? First without a map, then with one.

    The map is how strongly each place responds to the nodule's shape, less the lung that the
    simulation knows: what a good detector would mark. ``own`` is that of the patch; ``shuffled``
    that of another patch with the other answer, so it is always wrong.
    """
    patches, places, clean, spacing_mm = scenes(24, (1.0, DOSE))
    with_nodule = patches[:, 1]
    without = with_nodule - (patches[:, 0] - clean)
    width = DIAMETER_MM / spacing_mm / 3
    maps = {
        True: [_responses(p - c, width) for p, c in zip(with_nodule, clean, strict=True)],
        False: [_responses(p - c, width) for p, c in zip(without, clean, strict=True)],
    }
    lungs_only = [i for i in range(len(places)) if _is_lung(clean[i])]
    seen = [i for i in lungs_only if _marks(maps[True][i], places[i])]
    silent = [i for i in lungs_only if maps[False][i].max() < MARKED_SD]
    if min(len(seen), len(silent)) < 5:
        raise ValueError("expected five patches whose map is right, of each kind")
    lungs = [lung.tobytes() for lung in clean]
    return _deal(with_nodule, without, places, maps, {True: seen, False: silent}, lungs)


def _deal(
    with_nodule: np.ndarray,
    without: np.ndarray,
    places: tuple[tuple[int, int], ...],
    maps: dict[bool, list[np.ndarray]],
    sound: dict[bool, list[int]],
    lungs: list[bytes],
) -> OverlayReading:
    """Trials in the order of the plan; no lung comes again before all have been shown."""
    used: list[bytes] = []
    numbers: list[int] = []
    shown, overlays, truth, right = [], [], [], []
    for present, kind in PLAN:
        number = min(
            (i for i in sound[present] if i not in numbers),
            key=lambda i: (used.count(lungs[i]), i),
        )
        used.append(lungs[number])
        numbers.append(number)
        shown.append((with_nodule if present else without)[number])
        other = sound[not present][len(shown) % len(sound[not present])]
        overlays.append(maps[present][number] if kind == "own" else maps[not present][other])
        truth.append(places[number] if present else None)
        right.append(kind == "own")
    return OverlayReading(
        np.stack(shown),
        np.stack(overlays),
        tuple(truth),
        tuple(kind for _, kind in PLAN),
        tuple(right),
    )


def _responses(noise_hu: np.ndarray, width_px: float) -> np.ndarray:
    """Smoothed to the nodule's size, in robust SDs of the patch; 0 near its border."""
    smooth = np.asarray(ndimage.gaussian_filter(noise_hu, width_px))
    inner = smooth[EDGE_PX:-EDGE_PX, EDGE_PX:-EDGE_PX]
    spread = 1.4826 * np.median(np.abs(inner - np.median(inner)))
    made = np.zeros_like(smooth)
    made[EDGE_PX:-EDGE_PX, EDGE_PX:-EDGE_PX] = (inner - np.median(inner)) / spread
    return made


def _is_lung(patch_hu: np.ndarray) -> bool:
    """Whether most of the patch, less its border, is lung and not air or chest wall."""
    low, high = LUNG_ROI_HU
    inner = patch_hu[EDGE_PX:-EDGE_PX, EDGE_PX:-EDGE_PX]
    return bool(np.mean((inner > low) & (inner < high)) > 0.5)


def _marks(map_sd: np.ndarray, place: tuple[int, int]) -> bool:
    """Whether the strongest response is at the nodule and strong enough to be coloured."""
    best = np.unravel_index(int(np.argmax(map_sd)), map_sd.shape)
    near = np.hypot(best[0] - place[0], best[1] - place[1]) <= 6
    return bool(map_sd.max() > MARKED_SD and near)

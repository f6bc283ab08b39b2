"""Where is the faint nodule? Ten tries in the page, and the reader's own curve at the end.

The game lives in the page and needs no kernel. What was found is kept in the browser only.
"""

import base64
import html
import io
import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
from scipy import ndimage

from ctlab.ct import Window

DOSES = (1.0, 0.25, 0.1, 0.05, 0.02)
"""Doses of the tries, each asked twice, in the order of :data:`ASKED`."""
ASKED = (2, 0, 3, 1, 4, 2, 4, 1, 0, 3)
DIAMETER_MM, CONTRAST_HU = 6.0, 90.0
"""A nodule so faint that the least dose hides it."""
PATCH_PX, EDGE_PX, REACH_MM = 96, 12, 4.0
WINDOW = Window(-750.0, 700.0, name="narrow lung")


@dataclass(frozen=True)
class Hunt:
    """Ten tries: patches of lung at each dose, and where their nodule lies (row, column)."""

    patches_hu: np.ndarray  # (tries, doses, y, x)
    places: tuple[tuple[int, int], ...]
    spacing_mm: float

    def _repr_html_(self) -> str:
        pictures = [
            [grey_png(WINDOW.render(patch)) for patch in doses] for doses in self.patches_hu
        ]
        return _figure(
            "hunt",
            {
                "pictures": pictures,
                "places": self.places,
                "asked": ASKED,
                "doses": DOSES,
                "size_px": PATCH_PX,
                "reach_px": REACH_MM / self.spacing_mm,
            },
        )


@dataclass(frozen=True)
class HuntCurve:
    """Shares of nodules found by dose: a computed search and the ideal observer's."""

    computed: tuple[float, ...]
    ideal: tuple[float, ...]

    def _repr_html_(self) -> str:
        facts = {"doses": DOSES, "computed": self.computed, "ideal": self.ideal}
        return _figure("curve", facts)


def _figure(kind: str, facts: dict[str, Any]) -> str:
    data = html.escape(json.dumps({"kind": kind, **facts}), quote=True)
    script = files(__package__).joinpath("nodule_hunt.js").read_text("utf-8")
    return (
        f'<div class="ctlab-hunt" data-facts="{data}"><noscript>The game needs scripts; every '
        f"figure below works without.</noscript></div><script>{script}</script>"
    )


def grey_png(grey: np.ndarray) -> str:
    """An image of grey levels (uint8) as PNG in base64."""
    from PIL import Image

    target = io.BytesIO()
    Image.fromarray(grey).save(target, "PNG", optimize=True)
    return base64.b64encode(target.getvalue()).decode()


@cache
def scenes(
    tries: int, doses: tuple[float, ...] = DOSES
) -> tuple[np.ndarray, tuple[tuple[int, int], ...], np.ndarray, float]:
    """Patches with a nodule (tries, doses, y, x), its places, the lung without, pixel in mm."""
    from ctlab.assess import LesionTask
    from ctlab.lessons.material.images import dose_ladder, nodule_slice
    from ctlab.lessons.material.lesion_survival import quiet_places

    volume = nodule_slice()
    lung, rng = volume.hu[0], np.random.default_rng(4)
    corners = quiet_places(lung, 12, size_px=PATCH_PX)
    size = 33
    lesion = LesionTask("solid", DIAMETER_MM, CONTRAST_HU).draw((size, size), volume.spacing_mm[1:])
    ladders = [dose_ladder(volume, doses, seed=k) for k in range(-(-tries // len(corners)))]
    patches, places, clean = [], [], []
    for number in range(tries):
        y, x = corners[number % len(corners)]
        noisy = ladders[number // len(corners)]
        ladder = noisy[:, y : y + PATCH_PX, x : x + PATCH_PX]
        here = lung[y : y + PATCH_PX, x : x + PATCH_PX]
        row, column = _place(here, rng)
        put = np.zeros((PATCH_PX + size, PATCH_PX + size))
        put[row : row + size, column : column + size] = lesion
        put = put[size // 2 : size // 2 + PATCH_PX, size // 2 : size // 2 + PATCH_PX]
        patches.append(ladder + put)
        places.append((row, column))
        clean.append(here)
    spacing_mm = float(volume.spacing_mm[1])
    return np.stack(patches).astype(np.float32), tuple(places), np.stack(clean), spacing_mm


def _place(lung: np.ndarray, rng: np.random.Generator) -> tuple[int, int]:
    """A place of plain lung, away from vessels and from the border."""
    smooth = ndimage.uniform_filter(lung, 11)
    spread = ndimage.uniform_filter(lung**2, 11) - smooth**2
    inner = np.s_[EDGE_PX:-EDGE_PX, EDGE_PX:-EDGE_PX]
    plain = (smooth < -800) & (spread < np.percentile(spread[inner], 40))
    allowed = np.zeros_like(plain)
    allowed[inner] = plain[inner]
    rows, columns = np.nonzero(allowed if allowed.any() else np.pad(plain[inner], EDGE_PX))
    chosen = int(rng.integers(len(rows)))
    return int(rows[chosen]), int(columns[chosen])


def nodule_hunt() -> Hunt:
    """The game of ten tries: a faint nodule of 6 mm in patches of real lung at five doses."""
    patches, places, _, spacing_mm = scenes(len(ASKED))
    return Hunt(patches, places, spacing_mm)


def hunt_curve(tries: int = 24) -> HuntCurve:
    """What a computed search and the ideal observer find at each dose.

    Both know the lung. The search smooths by the nodule's size what is not lung, and takes the
    brightest place. The ideal observer knows the lung and searches as many places as
    nodules fit side by side: share found = integral of phi(t - d') Phi(t)^(M - 1) (ICRU Report
    54, 1996; Green and Swets 1966).
    """
    from ctlab.assess import LesionTask, ideal_d_prime, nps, share_found

    patches, places, clean, spacing_mm = scenes(tries)
    inner = np.s_[EDGE_PX:-EDGE_PX, EDGE_PX:-EDGE_PX]
    fits = ((PATCH_PX - 2 * EDGE_PX) * spacing_mm) ** 2 / (np.pi * (DIAMETER_MM / 2) ** 2)
    task = LesionTask("solid", DIAMETER_MM, CONTRAST_HU)
    lesion = task.draw((64, 64), (spacing_mm, spacing_mm))
    computed, ideal = [], []
    for number in range(len(DOSES)):
        found = 0
        for patch, place, lung in zip(patches[:, number], places, clean, strict=True):
            width = DIAMETER_MM / spacing_mm / 3
            seen = ndimage.gaussian_filter(patch - lung, width)
            best = np.unravel_index(int(np.argmax(seen[inner])), seen[inner].shape)
            apart = np.hypot(*(np.array(best) + EDGE_PX - np.array(place)))
            found += bool(apart * spacing_mm <= REACH_MM)
        computed.append(found / tries)
        noise = patches[:, number] - patches[:, 0]
        d_prime = np.inf
        if number:
            spectrum = nps(noise[:, 16:80, 16:80], (1.0, spacing_mm, spacing_mm))
            d_prime = ideal_d_prime(lesion, spectrum)
        ideal.append(share_found(d_prime, fits))
    return HuntCurve(tuple(computed), tuple(ideal))

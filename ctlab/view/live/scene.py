"""What a reader makes of a slice (dose, nodules, paint, rotation), and what a network answers.

``scene.js`` does the same in a page, operation by operation; a test compares both.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ctlab.ct.simulation.lesion import nodule_plane

STATE: dict[str, Any] = {
    "dose": 0.1,
    "draw": 0,
    "strength": 1.0,
    "network": "shipped",
    "shift_hu": 0.0,
    "turns": 0,
    "cut_px": 0,
    "edits": [],
}
"""Settings of the live figure, and their values at the start.

``edits`` is a list of brush strokes on the truth, first one first: dictionaries with ``kind``
(``solid``, ``ground glass``, ``erase`` or ``paint``), ``y``, ``x``, ``diameter_mm`` and ``hu``.
"""
DOSES = (0.02, 1.0)
NOISE_UNIT_HU = 0.125
BLUR_MM = 0.5
"""SD of the scanner's blur in a stamped nodule, as in ``nodule_plane``."""
_EDGE_PX = 3  # over which an erased disc is blended into its surroundings


@dataclass(frozen=True)
class Scene:
    """A slice at full dose, and independent draws of the noise that a lower dose adds to it.

    Rounded to what a page carries: whole HU, and noise in eighths of one.

    Attributes
    ----------
    truth : ndarray, HU, shape (y, x)
    noise : ndarray, HU, shape (n, y, x), of the dose ``noise_dose``
    pixel_mm : float
    noise_dose : float, fraction of the slice's own dose
    """

    truth: np.ndarray
    noise: np.ndarray
    pixel_mm: float
    noise_dose: float = 0.1

    def __post_init__(self) -> None:
        if self.noise.ndim != 3 or self.noise.shape[1:] != self.truth.shape:
            raise ValueError(
                f"expected noise of shape (n, {self.truth.shape[0]}, {self.truth.shape[1]}), got "
                f"{self.noise.shape}; give draws of the noise of the same slice"
            )
        noise = np.clip(np.rint(self.noise / NOISE_UNIT_HU), -32768, 32767) * NOISE_UNIT_HU
        object.__setattr__(self, "noise", noise.astype(np.float32))
        object.__setattr__(self, "truth", np.rint(self.truth).astype(np.float32))


@dataclass(frozen=True)
class Answer:
    """What a network makes of a state, HU, shape (y, x), and the numbers beside it.

    Attributes
    ----------
    given, truth, denoised : ndarray
        Input, what it shows without the added noise, and output.
    numbers : dict
        ``rmse_before_hu`` and ``rmse_after_hu`` (to the truth), ``noise_before_hu`` and
        ``noise_after_hu`` (SD between two draws over the square root of two), ``removed_hu`` (RMS
        of input minus output), and ``kept`` (share of the contrast of the last nodule; None
        without one).
    """

    given: np.ndarray
    truth: np.ndarray
    denoised: np.ndarray
    numbers: dict[str, float | None]


def noise_factor(dose: float, noise_dose: float) -> float:
    """Factor of noise drawn at one dose that makes it that of another.

    The variance that a dose fraction d adds grows as ``1/d - 1`` where photons alone make noise
    (:mod:`ctlab.ct.simulation.low_dose`); electronic noise, which counts below a tenth of the
    dose, and the changed texture are left out.

    Examples
    --------
    >>> noise_factor(1.0, 0.1), noise_factor(0.1, 0.1)
    (0.0, 1.0)
    """
    return float(np.sqrt((1 / dose - 1) / (1 / noise_dose - 1)))


def compose(scene: Scene, state: Mapping[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """The network's input in a state, and its truth: HU, float32, shape (y, x).

    Parameters
    ----------
    state : keys of :data:`STATE`; absent ones have the values given there

    Raises
    ------
    ValueError
        The dose is out of range, the kind of an edit is unknown, or nothing is left of the slice.
    """
    state = {**STATE, **state}
    if not DOSES[0] <= state["dose"] <= DOSES[1]:
        raise ValueError(f"expected a dose from {DOSES[0]} to {DOSES[1]}, got {state['dose']}")
    truth = scene.truth.astype(np.float32)
    for edit in state["edits"]:
        truth = _edited(truth, edit, scene.pixel_mm)
    weights = draw_weights(int(state["draw"]), len(scene.noise))
    noise = np.tensordot(np.array(weights), scene.noise, 1)
    given = truth + noise_factor(state["dose"], scene.noise_dose) * noise
    cut = int(state["cut_px"])
    if not 0 <= 2 * cut <= min(truth.shape) - 8:
        raise ValueError(f"expected 0 to {min(truth.shape) // 2 - 4} px to cut, got {cut}")
    inner = slice(cut, -cut or None)
    images = (np.rot90(image, int(state["turns"]))[inner, inner] for image in (given, truth))
    given, truth = (np.asarray(image + state["shift_hu"], np.float32) for image in images)
    return given, truth


def ask(
    scene: Scene, state: Mapping[str, Any], denoise: Callable[[np.ndarray], np.ndarray]
) -> Answer:
    """What a network makes of a state, with the read-outs of the live figure.

    Parameters
    ----------
    denoise : function of a slice (y, x) in HU
    """
    state = {**STATE, **state}
    strength = np.float32(state["strength"])

    def answer(given: np.ndarray) -> np.ndarray:
        return np.asarray(given + strength * (denoise(given) - given))

    given, truth = compose(scene, state)
    denoised = answer(given)
    other, _ = compose(scene, {**state, "draw": int(state["draw"]) + 1})
    numbers: dict[str, float | None] = {
        "rmse_before_hu": _rms(given - truth),
        "rmse_after_hu": _rms(denoised - truth),
        "noise_before_hu": _sd(given - other) / np.sqrt(2),
        "noise_after_hu": _sd(denoised - answer(other)) / np.sqrt(2),
        "removed_hu": _rms(given - denoised),
        "kept": None,
    }
    rest = without_last_nodule(state["edits"])
    if rest is not None:
        bare, _ = compose(scene, {**state, "edits": rest})
        put_in = (given - bare).astype(np.float64)
        left = (denoised - answer(bare)).astype(np.float64)
        numbers["kept"] = float((put_in * left).sum() / max((put_in**2).sum(), 1e-9))
    return Answer(given, truth, denoised, numbers)


def without_last_nodule(edits: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]] | None:
    """The edits without the nodule stamped last; None where no nodule was stamped."""
    nodules = [k for k, edit in enumerate(edits) if edit["kind"] in ("solid", "ground glass")]
    return [edit for k, edit in enumerate(edits) if k != nodules[-1]] if nodules else None


def draw_weights(draw: int, count: int) -> list[float]:
    """Weights of the stored draws of noise; beyond them, mixtures of the same variance.

    Weights of a mixture are normal numbers over their root sum of squares: mixed Gaussian noise
    has the spectrum of its parts. Random numbers by mulberry32, which ``scene.js`` has as well.

    Examples
    --------
    >>> draw_weights(1, 3)
    [0.0, 1.0, 0.0]
    >>> round(sum(w * w for w in draw_weights(7, 3)), 12)
    1.0
    """
    if draw < count:
        return [float(k == draw) for k in range(count)]
    state, normal = draw, []
    for _ in range(count):
        pair = []
        for _ in range(2):
            state = (state + 0x6D2B79F5) & 0xFFFFFFFF
            t = ((state ^ (state >> 15)) * (state | 1)) & 0xFFFFFFFF
            t ^= (t + (((t ^ (t >> 7)) * (t | 61)) & 0xFFFFFFFF)) & 0xFFFFFFFF
            pair.append(((t ^ (t >> 14)) + 0.5) / 2**32)
        normal.append(np.sqrt(-2 * np.log(pair[0])) * np.cos(2 * np.pi * pair[1]))
    size = np.sqrt(np.square(normal).sum())
    return [float(value / size) for value in normal]


def _edited(truth: np.ndarray, edit: Mapping[str, Any], pixel_mm: float) -> np.ndarray:
    """The truth after one stroke of the brush."""
    kind, y, x, diameter = edit["kind"], int(edit["y"]), int(edit["x"]), float(edit["diameter_mm"])
    if kind not in ("solid", "ground glass", "erase", "paint"):
        raise ValueError(f"expected solid, ground glass, erase or paint, got {kind!r}")
    rows, columns = np.ogrid[: truth.shape[0], : truth.shape[1]]
    away_mm = np.hypot(rows - y, columns - x) * pixel_mm
    if kind == "erase":
        return _erased(truth, away_mm / pixel_mm, diameter / 2 / pixel_mm)
    share = _share(truth.shape, y, x, diameter, pixel_mm, soft_edged=kind != "solid")
    if kind == "paint":
        return np.asarray(truth + 0.5 * share * (edit["hu"] - truth), np.float32)
    ring = truth[(away_mm >= 0.7 * diameter) & (away_mm <= diameter)]
    background = float(np.median(ring)) if ring.size else float(truth[y, x])
    return np.asarray(truth + (edit["hu"] - background) * share, np.float32)


def _share(
    shape: tuple[int, ...], y: int, x: int, diameter_mm: float, pixel_mm: float, *, soft_edged: bool
) -> np.ndarray:
    """Share of a nodule centred on a pixel, as far as it lies in the slice."""
    reach = int(np.ceil(diameter_mm / 2 / pixel_mm + 4 * BLUR_MM / pixel_mm)) + 1
    size = 2 * reach + 1
    plane = nodule_plane((size, size), (pixel_mm, pixel_mm), diameter_mm, soft_edged=soft_edged)
    wide = np.zeros([side + 2 * reach for side in shape])
    wide[y : y + size, x : x + size] = plane
    return wide[reach:-reach, reach:-reach]


def _erased(truth: np.ndarray, away_px: np.ndarray, radius_px: float) -> np.ndarray:
    """Lung from beside the disc in its place, where the disc is denser; blended at its edge.

    Of eight directions the one with the lowest mean HU is taken.
    """
    step = int(np.ceil(2 * radius_px + _EDGE_PX))
    blend = np.clip((radius_px + _EDGE_PX - away_px) / _EDGE_PX, 0.0, 1.0)
    place = np.nonzero(blend)
    best: tuple[float, np.ndarray] | None = None
    for dy, dx in [(a, b) for a in (-1, 0, 1) for b in (-1, 0, 1) if (a, b) != (0, 0)]:
        rows, columns = place[0] + dy * step, place[1] + dx * step
        inside = (rows >= 0) & (columns >= 0)
        if not (inside & (rows < truth.shape[0]) & (columns < truth.shape[1])).all():
            continue
        source = truth[rows, columns]
        mean = float(source.mean(dtype=np.float64))
        if best is None or mean < best[0]:
            best = mean, source
    if best is None:
        return truth
    found = truth.copy()
    found[place] += np.asarray(blend[place] * np.minimum(best[1] - truth[place], 0), np.float32)
    return found


def _rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(values, dtype=np.float64))))


def _sd(values: np.ndarray) -> float:
    return float(np.std(values, dtype=np.float64))

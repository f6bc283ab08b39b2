"""Is any map useful? How well each finds nodules that a denoiser erased or invented.

The yardstick is the plain difference of input and output, which needs no network at all.
"""

from collections.abc import Callable

import numpy as np
import pandas as pd
from scipy import stats
from scipy.ndimage import binary_erosion, gaussian_filter, maximum_filter

from ctlab.assess import score_auc
from ctlab.ct.tissue import tissue_masks
from ctlab.explain.audit.synthetic_lesions import KINDS, SyntheticLesion, insert_lesion
from ctlab.explain.maps.cam import CAM_METHODS, cam_map
from ctlab.explain.maps.gradient import input_gradient
from ctlab.explain.probe.denoiser_probe import DenoiserProbe, enlarge
from ctlab.explain.probe.targets import RegionTarget, make_target

Detector = Callable[[SyntheticLesion], np.ndarray]
"""Function of a synthetic lesion to a map (y, x), higher where something was changed."""


def detectors(layer: str) -> dict[str, Detector]:
    """Every map that covers the whole slice, by name; the first two need no network.

    The maps of the CAM family and the gradient explain the mean square of what was removed.
    """
    detect_by_name: dict[str, Detector] = {
        "|input - output|": lambda p: np.abs(p.slice_hu - p.probe.run(p.image_hu)),
        "|input - output|, smoothed": _smoothed_difference,
        "gradient": lambda p: np.abs(input_gradient(p.probe, p.image_hu, _removed(p))),
        "edges of the output": lambda p: np.hypot(*np.gradient(p.probe.run(p.image_hu))),
    }
    return detect_by_name | {method: _cam_detector(method, layer) for method in CAM_METHODS}


def _cam_detector(method: str, layer: str) -> Detector:
    def detect(lesion: SyntheticLesion) -> np.ndarray:
        native = cam_map(
            lesion.probe, lesion.image_hu, _removed(lesion), method=method, layer=layer
        )
        return np.asarray(np.abs(enlarge(native, lesion.mask.shape)))

    return detect


def measure_failure_detection(
    model: DenoiserProbe,
    slices: np.ndarray,
    *,
    rng: np.random.Generator,
    lesions: int = 24,
    diameter_px: float = 8.0,
    contrast_hu: float = 100.0,
    progress: Callable[[int, int], None] | None = None,
) -> pd.DataFrame:
    """How well each map finds synthetic lesions: area under ROC and FROC, one row per map and kind.

    Parameters
    ----------
    slices : ndarray, HU, shape (n, y, x), or (n, c, y, x) for a model of neighbouring slices
        Noisy slices with lung; nodules are inserted at random places of it.
    lesions : int
        Failures of each kind; the slices take turns.
    diameter_px, contrast_hu : of the nodules

    Returns
    -------
    DataFrame
        ``kind, map, auc, auc_low, auc_high, found_at_one_false, n``. ``auc``: chance that a
        pixel of the nodule has a higher value than one of the lung around it, mean over lesions
        with its 95 % t interval. ``found_at_one_false``: share of nodules marked at a threshold
        that gives one false mark per slice.

    Raises
    ------
    ValueError
        No lung wide enough for the nodule in any slice; fewer than two lesions.
    """
    if lesions < 2:
        raise ValueError(f"an interval needs 2 lesions or more, got {lesions}")
    places = [_places(model.run(s), diameter_px) for s in slices]
    usable = [k for k, (inner, _) in enumerate(places) if len(inner)]
    if not usable:
        raise ValueError(f"no slice holds lung around a nodule of {diameter_px:g} px; pass others")
    maps = detectors(model.default_layer())
    rows, done = [], 0
    for kind in KINDS:
        areas: dict[str, list[float]] = {name: [] for name in maps}
        marks: dict[str, list[tuple[np.ndarray, float]]] = {name: [] for name in maps}
        for k in range(lesions):
            which = usable[k % len(usable)]
            inner, lung = places[which]
            centre = tuple(inner[rng.integers(len(inner))])
            lesion = insert_lesion(
                model,
                slices[which],
                centre,
                kind=kind,
                diameter_px=diameter_px,
                contrast_hu=contrast_hu,
            )
            for name, detect in maps.items():
                score = detect(lesion)
                areas[name].append(score_auc(score, lesion.mask, mask=lung | lesion.mask))
                marks[name].append(_marks(score, lesion.mask, lung | lesion.mask, diameter_px))
            done += 1
            if progress is not None:
                progress(done, lesions * len(KINDS))
        rows += [{"kind": kind, "map": name} | _summary(areas[name], marks[name]) for name in maps]
    return pd.DataFrame(rows)


def _smoothed_difference(lesion: SyntheticLesion) -> np.ndarray:
    """The difference at the scale of a nodule: noise averages out, structure stays."""
    return np.asarray(
        np.abs(gaussian_filter(lesion.slice_hu - lesion.probe.run(lesion.image_hu), 2.0))
    )


def _removed(lesion: SyntheticLesion) -> RegionTarget:
    return make_target("noise", np.ones(lesion.mask.shape, dtype=bool))


def _places(output: np.ndarray, diameter_px: float) -> tuple[np.ndarray, np.ndarray]:
    """Pixels (n, 2) where a nodule fits into the lung, and the lung."""
    lung = tissue_masks(output)["lung"]
    reach = int(np.ceil(diameter_px / 2)) + 2
    return np.argwhere(binary_erosion(lung, iterations=reach)), lung


def _marks(
    score: np.ndarray, mask: np.ndarray, field: np.ndarray, diameter_px: float
) -> tuple[np.ndarray, float]:
    """Heights of the false peaks in the field, and of the highest peak on the nodule."""
    smooth = np.where(field, gaussian_filter(score, diameter_px / 4), -np.inf)
    peaks = (smooth == maximum_filter(smooth, int(diameter_px) | 1)) & field
    on = peaks & mask
    return smooth[peaks & ~mask], float(smooth[on].max()) if on.any() else -np.inf


def _summary(areas: list[float], marks: list[tuple[np.ndarray, float]]) -> dict[str, float]:
    mean, half = np.mean(areas), stats.t.ppf(0.975, len(areas) - 1) * stats.sem(areas)
    false = np.sort(np.concatenate([f for f, _ in marks]))[::-1]
    # The threshold above which there is one false mark per slice; all marks where there are fewer.
    threshold = false[len(marks)] if len(false) > len(marks) else -np.inf
    hits = [height > threshold for _, height in marks]
    return {
        "auc": float(mean),
        "auc_low": float(mean - half),
        "auc_high": float(min(mean + half, 1.0)),
        "found_at_one_false": float(np.mean(hits)),
        "n": len(areas),
    }

"""One pass of the scanner per volume: passes that share a series and overlap in z, told apart."""

import itertools
import math
import re
from collections import defaultdict
from collections.abc import Callable

import numpy as np

from ctlab.ct.dicom.checks.placement import SAME_PLACE_MM, positions_mm
from ctlab.ct.dicom.frames import Frame

Pass = tuple[list[str], list[int]]  # values of a mark, and the frames by their place in the list

MARKS = (
    *("temporal_position", "temporal_index", "stack_id", "cardiac_percent", "cardiac_delay_ms"),
    *("respiratory_percent", "trigger_ms", "frame_reference_ms", "irradiation_uid", "energy_kev"),
    *("series_number", "series_time", "thickness_mm", "reconstruction_mm", "filter", "protocol"),
    *("scan_options", "contrast", "image_type", "description", "comments", "kernel", "kvp"),
)
"""Facts of which one pass has one value, from the surest on; those with times follow."""


def overlapping_passes(frames: list[Frame]) -> dict[str, list[Frame]]:
    """Frames by pass where several passes overlap or interleave in z; else all under "".

    Passes are told apart by Acquisition Number, acquisition time, then each of :data:`MARKS` and
    the time of the image. Numbers or times that go on from slice to slice in one direction are
    one pass, as are passes one behind the other, and groups that fill each other's gaps.
    """
    along = positions_mm(frames)[0]
    if along is None or len(frames) < 3 or len({_plane(f) for f in frames}) > 1:
        return {"": frames}
    for value, least in _marks():
        passes = _split(frames, along, value, least)
        if passes:
            parts = {}
            for label, members in passes.items():
                for more, part in overlapping_passes([frames[i] for i in members]).items():
                    parts[f"{label}/{more}" if more else label] = part
            return parts
    return {"": frames}


def _plane(frame: Frame) -> tuple[float, ...]:
    return tuple((np.round(frame.orientation, 2) + 0.0).tolist())


def _marks() -> list[tuple[Callable[[Frame], str], int]]:
    """How each mark is read, and the fewest slices of a pass in which it goes on by itself."""

    def read(name: str) -> Callable[[Frame], str]:
        return lambda frame: _value(frame, name)

    weak = [(read(name), 3) for name in (*MARKS, "content_time", "created_time")]
    return [(read("acquisition_number"), 2), (_time, 2), *weak]


def _value(frame: Frame, name: str) -> str:
    """A value as text: numbers in one way, however they were written."""
    number = frame.header.number(name) if not name.endswith("_uid") else None
    return frame.header.words(name).upper() if number is None else f"{number:.12g}"


def _time(frame: Frame) -> str:
    header = frame.header
    day = header.text("acquisition_date") + header.text("acquisition_time")
    together = header.text("acquisition_datetime")
    said = together if len(together) > len("20260131") else day or together
    return said.rstrip("0").rstrip(".") if "." in said else said


def _split(
    frames: list[Frame], along: np.ndarray, value: Callable[[Frame], str], least: int
) -> dict[str, list[int]]:
    """Passes by their label; empty where this mark tells none apart that overlap."""
    groups: dict[str, list[int]] = defaultdict(list)
    for i, frame in enumerate(frames):
        groups[value(frame)].append(i)
    runs = _runs(groups, along) if len(groups) > 1 else []
    places = [np.sort(along[members]) for _, members in runs]
    if len(runs) < 2 or not _overlap(places) or _one_stack(places):
        return {}
    # One slice may be a pass by a value of its own, but not by the lack of one.
    whole = min(map(len, places)) > 1 or ("" not in groups and 3 * len(runs) <= 2 * len(frames))
    going_on = [p for (values, _), p in zip(runs, places, strict=True) if len(values) > 1]
    if not (whole and all(len(p) >= least and _even(p) for p in going_on)):
        return {}
    return {_label(values[0]): members for values, members in runs}


def _label(value: str) -> str:
    return re.sub(r"[\\\s]+", "-", value.replace("#", "")) or "none"


def _order(value: str) -> tuple[float, str]:
    """Numbers and times by their size, then words."""
    plain = re.fullmatch(r"-?\d+(\.\d*)?(e-?\d+)?", value)
    return (float(value), "") if plain else (math.inf, value)


def _runs(groups: dict[str, list[int]], along: np.ndarray) -> list[Pass]:
    """Slices in the order of a value, cut wherever it turns back in z or repeats a place."""
    runs: list[Pass] = []
    way = 0
    for value in sorted(groups, key=_order):
        low, high = along[groups[value]].min(), along[groups[value]].max()
        if runs:
            end = along[runs[-1][1]]
            above, below = low > end.max() + SAME_PLACE_MM, high < end.min() - SAME_PLACE_MM
            turn = int(above) - int(below)
            step = _usual_step(end)
            near = max(low - end.max(), end.min() - high) < 0.9 * step  # not where it went on
            if turn and way in (0, turn) and not near:
                runs[-1][0].append(value)
                runs[-1][1].extend(groups[value])
                way = turn
                continue
        runs.append(([value], list(groups[value])))
        way = 0
    return runs


def _usual_step(places_mm: np.ndarray) -> float:
    return float(np.median(np.diff(np.sort(places_mm)))) if len(places_mm) > 2 else 0.0


def _overlap(places_mm: list[np.ndarray]) -> bool:
    spans = sorted((float(p[0]), float(p[-1])) for p in places_mm)
    return any(b[0] < a[1] + SAME_PLACE_MM for a, b in itertools.pairwise(spans))


def _even(places_mm: np.ndarray) -> bool:
    """Whether all but a few steps of a pass are alike."""
    steps = np.diff(places_mm)
    return bool((np.abs(steps - np.median(steps)) < 0.1 * np.median(steps)).mean() > 0.7)


def _one_stack(places_mm: list[np.ndarray]) -> bool:
    """Whether groups fit into each other like tiles, which passes that overlap do not.

    Slices of two passes come closer to each other than those of either pass, by half at least. So
    do those of groups picked at will from one stack, but then their spacings differ.
    """
    every = np.diff(np.sort(np.concatenate([_places(p) for p in places_mm])))
    closest = float(every.min())
    steps = [np.diff(_places(p)) for p in places_mm]
    own = [float(s.min()) for s in steps if len(s)]
    if closest <= SAME_PLACE_MM:
        return False
    alike = max(own) < 1.1 * min(own)
    long = all(len(s) > 1 and _even(p) for s, p in zip(steps, places_mm, strict=True))
    return min(own) < 1.5 * closest or not (alike or long)


def _places(sorted_mm: np.ndarray) -> np.ndarray:
    """Places, each counted once."""
    return sorted_mm[np.diff(sorted_mm, prepend=-np.inf) > SAME_PLACE_MM]

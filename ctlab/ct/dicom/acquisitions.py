"""One pass of the scanner per volume: passes that share a series and overlap in z, told apart."""

import itertools
from collections import defaultdict
from collections.abc import Callable

import numpy as np

from ctlab.ct.dicom.frames import Frame

SAME_PLACE_MM = 0.01
"""Positions that differ by less are one place."""

Pass = tuple[str, list[int]]  # label, and the frames by their place in the list


def positions_mm(frames: list[Frame]) -> tuple[np.ndarray | None, list[str]]:
    """Position of each slice along the common normal; ``None`` with the reason if unknown."""
    if len(frames) == 1:
        return np.zeros(1), []
    orientation = frames[0].orientation
    placed = all(len(f.position_mm) == 3 for f in frames)
    if placed and len(orientation) == 6:
        normal = np.cross(orientation[:3], orientation[3:])
        length = float(np.linalg.norm(normal))
        if not 0.99 < length < 1.01:
            return None, [f"Image Orientation {orientation} is not two unit vectors at 90 degrees"]
        return np.array([np.dot(f.position_mm, normal / length) for f in frames]), []
    locations = [f.header.number("slice_location_mm") for f in frames]
    if all(v is not None for v in locations):
        return np.array(locations, float), ["Image Position is missing; sorted by Slice Location"]
    return None, ["slices carry no Image Position and no Slice Location, so their order is unknown"]


def overlapping_passes(frames: list[Frame]) -> dict[str, list[Frame]]:
    """Frames by pass where several passes overlap or interleave in z; else all under "".

    Passes are told apart by Acquisition Number, then by acquisition time. Numbers or times that
    go on from slice to slice in one direction are one pass, as are passes one behind the other.
    """
    along = positions_mm(frames)[0]
    if along is None or len(frames) < 4 or len({f.orientation for f in frames}) > 1:
        return {"": frames}
    for value in (_number, _time):
        passes = _runs(frames, along, value)
        whole = all(len(members) > 1 for _, members in passes)
        if len(passes) > 1 and whole and _overlap([along[m] for _, m in passes]):
            return {label: [frames[i] for i in members] for label, members in passes}
    return {"": frames}


def _number(frame: Frame) -> str:
    return frame.header.text("acquisition_number").zfill(6)


def _time(frame: Frame) -> str:
    header = frame.header
    day = header.text("acquisition_date") + header.text("acquisition_time")
    together = header.text("acquisition_datetime")
    return together if len(together) > len("20260131") else day or together


def _runs(frames: list[Frame], along: np.ndarray, value: Callable[[Frame], str]) -> list[Pass]:
    """Slices in the order of ``value``, cut wherever it turns back in z or repeats a place."""
    groups: dict[str, list[int]] = defaultdict(list)
    for i, frame in enumerate(frames):
        groups[value(frame)].append(i)
    runs: list[Pass] = []
    way = 0
    for label in sorted(groups):
        low, high = along[groups[label]].min(), along[groups[label]].max()
        if runs:
            end = along[runs[-1][1]]
            above, below = low > end.max() - SAME_PLACE_MM, high < end.min() + SAME_PLACE_MM
            turn = int(above) - int(below)
            if turn and way in (0, turn):
                runs[-1][1].extend(groups[label])
                way = turn
                continue
        runs.append((label.lstrip("0") or "none", list(groups[label])))
        way = 0
    return runs


def _overlap(places_mm: list[np.ndarray]) -> bool:
    spans = sorted((float(p.min()), float(p.max())) for p in places_mm)
    return any(b[0] < a[1] - SAME_PLACE_MM for a, b in itertools.pairwise(spans))

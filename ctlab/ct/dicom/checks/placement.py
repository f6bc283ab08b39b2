"""Where slices lie in space: positions and planes as the header gives them, or why not."""

import math

import numpy as np

from ctlab.ct.dicom.frames import Frame

SAME_PLACE_MM = 0.01
"""Positions that differ by less are one place."""

_ORTHONORMAL = 0.01
"""Lengths and the cosine between both directions of a plane may be so far from 1 and 0."""


def positions_mm(frames: list[Frame]) -> tuple[np.ndarray | None, list[str]]:
    """Position of each slice along the common normal, and findings; ``None`` with the reason.

    Without Image Position or Orientation slices are ordered by Slice Location, but where they lie
    in the patient is not known (:func:`is_placed`).
    """
    faults = placement_faults(frames)
    if faults:
        return None, faults
    if is_placed(frames):
        row, column = np.reshape(frames[0].orientation, (2, 3))
        normal = np.cross(row, column) / np.linalg.norm(np.cross(row, column))
        return np.array([np.dot(f.position_mm, normal) for f in frames]), []
    lacking = "Position" if not frames[0].position_mm else "Orientation"
    unknown = f"Image {lacking} is missing, so where slices lie in the patient is not known"
    if len(frames) == 1:
        return np.zeros(1), [unknown]
    locations = [f.header.number("slice_location_mm") for f in frames]
    if all(v is not None for v in locations):
        return np.array(locations, float), [f"{unknown}; sorted by Slice Location"]
    return None, [
        f"slices carry no Image {lacking} and no Slice Location, so their order is unknown"
    ]


def is_placed(frames: list[Frame]) -> bool:
    """Whether position and plane of every slice are known."""
    return all(len(f.position_mm) == 3 and len(f.orientation) == 6 for f in frames)


def placement_faults(frames: list[Frame]) -> list[str]:
    """Positions and planes that are there and cannot be right, or that only some slices have."""
    faults = []
    for what, values, bad in (
        ("three finite numbers as Image Position", [_said(f, True) for f in frames], _no_position),
        (
            "two unit vectors at 90 degrees as Image Orientation",
            [_said(f, False) for f in frames],
            _no_plane,
        ),
    ):
        some = any(values)
        wrong = [k for k, v in enumerate(values) if (bad(v) if v else some)]
        if wrong:
            got = values[wrong[0]]
            shown = "\\".join(map(str, got)) if got else "none"
            faults.append(
                f"expected {what}, got {shown} in {len(wrong)} of {len(frames)} slices (first: "
                f"{frames[wrong[0]].name}); export the series again"
            )
    return faults


def _said(frame: Frame, position: bool) -> tuple[float | str, ...]:
    """The values, or the text where they are none; empty where nothing is said."""
    values = frame.position_mm if position else frame.orientation
    if values or frame.is_multi_frame:
        return values
    text = frame.header.text("position_mm" if position else "orientation")
    return (text,) if text else ()


def _finite(values: tuple[float | str, ...], count: int) -> bool:
    return len(values) == count and all(not isinstance(v, str) and math.isfinite(v) for v in values)


def _no_position(values: tuple[float | str, ...]) -> bool:
    return not _finite(values, 3)


def _no_plane(values: tuple[float | str, ...]) -> bool:
    if not _finite(values, 6):
        return True
    axes = np.array(values, float).reshape(2, 3)
    return bool(np.abs(axes @ axes.T - np.eye(2)).max() > 2 * _ORTHONORMAL)

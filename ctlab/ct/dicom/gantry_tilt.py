"""Slices shifted sideways against each other, as a tilted gantry leaves them: found and mended.

With the gantry tilted by an angle ``a`` and the table moving horizontally, each slice is right,
but its corner moves along the plane by ``step tan(a)``: the stack is a sheared prism. Treated as
an upright volume it would show coronal and sagittal views that lean.
"""

import math
from dataclasses import replace

import numpy as np
from scipy import ndimage

from ctlab.ct.dicom.frames import Frame
from ctlab.ct.hu import HU_MIN
from ctlab.ct.volume import Volume

LEAST_TILT_DEG = 1.0
"""Less is the tolerance of a gantry that stands upright."""

Pair = tuple[float, float]


def sideways_mm(frames: list[Frame]) -> np.ndarray | None:
    """Shift of each slice against the first, in mm down a column and along a row: shape (n, 2).

    ``None`` where the header does not say.
    """
    row_column = np.reshape(frames[0].orientation, (-1, 3))
    if len(row_column) != 2 or any(len(f.position_mm) != 3 for f in frames):
        return None
    way = np.array([f.position_mm for f in frames]) - frames[0].position_mm
    shifts: np.ndarray = way @ row_column[::-1].T
    return shifts


def tilt_findings(frames: list[Frame], step_mm: float) -> tuple[str, np.ndarray]:
    """What is to be said of slices shifted by more than a pixel in all, and the shifts (n, 2).

    The text is empty, and the shifts are zero, where the stack stands upright.
    """
    upright = np.zeros((len(frames), 2))
    shifts = sideways_mm(frames)
    if len(frames) == 1 or shifts is None:
        said = frames[0].header.number("tilt_deg") or 0.0
        if abs(said) <= 0.5:
            return "", upright
        return f"the header says the gantry was tilted by {said:g} degrees", upright
    if np.ptp(shifts, axis=0).max() <= max(frames[0].spacing_mm):
        return "", upright
    even = np.linspace(0, 1, len(frames))[:, None] * shifts[-1]
    if np.abs(shifts - even).max() > 0.5 * min(frames[0].spacing_mm):
        return (
            "slices are shifted sideways against each other by up to "
            f"{np.ptp(shifts, axis=0).max():.1f} mm: right one by one, but not as a stack"
        ), shifts
    aside = float(np.linalg.norm(shifts[-1])) / (len(frames) - 1)
    return (
        f"gantry tilt of {math.degrees(math.atan2(aside, step_mm)):.1f} degrees: slices are right "
        f"one by one, but the stack is sheared by {aside:.2f} mm a slice"
    ), shifts


def upright_against_header(frames: list[Frame]) -> list[str]:
    """A finding where the header says that the gantry was tilted, and planes are upright.

    Then images were resampled, and the rays of the scan do not lie in them, or one of both is
    wrong. The sign of the tilt counts nothing: vendors differ in it.
    """
    said = abs(frames[0].header.number("tilt_deg") or 0.0)
    if said <= LEAST_TILT_DEG or len(frames[0].orientation) != 6:
        return []
    normal = np.cross(*np.reshape(frames[0].orientation, (2, 3)))
    turned = math.degrees(math.acos(min(abs(float(normal[2])), 1.0)))
    if turned > said / 2:
        return []
    return [
        f"the header says the gantry was tilted by {said:g} degrees, but the planes are turned by "
        f"{turned:.0f}: they were resampled, or one of both is wrong"
    ]


def shear_mm(shifts_mm: np.ndarray) -> Pair:
    """Mean shift from slice to slice, down a column and along a row."""
    if len(shifts_mm) < 2:
        return (0.0, 0.0)
    down, along = (shifts_mm[-1] / (len(shifts_mm) - 1)).tolist()
    return (down, along)


def straightened(volume: Volume, shifts_mm: np.ndarray) -> Volume:
    """The volume on an upright grid that holds every slice whole; HU_MIN where nothing was.

    Each slice is moved within its plane by cubic splines, so HU and slice positions along the
    normal stay as they are; noise loses a little of its highest frequencies. No slice is that of
    a file any more, so ``sources`` are empty.
    """
    pixel_mm = np.array(volume.spacing_mm[1:])
    first = np.floor(shifts_mm.min(axis=0) / pixel_mm + 1e-6)
    more = np.ceil(shifts_mm.max(axis=0) / pixel_mm - 1e-6) - first
    count, rows, columns = volume.shape
    hu = np.empty((count, rows + int(more[0]), columns + int(more[1])), np.float32)
    wide = np.full(hu.shape[1:], HU_MIN, np.float32)
    for k, image in enumerate(volume.hu):
        wide[:rows, :columns] = np.maximum(image, HU_MIN)  # fill would ring
        moved = shifts_mm[k] / pixel_mm - first
        ndimage.shift(wide, moved, output=hu[k], order=3, cval=HU_MIN)
        np.clip(hu[k], HU_MIN, max(float(image.max()), HU_MIN), out=hu[k])
    row, column = np.reshape(volume.orientation, (2, 3))
    normal = np.cross(row, column)
    origin = np.asarray(volume.origin_mm) + first[0] * pixel_mm[0] * column
    origin = origin + first[1] * pixel_mm[1] * row
    return replace(
        volume,
        hu=hu,
        origin_mm=tuple(origin.tolist()),
        shear_mm=(0.0, 0.0),
        sources=(),
        offsets_mm=tuple(tuple((normal @ o * normal).tolist()) for o in volume.offsets_mm),
        problems=(*volume.problems, "slices were resampled sideways so that the stack is upright"),
    )

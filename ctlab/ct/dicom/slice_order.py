"""From loose files to one well-ordered series: grouping, sorting, and what is wrong in words."""

import math
import re
import warnings
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ctlab.ct.dicom.checks.completeness import missing_parts, repeated_numbers, skipped_numbers
from ctlab.ct.dicom.checks.consistency import header_problems, mixtures, rescale_faults
from ctlab.ct.dicom.checks.passes import overlapping_passes
from ctlab.ct.dicom.checks.placement import SAME_PLACE_MM, positions_mm
from ctlab.ct.dicom.checks.units import other_units
from ctlab.ct.dicom.discover import MEDIA_DIRECTORY, find_files, open_source
from ctlab.ct.dicom.frames import CT_CLASSIC, CT_ENHANCED, Frame, frames_of
from ctlab.ct.dicom.gantry_tilt import tilt_findings, upright_against_header
from ctlab.ct.dicom.header import Header, NotDicom, read_header
from ctlab.ct.dicom.pixels.decode import decode_hu

NO_PIXELS = "no pixels"
LOCALIZER = "localizer"
NO_DATA = "holds no DICOM data: empty, overwritten or packed; copy it again"

PRINTED_MM = 0.06
"""Positions are often printed with one decimal only: so far from an even grid they are on it."""

THICKEST_MM = 200.0
"""Slices thicker than a detector is wide are a damaged header."""


@dataclass
class Contents:
    """What a folder holds.

    Attributes
    ----------
    series : images by series; passes that overlap are series of their own, ``UID#acquisition``
    aside : files that are no CT slices by series, with the reason
    damaged : series ("" if unknown) and a sentence for each file that cannot be used as it is
    n_other : files that are not DICOM
    """

    series: dict[str, list[Frame]] = field(default_factory=dict)
    aside: dict[str, list[tuple[Path, str]]] = field(default_factory=dict)
    damaged: list[tuple[str, str]] = field(default_factory=list)
    n_other: int = 0

    def damage_of(self, uid: str) -> list[str]:
        """What of this series, or of an unknown one, cannot be read."""
        known = whole_uid(uid)
        lost = [text for owner, text in self.damaged if owner in ("", known)]
        aside = self.aside.get(known, [])
        return lost + [f"{path.name} holds no pixels" for path, why in aside if why == NO_PIXELS]

    def lost_series(self) -> list[str]:
        """What cannot be read of series that no whole file is left of."""
        known = {"", *map(whole_uid, self.series)}
        return [text for owner, text in self.damaged if owner not in known]


def whole_uid(uid: str) -> str:
    """Series Instance UID without the name of a pass."""
    return uid.partition("#")[0]


def find_series(path: str | Path) -> Contents:
    """Sort the files below ``path`` into CT series and the rest.

    Raises
    ------
    ValueError
        The path does not exist or holds no files, or none of them is DICOM.
    """
    contents = Contents()
    files, lost = find_files(path)
    contents.damaged = [(uid, f"{name} {why}") for uid, name, why in lost]
    unnamed: dict[tuple[object, ...], str] = {}
    with warnings.catch_warnings():
        # What pydicom warns about is either harmless or reported as a problem of the series.
        warnings.simplefilter("ignore")
        others = [file for file in files if not _file_into(contents, file, unnamed)]
    lost_images = overwritten(others, files)
    contents.damaged += [("", f"{file.name} {NO_DATA}") for file in lost_images]
    contents.n_other = len(others) - len(lost_images)
    if files and contents.n_other == len(files) and not lost:
        raise ValueError(f"none of the {len(files)} files in {path} is DICOM; name a DICOM folder")
    contents.series = {
        f"{uid}#{label}" if label else uid: frames
        for uid, members in contents.series.items()
        for label, frames in overlapping_passes(members).items()
    }
    return contents


def _file_into(contents: Contents, file: Path, unnamed: dict[tuple[object, ...], str]) -> bool:
    """Sort one file; false where it is not DICOM."""
    uid = ""
    try:
        header = read_header(file)
        uid = header.text("series_uid")
        reason = reason_aside(header)
        frames = [] if reason else frames_of(header)
    except NotDicom:
        return False
    except OSError as error:
        contents.damaged.append((uid, f"{file.name} cannot be opened ({error.strerror})"))
        return True
    except ValueError as error:
        contents.damaged.append((getattr(error, "series_uid", uid), str(error)))
        return True
    if reason == MEDIA_DIRECTORY:
        return True
    slices = [f for f in frames if not _is_localizer(f.header.text("frame_type"))]
    if not slices:
        reason = reason or (LOCALIZER if frames else NO_PIXELS)
        if reason == NO_PIXELS and not uid:  # cut so early that nothing says where it belongs
            contents.damaged.append(("", f"{file.name} holds no pixels; copy it again"))
            return True
        contents.aside.setdefault(uid, []).append((file, reason))
        return True
    if len(slices) < len(frames):
        lost = [(file, f"{LOCALIZER} in frame {f.index + 1}") for f in frames if f not in slices]
        contents.aside.setdefault(uid, []).extend(lost)
    frames = slices
    if not uid:
        uid = unnamed.setdefault(_likeness(frames[0]), f"unnamed-{len(unnamed) + 1}")
    contents.series.setdefault(uid, []).extend(frames)
    return True


def overwritten(others: list[Path], files: list[Path]) -> list[Path]:
    """Files without DICOM data that were images: so named, emptied, or numbered as images are."""

    def numbered(file: Path) -> tuple[Path, str]:
        return file.parent, re.sub(r"\d+", "#", file.name)

    images = {numbered(file) for file in set(files) - set(others)}
    return [file for file in others if numbered(file) in images or _was_an_image(file)]


def _was_an_image(file: Path) -> bool:
    """Whether a file without the marker of DICOM is named as an image, or was emptied."""
    names = (".dcm", ".ima", ".dcm.gz", ".ima.gz")
    if file.name.lower().endswith(names):
        return True
    with open_source(file) as stream:
        head = stream.read(132)
    return bool(head) and not any(head)


def _likeness(frame: Frame) -> tuple[object, ...]:
    """What slices of one series have in common where identifiers were emptied."""
    names = ("study_uid", "patient_id", "description", "kernel")
    alike = tuple(frame.header.text(name) for name in names)
    alike += tuple(frame.header.number(name) for name in ("series_number", "thickness_mm"))
    return (*alike, frame.shape, frame.spacing_mm, tuple(np.round(frame.orientation, 3).tolist()))


def reason_aside(header: Header) -> str:
    """Why a file is no CT slice ("localizer", "secondary capture", ...); empty if it is one."""
    sop_class, kind = header.text("sop_class"), header.text("image_type").upper()
    if sop_class == MEDIA_DIRECTORY:
        return MEDIA_DIRECTORY
    if not sop_class and header.text("modality") == "CT":
        sop_class = CT_CLASSIC  # emptied with the other identifiers
    if sop_class not in {CT_CLASSIC, *CT_ENHANCED}:
        return f"not a CT image ({_class_name(sop_class) or header.text('modality') or 'unknown'})"
    if _is_localizer(kind):
        return LOCALIZER
    is_grey = header.text("photometric").upper() in ("", "MONOCHROME1", "MONOCHROME2")
    if header.integer("samples", 1) != 1 or not is_grey:
        return "colour image (secondary capture or dose report)"
    if not (header.has_pixels and header.integer("rows") and header.integer("columns")):
        return NO_PIXELS
    return ""


def _is_localizer(kind: str) -> bool:
    return any(word in kind.upper() for word in ("LOCALIZER", "SCOUT", "TOPOGRAM"))


def _class_name(uid: str) -> str:
    from pydicom.uid import UID

    name = UID(uid).name
    return name if name != uid else ""


@dataclass(frozen=True, eq=False)
class Plan:
    """A series in slice order, with its geometry settled and its problems in words.

    ``faults`` are the problems that would make HU or geometry wrong; ``gaps`` those that
    ``allow_gaps=True`` accepts, ``tilts`` those that ``allow_tilt=True`` accepts and
    ``straighten=True`` mends; ``units`` say what the values are where they are no HU.
    ``shifts_mm`` are those of the slices within their plane (n, 2).
    """

    uid: str
    frames: tuple[Frame, ...]
    spacing_mm: tuple[float, float, float]
    problems: tuple[str, ...] = ()
    faults: tuple[str, ...] = ()
    gaps: tuple[str, ...] = ()
    tilts: tuple[str, ...] = ()
    units: str = ""
    shifts_mm: np.ndarray = field(default_factory=lambda: np.zeros((0, 2)))

    @property
    def shape(self) -> tuple[int, int, int]:
        """Slices, rows and columns (z, y, x)."""
        return (len(self.frames), *self.frames[0].shape)


def plan_series(uid: str, frames: Iterable[Frame]) -> Plan:
    """Order the images of one series along the slice normal and list what is wrong with it."""
    frames = list(frames)
    faults = [*mixtures(frames), *rescale_faults(frames)]
    problems, units = header_problems(frames), other_units(frames)
    along, findings = (None, []) if faults else positions_mm(frames)
    if along is None:
        unsettled = (math.nan,) * 3
        return Plan(
            uid, tuple(frames), unsettled, tuple(problems), (*faults, *findings), units=units
        )
    problems += findings
    order = np.argsort(along, kind="stable")
    problems += flipped(along)
    frames, along = [frames[i] for i in order], along[order]
    frames, along, copies, faults = drop_copies(frames, along)
    problems += copies + upright_against_header(frames)
    problems += skipped_numbers(frames) if whole_uid(uid) == uid else []  # phases take turns
    step, gaps = slice_step_mm(frames, along)
    gaps += [] if gaps else steps_against_header(frames, step)
    gaps += missing_parts(frames) + repeated_numbers(frames)
    tilt, shifts = tilt_findings(frames, step)
    tilts = (tilt,) if tilt and len(frames) > 1 else ()
    problems += [tilt] if tilt and not tilts else []
    rows = frames[0].spacing_mm
    return Plan(
        uid,
        tuple(frames),
        (step, rows[0], rows[1]),
        tuple(problems),
        tuple(faults),
        tuple(gaps),
        tilts,
        units,
        shifts,
    )


def flipped(along: np.ndarray) -> list[str]:
    """A note when files come in descending order: naive stacking would turn the patient over."""
    if len(along) > 1 and (np.diff(along) < 0).mean() > 0.9:
        return ["files run against the slice normal; slices were sorted by position"]
    return []


def drop_copies(
    frames: list[Frame], along: np.ndarray
) -> tuple[list[Frame], np.ndarray, list[str], list[str]]:
    """Slices and positions without copies of one image, the finding, and the faults.

    Two different images at one place are a fault, also where they share an instance UID.
    """
    keep, copies, clashes = [0] if frames else [], 0, []
    for i in range(1, len(frames)):
        if along[i] - along[keep[-1]] > SAME_PLACE_MM:
            keep.append(i)
        elif _same_image(frames[i], frames[keep[-1]]):
            copies += 1
        else:
            clashes.append(i)
    problems = [f"{copies} files are copies of another slice and were left out"] if copies else []
    faults = []
    if clashes:
        names = f"{frames[clashes[0] - 1].name} and {frames[clashes[0]].name}"
        faults.append(
            f"{len(clashes)} positions hold two different images (first: {names}), expected one, "
            "perhaps two phases in one series; put one of them into a folder of its own"
        )
    return [frames[i] for i in keep], along[keep], problems, faults


def _same_image(one: Frame, other: Frame) -> bool:
    uid = one.header.text("sop_uid")
    if not uid or uid != other.header.text("sop_uid") or one.index != other.index:
        return False
    try:
        first, second = (next(decode_hu([frame])) for frame in (one, other))
    except ValueError:  # one of them is damaged: no telling which is right
        return False
    return np.array_equal(first, second)


def slice_step_mm(frames: list[Frame], along: np.ndarray) -> tuple[float, list[str]]:
    """Distance between slices, and the places where it is not kept."""
    if len(frames) == 1:
        thickness = frames[0].header.number("thickness_mm")
        if thickness and 0 < thickness <= THICKEST_MM:
            return thickness, []
        return 1.0, ["one slice without Slice Thickness: 1 mm is assumed"]
    steps = np.diff(along)
    step = float(np.median(steps))
    number = np.arange(len(along))
    off = float(np.abs(along - np.polyval(np.polyfit(number, along, 1), number)).max())
    odd = np.flatnonzero(np.abs(steps - step) > 0.1 * step)
    if off <= PRINTED_MM or (not len(odd) and off <= 0.1 * step):
        return float(steps.mean()), []
    if not len(odd):
        return float(steps.mean()), [
            f"slice spacing drifts from {steps.min():g} to {steps.max():g} mm: slices lie up to "
            f"{off:.2g} mm off an even grid"
        ]
    wide = odd[steps[odd] > 1.5 * step]
    if len(wide):
        lost = int(np.rint(steps[wide] / step - 1).sum())
        where = ", ".join(f"{steps[i]:g} mm after {frames[i].path.name}" for i in wide[:3])
        return step, [f"{len(wide)} gaps, about {lost} slices missing ({where}; usual {step:g} mm)"]
    return step, [
        f"slice spacing is not uniform ({steps.min():g} to {steps.max():g} mm, usual {step:g} mm)"
    ]


def steps_against_header(frames: list[Frame], step: float) -> list[str]:
    """Findings where slices are further apart than thick, or than the header says they are.

    Twice as many slices as declared point to two passes in one series, half as many to a series
    of which every second slice was lost.
    """
    if len(frames) == 1:
        return []
    declared = frames[0].header.number("declared_step_mm")
    if declared and not 0.67 < step / abs(declared) < 1.5:
        return [
            f"expected {abs(declared):g} mm between slices by the header, got {step:g} mm: perhaps "
            "two passes in one series, or slices lost throughout"
        ]
    thick = min(frame.header.number("thickness_mm") or 0.0 for frame in frames)
    if thick > 0 and step > 1.5 * thick:
        return [
            f"slices of {thick:g} mm lie {step:g} mm apart: what is between them was not imaged, "
            "or slices were lost throughout"
        ]
    return []

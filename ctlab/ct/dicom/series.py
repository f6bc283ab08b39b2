"""From loose files to one well-ordered series: grouping, sorting, and what is wrong in words."""

import math
import warnings
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ctlab.ct.dicom.discover import MEDIA_DIRECTORY, list_files
from ctlab.ct.dicom.frames import (
    CT_CLASSIC,
    CT_ENHANCED,
    Frame,
    frames_of,
)
from ctlab.ct.dicom.gantry_tilt import tilt_findings
from ctlab.ct.dicom.header import Header, NotDicom, read_header


@dataclass
class Found:
    """What a folder holds: images by series, files set aside and why, files no one can read."""

    series: dict[str, list[Frame]] = field(default_factory=dict)
    aside: dict[str, list[tuple[Path, str]]] = field(default_factory=dict)
    unreadable: list[str] = field(default_factory=list)
    n_other: int = 0  # files that are not DICOM


def find_series(path: str | Path) -> Found:
    """Sort the files below ``path`` into CT series and the rest.

    Raises
    ------
    ValueError
        The path does not exist or holds no files, or none of them is DICOM.
    """
    found = Found()
    files = list_files(path)
    with warnings.catch_warnings():
        # What pydicom warns about is either harmless or reported as a problem of the series.
        warnings.simplefilter("ignore")
        for file in files:
            _file_into(found, file)
    if found.n_other == len(files):
        raise ValueError(f"none of the {len(files)} files in {path} is DICOM; name a DICOM folder")
    return found


def _file_into(found: Found, file: Path) -> None:
    try:
        header = read_header(file)
        reason = reason_aside(header)
        frames = [] if reason else frames_of(header)
    except NotDicom:
        found.n_other += 1
        return
    except ValueError as error:
        found.unreadable.append(str(error))
        return
    uid = header.text("series_uid")
    if reason or not frames:
        found.aside.setdefault(uid, []).append((file, reason or "no frames"))
    else:
        found.series.setdefault(uid, []).extend(frames)


def reason_aside(header: Header) -> str:
    """Why a file is no CT slice ("localizer", "secondary capture", ...); empty if it is one."""
    sop_class, kind = header.text("sop_class"), header.text("image_type").upper()
    if sop_class == MEDIA_DIRECTORY:
        return "DICOMDIR"
    if sop_class not in {CT_CLASSIC, *CT_ENHANCED}:
        return f"not a CT image ({_class_name(sop_class) or header.text('modality') or 'unknown'})"
    if "LOCALIZER" in kind or "SCOUT" in kind or "TOPOGRAM" in kind:
        return "localizer"
    if header.integer("samples", 1) != 1:
        return "colour image (secondary capture or dose report)"
    if not header.integer("rows") or not header.integer("columns"):
        return "no pixels"
    return ""


def _class_name(uid: str) -> str:
    from pydicom.uid import UID

    name = UID(uid).name
    return name if name != uid else ""


@dataclass(frozen=True, eq=False)
class Plan:
    """A series in slice order, with its geometry settled and its problems in words.

    ``faults`` are the problems that would make HU or geometry wrong; ``gaps`` those that
    ``allow_gaps=True`` accepts, ``tilts`` those that ``allow_tilt=True`` accepts and
    ``straighten=True`` mends. ``shifts_mm`` are those of the slices within their plane (n, 2).
    """

    uid: str
    frames: tuple[Frame, ...]
    spacing_mm: tuple[float, float, float]
    problems: tuple[str, ...] = ()
    faults: tuple[str, ...] = ()
    gaps: tuple[str, ...] = ()
    tilts: tuple[str, ...] = ()
    shifts_mm: np.ndarray = field(default_factory=lambda: np.zeros((0, 2)))

    @property
    def shape(self) -> tuple[int, int, int]:
        """Slices, rows and columns (z, y, x)."""
        return (len(self.frames), *self.frames[0].shape)


def plan_series(uid: str, frames: Iterable[Frame]) -> Plan:
    """Order the images of one series along the slice normal and list what is wrong with it."""
    frames = list(frames)
    problems: list[str] = []
    faults = mixtures(frames)
    faults += rescale_faults(frames)
    problems += header_problems(frames)
    if faults:
        return Plan(uid, tuple(frames), (math.nan,) * 3, tuple(problems), tuple(faults))
    along, findings = positions_mm(frames)
    if along is None:
        return Plan(uid, tuple(frames), (math.nan,) * 3, tuple(problems), tuple(findings))
    problems += findings
    order = np.argsort(along, kind="stable")
    problems += flipped(along)
    frames, along = [frames[i] for i in order], along[order]
    frames, along, twice = drop_copies(frames, along)
    problems += twice[0]
    faults += twice[1]
    step, gaps = slice_step_mm(frames, along)
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
        shifts,
    )


def mixtures(frames: list[Frame]) -> list[str]:
    """Properties that one volume can have only one of, and that differ between slices."""
    orientations = [_named(f.orientation) for f in frames]
    found = [
        ("orientations", orientations),
        ("image sizes", ["{} x {}".format(*f.shape) for f in frames]),
        ("pixel spacings", [_spacing_text(f) for f in frames]),
        ("kernels", [f.header.text("kernel") or "none" for f in frames]),
    ]
    faults = []
    for what, values in found:
        counts = Counter(values)
        if len(counts) > 1:
            listed = ", ".join(f"{k}: {n}" for k, n in counts.most_common(6))
            faults.append(
                f"series mixes {len(counts)} {what} ({listed}); put the files of one kind into a "
                "folder of their own"
            )
    if not faults:
        first = frames[0]
        if len(first.spacing_mm) != 2 or not all(0.01 < s < 20 for s in first.spacing_mm):
            faults.append(
                f"Pixel Spacing is {list(first.spacing_mm) or 'missing'}; it must be two values "
                "in mm, so the series needs to be exported again"
            )
    return faults


def _spacing_text(frame: Frame) -> str:
    return " x ".join(f"{s:.4g}" for s in frame.spacing_mm) + " mm"


def _named(orientation: tuple[float, ...]) -> str:
    """Plane of an image by its normal, with two digits where it is oblique."""
    if len(orientation) != 6:
        return "unknown"
    normal = np.cross(orientation[:3], orientation[3:])
    name = ("sagittal", "coronal", "axial")[int(np.argmax(np.abs(normal)))]
    cosines = np.round(np.array(orientation), 2) + 0.0
    straight = np.isin(np.abs(cosines), (0, 1)).all()
    return name if straight else f"{name} oblique {'/'.join(f'{c:g}' for c in cosines)}"


def rescale_faults(frames: list[Frame]) -> list[str]:
    """Slices whose stored values cannot be turned into HU."""
    bad = [f for f in frames if f.slope is None or f.intercept is None or f.slope == 0]
    if not bad:
        return []
    return [
        f"{len(bad)} of {len(frames)} slices have no usable rescale slope and intercept "
        f"(first: {bad[0].path.name}), so their HU are unknown; export the series again"
    ]


def header_problems(frames: list[Frame]) -> list[str]:
    """Findings that leave HU and geometry right."""
    first, problems = frames[0].header, []
    missing = [t for t in ("kvp", "tube_current_ma", "kernel") if not first.text(t)]
    if missing:
        problems.append(f"the header does not say {', '.join(missing)}")
    kind = first.text("rescale_type")
    if kind not in ("", "HU"):
        problems.append(f"Rescale Type is {kind!r}, not HU; rescaled values are taken as HU")
    rescales = Counter((f.slope, f.intercept) for f in frames)
    if len(rescales) > 1:
        problems.append(f"rescale differs between slices ({len(rescales)} pairs); each is applied")
    if any(f.header.text("lossy") == "01" for f in frames):
        problems.append("pixels were compressed with loss")
    if any(f.header.text("burned_in").upper() == "YES" for f in frames):
        problems.append("the header says text is burned into the pixels")
    if frames[0].header.text("image_type").upper().startswith("DERIVED"):
        problems.append("derived images, not the scanner's own reconstruction")
    current, duration = first.number("tube_current_ma"), first.number("exposure_time_ms")
    exposure = first.number("exposure_mas")
    if current and duration and exposure:
        product = current * duration / 1000
        if not 0.5 < exposure / product < 2:
            problems.append(
                f"Exposure says {exposure:g} mAs, but current x time is {product:.0f} mAs: "
                "it may be that of the whole scan"
            )
    return problems


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


def flipped(along: np.ndarray) -> list[str]:
    """A note when files come in descending order: naive stacking would turn the patient over."""
    if len(along) > 1 and (np.diff(along) < 0).mean() > 0.9:
        return ["files run against the slice normal; slices were sorted by position"]
    return []


def drop_copies(
    frames: list[Frame], along: np.ndarray
) -> tuple[list[Frame], np.ndarray, tuple[list[str], list[str]]]:
    """Remove copies of one instance; two different images at one place are a fault."""
    keep, copies, clashes = [0] if frames else [], 0, []
    for i in range(1, len(frames)):
        if along[i] - along[keep[-1]] > 0.01:
            keep.append(i)
        elif _same_instance(frames[i], frames[keep[-1]]):
            copies += 1
        else:
            clashes.append(i)
    problems = [f"{copies} files are copies of another slice and were left out"] if copies else []
    faults = []
    if clashes:
        names = f"{frames[clashes[0] - 1].path.name} and {frames[clashes[0]].path.name}"
        faults.append(
            f"{len(clashes)} positions hold two different images (first: {names}), perhaps two "
            "phases in one series; put one of them into a folder of its own"
        )
    return [frames[i] for i in keep], along[keep], (problems, faults)


def _same_instance(one: Frame, other: Frame) -> bool:
    uid = one.header.text("sop_uid")
    return bool(uid) and uid == other.header.text("sop_uid") and one.index == other.index


def slice_step_mm(frames: list[Frame], along: np.ndarray) -> tuple[float, list[str]]:
    """Distance between slices, and the places where it is not kept."""
    if len(frames) == 1:
        thickness = frames[0].header.number("thickness_mm")
        if thickness and thickness > 0:
            return thickness, []
        return 1.0, ["one slice without Slice Thickness: 1 mm is assumed"]
    steps = np.diff(along)
    step = float(np.median(steps))
    # Positions are often printed with one decimal only; 10 % of a step forgives that.
    odd = np.flatnonzero(np.abs(steps - step) > 0.1 * step)
    if not len(odd):
        return float(steps.mean()), []
    wide = odd[steps[odd] > 1.5 * step]
    if len(wide):
        lost = int(np.rint(steps[wide] / step - 1).sum())
        where = ", ".join(f"{steps[i]:g} mm after {frames[i].path.name}" for i in wide[:3])
        return step, [f"{len(wide)} gaps, about {lost} slices missing ({where}; usual {step:g} mm)"]
    return step, [
        f"slice spacing is not uniform ({steps.min():g} to {steps.max():g} mm, usual {step:g} mm)"
    ]

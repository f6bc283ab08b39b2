"""Read a CT series into HU, or report what a folder holds."""

import math
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ctlab.ct.dicom.gantry_tilt import shear_mm, straightened
from ctlab.ct.dicom.header import Header
from ctlab.ct.dicom.parallel_decode import stream_hu
from ctlab.ct.dicom.series import (
    Found,
    Plan,
    find_series,
    plan_series,
)
from ctlab.ct.hu import HU_MAX, HU_MIN
from ctlab.ct.volume import Acquisition, Volume


@dataclass(frozen=True)
class SeriesReport:
    """What is known about one series; ``problems`` in words, ``readable`` if none is fatal."""

    uid: str
    modality: str
    description: str
    shape: tuple[int, int, int] | None  # (z, y, x)
    spacing_mm: tuple[float, float, float] | None  # (z, y, x)
    hu_min: float | None
    hu_max: float | None
    kvp: float | None
    tube_current_ma: float | None
    exposure_mas: float | None
    ctdivol_mgy: float | None
    kernel: str
    readable: bool
    problems: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """Plain lists and numbers, ready for JSON."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}


def read_series(
    path: str | Path,
    *,
    series_uid: str | Sequence[str] | None = None,
    allow_gaps: bool = False,
    allow_tilt: bool = False,
    straighten: bool = False,
) -> Volume:
    """One CT series in HU, slices sorted by position along the slice normal.

    Parameters
    ----------
    path : folder (searched to the bottom), DICOMDIR, zip, or one file
    series_uid : which series, where the folder holds several; its last characters are enough.
        A list names one for each of many folders: here the one that is in this folder counts
    allow_gaps : accept missing slices and uneven spacing, reported in ``Volume.problems``
    allow_tilt : accept slices that a tilted gantry shifted sideways, as they are: each is right,
        the stack is sheared by ``Volume.shear_mm``
    straighten : resample such slices within their plane so that the stack stands upright

    Raises
    ------
    ValueError
        HU or geometry would be wrong, or it is unclear which series is meant. The message
        says what was found and how to proceed.

    Notes
    -----
    Stored values become HU by each slice's own Rescale Slope and Intercept (DICOM PS3.3,
    C.11.1). Pixels that hold Pixel Padding Value become -1024 HU.
    """
    plan = choose_series(
        find_series(path),
        path,
        series_uid,
        allow_gaps=allow_gaps,
        allow_tilt=allow_tilt or straighten,
    )
    hu = np.empty(plan.shape, np.float32)
    for k, image in enumerate(stream_plan(plan)):
        hu[k] = image
    volume = volume_of(plan, hu)
    if not (straighten and plan.tilts):
        return volume
    if not plan.shifts_mm.any():
        raise ValueError(f"{plan.tilts[0]}, and no positions say how far slices were shifted")
    return straightened(volume, plan.shifts_mm)


def stream_plan(plan: Plan) -> Iterator[np.ndarray]:
    """HU of each slice in order (float32, y, x), one in memory at a time."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield from stream_hu(list(plan.frames))


def choose_series(
    found: Found,
    path: str | Path,
    series_uid: str | Sequence[str] | None,
    *,
    allow_gaps: bool = False,
    allow_tilt: bool = False,
) -> Plan:
    """The one series that is meant, checked.

    Raises
    ------
    ValueError
        There is no CT series, there are several and none was named, or it has a fault.
    """
    uid = _meant(found, path, series_uid)
    plan = plan_series(uid, found.series[uid])
    if plan.faults:
        raise ValueError("; ".join(plan.faults))
    if plan.gaps and not allow_gaps:
        raise ValueError(
            "; ".join(plan.gaps)
            + "; pass allow_gaps=True to read it all the same (on the command line --allow-gaps)"
        )
    if plan.tilts and not allow_tilt:
        raise ValueError(
            f"{plan.tilts[0]}; pass straighten=True to resample it upright, or allow_tilt=True "
            "to take the slices one by one (on the command line --straighten or --allow-tilt)"
        )
    return plan


def named_uids(uids: Iterable[str], wanted: str | Sequence[str] | None) -> list[str]:
    """Those of ``uids`` that end as ``wanted``; all where nothing is wanted.

    Of a list, names of series that are elsewhere are passed over.

    Examples
    --------
    >>> named_uids(["1.2.31", "1.2.41"], "31"), named_uids(["1.2.31"], "5")
    (['1.2.31'], [])
    >>> named_uids(["1.2.31", "1.2.41"], ["5", "41"]), named_uids(["1.2.31"], ["5"])
    (['1.2.41'], ['1.2.31'])
    """
    uids = list(uids)
    ends = (wanted,) if isinstance(wanted, str) else tuple(wanted or ())
    named = [u for u in uids if u.endswith(ends)] if ends else uids
    return named if named or isinstance(wanted, str) else uids


def refuse_unused(wanted: Sequence[str], uids: Iterable[str]) -> None:
    """Raise ``ValueError`` where a name on the list is that of no series that was read."""
    uids = list(uids)
    for end in wanted:
        if not any(u.endswith(end) for u in uids):
            raise ValueError(f"no series ends in {end!r}; those there are: {', '.join(uids)}")


def _meant(found: Found, path: str | Path, series_uid: str | Sequence[str] | None) -> str:
    uids = named_uids(found.series, series_uid)
    if len(uids) == 1:
        return uids[0]
    if not found.series:
        raise ValueError(f"{path} holds no CT series ({_set_aside(found)})")
    listed = "; ".join(
        f"{u} ({_series_text(f[0].header)}, {len(f)} slices)" for u, f in found.series.items()
    )
    if not uids:
        raise ValueError(f"no series in {path} ends in {series_uid!r}; there are: {listed}")
    raise ValueError(
        f"{path} holds {len(uids)} CT series; pass series_uid= to choose (on the command line "
        f"--series): {listed}"
    )


def _series_text(header: Header) -> str:
    return header.text("description") or header.text("kernel") or "no description"


def _set_aside(found: Found) -> str:
    reasons = sorted({reason for files in found.aside.values() for _, reason in files})
    parts = [f"set aside: {', '.join(reasons)}"] if reasons else []
    if found.unreadable:
        parts.append(f"unreadable: {found.unreadable[0]}")
    return "; ".join(parts) or "no images"


def volume_of(plan: Plan, hu: np.ndarray) -> Volume:
    """The volume of a plan and its HU (float32, z, y, x)."""
    first = plan.frames[0]
    of_hu = hu_problems(float(hu.min()), float(hu.max()))
    origin = first.position_mm if len(first.position_mm) == 3 else (0.0, 0.0, 0.0)
    orientation = first.orientation if len(first.orientation) == 6 else (1.0, 0, 0, 0, 1.0, 0)
    return Volume(
        hu=hu,
        spacing_mm=plan.spacing_mm,
        origin_mm=tuple(origin),  # type: ignore[arg-type]
        orientation=tuple(orientation),
        acquisition=acquisition_of(plan),
        sources=tuple(f.path for f in plan.frames),
        problems=plan.problems + plan.gaps + plan.tilts + of_hu,
        shear_mm=shear_mm(plan.shifts_mm),
        current_ma=slice_currents_ma([f.header for f in plan.frames]),
        offsets_mm=_offsets_mm(plan),
    )


def _offsets_mm(plan: Plan) -> tuple[tuple[float, ...], ...]:
    places = [f.position_mm for f in plan.frames]
    if any(len(p) != 3 for p in places):
        return ()
    return tuple(tuple(np.subtract(p, places[0]).tolist()) for p in places)


def slice_currents_ma(headers: list[Header]) -> tuple[float, ...]:
    """Tube current of each slice; empty unless every slice gives one above 0."""
    found = [h.number("tube_current_ma") or 0.0 for h in headers]
    return tuple(found) if all(v > 0 for v in found) else ()


def hu_problems(low: float, high: float) -> tuple[str, ...]:
    """What the range of HU gives away.

    Examples
    --------
    >>> hu_problems(-1024.0, 3071.0)
    ('highest value is 3071 HU, the ceiling of 12 bits: denser parts were clipped',)
    """
    return (*_low_problems(low, high), *_high_problems(high))


def _high_problems(high: float) -> tuple[str, ...]:
    if high == HU_MAX:
        return (
            f"highest value is {high:.0f} HU, the ceiling of 12 bits: denser parts were clipped",
        )
    return ()


def _low_problems(low: float, high: float) -> tuple[str, ...]:
    if low < HU_MIN - 1:
        return (f"lowest value is {low:.0f} HU: fill outside the field of view, or a wrong offset",)
    if low > -200:
        return (f"lowest value is {low:.0f} HU: no air in the image, or a wrong offset",)
    if high < -200:
        return (f"highest value is {high:.0f} HU: no tissue in the image, or a wrong offset",)
    return ()


def acquisition_of(plan: Plan) -> Acquisition:
    """Header facts of a series; tube current and exposure are means over slices."""
    headers = [f.header for f in plan.frames]
    first = headers[0]
    return Acquisition(
        series_uid=plan.uid,
        study_uid=first.text("study_uid"),
        frame_of_reference_uid=first.text("frame_of_reference_uid"),
        patient_id=first.text("patient_id"),
        description=first.text("description"),
        manufacturer=first.text("manufacturer"),
        model=first.text("model"),
        kernel=first.text("kernel"),
        kvp=first.number("kvp"),
        tube_current_ma=mean_of(headers, "tube_current_ma"),
        exposure_mas=mean_of(headers, "exposure_mas"),
        ctdivol_mgy=mean_of(headers, "ctdivol_mgy"),
    )


def mean_of(headers: list[Header], name: str) -> float | None:
    """Mean over the slices that say it."""
    values = [v for v in (h.number(name) for h in headers) if v is not None]
    return math.fsum(values) / len(values) if values else None


def inspect_folder(path: str | Path) -> list[SeriesReport]:
    """One report per series below ``path``, also for what is no CT or cannot be read.

    Raises
    ------
    ValueError
        The path does not exist, holds no files, or none of them is DICOM.
    """
    found = find_series(path)
    reports = [report_series(uid, found) for uid in found.series]
    reports += [_report_aside(uid, found) for uid in found.aside if uid not in found.series]
    if not reports:
        raise ValueError(f"{path} holds no readable DICOM image ({_set_aside(found)})")
    return reports


def report_series(uid: str, found: Found) -> SeriesReport:
    """Read one series through, slice by slice, and say what was found."""
    plan = plan_series(uid, found.series[uid])
    problems = [*plan.faults, *plan.gaps, *plan.tilts, *plan.problems]
    low, high = math.inf, -math.inf
    readable = not plan.faults
    if readable:
        try:
            for image in stream_plan(plan):
                low, high = min(low, float(image.min())), max(high, float(image.max()))
            problems += hu_problems(low, high)
        except ValueError as error:
            problems.append(str(error))
            readable = False
    problems += [f"{path.name} set aside: {why}" for path, why in found.aside.get(uid, [])]
    problems += found.unreadable
    facts = acquisition_of(plan)
    settled = not math.isnan(plan.spacing_mm[0])
    return SeriesReport(
        uid=uid,
        modality=plan.frames[0].header.text("modality") or "CT",
        description=facts.description,
        shape=plan.shape,
        spacing_mm=plan.spacing_mm if settled else None,
        hu_min=low if readable else None,
        hu_max=high if readable else None,
        kvp=facts.kvp,
        tube_current_ma=facts.tube_current_ma,
        exposure_mas=facts.exposure_mas,
        ctdivol_mgy=facts.ctdivol_mgy,
        kernel=facts.kernel,
        readable=readable,
        problems=tuple(problems),
    )


def _report_aside(uid: str, found: Found) -> SeriesReport:
    files = found.aside[uid]
    reasons = sorted({why for _, why in files})
    return SeriesReport(
        uid=uid,
        modality=reasons[0],
        description="",
        shape=None,
        spacing_mm=None,
        hu_min=None,
        hu_max=None,
        kvp=None,
        tube_current_ma=None,
        exposure_mas=None,
        ctdivol_mgy=None,
        kernel="",
        readable=False,
        problems=tuple(f"{len(files)} files set aside: {why}" for why in reasons),
    )

"""Read a CT series into HU."""

import math
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ctlab.ct.dicom.checks.completeness import fewer_than_declared
from ctlab.ct.dicom.checks.placement import is_placed
from ctlab.ct.dicom.frames import Frame
from ctlab.ct.dicom.gantry_tilt import shear_mm, straightened
from ctlab.ct.dicom.header import Header
from ctlab.ct.dicom.pixels.decode import padding_range_hu
from ctlab.ct.dicom.pixels.parallel_decode import stream_hu
from ctlab.ct.dicom.slice_order import (
    Contents,
    Plan,
    find_series,
    plan_series,
    whole_uid,
)
from ctlab.ct.hu import HU_MAX, HU_MIN
from ctlab.ct.volume import Acquisition, Volume


def read_series(
    path: str | Path,
    *,
    series_uid: str | Sequence[str] | None = None,
    allow_gaps: bool = False,
    allow_tilt: bool = False,
    straighten: bool = False,
    skip_damaged: bool = False,
    allow_other_units: bool = False,
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
    skip_damaged : leave out files that are cut short or cannot be read, reported in
        ``Volume.problems``
    allow_other_units : read images whose values are no HU (material density, perfusion, effective
        atomic number), too; ``Volume.units`` says what they are

    Raises
    ------
    ValueError
        HU or geometry would be wrong, or it is unclear which series is meant. The message
        says what was found and how to proceed.

    Notes
    -----
    Stored values become HU by each slice's own Rescale Slope and Intercept (DICOM PS3.3,
    C.11.1). Pixels that hold Pixel Padding Value become -1024 HU; where tissue can have that
    value, too, only those of areas that reach a corner of the image.
    """
    plan = choose_series(
        find_series(path),
        path,
        series_uid,
        allow_gaps=allow_gaps,
        allow_tilt=allow_tilt or straighten,
        skip_damaged=skip_damaged,
        allow_other_units=allow_other_units,
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
    return _quietly(plan.frames)


def _quietly(frames: Iterable[Frame]) -> Iterator[np.ndarray]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield from stream_hu(list(frames))


def choose_series(
    contents: Contents,
    path: str | Path,
    series_uid: str | Sequence[str] | None,
    *,
    allow_gaps: bool = False,
    allow_tilt: bool = False,
    skip_damaged: bool = False,
    allow_other_units: bool = False,
) -> Plan:
    """The one series that is meant, checked; its problems tell what was left out.

    Raises
    ------
    ValueError
        There is no CT series, there are several and none was named, or it has a fault.
    """
    uid = _meant(contents, path, series_uid)
    damaged = contents.damage_of(uid) + ([] if series_uid else contents.lost_series())
    if damaged and not skip_damaged:
        raise ValueError(
            f"expected whole files, got {len(damaged)} damaged or without pixels: {damaged[0]}; "
            "or pass skip_damaged=True to leave them out (on the command line --skip-damaged)"
        )
    frames = contents.series[uid]
    if skip_damaged:
        bad = undecodable(frames)
        damaged += bad.values()
        frames = [f for f in frames if f.name not in bad]
        if not frames:
            raise ValueError(f"no slice of the series can be read: {damaged[0]}")
    plan = plan_series(uid, frames)
    if plan.units and not allow_other_units:
        raise ValueError(
            f"expected HU, got {plan.units} as the type of rescaled values; choose a series in HU, "
            "or in Python pass allow_other_units=True to read the values as they are"
        )
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
    left_out = tuple(f"left out: {text}" for text in damaged)
    return replace(plan, problems=(*plan.problems, *left_out, *aside_problems(contents, uid)))


def undecodable(frames: Iterable[Frame]) -> dict[str, str]:
    """Name and sentence of each image whose encoded pixels cannot be decoded."""
    bad = {}
    for frame in frames:
        if frame.header.pixel_offset is not None:  # not encoded, and its length has been checked
            continue
        try:
            next(_quietly([frame]))
        except ValueError as error:
            bad[frame.name] = str(error)
    return bad


def aside_problems(contents: Contents, uid: str) -> list[str]:
    """A finding for each file of the series that is no CT slice, or that is not there."""
    known = whole_uid(uid)
    aside = contents.aside.get(known, [])
    frames = [f for u, part in contents.series.items() if whole_uid(u) == known for f in part]
    others = len({path for path, _ in aside}) + len(contents.damage_of(uid))
    return [
        *(f"{path.name} set aside: {why}" for path, why in aside),
        *fewer_than_declared(frames, others),
    ]


def named_uids(uids: Iterable[str], endings: str | Sequence[str] | None) -> list[str]:
    """Those of ``uids`` that end as ``endings``; all where none is named.

    Of a list, names of series that are elsewhere are passed over.

    Examples
    --------
    >>> named_uids(["1.2.31", "1.2.41"], "31"), named_uids(["1.2.31"], "5")
    (['1.2.31'], [])
    >>> named_uids(["1.2.31", "1.2.41"], ["5", "41"]), named_uids(["1.2.31"], ["5"])
    (['1.2.41'], ['1.2.31'])
    """
    uids = list(uids)
    ends = (endings,) if isinstance(endings, str) else tuple(endings or ())
    named = [u for u in uids if _ends(u, ends)] if ends else uids
    return named if named or isinstance(endings, str) else uids


def _ends(uid: str, ends: tuple[str, ...]) -> bool:
    return uid.endswith(ends) or whole_uid(uid).endswith(ends)


def refuse_unused(endings: Sequence[str], uids: Iterable[str]) -> None:
    """Raise ``ValueError`` where a name on the list is that of no series that was read."""
    uids = list(uids)
    for end in endings:
        if not any(_ends(u, (end,)) for u in uids):
            raise ValueError(f"no series ends in {end!r}; those there are: {', '.join(uids)}")


def _meant(contents: Contents, path: str | Path, series_uid: str | Sequence[str] | None) -> str:
    uids = named_uids(contents.series, series_uid)
    if len(uids) == 1:
        return uids[0]
    if not contents.series:
        raise ValueError(f"{path} holds no CT series ({set_aside(contents)})")
    listed = "; ".join(
        f"{u} ({_series_text(f[0].header)}, {len(f)} slices)" for u, f in contents.series.items()
    )
    if not uids:
        raise ValueError(f"no series in {path} ends in {series_uid!r}; there are: {listed}")
    raise ValueError(
        f"{path} holds {len(uids)} CT series; pass series_uid= to choose (on the command line "
        f"--series): {listed}"
    )


def _series_text(header: Header) -> str:
    return header.text("description") or header.text("kernel") or "no description"


def set_aside(contents: Contents) -> str:
    """What a folder without a CT series holds, in words."""
    reasons = sorted({reason for files in contents.aside.values() for _, reason in files})
    parts = [f"set aside: {', '.join(reasons)}"] if reasons else []
    if contents.damaged:
        parts.append(f"{len(contents.damaged)} damaged, first: {contents.damaged[0][1]}")
    return "; ".join(parts) or "no images"


def volume_of(plan: Plan, hu: np.ndarray) -> Volume:
    """The volume of a plan and its HU (float32, z, y, x)."""
    first = plan.frames[0]
    problems = plan.problems + plan.gaps + plan.tilts
    if len(hu) == len(plan.frames) and not plan.units:
        tally = HuTally()
        for frame, image in zip(plan.frames, hu, strict=True):
            tally.add(frame, image)
        problems += tally.problems()
    x_mm, y_mm, z_mm = first.position_mm if len(first.position_mm) == 3 else (0.0, 0.0, 0.0)
    orientation = first.orientation if len(first.orientation) == 6 else (1.0, 0, 0, 0, 1.0, 0)
    return Volume(
        hu=hu,
        spacing_mm=plan.spacing_mm,
        origin_mm=(x_mm, y_mm, z_mm),
        orientation=tuple(orientation),
        acquisition=acquisition_of(plan),
        sources=tuple(f.path for f in plan.frames),
        source_frames=tuple(f.index for f in plan.frames),
        problems=problems,
        shear_mm=shear_mm(plan.shifts_mm),
        current_ma=slice_currents_ma([f.header for f in plan.frames]),
        offsets_mm=_offsets_mm(plan),
        units=plan.units or "HU",
        is_placed=is_placed(list(plan.frames)),
    )


def _offsets_mm(plan: Plan) -> tuple[tuple[float, ...], ...]:
    places = [f.position_mm for f in plan.frames]
    if any(len(p) != 3 for p in places):
        return ()
    return tuple(tuple(np.subtract(p, places[0]).tolist()) for p in places)


@dataclass
class HuTally:
    """Lowest and highest HU, and padding within the body, of slices as they are read."""

    low: float = math.inf
    high: float = -math.inf
    padding: int = 0
    slices: int = 0

    def add(self, frame: Frame, hu: np.ndarray) -> None:
        """Take up one slice."""
        self.low, self.high = min(self.low, float(hu.min())), max(self.high, float(hu.max()))
        self.padding += count_padding(frame, hu)
        self.slices += 1

    def problems(self) -> tuple[str, ...]:
        """What the values give away."""
        return hu_problems(self.low, self.high) + padding_problems(self.padding, self.slices)


def tallied(plan: Plan, tally: HuTally) -> Iterator[np.ndarray]:
    """As :func:`stream_plan`, each slice taken up as it passes."""
    for frame, image in zip(plan.frames, stream_plan(plan), strict=True):
        tally.add(frame, image)
        yield image


def count_padding(frame: Frame, hu: np.ndarray) -> int:
    """Pixels that hold the padding value and were taken for tissue (:func:`padding_range_hu`)."""
    limits = padding_range_hu(frame)
    return 0 if limits is None else int(((hu >= limits[0]) & (hu <= limits[1])).sum())


def padding_problems(pixels: int, slices: int) -> tuple[str, ...]:
    """What padding values within the body give away.

    Examples
    --------
    >>> padding_problems(7, 2)
    ('7 pixels in 2 slices hold the padding value within the image: they are kept as HU',)
    """
    if not pixels:
        return ()
    return (
        f"{pixels} pixels in {slices} slices hold the padding value within the image: they are "
        "kept as HU",
    )


def slice_currents_ma(headers: list[Header]) -> tuple[float, ...]:
    """Tube current of each slice; empty unless every slice gives one above 0."""
    currents = [h.number("tube_current_ma") or 0.0 for h in headers]
    return tuple(currents) if all(v > 0 for v in currents) else ()


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

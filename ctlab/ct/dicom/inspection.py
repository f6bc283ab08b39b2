"""What a folder of DICOM holds, series by series, and what is wrong with it."""

import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ctlab.ct.dicom.read import (
    HuTally,
    acquisition_of,
    aside_problems,
    set_aside,
    tallied,
    undecodable,
)
from ctlab.ct.dicom.slice_order import Contents, find_series, plan_series, whole_uid


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


def inspect_folder(path: str | Path) -> list[SeriesReport]:
    """One report per series below ``path``, also for what is no CT or cannot be read.

    Raises
    ------
    ValueError
        The path does not exist, holds no files, or none of them is DICOM.
    """
    contents = find_series(path)
    reports = [report_series(uid, contents) for uid in contents.series]
    known = {whole_uid(uid) for uid in contents.series}
    others = {**contents.aside, **{uid: [] for uid, _ in contents.damaged if uid}}
    reports += [_report_others(uid, contents) for uid in others if uid not in known]
    if not (contents.series or contents.aside):
        raise ValueError(f"{path} holds no readable DICOM image ({set_aside(contents)})")
    return reports


def report_series(uid: str, contents: Contents) -> SeriesReport:
    """Read one series through, slice by slice, and say what was contents."""
    plan = plan_series(uid, contents.series[uid])
    problems = [*plan.faults, *plan.gaps, *plan.tilts, *plan.problems]
    if plan.units:
        problems.insert(0, f"expected HU, got {plan.units}: values are of another kind")
    tally = HuTally()
    damaged = contents.damage_of(uid)
    readable = not (plan.faults or plan.units or damaged)
    if readable:
        try:
            for _ in tallied(plan, tally):
                continue
            problems += tally.problems()
        except ValueError as error:
            problems += list(undecodable(plan.frames).values()) or [str(error)]
            readable = False
    problems += [*aside_problems(contents, uid), *damaged]
    facts = acquisition_of(plan)
    settled = not math.isnan(plan.spacing_mm[0])
    return SeriesReport(
        uid=uid,
        modality=plan.frames[0].header.text("modality") or "CT",
        description=facts.description,
        shape=plan.shape,
        spacing_mm=plan.spacing_mm if settled else None,
        hu_min=tally.low if readable else None,
        hu_max=tally.high if readable else None,
        kvp=facts.kvp,
        tube_current_ma=facts.tube_current_ma,
        exposure_mas=facts.exposure_mas,
        ctdivol_mgy=facts.ctdivol_mgy,
        kernel=facts.kernel,
        readable=readable,
        problems=tuple(problems),
    )


def _report_others(uid: str, contents: Contents) -> SeriesReport:
    """A series without a slice that can be read: what its files are."""
    files = contents.aside.get(uid, [])
    reasons = sorted({why for _, why in files})
    damaged = contents.damage_of(uid) if uid or not contents.series else []
    return SeriesReport(
        uid=uid,
        modality=reasons[0] if reasons else "damaged",
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
        problems=(*(f"{_files(files, why)} set aside: {why}" for why in reasons), *damaged),
    )


def _files(files: list[tuple[Path, str]], reason: str) -> str:
    count = sum(why == reason for _, why in files)
    return f"{count} file{'' if count == 1 else 's'}"

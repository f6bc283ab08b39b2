"""The passport itself: made from series and a denoiser, written and read."""

import json
import math
from collections.abc import Collection, Mapping, Sequence, Set
from dataclasses import dataclass, field
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from ctlab.console import Progress
from ctlab.ct import LUNG_ROI_HU, Volume, find_rois, simulate_dose
from ctlab.ct.denoiser import DenoiseImages, Denoiser, behaviour
from ctlab.files import fresh_folder, plain, write_json
from ctlab.input_files import check_keys, check_kinds, declared, read_json
from ctlab.passport import page
from ctlab.passport.bench import NEEDS, Bench, Finding
from ctlab.passport.checks import CHECKS
from ctlab.passport.facts import gather_facts
from ctlab.passport.limits import DEFAULT_LIMITS, Limit
from ctlab.passport.patient_scan import PatientScan, make_patient_scan

FORMAT_VERSION = 1
NOT_ASKED = "not asked for; leave --checks out to make every check"
CROP_PX, _TRIES = 128, 700
"""A black box is asked so often, about a crop of this size around the region of its map."""

NEIGHBOURS = 12  # slices looked at for bands along z


@dataclass(frozen=True)
class Passport:
    """Every check of one checkpoint on given series.

    Attributes
    ----------
    checks : list of dict
        ``name, value, limit, passed, unit, note, source``; value and passed are None where a
        check could not be made, and the note says why.
    facts : dict
        Checkpoint, card, data and code hashes, dose, seed, machine.
    tables : dict from a name to rows
    pictures : dict from a name to RGB uint8
    """

    checks: list[dict[str, Any]]
    facts: dict[str, Any]
    tables: dict[str, list[dict[str, Any]]]
    pictures: dict[str, np.ndarray] = field(default_factory=dict, repr=False)

    @property
    def passed(self) -> bool:
        """Whether no check failed; one that could not be made counts as neither."""
        return all(check["passed"] is not False for check in self.checks)

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON; numbers that are not finite become null."""
        content: dict[str, Any] = {"format_version": FORMAT_VERSION, "passed": self.passed}
        content |= {"facts": self.facts, "checks": self.checks, "tables": self.tables}
        return {name: plain(value) for name, value in content.items()}


def make_passport(
    volumes: Sequence[Volume],
    model: Any = None,
    *,
    method: str = "model",
    dose: float = 0.1,
    slices: int = 8,
    limits: Mapping[str, Limit] = DEFAULT_LIMITS,
    seed: int = 0,
    only: Collection[str] = (),
    progress: Progress | None = None,
) -> Passport:
    """All checks of a denoiser on reference-dose series, whose low dose is simulated.

    Parameters
    ----------
    volumes : one series a patient
    model : Denoiser or Checkpoint, optional
        See :func:`ctlab.workflows.model_spec.load_denoiser`. None takes the network that ships.
    method : str
        ``"model"``, or a filter of :data:`ctlab.classic.METHODS` to compare a model with.
    dose : float
        Dose fraction simulated, 0 < dose < 1.
    slices : int
        Of each series, spread evenly; side by side, from its middle, where the denoiser's answer
        depends on neighbours. Memory and time depend on it and not on the series' length.
    limits : see :func:`ctlab.passport.read_limits`
    only : families of :data:`ctlab.passport.checks.CHECKS` to make, and ``explanation``; none
        makes all. Rows of the others say that they were not asked for

    Raises
    ------
    ValueError
        No series, a dose outside the open interval, no slices, an unknown method, a checkpoint
        given to a filter, or a denoiser that fails on the series.
    """
    if not volumes or not 0 < dose < 1 or slices < 1:
        raise ValueError(
            f"pass 1 or more series, 0 < dose < 1 and 1 or more slices, got {len(volumes)} series, "
            f"dose {dose:g} and {slices} slices"
        )
    _check_families(only)
    rng = np.random.default_rng(seed)
    denoiser = _under_test(model, method, volumes[0], dose, rng)
    steps = len(volumes) + len(CHECKS) + 1
    scans: list[PatientScan] = []
    sees_neighbours = _sees_neighbours(denoiser)
    for volume in volumes:
        scans.append(
            make_patient_scan(
                volume,
                partial(denoiser.alone, spacing_mm=volume.spacing_mm),
                dose=dose,
                slices=slices,
                rng=rng,
                neighbours=0 if scans else NEIGHBOURS,
                together=partial(denoiser, spacing_mm=volume.spacing_mm),
                adjacent=sees_neighbours,
            )
        )
        _tell(progress, len(scans), steps)
    checks, tables = measure(
        scans,
        partial(denoiser.alone, spacing_mm=volumes[0].spacing_mm),
        together=partial(denoiser, spacing_mm=volumes[0].spacing_mm),
        limits=limits,
        seed=seed,
        only=only,
        progress=progress,
    )
    if sees_neighbours:
        _say_alone(checks)
    is_asked = not only or "explanation" in only
    explained, audit, picture = _explanation(denoiser if is_asked else None, scans[0], limits, seed)
    _tell(progress, steps, steps)
    facts = gather_facts(denoiser, volumes, scans[0], dose=dose, slices=slices, seed=seed)
    pictures = page.views(scans[0]) | page.curves(tables)
    if picture is not None:
        pictures["explanation"] = picture
        tables["explanation audit"] = audit
    return Passport([*checks, explained], facts, tables, pictures)


def _sees_neighbours(denoiser: Denoiser) -> bool:
    """Whether the answer to a slice depends on its neighbours: as stated, else as measured."""
    if denoiser.slices is not None:
        return denoiser.slices > 1
    try:
        return behaviour(denoiser).sees_neighbours
    except ValueError:  # it refuses small images: then it is given neighbours
        return True


def _say_alone(checks: list[dict[str, Any]]) -> None:
    """Say of numbers from single images that a denoiser of stacks had no neighbours there."""
    alone = {n for c in CHECKS.values() if c.needs == {"answers"} for n in c.names}
    for check in checks:
        if check["name"] in alone and check["value"] is not None:
            said = "asked for single images, without the neighbours that it would see"
            check["note"] = "; ".join(filter(None, (check["note"], said)))


def _under_test(
    model: Any, method: str, volume: Volume, dose: float, rng: np.random.Generator
) -> Denoiser:
    """The denoiser that was asked for, set for the low-dose noise of a series where needed."""
    from ctlab.workflows.model_spec import classic_filter, own_network

    if isinstance(model, Denoiser):
        denoiser = model
    elif method == "model":
        denoiser = own_network(model)
    elif model is not None:
        raise ValueError(f"a checkpoint belongs to the model; the filter {method!r} has none")
    else:
        denoiser = classic_filter(method)
    if denoiser.tune is None:
        return denoiser
    middle = len(volume.hu) // 2
    few = volume.slices(max(0, middle - 1), min(middle + 2, len(volume.hu)))
    return denoiser.tuned_to(simulate_dose(few, dose, rng=rng))


def measure(
    scans: list[PatientScan],
    denoise: DenoiseImages,
    *,
    together: DenoiseImages | None = None,
    limits: Mapping[str, Limit] = DEFAULT_LIMITS,
    seed: int = 0,
    progress: Progress | None = None,
    offers: Set[str] = NEEDS.keys(),
    only: Collection[str] = (),
) -> tuple[list[dict[str, Any]], dict[str, list[dict[str, Any]]]]:
    """Checks and tables of any denoiser on scans; no check stops the others.

    ``offers`` names what there is of :data:`ctlab.passport.bench.NEEDS`; a check that needs more
    is left out, and says what it would need.
    """
    rows: list[dict[str, Any]] = []
    tables: dict[str, list[dict[str, Any]]] = {}
    for k, (family, check) in enumerate(CHECKS.items()):
        missing = [NEEDS[name] for name in sorted(check.needs - offers)]
        try:
            if only and family not in only:
                raise ValueError(NOT_ASKED)
            if missing:
                raise ValueError(f"needs {' and '.join(missing)}")
            rng = np.random.default_rng([seed, k])
            finding = check.measure(Bench(scans, denoise, rng, together))
        except ValueError as error:  # these series cannot answer this check: said in its row
            reason = dict.fromkeys(check.names, str(error))
            finding = Finding(dict.fromkeys(check.names), reason)
        rows += [_row(n, v, finding.notes.get(n, ""), limits[n]) for n, v in finding.values.items()]
        tables |= finding.tables
        _tell(progress, len(scans) + k + 1, len(scans) + len(CHECKS) + 1)
    return rows, tables


def passport_schema() -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of ``passport.json``; its ``$id`` names the format.

    Examples
    --------
    >>> passport_schema()["$id"]
    'urn:ctlab:passport:1'
    """
    text = files("ctlab.passport").joinpath("passport.schema.json").read_text("utf-8")
    found: dict[str, Any] = json.loads(text)
    return found


def _check_families(only: Collection[str]) -> None:
    known = {*CHECKS, "explanation"}
    if unknown := sorted(set(only) - known):
        raise ValueError(
            f"expected checks of {', '.join([*CHECKS, 'explanation'])}, got {', '.join(unknown)}; "
            "name some of these"
        )


def write_passport(passport: Passport, out: str | Path, *, overwrite: bool = False) -> None:
    """Writes ``passport.json``, ``index.html`` and its pictures into a new folder."""
    with fresh_folder(out, overwrite=overwrite) as folder:
        write_json(folder / "passport.json", passport.as_dict())
        for name, rgb in passport.pictures.items():
            page.save_png(rgb, folder / f"{name}.png")
        html = page.page(passport.as_dict(), list(passport.pictures))
        (folder / "index.html").write_text(html, encoding="utf-8")


def read_passport(path: str | Path) -> Passport:
    """Passport from its ``passport.json`` or the folder that holds it; pictures stay there."""
    path = Path(path)
    path = path / "passport.json" if path.is_dir() else path
    content = read_json(path, "is no passport")
    written = content.get("format_version")
    if not isinstance(written, int) or written > FORMAT_VERSION:
        raise ValueError(
            f"{path} is no passport this version reads: format {written}, known up to "
            f"{FORMAT_VERSION}"
        )
    with declared(path, "is no passport"):
        _check_content(content)
    return Passport(content["checks"], content["facts"], content["tables"])


def _check_content(content: dict[str, Any]) -> None:
    """Raise ``ValueError`` where a passport lacks what its readers use."""
    check_keys(content, {"checks": list, "facts": dict, "tables": dict})
    text, number = str, int | float | None
    kinds = {"name": text, "limit": text, "unit": text, "note": text, "value": number}
    for check in content["checks"]:
        check_keys(check, {**kinds, "passed": object})
        value, passed = check["value"], check["passed"]
        if not isinstance(passed, bool | None) or (value is None) != (passed is None):
            raise ValueError(f"{check['name']} has the value {value} and passed {passed}")
    check_keys(content["facts"], {"data": list, "dose": number})
    check_kinds(content["facts"], {"denoiser": text})
    for series in content["facts"]["data"]:
        check_keys(series, {"sha256": text})
    if not content["checks"]:
        raise ValueError("it holds no check")
    for name, rows in content["tables"].items():
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise ValueError(f"{name} is no table")


def _row(name: str, value: float | None, note: str, limit: Limit) -> dict[str, Any]:
    known = value is not None and math.isfinite(value)
    return {
        "name": name,
        "value": value if known else None,
        "limit": str(limit),
        "passed": limit.allows(float(value)) if known else None,  # type: ignore[arg-type]  # known
        "unit": limit.unit,
        "note": note,
        "source": limit.source,
    }


def unexplained(note: str, limits: Mapping[str, Limit]) -> dict[str, Any]:
    """The row of the map's audit where none could be made, with the reason."""
    name = "explanation better than chance"
    return _row(name, None, note, limits[name])


def _explanation(
    denoiser: Denoiser | None, scan: PatientScan, limits: Mapping[str, Limit], seed: int
) -> tuple[dict[str, Any], list[dict[str, Any]], np.ndarray | None]:
    """Audit of the default map on a disc of lung: a check, its numbers, and its picture or None."""
    name = "explanation better than chance"
    if denoiser is None:
        return unexplained(NOT_ASKED, limits), [], None
    minutes = _TRIES * CROP_PX**2 * scan.seconds_per_slice / scan.low[0].size / 60
    if denoiser.checkpoint is None and (denoiser.kind == "command" or minutes > 1):
        note = (
            f"{denoiser.name} shows no layers, and takes too long to be asked {_TRIES} times; "
            "needs a faster denoiser, or time: ctlab explain --model"
        )
        return unexplained(note, limits), [], None
    k = len(scan.low) // 2
    corners = find_rois(scan.full.hu[k], LUNG_ROI_HU, size_px=32)
    if len(corners) == 0:
        note = "no lung of 32 px was found in the middle slice"
        return unexplained(note, limits), [], None
    from ctlab.explain import (
        AuditPlan,
        DenoiserProbe,
        explain_black_box,
        explain_region,
        picture,
    )
    from ctlab.explain.explanation_page import check_rows

    y, x = corners[len(corners) // 2]
    disc, plan = (int(y) + 16, int(x) + 16, 8), AuditPlan(seed=seed)
    if denoiser.checkpoint is None:
        top, left = (
            int(np.clip(c - CROP_PX // 2, 0, max(0, n - CROP_PX)))
            for c, n in zip(disc, scan.low[k].shape, strict=False)
        )
        crop = scan.low[k, top : top + CROP_PX, left : left + CROP_PX].astype(np.float32)
        alone = partial(denoiser.alone, spacing_mm=scan.full.spacing_mm)
        try:
            centre = disc[0] - top, disc[1] - left
            explanation = explain_black_box(alone, crop, (*centre, 8), plan=plan)
        except ValueError as error:  # it may refuse small images
            return unexplained(str(error), limits), [], None
    else:
        probe = DenoiserProbe(denoiser.checkpoint)
        near = probe.of_stack(scan.low[k : k + 1], 0)  # its own neighbour, where one is wanted
        explanation = explain_region(probe, near, disc, plan=plan)
    value = float(explanation.verdict != "no better than chance")
    audit = [
        dict(zip(("check", "numbers", "shown"), r, strict=True)) for r in check_rows(explanation)
    ]
    return _row(name, value, explanation.in_words(), limits[name]), audit, picture(explanation)


def _tell(progress: Progress | None, done: int, total: int) -> None:
    if progress is not None:
        progress(done, total)


def risk_factor_of(path: str | Path) -> float:
    """The larger of a passport's two calibrated factors: score times it bounds the error in HU.

    Raises
    ------
    ValueError
        No passport, or one without the check of risk.
    """
    rows = read_passport(path).tables.get("risk", [])
    with declared(path, "has no calibrated risk", "make the passport with the check risk"):
        return float(max(row["factor"] for row in rows))

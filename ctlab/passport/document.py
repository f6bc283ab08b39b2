"""The passport itself: made from series and a denoiser, written and read."""

import json
import math
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ctlab.console import Progress
from ctlab.ct import LUNG_ROI_HU, Volume, find_rois, simulate_dose
from ctlab.ct.denoiser import DenoiseImages, Denoiser
from ctlab.files import fresh_folder, plain, write_json
from ctlab.passport import page
from ctlab.passport.checks import CHECKS, NEEDS, Bench, Finding
from ctlab.passport.facts import gather_facts
from ctlab.passport.limits import DEFAULT_LIMITS, Limit
from ctlab.passport.patient_scan import PatientScan, make_patient_scan

FORMAT_VERSION = 1
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
        Of each series, spread evenly: memory and time depend on it and not on the series' length.
    limits : see :func:`ctlab.passport.read_limits`

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
    rng = np.random.default_rng(seed)
    denoiser = _under_test(model, method, volumes[0], dose, rng)
    steps = len(volumes) + len(CHECKS) + 1
    scans: list[PatientScan] = []
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
            )
        )
        _tell(progress, len(scans), steps)
    denoise = partial(denoiser.alone, spacing_mm=volumes[0].spacing_mm)
    checks, tables = measure(scans, denoise, limits=limits, seed=seed, progress=progress)
    explained, audit, picture = _explanation(denoiser, scans[0], limits, seed)
    _tell(progress, steps, steps)
    facts = gather_facts(denoiser, volumes, scans[0], dose=dose, slices=slices, seed=seed)
    pictures = page.views(scans[0]) | page.curves(tables)
    if picture is not None:
        pictures["explanation"] = picture
        tables["explanation audit"] = audit
    return Passport([*checks, explained], facts, tables, pictures)


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
    limits: Mapping[str, Limit] = DEFAULT_LIMITS,
    seed: int = 0,
    progress: Progress | None = None,
    offers: Set[str] = NEEDS.keys(),
) -> tuple[list[dict[str, Any]], dict[str, list[dict[str, Any]]]]:
    """Checks and tables of any denoiser on scans; no check stops the others.

    ``offers`` names what there is of :data:`ctlab.passport.checks.NEEDS`; a check that needs more
    is left out, and says what it would need.
    """
    rows: list[dict[str, Any]] = []
    tables: dict[str, list[dict[str, Any]]] = {}
    for k, check in enumerate(CHECKS.values()):
        missing = [NEEDS[name] for name in sorted(check.needs - offers)]
        try:
            if missing:
                raise ValueError(f"needs {' and '.join(missing)}")
            finding = check.measure(Bench(scans, denoise, np.random.default_rng([seed, k])))
        except ValueError as error:  # these series cannot answer this check: said in its row
            reason = dict.fromkeys(check.names, str(error))
            finding = Finding(dict.fromkeys(check.names), reason)
        rows += [_row(n, v, finding.notes.get(n, ""), limits[n]) for n, v in finding.values.items()]
        tables |= finding.tables
        _tell(progress, len(scans) + k + 1, len(scans) + len(CHECKS) + 1)
    return rows, tables


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
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise ValueError(f"{path} is no passport: {error}") from error
    written = content.get("format_version") if isinstance(content, dict) else None
    if not isinstance(written, int) or written > FORMAT_VERSION:
        raise ValueError(
            f"{path} is no passport this version reads: format {written}, known up to "
            f"{FORMAT_VERSION}"
        )
    return Passport(content["checks"], content["facts"], content["tables"])


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
    denoiser: Denoiser, scan: PatientScan, limits: Mapping[str, Limit], seed: int
) -> tuple[dict[str, Any], list[dict[str, Any]], np.ndarray | None]:
    """Audit of the default map on a disc of lung: a check, its numbers, and its picture or None."""
    name = "explanation better than chance"
    if denoiser.checkpoint is None:
        note = f"{denoiser.name} shows no layers: a map and its audit need a checkpoint of the kit"
        return unexplained(note, limits), [], None
    k = len(scan.low) // 2
    corners = find_rois(scan.full.hu[k], LUNG_ROI_HU, size_px=32)
    if len(corners) == 0:
        note = "no lung of 32 px was found in the middle slice"
        return unexplained(note, limits), [], None
    from ctlab.explain import (
        AuditPlan,
        DenoiserProbe,
        explain_region,
        picture,
    )
    from ctlab.explain.explanation_page import check_rows

    y, x = corners[len(corners) // 2]
    probe = DenoiserProbe(denoiser.checkpoint)
    explanation = explain_region(
        probe,
        probe.of_stack(scan.low[k : k + 1], 0),  # its own neighbour, where one is wanted
        (int(y) + 16, int(x) + 16, 8),
        plan=AuditPlan(seed=seed),
    )
    value = float(explanation.verdict != "no better than chance")
    audit = [
        dict(zip(("check", "numbers", "shown"), r, strict=True)) for r in check_rows(explanation)
    ]
    return _row(name, value, explanation.in_words(), limits[name]), audit, picture(explanation)


def _tell(progress: Progress | None, done: int, total: int) -> None:
    if progress is not None:
        progress(done, total)

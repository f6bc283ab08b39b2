"""Commands that judge a denoised series or a denoiser: evaluate, explain, passport."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ctlab.cli.options import (
    After,
    AllowGaps,
    AllowTilt,
    Before,
    Box,
    Checkpoint,
    Checkpoints,
    Compare,
    Disc,
    Dose,
    Exec,
    HigherDose,
    Json,
    Layer,
    Limits,
    MapDicom,
    MapMethod,
    MapOut,
    Mask,
    MaybeFolder,
    Methods,
    Model,
    Models,
    Nodule,
    OnSample,
    Overwrite,
    Page,
    Patients,
    Seed,
    Series,
    SeriesOfEach,
    SkipDamaged,
    Slice,
    SlicesOfEach,
    Straighten,
    Target,
    TimeLimit,
    one_spec,
)
from ctlab.console import emit, number_or_dash, say, say_problems, table, working

if TYPE_CHECKING:
    from ctlab.ct.denoiser import Denoiser
    from ctlab.passport import Passport


def evaluate(
    reference: Annotated[Path, typer.Argument(metavar="REFERENCE_DIR", help="reference series")],
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE_DIR...", help="to be judged")],
    window: Annotated[str, typer.Option(help="chest, lung, mediastinum, abdomen, ...")] = "chest",
    csv: Annotated[Path | None, typer.Option(help="also write one row per slice")] = None,
    as_json: Json = False,
    series_uid: SeriesOfEach = None,
    allow_gaps: AllowGaps = False,
    skip_damaged: SkipDamaged = False,
) -> None:
    """Print image quality beside a reference: PSNR, SSIM, RMSE, VIF, bias."""
    from ctlab.assess import write_table
    from ctlab.assess.fidelity.tables import check_table_name
    from ctlab.ct import named_window
    from ctlab.workflows.evaluate import evaluate_folders, report_of

    shown, problems = named_window(window), list[str]()
    if csv is not None:
        check_table_name(csv)  # before minutes of work
    with working("measuring series") as progress:
        slices = evaluate_folders(
            reference,
            images,
            window=shown,
            series_uid=series_uid or [],
            allow_gaps=allow_gaps,
            skip_damaged=skip_damaged,
            progress=progress,
            note=problems.append,
        )
    if csv is not None:
        write_table(slices, csv)
    reports = report_of(slices)
    facts = {**reports[0], "window": str(shown), "images": reports, "problems": problems}
    if emit(facts, as_json):
        return
    for report in reports:
        rows = [
            (k, number_or_dash(v["mean"]), number_or_dash(v["low"]), number_or_dash(v["high"]))
            for k, v in report.items()
            if isinstance(v, dict)
        ]
        say(f"{report['image']} beside {reference}, {shown}")
        say(table(["metric", "mean", "low", "high"], rows))
        say(f"patients {report['n_patients']}, slices {report['n_slices']}")
        if report["note"]:
            say(f"no intervals: {report['note']}")
    say_problems(problems)


def explain(
    folder: MaybeFolder = None,
    number: Slice = None,
    roi: Disc = None,
    box: Box = None,
    mask: Mask = None,
    nodule: Nodule = None,
    method: MapMethod = None,
    target: Target = "mean",
    layer: Layer = None,
    checkpoint: Checkpoint = None,
    model: Model = None,
    execute: Exec = None,
    time_limit: TimeLimit = 600.0,
    out: MapOut = None,
    dicom: MapDicom = None,
    study: OnSample = False,
    as_json: Json = False,
    overwrite: Overwrite = False,
    series_uid: Series = None,
    allow_gaps: AllowGaps = False,
    skip_damaged: SkipDamaged = False,
) -> None:
    """Map what a region's value was made from, with the audit of the map."""
    from ctlab.explain.explanation_page import facts, in_words
    from ctlab.workflows.explain import explain_series

    region: dict[str, Any] = {"disc": roi, "box": box, "mask": mask, "nodule": nodule}
    reading: dict[str, Any] = {"series_uid": series_uid, "allow_gaps": allow_gaps}
    reading["skip_damaged"] = skip_damaged
    if study:
        if any((folder, number is not None, dicom, *region.values(), *reading.values())):
            raise ValueError("--study takes no series, region or --dicom; it runs on the sample")
        _explain_sample(checkpoint, out, as_json)
        return
    if folder is None or number is None:
        raise ValueError("name the series and --slice K, or use --study for the packaged sample")
    problems: list[str] = []
    with working("auditing the map") as progress:
        explanation = explain_series(
            folder,
            number,
            method=method,
            target=target,
            layer=layer,
            checkpoint=checkpoint,
            model=one_spec(model, execute),
            time_limit_s=time_limit,
            out=out,
            dicom=dicom,
            overwrite=overwrite,
            progress=progress,
            note=problems.append,
            **region,
            **reading,
        )
    if not emit({**facts(explanation), "problems": problems}, as_json):
        say(in_words(explanation, out=out, dicom=dicom))
        say_problems(problems)


def _explain_sample(checkpoint: Path | None, out: Path | None, as_json: bool) -> None:
    """Audit every method on the packaged sample, and print the table."""
    from ctlab.explain.method_comparison import study_in_words, study_of_sample

    with working("auditing all methods") as progress:
        audit = study_of_sample(checkpoint=checkpoint, out=out, progress=progress)
    if not emit(audit, as_json):
        say(study_in_words(audit))


def passport(
    folders: Patients = None,
    checkpoint: Checkpoints = None,
    method: Methods = None,
    model: Models = None,
    execute: Exec = None,
    time_limit: TimeLimit = 600.0,
    before: Before = None,
    after: After = None,
    reference: HigherDose = None,
    out: Page = None,
    dose: Dose = 0.1,
    slices: SlicesOfEach = 8,
    limits: Limits = None,
    seed: Seed = 0,
    compare: Compare = False,
    as_json: Json = False,
    overwrite: Overwrite = False,
    series_uid: SeriesOfEach = None,
    allow_gaps: AllowGaps = False,
    skip_damaged: SkipDamaged = False,
    allow_tilt: AllowTilt = False,
    straighten: Straighten = False,
) -> None:
    """Run every check on a denoiser; exit code 1 where one fails its limit."""
    from ctlab import passport as passports

    bounds = passports.DEFAULT_LIMITS if limits is None else passports.read_limits(limits)
    reading: dict[str, Any] = {"allow_gaps": allow_gaps, "skip_damaged": skip_damaged}
    reading |= {"allow_tilt": allow_tilt, "straighten": straighten}
    problems: list[str] = []
    how: dict[str, Any] = {"reading": reading, "slices": slices, "seed": seed, "limits": bounds}
    how["note"] = problems.append
    if not folders and not (before or after or reference):
        raise ValueError("expected folders with series, or --before and --after, got none")
    if compare:
        by_name = _compared(folders or [], out, overwrite=overwrite)
    elif before or after or reference:
        if folders or model or execute or checkpoint or method or series_uid:
            raise ValueError(
                "--before and --after name all that is looked at; leave DIR, --series and the "
                "denoiser out"
            )
        series = (before or [], after or [], reference or [])
        by_name = _before_and_after(series, out, overwrite=overwrite, **how)
    else:
        reading |= {"series_uid": series_uid or []}
        with working("checking the denoiser") as progress:
            by_name = passports.passports_of_folders(
                folders or [],
                out,
                checkpoints=checkpoint or [],
                methods=method or [],
                models=_denoisers(model or [], execute, time_limit),
                overwrite=overwrite,
                progress=progress,
                dose=dose,
                **how,
            )
    _say_passports(by_name, out, as_json, problems, compare=compare)
    raise typer.Exit(0 if all(p.passed for p in by_name.values()) else 1)


def _compared(folders: list[Path], out: Path | None, *, overwrite: bool) -> "dict[str, Passport]":
    """Passports that were written before, and their comparison where a folder is named."""
    from ctlab import passport as passports

    by_name = passports.read_passports(folders)
    if out is not None:
        passports.write_comparison(by_name, out, overwrite=overwrite)
    return by_name


def _denoisers(models: list[str], execute: str | None, time_limit: float) -> "list[Denoiser]":
    from ctlab.workflows.model_spec import load_denoiser

    specs = [*models, *([f"exec:{execute}"] if execute else [])]
    return [load_denoiser(spec, time_limit_s=time_limit) for spec in specs]


def _before_and_after(
    series: tuple[list[Path], list[Path], list[Path]],
    out: Path | None,
    *,
    overwrite: bool,
    **how: Any,
) -> "dict[str, Passport]":
    """Passport of series before and after, written where it is wanted."""
    from ctlab import passport as passports

    with working("checking before and after") as progress:
        passport = passports.passport_before_after(*series, progress=progress, **how)
    if out is not None:
        passports.write_passport(passport, out, overwrite=overwrite)
    return {"before and after": passport}


def _say_passports(
    by_name: "dict[str, Passport]",
    out: Path | None,
    as_json: bool,
    problems: list[str],
    *,
    compare: bool,
) -> None:
    """Print one passport, or several side by side."""
    from ctlab import passport as passports

    several = len(by_name) > 1 or compare
    facts = (
        passports.comparison(passports.side_by_side(by_name))
        if several
        else next(iter(by_name.values())).as_dict()
    )
    if not emit({**facts, "problems": problems}, as_json):
        say(passports.in_words(facts))
        say_problems(problems)
        if out is not None:
            say(f"page in {out / 'comparison' if several and not compare else out}")

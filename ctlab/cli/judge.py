"""Commands that judge a denoised series or a denoiser: evaluate, explain, passport."""

from pathlib import Path
from typing import Annotated, Any

import typer

from ctlab.cli.options import (
    AllowGaps,
    AllowTilt,
    Checkpoint,
    Exec,
    Json,
    Model,
    Models,
    Overwrite,
    Series,
    SeriesOfEach,
    SkipDamaged,
    Straighten,
    TimeLimit,
    one_spec,
)
from ctlab.console import emit, number_or_dash, say, say_problems, table, working


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
    from ctlab.ct import named_window
    from ctlab.workflows.evaluate import evaluate_folders, report_of

    shown, problems = named_window(window), list[str]()
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
    folder: Annotated[
        Path | None, typer.Argument(metavar="DIR", help="folder, zip or DICOMDIR with DICOM")
    ] = None,
    number: Annotated[int | None, typer.Option("--slice", help="slice; 0 is the first")] = None,
    roi: Annotated[
        tuple[float, float, float] | None,
        typer.Option(metavar="Y X R", help="row, column and radius in pixels"),
    ] = None,
    box: Annotated[
        tuple[int, int, int, int] | None,
        typer.Option(metavar="T L B R", help="top, left, bottom, right in pixels"),
    ] = None,
    mask: Annotated[Path | None, typer.Option(help="NPY file with a mask of the slice")] = None,
    nodule: Annotated[
        tuple[float, float, float, float] | None,
        typer.Option(metavar="Z Y X MM", help="annotated nodule: voxel and diameter in mm"),
    ] = None,
    method: Annotated[
        str | None,
        typer.Option(help="hirescam (default), gradcam, ...; occlusion or gradient for --model"),
    ] = None,
    target: Annotated[str, typer.Option(help="mean, edge, noise, template, ...")] = "mean",
    layer: Annotated[str | None, typer.Option(help="layer of a CAM; a wrong one lists all")] = None,
    checkpoint: Checkpoint = None,
    model: Model = None,
    execute: Exec = None,
    time_limit: TimeLimit = 600.0,
    out: Annotated[
        Path | None, typer.Option(help="NPZ; PNG and HTML beside it; with --study a JSON file")
    ] = None,
    dicom: Annotated[
        Path | None, typer.Option(help="folder for the map as secondary capture and SEG")
    ] = None,
    study: Annotated[
        bool, typer.Option("--study", help="all methods on the packaged sample; takes no DIR")
    ] = False,
    as_json: Json = False,
    overwrite: Overwrite = False,
    series_uid: Series = None,
    allow_gaps: AllowGaps = False,
    skip_damaged: SkipDamaged = False,
) -> None:
    """Map what a region's value was made from, with the audit of the map."""
    from ctlab.explain.explanation_page import facts, in_words
    from ctlab.workflows.explain import explain_series

    if study:
        from ctlab.explain.method_comparison import study_in_words, study_of_sample

        if any(
            (
                folder,
                number is not None,
                roi,
                box,
                mask,
                nodule,
                dicom,
                series_uid,
                allow_gaps,
                skip_damaged,
            )
        ):
            raise ValueError("--study takes no series, region or --dicom; it runs on the sample")
        with working("auditing all methods") as progress:
            table_of = study_of_sample(checkpoint=checkpoint, out=out, progress=progress)
        if not emit(table_of, as_json):
            say(study_in_words(table_of))
        return
    if folder is None or number is None:
        raise ValueError("name the series and --slice K, or use --study for the packaged sample")
    problems: list[str] = []
    with working("auditing the map") as progress:
        found = explain_series(
            folder,
            number,
            disc=roi,
            box=box,
            mask=mask,
            nodule=nodule,
            method=method,
            target=target,
            layer=layer,
            checkpoint=checkpoint,
            model=one_spec(model, execute),
            time_limit_s=time_limit,
            out=out,
            dicom=dicom,
            series_uid=series_uid,
            allow_gaps=allow_gaps,
            skip_damaged=skip_damaged,
            overwrite=overwrite,
            progress=progress,
            note=problems.append,
        )
    if not emit({**facts(found), "problems": problems}, as_json):
        say(in_words(found, out=out, dicom=dicom))
        say_problems(problems)


def passport(
    folders: Annotated[
        list[Path] | None,
        typer.Argument(metavar="DIR...", help="one reference-dose series a patient"),
    ] = None,
    checkpoint: Annotated[
        list[Path] | None, typer.Option(help="trained model; more than one are compared")
    ] = None,
    method: Annotated[
        list[str] | None, typer.Option(help="nlm, tv, bilateral, bm3d or model (the shipped one)")
    ] = None,
    model: Models = None,
    execute: Exec = None,
    time_limit: TimeLimit = 600.0,
    before: Annotated[
        list[Path] | None, typer.Option(help="what a denoiser was given; once a patient, no DIR")
    ] = None,
    after: Annotated[
        list[Path] | None, typer.Option(help="what it gave, in the same order")
    ] = None,
    reference: Annotated[
        list[Path] | None, typer.Option(help="the same patients at higher dose")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="folder for the page; new or empty")] = None,
    dose: Annotated[float, typer.Option(help="dose fraction to simulate")] = 0.1,
    slices: Annotated[int, typer.Option(help="slices looked at in each series")] = 8,
    limits: Annotated[Path | None, typer.Option(help="TOML file with limits of your own")] = None,
    seed: Annotated[int, typer.Option(help="same seed, same passport")] = 0,
    compare: Annotated[
        bool, typer.Option("--compare", help="the folders are passports: put them side by side")
    ] = False,
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
    from ctlab.workflows.model_spec import load_denoiser

    bounds = passports.DEFAULT_LIMITS if limits is None else passports.read_limits(limits)
    reading: dict[str, Any] = {"allow_gaps": allow_gaps, "skip_damaged": skip_damaged}
    reading |= {"allow_tilt": allow_tilt, "straighten": straighten}
    if not folders and not (before or after or reference):
        raise ValueError("expected folders with series, or --before and --after, got none")
    folders = folders or []
    if compare:
        made = passports.read_passports(folders)
        if out is not None:
            passports.write_comparison(made, out, overwrite=overwrite)
    elif before or after or reference:
        if folders or model or execute or checkpoint or method or series_uid:
            raise ValueError(
                "--before and --after name all that is looked at; leave DIR, --series and the "
                "denoiser out"
            )
        with working("checking before and after") as progress:
            passed = passports.passport_before_after(
                before or [],
                after or [],
                reference or [],
                reading=reading,
                slices=slices,
                seed=seed,
                limits=bounds,
                progress=progress,
            )
        made = {"before and after": passed}
        if out is not None:
            passports.write_passport(passed, out, overwrite=overwrite)
    else:
        reading |= {"series_uid": series_uid or []}
        specs = [*(model or []), *([f"exec:{execute}"] if execute else [])]
        with working("checking the denoiser") as progress:
            made = passports.passports_of_folders(
                folders,
                out,
                checkpoints=checkpoint or [],
                methods=method or [],
                models=[load_denoiser(spec, time_limit_s=time_limit) for spec in specs],
                reading=reading,
                overwrite=overwrite,
                progress=progress,
                dose=dose,
                slices=slices,
                seed=seed,
                limits=bounds,
            )
    several = len(made) > 1 or compare
    facts = (
        passports.comparison(passports.side_by_side(made))
        if several
        else next(iter(made.values())).as_dict()
    )
    if not emit(facts, as_json):
        say(passports.in_words(facts))
        if out is not None:
            say(f"page in {out / 'comparison' if several and not compare else out}")
    raise typer.Exit(0 if all(p.passed for p in made.values()) else 1)

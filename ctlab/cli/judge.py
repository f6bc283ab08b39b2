"""Commands that judge a denoised series or a region of it: evaluate, explain."""

from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any

import typer

from ctlab.cli.options import (
    AllowGaps,
    Box,
    Checkpoint,
    Disc,
    Exec,
    Json,
    Layer,
    MapDicom,
    MapMethod,
    MapOut,
    Mask,
    MaybeFolder,
    Model,
    Models,
    MoreTests,
    Nodule,
    OnSample,
    Overwrite,
    Series,
    SeriesOfEach,
    SkipDamaged,
    Slice,
    Target,
    TimeLimit,
    one_spec,
)
from ctlab.console import emit, number_or_dash, say, say_problems, table, working
from ctlab.ct.datasets.dicomweb import shown_place, source_folder


def evaluate(
    reference: Annotated[Path, typer.Argument(metavar="REFERENCE_DIR", help="reference series")],
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE_DIR...", help="to be judged")],
    window: Annotated[str, typer.Option(help="chest, lung, mediastinum, abdomen, ...")] = "chest",
    csv: Annotated[Path | None, typer.Option(help="also write one row per slice")] = None,
    model: Models = None,
    execute: Exec = None,
    time_limit: TimeLimit = 600.0,
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
    from ctlab.workflows.model_spec import load_denoisers

    shown, problems = named_window(window), list[str]()
    if csv is not None:
        check_table_name(csv)  # before minutes of work
    with ExitStack() as opened:
        first = opened.enter_context(source_folder(reference))
        places = [opened.enter_context(source_folder(image)) for image in images]
        progress = opened.enter_context(working("measuring series"))
        slices = evaluate_folders(
            first,
            places,
            window=shown,
            models=load_denoisers(model or [], execute, time_limit_s=time_limit),
            series_uid=series_uid or [],
            allow_gaps=allow_gaps,
            skip_damaged=skip_damaged,
            progress=progress,
            note=problems.append,
        )
    named = dict(zip(map(str, places), map(shown_place, images), strict=True))
    slices["arm"] = slices["arm"].map(named)  # what was asked for, not where it was put
    for place, asked in {**named, str(first): shown_place(reference)}.items():
        problems = [problem.replace(place, asked) for problem in problems]
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
        say(f"{report['image']} beside {shown_place(reference)}, {shown}")
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
    tests: MoreTests = False,
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
            more_tests=tests,
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

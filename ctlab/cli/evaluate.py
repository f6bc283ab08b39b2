"""The command that measures a denoised series against its reference."""

from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from ctlab.cli.options import (
    AllowGaps,
    Exec,
    Json,
    Models,
    SeriesOfEach,
    SkipDamaged,
    TimeLimit,
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

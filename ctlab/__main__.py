"""The ``ctlab`` command line: one command for each arrow from DICOM to passport.

Commands take and give files; the work is done by the functions of the rooms, which are
imported where they are called, so that ``ctlab --help`` answers at once and nothing needs
torch but the commands that train, denoise with a model, or explain.
"""

import math
from pathlib import Path
from textwrap import fill
from typing import Annotated, Any

import typer

from ctlab.console import (
    emit,
    in_text,
    item,
    reads_series,
    run,
    say,
    table,
    working,
)

app = typer.Typer(
    name="ctlab",
    help="From a CT series to a denoised series whose changes are explained and measured.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

Folder = Annotated[Path, typer.Argument(metavar="DIR", help="folder, zip or DICOMDIR with DICOM")]
Out = Annotated[Path, typer.Argument(metavar="OUT", help="folder to write; must be new or empty")]
Json = Annotated[bool, typer.Option("--json", help="print one JSON object instead of text")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="replace what OUT holds")]
Checkpoint = Annotated[
    Path | None, typer.Option(help="trained model; default: the one that ships with ctlab")
]


@app.command()
def doctor(as_json: Json = False) -> None:
    """Tell what this installation can do, and what is missing."""
    from ctlab.doctor import diagnose

    facts = diagnose()
    if not emit(facts, as_json):
        yes = {True: "yes", False: "no"}
        rows = [("ctlab", facts["ctlab"]), ("Python", facts["python"]), ("cores", facts["cores"])]
        rows += [("torch", facts["torch"] or "not installed"), ("GPU", facts["cuda"] or "none")]
        rows += [(f"reads {name}", yes[works]) for name, works in facts["codecs"].items()]
        rows += [(f"part '{p}'", yes[not gone]) for p, gone in facts["parts"].items()]
        say(table(["what", "here"], rows))
        for remedy in facts["remedies"]:
            say(f"- {remedy}")
        say("The core works." if facts["ok"] else "The core is not complete.")
    raise typer.Exit(0 if facts["ok"] else 1)


@app.command()
def sample(
    out: Out,
    as_json: Json = False,
    overwrite: Overwrite = False,
) -> None:
    """Write the packaged sample: 40 slices of a real chest CT."""
    from ctlab.ct import SAMPLE_CREDIT, write_sample

    count = write_sample(out, overwrite=overwrite)
    if not emit({"slices": count, "credit": SAMPLE_CREDIT}, as_json):
        say(f"{count} slices in {out}\n{fill(SAMPLE_CREDIT, 80)}")


@app.command()
def inspect(folder: Folder, as_json: Json = False) -> None:
    """Tell what a folder of DICOM holds, and what is wrong with it."""
    from ctlab.ct import inspect_folder

    reports = [report.as_dict() for report in inspect_folder(folder)]
    if not emit({"series": reports}, as_json):
        for report in reports:
            shown = {k: v for k, v in report.items() if v not in (None, "", [], ())}
            problems = shown.pop("problems", [])
            say(table(["series", shown.pop("uid")], [(k, in_text(v)) for k, v in shown.items()]))
            for problem in problems or ["no problem found"]:
                say(item(problem))
    raise typer.Exit(0 if any(report["readable"] for report in reports) else 1)


@app.command()
@reads_series()
def simulate(
    reading: dict,
    folder: Folder,
    out: Out,
    dose: Annotated[float, typer.Option(help="fraction of the scan's own dose, 0 < F <= 1")],
    seed: Annotated[int, typer.Option(help="same seed, same series")] = 0,
    as_json: Json = False,
    overwrite: Overwrite = False,
) -> None:
    """Write the series as if scanned at a fraction of its dose."""
    from ctlab.ct import simulate_series

    with working("simulating slices") as progress:
        report = simulate_series(
            folder, out, fraction=dose, seed=seed, overwrite=overwrite, progress=progress, **reading
        )
    if not emit(report.as_dict(), as_json):
        say(
            f"{report.slices} slices at {100 * dose:g} % of this scan's own dose in {out}\n"
            f"noise in soft tissue {report.reference_noise_hu:.1f} HU before, "
            f"{report.noise_sd_hu:.1f} HU after (simulated)\n{report.calibration_in_words()}"
        )


@app.command()
def fetch(
    collection: Annotated[str, typer.Argument(help="mayo-chest, mayo-abdomen or lidc")],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="folder to download to")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="list, download nothing")] = False,
    patients: Annotated[int | None, typer.Option(help="only so many patients")] = None,
    as_json: Json = False,
) -> None:
    """Download a public collection, or list what would be downloaded."""
    from ctlab.ct.datasets.download import fetch as fetch_collection

    report = fetch_collection(collection, out, dry_run=dry_run, patients=patients)
    if not emit(report.as_dict(), as_json):
        verb = "downloaded to" if report.downloaded else "would go to"
        say(
            f"{len(report.series)} series of {report.patients} patients, "
            f"{report.bytes / 1e9:.1f} GB {verb} {out}\n{fill(report.credit, 80)}"
        )


@app.command()
def deidentify(
    folder: Folder, out: Out, as_json: Json = False, overwrite: Overwrite = False
) -> None:
    """Write copies without identity (DICOM PS3.15 basic profile)."""
    from ctlab.ct import deidentify_series

    report = deidentify_series(folder, out, overwrite=overwrite)
    if not emit(report.as_dict(), as_json):
        say(f"{report.files} files in {out}; left out: {len(report.left_out)}")
        rows = [(name, "removed", count) for name, count in sorted(report.removed.items())]
        rows += [(name, "replaced", count) for name, count in sorted(report.replaced.items())]
        say(table(["element", "what", "files"], rows))
        for name, values in sorted(report.kept_text.items()):
            say(item(f"kept {name}: {', '.join(values)}"))
        for file, reason in sorted(report.left_out.items()):
            say(item(f"left out {file}: {reason}"))
        for warning in report.warnings:
            say(item(warning))


@app.command()
def train(
    config: Annotated[Path, typer.Argument(metavar="CONFIG.toml", help="training configuration")],
    out: Annotated[Path, typer.Option(help="run folder; must be new or empty")] = Path("run"),
    resume: Annotated[bool, typer.Option("--resume", help="continue the run in OUT")] = False,
    as_json: Json = False,
) -> None:
    """Train an OT-CycleGAN into a run folder."""
    from ctlab.learn import TrainConfig, train_run
    from ctlab.learn.train.progress_display import training_display

    settings = TrainConfig.from_toml(config)
    with training_display(settings.steps) as show:
        result = train_run(settings, out, resume=resume, on_row=show)
    raised = [str(warning) for warning in result.warnings]
    facts = {"steps": result.steps, "checkpoint": str(result.checkpoint), "alarms": raised}
    if not emit(facts, as_json):
        say(f"{result.steps} steps; checkpoint in {result.checkpoint}")
        for warning in raised or ["no warning of the monitor"]:
            say(f"- {warning}")
    raise typer.Exit(1 if raised else 0)


@app.command()
@reads_series()
def denoise(
    reading: dict,
    folder: Folder,
    out: Out,
    checkpoint: Checkpoint = None,
    method: Annotated[str, typer.Option(help="model, nlm, tv, bilateral or bm3d")] = "model",
    engine: Annotated[str, typer.Option(help="of the model: torch, onnx or openvino")] = "torch",
    strength: Annotated[
        float | None, typer.Option(help="of a filter in noise SDs, of a switchable model 0 to 1")
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="also outside the model's range of use")
    ] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="go on with what a killed run left")
    ] = False,
    as_json: Json = False,
    overwrite: Overwrite = False,
) -> None:
    """Write the series denoised, as a derived DICOM series; torchrun shares its slices."""
    from ctlab.workflows.denoise import denoise_series

    with working("denoising slices") as progress:
        report = denoise_series(
            folder, out, method=method, checkpoint=checkpoint, engine=engine, strength=strength,
            force=force, overwrite=overwrite, resume=resume, progress=progress, **reading,
        )  # fmt: skip
    if report is None:  # another process tells
        return
    if not emit(report.as_dict(), as_json):
        say(
            f"{report.slices} slices in {out}, {report.seconds:.1f} s\n"
            f"noise in soft tissue {report.noise_before_hu:.1f} HU before, "
            f"{report.noise_after_hu:.1f} HU after"
        )
        for reason in report.applicability.get("reasons", []):
            say(f"- outside the model's range of use: {reason}")


@app.command()
def benchmark(
    name: Annotated[str, typer.Argument(help="mayo-chest")],
    data: Annotated[Path, typer.Argument(metavar="DATA", help="folder of ctlab fetch mayo-chest")],
    out: Annotated[Path, typer.Option(help="folder for the run and its results")] = Path("mayo"),
    resume: Annotated[bool, typer.Option("--resume", help="continue the run in OUT")] = False,
    rehearse: Annotated[
        bool, typer.Option("--rehearse", help="the whole path with tiny networks")
    ] = False,
    as_json: Json = False,
) -> None:
    """Train by a frozen recipe on a published split, and measure as published."""
    from ctlab.workflows.ldct_benchmark import METRICS, mayo_chest

    if name != "mayo-chest":
        raise ValueError(f"unknown benchmark {name!r}; there is mayo-chest")
    with working("training steps") as progress:
        found = mayo_chest(data, out, resume=resume, rehearse=rehearse, progress=progress)
    if not emit(found, as_json):
        rows = [
            (r["method"], r["source"], *(_cell(r.get(m, math.nan)) for m in METRICS))
            for r in found["table"]
        ]
        say(table(["method", "source", *METRICS], rows))
        say(fill(found["claim"], 80))


@app.command()
@reads_series(several=True)
def evaluate(
    reading: dict,
    reference: Annotated[Path, typer.Argument(metavar="REFERENCE_DIR", help="reference series")],
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE_DIR...", help="to be judged")],
    window: Annotated[str, typer.Option(help="chest, lung, mediastinum, abdomen, ...")] = "chest",
    csv: Annotated[Path | None, typer.Option(help="also write one row per slice")] = None,
    as_json: Json = False,
) -> None:
    """Print image quality beside a reference: PSNR, SSIM, RMSE, VIF, bias."""
    from ctlab.assess import write_table
    from ctlab.workflows.evaluate import evaluate_folders, named_window, report_of

    shown = named_window(window)
    with working("measuring series") as progress:
        slices = evaluate_folders(reference, images, window=shown, progress=progress, **reading)
    if csv is not None:
        write_table(slices, csv)
    reports = report_of(slices)
    if emit({**reports[0], "window": str(shown), "images": reports}, as_json):
        return
    for report in reports:
        rows = [(k, _cell(v["mean"]), _cell(v["low"]), _cell(v["high"]))
                for k, v in report.items() if isinstance(v, dict)]  # fmt: skip
        say(f"{report['image']} beside {reference}, {shown}")
        say(table(["metric", "mean", "low", "high"], rows))
        say(f"patients {report['n_patients']}, slices {report['n_slices']}")
        if report["note"]:
            say(f"no intervals: {report['note']}")


@app.command()
@reads_series()
def explain(
    reading: dict,
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
    method: Annotated[str, typer.Option(help="hirescam, gradcam, layercam, gradient, ...")] = (
        "hirescam"
    ),
    target: Annotated[str, typer.Option(help="mean, edge, noise, template, ...")] = "mean",
    layer: Annotated[str | None, typer.Option(help="layer of a CAM; a wrong one lists all")] = None,
    checkpoint: Checkpoint = None,
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
) -> None:
    """Map what a region's value was made from, with the audit of the map."""
    from ctlab.explain.explanation_page import facts, in_words
    from ctlab.workflows.explain import explain_series

    if study:
        from ctlab.explain.method_comparison import study_in_words, study_of_sample

        if any((folder, number is not None, roi, box, mask, nodule, dicom, *reading.values())):
            raise ValueError("--study takes no series, region or --dicom; it runs on the sample")
        with working("auditing all methods") as progress:
            table_of = study_of_sample(checkpoint=checkpoint, out=out, progress=progress)
        if not emit(table_of, as_json):
            say(study_in_words(table_of))
        return
    if folder is None or number is None:
        raise ValueError("name the series and --slice K, or use --study for the packaged sample")
    with working("auditing the map") as progress:
        found = explain_series(
            folder, number, disc=roi, box=box, mask=mask, nodule=nodule, method=method,
            target=target, layer=layer, checkpoint=checkpoint, out=out, dicom=dicom,
            overwrite=overwrite, progress=progress, **reading,
        )  # fmt: skip
    if not emit(facts(found), as_json):
        say(in_words(found, out=out, dicom=dicom))


@app.command()
@reads_series(several=True, tilt=True)
def passport(
    reading: dict,
    folders: Annotated[
        list[Path], typer.Argument(metavar="DIR...", help="one reference-dose series a patient")
    ],
    checkpoint: Annotated[
        list[Path] | None, typer.Option(help="trained model; more than one are compared")
    ] = None,
    method: Annotated[
        list[str] | None, typer.Option(help="nlm, tv, bilateral, bm3d or model (the shipped one)")
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
) -> None:
    """Run every check on a denoiser; exit code 1 where one fails its limit."""
    from ctlab import passport as room

    if compare:
        made = room.read_passports(folders)
        if out is not None:
            room.write_comparison(made, out, overwrite=overwrite)
    else:
        with working("checking the denoiser") as progress:
            made = room.passports_of_folders(
                folders, out, checkpoints=checkpoint or [], methods=method or [], reading=reading,
                overwrite=overwrite, progress=progress, dose=dose, slices=slices, seed=seed,
                limits=room.DEFAULT_LIMITS if limits is None else room.read_limits(limits),
            )  # fmt: skip
    several = len(made) > 1 or compare
    facts = room.comparison(room.side_by_side(made)) if several else _only(made).as_dict()
    if not emit(facts, as_json):
        say(room.in_words(facts))
        if out is not None:
            say(f"page in {out / 'comparison' if several and not compare else out}")
    raise typer.Exit(0 if all(p.passed for p in made.values()) else 1)


def _only(made: dict) -> Any:
    return next(iter(made.values()))


def _cell(value: float) -> str:
    return f"{value:.4g}" if value == value else "-"


def main() -> None:
    """Entry point of the ``ctlab`` command."""
    run(app, "ctlab")


if __name__ == "__main__":
    main()

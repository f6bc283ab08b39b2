"""Commands that train a network, denoise with one, export one, or repeat a benchmark."""

import math
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ctlab.cli.options import (
    Adapt,
    AllowGaps,
    Checkpoint,
    Clip,
    Engine,
    Exec,
    Folder,
    Force,
    Json,
    Method,
    Model,
    Models,
    Out,
    Overwrite,
    Precision,
    Resume,
    Series,
    SkipDamaged,
    Strength,
    TimeLimit,
    one_spec,
)
from ctlab.console import emit, number_or_dash, say, say_problems, table, working
from ctlab.ct.datasets.dicomweb import shown_place, source_folder, target_folder

if TYPE_CHECKING:
    from ctlab.workflows.denoise import DenoiseReport


def train(
    config: Annotated[Path, typer.Argument(metavar="CONFIG.toml", help="training configuration")],
    out: Annotated[Path, typer.Option(help="run folder; must be new or empty")] = Path("run"),
    resume: Annotated[
        bool, typer.Option("--resume", help="continue the run in OUT, also with more steps")
    ] = False,
    start: Annotated[
        str | None,
        typer.Option("--from", help="fine-tune: start from shipped, or from a checkpoint.pt"),
    ] = None,
    as_json: Json = False,
) -> None:
    """Train an OT-CycleGAN into a run folder; torchrun shares its batches."""
    from ctlab.learn import TrainConfig, load_checkpoint, train_run
    from ctlab.learn.train.devices import bound_threads, is_first_process
    from ctlab.learn.train.progress_display import training_display

    settings = TrainConfig.from_toml(config)
    weights = None
    if start is not None:
        weights = load_checkpoint(None if start == "shipped" else start)
    bound_threads()
    with training_display(settings.steps) as show:
        result = train_run(settings, out, resume=resume, start=weights, on_row=show)
    if not is_first_process():  # the first one tells
        return
    raised = [str(warning) for warning in result.warnings]
    facts = {"steps": result.steps, "checkpoint": str(result.checkpoint), "alarms": raised}
    if not emit(facts, as_json):
        say(f"{result.steps} steps; checkpoint in {result.checkpoint}")
        for warning in raised or ["no warning of the monitor"]:
            say(f"- {warning}")
    # Of several processes, one that ends with 1 makes torchrun kill and blame the whole run.
    raise typer.Exit(1 if raised and result.processes == 1 else 0)


def denoise(
    folder: Folder,
    out: Out,
    checkpoint: Checkpoint = None,
    method: Method = "model",
    model: Model = None,
    execute: Exec = None,
    time_limit: TimeLimit = 600.0,
    engine: Engine = "torch",
    precision: Precision = "float32",
    strength: Strength = None,
    force: Force = False,
    adapt: Adapt = None,
    resume: Resume = False,
    as_json: Json = False,
    overwrite: Overwrite = False,
    series_uid: Series = None,
    allow_gaps: AllowGaps = False,
    skip_damaged: SkipDamaged = False,
    clip: Clip = False,
) -> None:
    """Write the series denoised, as a derived DICOM series; torchrun shares its slices."""
    from ctlab.workflows.denoise import denoise_series

    problems: list[str] = []
    with (
        source_folder(folder) as place,
        target_folder(out, problems.append) as put,
        working("denoising slices") as progress,
    ):
        report = denoise_series(
            place,
            put,
            method=method,
            checkpoint=checkpoint,
            model=one_spec(model, execute),
            time_limit_s=time_limit,
            engine=engine,
            precision=precision,
            strength=strength,
            force=force,
            adapt_s=adapt,
            overwrite=overwrite,
            resume=resume,
            progress=progress,
            note=problems.append,
            series_uid=series_uid,
            allow_gaps=allow_gaps,
            skip_damaged=skip_damaged,
            clip=clip,
        )
    if report is None:  # another process tells
        return
    if not emit({**report.as_dict(), "problems": problems}, as_json):
        _say_denoised(report, out)
        say_problems(problems)


def _say_denoised(report: "DenoiseReport", out: Path | str) -> None:
    say(
        f"{report.slices} slices in {shown_place(out)}, {report.seconds:.1f} s\n"
        f"noise in soft tissue {report.noise_before_hu:.1f} HU before, "
        f"{report.noise_after_hu:.1f} HU after"
    )
    if report.adaptation:
        say(
            "adapted to this series in {steps} steps, {seconds:.0f} s (loss on a slice left out "
            "{loss_ratio:.3f} of\nwhat it was; level {level:.2f} and spectrum {shape:.2f} of the "
            "noise it was adapted with)".format(**report.adaptation)
        )
    for reason in report.applicability.get("reasons", []):
        say(f"- outside the model's range of use: {reason}")
    for note in report.applicability.get("notes", []):
        say(f"- {note}")


def arms(
    cases: Annotated[list[Path], typer.Argument(metavar="CASE...", help="one series each")],
    out: Annotated[Path, typer.Option(help="folder for the arms; new or empty")],
    model: Models = None,
    execute: Exec = None,
    time_limit: TimeLimit = 600.0,
    dose: Annotated[
        float | None, typer.Option(help="dose fraction to simulate; default: as they are")
    ] = None,
    seed: Annotated[int, typer.Option(help="same seed, same noise")] = 0,
    maps: Annotated[
        Path | None, typer.Option(help="folder for maps over the images: what was removed")
    ] = None,
    risk: Annotated[
        Path | None, typer.Option(metavar="PASSPORT", help="maps show its band of risk instead")
    ] = None,
    as_json: Json = False,
    overwrite: Overwrite = False,
) -> None:
    """Write the arms of a reader study: low dose, and every --model on it."""
    from ctlab.workflows.model_spec import load_denoisers
    from ctlab.workflows.study_arms import write_arms

    factor = None
    if risk is not None:
        from ctlab.passport import risk_factor_of

        if maps is None:
            raise ValueError("expected --maps FOLDER with --risk, got none; name a folder")
        factor = risk_factor_of(risk)
    denoisers = load_denoisers(model or [], execute, time_limit_s=time_limit)
    problems: list[str] = []
    how: dict[str, Any] = {"dose": dose, "seed": seed, "maps": maps, "risk_factor": factor}
    names = write_arms(cases, out, denoisers, **how, overwrite=overwrite, note=problems.append)
    if not emit({"arms": names, "cases": len(cases), "problems": problems}, as_json):
        say(f"{len(cases)} cases in {len(names)} arms: {', '.join(names)}")
        say_problems(problems)
        if maps is not None:
            say(f"maps in {maps}; those of one arm go into STUDY/overlays")
        say(f"next: reader-study new STUDY --from {out}")


def forced_choice(
    series: Annotated[Path, typer.Argument(help="folder with one series at its own dose")],
    out: Annotated[Path, typer.Option(help="folder for the set; new or empty")],
    model: Models = None,
    execute: Exec = None,
    time_limit: TimeLimit = 600.0,
    dose: Annotated[float, typer.Option(help="dose fraction to simulate")] = 0.1,
    contrast_hu: Annotated[
        list[float] | None, typer.Option(help="of the lesion over lung; repeat. Default 40 80 160")
    ] = None,
    diameter_mm: Annotated[float, typer.Option(help="of the lesion")] = 6.0,
    places: Annotated[int, typer.Option(min=2, max=8, help="to choose from")] = 4,
    trials: Annotated[int, typer.Option(min=1, help="per contrast")] = 8,
    search: Annotated[
        bool, typer.Option("--search", help="one square: where is the lesion, if anywhere")
    ] = False,
    seed: Annotated[int, typer.Option(help="same seed, same places and noise")] = 0,
    as_json: Json = False,
    overwrite: Overwrite = False,
) -> None:
    """Write a forced-choice test: lesions of known contrast, low dose and every --model on it."""
    from ctlab.ct import read_series
    from ctlab.workflows.forced_choice_images import ForcedChoicePlan, write_forced_choice
    from ctlab.workflows.model_spec import load_denoisers
    from ctlab.workflows.search_images import SearchPlan, write_search

    asked = model or execute
    denoisers = load_denoisers(model or [], execute, time_limit_s=time_limit) if asked else []
    problems: list[str] = []
    chosen = {"contrasts_hu": tuple(contrast_hu)} if contrast_hu else {}
    rest: dict[str, Any] = {
        "dose": dose,
        "diameter_mm": diameter_mm,
        "trials": trials,
        "seed": seed,
        **chosen,
    }
    said: dict[str, Any] = {"overwrite": overwrite, "note": problems.append}
    with working("arms of every contrast"):
        full = read_series(series)
        if search:
            made = write_search(full, out, denoisers, plan=SearchPlan(**rest), **said)
        else:
            plan = ForcedChoicePlan(places=places, **rest)
            made = write_forced_choice(full, out, denoisers, plan=plan, **said)
    if not emit({**made, "problems": problems}, as_json):
        share = "share_found" if search else "share_expected"
        named = ("arm", "contrast_hu", "observer")
        rows = [
            [
                *(r[name] for name in named),
                round(r["d_prime"], 2),
                f"{r[share]:.0%}",
                *([f"{r['area']:.2f}"] if search else []),
            ]
            for r in made["observers"]
        ]
        last = ["found", "area"] if search else ["right"]
        say(table(["arm", "contrast (HU)", "observer", "d'", *last], rows))
        say_problems(problems)
        say(f"next: reader-study forced-choice pages {out} OUT --reader NAME")


def export(
    out: Out,
    checkpoint: Checkpoint = None,
    as_json: Json = False,
    overwrite: Overwrite = False,
) -> None:
    """Write the model as ONNX with its card and scale inside, and as public model cards."""
    from ctlab.workflows.export_model import export_model

    made = export_model(out, checkpoint, overwrite=overwrite)
    if not emit(made, as_json):
        say(table(["what", "file"], list(made.items())))
        say(f"try it: ctlab passport --model {made['onnx']}")


def benchmark(
    name: Annotated[str, typer.Argument(help="mayo-chest")],
    data: Annotated[Path, typer.Argument(metavar="DATA", help="folder of ctlab fetch mayo-chest")],
    out: Annotated[Path, typer.Option(help="folder for the run and its results")] = Path("mayo"),
    resume: Annotated[bool, typer.Option("--resume", help="continue the run in OUT")] = False,
    rehearse: Annotated[
        bool, typer.Option("--rehearse", help="the whole path with tiny networks")
    ] = False,
    model: Model = None,
    execute: Exec = None,
    time_limit: TimeLimit = 600.0,
    as_json: Json = False,
) -> None:
    """Train by a frozen recipe on a published split, or take --model, and measure as published."""
    from ctlab.workflows.ldct_benchmark import METRICS, mayo_chest, mayo_chest_of
    from ctlab.workflows.model_spec import load_denoiser

    if name != "mayo-chest":
        raise ValueError(f"unknown benchmark {name!r}; there is mayo-chest")
    spec = one_spec(model, execute)
    if spec is not None and (resume or rehearse):
        raise ValueError("--model is measured without training; leave --resume and --rehearse out")
    if spec is not None:
        results = mayo_chest_of(data, out, load_denoiser(spec, time_limit_s=time_limit))
    else:
        with working("training steps") as progress:
            results = mayo_chest(data, out, resume=resume, rehearse=rehearse, progress=progress)
    if not emit(results, as_json):
        rows = [
            (r["method"], r["source"], *(number_or_dash(r.get(m, math.nan)) for m in METRICS))
            for r in results["table"]
        ]
        say(table(["method", "source", *METRICS], rows))
        say(fill(results["claim"], 80))

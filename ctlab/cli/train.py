"""Commands that train a network, or repeat a published benchmark."""

import math
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING, Annotated

import typer

from ctlab.cli.options import (
    Exec,
    Json,
    Model,
    TimeLimit,
    one_spec,
)
from ctlab.console import emit, number_or_dash, say, table, working

if TYPE_CHECKING:
    pass


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

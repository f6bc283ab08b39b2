"""A training run on disk: a folder that says what was done and can be continued at any time."""

import csv
import json
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric

from ctlab.files import write_whole
from ctlab.learn.config import TrainConfig
from ctlab.learn.data.domains import Domains, build_domains
from ctlab.learn.data.split import split_csv
from ctlab.learn.models.fbp_noise import with_noise_curve
from ctlab.learn.train.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from ctlab.learn.train.devices import make_fabric
from ctlab.learn.train.loop import train
from ctlab.learn.train.model_selection import CRITERION, better
from ctlab.learn.train.monitor import (
    RaisedWarning,
    ValidationBatch,
    compute_metrics,
    raised_warnings,
    samples,
)
from ctlab.learn.train.state import TrainState

Row = dict[str, float]


@dataclass(frozen=True)
class RunResult:
    """What a run leaves: steps done, where the checkpoint is, and the raised warnings."""

    steps: int
    checkpoint: Path
    warnings: tuple[RaisedWarning, ...]
    processes: int = 1


@dataclass(frozen=True)
class Selected:
    """The step whose checkpoint is kept beside the last one."""

    step: int
    score: float


class TrainingStoppedError(ValueError):
    """A fatal warning: the run was stopped, its last good checkpoint stays."""


def train_run(
    config: TrainConfig,
    out: str | Path,
    *,
    resume: bool = False,
    on_row: Callable[[Row], None] | None = None,
) -> RunResult:
    """Train into a run folder; returns what the run left there.

    The folder holds ``config.toml``, ``split.csv``, ``log.csv``, ``checkpoint.pt``, ``card.json``
    and TensorBoard events. ``selected.pt`` is the saved checkpoint that is best by the criterion of
    :mod:`ctlab.learn.train.model_selection`, which sees no pair.

    Parameters
    ----------
    config : TrainConfig
    out : path
        A folder that is new or empty, unless ``resume``.
    resume : bool
        Continue from the folder's last checkpoint; the result is that of a run never cut.
    on_row : function, optional
        Called with each log row, for a display.

    Raises
    ------
    ValueError
        The folder is not empty, or holds a run of another configuration or split; the data
        do not give two domains; a fatal warning was raised (:class:`TrainingStoppedError`).
    """
    out = Path(out)
    _check_folder(out, config, resume=resume)
    fabric = make_fabric(config)
    domains = build_domains(config)
    asked, config = config, with_noise_curve(config, domains.full, domains.low)
    state = TrainState.start(config, fabric.device)
    raised, best = _confound_warnings(domains), None
    if resume and (out / "checkpoint.pt").exists():
        checkpoint = load_checkpoint(out / "checkpoint.pt")
        if checkpoint.split_hash != domains.split_hash:
            raise ValueError(
                f"{out} was trained on other slices than {config.data.full} now give; "
                "resume with the data of the first run, or start a new run folder"
            )
        state.load_state_dict(checkpoint.state)
        raised, best = _known_so_far(checkpoint, raised)
    if fabric.is_global_zero:
        _describe(out, asked, domains)
    with _log(out, state.step, fabric) as write:
        validation = ValidationBatch.draw(config, domains.full, domains.low)
        rows = train(
            config, domains.full, domains.low, pairs=domains.pairs, state=state, fabric=fabric
        )
        for row in rows:
            is_last = state.step == config.steps
            if state.step % config.monitor_every == 0 or is_last:
                row |= compute_metrics(state.networks, validation, config)
            new = raised_warnings(row)
            raised = [w for w in raised if w.name not in {n.name for n in new}] + new
            if any(warning.is_fatal for warning in new):
                raise TrainingStoppedError("; ".join(map(str, new)))
            write(
                row, samples(state.networks, validation, config) if "watch_gsure" in row else None
            )
            if on_row is not None:
                on_row(row)
            if state.step % config.save_every == 0 or is_last:
                _stop_if_lost(state)
                if not fabric.is_global_zero:
                    continue
                metrics = (
                    row
                    if "watch_gsure" in row
                    else compute_metrics(state.networks, validation, config)
                )
                best = _save(out, config, state, domains, raised, metrics, best)
    return RunResult(state.step, out / "checkpoint.pt", tuple(raised))


def _check_folder(out: Path, config: TrainConfig, *, resume: bool) -> None:
    """Refuse a folder that holds something else than this run, before anything is written."""
    if out.exists() and not out.is_dir():
        raise ValueError(f"{out} is a file; name a folder for the run")
    is_empty = not out.exists() or not any(out.iterdir())
    if is_empty or not (out / "config.toml").exists():
        if not is_empty:
            raise ValueError(f"{out} is not empty and holds no run; name a new folder")
        return
    if not resume:
        raise ValueError(
            f"{out} holds a run already; continue it with --resume or name a new folder"
        )
    first = TrainConfig.from_toml(out / "config.toml")
    if first != config:
        differing = [
            name
            for name in TrainConfig.model_fields
            if getattr(first, name) != getattr(config, name)
        ]
        raise ValueError(
            f"{out} was begun with another configuration (differing: {', '.join(differing)}); "
            "resume with the same file, or start a new run folder"
        )


def _describe(out: Path, config: TrainConfig, domains: Domains) -> None:
    """The files that stand from the first step on."""
    for name, text in (("config.toml", config.to_toml()), ("split.csv", split_csv(domains.slabs))):
        with write_whole(out / name) as part:
            part.write_text(text, encoding="utf-8")


def _confound_warnings(domains: Domains) -> list[RaisedWarning]:
    """What differs between the domains beside the dose: a network would learn that, too."""
    remedy = "choose series of one kind for both domains"
    return [
        RaisedWarning(f"domains are confounded: {what}", 0, 1.0, 0.0, remedy)
        for what in domains.card.get("confounds", [])
    ]


def _known_so_far(
    checkpoint: Checkpoint, raised: list[RaisedWarning]
) -> tuple[list[RaisedWarning], Selected | None]:
    """Raised warnings and the selected step when the checkpoint was written.

    Both from the checkpoint, not from ``card.json``: a kill between the two files leaves a card
    that names a step nobody saved.
    """
    known = [RaisedWarning(**values) for values in checkpoint.card.get("alarms", [])]
    kept = checkpoint.card.get("selection", {})
    best = Selected(kept["step"], kept["score"]) if kept.get("step") else None
    return [w for w in raised if w.name not in {k.name for k in known}] + known, best


def _stop_if_lost(state: TrainState) -> None:
    """A step may ruin the weights after its terms were finite: such weights are never saved."""
    if not all(bool(torch.isfinite(p).all()) for p in state.networks.parameters()):
        remedy = "the run is lost; halve learning_rate or set precision = '32-true'"
        lost = RaisedWarning("weights are not finite", state.step, math.nan, math.inf, remedy, True)
        raise TrainingStoppedError(str(lost))


def _save(
    out: Path,
    config: TrainConfig,
    state: TrainState,
    domains: Domains,
    raised: list[RaisedWarning],
    metrics: Row,
    best: Selected | None,
) -> Selected | None:
    """Write card and checkpoint, and the same as ``selected.pt`` where it is the best so far."""
    score = metrics["watch_gsure"] + metrics["watch_nps_distance"]
    is_best = better(score, best.score if best else None)
    best = Selected(state.step, score) if is_best else best
    selection: dict[str, Any] = {"criterion": CRITERION, "file": "selected.pt"}
    selection |= {"step": best.step, "score": best.score} if best else {}
    later = {"selection": selection, "alarms": [warning.to_dict() for warning in raised]}
    shape = config.networks
    card = {
        "format_version": 1,
        "steps": state.step,
        "is_finished": state.step == config.steps,
        "split_hash": domains.split_hash,
        "seed": config.seed,
        **domains.card,
        **({"noise_curve": shape.noise_curve} if shape.degrader == "reconstruction" else {}),
        **later,
    }
    # The card goes first: a checkpoint never stands without one that is as new.
    with write_whole(out / "card.json") as part:
        part.write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")
    known = domains.card | later
    for name in ["selected.pt"] * is_best + ["checkpoint.pt"]:
        save_checkpoint(out / name, config, state, split_hash=domains.split_hash, card=known)
    return best


@contextmanager
def _log(
    out: Path, step: int, fabric: Fabric
) -> Iterator[Callable[[Row, np.ndarray | None], None]]:
    """Function that appends a row to ``log.csv`` and to the TensorBoard events, with a picture.

    Rows after ``step``, left by a run that was cut after its last checkpoint, are dropped.
    """
    if not fabric.is_global_zero:
        yield lambda _row, _images: None
        return
    from torch.utils.tensorboard import SummaryWriter

    path = out / "log.csv"
    kept = _rows_until(path, step)
    started = time.monotonic() - (float(kept[-1]["seconds"]) if kept else 0.0)
    with write_whole(path) as part, part.open("w", newline="", encoding="utf-8") as handle:
        writer = csv.DictWriter(handle, COLUMNS, restval="", extrasaction="ignore")
        writer.writeheader()
        writer.writerows(kept)
    with path.open("a", newline="", encoding="utf-8") as handle:
        writer = csv.DictWriter(handle, COLUMNS, restval="", extrasaction="ignore")
        with SummaryWriter(str(out / "tensorboard"), purge_step=step + 1) as events:

            def write(row: Row, images: np.ndarray | None) -> None:
                if images is not None:
                    events.add_image("samples", images, int(row["step"]), dataformats="HW")
                row["seconds"] = round(time.monotonic() - started, 3)
                writer.writerow(row)
                handle.flush()  # a checkpoint never stands without the rows before it
                if int(row["step"]) % 10 == 0 or "watch_hidden" in row:
                    for name in row.keys() - {"step", "seconds"}:
                        events.add_scalar(name.replace("_", "/", 1), row[name], int(row["step"]))

            yield write


def _rows_until(path: Path, step: int) -> list[dict[str, Any]]:
    if step == 0 or not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as handle:
        # A row that was cut short by a kill has empty fields at its end, never a wrong step.
        return [row for row in csv.DictReader(handle) if row["step"] and int(row["step"]) <= step]


COLUMNS = (
    "step",
    "seconds",
    *(
        f"critic_{term}_{domain}"
        for term in ("gap", "penalty", "error")
        for domain in ("full", "low")
    ),
    *(
        f"generator_{term}"
        for term in (
            "full",
            "low",
            "cycle_full",
            "cycle_low",
            "identity",
            "mean_shift",
            "transport",
            "neighbour",
        )
    ),
    *(
        f"watch_{name}"
        for name in (
            "residual_ratio",
            "degrader_ratio",
            "degrader_nps",
            "structure",
            "hidden",
            "gsure",
            "nps_distance",
        )
    ),
    *(f"watch_bias_{tissue}_hu" for tissue in ("lung", "soft", "bone")),
)
"""Columns of ``log.csv``; empty where a term was not computed at a step."""

"""A training run on disk: a folder that says what was done and can be continued at any time."""

import math
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from lightning_fabric import Fabric

from ctlab.files import write_json, write_whole
from ctlab.learn.config import Networks, TrainConfig
from ctlab.learn.data.domains import Domains, build_domains
from ctlab.learn.data.split import split_csv
from ctlab.learn.models.spectral_noise import with_measured_noise
from ctlab.learn.train.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from ctlab.learn.train.devices import make_fabric
from ctlab.learn.train.fine_tune import take_over
from ctlab.learn.train.loop import train
from ctlab.learn.train.model_selection import CRITERION, better
from ctlab.learn.train.monitor import (
    RaisedWarning,
    ValidationBatch,
    compute_metrics,
    raised_warnings,
    samples,
)
from ctlab.learn.train.run_log import Row, run_log
from ctlab.learn.train.state import TrainState
from ctlab.output_folder import FolderLock, contents


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
    start: Checkpoint | None = None,
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
        Continue from the folder's last checkpoint; the result is that of a run never cut. A run
        that is finished goes on where ``config.steps`` is more than it was; the learning rate then
        follows the longer schedule from there.
    start : Checkpoint, optional
        Weights that the first step starts from (fine-tuning); see
        :func:`ctlab.learn.train.fine_tune.take_over`.
    on_row : function, optional
        Called with each log row, for a display.

    Raises
    ------
    ValueError
        The folder is not empty, or holds a run of another configuration or split; the data
        do not give two domains; the networks of ``start`` do not fit; a fatal warning was raised
        (:class:`TrainingStoppedError`).
    """
    out = Path(out)
    if resume and start is not None:
        raise ValueError("expected --resume or --from, got both; a resumed run keeps its weights")
    check_folder(out, config, resume=resume)
    fabric = make_fabric(config)
    with FolderLock(out) if fabric.is_global_zero else nullcontext():
        return _trained(out, config, fabric, resume=resume, start=start, on_row=on_row)


def _trained(
    out: Path,
    config: TrainConfig,
    fabric: Fabric,
    *,
    resume: bool,
    start: Checkpoint | None,
    on_row: Callable[[Row], None] | None,
) -> RunResult:
    """The run, in a folder that is this process's own."""
    if fabric.is_global_zero:
        check_folder(out, config, resume=resume)  # another process may have had it until now
    domains = build_domains(config)
    run = _Run(out, with_measured_noise(config, domains.full, domains.low), domains, fabric)
    if resume and (out / "checkpoint.pt").exists():
        run.continue_from(load_checkpoint(out / "checkpoint.pt"))
    elif start is not None:
        run.facts |= {"started_from": take_over(run.state, start, config)}
    if fabric.is_global_zero:
        _describe(out, config, domains)
        if start is not None:  # so that a kill before the first checkpoint does not lose it
            run.save(run.metrics())
    try:
        with run_log(out, run.state.step, fabric) as write:
            run.train(write, on_row)
    except OSError as error:
        raise OSError(
            error.errno, f"{error.strerror or error}; {run.what_stays()}", error.filename or out
        ) from error
    fabric.barrier()  # no process leaves, and ends the others, while files are written
    checkpoint = out / "checkpoint.pt"
    return RunResult(run.state.step, checkpoint, tuple(run.raised), fabric.world_size)


class _Run:
    """A run in progress: networks, data, and what the card will say."""

    def __init__(self, out: Path, config: TrainConfig, domains: Domains, fabric: Fabric) -> None:
        self.out, self.config, self.domains, self.fabric = out, config, domains, fabric
        self.state = TrainState.start(config, fabric.device)
        self.validation = ValidationBatch.draw(
            config, domains.full, domains.low, pairs=domains.pairs
        )
        self.facts = dict(domains.card)
        self.raised = _confound_warnings(domains)
        self.best: Selected | None = None
        self.saved: int | None = None

    def what_stays(self) -> str:
        """What a run that ends here leaves, in words."""
        if self.saved is None:
            return "no checkpoint was written yet"
        return f"checkpoint.pt of step {self.saved} stays: mend that and go on with --resume"

    def metrics(self) -> Row:
        """Metrics of the monitor at this step."""
        return compute_metrics(self.state.networks, self.validation, self.config)

    def continue_from(self, checkpoint: Checkpoint) -> None:
        """Networks, raised warnings and the selected step when the checkpoint was written.

        All from the checkpoint, not from ``card.json``: a kill between the two files leaves a card
        that names a step nobody saved.
        """
        if checkpoint.split_hash != self.domains.split_hash:
            raise ValueError(
                f"{self.out} was trained on other slices than {', '.join(self.config.data.full)} "
                "now give; resume with the data of the first run, or start a new run folder"
            )
        card = checkpoint.card
        if checkpoint.config.steps != self.config.steps:
            if checkpoint.step < checkpoint.config.steps:
                raise ValueError(
                    f"expected a finished run for more steps, got one at step {checkpoint.step} "
                    f"of {checkpoint.config.steps}; finish it with its own configuration first"
                )
            self.facts["finished_before_at"] = [
                *card.get("finished_before_at", []),
                checkpoint.step,
            ]
        self.state.load_state_dict(checkpoint.state)
        self.saved = checkpoint.step
        for kept in ("started_from", "finished_before_at"):
            if kept in card and kept not in self.facts:
                self.facts[kept] = card[kept]
        self.raise_warnings([RaisedWarning(**values) for values in card.get("alarms", [])])
        selection = card.get("selection", {})
        if "step" in selection:
            self.best = Selected(selection["step"], selection["score"])

    def train(
        self,
        write: Callable[[Row, np.ndarray | None], None],
        on_row: Callable[[Row], None] | None,
    ) -> None:
        """Step by step: monitor, log, save."""
        config, state, domains = self.config, self.state, self.domains
        rows = train(
            config, domains.full, domains.low, pairs=domains.pairs, state=state, fabric=self.fabric
        )
        for row in rows:
            is_last = state.step == config.steps
            is_monitored = state.step % config.monitor_every == 0 or is_last
            if is_monitored:
                row |= self.metrics()
            self.raise_warnings(raised_warnings(row))
            self.stop_if_fatal()
            shown = samples(state.networks, self.validation, config) if is_monitored else None
            write(row, shown)
            if on_row is not None:
                on_row(row)
            if state.step % config.save_every == 0 or is_last:
                _stop_if_lost(state)
                if self.fabric.is_global_zero:
                    self.save(row if is_monitored else self.metrics())

    def raise_warnings(self, new: list[RaisedWarning]) -> None:
        """Keep the newest warning of each name."""
        names = {warning.name for warning in new}
        self.raised = [w for w in self.raised if w.name not in names] + new

    def stop_if_fatal(self) -> None:
        """Stop every process where one has a fatal warning: the others would wait for it."""
        fatal = [str(warning) for warning in self.raised if warning.is_fatal]
        count = torch.tensor(float(len(fatal)), device=self.fabric.device)
        if self.fabric.world_size > 1:
            count = cast(torch.Tensor, self.fabric.all_reduce(count, reduce_op="sum"))
        if count > 0:
            raise TrainingStoppedError("; ".join(fatal) or "another process has a fatal warning")

    def save(self, metrics: Row) -> None:
        """Write card and checkpoint, and ``selected.pt`` where it is the best so far."""
        config, state = self.config, self.state
        score = metrics["watch_gsure"] + metrics["watch_nps_distance"]
        is_best = better(score, self.best.score if self.best else None)
        if is_best:
            self.best = Selected(state.step, score)
        selection: dict[str, Any] = {"criterion": CRITERION, "file": "selected.pt"}
        selection |= {"step": self.best.step, "score": self.best.score} if self.best else {}
        known = self.facts | {
            "selection": selection,
            "alarms": [warning.to_dict() for warning in self.raised],
        }
        split_hash, shape = self.domains.split_hash, config.networks
        card = {
            "format_version": 1,
            "steps": state.step,
            "is_finished": state.step == config.steps,
            "split_hash": split_hash,
            "seed": config.seed,
            **self.facts,
            **_measured_noise(shape),
            **known,
        }
        # The card goes first: a checkpoint never stands without one that is as new.
        write_json(self.out / "card.json", card)
        for name in ["selected.pt"] * is_best + ["checkpoint.pt"]:
            save_checkpoint(self.out / name, config, state, split_hash=split_hash, card=known)
        self.saved = state.step


def check_folder(out: Path, config: TrainConfig, *, resume: bool) -> None:
    """Refuse a folder that holds something else than this run, before anything is written."""
    if out.exists() and not out.is_dir():
        raise ValueError(f"{out} is a file; name a folder for the run")
    is_empty = not contents(out)
    if is_empty or not (out / "config.toml").exists():
        if not is_empty:
            raise ValueError(f"{out} is not empty and holds no run; name a new folder")
        return
    if not resume:
        raise ValueError(
            f"{out} holds a run already; continue it with --resume or name a new folder"
        )
    first = TrainConfig.from_toml(out / "config.toml")
    differing = [n for n in TrainConfig.model_fields if getattr(first, n) != getattr(config, n)]
    if differing and not (differing == ["steps"] and config.steps > first.steps):
        raise ValueError(
            f"{out} was begun with another configuration (differing: {', '.join(differing)}); "
            "resume with the same file, or one with more steps, or start a new run folder"
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


def _stop_if_lost(state: TrainState) -> None:
    """A step may ruin the weights after its terms were finite: such weights are never saved."""
    if not all(bool(torch.isfinite(p).all()) for p in state.networks.parameters()):
        remedy = "the run is lost; halve learning_rate or set precision = '32-true'"
        lost = RaisedWarning("weights are not finite", state.step, math.nan, math.inf, remedy, True)
        raise TrainingStoppedError(str(lost))


def _measured_noise(shape: Networks) -> dict[str, Any]:
    """Level and spectrum of the noise as the degrader starts from them, for the card."""
    if shape.degrader == "spectrum":
        names = ("noise_curve", "noise_spectrum", "noise_spread")
        return {name: getattr(shape, name) for name in names}
    return {"noise_curve": shape.noise_curve} if shape.degrader == "reconstruction" else {}

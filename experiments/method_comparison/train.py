"""One process a method, all at once on one device, each for the same time."""

import json
import math
import multiprocessing
import resource
import sys
import threading
import time
from multiprocessing.synchronize import Barrier
from pathlib import Path

import torch

from ctlab.learn.config import TrainConfig
from ctlab.learn.data.domains import Domains
from ctlab.learn.models.spectral_noise import with_measured_noise
from ctlab.learn.train.checkpoint import save_checkpoint
from ctlab.learn.train.devices import make_fabric
from ctlab.learn.train.loop import train
from ctlab.learn.train.state import TrainState
from experiments.method_comparison.configurations import config_of
from experiments.method_comparison.store import read_domains

TRIAL_STEPS = 120
"""Steps that tell the speed, while all others run as well; their result is thrown away."""


def train_all(
    work: Path,
    out: Path,
    names: list[str],
    series: str,
    *,
    seconds: float,
    steps: int | None = None,
    graphs: bool = True,
) -> None:
    """Train every configuration for ``seconds`` after its start-up, or for so many steps.

    Each leaves a checkpoint and a log.
    """
    out.mkdir(parents=True, exist_ok=True)
    spawn = multiprocessing.get_context("spawn")
    ready = spawn.Barrier(len(names))
    processes = [
        spawn.Process(
            target=_train_one, args=(name, work, out, series, seconds, steps, ready, graphs)
        )
        for name in names
    ]
    for process in processes:
        process.start()
    for name, process in zip(names, processes, strict=True):
        process.join()
        if process.exitcode:
            sys.stderr.write(f"{name} failed with exit code {process.exitcode}\n")


def _train_one(
    name: str,
    work: Path,
    out: Path,
    series: str,
    seconds: float,
    steps: int | None,
    ready: Barrier,
    graphs: bool,
) -> None:
    torch.set_num_threads(1)
    config = config_of(name, series)
    if graphs and torch.cuda.is_available():
        config = TrainConfig.from_dict(config.model_dump() | {"graphs": True})
    domains = read_domains(work / f"{domains_of(config)}.json", patch_px=config.patch_px)
    config = with_measured_noise(config, domains.full, domains.low)
    try:
        try:
            _speed(config, domains, 20)  # start-up of the device
        except RuntimeError as error:  # a step that cannot be captured is launched piece by piece
            sys.stderr.write(f"{name} is not captured: {error}\n")
            config = TrainConfig.from_dict(config.model_dump() | {"graphs": False})
            _speed(config, domains, 20)
        ready.wait(timeout=180)
    except threading.BrokenBarrierError:
        sys.stderr.write(
            f"{name} starts without waiting: another configuration failed or is late\n"
        )
    except Exception:
        ready.abort()
        raise
    started, until = time.monotonic(), math.inf
    if steps is None:
        step_s = _speed(config, domains, TRIAL_STEPS)
        left_s = seconds - (time.monotonic() - started)
        steps, until = max(200, int(left_s / step_s)), started + seconds * 1.03
    config = TrainConfig.from_dict(config.model_dump() | {"steps": steps})
    _train(name, config, domains, out, until=until)


def _speed(config: TrainConfig, domains: Domains, steps: int) -> float:
    """Seconds a step, over the last half of some steps that are thrown away."""
    short = TrainConfig.from_dict(config.model_dump() | {"steps": steps})
    steps_done = train(short, domains.full, domains.low, pairs=domains.pairs)
    times = [time.monotonic() for _ in steps_done]
    middle = len(times) // 2
    return (times[-1] - times[middle - 1]) / (len(times) - middle)


def _train(name: str, config: TrainConfig, domains: Domains, out: Path, *, until: float) -> None:
    fabric = make_fabric(config)
    state = TrainState.start(config, fabric.device)
    started, row = time.monotonic(), {}
    rows = train(config, domains.full, domains.low, pairs=domains.pairs, state=state, fabric=fabric)
    with (out / f"{name}.csv").open("w", encoding="utf-8") as log:
        for row in rows:
            if state.step == 1:
                log.write(",".join(row) + "\n")
            if state.step % 50 == 0:
                log.write(",".join(f"{value:.6g}" for value in row.values()) + "\n")
            if state.step % 1000 == 0:
                log.flush()
                _save(name, config, state, domains, out)
            if time.monotonic() > until:
                break
    _save(name, config, state, domains, out)
    facts = {
        "seconds": round(time.monotonic() - started, 1),
        "steps": state.step,
        "steps_planned": config.steps,
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
        "captured": config.graphs,
        "memory_mib": _memory_mib(),
        "torch": torch.__version__,
        "last": {key: round(float(value), 4) for key, value in row.items()},
    }
    (out / f"{name}.json").write_text(json.dumps(facts, indent=1), encoding="utf-8")
    sys.stdout.write(f"{name} {json.dumps(facts)}\n")
    sys.stdout.flush()


def _save(name: str, config: TrainConfig, state: TrainState, domains: Domains, out: Path) -> None:
    save_checkpoint(
        out / f"{name}.pt",
        config,
        state,
        split_hash=domains.split_hash,
        card=domains.card,
        with_optimisers=False,
    )


def _memory_mib() -> int:
    """Peak memory of tensors on the GPU, or of the process on a CPU."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() // 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def domains_of(config: TrainConfig) -> str:
    """Configurations with the same data share their simulated slabs."""
    return f"{config.data.paired}-{config.data.phantoms}"

"""The training loop: draw a batch, take a step, move the averages, yield one row of named terms.

Nothing here prints, plots or saves: :func:`train` yields, the caller decides.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch
from lightning_fabric import Fabric
from torch import Tensor

from ctlab.learn.config import TrainConfig
from ctlab.learn.models.spectral_noise import with_measured_noise
from ctlab.learn.train.batch import draw_batches
from ctlab.learn.train.devices import make_fabric
from ctlab.learn.train.state import TrainState
from ctlab.learn.train.step import Terms, training_step

if TYPE_CHECKING:  # what is trained on may come from elsewhere: it is only asked to draw
    from ctlab.learn.data.patches import PatchDomain


def train(
    config: TrainConfig,
    full: "PatchDomain",
    low: "PatchDomain",
    *,
    pairs: "PatchDomain | None" = None,
    state: TrainState | None = None,
    fabric: Fabric | None = None,
) -> Iterator[dict[str, float]]:
    """Rows of named terms, one per step, until ``config.steps`` steps are done.

    Parameters
    ----------
    full, low : PatchDomain
        Unpaired patches at routine and at low dose.
    pairs : PatchDomain, optional
        Low-dose patches with routine-dose partners, for a configuration that is not unpaired.
    state : TrainState, optional
        Changed in place, so that the caller can save it between rows. Default: a fresh one.
    fabric : lightning_fabric.Fabric, optional
        Device, precision and processes. Default: :func:`make_fabric`.

    Yields
    ------
    dict
        ``step`` (steps done) and the unweighted terms: ``critic_gap_full`` and
        ``critic_gap_low`` estimate the transport distances, ``generator_cycle_full`` is the
        cycle error, all in network units.
    """
    if (config.data.paired != "none") != (pairs is not None):
        raise ValueError(f"data.paired = {config.data.paired!r} does not fit the pairs given")
    fabric = fabric or make_fabric(config)
    if state is None:
        state = TrainState.start(with_measured_noise(config, full, low), fabric.device)
    take_step = training_step
    if config.graphs and fabric.device.type == "cuda":
        from ctlab.learn.train.cuda_graph import CapturedStep

        take_step = CapturedStep(state, config)
    for batch in draw_batches(config, full, low, pairs=pairs, state=state, fabric=fabric):
        _set_rate(state, config)
        with _repeatable(config.deterministic):
            critics, generators = take_step(state, batch, config, fabric)
        state.networks.update_averages(config, state.step)
        state.step += 1
        row = _numbers("critic", critics) | _numbers("generator", generators)
        yield {"step": state.step, **row}


@contextmanager
def _repeatable(enabled: bool) -> Iterator[None]:
    """Within the block PyTorch refuses algorithms whose result varies, if ``enabled``."""
    if not enabled:
        yield
        return
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS asks for this
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before)


def _set_rate(state: TrainState, config: TrainConfig) -> None:
    """Constant for the first half, then linear to ``final_rate`` of it."""
    late = max(0.0, 2.0 * state.step / config.steps - 1.0)
    rate = config.learning_rate * (1.0 - late * (1.0 - config.final_rate))
    for optimiser in (state.generator_optimizer, state.critic_optimizer):
        for group in optimiser.param_groups:
            if isinstance(group["lr"], Tensor):  # a captured step reads it from the device
                group["lr"].fill_(rate)
            else:
                group["lr"] = rate


def _numbers(prefix: str, terms: Terms) -> dict[str, float]:
    if not terms:
        return {}
    values = torch.stack([term.detach().float() for term in terms.values()]).tolist()
    return {f"{prefix}_{name}": value for name, value in zip(terms, values, strict=True)}

"""Training, top to bottom: draw, make, judge, move, and hand out one row of named terms.

Nothing here prints, plots or saves: :func:`train` yields, the caller decides. The draws of a
step depend on the seed, the step and the process alone, so a run that was cut at any step and
continued from its state goes on exactly as if it had not been cut.
"""

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins import MixedPrecision
from torch import Tensor

from ctlab.learn.config import TrainConfig
from ctlab.learn.models.fbp_noise import with_noise_curve
from ctlab.learn.train.devices import device_type, open_fabric
from ctlab.learn.train.state import TrainState
from ctlab.learn.train.step import Batch, Terms, play_round

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
        state = TrainState.start(with_noise_curve(config, full, low), fabric.device)
    play = play_round
    if config.graphs and fabric.device.type == "cuda":
        from ctlab.learn.train.cuda_graph import GraphedRound

        play = GraphedRound(state, config)
    while state.step < config.steps:
        batch = draw_batch(config, full, low, pairs=pairs, state=state, fabric=fabric)
        _set_rate(state, config)
        with _repeatable(config.deterministic):
            judged, moved = play(state, batch, config, fabric)
        state.players.update_averages(config, state.step)
        state.step += 1
        yield {"step": state.step, **_numbers("critic", judged), **_numbers("generator", moved)}


@contextmanager
def _repeatable(wanted: bool) -> Iterator[None]:
    """Within the block PyTorch refuses algorithms whose result varies, if so wanted."""
    if not wanted:
        yield
        return
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS asks for this
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before)


def make_fabric(config: TrainConfig, *, accelerator: str = "auto") -> Fabric:
    """Device, precision and processes of a run: one process, or what torchrun started."""
    mixed = config.precision == "bf16-mixed" or (config.precision == "auto" and has_fast_bf16())
    # As a plug-in rather than by name: a name is announced on the terminal at every start.
    plugins = [MixedPrecision("bf16-mixed", device_type(accelerator))] if mixed else None
    return open_fabric(accelerator=accelerator, plugins=plugins)


def has_fast_bf16() -> bool:
    """True where bfloat16 arithmetic is done in hardware, on the GPU or the CPU."""
    if torch.cuda.is_available():
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.cpu._is_avx512_bf16_supported()


def draw_batch(
    config: TrainConfig,
    full: "PatchDomain",
    low: "PatchDomain",
    *,
    pairs: "PatchDomain | None" = None,
    state: TrainState,
    fabric: Fabric,
) -> Batch:
    """All that is random in one step, from the seed, the step and the process."""
    rng = np.random.default_rng([config.seed, state.step, fabric.global_rank])
    device = fabric.device

    def net(hu: np.ndarray) -> Tensor:
        return config.scale.to_net(torch.from_numpy(hu)).to(device)

    slices = config.networks.slices
    stack = {} if slices == 1 else {"slices": slices}
    beside = simulated = None
    if config.losses.neighbour > 0:
        low_hu, beside_hu, noise_hu = low.draw_neighbours(config.batch, rng)
        beside = net(beside_hu)
    else:
        low_hu, noise_hu = low.draw(config.batch, rng, **stack)
    if pairs is None:
        full_hu, _ = full.draw(config.cycle_batch, rng, **stack)
    else:
        simulated_hu, full_hu, _ = pairs.draw_pairs(config.cycle_batch, rng, **stack)
        simulated = net(simulated_hu)
    # Degraded patches get the noise levels of real ones, as labels only: still unpaired.
    wanted = low.noise_like(config.cycle_batch, noise_hu, rng) / config.unit_hu
    torch_rng = torch.Generator().manual_seed(int(rng.integers(2**62)))
    full_net = config.scale.to_net(torch.from_numpy(full_hu))
    return Batch(
        low=net(low_hu),
        full=full_net.to(device),
        strength=torch.from_numpy(wanted).reshape(-1, 1, 1, 1).to(device),
        noise=state.players.draw_noise(full_net.flatten(0, 1)[:, None], torch_rng, device),
        turn_rad=float(rng.uniform(0.0, math.pi)) if config.turn_noise else 0.0,
        mix=torch.rand((2, config.batch, 1, 1, 1), generator=torch_rng).to(device),
        simulated=simulated,
        beside=beside,
    )


def _set_rate(state: TrainState, config: TrainConfig) -> None:
    """Constant for the first half, then linear to ``final_rate`` of it."""
    late = max(0.0, 2.0 * state.step / config.steps - 1.0)
    rate = config.learning_rate * (1.0 - late * (1.0 - config.final_rate))
    for optimiser in (state.made_by, state.judged_by):
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

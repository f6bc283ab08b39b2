"""A training step as one writes it first: the peer of the benchmarks of training.

It takes the same losses of the same batch in float32, with separate forward passes for critics
and generators (the order of most CycleGAN codes), default memory layout and Adam as it comes.
"""

from collections.abc import Callable
from typing import Any

import torch
from lightning_fabric import Fabric

from ctlab.learn.config import TrainConfig
from ctlab.learn.train import losses
from ctlab.learn.train.loop import draw_batch
from ctlab.learn.train.state import Players, TrainState
from ctlab.learn.train.step import Batch


def plain_step(
    config: TrainConfig, state: TrainState, full: Any, low: Any, *, fabric: Fabric
) -> Callable[[], float]:
    """Function that does one step on ``state`` and returns the cycle loss before it."""
    players = state.players.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    made_by, judged_by = (
        torch.optim.Adam(players.parameters_of(n), lr=config.learning_rate, betas=config.betas)
        for n in (Players.generators, Players.critics)
    )
    count = config.batch

    def degraded(batch: Batch) -> torch.Tensor:
        noise = tuple(n[:count] for n in batch.noise)
        return players["degrader"](batch.full[:count], noise, batch.strength[:count])

    def step() -> float:
        batch = draw_batch(config, full, low, state=state, fabric=fabric)
        with torch.no_grad():
            made_full, made_low = players["denoiser"](batch.low), degraded(batch)
        judged = _judged(state, config, batch, "full", batch.full[:count], made_full)
        judged = judged + _judged(state, config, batch, "low", batch.low, made_low)
        judged_by.zero_grad()
        judged.backward()
        judged_by.step()
        moved, cycle = _moved(players, config, batch, degraded)
        made_by.zero_grad()
        moved.backward()
        for name in Players.generators:
            torch.nn.utils.clip_grad_norm_(players[name].parameters(), config.clip_norm)
        made_by.step()
        players.update_averages(config, state.step)
        state.step += 1
        return cycle.item()

    return step


def _judged(
    state: TrainState,
    config: TrainConfig,
    batch: Batch,
    name: str,
    real: torch.Tensor,
    made: torch.Tensor,
) -> torch.Tensor:
    critic, weights = state.players[f"critic_{name}"], config.losses
    loss = -losses.gap(critic(real), critic(made))
    if state.step % weights.penalty_every == 0:
        mix = batch.mix[0 if name == "full" else 1]
        penalty = losses.gradient_penalty(critic, real, made, mix)
        loss = loss + weights.penalty * weights.penalty_every * penalty
    return loss


def _moved(
    players: Players,
    config: TrainConfig,
    batch: Batch,
    degraded: Callable[[Batch], torch.Tensor],
) -> tuple[torch.Tensor, torch.Tensor]:
    weights = config.losses
    made_full = players["denoiser"](batch.low)
    moved = -weights.full * players["critic_full"](made_full).mean()
    moved = moved - weights.low * players["critic_low"](degraded(batch)).mean()
    with torch.no_grad():
        cycled = players["degrader_ema"](
            batch.full, batch.noise, batch.strength, turn_rad=batch.turn_rad
        )
    returned = players["denoiser"](cycled)
    cycle = losses.cycle(batch.full, returned, rounding_net=weights.cycle_rounding)
    moved = moved + weights.cycle_full * cycle
    moved = moved + weights.mean_shift * losses.mean_shift(batch.low, made_full)
    return moved, cycle

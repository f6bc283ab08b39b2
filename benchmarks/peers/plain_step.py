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
from ctlab.learn.train.batch import Batch, draw_batches
from ctlab.learn.train.state import CycleNetworks, TrainState
from ctlab.learn.train.step import OWN_NOISE_NET


def plain_step(
    config: TrainConfig, state: TrainState, full: Any, low: Any, *, fabric: Fabric
) -> Callable[[], float]:
    """Function that does one step on ``state`` and returns the cycle loss before it."""
    networks = state.networks.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]  # torch's stub lacks it
    generator_optimizer, critic_optimizer = (
        torch.optim.Adam(networks.parameters_of(n), lr=config.learning_rate, betas=config.betas)
        for n in (CycleNetworks.generators, CycleNetworks.critics)
    )
    count = config.batch
    batches = draw_batches(config, full, low, state=state, fabric=fabric)

    def degraded(batch: Batch) -> torch.Tensor:
        noise = tuple(n[:count] for n in batch.noise)
        return networks["degrader"](batch.full[:count], noise, batch.strength[:count])

    def step() -> float:
        batch = next(batches)
        with torch.no_grad():
            made_full, made_low = networks["denoiser"](batch.low), degraded(batch)
        judged = _judged(state, config, batch, "full", batch.full[:count], made_full)
        judged = judged + _judged(state, config, batch, "low", batch.low, made_low)
        critic_optimizer.zero_grad()
        judged.backward()
        critic_optimizer.step()
        moved, cycle = _moved(networks, config, batch, degraded)
        generator_optimizer.zero_grad()
        moved.backward()
        for name in CycleNetworks.generators:
            torch.nn.utils.clip_grad_norm_(networks[name].parameters(), config.clip_norm)
        generator_optimizer.step()
        networks.update_averages(config, state.step)
        state.step += 1
        return cycle.item()

    return step


def _judged(
    state: TrainState,
    config: TrainConfig,
    batch: Batch,
    name: str,
    real: torch.Tensor,
    generated: torch.Tensor,
) -> torch.Tensor:
    critic, weights = state.networks[f"critic_{name}"], config.losses
    loss = -losses.gap(critic(real), critic(generated))
    if state.step % weights.penalty_every == 0:
        mix = batch.mix[0 if name == "full" else 1]
        penalty = losses.gradient_penalty(critic, real, generated, mix)
        loss = loss + weights.penalty * weights.penalty_every * penalty
    return loss


def _moved(
    networks: CycleNetworks,
    config: TrainConfig,
    batch: Batch,
    degraded: Callable[[Batch], torch.Tensor],
) -> tuple[torch.Tensor, torch.Tensor]:
    weights = config.losses
    made_full = networks["denoiser"](batch.low)
    moved = -weights.full * networks["critic_full"](made_full).mean()
    if weights.low_teaches:
        moved = moved - weights.low * networks["critic_low"](degraded(batch)).mean()
    with torch.no_grad():
        cycled = networks["degrader_ema"](
            batch.cycled, batch.noise, batch.strength * batch.level, width=batch.width
        )
    returned = networks["denoiser"](cycled)
    weight = None
    if weights.cycle_relative:
        weight = 1.0 / ((batch.strength * batch.level).square() + OWN_NOISE_NET**2)
    cycle = losses.cycle(batch.cycled, returned, rounding_net=weights.cycle_rounding, weight=weight)
    moved = moved + weights.cycle_full * cycle
    moved = moved + weights.mean_shift * losses.mean_shift(batch.low, made_full)
    return moved, cycle

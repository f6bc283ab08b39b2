"""One training step of the shipped recipe: ours beside a plain eager step.

The peer takes the same losses of the same batch in float32 with separate forward passes for
critics and generators (the order of most CycleGAN codes), default memory layout and Adam as it
comes. Ours merges passes: real and made images share one batch, and the generators' images are
made once for both halves of the step.
"""

from collections.abc import Callable, Iterator
from typing import Any

import torch

from benchmarks.harness import compare
from ctlab.learn import TrainConfig, load_checkpoint, losses, shipped_domains
from ctlab.learn.players import Players, TrainState
from ctlab.learn.training import Batch, draw_batch, has_fast_bf16, make_fabric, train


def results() -> Iterator[dict[str, Any]]:
    """The same arithmetic in float32, then bfloat16 where the hardware has it."""
    plain = load_checkpoint().config.model_copy(update={"precision": "32-true", "steps": 10**6})
    kinds = [("float32", plain, 1e-3)]
    if has_fast_bf16():
        kinds.append(("bfloat16", plain.model_copy(update={"precision": "bf16-mixed"}), 0.05))
    for name, config, tolerance in kinds:
        ours, peer = _ours(config), _plain(plain)
        ours(), peer()  # so that what is compared next depends on a whole step of each
        yield compare(
            f"training step, 64 px, batch {config.batch} and {config.cycle_batch}, {name}",
            ours,
            peer,
            peer_name="eager float32 PyTorch, separate passes",
            difference=lambda a, b: abs(a - b) / abs(b),
            tolerance=tolerance,
            packages=("torch", "lightning-fabric"),
            rounds=9,
        )


def _ours(config: TrainConfig) -> Callable[[], float]:
    rows = train(config, *shipped_domains(), state=_state(config))
    return lambda: next(rows)["generator_cycle_full"]


def _state(config: TrainConfig) -> TrainState:
    """Weights of the shipped checkpoint at an even step, so that every call has a penalty."""
    state = load_checkpoint().train_state()
    state.step = 0
    return state


def _plain(config: TrainConfig) -> Callable[[], float]:
    """A step as one writes it first; it changes its networks like ours."""
    state, fabric = _state(config), make_fabric(config, accelerator="cpu")
    full, low = shipped_domains()
    players = state.players.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    made_by, judged_by = (
        torch.optim.Adam(players.parameters_of(n), lr=config.learning_rate, betas=config.betas)
        for n in (Players.generators, Players.critics)
    )
    weights, count = config.losses, config.batch

    def judge(batch: Batch, name: str, real: torch.Tensor, made: torch.Tensor) -> torch.Tensor:
        critic = players[f"critic_{name}"]
        loss = -losses.gap(critic(real), critic(made))
        if state.step % weights.penalty_every == 0:
            mix = batch.mix[0 if name == "full" else 1]
            penalty = losses.gradient_penalty(critic, real, made, mix)
            loss = loss + weights.penalty * weights.penalty_every * penalty
        return loss

    def degraded(batch: Batch) -> torch.Tensor:
        noise = tuple(n[:count] for n in batch.noise)
        return players["degrader"](batch.full[:count], noise, batch.strength[:count])

    def step() -> float:
        batch = draw_batch(config, full, low, state=state, fabric=fabric)
        with torch.no_grad():
            made_full, made_low = players["denoiser"](batch.low), degraded(batch)
        judged = judge(batch, "full", batch.full[:count], made_full)
        judged = judged + judge(batch, "low", batch.low, made_low)
        judged_by.zero_grad()
        judged.backward()
        judged_by.step()
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
        made_by.zero_grad()
        moved.backward()
        for name in Players.generators:
            torch.nn.utils.clip_grad_norm_(players[name].parameters(), config.clip_norm)
        made_by.step()
        players.update_averages(config, state.step)
        state.step += 1
        return cycle.item()

    return step

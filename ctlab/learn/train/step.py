"""One training step, in the order of the paper: images, the critics' step, the generators'."""

import math
from dataclasses import dataclass
from typing import cast

import torch
from lightning_fabric import Fabric
from torch import Tensor

from ctlab.learn.config import TrainConfig
from ctlab.learn.models.degrader import Noise
from ctlab.learn.models.unet import centre
from ctlab.learn.train import losses
from ctlab.learn.train.state import Players, TrainState

Terms = dict[str, Tensor]


@dataclass(frozen=True)
class Batch:
    """Unpaired patches of one step in network units, and all random numbers the step uses."""

    low: Tensor  # (B, slices, p, p)
    full: Tensor  # (C, slices, p, p); the critics use the first B
    strength: Tensor  # (C, 1, 1, 1): noise SD asked of the degrader, in network units
    noise: Noise  # for the slices of the C degraded patches
    turn_rad: Tensor | float  # by which the noise of the cycle is turned
    mix: Tensor  # (2, B, 1, 1, 1): places on the segments of the gradient penalty
    simulated: Tensor | None = (
        None  # (C, slices, p, p): low-dose partners of ``full``, where paired
    )
    beside: Tensor | None = None  # (B, 1, p, p): neighbouring slices of ``low``, where asked for


@dataclass(frozen=True)
class Made:
    """What the generators made of a batch; ``None`` where no term of the objective needs it."""

    full: Tensor | None  # (B, 1, p, p): denoised low
    low: Tensor | None  # (B, 1, p, p): degraded full
    returned: Tensor | None  # (C, 1, p, p): full -> low -> full


def play_round(
    state: TrainState, batch: Batch, config: TrainConfig, fabric: Fabric
) -> tuple[Terms, Terms]:
    """Critics move, then generators; the terms of both, before they moved."""
    players = state.players
    with fabric.autocast():
        made = make_images(players, batch, config)
        judged = critic_terms(players, batch, made, config, state.step)
    _descend(state.judged_by, judged, _critic_weights(config), fabric, math.inf)
    with fabric.autocast(), _frozen(players, Players.critics):
        moved = generator_terms(players, batch, made, config)
        wanted = {k: getattr(config.losses, k) for k in moved}
        _descend(state.made_by, moved, wanted, fabric, config.clip_norm)
    return judged, moved


def make_images(players: Players, batch: Batch, config: TrainConfig) -> Made:
    """One forward pass of each generator; the denoiser sees real and made images in one batch."""
    made_low, cycled = _degraded(players, batch, config)
    weights = config.losses
    of_low = (weights.full, weights.cycle_low, weights.transport, weights.neighbour)
    uses_low = max(*of_low, weights.mean_shift) > 0
    inputs = [batch.low] * uses_low + ([] if cycled is None else [cycled])
    made = players["denoiser"](torch.cat(inputs)).split([len(image) for image in inputs])
    return Made(
        full=made[0] if uses_low else None,
        low=made_low,
        returned=None if cycled is None else made[-1],
    )


def _degraded(
    players: Players, batch: Batch, config: TrainConfig
) -> tuple[Tensor | None, Tensor | None]:
    """Low-dose images for the critic (B, ...) and for the cycle (C, ...), where there are any."""
    if config.networks.degrader in ("simulator", "none"):
        return None, batch.simulated
    count = config.batch
    fields = count * config.networks.slices
    first = tuple(n[:fields] for n in batch.noise)
    made_low = degraded(players["degrader"], batch.full[:count], first, batch.strength[:count])
    if config.losses.stop_cycle_at_degrader:
        with torch.no_grad():
            cycled = degraded(
                players["degrader_ema"],
                batch.full,
                batch.noise,
                batch.strength,
                turn_rad=batch.turn_rad,
            )
        return centre(made_low), cycled
    rest = tuple(n[fields:] for n in batch.noise)
    more = degraded(players["degrader"], batch.full[count:], rest, batch.strength[count:])
    return centre(made_low), torch.cat([made_low, more])


def degraded(
    degrader: torch.nn.Module,
    image: Tensor,
    noise: Noise,
    strength: Tensor,
    *,
    turn_rad: Tensor | float = 0.0,
) -> Tensor:
    """Stacks (B, slices, p, p) degraded slice by slice, each with noise of its own."""
    flat = image.flatten(0, 1)[:, None]
    each = strength.repeat_interleave(image.shape[1], 0)
    return degrader(flat, noise, each, turn_rad=turn_rad).view_as(image)


def critic_terms(
    players: Players, batch: Batch, made: Made, config: TrainConfig, step: int
) -> Terms:
    """Terms the critics descend; the images are held fixed. A critic nobody heeds is left alone."""
    terms: Terms = {}
    every = config.losses.penalty_every
    full, low = centre(batch.full[: config.batch]), centre(batch.low)
    real_and_made = {"full": (full, made.full), "low": (low, made.low)}
    for k, (name, (real, fake)) in enumerate(real_and_made.items()):
        if fake is None or getattr(config.losses, name) == 0:
            continue
        fake = fake.detach()
        critic = players[f"critic_{name}"]
        real_score, made_score = critic(torch.cat([real, fake])).chunk(2)
        if config.losses.adversarial == "least_squares":
            terms[f"error_{name}"] = losses.least_squares_critic(real_score, made_score)
            continue
        terms[f"gap_{name}"] = losses.gap(real_score, made_score)
        if step % every == 0:
            terms[f"penalty_{name}"] = losses.gradient_penalty(critic, real, fake, batch.mix[k])
    return terms


def _critic_weights(config: TrainConfig) -> dict[str, float]:
    """A critic *widens* the gap, hence the sign."""
    penalty = config.losses.penalty * config.losses.penalty_every
    return {
        **{f"gap_{d}": -1.0 for d in ("full", "low")},
        **{f"penalty_{d}": penalty for d in ("full", "low")},
        **{f"error_{d}": 1.0 for d in ("full", "low")},
    }


def generator_terms(players: Players, batch: Batch, made: Made, config: TrainConfig) -> Terms:
    """Terms the generators descend, named like their weights in the configuration."""
    weights = config.losses
    rounding = weights.cycle_rounding
    terms: Terms = {}
    for name, image in (("full", made.full), ("low", made.low)):
        if image is not None and getattr(weights, name) > 0:
            score = players[f"critic_{name}"](image)
            is_squares = weights.adversarial == "least_squares"
            terms[name] = losses.least_squares_generator(score) if is_squares else -score.mean()
    if made.returned is not None and weights.cycle_full > 0:
        full = centre(batch.full)
        terms["cycle_full"] = losses.cycle(full, made.returned, rounding_net=rounding)
    if made.full is not None:
        terms |= _terms_of_denoised(players, batch, made.full, config)
    if weights.identity > 0:
        kept = players["denoiser"](batch.full[: config.batch])
        terms["identity"] = losses.cycle(centre(batch.full[: config.batch]), kept)
    return terms


def _terms_of_denoised(
    players: Players, batch: Batch, denoised: Tensor, config: TrainConfig
) -> Terms:
    """Terms that look at real low-dose images and what the denoiser made of them."""
    weights, count = config.losses, config.batch
    low = centre(batch.low)
    terms: Terms = {}
    if weights.cycle_low > 0:
        noise = tuple(n[:count] for n in batch.noise)
        again = players["degrader"](denoised, noise, batch.strength[:count])
        terms["cycle_low"] = losses.cycle(low, again, rounding_net=weights.cycle_rounding)
    if weights.mean_shift > 0:
        terms["mean_shift"] = losses.mean_shift(low, denoised)
    if weights.transport > 0:
        terms["transport"] = losses.transport(low, denoised)
    if batch.beside is not None:
        sd = batch.strength[:count]
        terms["neighbour"] = losses.neighbour(denoised, low, batch.beside, sd)
    return terms


def _descend(
    optimiser: torch.optim.Adam,
    terms: Terms,
    weights: dict[str, float],
    fabric: Fabric,
    clip_norm: float,
) -> None:
    """One step down the weighted sum; gradients are averaged over processes, then clipped."""
    if not terms:
        return
    optimiser.zero_grad(set_to_none=True)
    torch.stack([weights[name] * term for name, term in terms.items()]).sum().backward()
    for group in optimiser.param_groups:  # one network each, clipped by itself
        average_gradients(group["params"], fabric)
        if math.isfinite(clip_norm):
            torch.nn.utils.clip_grad_norm_(group["params"], clip_norm)
    optimiser.step()


def average_gradients(parameters: list[torch.nn.Parameter], fabric: Fabric) -> None:
    """Replace each gradient by its mean over all processes, in one message."""
    if fabric.world_size == 1:
        return
    gradients = [p.grad for p in parameters if p.grad is not None]
    flat = torch.cat([g.flatten() for g in gradients])
    flat = cast(torch.Tensor, fabric.all_reduce(flat, reduce_op="mean"))
    parts = torch.split(flat, [g.numel() for g in gradients])
    for gradient, mean in zip(gradients, parts, strict=True):
        gradient.copy_(mean.view_as(gradient))


class _frozen:  # noqa: N801  (reads as a word in a with statement)
    """Within the block the named networks get no gradients of their own."""

    def __init__(self, players: Players, names: tuple[str, ...]) -> None:
        self.parameters = players.parameters_of(names)

    def __enter__(self) -> None:
        for parameter in self.parameters:
            parameter.requires_grad_(False)

    def __exit__(self, *error: object) -> None:
        for parameter in self.parameters:
            parameter.requires_grad_(True)

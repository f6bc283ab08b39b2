"""One training step in the order of the paper: generate images, step the critics, the generators.

The objective is the dual of optimal transport with a penalised least-squares cost (Sim, Oh, Kim,
Jung, Ye 2020, doi 10.1137/20M1317992); :mod:`ctlab.learn.train.losses` holds its terms.
"""

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
from ctlab.learn.train.batch import Batch
from ctlab.learn.train.state import CycleNetworks, TrainState

Terms = dict[str, Tensor]


@dataclass(frozen=True)
class GeneratedImages:
    """What the generators gave for a batch; ``None`` where no term of the objective needs it."""

    full: Tensor | None  # (B, 1, p, p): denoised low
    low: Tensor | None  # (B, 1, p, p): degraded full
    returned: Tensor | None  # (C, 1, p, p): full -> low -> full


def training_step(
    state: TrainState, batch: Batch, config: TrainConfig, fabric: Fabric
) -> tuple[Terms, Terms]:
    """Terms of the critics and of the generators before the step; the critics step first."""
    networks = state.networks
    with fabric.autocast():
        images = generate_images(networks, batch, config)
        of_critics = critic_terms(networks, batch, images, config, state.step)
    _descend(state.critic_optimizer, of_critics, _critic_weights(config), fabric, math.inf)
    with fabric.autocast(), _frozen(networks, CycleNetworks.critics):
        of_generators = generator_terms(networks, batch, images, config)
    weights = {name: getattr(config.losses, name) for name in of_generators}
    _descend(state.generator_optimizer, of_generators, weights, fabric, config.clip_norm)
    return of_critics, of_generators


def generate_images(networks: CycleNetworks, batch: Batch, config: TrainConfig) -> GeneratedImages:
    """One forward pass of each generator; real and degraded images pass the denoiser together."""
    degraded_low, cycled = _degraded(networks, batch, config)
    weights = config.losses
    of_low = (weights.full, weights.cycle_low, weights.transport, weights.neighbour)
    uses_low = max(*of_low, weights.mean_shift) > 0
    inputs = [batch.low] * uses_low + ([] if cycled is None else [cycled])
    denoised = networks["denoiser"](torch.cat(inputs)).split([len(image) for image in inputs])
    return GeneratedImages(
        full=denoised[0] if uses_low else None,
        low=degraded_low,
        returned=None if cycled is None else denoised[-1],
    )


def _degraded(
    networks: CycleNetworks, batch: Batch, config: TrainConfig
) -> tuple[Tensor | None, Tensor | None]:
    """Low-dose images for the critic (B, ...) and for the cycle (C, ...), where there are any."""
    if config.networks.degrader in ("simulator", "none"):
        return None, batch.simulated
    degrader, count = networks["degrader"], config.batch
    fields = count * config.networks.slices
    first = tuple(n[:fields] for n in batch.noise)
    low = degraded(degrader, batch.full[:count], first, batch.strength[:count])
    if config.losses.stop_cycle_at_degrader:
        strength = batch.strength * batch.level
        with torch.no_grad():
            cycled = degraded(
                networks["degrader_ema"], batch.cycled, batch.noise, strength, width=batch.width
            )
        return centre(low), cycled
    rest = tuple(n[fields:] for n in batch.noise)
    more = degraded(degrader, batch.full[count:], rest, batch.strength[count:])
    return centre(low), torch.cat([low, more])


def degraded(
    degrader: torch.nn.Module,
    image: Tensor,
    noise: Noise,
    strength: Tensor,
    *,
    width: Tensor | None = None,
) -> Tensor:
    """Stacks (B, slices, p, p) degraded slice by slice, each with noise of its own."""
    flat = image.flatten(0, 1)[:, None]
    each = strength.repeat_interleave(image.shape[1], 0)
    wider = {} if width is None else {"width": width.repeat_interleave(image.shape[1], 0)}
    low: Tensor = degrader(flat, noise, each, **wider)
    return low.view_as(image)


def critic_terms(
    networks: CycleNetworks, batch: Batch, images: GeneratedImages, config: TrainConfig, step: int
) -> Terms:
    """Terms the critics descend; the images are held fixed. A critic nobody heeds is left alone."""
    terms: Terms = {}
    every = config.losses.penalty_every
    full, low = centre(batch.full[: config.batch]), centre(batch.low)
    pairs = {"full": (full, images.full), "low": (low, images.low)}
    for k, (name, (real, fake)) in enumerate(pairs.items()):
        if fake is None or getattr(config.losses, name) == 0:
            continue
        fake = fake.detach()
        critic = networks[f"critic_{name}"]
        real_score, fake_score = critic(torch.cat([real, fake])).chunk(2)
        if config.losses.adversarial == "least_squares":
            terms[f"error_{name}"] = losses.least_squares_critic(real_score, fake_score)
            continue
        terms[f"gap_{name}"] = losses.gap(real_score, fake_score)
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


def generator_terms(
    networks: CycleNetworks, batch: Batch, images: GeneratedImages, config: TrainConfig
) -> Terms:
    """Terms the generators descend, named like their weights in the configuration."""
    weights = config.losses
    rounding = weights.cycle_rounding
    terms: Terms = {}
    taught = {"full": images.full} | ({"low": images.low} if weights.low_teaches else {})
    for name, image in taught.items():
        if image is not None and getattr(weights, name) > 0:
            score = networks[f"critic_{name}"](image)
            is_squares = weights.adversarial == "least_squares"
            terms[name] = losses.least_squares_generator(score) if is_squares else -score.mean()
    if images.returned is not None and weights.cycle_full > 0:
        asked = centre(batch.cycled if weights.stop_cycle_at_degrader else batch.full)
        weight = _relative(batch) if weights.cycle_relative else None
        terms["cycle_full"] = losses.cycle(
            asked, images.returned, rounding_net=rounding, weight=weight
        )
    if images.full is not None:
        terms |= _terms_of_denoised(networks, batch, images.full, config)
    if weights.identity > 0:
        kept = networks["denoiser"](batch.full[: config.batch])
        terms["identity"] = losses.cycle(centre(batch.full[: config.batch]), kept)
    return terms


OWN_NOISE_NET = 0.3
"""Noise SD about that of a routine dose, which no denoiser is asked to leave behind."""


def _relative(batch: Batch) -> Tensor:
    """Weights (C, 1, 1, 1) that make errors count in parts of the variance of a patch's noise."""
    return 1.0 / ((batch.strength * batch.level).square() + OWN_NOISE_NET**2)


def _terms_of_denoised(
    networks: CycleNetworks, batch: Batch, denoised: Tensor, config: TrainConfig
) -> Terms:
    """Terms that look at real low-dose images and what the denoiser made of them."""
    weights, count = config.losses, config.batch
    low = centre(batch.low)
    terms: Terms = {}
    if weights.cycle_low > 0:
        noise = tuple(n[:count] for n in batch.noise)
        again = networks["degrader"](denoised, noise, batch.strength[:count])
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
    total = torch.stack([weights[name] * term for name, term in terms.items()]).sum()
    torch.autograd.backward(total)
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
    if not gradients:  # a network that no term teaches, alike in every process
        return
    flat = torch.cat([g.flatten() for g in gradients])
    flat = cast(torch.Tensor, fabric.all_reduce(flat, reduce_op="mean"))
    parts = torch.split(flat, [g.numel() for g in gradients])
    for gradient, mean in zip(gradients, parts, strict=True):
        gradient.copy_(mean.view_as(gradient))


class _frozen:  # noqa: N801  (reads as a word in a with statement)
    """Within the block the named networks get no gradients of their own."""

    def __init__(self, networks: CycleNetworks, names: tuple[str, ...]) -> None:
        self.parameters = networks.parameters_of(names)

    def __enter__(self) -> None:
        for parameter in self.parameters:
            parameter.requires_grad_(False)

    def __exit__(self, *error: object) -> None:
        for parameter in self.parameters:
            parameter.requires_grad_(True)

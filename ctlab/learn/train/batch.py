"""The batch of one training step: unpaired patches, and every random number the step uses.

The draws follow from the seed, the step and the process alone, so a run that was cut at any step
and continued from its state goes on exactly as if it had not been cut.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor

from ctlab.learn.config import TrainConfig
from ctlab.learn.models.critic import highpass
from ctlab.learn.models.degrader import Noise
from ctlab.learn.train.state import CycleNetworks, TrainState

if TYPE_CHECKING:  # what is trained on may come from elsewhere: it is only asked to draw
    from ctlab.learn.data.patches import PatchDomain


@dataclass(frozen=True)
class Batch:
    """Unpaired patches of one step in network units, and all random numbers the step uses."""

    low: Tensor  # (B, slices, p, p)
    full: Tensor  # (C, slices, p, p); the critics use the first B
    cycled: Tensor  # (C, slices, p, p): the same, some softened, for the cycle
    strength: Tensor  # (C, 1, 1, 1): noise SD asked of the degrader, in network units
    noise: Noise  # for the slices of the C degraded patches
    level: Tensor  # (C, 1, 1, 1): by which the noise of the cycle is stronger than that asked for
    width: Tensor  # (C, 1, 1, 1): by which its grain is stretched
    mix: Tensor  # (2, B, 1, 1, 1): places on the segments of the gradient penalty
    simulated: Tensor | None = (
        None  # (C, slices, p, p): low-dose partners of ``full``, where paired
    )
    beside: Tensor | None = None  # (B, 1, p, p): neighbouring slices of ``low``, where asked for


@dataclass(frozen=True)
class DrawnPatches:
    """What the processor draws for one step, in HU; the device makes the rest from the seed."""

    low_hu: np.ndarray  # (B, slices, p, p)
    full_hu: np.ndarray  # (C, slices, p, p)
    noise_hu: np.ndarray  # (C,)
    torch_seed: int
    level: np.ndarray  # (C,)
    width: np.ndarray  # (C,)
    soft_px: np.ndarray  # (C,)
    simulated_hu: np.ndarray | None = None
    beside_hu: np.ndarray | None = None


def draw_batches(
    config: TrainConfig,
    full: "PatchDomain",
    low: "PatchDomain",
    *,
    pairs: "PatchDomain | None" = None,
    state: TrainState,
    fabric: Fabric,
) -> Iterator[Batch]:
    """Batches of the steps from ``state.step`` on; the caller counts that up after each.

    Patches of the next step are drawn in a thread while the present one is taken: where nodules
    are computed into them, that takes longer than a step does on a GPU.
    """

    def draw(step: int) -> DrawnPatches:
        return draw_patches(config, full, low, step=step, pairs=pairs, rank=fabric.global_rank)

    with ThreadPoolExecutor(1, thread_name_prefix="patches") as drawing:
        ahead = drawing.submit(draw, state.step) if state.step < config.steps else None
        while ahead is not None:
            drawn, following = ahead.result(), state.step + 1
            ahead = drawing.submit(draw, following) if following < config.steps else None
            yield make_batch(drawn, config, state.networks, fabric.device)


def draw_patches(
    config: TrainConfig,
    full: "PatchDomain",
    low: "PatchDomain",
    *,
    step: int,
    pairs: "PatchDomain | None" = None,
    rank: int = 0,
) -> DrawnPatches:
    """Patches of one step from the seed, the step and the process; needs no network."""
    rng = np.random.default_rng([config.seed, step, rank])
    slices = config.networks.slices
    stack: dict[str, Any] = {} if slices == 1 else {"slices": slices}
    beside_hu = simulated_hu = None
    if config.losses.neighbour > 0:
        low_hu, beside_hu, noise_hu = low.draw_neighbours(config.batch, rng)
    else:
        low_hu, noise_hu = low.draw(config.batch, rng, **stack)
    if pairs is None:
        full_hu, _ = full.draw(config.cycle_batch, rng, **stack)
    else:
        simulated_hu, full_hu, _ = pairs.draw_pairs(config.cycle_batch, rng, **stack)
    return DrawnPatches(
        low_hu=low_hu,
        full_hu=full_hu,
        # Degraded patches get the noise levels of real ones, as labels only: still unpaired.
        noise_hu=low.noise_like(config.cycle_batch, noise_hu, rng),
        torch_seed=int(rng.integers(2**62)),
        level=_between(config.cycle_level, config.cycle_batch, rng),
        width=_between(config.cycle_width, config.cycle_batch, rng),
        soft_px=rng.choice(np.array(config.cycle_soft_px or (0.0,)), config.cycle_batch),
        simulated_hu=simulated_hu,
        beside_hu=beside_hu,
    )


def _between(ends: tuple[float, float], count: int, rng: np.random.Generator) -> np.ndarray:
    """Factors (count,): most near 1, none beyond the ends; triangular in their logarithm."""
    low, high = np.log(ends)
    if low == high:
        return np.full(count, ends[0])
    return np.exp(rng.triangular(low, min(max(low, 0.0), high), high, size=count))


def softened(image: Tensor, soft_px: np.ndarray) -> Tensor:
    """Stacks (C, slices, p, p), each blurred by a Gaussian of its own SD; 0 leaves it as it is."""
    made = image.clone()
    for sd_px in np.unique(soft_px[soft_px > 0]):
        chosen = torch.from_numpy(soft_px == sd_px)
        made[chosen] = image[chosen] - highpass(image[chosen], float(sd_px))
    return made


def make_batch(
    drawn: DrawnPatches, config: TrainConfig, networks: CycleNetworks, device: torch.device
) -> Batch:
    """Drawn patches in network units on the device, with the noise of the degrader."""

    def net(hu: np.ndarray | None) -> Tensor | None:
        return None if hu is None else config.scale.to_net(torch.from_numpy(hu)).to(device)

    def each(values: np.ndarray) -> Tensor:
        return torch.from_numpy(values.astype(np.float32)).reshape(-1, 1, 1, 1).to(device)

    torch_rng = torch.Generator().manual_seed(drawn.torch_seed)
    full_net = config.scale.to_net(torch.from_numpy(drawn.full_hu))
    return Batch(
        low=config.scale.to_net(torch.from_numpy(drawn.low_hu)).to(device),
        full=full_net.to(device),
        cycled=softened(full_net, drawn.soft_px).to(device),
        strength=each(drawn.noise_hu / config.unit_hu),
        noise=networks.draw_noise(full_net.flatten(0, 1)[:, None], torch_rng, device),
        level=each(drawn.level),
        width=each(drawn.width),
        mix=torch.rand((2, config.batch, 1, 1, 1), generator=torch_rng).to(device),
        simulated=net(drawn.simulated_hu),
        beside=net(drawn.beside_hu),
    )

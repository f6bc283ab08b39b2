"""A CycleGAN so small that it trains in seconds: images are points, patients are their abscissa.

A point is an image of two numbers. The first one is the *anatomy* (below zero: no nodule, above:
a nodule), the second one the *quality* (-1: low dose, +1: routine dose). The right denoiser adds 2
to the quality and leaves the anatomy alone. Nothing in the two distributions says so.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor

HIDDEN, BATCH, PENALTY, RATE = 32, 128, 5.0, 3e-3


@dataclass(frozen=True)
class ToyRun:
    """What several trainings from different starts ended with.

    Attributes
    ----------
    low : (points, 2), test images of low dose
    denoised : (runs, points, 2), what each run's generator made of them
    returned : (runs, points, 2), after the way back
    full : (points, 2), routine-dose images of *other* patients
    """

    low: np.ndarray
    denoised: np.ndarray
    returned: np.ndarray
    full: np.ndarray

    @property
    def kept(self) -> np.ndarray:
        """Share of the patients of each run (runs,) whose anatomy is on its side of zero still."""
        same_side = np.sign(self.denoised[..., 0]) == np.sign(self.low[:, 0])
        return np.asarray(same_side.mean(1))

    @property
    def cycle(self) -> np.ndarray:
        """Mean distance of each run (runs,) between an image and itself after the round trip."""
        return np.asarray(np.linalg.norm(self.returned - self.low, axis=-1).mean(1))

    @property
    def moved(self) -> np.ndarray:
        """Mean distance of each run (runs,) that an image was moved by denoising."""
        return np.asarray(np.linalg.norm(self.denoised - self.low, axis=-1).mean(1))

    @property
    def gap(self) -> np.ndarray:
        """Wasserstein-1 distance of each run (runs,): denoised from routine-dose images."""
        from scipy.optimize import linear_sum_assignment

        distances = []
        for denoised in self.denoised:
            cost = np.linalg.norm(denoised[:, None] - self.full[None], axis=-1)
            distances.append(cost[linear_sum_assignment(cost)].mean())
        return np.array(distances)


def draw_images(
    count: int, rng: np.random.Generator, *, quality: float, with_nodule: float = 0.5
) -> np.ndarray:
    """Images (count, 2) of one dose; that share of them shows a nodule, exactly.

    Examples
    --------
    >>> images = draw_images(10, np.random.default_rng(0), quality=1.0, with_nodule=0.3)
    >>> int((images[:, 0] > 0).sum())
    3
    """
    side = np.where(np.arange(count) < round(with_nodule * count), 1.0, -1.0)
    points = np.column_stack([1.5 * side, np.full(count, quality)])
    return np.asarray(points + rng.normal(0.0, 0.25, (count, 2)).clip(-0.75, 0.75))


@dataclass(frozen=True)
class ToyPlan:
    """What a training asks for.

    Attributes
    ----------
    cycle : weight of the round trips, there and back from either side
    identity : weight of the change of images that already have the target dose
    transport : weight of the distance that an image is moved
    from_identity : start each generator at the map that changes nothing, and let it learn the rest
    with_nodule : share of nodules in the low-dose and in the routine-dose distribution
    """

    cycle: float = 0.0
    identity: float = 0.0
    transport: float = 0.0
    from_identity: bool = False
    with_nodule: tuple[float, float] = (0.5, 0.5)


def train_toys(
    plans: Mapping[str, ToyPlan], *, runs: int = 8, steps: int = 400, seed: int = 0
) -> dict[str, ToyRun]:
    """Train unpaired generators against critics: each plan from the same few starts, all at once.

    Parameters
    ----------
    runs : independent starts of each plan; start k has the same first weights in every plan
    """
    rng = np.random.default_rng(seed)
    draws = torch.Generator().manual_seed(seed)
    asked = list(plans.values())
    weights = torch.tensor([[plan.cycle, plan.identity, plan.transport] for plan in asked])
    cycle, identity, transport = weights.repeat_interleave(runs, 0).repeat(2, 1).T
    near = torch.tensor([plan.from_identity for plan in asked]).repeat_interleave(runs).repeat(2)
    # Axis 0 of everything: direction (there, back), then plan, then start.
    makers, judges = _network(2, draws, len(asked), runs), _network(1, draws, len(asked), runs)
    with torch.no_grad():
        makers[-2][near] *= 0.01
    near = near.float()[:, None, None]
    by_makers, by_judges = (torch.optim.Adam(n, RATE, (0.5, 0.9)) for n in (makers, judges))
    for _ in range(steps):
        batches = _batches(asked, rng, runs)
        others = _swapped(batches)
        generated = _make(makers, batches, near)
        _step(by_judges, _judge(judges, others, generated.detach(), draws))
        back = _make(_swapped_all(makers), generated, near)
        same = _make(makers, others, near)
        loss = cycle * _distance(back, batches) + identity * _distance(same, others)
        loss = loss + transport * _distance(generated, batches)
        _step(by_makers, (loss - _apply(judges, generated).mean((1, 2))).sum())
    ended = {}
    for k, (name, plan) in enumerate(plans.items()):
        own = [k * runs + start for start in range(runs)]
        own += [len(asked) * runs + i for i in own]
        low = draw_images(200, rng, quality=-1.0, with_nodule=plan.with_nodule[0])
        full = draw_images(200, rng, quality=1.0, with_nodule=plan.with_nodule[1])
        with torch.no_grad():
            pair = [w[own] for w in makers]
            points = torch.from_numpy(low).float().expand(2 * runs, -1, -1)
            there = _make(pair, points, near[own])
            back = _make(_swapped_all(pair), there, near[own])
        ended[name] = ToyRun(low, _array(there, runs), _array(back, runs), full)
    return ended


def train_toy(*, runs: int = 8, steps: int = 400, seed: int = 0, **asked: Any) -> ToyRun:
    """Train one plan, given by the fields of :class:`ToyPlan`; see :func:`train_toys`."""
    return train_toys({"": ToyPlan(**asked)}, runs=runs, steps=steps, seed=seed)[""]


def _network(outputs: int, draws: torch.Generator, plans: int, runs: int) -> list[Tensor]:
    """Weights and biases for both directions, each plan and start; plans share first weights."""
    sizes = (2, HIDDEN, HIDDEN, outputs)
    weights: list[Tensor] = []
    for inputs, outs in pairwise(sizes):
        first = torch.randn((2, 1, runs, inputs, outs), generator=draws) * (2.0 / inputs) ** 0.5
        weights.append(first.repeat(1, plans, 1, 1, 1).flatten(0, 2))
        weights.append(torch.zeros(2 * plans * runs, 1, outs))
    return [w.requires_grad_() for w in weights]


def _apply(network: list[Tensor], points: Tensor) -> Tensor:  # (R, n, 2) -> (R, n, outputs)
    for k in range(0, len(network), 2):
        points = torch.baddbmm(network[k + 1], points, network[k])
        if k + 2 < len(network):
            points = torch.nn.functional.leaky_relu(points, 0.1)
    return points


def _make(network: list[Tensor], points: Tensor, near: Tensor) -> Tensor:
    """Translated images; a generator that starts at the identity adds what it learned."""
    return near * points + _apply(network, points)


def _judge(critics: list[Tensor], real: Tensor, fake: Tensor, draws: torch.Generator) -> Tensor:
    """Loss of the critics: minus the gap, plus the price of a slope other than one."""
    gap = (_apply(critics, real) - _apply(critics, fake)).mean((1, 2))
    mix = torch.rand((*real.shape[:2], 1), generator=draws)
    between = (mix * real + (1 - mix) * fake).requires_grad_()
    (slope,) = torch.autograd.grad(_apply(critics, between).sum(), between, create_graph=True)
    penalty = ((slope.square().sum(-1) + 1e-12).sqrt() - 1).square().mean(1)
    return (PENALTY * penalty - gap).sum()


def _batches(plans: Sequence[ToyPlan], rng: np.random.Generator, runs: int) -> Tensor:
    """A batch of each distribution for each plan, the same for all of its starts: (R, n, 2)."""
    drawn = [
        draw_images(BATCH, rng, quality=quality, with_nodule=plan.with_nodule[side])
        for side, quality in enumerate((-1.0, 1.0))
        for plan in plans
    ]
    return torch.from_numpy(np.stack(drawn)).float().repeat_interleave(runs, 0)


def _swapped(both: Tensor) -> Tensor:
    """The same with the two directions exchanged."""
    return both.roll(len(both) // 2, 0)


def _swapped_all(network: list[Tensor]) -> list[Tensor]:
    return [_swapped(weight) for weight in network]


def _distance(a: Tensor, b: Tensor) -> Tensor:
    distances: Tensor = torch.linalg.vector_norm(a - b, dim=-1)
    return distances.mean(1)


def _step(optimiser: torch.optim.Optimizer, loss: Tensor) -> None:
    optimiser.zero_grad(set_to_none=True)
    torch.autograd.backward(loss)
    optimiser.step()


def _array(points: Tensor, runs: int) -> np.ndarray:
    return points[:runs].numpy().astype(float)

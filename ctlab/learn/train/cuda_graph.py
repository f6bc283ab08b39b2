"""A training step as a CUDA graph: small patches are bound by launches, not by arithmetic.

A step at 64 pixels launches some thousand kernels of a few microseconds each. Captured once and
replayed, the same kernels run on the same numbers without the launches. Steps with and without
the gradient penalty are two graphs. Nothing random is inside: a batch brings its own numbers.
"""

from dataclasses import dataclass, fields
from typing import Any

import torch
from lightning_fabric import Fabric

from ctlab.learn.config import TrainConfig
from ctlab.learn.train.batch import Batch
from ctlab.learn.train.state import TrainState
from ctlab.learn.train.step import Terms, training_step

WARM_UP = 3
"""Steps of each kind that are taken eagerly first, on a stream of their own: libraries choose
their kernels and optimisers make their moments then. They are steps like any other."""


@dataclass
class _CapturedGraph:
    graph: torch.cuda.CUDAGraph
    terms: tuple[Terms, Terms]


class CapturedStep:
    """Stands in for :func:`ctlab.learn.train.step.training_step` on one GPU."""

    def __init__(self, state: TrainState, config: TrainConfig) -> None:
        device = next(state.networks.parameters()).device
        for optimiser in (state.generator_optimizer, state.critic_optimizer):
            for group in optimiser.param_groups:
                rate = torch.tensor(float(group["lr"]), device=device)
                group.update(capturable=True, lr=rate)
        self.every = config.losses.penalty_every
        self.stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]  # torch leaves it untyped
        self.warmed_up = {True: 0, False: 0}
        self.captured: dict[bool, _CapturedGraph] = {}
        self.batch: Batch | None = None

    def __call__(
        self, state: TrainState, batch: Batch, config: TrainConfig, fabric: Fabric
    ) -> tuple[Terms, Terms]:
        """Terms of the critics and of the generators, as :func:`training_step` returns them."""
        if fabric.world_size > 1:
            raise ValueError("a captured step has no other processes; set graphs = false")
        held = self.batch = _held(self.batch, batch)
        kind = state.step % self.every == 0
        if self.warmed_up[kind] < WARM_UP:
            self.warmed_up[kind] += 1
            self.stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(self.stream):
                terms = training_step(state, held, config, fabric)
            torch.cuda.current_stream().wait_stream(self.stream)
            return terms
        if kind not in self.captured:
            self.captured[kind] = self._capture(state, held, config, fabric)
        captured = self.captured[kind]
        captured.graph.replay()
        return captured.terms

    def _capture(
        self, state: TrainState, held: Batch, config: TrainConfig, fabric: Fabric
    ) -> _CapturedGraph:
        """The kernels of one step, recorded and not run."""
        for optimiser in (state.generator_optimizer, state.critic_optimizer):
            optimiser.zero_grad(set_to_none=True)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, stream=self.stream):
            critics, generators = training_step(state, held, config, fabric)
        return _CapturedGraph(graph, (_detached(critics), _detached(generators)))


def _held(held: Batch | None, batch: Batch) -> Batch:
    """The batch in the tensors that the graphs read; those are made from the first one."""
    device = batch.low.device
    if held is None:
        named: dict[str, Any] = {f.name: getattr(batch, f.name) for f in fields(Batch)}
        return Batch(**{name: _copied(value, device) for name, value in named.items()})
    for f in fields(Batch):
        mine, new = getattr(held, f.name), getattr(batch, f.name)
        if mine is None:
            continue
        for one, other in (
            zip(mine, new, strict=True) if isinstance(mine, tuple) else ((mine, new),)
        ):
            one.copy_(other)
    return held


def _copied(value: Any, device: torch.device) -> Any:
    if isinstance(value, tuple):
        return tuple(_copied(part, device) for part in value)
    return None if value is None else value.to(device, copy=True)


def _detached(terms: Terms) -> Terms:
    return {name: term.detach() for name, term in terms.items()}

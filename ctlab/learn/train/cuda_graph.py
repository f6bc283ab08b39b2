"""One round of the game as a CUDA graph: small patches are bound by launches, not by arithmetic.

A step at 64 pixels launches some thousand kernels of a few microseconds each. Captured once and
replayed, the same kernels run on the same numbers without the launches. Rounds with and without
the gradient penalty are two graphs. Nothing random is inside: a batch brings its own numbers.
"""

from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from lightning_fabric import Fabric

from ctlab.learn.config import TrainConfig
from ctlab.learn.train.state import TrainState
from ctlab.learn.train.step import Batch, Terms, play_round

WARM_UP = 3
"""Rounds of each kind that are played eagerly first, on a stream of their own: libraries choose
their kernels and optimisers make their moments then. They are rounds like any other."""


@dataclass
class _Captured:
    graph: torch.cuda.CUDAGraph
    terms: tuple[Terms, Terms]


class GraphedRound:
    """Stands in for :func:`ctlab.learn.train.step.play_round` on one GPU."""

    def __init__(self, state: TrainState, config: TrainConfig) -> None:
        device = next(state.players.parameters()).device
        for optimiser in (state.made_by, state.judged_by):
            for group in optimiser.param_groups:
                rate = torch.tensor(float(group["lr"]), device=device)
                group.update(capturable=True, lr=rate)
        self.every = config.losses.penalty_every
        self.stream = torch.cuda.Stream(device)
        self.played = {True: 0, False: 0}
        self.captured: dict[bool, _Captured] = {}
        self.batch: Batch | None = None

    def __call__(
        self, state: TrainState, batch: Batch, config: TrainConfig, fabric: Fabric
    ) -> tuple[Terms, Terms]:
        if fabric.world_size > 1:
            raise ValueError("a captured step has no other processes; set graphs = false")
        held = self.batch = _held(self.batch, batch)
        kind = state.step % self.every == 0
        if self.played[kind] < WARM_UP:
            self.played[kind] += 1
            self.stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(self.stream):
                terms = play_round(state, held, config, fabric)
            torch.cuda.current_stream().wait_stream(self.stream)
            return terms
        if kind not in self.captured:
            self.captured[kind] = self._capture(state, held, config, fabric)
        captured = self.captured[kind]
        captured.graph.replay()
        return captured.terms

    def _capture(
        self, state: TrainState, held: Batch, config: TrainConfig, fabric: Fabric
    ) -> _Captured:
        """The kernels of one round, recorded and not run."""
        for optimiser in (state.made_by, state.judged_by):
            optimiser.zero_grad(set_to_none=True)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, stream=self.stream):
            judged, moved = play_round(state, held, config, fabric)
        return _Captured(graph, (_detached(judged), _detached(moved)))


def _held(held: Batch | None, batch: Batch) -> Batch:
    """The batch in the tensors that the graphs read; those are made from the first one."""
    device = batch.low.device
    batch = replace(batch, turn_rad=torch.as_tensor(batch.turn_rad, dtype=torch.float64))
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

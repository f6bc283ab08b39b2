"""Two processes that talk through gloo train as one process with both their batches."""

import os
import pickle
import socket
import subprocess
import sys
from dataclasses import fields, replace

import pytest
import torch

from ctlab.learn.config import TrainConfig
from ctlab.learn.train import loop as training
from ctlab.learn.train.state import CycleNetworks, TrainState

WORKER = """
import pickle, sys
import torch
torch.set_num_threads(1)
from ctlab.learn.train import loop as training
from ctlab.learn.train.state import CycleNetworks, TrainState
with open(sys.argv[1], "rb") as handle:
    config, domains = pickle.load(handle)
fabric = training.make_fabric(config, accelerator="cpu")
assert fabric.world_size == 2
state = TrainState.start(config)
rows = training.train(config, *domains, state=state, fabric=fabric)
next(rows)
names = (*CycleNetworks.generators, *CycleNetworks.critics)
first = [p.grad.clone() for p in state.networks.parameters_of(names)]
next(rows)
torch.save({"first": first, "networks": state.networks.state_dict()},
           f"{sys.argv[2]}.{fabric.global_rank}")
"""


def start(rank, port, words):
    env = os.environ | {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": "2"}
    env |= {"NODE_RANK": str(rank), "LOCAL_RANK": "0", "RANK": str(rank)}
    return subprocess.Popen([sys.executable, "-c", WORKER, *words], env=env)


def merged(batches):
    """Both processes' patches as one batch."""
    one, two = batches

    def joined(a, b, dim=0):
        return torch.cat([a, b], dim)

    made = {
        f.name: joined(getattr(one, f.name), getattr(two, f.name))
        for f in fields(one)
        if f.name in ("low", "full", "strength")
    }
    noise = tuple(map(joined, one.noise, two.noise))
    return replace(one, **made, noise=noise, mix=joined(one.mix, two.mix, 1))


@pytest.mark.slow
def test_two_processes_have_the_gradients_of_one(tiny_config, tiny_domains, tmp_path, monkeypatch):
    values = tiny_config.model_dump() | {"batch": 2, "cycle_batch": 2, "turn_noise": False}
    config = TrainConfig.from_dict(values)
    (tmp_path / "job").write_bytes(pickle.dumps((config, tiny_domains)))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    words = [str(tmp_path / "job"), str(tmp_path / "made")]
    assert [p.wait(timeout=180) for p in [start(0, port, words), start(1, port, words)]] == [0, 0]
    one, two = (torch.load(tmp_path / f"made.{k}", weights_only=True) for k in (0, 1))
    for name, weights in one["networks"].items():
        assert torch.equal(weights, two["networks"][name]), name  # no process drifts away

    class Rank:
        def __init__(self, rank):
            self.global_rank, self.device = rank, torch.device("cpu")

    draw = training.draw_batches

    def draw_both(config, full, low, *, pairs, state, fabric):
        half = TrainConfig.from_dict(values)
        ranks = [draw(half, full, low, state=state, fabric=Rank(k)) for k in (0, 1)]
        return map(merged, zip(*ranks, strict=True))

    monkeypatch.setattr(training, "draw_batches", draw_both)
    whole = TrainConfig.from_dict(values | {"batch": 4, "cycle_batch": 4})
    state = TrainState.start(whole)
    rows = training.train(whole, *tiny_domains, state=state)
    next(rows)
    names = (*CycleNetworks.generators, *CycleNetworks.critics)
    for theirs, parameter in zip(one["first"], state.networks.parameters_of(names), strict=True):
        scale = parameter.grad.abs().max().item()
        assert torch.allclose(theirs, parameter.grad, rtol=1e-4, atol=1e-5 * scale + 1e-9)

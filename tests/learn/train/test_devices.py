"""Two processes that talk through gloo train as one process with both their batches."""

import json
import os
import pickle
import socket
import subprocess
import sys
from dataclasses import fields, replace

import pytest
import torch

from ctlab.learn import load_checkpoint
from ctlab.learn.config import TrainConfig
from ctlab.learn.data.domains import Domains
from ctlab.learn.data.split import Slab
from ctlab.learn.train import devices, loop
from ctlab.learn.train.state import CycleNetworks, TrainState

WORKER = """
import pickle, sys
import torch
torch.set_num_threads(1)
from ctlab.learn.train import loop
from ctlab.learn.train.state import CycleNetworks, TrainState
with open(sys.argv[1], "rb") as handle:
    config, domains = pickle.load(handle)
fabric = loop.make_fabric(config, accelerator="cpu")
assert fabric.world_size == 2
state = TrainState.start(config)
rows = loop.train(config, *domains, state=state, fabric=fabric)
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
        if f.name in ("low", "full", "cycled", "strength", "level", "width")
    }
    noise = tuple(map(joined, one.noise, two.noise))
    return replace(one, **made, noise=noise, mix=joined(one.mix, two.mix, 1))


@pytest.mark.slow
def test_two_processes_have_the_gradients_of_one(tiny_config, tiny_domains, tmp_path, monkeypatch):
    values = tiny_config.model_dump() | {"batch": 2, "cycle_batch": 2}
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

    draw = loop.draw_batches

    def draw_both(config, full, low, *, pairs, state, fabric):
        half = TrainConfig.from_dict(values)
        ranks = [draw(half, full, low, state=state, fabric=Rank(k)) for k in (0, 1)]
        return map(merged, zip(*ranks, strict=True))

    monkeypatch.setattr(loop, "draw_batches", draw_both)
    whole = TrainConfig.from_dict(values | {"batch": 4, "cycle_batch": 4})
    state = TrainState.start(whole)
    rows = loop.train(whole, *tiny_domains, state=state)
    next(rows)
    names = (*CycleNetworks.generators, *CycleNetworks.critics)
    for theirs, parameter in zip(one["first"], state.networks.parameters_of(names), strict=True):
        scale = parameter.grad.abs().max().item()
        assert torch.allclose(theirs, parameter.grad, rtol=1e-4, atol=1e-5 * scale + 1e-9)


RUN = """
import pickle, sys
import torch
from ctlab.__main__ import main
from ctlab.learn.train import run
from ctlab.learn.train.monitor import RaisedWarning
with open(sys.argv[1], "rb") as handle:
    made = pickle.load(handle)
run.build_domains = lambda config: made
real = run.raised_warnings
def raised(row):
    late = torch.distributed.get_rank() == 1 and row["step"] == 12
    return real(row) + [RaisedWarning("bias of a toy", 12, 9.0, 5.0, "do this")] * (
        late or row["step"] == 4)
run.raised_warnings = raised
sys.argv = ["ctlab", "train", sys.argv[2], "--out", sys.argv[3], "--json"]
main()
"""


@pytest.mark.slow
def test_a_run_with_raised_warnings_ends_whole_in_two_processes(
    tiny_config, tiny_domains, tmp_path
):
    """Exit code 1 of one process would make torchrun kill the other, and blame both."""
    slabs = (Slab("s", "P", 0, 3, "low"), Slab("s", "P", 14, 17, "full"))
    made = Domains(*tiny_domains, slabs, {"doses": [0.1]})
    (tmp_path / "domains").write_bytes(pickle.dumps(made))
    (tmp_path / "config.toml").write_text(tiny_config.to_toml())
    (tmp_path / "job.py").write_text(RUN)
    names = ("domains", "config.toml", "run")
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
    command += ["--standalone", *(str(tmp_path / n) for n in ("job.py", *names))]
    env = os.environ | {"CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)  # one process tells
    assert (told["steps"], len(told["alarms"])) == (12, 1)
    card = json.loads((tmp_path / "run" / "card.json").read_text())
    assert card["is_finished"]
    assert load_checkpoint(tmp_path / "run" / "checkpoint.pt").step == 12


def test_threads_are_bounded_by_the_cores_of_this_process_and_its_siblings(monkeypatch):
    monkeypatch.setattr(devices, "available_cores", lambda: 6)
    asked = []
    monkeypatch.setattr(torch, "set_num_threads", asked.append)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 96)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    assert devices.bound_threads() == 3
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)  # asked for by OMP_NUM_THREADS
    assert devices.bound_threads() == 1
    monkeypatch.setattr(torch, "get_num_threads", lambda: 96)
    monkeypatch.setattr(devices, "available_cores", lambda: 96)
    assert devices.bound_threads() == devices.MOST_THREADS
    assert asked == [3, 1, devices.MOST_THREADS]

"""Batches drawn ahead of the step: the very draws of one by one, and in float32 throughout."""

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from ctlab.learn.config import TrainConfig
from ctlab.learn.train.batch import draw_batches, draw_patches
from ctlab.learn.train.devices import make_fabric
from ctlab.learn.train.state import TrainState
from ctlab.learn.train.step import training_step


def test_patches_drawn_ahead_are_those_of_their_step(tiny_config, tiny_domains):
    fabric, state = make_fabric(tiny_config, accelerator="cpu"), TrainState.start(tiny_config)
    state.step = 3
    steps = []
    for batch in draw_batches(tiny_config, *tiny_domains, state=state, fabric=fabric):
        drawn = draw_patches(tiny_config, *tiny_domains, step=state.step)
        assert torch.equal(batch.low, tiny_config.scale.to_net(torch.from_numpy(drawn.low_hu)))
        assert torch.equal(batch.full, tiny_config.scale.to_net(torch.from_numpy(drawn.full_hu)))
        assert batch.width.flatten().tolist() == pytest.approx(drawn.width)
        assert batch.level.flatten().tolist() == pytest.approx(drawn.level)
        steps.append(state.step)
        state.step += 1
    assert steps == list(range(3, tiny_config.steps))


def test_patches_of_the_next_step_are_drawn_while_this_one_is_taken(tiny_config, tiny_domains):
    full, low = tiny_domains
    fabric, state = make_fabric(tiny_config, accelerator="cpu"), TrainState.start(tiny_config)
    batches = draw_batches(tiny_config, full, low, state=state, fabric=fabric)
    next(batches)
    low.slabs[0] = np.zeros_like(low.slabs[0])  # step 1 may be drawn, step 2 not yet
    state.step += 1
    next(batches)
    state.step += 1
    assert next(batches).low.std() == 0
    batches.close()


def test_an_error_in_the_thread_reaches_the_loop(tiny_config, tiny_domains):
    fabric, state = make_fabric(tiny_config, accelerator="cpu"), TrainState.start(tiny_config)
    broken = TrainConfig.from_dict(tiny_config.model_dump() | {"patch_px": 64})
    full, low = tiny_domains
    low.slabs.clear()
    with pytest.raises(IndexError):
        next(draw_batches(broken, full, low, state=state, fabric=fabric))


class NoFloat64(TorchDispatchMode):
    """Refuses what Apple GPUs refuse."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        for made in out if isinstance(out, tuple | list) else (out,):
            assert not isinstance(made, torch.Tensor) or made.dtype != torch.float64, func
        return out


def test_a_step_makes_no_float64(tiny_config, tiny_domains):
    values = tiny_config.model_dump()
    values["networks"] |= {
        "degrader": "spectrum",
        "noise_curve": [[-700.0, 0.7], [40.0, 1.0]],
        "noise_spectrum": [-float(k) for k in range(12)],
    }
    values |= {"cycle_level": (0.25, 2.0), "cycle_width": (0.7, 1.9)}
    config = TrainConfig.from_dict(values)
    fabric, state = make_fabric(config, accelerator="cpu"), TrainState.start(config)
    batches = draw_batches(config, *tiny_domains, state=state, fabric=fabric)
    training_step(state, next(batches), config, fabric)  # constants are made once, on the CPU
    state.step += 1
    with NoFloat64():
        batch = next(batches)
        assert len(batch.width.unique()) > 1
        training_step(state, batch, config, fabric)

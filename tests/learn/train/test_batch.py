"""Batches drawn ahead of the step: the very draws of one by one, and in float32 throughout."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from ctlab.learn.config import TrainConfig
from ctlab.learn.train.batch import draw_batches, draw_patches
from ctlab.learn.train.devices import make_fabric
from ctlab.learn.train.state import TrainState
from ctlab.learn.train.step import generate_images, generator_terms, training_step


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


def disturbed(tiny_config):
    values = tiny_config.model_dump() | {
        "cycle_level": (0.25, 2.0),
        "cycle_width": (0.7, 1.9),
        "cycle_soft_px": (0.0, 0.8),
        "cycle_batch": 40,
    }
    values["networks"] |= {
        "degrader": "spectrum",
        "noise_curve": [[-700.0, 0.7], [40.0, 1.0]],
        "noise_spectrum": [-float(k) for k in range(12)],
    }
    return TrainConfig.from_dict(values)


def test_levels_and_widths_stay_between_their_ends_and_mostly_near_one(tiny_config, tiny_domains):
    drawn = draw_patches(disturbed(tiny_config), *tiny_domains, step=0)
    for values, (low, high) in ((drawn.level, (0.25, 2.0)), (drawn.width, (0.7, 1.9))):
        assert low <= values.min() < 0.9
        assert 1.1 < values.max() <= high
        inner = np.abs(np.log(values)) < 0.5 * np.log(high)
        assert inner.mean() > 0.5
    assert set(drawn.soft_px) == {0.0, 0.8}
    plain = draw_patches(tiny_config, *tiny_domains, step=0)
    assert (plain.level == 1).all()
    assert (plain.width == 1).all()
    assert (plain.soft_px == 0).all()


def test_only_the_cycle_is_disturbed_and_it_asks_for_the_softened_image(tiny_config, tiny_domains):
    """The critic of low dose gets draws of the level asked for, on images as they are."""
    config = disturbed(tiny_config)
    fabric, state = make_fabric(config, accelerator="cpu"), TrainState.start(config)
    batch = next(draw_batches(config, *tiny_domains, state=state, fabric=fabric))
    seen = []
    for name in ("degrader", "degrader_ema"):
        state.networks[name].register_forward_pre_hook(
            lambda _module, given, named: seen.append((given[0], given[2], named)), with_kwargs=True
        )
    images = generate_images(state.networks, batch, config)
    (judged, level, undisturbed), (cycled, louder, wider) = seen
    assert undisturbed == {}
    assert torch.equal(judged, batch.full[: config.batch])
    assert torch.equal(level, batch.strength[: config.batch])
    assert torch.equal(louder, batch.strength * batch.level)
    assert torch.equal(wider["width"], batch.width)
    assert torch.equal(cycled, batch.cycled)
    is_soft = torch.from_numpy(draw_patches(config, *tiny_domains, step=0).soft_px > 0)
    assert torch.equal(batch.cycled[~is_soft], batch.full[~is_soft])
    rough = [x[is_soft].diff(dim=3).std() for x in (batch.cycled, batch.full)]
    assert rough[0] < 0.8 * rough[1]
    exact = replace(images, returned=batch.cycled.clone())
    assert generator_terms(state.networks, batch, exact, config)["cycle_full"] == 0


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"cycle_width": (0.7, 1.9)}, "cycle_width stretches the grain of degrader = 'spectrum'"),
        (
            {"cycle_level": (0.5, 2.0), "losses": {"stop_cycle_at_degrader": False}},
            "leave them out",
        ),
        ({"cycle_soft_px": (-0.5,)}, "greater than or equal to 0"),
        ({"cycle_level": (0.0, 2.0)}, "greater than 0"),
    ],
)
def test_a_disturbance_that_cannot_be_is_refused(changed, words):
    with pytest.raises(ValueError, match=words):
        TrainConfig.from_dict(changed)

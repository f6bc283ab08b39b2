"""A captured step does the arithmetic of an eager one. The first tests need no GPU."""

import pytest
import torch

from ctlab.learn.config import TrainConfig
from ctlab.learn.train import loop
from ctlab.learn.train.cuda_graph import _held
from ctlab.learn.train.state import TrainState


def test_a_held_batch_takes_new_numbers_in_the_same_memory(tiny_config, tiny_domains):
    fabric = loop.make_fabric(tiny_config, accelerator="cpu")
    state = TrainState.start(tiny_config)

    def draw(step):
        state.step = step
        return next(loop.draw_batches(tiny_config, *tiny_domains, state=state, fabric=fabric))

    held = _held(None, draw(0))
    places = [held.low.data_ptr(), held.noise[0].data_ptr(), held.width.data_ptr()]
    second = _held(held, draw(1))
    assert second is held
    assert places == [held.low.data_ptr(), held.noise[0].data_ptr(), held.width.data_ptr()]
    assert torch.equal(held.low, draw(1).low)
    assert torch.equal(held.noise[0], draw(1).noise[0])
    assert torch.equal(held.width, draw(1).width)
    assert held.simulated is None
    assert not torch.equal(held.full, draw(0).full)


def test_a_checkpoint_does_not_tell_a_captured_run_from_an_eager_one(tiny_config):
    state = TrainState.start(tiny_config)
    for group in state.generator_optimizer.param_groups:
        group.update(capturable=True, lr=torch.tensor(0.5))
    saved = state.state_dict()["made_by"]["param_groups"]
    assert [(g["lr"], g["capturable"]) for g in saved] == [(0.5, False)] * 2
    loop._set_rate(state, tiny_config)
    assert state.generator_optimizer.param_groups[0]["lr"].item() == pytest.approx(
        tiny_config.learning_rate
    )


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")
def test_a_captured_run_gives_the_rows_of_an_eager_one(tiny_config, tiny_domains):
    def rows(is_graph):
        values = tiny_config.model_dump() | {"steps": 30, "graphs": is_graph}
        config = TrainConfig.from_dict(values)
        return list(loop.train(config, *tiny_domains))

    for eager, captured in zip(rows(False), rows(True), strict=True):
        assert eager.keys() == captured.keys()
        for name in eager:
            assert captured[name] == pytest.approx(eager[name], rel=1e-3, abs=1e-3), name

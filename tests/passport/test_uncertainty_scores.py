"""Scores of doubt, on networks so small that the answer is known."""

import numpy as np
import pytest
import torch
from torch import nn

from ctlab.ct import HuScale
from ctlab.learn import HuDenoiser
from ctlab.passport.uncertainty_scores import dropout_outputs, scores, symmetric_outputs


class Filter(nn.Module):
    """One convolution with a given 3 x 3 kernel, the sum of ``width`` equal channels."""

    size_multiple = 1

    def __init__(self, kernel: np.ndarray, width: int = 8) -> None:
        super().__init__()
        self.hidden = nn.Conv2d(1, width, 3, padding=1, padding_mode="replicate", bias=False)
        self.last = nn.Conv2d(width, 1, 1, bias=False)
        with torch.no_grad():
            self.hidden.weight[:] = torch.as_tensor(kernel, dtype=torch.float32)
            self.last.weight[:] = 1 / width

    def forward(self, net):
        return self.last(self.hidden(net))


SHIFT = np.array([[0, 0, 0], [0, 0, 1], [0, 0, 0]])
ROUND = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]]) / 5


def model(kernel) -> HuDenoiser:
    return HuDenoiser(Filter(kernel), HuScale(centre_hu=0.0, unit_hu=1000.0))


@pytest.fixture
def image(rng):
    return rng.normal(-400, 100, (16, 16)).astype(np.float32)


def test_symmetries_agree_for_a_round_filter_and_part_for_a_shift(image):
    outputs = list(symmetric_outputs(model(ROUND), image))
    assert len(outputs) == 8
    for out in outputs:
        np.testing.assert_allclose(out, outputs[0], atol=0.01)
    # Turned back, a shift to the right is one of four shifts; the inside shows each of them.
    shifted = [out[1:-1, 1:-1] for out in symmetric_outputs(model(SHIFT), image)]
    wanted = [image[1:-1, 2:], image[1:-1, :-2], image[2:, 1:-1], image[:-2, 1:-1]]
    for one in shifted:
        assert min(np.abs(one - w).max() for w in wanted) < 0.01
    for w in wanted:
        assert min(np.abs(one - w).max() for one in shifted) < 0.01


def test_dropout_spreads_as_the_binomial_says_and_leaves_everything_as_it_was(image):
    # With w equal channels kept at 1 - r, the output's net value is k / (w (1 - r)) of itself.
    network = model(ROUND)
    whole = network.scale.to_net(torch.tensor(image)).abs().mean().item()
    state = torch.random.get_rng_state()
    plain = next(symmetric_outputs(network, image))
    outputs = np.stack(list(dropout_outputs(network, image, passes=400, rate=0.25)))
    net = network.scale.to_net(torch.as_tensor(plain)).numpy()
    factor = network.scale.to_net(torch.as_tensor(outputs)).numpy() / net
    assert whole > 0.01
    per_pass = np.median(factor, axis=(1, 2))
    assert per_pass.mean() == pytest.approx(1.0, abs=0.04)
    assert per_pass.std() == pytest.approx(np.sqrt(0.25 / 0.75 / 8), rel=0.15)
    again = next(symmetric_outputs(network, image))
    np.testing.assert_array_equal(again, plain)
    assert torch.equal(state, torch.random.get_rng_state())
    assert not network.network.hidden._forward_hooks


def test_dropout_hooks_go_even_after_an_error(image):
    network = model(ROUND)
    passes = dropout_outputs(network, image[None], passes=2)  # one axis too many
    with pytest.raises(ValueError, match="unpack"):
        next(passes)
    assert not network.network.hidden._forward_hooks
    with pytest.raises(ValueError, match=r"lie in \(0, 1\), got 1"):
        next(dropout_outputs(network, image, rate=1.0))


def test_every_score_is_named_and_an_ensemble_needs_another_member(image):
    alone = scores(model(ROUND))
    assert "ensemble" not in alone
    np.testing.assert_allclose(alone["residual"](image, image + 3), 3, atol=1e-3)
    both = scores(model(ROUND), [model(ROUND), model(SHIFT)])
    out = next(symmetric_outputs(model(ROUND), image))
    shifted = np.pad(image, 1, mode="edge")[1:-1, 2:]
    expected = np.std([out, out, shifted], axis=0, ddof=1)
    np.testing.assert_allclose(both["ensemble"](image, out), expected, atol=0.05)

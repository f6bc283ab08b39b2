"""What holds for any weights, and what rounding to whole HU takes away."""

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from ctlab.learn.config import TrainConfig
from ctlab.learn.models.invertible import InvertibleDenoiser, haar, inverse_haar

UNIT_HU = 50.0


@pytest.fixture
def network():
    """Random weights, large enough that gains reach far below one."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        made = InvertibleDenoiser(8)
        for parameter in made.parameters():
            if parameter.ndim == 4:
                torch.nn.init.normal_(parameter, std=0.2)
        for coupling in (c for level in made.couplings for c in level):
            torch.nn.init.constant_(coupling.last.bias[:1], 3.0)  # gains about e^-0.8
    return made.requires_grad_(False)


def image(size=32, seed=0):
    return 2 * torch.randn((2, 1, size, size), generator=torch.Generator().manual_seed(seed))


def test_haar_keeps_energy_and_comes_back():
    bands = haar(image())
    assert bands.square().sum().item() == pytest.approx(image().square().sum().item(), rel=1e-5)
    assert torch.allclose(inverse_haar(bands), image(), atol=1e-5)


def test_the_inverse_restores_every_hu(network):
    changed = network(image())
    assert (changed - image()).abs().max() > 0.5
    error_hu = UNIT_HU * (network.inverse(changed) - image()).abs().max()
    assert error_hu < 0.05


def test_means_of_blocks_keep_their_hu(network):
    before, after = (torch.nn.functional.avg_pool2d(x, 8) for x in (image(), network(image())))
    assert UNIT_HU * (after - before).abs().max() < 0.001
    finer = [torch.nn.functional.avg_pool2d(x, 4) for x in (image(), network(image()))]
    assert UNIT_HU * (finer[1] - finer[0]).abs().max() > 1.0


def test_rounding_keeps_block_means_within_half_a_hu_but_costs_the_inverse(network):
    """A contraction of at most 1/20 per round makes 0.5 HU of rounding a much larger error."""
    changed = network(image())
    rounded = (changed * UNIT_HU).round() / UNIT_HU
    means = [torch.nn.functional.avg_pool2d(x, 8) for x in (image(), rounded)]
    assert UNIT_HU * (means[1] - means[0]).abs().max() <= 0.5
    exact = UNIT_HU * (network.inverse(changed) - image()).abs().max()
    after = UNIT_HU * (network.inverse(rounded) - image()).abs().max()
    assert after > 1.0 > exact


def test_gains_never_amplify(network):
    for level in network.couplings:
        for coupling in level:
            gain, _ = coupling(torch.cat([image(16), image(16, 1), image(16, 2)], 1))
            assert gain.max() <= 1.0
            assert gain.min() >= 0.0497  # e^-3


def test_an_untrained_network_takes_a_tenth_of_the_details_and_can_learn_more():
    with torch.random.fork_rng():
        fresh = InvertibleDenoiser(4, levels=1)
    kept = haar(fresh(image()))[:, 1:].std() / haar(image())[:, 1:].std()
    assert kept.item() == pytest.approx(0.8976, abs=1e-3)  # exp(-3 sigmoid(-4)) squared
    fresh(image()).square().mean().backward()
    assert all(coupling.last.weight.grad[0].abs().max() > 0 for coupling in fresh.couplings[0])


def test_a_step_copies_nothing_from_the_host(network):
    """A CUDA graph cannot hold such a copy. Any other device shows it, even one without memory."""
    copies = []

    class Watch(TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            copies.extend([func] * ("_to_copy" in str(func)))
            return func(*args, **(kwargs or {}))

    elsewhere = network.to("meta")
    shape = torch.empty(2, 1, 32, 32, device="meta")
    elsewhere(shape)  # as the warm-up does: constants go over once
    with Watch():
        elsewhere.inverse(elsewhere(shape))
    assert not copies


def test_attention_does_not_go_with_it():
    with pytest.raises(ValueError, match="no attention"):
        TrainConfig.from_dict({"networks": {"generator": "invertible", "attention": "gate"}})

"""One trunk for both directions, and a strength that can be turned."""

import copy
import itertools

import pytest
import torch

from ctlab.learn.config import TrainConfig
from ctlab.learn.models.switchable import SwitchableUNet, SwitchedDegrader
from ctlab.learn.train.loop import train
from ctlab.learn.train.state import TrainState, build_networks


@pytest.fixture
def switchable_config(tiny_config):
    networks = tiny_config.networks.model_dump() | {"generator": "switchable"}
    return TrainConfig.from_dict(tiny_config.model_dump() | {"networks": networks})


def image(size=32, seed=0):
    return torch.randn((2, 1, size, size), generator=torch.Generator().manual_seed(seed))


def awake():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = SwitchableUNet(8)
        torch.nn.init.normal_(network.last.weight, std=0.1)
        for code in (*network.gains.values(), *network.shifts.values()):
            torch.nn.init.normal_(code, std=0.3)
    return network.requires_grad_(False)


def test_strength_goes_from_the_identity_to_the_denoiser_without_a_jump():
    network = awake()
    taken = []
    for strength in (0.0, 0.25, 0.5, 0.75, 1.0):
        network.strength = strength
        taken.append((image() - network(image())).square().mean().sqrt().item())
    assert taken[0] == 0.0
    assert taken == sorted(taken)
    assert max(b - a for a, b in itertools.pairwise(taken)) < 0.6 * taken[-1]


def test_a_code_scales_and_shifts_channels():
    """With gain 1 and shift 0.5 a layer of output v passes leaky(2 v + 0.5)."""
    network = awake()
    features = torch.full((1, 4, 4, 4), 0.25)
    with torch.no_grad():
        network.gains["entry0"].fill_(1.0)
        network.shifts["entry0"].fill_(0.5)

    def layer(v):
        return v.repeat(1, 2, 1, 1)  # (B, 8, h, w), the same values

    assert torch.allclose(network._layer("entry0", layer, features), torch.tensor(1.0))
    network.strength = 0.0
    assert torch.allclose(network._layer("entry0", layer, features), torch.tensor(0.25))


def test_degrading_looks_at_the_trunk_with_the_other_code_and_puts_it_back():
    network = awake()
    plain = awake()
    plain.strength = 0.0
    assert torch.equal(network.degrading_features(image()), plain.decoded(image()))
    assert network.strength == 1.0
    assert not torch.allclose(network.decoded(image()), plain.decoded(image()))


def test_the_trunk_is_owned_once_and_followed_by_its_average(switchable_config):
    networks = build_networks(switchable_config)
    degrader, averaged = networks["degrader"], networks["degrader_ema"]
    assert isinstance(degrader, SwitchedDegrader)
    assert degrader.__dict__["trunk"] is networks["denoiser"]
    assert averaged.__dict__["trunk"] is networks["denoiser_ema"]
    owned = {id(p) for p in networks["denoiser"].parameters()}
    assert not owned & {id(p) for p in degrader.parameters()}


def test_degraded_noise_follows_the_trunk(switchable_config):
    networks = build_networks(switchable_config)
    degrader, flat = networks["degrader"], torch.zeros(1, 1, 32, 32)
    noise = degrader.draw(flat, torch.Generator().manual_seed(0))
    before = degrader(flat, noise)
    with torch.no_grad():
        for layer in networks["denoiser"].exit:
            layer.bias.add_(5.0)
    assert not torch.allclose(before, degrader(flat, noise))


def test_both_directions_teach_the_one_trunk(switchable_config, tiny_domains):
    state = TrainState.start(switchable_config)
    networks = state.networks
    shape = networks["degrader"].draw(image(16), torch.Generator().manual_seed(0))
    networks["degrader"](image(16), shape).square().mean().backward()
    assert networks["denoiser"].entry[0].weight.grad.abs().max() > 0
    rows = list(train(switchable_config, *tiny_domains, state=TrainState.start(switchable_config)))
    assert rows[-1]["step"] == switchable_config.steps


def test_a_cut_run_goes_on_bit_for_bit(switchable_config, tiny_domains):
    whole = TrainState.start(switchable_config)
    rows = list(train(switchable_config, *tiny_domains, state=whole))
    first = TrainState.start(switchable_config)
    head = list(itertools.islice(train(switchable_config, *tiny_domains, state=first), 5))
    second = TrainState.start(switchable_config)
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    assert head + list(train(switchable_config, *tiny_domains, state=second)) == rows
    for name, weights in whole.networks.state_dict().items():
        assert torch.equal(weights, second.networks.state_dict()[name]), name

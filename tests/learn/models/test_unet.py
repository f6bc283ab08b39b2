import pytest
import torch

from ctlab.learn.models.unet import AttentionGate, Cbam, ResidualUNet

KINDS = ("none", "gate", "cbam")


def awake(attention, seed=0, width=8):
    """A network whose last layer is not zero, so that it changes the image."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = ResidualUNet(width, attention)
        torch.nn.init.normal_(network.last.weight, std=0.1)
    return network.eval().requires_grad_(False)


def image(size=64, seed=1):
    return torch.randn((2, 1, size, size), generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("attention", KINDS)
def test_an_untrained_network_is_the_identity(attention):
    with torch.random.fork_rng():
        network = ResidualUNet(8, attention)
    assert torch.equal(network(image()), image())


@pytest.mark.parametrize("attention", ["none", "gate"])
def test_a_crop_gives_the_same_as_the_whole(attention):
    network = awake(attention)
    assert not network.depends_on_extent
    whole = network(image(96))[..., 32:64, 32:64]
    crop = network(image(96)[..., 8:88, 8:88])[..., 24:56, 24:56]
    assert torch.allclose(whole, crop, atol=1e-5)


def test_channel_attention_sees_the_whole_image_and_says_so():
    network = awake("cbam")
    assert network.depends_on_extent
    with torch.no_grad():
        network.cbam.channel[2].weight.mul_(100.0)
    brighter = image(96)
    brighter[..., :8, :8] += 200.0
    far = (slice(None), slice(None), slice(60, 90), slice(60, 90))
    assert not torch.allclose(network(image(96))[far], network(brighter)[far], atol=1e-4)


@torch.no_grad()
def test_the_forward_pass_uses_the_weights_of_the_gate():
    network = awake("gate")
    skip, _, signal = network._features(image())
    weights = network.gate.weights(skip, signal)
    assert weights.shape == (2, 1, 32, 32)
    assert 0 < weights.min() <= weights.max() < 1
    before = network(image())
    network.gate.to_weight.bias.fill_(-100.0)  # the gate shuts
    assert network.gate.weights(skip, signal).max() < 1e-6
    assert not torch.allclose(before, network(image()))


def test_gate_and_cbam_multiply_by_their_weights():
    features = torch.rand((1, 8, 6, 6), generator=torch.Generator().manual_seed(0))
    with torch.random.fork_rng():
        gate, cbam = AttentionGate(8), Cbam(8)
    assert torch.equal(gate(features, features), features * gate.weights(features, features))
    channel, spatial = cbam.weights(features)
    assert torch.equal(cbam(features), features * channel * spatial)
    assert channel.shape == (1, 8, 1, 1)


def test_cbam_maps_have_the_shapes_promised():
    network = awake("cbam")
    channel, spatial = network.cbam.weights(network._features(image())[1])
    assert spatial.shape == (2, 1, 16, 16)
    assert channel.shape == (2, 16, 1, 1)


def test_unknown_attention_is_refused():
    with pytest.raises(ValueError, match="none, gate or cbam"):
        ResidualUNet(8, "self")

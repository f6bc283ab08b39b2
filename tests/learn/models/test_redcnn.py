import torch

from ctlab.learn.models.redcnn import RedCnn


def image(size=48, seed=0):
    return torch.randn((1, 1, size, size), generator=torch.Generator().manual_seed(seed))


def awake():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = RedCnn(4)
        torch.nn.init.normal_(network.up[-1].weight, std=0.1)
    return network.requires_grad_(False)


def test_an_untrained_network_is_the_identity():
    with torch.random.fork_rng():
        assert torch.equal(RedCnn(4)(image()), image())


def test_a_pixel_reaches_twenty_pixels_and_no_further():
    """Ten layers of 5 x 5 reach 2 pixels each; no statistic of the image is used."""
    network = awake()
    poked = image()
    poked[..., 24, 24] += 100.0
    changed = (network(poked) - network(image())).abs()[0, 0]
    changed[24, 24] = 0.0
    rows = changed.amax(1).nonzero().flatten()
    assert rows.min() == 4
    assert rows.max() == 44


def test_shortcuts_carry_the_image_past_the_middle():
    """With the middle layers silent, the result still depends on the image."""
    network = awake()
    before = network.residual(image())
    for layer in (network.down[4], network.up[0]):
        torch.nn.init.zeros_(layer.weight)
        torch.nn.init.zeros_(layer.bias)
    shortened = network.residual(image())
    assert shortened.std() > 0
    assert not torch.allclose(before, shortened)


def test_every_layer_is_taught():
    network = awake().requires_grad_(True)
    network(image()).square().mean().backward()
    assert all(p.grad.abs().max() > 0 for n, p in network.named_parameters() if "weight" in n)

import pytest
import torch

from ctlab.learn.models.degrader import (
    NetworkDegrader,
    NoDegrader,
    NoiseDegrader,
    root_ramp,
)


@pytest.fixture
def degrader():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        made = NoiseDegrader(3, 7, air_net=-14.0)
    return made.requires_grad_(False)


def noise_for(degrader, image, seed=0):
    return degrader.draw(image, torch.Generator().manual_seed(seed))


def test_strength_zero_adds_nothing_and_strength_scales_the_sd(degrader):
    image = torch.zeros(2, 1, 32, 32)
    noise = noise_for(degrader, image)
    assert torch.equal(degrader(image, noise, 0.0), image)
    once, twice = degrader(image, noise, 1.0), degrader(image, noise, 2.0)
    assert torch.allclose(twice, 2 * once, atol=1e-6)
    assert once.std() > 0.1


def test_strength_may_differ_in_a_batch(degrader):
    image = torch.zeros(2, 1, 32, 32)
    strength = torch.tensor([0.0, 1.0]).reshape(2, 1, 1, 1)
    quiet, loud = degrader(image, noise_for(degrader, image), strength)
    assert quiet.abs().max() == 0
    assert loud.std() > 0.1


def test_noise_follows_its_seed_alone(degrader):
    image = torch.zeros(1, 1, 32, 32)
    one, same, other = (degrader(image, noise_for(degrader, image, s)) for s in (1, 1, 2))
    assert torch.equal(one, same)
    assert not torch.allclose(one, other)


def test_nothing_falls_below_air(degrader):
    image = torch.full((1, 1, 32, 32), -14.0)
    assert degrader(image, noise_for(degrader, image)).min() == -14.0


@pytest.mark.parametrize("ramp", [False, True])
def test_noise_has_the_spectrum_of_its_texture(ramp):
    """White noise, one texture, amplitude 1: NPS = |transform of the texture|^2, times the ramp."""
    with torch.random.fork_rng():
        degrader = NoiseDegrader(1, 5, ramp=ramp)
    with torch.no_grad():
        degrader.amplitude[2].weight.zero_()
        degrader.amplitude[2].bias.zero_()
        degrader.textures.copy_(torch.arange(25.0).reshape(1, 5, 5) / 50)
    image = torch.zeros(4000, 1, 8, 8)
    with torch.no_grad():
        added = degrader(image, noise_for(degrader, image))
    measured = torch.fft.fft2(added[:, 0]).abs().square().mean(0) / 64
    texture = degrader.textures[0].detach()
    expected = torch.fft.fft2(texture - texture.mean(), s=(8, 8)).abs().square()
    if ramp:
        frequency = torch.fft.fftfreq(8)
        radius = torch.hypot(frequency[:, None], frequency[None])
        expected = expected * radius / radius.mean()
    assert torch.allclose(measured, expected, rtol=0.12, atol=1e-6)
    assert measured[0, 0] < 1e-6  # a reconstruction's ramp filter leaves no noise at zero frequency


def test_the_ramp_keeps_the_power_of_white_noise():
    """Its square has mean 1 over all frequencies, those that a real transform leaves out too."""
    gain = root_ramp(16, 12)
    doubled = gain.square()
    doubled[:, 1:-1] *= 2  # conjugate frequencies
    assert doubled.sum().item() == pytest.approx(16 * 12, rel=1e-5)
    # Frequency 1/16 down and 3/12 across: power in the ratio of their distances from zero.
    assert (gain[0, 3] / gain[1, 0]).item() ** 2 == pytest.approx(4.0, rel=1e-5)


def test_no_degrader_returns_the_image_and_learns_nothing():
    image = torch.ones(1, 1, 16, 16)
    degrader = NoDegrader()
    assert degrader(image, degrader.draw(image, torch.Generator())) is image
    assert list(degrader.parameters()) == []


def test_the_deterministic_degrader_draws_nothing():
    with torch.random.fork_rng():
        degrader = NetworkDegrader(4)
    image = torch.ones(1, 1, 16, 16)
    noise = degrader.draw(image, torch.Generator())
    assert noise == ()
    assert torch.equal(degrader(image, noise), image)

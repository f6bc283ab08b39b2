import pytest
import torch

from ctlab.learn.models.critic import Critic, highpass


@pytest.fixture
def critic():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Critic(4, 3.0).requires_grad_(False)


def texture(size=32):
    return torch.randn((3, 1, size, size), generator=torch.Generator().manual_seed(0))


def test_one_score_per_image_whatever_its_batch(critic):
    together = critic(texture())
    alone = torch.cat([critic(one[None]) for one in texture()])
    assert together.shape == (3,)
    assert torch.allclose(together, alone, atol=1e-5)


def test_brightness_is_invisible(critic):
    assert torch.allclose(critic(texture()), critic(texture() + 11.0), atol=1e-3)


def test_score_grows_with_the_root_of_the_pixels(critic):
    """A texture repeated to twice the side keeps its mean response; the score doubles."""
    once = torch.tile(texture(8), (1, 1, 8, 8))
    twice = torch.tile(texture(8), (1, 1, 16, 16))
    assert torch.allclose(critic(twice) / critic(once), torch.tensor(2.0), rtol=0.1)


def test_highpass_keeps_fine_and_takes_coarse():
    place = torch.arange(64.0)
    fine = torch.cos(torch.pi * place).expand(1, 1, 64, 64)
    coarse = torch.cos(2 * torch.pi * (place + 0.5) / 128).expand(1, 1, 64, 64)
    inner = slice(16, 48)  # a mirror breaks the alternation at the border
    assert torch.allclose(highpass(fine, 3.0)[..., inner], fine[..., inner], atol=1e-3)
    # exp(-(2 pi sigma / period)^2 / 2) of a cosine passes a Gaussian of SD sigma.
    expected = 1 - torch.exp(torch.tensor(-0.5 * (2 * torch.pi * 3 / 128) ** 2))
    assert torch.allclose(highpass(coarse, 3.0), expected * coarse, atol=2e-3)

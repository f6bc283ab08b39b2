"""The criterion by which a moment of a run is kept: right where the truth is known."""

import math

import pytest
import torch

from ctlab.learn.selection import gsure, nps_distance


def noise(seed, patches=64, size=32, sd=1.0):
    draws = torch.Generator().manual_seed(seed)
    return sd * torch.randn((patches, 1, size, size), generator=draws)


def smooth(image):
    return torch.nn.functional.avg_pool2d(image, 3, 1, 1, count_include_pad=False)


class Shrink(torch.nn.Module):
    def __init__(self, share):
        super().__init__()
        self.share = share

    def forward(self, image):
        return self.share * image


class Blur(torch.nn.Module):
    def forward(self, image):
        return smooth(image)


@pytest.mark.parametrize("share", [1.0, 0.5, 0.2])
def test_estimate_of_a_shrinkage_is_its_true_error(share):
    """Truth 0, noise of SD 2: what is left is ``share`` of the noise."""
    found = gsure(Shrink(share), noise(0, sd=2.0), noise(1, sd=2.0))
    assert found == pytest.approx(share, abs=0.03)


def test_estimate_of_a_blur_is_its_true_error_though_the_noise_is_correlated():
    """Noise smoothed by 3 x 3 on a slope: the estimate never sees the slope alone."""
    truth = torch.linspace(0, 6, 32).reshape(1, 1, 1, 32).expand(64, 1, 32, 32).sin()
    first, second = smooth(noise(0)), smooth(noise(1))
    truly = (smooth(truth + first) - truth).square().mean().sqrt() / first.std()
    assert gsure(Blur(), truth + first, second) == pytest.approx(truly.item(), abs=0.04)


def test_removing_structure_is_punished():
    truth = 3.0 * torch.sign(noise(5, size=32))
    noisy = truth + noise(0)
    kept = gsure(Shrink(1.0), noisy, noise(1))
    assert gsure(Blur(), noisy, noise(1)) > 2 * kept


def test_textures_are_compared_in_power():
    """A tenth of the SD is a hundredth of the power, at every frequency: distance ln 100."""
    assert nps_distance(noise(0), noise(0)) == 0.0
    assert nps_distance(0.1 * noise(0), noise(0)) == pytest.approx(math.log(100), rel=1e-4)
    assert nps_distance(noise(2, patches=256), noise(3, patches=256)) < 0.1
    assert nps_distance(smooth(noise(2)), noise(3)) > 1.0
    assert nps_distance(noise(2) + 50.0, noise(2)) < 1e-3  # HU level is not texture

"""The criterion by which a moment of a run is kept: right where the truth is known."""

import math

import numpy as np
import pytest
import torch

from ctlab.learn.selection import added_nps_distance, gsure, nps_distance


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


def test_added_noise_is_compared_with_what_low_dose_holds_more():
    """full: SD 1, low: other patches of SD sqrt(1 + 4): what is added has SD 2, and is white."""
    full, low = noise(0, patches=256), noise(1, patches=256, sd=math.sqrt(5.0))
    assert added_nps_distance(noise(2, patches=256, sd=2.0), full, low) < 0.15
    assert added_nps_distance(noise(2, sd=1.0), full, low) == pytest.approx(math.log(4), abs=0.2)
    assert added_nps_distance(2.0 * smooth(noise(2)), full, low) > 1.0
    assert math.isnan(added_nps_distance(noise(2), full, full))


def test_the_shipped_degrader_adds_noise_like_that_of_real_low_dose_patches():
    """Variance across draws within a factor of 2 of the label, spectrum within a factor of e."""
    from ctlab.learn import load_checkpoint, shipped_domains

    checkpoint = load_checkpoint()
    players = checkpoint.train_state().players
    rng = np.random.default_rng(0)
    full_hu, low_hu = (domain.draw(64, rng) for domain in shipped_domains())
    full, low = (checkpoint.scale.to_net(torch.from_numpy(d[0])) for d in (full_hu, low_hu))
    strength = torch.from_numpy(low_hu[1] / checkpoint.scale.unit_hu).reshape(-1, 1, 1, 1).float()
    with torch.no_grad():
        one, two = (
            players["degrader_ema"](
                full, players.draw_noise(full, torch.Generator().manual_seed(k), "cpu"), strength
            )
            for k in (1, 2)
        )
    added = (one - two) / math.sqrt(2.0)
    assert 0.5 < added.var() / strength.square().mean() < 2.0
    assert added_nps_distance(added, full, low) < 1.0

"""The criterion by which a moment of a run is kept: right where the truth is known."""

import math

import numpy as np
import pytest
import torch

from ctlab.learn.train.model_selection import added_nps_distance, gsure, log_nps_distance


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
    assert log_nps_distance(noise(0), noise(0)) == 0.0
    assert log_nps_distance(0.1 * noise(0), noise(0)) == pytest.approx(math.log(100), rel=1e-4)
    assert log_nps_distance(noise(2, patches=256), noise(3, patches=256)) < 0.1
    assert log_nps_distance(smooth(noise(2)), noise(3)) > 1.0
    assert log_nps_distance(noise(2) + 50.0, noise(2)) < 1e-3  # HU level is not texture


def test_added_noise_is_compared_with_what_low_dose_holds_more():
    """full: SD 1, low: other patches of SD sqrt(1 + 4): what is added has SD 2, and is white."""
    full, low = noise(0, patches=256), noise(1, patches=256, sd=math.sqrt(5.0))
    assert added_nps_distance(noise(2, patches=256, sd=2.0), full, low) < 0.15
    assert added_nps_distance(noise(2, sd=1.0), full, low) == pytest.approx(math.log(4), abs=0.2)
    assert added_nps_distance(2.0 * smooth(noise(2)), full, low) > 1.0
    assert math.isnan(added_nps_distance(noise(2), full, full))


def test_the_shipped_degrader_adds_noise_like_that_of_real_low_dose_patches():
    """Beside the noise that the simulation adds to the very same slices, which it never saw.

    Differences of unpaired patches would not do here: the low-dose slab holds more vessels.
    """
    from dataclasses import replace

    from ctlab.ct import load_sample, measure_noise_hu, simulate_dose
    from ctlab.learn import load_checkpoint

    checkpoint = load_checkpoint()
    networks, scale = checkpoint.train_state().networks, checkpoint.scale
    sample = load_sample()
    few = replace(sample, hu=sample.hu[5:35:10], sources=())
    low = simulate_dose(few, 0.1, rng=np.random.default_rng(3))
    wanted_hu = math.sqrt(measure_noise_hu(low) ** 2 - measure_noise_hu(few) ** 2)
    corners = [(z, y, x) for z in range(3) for y in range(96, 400, 64) for x in range(32, 448, 64)]

    def cut(hu):
        hu = np.maximum(hu, -1024.0, dtype=np.float32)  # the degrader clamps as scanners do
        return np.stack([hu[z, y : y + 64, x : x + 64] for z, y, x in corners])

    full_hu = cut(few.hu)
    true_hu = cut(low.hu) - full_hu
    full = scale.to_net(torch.from_numpy(full_hu)[:, None])
    drawn = networks.draw_noise(full, torch.Generator().manual_seed(1), "cpu")
    strength = torch.full((len(full), 1, 1, 1), wanted_hu / scale.unit_hu)
    with torch.no_grad():
        made = (networks["degrader_ema"](full, drawn, strength) - full)[:, 0]
    made_hu = scale.unit_hu * made.numpy()
    mean = full_hu.mean((1, 2))
    for tissue in ((mean > -900) & (mean < -500), mean > -200):
        assert 1 / 1.4 < made_hu[tissue].std() / true_hu[tissue].std() < 1.4

    def shares(noise):
        power = np.abs(np.fft.fft2(noise - noise.mean((1, 2), keepdims=True))) ** 2
        radius = np.hypot(np.fft.fftfreq(64)[:, None], np.fft.fftfreq(64)[None])
        rings = np.bincount((64 * radius).round().astype(int).ravel(), power.mean(0).ravel())
        return rings / rings.sum()

    # Half the sum of differences: the share of noise power that sits at another frequency.
    assert 0.5 * np.abs(shares(made_hu) - shares(true_hu)).sum() < 0.3

"""Noise of few numbers beside noise whose truth is known: SD, spectrum, direction, along z."""

from itertools import pairwise

import numpy as np
import pytest
import torch

from ctlab.ct import HuScale, Scanner, load_sample, simulate_dose
from ctlab.ct.tissue import tissue_masks
from ctlab.learn import TrainConfig
from ctlab.learn.data.patches import PatchDomain
from ctlab.learn.models.fbp_noise import LEVEL_NEAR_CURVE
from ctlab.learn.models.spectral_noise import (
    CORNER,
    KNOTS,
    NEAR_SPECTRUM,
    NEAR_SPREAD,
    USUAL_SPREAD,
    SpectralNoise,
    measure_noise_spectrum,
    polar_frequencies,
    with_measured_noise,
)
from ctlab.learn.train.monitor import anisotropy
from ctlab.learn.train.state import build_networks
from ctlab.learn.train.step import degraded

SCALE = HuScale(-300.0, 50.0)


def made(**known) -> SpectralNoise:
    return SpectralNoise(air_net=-1e9, scale=SCALE, **known).requires_grad_(False)


def noise_of(degrader, image, strength=1.0, seed=3, **options):
    drawn = degrader.draw(image, torch.Generator().manual_seed(seed))
    return degrader(image, drawn, strength, **options) - image


def rings(noise: torch.Tensor, count: int = 10) -> np.ndarray:
    """Share of the power in even rings of frequency up to the corner."""
    power = torch.fft.rfft2(noise)[:, 0].abs().square().mean(0)
    radius, _, share = polar_frequencies(*noise.shape[-2:])
    ring = (radius / (CORNER + 1e-6) * count).long().flatten()
    found = torch.bincount(ring, (power * share).flatten(), minlength=count)
    return (found / found.sum()).numpy()


@pytest.mark.parametrize("width", [0.7, 1.0, 1.9])
def test_the_local_sd_is_strength_times_level_whatever_the_width(width):
    curve = [(-900.0, 0.5), (100.0, 1.5)]
    degrader = made(curve=curve)
    image = torch.cat([torch.full((300, 1, 32, 32), SCALE.to_net(hu)) for hu in (-900.0, 100.0)])
    added = noise_of(degrader, image, 2.0, width=torch.full((600, 1, 1, 1), width))
    lung, soft = added[:300].std().item(), added[300:].std().item()
    assert (lung, soft) == pytest.approx((1.0, 3.0), rel=0.02)


def test_the_spectrum_is_the_ramp_times_the_radial_function():
    spectrum = [-0.4 * k for k in range(KNOTS)]
    degrader = made(spectrum=spectrum)
    added = noise_of(degrader, torch.zeros(1500, 1, 32, 32))
    radius, _, share = polar_frequencies(32, 32)
    expected = radius * torch.exp(-0.4 * (KNOTS - 1) * radius / CORNER) * share
    measured = torch.fft.rfft2(added)[:, 0].abs().square().mean(0) * share
    ratio = (measured / measured.sum()) / (expected / expected.sum())
    assert ratio[radius > 0].numpy() == pytest.approx(1.0, abs=0.15)
    assert measured[0, 0] < 1e-6 * measured.max()  # a ramp leaves nothing at zero frequency


def test_a_wider_grain_has_coarser_power_at_the_same_sd():
    degrader = made()
    image = torch.zeros(500, 1, 32, 32)

    def mean_frequency(width):
        shares = rings(noise_of(degrader, image, width=torch.full((500, 1, 1, 1), width)))
        return float((shares * np.arange(10)).sum())

    sharp, usual, soft = map(mean_frequency, (0.7, 1.0, 1.9))
    assert sharp > 1.15 * usual > 1.3 * soft


@pytest.mark.parametrize("spread", [0.4, 0.9])
def test_single_draws_are_directed_by_the_spread_and_no_way_on_average(spread):
    degrader = made(spread=spread)
    added = noise_of(degrader, torch.zeros(500, 1, 64, 64))
    assert anisotropy(added) == pytest.approx(spread, rel=0.15)
    power = torch.fft.fft2(added[:, 0]).abs().square().mean(0)
    assert (power.T / power)[1:, 1:].log().mean().abs() < 0.02


def test_slices_of_a_stack_have_noise_of_their_own():
    degrader, image = made(), torch.zeros(40, 3, 32, 32)
    flat = image.flatten(0, 1)[:, None]
    drawn = degrader.draw(flat, torch.Generator().manual_seed(1))
    below, middle, _ = degraded(degrader, image, drawn, torch.ones(40, 1, 1, 1)).unbind(1)
    assert abs(np.corrcoef(below.flatten(), middle.flatten())[0, 1]) < 0.03


def test_the_critic_of_low_dose_teaches_spectrum_spread_and_level():
    degrader = SpectralNoise(air_net=-1e9, scale=SCALE)
    image = torch.zeros(4, 1, 32, 32)
    drawn = degrader.draw(image, torch.Generator().manual_seed(0))
    (degrader(image, drawn) ** 3).diff(dim=3).square().mean().backward()
    for name, parameter in degrader.named_parameters():
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.abs().sum() > 0, name


@pytest.fixture(scope="module")
def unpaired():
    """Slices at routine dose and, 70 mm away, others at a twentieth, with their known noise."""
    scan = load_sample()
    routine, clean = scan.hu[:6:2], scan.slices(34, 37)
    low = simulate_dose(
        clean, 0.05, rng=np.random.default_rng(7), scanner=Scanner(photons=3.5e5)
    ).hu
    noise = low - clean.hu
    strength = float(noise[tissue_masks(clean.hu)["soft"]].std())
    full = PatchDomain([routine], [0.0], patch_px=64)
    return full, PatchDomain([low], [strength], patch_px=64), clean.hu, noise


@pytest.fixture(scope="module")
def measured(unpaired):
    """A degrader before its first step, from what the two domains tell without pairs."""
    config = TrainConfig.from_dict({"networks": {"degrader": "spectrum"}})
    networks = with_measured_noise(config, *unpaired[:2]).networks
    return made(curve=networks.noise_curve, spectrum=networks.noise_spectrum)


def patches_of(clean, noise, count=200):
    """Noise (n, 1, 64, 64) where there is little air, and what it lies on."""
    rng, kept = np.random.default_rng(0), []
    while len(kept) < count:
        z, y, x = rng.integers(len(clean)), *rng.integers(0, 512 - 64, 2)
        cut = (z, slice(y, y + 64), slice(x, x + 64))
        if (clean[cut] < -950).mean() < 0.2:
            kept.append((noise[cut], clean[cut]))
    return (torch.from_numpy(np.stack(part)).float()[:, None] for part in zip(*kept, strict=True))


def test_measured_without_pairs_its_noise_is_that_of_the_scanner(unpaired, measured):
    """SD by tissue, radial power, and direction of single draws, each beside the known noise."""
    _, low, clean, noise = unpaired
    true, truth_hu = patches_of(clean, noise)
    drawn = 50 * noise_of(measured, SCALE.to_net(truth_hu), low.noise_hu[0] / 50)
    masks = tissue_masks(truth_hu[:, 0].numpy())
    for tissue in ("lung", "soft"):
        inside = torch.from_numpy(masks[tissue])[:, None]
        expected_hu = true[inside].std().item()
        assert drawn[inside].std().item() == pytest.approx(expected_hu, rel=0.15), tissue
    unit = [n / n.std((2, 3), keepdim=True) for n in (true, drawn)]
    expected, found = (rings(n, 8)[:5] for n in unit)  # above them hardly any power is left
    assert found == pytest.approx(expected, abs=0.04)
    assert anisotropy(drawn) == pytest.approx(anisotropy(true), abs=0.15)


def test_neither_the_scanner_nor_the_degrader_correlates_slices(unpaired):
    _, _, _, noise = unpaired
    assert abs(np.corrcoef(noise[0].ravel(), noise[1].ravel())[0, 1]) < 0.05


def test_the_measured_spectrum_takes_no_notice_of_anatomy(unpaired):
    """Domains exchanged, or of one dose, are refused; what is measured falls as an apodisation."""
    full, low, _, _ = unpaired
    values = measure_noise_spectrum(full, low)
    assert len(values) == KNOTS
    assert values[0] == 0
    assert all(later <= earlier for earlier, later in pairwise(values[:7]))
    with pytest.raises(ValueError, match="clearly noisier"):
        measure_noise_spectrum(low, full)


def test_no_critic_moves_measured_numbers_far():
    """Whatever the weights: in 400 to 5,000 steps a free spectrum and spread left the truth."""
    spectrum = [-0.4 * k for k in range(KNOTS)]
    degrader = made(spectrum=spectrum, curve=[(-700.0, 0.7), (40.0, 1.0)])
    before = degrader.level(torch.full((1, 1, 8, 8), SCALE.to_net(40.0))).mean().item()
    for parameter in degrader.parameters():
        parameter.fill_(-50.0)
    assert (degrader.radial - torch.tensor(spectrum)).abs().max() <= NEAR_SPECTRUM + 1e-6
    assert degrader.spread.item() == pytest.approx(USUAL_SPREAD / NEAR_SPREAD)
    after = degrader.level(torch.full((1, 1, 8, 8), SCALE.to_net(40.0))).mean().item()
    assert after == pytest.approx(before / LEVEL_NEAR_CURVE)


def test_the_configuration_says_how_directed_the_noise_is():
    shape = {"degrader": "spectrum", "noise_curve": [], "noise_spectrum": [0.0] * KNOTS}
    spreads = [
        build_networks(TrainConfig.from_dict({"networks": shape | more}))["degrader"].spread.item()
        for more in ({}, {"noise_spread": 0.975})
    ]
    assert spreads == pytest.approx([USUAL_SPREAD, 0.975])


def test_a_spectrum_of_another_length_is_refused():
    with pytest.raises(ValueError, match="expected 12 values of a noise spectrum, got 3"):
        made(spectrum=[0.0, 1.0, 2.0])

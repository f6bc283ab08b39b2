"""Residual tests: calibrated under the null, and right about what a known filter removed."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from ctlab.assess.noise.nps import Nps
from ctlab.assess.resolution.residual import coherence, residual_test

SPACING_MM = 0.7
SIZE = 16
AXIS = np.fft.fftfreq(SIZE, SPACING_MM)
RADIUS = np.hypot(AXIS[:, None], AXIS[None, :])
KERNEL = np.sqrt(0.05 + RADIUS * np.exp(-((RADIUS / 0.3) ** 2)))
KNOWN = Nps(400 * SPACING_MM**2 * KERNEL**2, (SPACING_MM, SPACING_MM), 1)


def coloured(rng, n, sd=20.0):
    return filtered(rng.normal(0, sd, (n, SIZE, SIZE)), KERNEL)


def filtered(images, transfer):
    return np.fft.ifft2(np.fft.fft2(images) * transfer).real


def within_binomial(share, n, p):
    return abs(share - p) < 3.5 * np.sqrt(p * (1 - p) / n)


@pytest.mark.slow
def test_false_positive_rates_over_a_thousand_simulations():
    """1,000 perfect denoisers: 5 % of tests at p < 0.05; any finding in at most 5 % of tables."""
    rng = np.random.default_rng(2)
    excess, deficit, coherent, found = [], [], [], []
    for _ in range(1000):
        noise, anatomy = coloured(rng, 8), coloured(rng, 8, sd=60.0)
        power = residual_test(noise, KNOWN, SPACING_MM)
        shared = coherence(noise, anatomy, SPACING_MM)
        excess.append(power.p_excess < 0.05)
        deficit.append(power.p_deficit < 0.05)
        coherent.append(shared.p < 0.05)
        found.append([(power.finding != "").any(), (shared.finding != "").any()])
    for hits in (excess, deficit, coherent):
        assert within_binomial(np.mean(hits), np.size(hits), 0.05)
    # Benjamini-Hochberg under a global null of independent tests: any finding with p = alpha.
    for share in np.mean(found, axis=0):
        assert within_binomial(share, 1000, 0.05)


@pytest.mark.parametrize("pool", ["ring", "bin"])
def test_measuring_the_noise_is_allowed_for(pool):
    """Eight regions of noise against eight: a chi-squared test would find thousands."""
    rng = np.random.default_rng(3)
    tables = [
        residual_test(coloured(rng, 8), coloured(rng, 8), SPACING_MM, pool=pool) for _ in range(150)
    ]
    hits = np.concatenate([t.p_excess < 0.05 for t in tables])
    assert np.mean(hits) == pytest.approx(0.05, abs=0.015)
    assert np.mean([(t.finding != "").any() for t in tables]) < 0.12


def test_per_bin_p_values_are_uniform():
    rng = np.random.default_rng(4)
    tables = [residual_test(coloured(rng, 5), KNOWN, SPACING_MM, pool="bin") for _ in range(60)]
    p = np.concatenate([t.p_excess for t in tables])
    shares = np.histogram(p, bins=10, range=(0, 1))[0] / len(p)
    np.testing.assert_allclose(shares, 0.1, atol=0.015)


def test_coherence_of_one_bin_follows_its_null():
    """P(gamma^2 > c) = (1 - c)^(L - 1)."""
    rng = np.random.default_rng(5)
    values = np.concatenate(
        [
            coherence(coloured(rng, 6), coloured(rng, 6), SPACING_MM, pool="bin").coherence2
            for _ in range(60)
        ]
    )
    for c in (0.1, 0.3, 0.5):
        assert np.mean(values > c) == pytest.approx((1 - c) ** 5, abs=0.015)


def test_a_blur_removes_structure_at_high_frequencies_by_the_known_share(rng):
    """f = h * x: the residual (1 - h)(c + n) has gain 1 - H on the clean image, exactly."""
    clean, noise = coloured(rng, 200, sd=80.0), coloured(rng, 200, sd=10.0)
    transfer = np.exp(-((RADIUS / 0.35) ** 2))
    residual = filtered(clean + noise, 1 - transfer)
    table = coherence(residual, clean, SPACING_MM, pool="bin")
    expected = 1 - np.exp(-((table.frequency_per_mm / 0.35) ** 2))
    np.testing.assert_allclose(table.removed_fraction, expected, atol=0.1)
    strong = expected > 0.3
    assert (table.finding[strong] == "removed").all()
    # The power test sees the same structure as excess over the noise of the input.
    known = Nps(KNOWN.power_hu2_mm2 / 4, KNOWN.spacing_mm, 1)
    power = residual_test(residual, known, SPACING_MM)
    assert (power.finding[power.frequency_per_mm > 0.4] == "excess").all()
    assert power.power_hu2.sum() > 0


def test_noise_left_behind_is_a_deficit_of_the_known_size(rng):
    """A denoiser that removes half the amplitude leaves a residual with a quarter of the power."""
    table = residual_test(0.5 * coloured(rng, 60), KNOWN, SPACING_MM)
    assert (table.finding == "deficit").all()
    np.testing.assert_allclose(table.ratio, 0.25, rtol=0.15)
    lost = -0.75 * KNOWN.variance_hu2
    assert table.power_hu2.sum() == pytest.approx(lost, rel=0.25)  # rings end before the corners


def test_sharpening_is_named_amplified(rng):
    clean = coloured(rng, 20)
    table = coherence(-0.2 * clean + 0.1 * coloured(rng, 20), clean, SPACING_MM)
    assert (table.finding == "amplified").all()


def test_identical_images_leave_nothing_to_be_coherent(rng):
    table = coherence(np.zeros((5, SIZE, SIZE)), coloured(rng, 5), SPACING_MM)
    assert (table.coherence2 == 0).all()
    assert (table.finding == "").all()


@pytest.mark.parametrize("pool", ["ring", "bin"])
def test_crops_under_a_window_keep_their_false_positive_rate(pool):
    """24 px crops of noise and anatomy that go on beyond the border."""
    rng = np.random.default_rng(6)
    axis = np.fft.fftfreq(64, SPACING_MM)
    f = np.hypot(axis[:, None], axis[None, :])
    kernel = np.sqrt(0.05 + f * np.exp(-((f / 0.3) ** 2)))
    options = {"pool": pool, "window": "hann"}

    def crops():
        noise = rng.normal(0, 20, (8, 64, 64))
        return np.fft.ifft2(np.fft.fft2(noise) * kernel).real[:, :24, :24]

    power, shared = [], []
    for _ in range(120):
        power.append(residual_test(crops(), crops(), SPACING_MM, **options).p_excess < 0.05)
        shared.append(coherence(crops(), crops(), SPACING_MM, **options).p < 0.05)
    assert np.mean(np.concatenate(power)) == pytest.approx(0.05, abs=0.02)
    assert np.mean(np.concatenate(shared)) == pytest.approx(0.05, abs=0.02)


def test_the_window_stops_anatomy_from_spilling_into_all_frequencies(rng):
    """Cut at the border, smooth anatomy biases the removed share; under Hann it is 1 - H."""
    anatomy = np.zeros((60, 96, 96))
    anatomy[:] = 400 * np.cumsum(rng.normal(0, 0.05, (60, 1, 96)), axis=2)  # strong, aperiodic
    anatomy += 60 * gaussian_filter(rng.normal(0, 1, anatomy.shape), (0, 1, 1))
    blurred = gaussian_filter(anatomy, (0, 1.0, 1.0))
    crop = np.s_[:, 24:-24, 24:-24]
    residual = (anatomy - blurred)[crop] + rng.normal(0, 5, (60, 48, 48))
    tables = {
        window: coherence(residual, anatomy[crop], SPACING_MM, window=window)
        for window in ("none", "hann")
    }
    f = tables["hann"].frequency_per_mm
    truth = 1 - np.exp(-2 * (np.pi * SPACING_MM * f) ** 2)
    band = (f > 0.15) & (f < 0.45)
    error = {w: (t.removed_fraction - truth)[band].abs().max() for w, t in tables.items()}
    assert error["hann"] < 0.08
    assert error["none"] > 2 * error["hann"]


@pytest.mark.parametrize("test", [residual_test, coherence])
def test_bad_options_are_named(test, rng):
    with pytest.raises(ValueError, match="pool must be"):
        test(coloured(rng, 4), coloured(rng, 4), SPACING_MM, pool="octave")


def test_bad_input_is_named(rng):
    noise = coloured(rng, 4)
    with pytest.raises(ValueError, match="at least 2 regions"):
        residual_test(noise[:1], KNOWN, SPACING_MM)
    with pytest.raises(ValueError, match="same shape"):
        residual_test(noise, noise[:, :8], SPACING_MM)
    with pytest.raises(ValueError, match="same shape"):
        coherence(noise, noise[:2], SPACING_MM)
    with pytest.raises(ValueError, match="no power"):
        residual_test(noise, np.zeros_like(noise), SPACING_MM)

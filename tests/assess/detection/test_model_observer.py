"""Observers against the analytic detectability in white and in coloured noise."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from ctlab.assess.detection.channels import (
    difference_of_gaussians,
    eye_filter,
    gabor,
    laguerre_gauss,
)
from ctlab.assess.detection.ideal_observer import ideal_d_prime, information_ceiling
from ctlab.assess.detection.model_observer import auc_difference, cho, npw_e
from ctlab.assess.detection.roc import d_prime_to_auc
from ctlab.assess.noise.nps import Nps

SPACING_MM = 0.7
SIZE = 33
Y, X = np.mgrid[-16:17, -16:17]
SPOT = 6.38 * np.exp(-(Y**2 + X**2) / (2 * 3.0**2))  # HU; d' = |s| / sigma = 1.697 at 20 HU
WHITE = 1.697


def white(rng, n, sd=20.0):
    return rng.normal(0, sd, (2, n, SIZE, SIZE))


def transfer(size=SIZE):
    axis = np.fft.fftfreq(size, SPACING_MM)
    f = np.hypot(axis[:, None], axis[None, :])
    return np.sqrt(0.1 + 8 / (1 + (f / 0.06) ** 2))


def coloured(rng, n, sd=20.0):
    return np.fft.ifft2(np.fft.fft2(white(rng, n, sd)) * transfer()).real


def test_the_spot_has_the_detectability_of_the_published_oracle():
    assert np.linalg.norm(SPOT) / 20 == pytest.approx(WHITE, rel=0.002)
    assert d_prime_to_auc(WHITE) == pytest.approx(0.8849, abs=1e-4)


@pytest.mark.parametrize("channels", ["laguerre-gauss", "dog", "gabor"])
def test_cho_reaches_the_analytic_auc_in_white_noise(channels, rng):
    with_noise, without = white(rng, 2400)
    found = cho(with_noise + SPOT, without, channels=channels, train_share=0.5)
    # Four standard errors, and the 40 Gabor channels cost some efficiency on 1,200 images.
    assert found.d_prime == pytest.approx(WHITE, abs=0.2)
    assert abs(found.auc - d_prime_to_auc(WHITE)) < 4 * found.auc_se + 0.01


def test_cho_reaches_the_ideal_observer_in_coloured_noise(rng):
    noise = Nps(400 * SPACING_MM**2 * transfer() ** 2, (SPACING_MM, SPACING_MM), 1)
    spot = 2.5 * SPOT
    ideal = ideal_d_prime(spot, noise)
    plain = ideal_d_prime(spot, noise, prewhitening=False)
    with_noise, without = coloured(rng, 3000)
    found = cho(with_noise + spot, without, channels="laguerre-gauss")
    # Ten channels cannot whiten perfectly, but they have to beat the plain template.
    assert plain < 0.95 * ideal
    assert 0.93 * ideal < found.d_prime < 1.06 * ideal


def test_npw_agrees_with_theory_with_and_without_the_eye(rng):
    noise = Nps(400 * SPACING_MM**2 * transfer() ** 2, (SPACING_MM, SPACING_MM), 1)
    spot = 2 * SPOT
    with_noise, without = coloured(rng, 4000)
    for eye in (np.ones((SIZE, SIZE)), eye_filter((SIZE, SIZE), SPACING_MM)):
        expected = ideal_d_prime(spot, noise, prewhitening=False, eye=eye)
        found = npw_e(with_noise + spot, without, SPACING_MM, signal=spot, eye=eye)
        assert found.d_prime == pytest.approx(expected, rel=0.06)
    trained = npw_e(with_noise + spot, without, SPACING_MM, eye=eye)
    assert 0 < trained.d_prime < found.d_prime  # the noise of a measured template costs


def test_disc_detectability_before_and_after_a_blur():
    """Disc R 3 mm, 15 HU, sigma 20 HU: 5.858; a blur changes NPW to 5.385, never the ideal."""
    y, x = np.mgrid[-64:64, -64:64] * SPACING_MM
    disc = 15.0 * (np.hypot(y, x) <= 3)
    axis = np.fft.fftfreq(128, SPACING_MM)
    blur = np.exp(-2 * (np.pi * 0.8) ** 2 * (axis[:, None] ** 2 + axis[None, :] ** 2))
    raw = Nps(np.full((128, 128), 196.0), (SPACING_MM, SPACING_MM), 1)
    smooth = Nps(196.0 * blur**2, (SPACING_MM, SPACING_MM), 1)
    blurred = np.fft.ifft2(np.fft.fft2(disc) * blur).real
    assert ideal_d_prime(disc, raw) == pytest.approx(5.858, abs=0.03)
    assert ideal_d_prime(disc, raw, prewhitening=False) == pytest.approx(5.858, abs=0.03)
    assert ideal_d_prime(blurred, smooth) == pytest.approx(5.858, abs=0.03)
    assert ideal_d_prime(blurred, smooth, prewhitening=False) == pytest.approx(5.385, abs=0.03)


def test_without_a_lesion_held_out_auc_is_one_half(rng):
    """The trap of testing on the training images: 50 images and 10 channels look detectable."""
    aucs = [cho(*white(rng, 60)).auc for _ in range(40)]
    assert np.mean(aucs) == pytest.approx(0.5, abs=4 * 0.075 / np.sqrt(40))


def test_the_score_is_the_template_and_the_auc_is_sklearns(rng):
    with_noise, without = white(rng, 200)
    found = cho(with_noise + SPOT, without)
    truth = np.r_[np.ones(100), np.zeros(100)]
    scores = np.r_[found.scores_present, found.scores_absent]
    assert found.auc == pytest.approx(roc_auc_score(truth, scores), abs=1e-12)
    everyone = np.tensordot(with_noise + SPOT, found.template, axes=2)
    assert np.isin(found.scores_present.round(9), everyone.round(9)).all()


def test_blur_lowers_the_npw_observer_paired_on_the_same_cases(rng):
    from scipy.ndimage import gaussian_filter

    with_noise, without = white(rng, 600)
    images = with_noise + SPOT, without
    erased = images[0] - 0.7 * SPOT, images[1]
    before, after = (cho(*pair, rng=np.random.default_rng(5)) for pair in (images, erased))
    change = auc_difference(before, after)
    assert change["high"] < 0
    same = [gaussian_filter(i, (0, 0.6, 0.6)) for i in images]
    unchanged = auc_difference(before, cho(*same, rng=np.random.default_rng(5)))
    assert unchanged["low"] < 0.005


def test_internal_noise_of_one_sd_divides_d_prime_by_root_two(rng):
    with_noise, without = white(rng, 3000)
    clear = cho(with_noise + SPOT, without)
    noisy = cho(with_noise + SPOT, without, internal_noise=1.0)
    assert noisy.d_prime == pytest.approx(clear.d_prime / np.sqrt(2), rel=0.08)


def test_a_lesion_added_by_the_denoiser_breaks_the_ceiling(rng):
    """A network that draws the lesion where its label is leaked exceeds the ideal observer."""
    with_noise, without = white(rng, 600)
    ceiling = d_prime_to_auc(WHITE)
    facts = {"signal_known_exactly": True, "background_known_exactly": True}
    honest = information_ceiling(
        cho(with_noise + SPOT, without), ceiling, **facts, all_inputs_counted=True
    )
    leaking = cho(with_noise + 2.5 * SPOT, without)
    assert honest.flagged is False
    assert information_ceiling(leaking, ceiling, **facts, all_inputs_counted=True).flagged
    facts["background_known_exactly"] = False
    no_flag = information_ceiling(leaking, ceiling, **facts, all_inputs_counted=True)
    assert no_flag.flagged is None
    assert "background is not known" in no_flag.reason


def test_channels_are_centred_and_orthogonal_where_they_should_be():
    lg = laguerre_gauss((65, 65), 1.0, width_mm=12, count=6).reshape(6, -1)
    np.testing.assert_allclose(lg @ lg.T, np.eye(6), atol=1e-6)
    for bank in (difference_of_gaussians((33, 33), 0.7), gabor((33, 33), 0.7)[::2]):
        np.testing.assert_allclose(bank, bank[:, ::-1, ::-1], atol=1e-9)
    odd = gabor((33, 33), 0.7)[1::2]
    np.testing.assert_allclose(odd, -odd[:, ::-1, ::-1], atol=1e-9)


def test_the_eye_is_most_sensitive_at_four_cycles_per_degree():
    e = eye_filter((512, 512), 0.5)
    f = np.abs(np.fft.fftfreq(512, 0.5))
    peak = f[np.argmax(e[0])] * 500 * np.pi / 180
    assert peak == pytest.approx(4, abs=0.05)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"channels": "wavelet"}, "channels must be one of"),
        ({"train_share": 1.0}, "between 0 and 1"),
        ({"train_share": 0.9}, "at least 10 test images"),
        ({"channels": "gabor"}, "at least 40 training images"),
        ({"channels": np.ones((2, 5, 5))}, "same shape"),
    ],
)
def test_bad_options_are_named(change, message, rng):
    with pytest.raises(ValueError, match=message):
        cho(*white(rng, 40), **change)


def test_different_shapes_and_a_silent_frequency_are_refused(rng):
    present, absent = white(rng, 40)
    with pytest.raises(ValueError, match="same shape"):
        cho(present, absent[:, :20])
    power = np.full((SIZE, SIZE), 196.0)
    power[0, 1] = 0
    with pytest.raises(ValueError, match="no power"):
        ideal_d_prime(SPOT, Nps(power, (0.7, 0.7), 1))

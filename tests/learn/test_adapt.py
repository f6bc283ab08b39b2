"""Adaptation to one series: it helps where the noise is right, and is refused where it is not."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from ctlab.assess import rmse_hu
from ctlab.ct import Scanner, Volume, simulate_dose
from ctlab.ct.simulation.test_objects import water_cylinder
from ctlab.learn import denoise_slices, load_checkpoint
from ctlab.learn.adapt import _check_alike, adapt_to_series, draw_extra_noise

SIZE, SLICES, STEPS = 128, 5, 60


@pytest.fixture(scope="module")
def clean():
    slice_hu = water_cylinder(size=SIZE, pixel_mm=2.0, radius_mm=110.0)
    hu = np.repeat(np.clip(slice_hu.hu[:1] + 40.0, -1000.0, None), SLICES, 0)
    return Volume(hu.astype(np.float32), (3.0, 2.0, 2.0))


@pytest.fixture(scope="module")
def noisy(clean):
    """A scan of known photons: 30 HU of noise or so."""
    scanner = Scanner(photons=2e4)
    return simulate_dose(
        clean, 1.0, rng=np.random.default_rng(5), scanner=scanner, missing_only=False
    )


@pytest.fixture(scope="module")
def shipped():
    return load_checkpoint()


@pytest.fixture(scope="module")
def noise(noisy):
    return draw_extra_noise(noisy)


def test_the_error_against_the_clean_image_falls_though_it_is_never_seen(
    clean, noisy, noise, shipped
):
    drawn = torch.get_rng_state()
    adapted, done = adapt_to_series(noisy, shipped, seconds=60, steps=STEPS, noise=noise)
    inside = clean.hu > 0
    before, after = (
        rmse_hu(clean.hu, denoise_slices(noisy.hu, model.denoiser()), mask=inside)
        for model in (shipped, adapted)
    )
    assert after < 0.9 * before
    assert (done.steps, done.loss_ratio < 1.0, done.shift_hu < 5.0) == (STEPS, True, True)
    assert torch.equal(drawn, torch.get_rng_state())
    assert shipped.sha256 == adapted.sha256 == load_checkpoint().sha256
    assert done.weights_sha256[:12] in done.in_words()


def test_so_many_steps_give_the_same_weights_again(noisy, noise, shipped):
    first, again, other = (
        adapt_to_series(noisy, shipped, seconds=60, steps=8, noise=noise, seed=seed)[1]
        for seed in (0, 0, 1)
    )
    assert first.weights_sha256 == again.weights_sha256 != other.weights_sha256


def test_noise_of_the_series_has_its_level_and_spectrum(clean, noisy, noise):
    assert 0.9 < noise.level < 1.1
    assert noise.shape < 0.06
    inside = clean.hu[0] > 0
    true_hu = (noisy.hu - clean.hu)[:, inside].std()
    assert noise.noise_hu[:, inside].std() == pytest.approx(true_hu, rel=0.1)


def test_a_series_of_another_kernel_is_refused(clean, noisy):
    """Blurred noise is coarser than what would be simulated in it."""
    softened = clean.hu + 3 * gaussian_filter(noisy.hu - clean.hu, (0, 1.2, 1.2))
    with pytest.raises(ValueError, match=r"spectrum of the series'.* got 0\.\d+ \(another kernel"):
        draw_extra_noise(replace(noisy, hu=softened.astype(np.float32)))


def test_a_level_that_the_model_of_the_scan_does_not_explain_is_refused():
    _check_alike(1.1, 0.05)
    with pytest.raises(ValueError, match=r"got 1\.40 \(rays starved of photons\?\).*--adapt out"):
        _check_alike(1.4, 0.05)
    with pytest.raises(ValueError, match=r"got 0\.60"):
        _check_alike(0.6, 0.05)


def test_what_gains_nothing_is_refused(noisy, noise, shipped):
    with pytest.raises(ValueError, match=r"lower the loss on a slice left out.*\+0\.00 %"):
        adapt_to_series(noisy, shipped, seconds=60, steps=0, noise=noise)


@pytest.mark.parametrize("seconds", [0.0, -1.0, float("nan"), float("inf")])
def test_a_time_that_means_nothing_is_refused(seconds, noisy, shipped):
    with pytest.raises(ValueError, match="expected seconds of adaptation above 0"):
        adapt_to_series(noisy, shipped, seconds=seconds)


def test_too_few_slices_and_clean_images_are_refused(clean, noisy):
    with pytest.raises(ValueError, match="at least 3 slices to adapt to a series, got 2"):
        draw_extra_noise(replace(noisy, hu=noisy.hu[:2]))
    with pytest.raises(ValueError, match="expected noise of 2 HU or more"):
        draw_extra_noise(clean)

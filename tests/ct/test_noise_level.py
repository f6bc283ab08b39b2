"""One number for the noise: right on known noise, blind to edges, honest about missing tissue."""

from dataclasses import replace

import numpy as np
import pytest

from ctlab.assess import evaluate_volume
from ctlab.ct import (
    load_sample,
    read_series,
    simulate_dose,
    simulate_series,
    write_series,
)
from ctlab.ct.noise_level import Windows, measure_noise_hu, noise_pair_hu, window_px
from ctlab.ct.simulation.chest_phantom import chest_phantom
from ctlab.ct.simulation.scanner import Scanner
from ctlab.ct.simulation.test_objects import low_contrast, water_cylinder


@pytest.mark.parametrize("sd", [2.0, 5.0, 30.0, 90.0])
def test_known_noise_in_water(rng, sd):
    phantom = water_cylinder(size=128, pixel_mm=1.0, radius_mm=50, slices=2)
    noisy = phantom.with_hu(phantom.hu + rng.normal(0, sd, phantom.shape))
    assert measure_noise_hu(noisy) == pytest.approx(sd, rel=0.06)


@pytest.mark.parametrize("sd", [5.0, 40.0])
def test_edges_do_not_count_as_noise(rng, sd):
    phantom, _ = low_contrast(size=128, pixel_mm=1.0)
    noisy = phantom.with_hu(phantom.hu + rng.normal(0, sd, phantom.shape))
    assert measure_noise_hu(noisy) == pytest.approx(sd, rel=0.06)


def aim(noise_hu, image_hu, pixel_mm):
    """Median local SD of a noise that is known, where the image shows soft tissue."""
    width = window_px(pixel_mm)
    pairs = zip(noise_hu, image_hu, strict=True)
    return np.median(
        np.concatenate([Windows.of(n, width).sd[Windows.of(i, width).soft] for n, i in pairs])
    )


@pytest.mark.parametrize(("size", "stop"), [(256, 5), pytest.param(384, 3, marks=pytest.mark.slow)])
def test_ct_noise_in_a_chest_is_found_at_any_strength(size, stop):
    """Streaked, uneven noise from 3 to 60 HU among vessels and ribs, coarse pixels and fine ones.

    Within 9 % of the true median local SD, and in the same proportion at every strength: an
    estimator that takes edges for noise, or noise for edges, would drift with the strength.
    """
    chest = chest_phantom(rng=np.random.default_rng(3), size=size, slices=6).volume.slices(1, stop)
    shares = []
    for photons in (1e6, 6e4, 3e3):
        scanner = Scanner(photons=photons, views=240)
        rng = np.random.default_rng(2)
        noisy = simulate_dose(chest, 1.0, rng=rng, scanner=scanner, missing_only=False)
        truth = aim(noisy.hu - chest.hu, chest.hu, chest.spacing_mm[1])
        shares.append(measure_noise_hu(noisy) / truth)
    assert shares == pytest.approx([np.mean(shares)] * 3, rel=0.06)
    assert shares == pytest.approx([1.0] * 3, rel=0.09)


@pytest.mark.slow
def test_noise_added_to_a_real_scan_adds_as_squares():
    """Known noise from 8 to 100 HU on the scan: own and added variance together, within 6 %."""
    slices = load_sample().slices(18, 21)
    own = measure_noise_hu(slices)
    scanner = Scanner(photons=9e4, views=160)
    for fraction in (0.8, 0.25, 0.1, 0.04):
        rng = np.random.default_rng(1)
        low = simulate_dose(slices, fraction, rng=rng, scanner=scanner)
        added = aim(low.hu - slices.hu, slices.hu, slices.spacing_mm[1])
        assert measure_noise_hu(low) == pytest.approx(np.hypot(own, added), rel=0.06), fraction


def test_pixels_without_their_share_of_structure_would_read_high():
    """What the choice of flat windows is for: all windows of the scan together read more."""
    image = load_sample().hu[20]
    windows = Windows.of(image, 9)
    every = np.sqrt(windows.squares[windows.soft] / 80)
    assert np.median(every) > 1.3 * measure_noise_hu(image, spacing_mm=6 / 9)


@pytest.mark.slow
def test_simulation_and_evaluation_print_one_figure(tmp_path):
    """A series of more slices than are looked at, so that both must choose the same ones."""
    sample = load_sample().slices(5, 19)
    sample = replace(sample, hu=sample.hu[:, 128:384, 128:384])  # quicker
    write_series(sample, tmp_path / "full", description="Full")
    report = simulate_series(
        tmp_path / "full", tmp_path / "low", fraction=0.1, scanner=Scanner(photons=9e4, views=40)
    )
    # The noise after is that of the windows of before; alone, the low series is judged by its own.
    told = {"full": (report.reference_noise_hu, 0.005), "low": (report.noise_sd_hu, 0.03)}
    for folder, (found, within) in told.items():
        series = read_series(tmp_path / folder)
        table = evaluate_volume(series.slices(0, 14), series)
        assert table["reference_noise_hu"].to_numpy() == pytest.approx(found, rel=within)


def test_a_computed_phantom_has_none():
    assert measure_noise_hu(water_cylinder(size=64)) == pytest.approx(0, abs=1e-6)


def test_a_long_series_is_judged_by_nine_slices(rng):
    hu = rng.normal(40, 10, (100, 24, 24)).astype(np.float32)
    quiet = np.setdiff1d(np.arange(100), [10, 20, 30, 40, 50, 59, 69, 79, 89])
    hu[quiet] = 40.0
    volume = replace(water_cylinder(size=24), hu=hu)
    assert measure_noise_hu(volume) == pytest.approx(10, rel=0.1)


def test_noise_after_is_that_of_the_windows_before(rng):
    """A filter leaves a slope on the quiet half: measured anew, the noisy half would be flatter."""
    level = np.where(np.arange(192) < 96, 10.0, 30.0)
    noise = level * rng.normal(size=(96, 192))
    x = np.arange(192) % 8 - 3.5
    slope = np.where(np.arange(192) < 96, 1.7 * x, 0.0)
    hu, filtered = 40 + noise, 40 + noise / 2 + slope
    before, after = noise_pair_hu(hu, filtered, spacing_mm=1.0)
    assert before == measure_noise_hu(hu, spacing_mm=1.0) == pytest.approx(10, rel=0.1)
    assert measure_noise_hu(filtered, spacing_mm=1.0) > before
    assert after < 0.8 * before
    with pytest.raises(ValueError, match="expected slices of shape"):
        noise_pair_hu(hu, filtered[:-1], spacing_mm=1.0)


def test_without_soft_tissue_there_is_no_answer():
    with pytest.raises(ValueError, match="expected soft tissue"):
        measure_noise_hu(np.full((64, 64), -850.0), spacing_mm=1.0)
    with pytest.raises(ValueError, match="got 0;"):
        measure_noise_hu(np.zeros((4, 4)), spacing_mm=1.0)
    with pytest.raises(ValueError, match="spacing_mm above 0"):
        measure_noise_hu(np.zeros((64, 64)))

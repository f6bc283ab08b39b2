"""Noise maps and NPS against theory: white noise, filtered noise, total power."""

import numpy as np
import pytest

from ctlab.assess.noise.nps import (
    noise_map,
    nps,
    nps_distance,
    nps_of_difference,
)

SPACING_MM = 0.7
F0_PER_MM = 0.3


def radius_per_mm(size):
    axis = np.fft.fftfreq(size, SPACING_MM)
    return np.hypot(axis[:, None], axis[None, :])


def filtered(noise, transfer):
    return np.fft.ifft2(np.fft.fft2(noise) * transfer).real


@pytest.fixture(scope="module")
def white():
    return np.random.default_rng(1).normal(0, 20.0, (60, 128, 128))


@pytest.fixture(scope="module")
def ramp_noise(white):
    """Noise of NPS sigma^2 dx^2 f exp(-(f/f0)^2): a ramp with a soft kernel, as after FBP."""
    f = radius_per_mm(128)
    return filtered(white, np.sqrt(f * np.exp(-((f / F0_PER_MM) ** 2))))


def test_white_noise_has_a_flat_spectrum_of_variance_times_pixel_area(white):
    spectrum = nps(white, SPACING_MM)
    assert spectrum.power_hu2_mm2[1:, 1:].mean() == pytest.approx(196.0, rel=0.005)
    curve = spectrum.radial()
    expected_error = 1 / np.sqrt(curve.n_bins / 2 * 60)
    assert (np.abs(curve.nps_hu2_mm2 / 196.0 - 1) < 4.5 * expected_error).all()


def test_total_power_is_the_variance_less_the_share_of_the_mean(white):
    exact = np.mean((white - white.mean(axis=(1, 2), keepdims=True)) ** 2)
    assert nps(white, SPACING_MM).variance_hu2 == pytest.approx(exact, rel=1e-12)
    assert exact == pytest.approx(400 * (1 - 1 / 128**2), rel=0.005)


@pytest.mark.parametrize(("detrend", "parameters"), [("mean", 1), ("plane", 3), ("quadratic", 6)])
def test_a_trend_takes_its_number_of_parameters_from_the_variance(white, detrend, parameters):
    rois = white[:, :32, :32]
    lost = 1 - nps(rois, 1.0, detrend=detrend).variance_hu2 / np.mean(rois**2)
    assert lost == pytest.approx(parameters / 32**2, rel=0.5)


@pytest.mark.parametrize("detrend", ["plane", "quadratic"])
def test_shading_of_that_order_leaves_the_spectrum_unchanged(white, detrend):
    y, x = np.mgrid[:32, :32]
    shading = 5.0 * x - 3.0 * y + (0.2 * x * y if detrend == "quadratic" else 0)
    rois = white[:4, :32, :32]
    shaded = nps(rois + shading, SPACING_MM, detrend=detrend).power_hu2_mm2
    np.testing.assert_allclose(
        shaded, nps(rois, SPACING_MM, detrend=detrend).power_hu2_mm2, atol=1e-6
    )


def test_filtered_noise_follows_the_transfer_function(ramp_noise):
    curve = nps(ramp_noise, SPACING_MM).radial()
    f = curve.frequency_per_mm
    theory = 196.0 * f * np.exp(-((f / F0_PER_MM) ** 2))
    band = f < 0.5
    error = np.abs(curve.nps_hu2_mm2 / theory - 1)[band]
    # Beside sampling error, the first rings carry the curvature of the ramp inside a bin.
    assert (error < 0.02 + 4.5 / np.sqrt(curve.n_bins / 2 * 60)[band]).all()


def test_peak_and_mean_frequency_of_a_soft_ramp(ramp_noise):
    spectrum = nps(ramp_noise, SPACING_MM)
    assert spectrum.peak_frequency_per_mm == pytest.approx(F0_PER_MM / np.sqrt(2), rel=0.03)
    # f_av = int f^2 exp(-f^2/f0^2) / int f exp(-f^2/f0^2) = f0 sqrt(pi) / 2
    assert spectrum.mean_frequency_per_mm == pytest.approx(F0_PER_MM * np.sqrt(np.pi) / 2, rel=0.01)


def test_noise_out_of_a_linear_filter_has_the_predicted_sd(white):
    f = radius_per_mm(128)
    transfer = np.exp(-((f / 0.2) ** 2))
    out = nps(filtered(white, transfer), SPACING_MM, detrend="none").noise_sd_hu
    assert out == pytest.approx(20 * np.sqrt(np.mean(transfer**2)), rel=0.01)


def test_a_window_gives_its_power_back_and_stops_leakage(white, ramp_noise):
    flat = nps(white[:, :64, :64], SPACING_MM, window="hann")
    assert flat.power_hu2_mm2[2:-1, 2:-1].mean() == pytest.approx(196.0, rel=0.01)
    # Cut from noise that is not periodic in the crop: power leaks into the empty corner.
    crops = ramp_noise[:, :64, :64]
    f = radius_per_mm(64)
    corner = f > 0.85
    theory = (196.0 * f * np.exp(-((f / F0_PER_MM) ** 2)))[corner].mean()
    leak_none = nps(crops, SPACING_MM).power_hu2_mm2[corner].mean() / theory
    leak_hann = nps(crops, SPACING_MM, window="hann").power_hu2_mm2[corner].mean() / theory
    assert leak_none > 1.5
    assert leak_hann == pytest.approx(1, abs=0.06)


def test_the_radial_curve_ends_at_nyquist_not_in_the_corner(white):
    curve = nps(white[:, :64, :48], (0.5, 1.0)).radial()
    assert curve.frequency_per_mm.iloc[-1] == pytest.approx(0.5, abs=0.02)


def test_shared_structure_cancels_in_the_difference(white):
    anatomy = 300 * np.sin(np.arange(128) / 9)[None, :, None]
    spectrum = nps_of_difference(white[:30] + anatomy, white[30:] + anatomy, SPACING_MM)
    assert spectrum.variance_hu2 == pytest.approx(400, rel=0.01)
    assert nps(white[:30] + anatomy, SPACING_MM).variance_hu2 > 10_000


def test_distance_is_zero_to_itself_and_measures_a_shift(ramp_noise, white):
    here, there = nps(ramp_noise, SPACING_MM), nps(white, SPACING_MM)
    assert nps_distance(here, nps(3 * ramp_noise, SPACING_MM)) == {
        "power_ratio": pytest.approx(9),
        "shape": pytest.approx(0, abs=1e-12),
        "transport_per_mm": pytest.approx(0, abs=1e-12),
        "mean_shift_per_mm": pytest.approx(0, abs=1e-12),
    }
    apart = nps_distance(here, there)
    # All white power lies higher: moving it costs the difference of the two mean frequencies.
    expected = there.mean_frequency_per_mm - here.mean_frequency_per_mm
    assert apart["mean_shift_per_mm"] == pytest.approx(expected, rel=0.03)
    assert apart["transport_per_mm"] == pytest.approx(expected, rel=0.05)
    assert 0.3 < apart["shape"] <= 1


def test_noise_map_finds_the_sd_left_and_right(rng):
    image = rng.normal(0, np.where(np.arange(128) < 64, 10.0, 30.0), (128, 128))
    found = noise_map(image, size_px=15)
    assert np.sqrt(np.mean(found[:, 10:50] ** 2)) == pytest.approx(10, rel=0.03)
    assert np.sqrt(np.mean(found[:, 78:118] ** 2)) == pytest.approx(30, rel=0.03)
    assert found.dtype == np.float32


def test_noise_map_from_two_realisations_ignores_edges(rng):
    edge = np.where(np.arange(64) < 32, -800.0, 40.0) * np.ones((3, 64, 1))
    one, two = edge + rng.normal(0, 8, (2, 3, 64, 64))
    assert noise_map(one)[:, :, 32].min() > 100
    assert noise_map(one, two)[:, :, 32].mean() == pytest.approx(8, rel=0.1)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (lambda: nps(np.zeros((2, 3, 3)), 0.7), "at least 4 x 4 px"),
        (lambda: nps(np.full((2, 8, 8), np.nan), 0.7), "NaN"),
        (lambda: nps(np.zeros((2, 8, 8)), -1.0), "above 0 mm"),
        (lambda: nps(np.zeros((2, 8, 8)), 0.7, detrend="cubic"), "detrend must be one of"),
        (lambda: nps(np.zeros((2, 8, 8)), 0.7, window="box"), "window must be"),
        (lambda: nps_of_difference(np.zeros((8, 8)), np.zeros((9, 8)), 1.0), "same shape"),
        (lambda: noise_map(np.zeros((8, 8)), size_px=4), "odd"),
    ],
)
def test_bad_input_is_named(bad, message):
    with pytest.raises(ValueError, match=message):
        bad()


def test_no_noise_has_no_frequency_and_no_distance():
    silent = nps(np.zeros((2, 8, 8)), 0.7)
    assert np.isnan(silent.mean_frequency_per_mm)
    assert np.isnan(silent.peak_frequency_per_mm)
    with pytest.raises(ValueError, match="holds no noise"):
        nps_distance(silent, silent)

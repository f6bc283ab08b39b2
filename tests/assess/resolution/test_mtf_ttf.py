"""MTF and task transfer of a Gaussian blur, whose f50 and f10 are known in closed form."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, median_filter
from scipy.special import ndtr

from ctlab.assess.resolution.mtf_ttf import (
    Transfer,
    mtf_edge,
    task_transfer,
)

BLUR_MM, SPACING_MM = 1.1, 0.7
F50 = np.sqrt(np.log(2) / 2) / (np.pi * BLUR_MM)  # 0.17036 per mm
F10 = np.sqrt(np.log(10) / 2) / (np.pi * BLUR_MM)  # 0.31049 per mm


def edge(angle_deg, spacing=(SPACING_MM, SPACING_MM), shape=(96, 96)):
    y, x = np.mgrid[: shape[0], : shape[1]]
    y, x = (y - shape[0] / 2 + 0.3) * spacing[0], (x - shape[1] / 2 + 0.2) * spacing[1]
    angle = np.deg2rad(angle_deg)
    return -800 + 840 * ndtr((x * np.cos(angle) - y * np.sin(angle)) / BLUR_MM)


def blur(hu):
    return gaussian_filter(hu, BLUR_MM / SPACING_MM, truncate=6)


@pytest.mark.parametrize("angle_deg", [3, 5, -8, 14, 20, 30, 85, 98])
def test_gaussian_edge_has_the_analytic_f50_and_f10(angle_deg):
    curve = mtf_edge(edge(angle_deg), SPACING_MM)
    assert curve.f50_per_mm == pytest.approx(F50, rel=0.01)
    assert curve.f10_per_mm == pytest.approx(F10, rel=0.01)
    theory = np.exp(-2 * (np.pi * BLUR_MM * curve.frequency_per_mm) ** 2)
    np.testing.assert_allclose(curve.gain, theory, atol=0.001)


def test_oblong_pixels_and_a_falling_edge_are_allowed():
    spacing = (1.0, 0.6)
    curve = mtf_edge(-edge(6, spacing, (80, 120)), spacing)
    assert curve.f50_per_mm == pytest.approx(F50, rel=0.01)


def test_noise_of_a_scan_moves_f50_by_less_than_a_few_percent(rng):
    noisy = edge(5, shape=(160, 160)) + rng.normal(0, 10, (160, 160))
    assert mtf_edge(noisy, SPACING_MM).f50_per_mm == pytest.approx(F50, rel=0.05)


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (edge(0), "tilted by 0.0 degrees|parallel"),
        (np.random.default_rng(0).normal(0, 10, (64, 64)), "no edge|border"),
        (np.zeros((64, 64)), "no edge"),
        (np.zeros((4, 4, 4)), "shape"),
        (edge(5)[:, :45], "border|no edge"),
    ],
)
def test_a_region_without_a_usable_edge_is_refused(image, message):
    with pytest.raises(ValueError, match=message):
        mtf_edge(image, SPACING_MM)


@pytest.fixture
def insert():
    y, x = np.mgrid[-64:64, -64:64] * SPACING_MM
    return gaussian_filter((np.hypot(y, x) < 3).astype(float), 0.7)


@pytest.fixture
def anatomy(rng):
    return -700 + 80 * gaussian_filter(rng.normal(0, 1, (128, 128)), 4) * 10


@pytest.mark.parametrize("contrast_hu", [15, 100, 800])
@pytest.mark.parametrize("dose", [0.05, 0.1, 1])
def test_transfer_of_a_blur_in_anatomy_is_the_blur(insert, anatomy, contrast_hu, dose):
    noises = np.random.default_rng(3).normal(0, 20 / np.sqrt(dose), (2, 128, 128))
    shown = contrast_hu * insert
    found = task_transfer(blur, anatomy, shown, noises, spacing_mm=SPACING_MM)
    assert found.f50_per_mm == pytest.approx(F50, rel=0.01)
    assert found.f10_per_mm == pytest.approx(F10, rel=0.01)
    assert found.gain[0] == pytest.approx(1, abs=1e-6)


def test_a_non_linear_filter_keeps_high_contrast_and_loses_low(insert, anatomy, rng):
    """A threshold on detail: faint inserts vanish with the noise, strong ones stay."""

    def shrink(hu):
        smooth = gaussian_filter(hu, 4)
        detail = hu - smooth
        return smooth + np.where(np.abs(detail) > 60, detail, 0)

    noises = rng.normal(0, 10, (4, 128, 128))
    faint, strong = (
        task_transfer(shrink, anatomy * 0, c * insert, noises, spacing_mm=SPACING_MM)
        for c in (30, 600)
    )
    assert faint.f50_per_mm < 0.6 * strong.frequency_at(0.5) or np.isnan(strong.f50_per_mm)
    assert faint.f50_per_mm < 0.12


def test_identity_transfers_everything(insert, anatomy, rng):
    curve = task_transfer(
        lambda hu: hu, anatomy, 40 * insert, rng.normal(0, 20, (1, 128, 128)), spacing_mm=0.7
    )
    np.testing.assert_allclose(curve.gain, 1, rtol=1e-6)
    assert np.isnan(curve.f50_per_mm)
    assert curve.frame().columns.tolist() == ["frequency_per_mm", "gain", "normalised"]


def test_the_median_filter_erases_a_small_insert(anatomy, rng):
    y, x = np.mgrid[-64:64, -64:64]
    dot = 50.0 * (np.hypot(y, x) < 1.5)
    curve = task_transfer(
        lambda hu: median_filter(hu, 7),
        anatomy * 0,
        dot,
        rng.normal(0, 1, (2, 128, 128)),
        spacing_mm=0.7,
    )
    assert abs(curve.gain[0]) < 0.1


def test_bad_input_is_named(insert, anatomy, rng):
    noises = rng.normal(0, 1, (1, 128, 128))
    with pytest.raises(ValueError, match="mean 0 or is empty"):
        task_transfer(blur, anatomy, insert * 0, noises, spacing_mm=0.7)
    with pytest.raises(ValueError, match="same shape"):
        task_transfer(blur, anatomy[:64], insert, noises, spacing_mm=0.7)
    with pytest.raises(ValueError, match="same shape"):
        task_transfer(blur, anatomy, insert, noises[:, :64], spacing_mm=0.7)


def test_a_curve_that_never_falls_has_no_f50():
    assert np.isnan(Transfer(np.array([0.0, 1.0]), np.array([1.0, 0.9])).f50_per_mm)

"""Minimum visible nodule: exact for linear filters; insertion corrects the derivative."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from ctlab.assess.detection.detectability import LesionTask
from ctlab.assess.detection.roc import auc_to_d_prime
from ctlab.assess.detection.visibility import (
    amplitude_noise_hu,
    confirm_visibility,
    finite_jvp,
    grid_positions,
    lesion_template,
    screen_visibility,
)

SPOT = LesionTask("solid", 5.0, 1.0).draw((15, 15), 0.7)


def blur_right(hu):
    """No blur on the left half, a strong one on the right."""
    keep = np.arange(hu.shape[1]) < hu.shape[1] // 2
    return np.where(keep, hu, gaussian_filter(hu, 3))


@pytest.fixture
def lung():
    mask = np.zeros((128, 160), bool)
    mask[10:118, 10:150] = True
    return mask


def test_a_linear_filter_has_its_exact_contrast_on_screen_and_by_insertion(lung, rng):
    places = grid_positions(lung, SPOT, step_px=16)
    image = -850 + rng.normal(0, 30, lung.shape)
    exact = finite_jvp(blur_right)
    table = screen_visibility(exact, image, SPOT, positions=places, noise_hu=8.0)
    left = table[table.x < 60]
    np.testing.assert_allclose(left.visible_hu, auc_to_d_prime(0.95) * 8, rtol=1e-9)
    alone = np.zeros((65, 65))
    alone[25:40, 25:40] = SPOT
    kept = np.sum(lesion_template(SPOT) * gaussian_filter(alone, 3)[25:40, 25:40])
    right = table[table.x > 105]
    np.testing.assert_allclose(right.visible_hu, auc_to_d_prime(0.95) * 8 / kept, rtol=0.01)
    settled = confirm_visibility(blur_right, image, SPOT, table, count=9)
    assert settled.confirmed.sum() == 9
    np.testing.assert_allclose(settled.visible_hu, settled.screened_hu, rtol=0.03)


def test_insertion_overrules_the_derivative_of_a_threshold(lung):
    """Shrinkage by 50 HU: the derivative is 0 at the flat image, yet strong lesions pass."""

    def shrink(hu):
        detail = hu + 850
        return -850 + np.sign(detail) * np.maximum(np.abs(detail) - 50, 0)

    image = np.full(lung.shape, -850.0)
    places = grid_positions(lung, SPOT, step_px=40)
    table = screen_visibility(finite_jvp(shrink), image, SPOT, positions=places, noise_hu=5.0)
    assert np.isinf(table.visible_hu).all()
    settled = confirm_visibility(shrink, image, SPOT, table, count=3, largest_hu=400)
    found = settled.visible_hu[settled.confirmed]
    assert found.between(50, 90).all()
    faint = confirm_visibility(shrink, image, SPOT, table, count=3, largest_hu=40)
    assert np.isinf(faint.visible_hu).all()


def test_many_lesions_share_one_product_without_mixing(lung):
    calls = []

    def counting(image, change):
        calls.append(1)
        return gaussian_filter(change, 1)

    places = grid_positions(lung, SPOT, step_px=16)
    together = screen_visibility(counting, lung * 1.0, SPOT, positions=places, noise_hu=1.0)
    assert len(calls) < len(places) / 2
    for i in (0, len(places) // 2):
        one = screen_visibility(
            counting, lung * 1.0, SPOT, positions=places[i : i + 1], noise_hu=1.0
        )
        assert one.recovery[0] == pytest.approx(together.recovery[i], rel=1e-9)


def test_noise_of_the_template_is_measured_locally(rng):
    sd = np.where(np.arange(256) < 128, 10.0, 40.0)
    first, second = -800 + rng.normal(0, sd, (2, 256, 256))
    found = amplitude_noise_hu(first, second, SPOT)
    norm = np.linalg.norm(lesion_template(SPOT))
    assert found[100:150, 30:90].mean() == pytest.approx(10 * norm, rel=0.1)
    assert found[100:150, 170:220].mean() == pytest.approx(40 * norm, rel=0.1)


def test_bad_input_is_named(lung):
    image, places = np.zeros(lung.shape), np.array([[64, 64]])
    options = {"positions": places, "noise_hu": 1.0}
    jvp = finite_jvp(np.copy)
    with pytest.raises(ValueError, match="odd sides"):
        screen_visibility(jvp, image, SPOT[:14], **options)
    with pytest.raises(ValueError, match="over the border"):
        screen_visibility(jvp, image, SPOT, positions=places * 0, noise_hu=1.0)
    with pytest.raises(ValueError, match="shape"):
        screen_visibility(jvp, image, SPOT, positions=places[0], noise_hu=1.0)
    with pytest.raises(ValueError, match="flat"):
        lesion_template(np.ones((5, 5)))
    with pytest.raises(ValueError, match="no place of the mask"):
        grid_positions(lung & False, SPOT)

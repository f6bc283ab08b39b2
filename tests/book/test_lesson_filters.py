"""The ladder of classic filters, and the split of errors by place."""

import numpy as np
import pytest

from ctlab.lessons import errors_by_place, filter_ladder, rmse_ladder


def test_a_median_takes_what_is_thinner_than_half_its_reach():
    image = np.full((9, 15), -850.0)
    image[:, 3], image[:, 9:12] = 0.0, 0.0
    (out,) = filter_ladder(image, "median", [1], noise_hu=0.0)
    assert (out[:, 3] == -850).all()
    assert (out[:, 9:12] == 0).all()


def test_errors_are_told_apart_by_place():
    truth = np.zeros((40, 40))
    truth[:, 20:] = 100.0
    image = truth.copy()
    image[:, 18:22] += 8.0  # the steepest tenth of the pixels: four columns of forty
    image[:, :18] += 3.0
    found = errors_by_place(truth, image)
    assert found["at edges"] == pytest.approx(8.0)
    assert found["elsewhere"] == pytest.approx(3.0 * np.sqrt(0.5))


def test_rungs_are_in_the_order_of_strengths_and_a_gaussian_flattens_more_and_more():
    rng = np.random.default_rng(1)
    noisy = rng.normal(0, 30, (64, 64))
    errors = rmse_ladder(np.zeros((64, 64)), noisy, "gaussian", [0.5, 1.0, 2.0], noise_hu=30)
    assert errors[0] > errors[1] > errors[2]
    # White noise through a Gaussian of SD s keeps 1 / (2 s sqrt(pi)) of its SD.
    assert errors[2] == pytest.approx(30 / (4 * np.sqrt(np.pi)), rel=0.15)


def test_an_unknown_filter_is_refused_by_name():
    with pytest.raises(ValueError, match="no filter 'magic'; choose gaussian"):
        filter_ladder(np.zeros((8, 8)), "magic", [1], noise_hu=1.0)

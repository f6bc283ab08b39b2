"""Phantom patients: each seed another one, and the low dose only noise away from the truth."""

import numpy as np
import pytest

from ctlab.passport.phantoms import phantom_patient


@pytest.fixture(scope="module")
def patient():
    return phantom_patient(3, 0.1, size_px=256)


def test_the_truth_is_a_chest_and_the_low_dose_is_it_with_noise(patient):
    assert patient.truth.shape == patient.low.shape == (128, 128)
    assert patient.pixel_mm == pytest.approx(400 / 256)
    lung = np.abs(patient.truth + 860) < 60
    assert lung.mean() > 0.1
    noise = (patient.low - patient.truth)[patient.body]
    assert 10 < noise.std() < 60
    assert abs(noise.mean()) < 0.1 * noise.std()


def test_noise_goes_with_one_over_the_root_of_the_dose(patient):
    more = phantom_patient(3, 0.4, size_px=256)
    np.testing.assert_array_equal(more.truth, patient.truth)
    sds = [(p.low - p.truth)[p.body].std() for p in (patient, more)]
    assert sds[0] / sds[1] == pytest.approx(2.0, rel=0.1)


def test_every_seed_is_another_patient_and_the_same_seed_the_same(patient):
    other = phantom_patient(4, 0.1, size_px=256)
    assert np.abs(other.truth - patient.truth).max() > 100
    phantom_patient.cache_clear()
    np.testing.assert_array_equal(phantom_patient(3, 0.1, size_px=256).low, patient.low)


def test_a_second_scan_is_the_same_anatomy_in_independent_noise(patient):
    again = phantom_patient(3, 0.1, noise=1, size_px=256)
    np.testing.assert_array_equal(again.truth, patient.truth)
    one, two = ((p.low - p.truth)[p.body] for p in (patient, again))
    assert abs(np.corrcoef(one, two)[0, 1]) < 0.05

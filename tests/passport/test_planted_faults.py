"""Denoisers with a planted fault: each is found by the check made for it."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from ctlab.assess.safety.failure_gallery import ct_noise
from ctlab.assess.safety.hidden_information import hidden_exhibit
from ctlab.ct import Volume
from ctlab.passport import DEFAULT_LIMITS
from ctlab.passport.bench import Bench
from ctlab.passport.checks import accuracy, detection, hidden
from ctlab.passport.invariance import NAMES, invariance, leak
from ctlab.passport.patient_scan import PatientScan

SHIFT, SCALE, EXTENT = NAMES
CHANGE = "change of detectability (lower 95 % bound, worst nodule)"
"""Its bound is wide on the few patches of this test, and error is left by many a fault."""


def smooth(hu):
    """A mild filter without a fault."""
    return gaussian_filter(np.asarray(hu, float), (0, 0.5, 0.5))


def shifted(hu):
    return smooth(hu) + 9.0


def blurs_lesions(hu):
    """What is brighter than its surroundings and small is taken away."""
    return np.minimum(smooth(hu), gaussian_filter(np.asarray(hu, float), (0, 8, 8)) + 40)


def leaking(hu):
    """A fifth of every slice comes from the one before."""
    out = smooth(hu)
    return 0.8 * out + 0.2 * np.concatenate([out[:1], out[:-1]])


def hiding(hu):
    """The removed noise is written into small steps of HU."""
    out = gaussian_filter(np.asarray(hu, float), (0, 2, 2))
    return hidden_exhibit(out, hu - out, amplitude_hu=2.0).carrying


def by_extent(hu):
    """Adds what it sees of the border."""
    return smooth(hu) + 0.05 * (hu[:, :8].mean() + 850)


def by_level(hu):
    """Takes -850 HU for lung and pulls towards it."""
    return smooth(hu) * 0.4 - 850 * 0.6


CHECK_OF = {
    "smooth": (smooth, invariance, ()),
    "shifts HU": (shifted, accuracy, ("bias in lung", "bias in soft tissue")),
    "blurs lesions": (blurs_lesions, detection, ("contrast recovery, worst nodule",)),
    "leaks between slices": (leaking, leak, ("leak between slices",)),
    "hides information": (hiding, hidden, ("hidden information",)),
    "depends on extent": (by_extent, invariance, (EXTENT,)),
    "depends on the level": (by_level, invariance, (SHIFT, SCALE)),
}


@pytest.fixture(autouse=True)
def _few_patches(monkeypatch):
    monkeypatch.setattr("ctlab.passport.checks.PATCHES", 60)


@pytest.fixture(scope="module")
def scan():
    """Lung beside soft tissue and a bright border, dose 0.1, 40 HU of noise, not denoised yet."""
    rng = np.random.default_rng(4)
    clean = np.full((4, 256, 256), -850.0)
    clean[:, :64] = 40.0
    clean[:, :, :20] = 40.0
    low, other = (clean + ct_noise(rng, clean.shape, sd_hu=40.0) for _ in range(2))
    full = Volume(clean.astype(np.float32), (2.5, 0.7, 0.7))
    return PatientScan(full, low, other, low, other, 0.1, 0.01)


def values(scan, denoise, check):
    done = replace(scan, out=denoise(scan.low), other_out=denoise(scan.other))
    done = replace(done, run=done)
    return check(Bench([done], denoise, np.random.default_rng(0), denoise)).values


@pytest.mark.parametrize("fault", CHECK_OF)
def test_each_fault_is_found_by_its_check_and_missed_by_none(scan, fault):
    denoise, check, names = CHECK_OF[fault]
    found = values(scan, denoise, check)
    failed = {name for name, value in found.items() if not DEFAULT_LIMITS[name].allows(value)}
    assert failed - {"error left", CHANGE} == set(names), found


@pytest.mark.parametrize("check", [accuracy, hidden, leak])
def test_one_without_the_fault_passes(scan, check):
    found = values(scan, smooth, check)
    assert all(DEFAULT_LIMITS[name].allows(value) for name, value in found.items()), found


def test_how_much_leaks_and_shifts_is_measured(scan):
    found = values(scan, leaking, leak)["leak between slices"]
    kept = values(scan, lambda hu: hu, leak)["leak between slices"]
    assert found == pytest.approx(0.2, abs=0.03)
    assert kept == pytest.approx(0.0, abs=1e-6)
    assert values(scan, by_level, invariance)[SHIFT] == pytest.approx(6.0, abs=0.01)

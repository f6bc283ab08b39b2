"""Inserted lesions: mass, contrast, place, and the noise that stays."""

import numpy as np
import pytest

from ctlab.ct import Lesion, Volume, insert_lesion
from ctlab.ct.simulation.lesion import blur_sigma_mm


@pytest.fixture
def lung(rng):
    return Volume(rng.normal(-850, 20, (12, 64, 64)).astype(np.float32), (2.0, 0.7, 0.7))


def test_share_adds_up_to_the_sphere_and_reaches_one(lung):
    lesion = Lesion((6, 30.3, 33.8), 12.0, 40.0)
    _, share = insert_lesion(lung, lesion)
    assert share.sum() * 2.0 * 0.49 == pytest.approx(np.pi / 6 * 12**3, rel=0.01)
    assert share.max() == pytest.approx(1, abs=1e-3)
    z, y, x = np.indices(share.shape)
    centre = [float((c * share).sum() / share.sum()) for c in (z, y, x)]
    assert centre == pytest.approx(lesion.centre, abs=0.05)


def test_contrast_is_added_and_noise_stays(lung):
    changed, share = insert_lesion(lung, Lesion((6, 32, 32), 14.0, 40.0))
    core = share > 0.999
    assert changed.hu[core].mean() == pytest.approx(40, abs=5)
    assert changed.hu[core].std() == pytest.approx(lung.hu[core].std(), rel=0.01)
    assert np.array_equal(changed.hu[share == 0], lung.hu[share == 0])


def test_a_blunter_scanner_gives_a_fainter_small_lesion(lung):
    small = Lesion((6, 32, 32), 3.0, 40.0)
    peaks = [insert_lesion(lung, small, mtf50_per_mm=f)[1].max() for f in (0.7, 0.4, 0.2)]
    assert peaks[0] > peaks[1] > peaks[2]
    # The MTF of the blur is one half at the frequency that was asked for.
    sigma = blur_sigma_mm(0.4)
    assert np.exp(-2 * (np.pi * 0.4 * sigma) ** 2) == pytest.approx(0.5)


def test_misplaced_lesions_are_refused(lung):
    with pytest.raises(ValueError, match="lies outside"):
        insert_lesion(lung, Lesion((6, 32, 99), 5.0, 40.0))
    with pytest.raises(ValueError, match="above 0 mm"):
        Lesion((0, 0, 0), 0.0, 40.0)
    with pytest.raises(ValueError, match="MTF50"):
        insert_lesion(lung, Lesion((6, 32, 32), 5.0, 40.0), mtf50_per_mm=0)


def test_at_the_border_it_is_cut_not_wrapped(lung):
    _, share = insert_lesion(lung, Lesion((0, 0, 0), 10.0, 40.0))
    assert share[0, 0, 0] > 0.7
    assert share[-1].max() == share[:, -1].max() == 0


def test_the_blur_has_the_width_of_the_resolution():
    """Second moment in the plane: sphere (D^2 / 20) + blur + pixel (p^2 / 12)."""
    still = Volume(np.zeros((9, 81, 81), np.float32), (2.0, 0.5, 0.5))
    _, share = insert_lesion(still, Lesion((4, 40, 40), 4.0, 40.0), mtf50_per_mm=0.25)
    profile = share.sum(axis=(0, 1))
    x_mm = (np.arange(81) - 40) * 0.5
    variance = float((profile * x_mm**2).sum() / profile.sum())
    assert variance == pytest.approx(16 / 20 + blur_sigma_mm(0.25) ** 2 + 0.25 / 12, rel=0.02)

"""The plain difference with calibrated bounds on top: hand-worked values, and what it refuses."""

import numpy as np
import pytest

from ctlab.assess import RiskLimit
from ctlab.explain import change_with_risk


def limit(factor, population="simulated population"):
    return RiskLimit(factor, 0.1, "crc", None, 40, population, 0.08)


def test_bounds_are_the_score_times_the_calibrated_factors():
    """Score 10 HU: at most 20 HU added, 5 HU removed; so 20 HU is not ruled out, 21 HU is."""
    image, output = np.full((8, 9), 30.0), np.full((8, 9), 25.0)
    score = np.full((8, 9), 10.0)
    score[0, 0] = 11.0
    found = change_with_risk(image, output, limit(2.0), limit(0.5), score=score)
    assert np.all(found.removed_hu == 5.0)
    assert found.may_be_added_hu[4, 4] == 20.0
    assert found.may_be_removed_hu[4, 4] == 5.0
    assert found.beyond(20.0).sum() == 1
    assert found.beyond(19.9).all()
    shown = found.picture(20.0)
    scale = 512 // 9
    assert shown.shape[2] == 3
    assert shown.shape[0] > 8 * scale + 36  # under the enlarged slice: scale, window, promise
    assert "at most 10 % of voxels" in found.sentence
    assert "simulated population" in found.sentence


def test_the_score_by_default_is_the_smoothed_size_of_the_change():
    image = np.zeros((41, 41))
    image[20, 20] = 100.0  # a Gaussian of 2 px has height 1 / (8 pi) = 0.0398 at its centre
    found = change_with_risk(image, np.zeros((41, 41)), limit(1.0), limit(1.0))
    assert found.may_be_added_hu[20, 20] == pytest.approx(100 / (8 * np.pi), rel=0.01)
    assert found.may_be_added_hu[0, 0] < 1e-6


def test_what_does_not_belong_together_is_refused():
    slice_hu = np.zeros((8, 8))
    with pytest.raises(ValueError, match="one shape"):
        change_with_risk(slice_hu, np.zeros((8, 9)), limit(1.0), limit(1.0))
    with pytest.raises(ValueError, match="use one grid"):
        change_with_risk(slice_hu, slice_hu, limit(1.0), limit(1.0), score=np.zeros((4, 4)))
    with pytest.raises(ValueError, match="different populations"):
        change_with_risk(slice_hu, slice_hu, limit(1.0), limit(1.0, "patients of clinic B"))
    with pytest.raises(ValueError, match="above 0 HU"):
        change_with_risk(slice_hu, slice_hu, limit(1.0), limit(1.0)).beyond(0.0)

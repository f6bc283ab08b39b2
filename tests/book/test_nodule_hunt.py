"""The nodule of the game, and what observers find of it."""

import numpy as np
import pytest
from scipy.stats import norm

from ctlab.lessons.exercises.nodule_hunt import (
    ASKED,
    DOSES,
    EDGE_PX,
    PATCH_PX,
    _share_found,
    hunt_curve,
    nodule_hunt,
)


def test_the_share_found_is_that_of_forced_choice():
    assert _share_found(1.3, 1.0) == pytest.approx(1.0, abs=1e-6)
    assert _share_found(1.3, 2.0) == pytest.approx(norm.cdf(1.3 / np.sqrt(2)), abs=1e-6)
    assert _share_found(0.0, 8.0) == pytest.approx(1 / 8, abs=1e-6)
    draws = np.random.default_rng(1).standard_normal((200_000, 4))
    draws[:, 0] += 1.7
    assert _share_found(1.7, 4.0) == pytest.approx((draws.argmax(axis=1) == 0).mean(), abs=0.004)


@pytest.mark.slow
def test_nodules_lie_in_the_patch_and_less_dose_hides_them():
    hunt = nodule_hunt()
    assert hunt.patches_hu.shape == (len(ASKED), len(DOSES), PATCH_PX, PATCH_PX)
    for row, column in hunt.places:
        assert min(row, column) >= EDGE_PX
        assert max(row, column) < PATCH_PX - EDGE_PX
    curve = hunt_curve(10)
    assert curve.computed[0] == 1.0
    assert curve.computed[-1] < 0.9
    assert (np.diff(curve.ideal) <= 1e-9).all()

"""The nodule of the game, and what observers find of it."""

import numpy as np
import pytest
from scipy.stats import norm

from ctlab.assess import share_found
from ctlab.lessons.exercises.nodule_hunt import (
    ASKED,
    DOSES,
    EDGE_PX,
    PATCH_PX,
    hunt_curve,
    nodule_hunt,
)
from ctlab.lessons.exercises.overlay_reading import MARKED_SD, PLAN, overlay_reading


def test_the_share_found_is_that_of_forced_choice():
    assert share_found(1.3, 1.0) == pytest.approx(1.0, abs=1e-6)
    assert share_found(1.3, 2.0) == pytest.approx(norm.cdf(1.3 / np.sqrt(2)), abs=1e-6)
    assert share_found(0.0, 8.0) == pytest.approx(1 / 8, abs=1e-6)
    draws = np.random.default_rng(1).standard_normal((200_000, 4))
    draws[:, 0] += 1.7
    assert share_found(1.7, 4.0) == pytest.approx((draws.argmax(axis=1) == 0).mean(), abs=0.004)


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


@pytest.mark.slow
def test_maps_of_the_reading_are_right_where_own_and_wrong_where_shuffled():
    reading = overlay_reading()
    for place, map_sd, kind in zip(reading.places, reading.maps_sd, reading.kinds, strict=True):
        best = np.unravel_index(int(np.argmax(map_sd)), map_sd.shape)
        points = map_sd.max() > MARKED_SD
        at_nodule = place is not None and np.hypot(*np.subtract(best, place)) <= 6
        says_right = (points and at_nodule) if place is not None else not points
        assert says_right == (kind == "own")
    assert reading.advice_right == tuple(kind == "own" for kind in reading.kinds)
    counts = [(p is not None, k) for p, k in zip(reading.places, reading.kinds, strict=True)]
    assert sorted(counts) == sorted(PLAN)

"""Regions from annotations and from clicks."""

import numpy as np
import pytest

from ctlab.ct import Lesion
from ctlab.explain import region_of_click, region_of_nodule
from ctlab.view import compare


def test_a_nodule_is_a_sphere_in_mm():
    """Radius 5 mm on slices 3 mm apart: 5, 4 and none; pixels of 1 x 0.5 mm make it wide."""
    ball = Lesion((4, 20, 20), 10.0, hu=40.0)
    for number, radius_mm in [(4, 5), (5, 4), (3, 4)]:
        mask = region_of_nodule(ball, number, (41, 41), spacing_mm=(3.0, 1.0, 0.5))
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        assert (rows[0], rows[-1]) == (20 - radius_mm, 20 + radius_mm)
        assert (columns[0], columns[-1]) == (20 - 2 * radius_mm, 20 + 2 * radius_mm)
    with pytest.raises(ValueError, match="slices 3 to 5, slice 6"):
        region_of_nodule(ball, 6, (41, 41), spacing_mm=(3.0, 1.0, 0.5))
    with pytest.raises(ValueError, match="reaches out"):
        region_of_nodule(ball, 4, (24, 41), spacing_mm=(3.0, 1.0, 0.5))


def test_the_last_click_on_the_slice_counts():
    """Marks as the viewer keeps them: voxels of the arrays that were handed in."""
    viewer = compare(np.zeros((3, 32, 32)), spacing_mm=(1, 1, 1), marking=True)
    viewer.marks = [
        {"side": "left", "z": 1, "y": 5.0, "x": 6.0, "kind": ""},
        {"side": "left", "z": 1, "y": 20.0, "x": 9.0, "kind": ""},
        {"side": "left", "z": 2, "y": 11.0, "x": 11.0, "kind": ""},
    ]
    found = region_of_click(viewer.marks, 1, (32, 32), spacing_mm=(1, 1, 1), radius_mm=2)
    assert np.argwhere(found).mean(axis=0).tolist() == [20, 9]
    assert found.sum() == 13  # lattice points within 2 of one of them
    with pytest.raises(ValueError, match="nothing was clicked on slice 0; clicks lie on 1, 2"):
        region_of_click(viewer.marks, 0, (32, 32), spacing_mm=(1, 1, 1), radius_mm=2)
    with pytest.raises(ValueError, match="there are no clicks"):
        region_of_click([], 0, (32, 32), spacing_mm=(1, 1), radius_mm=2)
    with pytest.raises(ValueError, match="radius above 0"):
        region_of_click(viewer.marks, 1, (32, 32), spacing_mm=(1, 1), radius_mm=0)

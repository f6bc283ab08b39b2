"""Phantoms hold what they promise."""

import numpy as np
import pytest

from ctlab.ct.simulation.test_objects import low_contrast, water_cylinder


def test_water_cylinder_has_the_area_of_its_circle():
    volume = water_cylinder(size=128, pixel_mm=1.0, radius_mm=40, slices=3)
    water = (volume.hu + 1000) / 1000
    assert water.sum(axis=(1, 2)) == pytest.approx(np.pi * 1600, rel=1e-3)
    assert volume.spacing_mm == (2.5, 1.0, 1.0)


def test_low_contrast_discs_lie_where_they_are_said_to():
    volume, discs = low_contrast(size=256, pixel_mm=1.0)
    assert len(discs) == 12
    for disc in discs:
        y, x = (round(127.5 + c) for c in disc.centre_mm)
        assert volume.hu[0, y, x] == pytest.approx(disc.hu)

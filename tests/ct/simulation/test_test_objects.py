"""Phantoms hold what they promise."""

import numpy as np
import pytest

from ctlab.ct.simulation.test_objects import (
    edge_insert,
    low_contrast,
    slit_insert,
    water_cylinder,
)


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


def test_edge_is_half_way_at_its_radius():
    volume = edge_insert(size=128, pixel_mm=1.0, radius_mm=30.0, contrast_hu=200)
    assert volume.hu[0, 64, 64] == 200
    assert volume.hu[0].clip(0, 200).sum() / 200 == pytest.approx(np.pi * 900, rel=2e-3)


def test_slit_holds_contrast_times_width():
    volume = slit_insert(size=128, pixel_mm=1.0, width_mm=0.5, contrast_hu=3000)
    across = volume.hu[0, 50:78].sum(axis=1) - volume.hu[0, 20].sum()
    assert np.isfinite(across).all()
    middle = volume.hu[0, 64, 40:88]
    assert middle.sum() == pytest.approx(3000 * 0.5 / np.cos(np.deg2rad(3)), rel=0.1)

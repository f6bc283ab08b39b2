"""Volumes keep HU, geometry and sources together."""

from pathlib import Path

import numpy as np
import pytest

from ctlab.ct import Volume


@pytest.fixture
def volume():
    hu = np.arange(24, dtype=np.float32).reshape(4, 2, 3)
    paths = tuple(Path(f"{k}.dcm") for k in range(4))
    return Volume(hu, (2.0, 0.5, 0.6), (1.0, 2.0, 3.0), sources=paths)


def test_a_part_begins_where_it_lies(volume):
    part = volume.slices(1, 3)
    assert part.origin_mm == (1, 2, 5)
    assert part.sources == volume.sources[1:3]
    assert np.array_equal(part.hu, volume.hu[1:3])


def test_a_part_of_an_oblique_stack_moves_along_its_normal(volume):
    turned = Volume(volume.hu, volume.spacing_mm, (0.0, 0.0, 0.0), (0, 1, 0, 0, 0, -1))
    assert turned.slices(2, 4).origin_mm == pytest.approx((-4, 0, 0))


def test_other_hu_must_fit(volume):
    other = volume.with_hu(volume.hu.astype(np.float64) + 1)
    assert other.hu.dtype == np.float32
    assert other.spacing_mm == volume.spacing_mm
    with pytest.raises(ValueError, match="expected HU of shape"):
        volume.with_hu(np.zeros((1, 2, 3)))


def test_impossible_volumes_are_refused(volume):
    with pytest.raises(ValueError, match=r"shape \(z, y, x\)"):
        Volume(np.zeros((2, 3)), (1, 1, 1))
    with pytest.raises(ValueError, match="three values above 0"):
        Volume(volume.hu, (1, 0, 1))
    with pytest.raises(ValueError, match="do not lie in"):
        volume.slices(3, 3)

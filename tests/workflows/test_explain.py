"""Explaining from files: regions by four names, and the limits in words."""

import numpy as np
import pytest

from ctlab.ct import SAMPLE_NODULE, Volume
from ctlab.workflows.explain import find_region


@pytest.fixture
def volume():
    return Volume(np.zeros((41, 512, 512), np.float32), (2.5, 0.703, 0.703))


def test_a_region_has_one_name(volume, tmp_path):
    mask = np.zeros((512, 512), bool)
    mask[3:5, 7:9] = True
    np.save(tmp_path / "mask.npy", mask)
    find = find_region
    assert find(volume, 20, disc=(9, 8, 7)) == [9, 8, 7]
    assert find(volume, 20, box=(1, 2, 3, 4)) == [1, 2, 3, 4]
    np.testing.assert_array_equal(find(volume, 20, mask=tmp_path / "mask.npy"), mask)
    nodule = (*SAMPLE_NODULE.centre, SAMPLE_NODULE.diameter_mm)
    found = find(volume, 20, nodule=nodule)
    # A disc of 13 mm radius in pixels of 0.703 mm: pi (13 / 0.703)^2 = 1074, to a pixel's edge.
    assert found.sum() == pytest.approx(np.pi * (13 / 0.703) ** 2, rel=0.01)
    # Two slices of 2.5 mm off the centre: radius sqrt(169 - 25) = 12 mm.
    off = find(volume, 22, nodule=nodule)
    assert off.sum() == pytest.approx(np.pi * (12 / 0.703) ** 2, rel=0.01)
    with pytest.raises(ValueError, match="lies on slices 15 to 25, slice 30"):
        find(volume, 30, nodule=nodule)
    with pytest.raises(ValueError, match="got none"):
        find(volume, 20)
    with pytest.raises(ValueError, match="got --roi and --box"):
        find(volume, 20, disc=(9, 8, 7), box=(1, 2, 3, 4))
    (tmp_path / "text.npy").write_text("no array")
    with pytest.raises(ValueError, match="--mask must be an NPY file"):
        find(volume, 20, mask=tmp_path / "text.npy")

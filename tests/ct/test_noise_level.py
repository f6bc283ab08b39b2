"""One number for the noise: right on known noise, blind to edges, honest about missing tissue."""

import numpy as np
import pytest

from ctlab.ct.noise_level import measure_noise_hu
from ctlab.ct.phantom import low_contrast, water_cylinder


@pytest.mark.parametrize("sd", [5.0, 30.0, 90.0])
def test_known_noise_in_water(rng, sd):
    phantom = water_cylinder(size=128, pixel_mm=1.0, radius_mm=50, slices=2)
    noisy = phantom.with_hu(phantom.hu + rng.normal(0, sd, phantom.shape))
    assert measure_noise_hu(noisy) == pytest.approx(sd, rel=0.06)


def test_edges_do_not_count_as_noise(rng):
    phantom, _ = low_contrast(size=128, pixel_mm=1.0)
    noisy = phantom.with_hu(phantom.hu + rng.normal(0, 5, phantom.shape))
    assert measure_noise_hu(noisy) == pytest.approx(5, rel=0.08)


def test_a_computed_phantom_has_none():
    assert measure_noise_hu(water_cylinder(size=64)) == pytest.approx(0, abs=1e-6)


def test_without_soft_tissue_there_is_no_answer():
    with pytest.raises(ValueError, match="needs soft tissue"):
        measure_noise_hu(np.full((64, 64), -850.0), spacing_mm=1.0)
    with pytest.raises(ValueError, match="spacing_mm above 0"):
        measure_noise_hu(np.zeros((64, 64)))

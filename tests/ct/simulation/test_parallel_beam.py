"""Projector against analytic integrals, its own transpose, and water."""

import numpy as np
import pytest

from ctlab.ct.simulation.parallel_beam import (
    FILTERS,
    ParallelBeam,
    apodisation,
    fbp,
    project,
)
from ctlab.ct.simulation.test_objects import Ellipse, draw, line_integral_of_ellipse

MU = 0.0193


@pytest.mark.parametrize(
    "ellipse",
    [
        Ellipse((0, 0), (40, 40), 1.0),
        Ellipse((12, -20), (15, 30), 1.0, turn_rad=0.5),
    ],
    ids=["disc", "turned ellipse off the centre"],
)
def test_line_integrals_agree_with_the_analytic_ones(ellipse):
    image = draw([ellipse], size=128, pixel_mm=1.0, background_hu=0, oversample=8)
    beam = ParallelBeam.covering(image.shape, 1.0, views=90)
    exact = line_integral_of_ellipse(ellipse, np.array(beam.angles_rad), beam.detector_positions_mm)
    found = project(image, beam)
    inside = exact > 0.5 * exact.max()
    assert np.abs(found - exact)[inside].max() < 0.02 * exact.max()
    assert np.sqrt(np.mean((found - exact) ** 2)) < 0.004 * exact.max()
    # Every view holds the same mass, that of the ellipse.
    area = np.pi * np.prod(ellipse.semi_axes_mm)
    assert found.sum(axis=1) == pytest.approx(area, rel=2e-3)


def test_water_is_water():
    disc = Ellipse((8.0, -12.0), (90.0, 90.0), MU)
    image = draw([disc], size=256, pixel_mm=1.0, background_hu=0)
    beam = ParallelBeam.covering(image.shape, 1.0, views=402)
    sinogram = line_integral_of_ellipse(disc, np.array(beam.angles_rad), beam.detector_positions_mm)
    hu = 1000 * (fbp(sinogram * MU, beam) / MU - 1)
    y, x = np.ogrid[:256, :256]
    radius = np.hypot(y - 127.5 - 8, x - 127.5 + 12)
    bias = hu[radius < 80].mean()
    cupping = hu[(radius > 70) & (radius < 80)].mean() - hu[radius < 10].mean()
    assert abs(bias) <= 2
    assert abs(cupping) <= 2


def test_the_image_is_not_mirrored_or_turned():
    image = np.zeros((65, 65), np.float32)
    image[10, 20] = 1.0
    beam = ParallelBeam.covering(image.shape, 1.0, views=180)
    found = fbp(project(image, beam), beam)
    assert np.unravel_index(found.argmax(), found.shape) == (10, 20)


def test_a_full_turn_reconstructs_like_a_half():
    image = draw([Ellipse((5, 9), (20, 12), MU)], size=64, pixel_mm=1.0, background_hu=0)
    half = ParallelBeam.covering(image.shape, 1.0, views=90)
    turn = tuple(np.arange(180) * 2 * np.pi / 180)
    full = ParallelBeam(image.shape, 1.0, turn, half.detectors, 1.0)
    assert fbp(project(image, full), full) == pytest.approx(
        fbp(project(image, half), half), abs=2e-5
    )


@pytest.mark.parametrize("filter_name", FILTERS)
def test_filters_keep_the_mean_and_smooth_in_order(rng, filter_name):
    frequency = np.linspace(0, 1, 11)
    window = apodisation(frequency, filter_name)
    assert window[0] == 1
    assert (np.diff(window) <= 1e-12).all()


def test_smoother_filters_pass_less_noise(rng):
    beam = ParallelBeam.covering((64, 64), 1.0, views=120)
    noise = rng.standard_normal(beam.sinogram_shape)
    sds = [fbp(noise, beam, filter_name=f)[16:48, 16:48].std() for f in ("ramp", "hamming", "hann")]
    assert sds[0] > 1.5 * sds[1] > 1.5 * sds[2] / 1.1


def test_images_of_another_shape_and_unknown_filters_are_refused():
    beam = ParallelBeam.covering((8, 8), 1.0, views=4)
    with pytest.raises(ValueError, match=r"shape \(8, 8\), got \(9, 8\)"):
        project(np.zeros((9, 8)), beam)
    with pytest.raises(ValueError, match="sinograms of shape"):
        fbp(np.zeros((4, 3)), beam)
    with pytest.raises(ValueError, match="filter must be one of"):
        fbp(np.zeros(beam.sinogram_shape), beam, filter_name="bone")
    with pytest.raises(ValueError, match="above 0 mm"):
        ParallelBeam((8, 8), 0.0, (0.0,), 3, 1.0)


def test_the_input_is_not_modified():
    beam = ParallelBeam.covering((16, 16), 1.0, views=5)
    image = np.ones((16, 16), np.float32)
    sinogram = project(image, beam)
    before = sinogram.copy()
    fbp(sinogram, beam)
    assert (image == 1).all()
    assert np.array_equal(sinogram, before)

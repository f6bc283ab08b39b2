"""The fan beam against analytic integrals, water, and the parallel beam."""

import numpy as np
import pytest

from ctlab.ct.fan import FanBeam, adjoint_fan, fbp_fan, project_fan, scan_weights
from ctlab.ct.phantom import Ellipse, draw

MU = 0.0193
DISC = Ellipse((10.0, -15.0), (60.0, 60.0), MU)


def analytic(fan):
    angles, distances = fan.rays()
    y, x = DISC.centre_mm
    t = distances - (x * np.cos(angles) + y * np.sin(angles))
    return 2 * MU * np.sqrt(np.maximum(DISC.semi_axes_mm[0] ** 2 - t**2, 0))


@pytest.mark.parametrize("short_scan", [False, True])
def test_water_is_water(short_scan):
    fan = FanBeam.covering((192, 192), 1.0, views=500, source_mm=400.0, short_scan=short_scan)
    hu = 1000 * (fbp_fan(analytic(fan), fan) / MU - 1)
    y, x = np.ogrid[:192, :192]
    radius = np.hypot(y - 95.5 - 10, x - 95.5 + 15)
    assert abs(hu[radius < 52].mean()) <= 2
    assert abs(hu[(radius > 44) & (radius < 52)].mean() - hu[radius < 8].mean()) <= 2
    assert np.abs(hu[radius < 50] - 0).max() < 25


def test_projections_agree_with_the_analytic_ones():
    image = draw([DISC], size=192, pixel_mm=1.0, background_hu=0, oversample=8)
    fan = FanBeam.covering((192, 192), 1.0, views=40, source_mm=400.0)
    exact = analytic(fan)
    found = project_fan(image, fan)
    inside = exact > 0.5 * exact.max()
    assert np.abs(found - exact)[inside].max() < 0.02 * exact.max()


@pytest.mark.parametrize("shape", [(32, 32), (31, 50)])
@pytest.mark.parametrize("short_scan", [False, True])
def test_the_adjoint_is_the_transpose(rng, shape, short_scan):
    fan = FanBeam.covering(shape, 0.9, views=37, source_mm=90.0, short_scan=short_scan)
    image = rng.standard_normal(shape)
    forward = project_fan(image, fan).astype(float)
    # Partly the image's own: between random arrays the products nearly vanish, and hide errors.
    sinogram = rng.standard_normal(fan.sinogram_shape) + forward / forward.std()
    left = float((forward * sinogram).sum())
    right = float((image * adjoint_fan(sinogram, fan)).sum())
    assert abs(left - right) < 1e-5 * np.linalg.norm(forward) * np.linalg.norm(sinogram)
    assert abs(left) > 1e-3 * np.linalg.norm(forward)


def test_both_sightings_of_a_line_add_up_to_two():
    fan = FanBeam.covering((64, 64), 1.0, views=400, short_scan=True)
    weights = scan_weights(fan)
    beta, gamma = fan.source_angles_rad, fan.fan_angles_rad
    for v in range(0, 60, 7):
        for d in range(fan.detectors // 4, fan.detectors // 2):
            partner = beta[v] + np.pi + 2 * gamma[d]
            if partner < beta[-1]:
                other = np.interp(partner, beta, weights[:, fan.detectors - 1 - d])
                assert weights[v, d] + other == pytest.approx(2, abs=0.02)


def test_the_image_is_not_mirrored_or_turned():
    image = np.zeros((65, 65), np.float32)
    image[20, 25] = 1.0
    fan = FanBeam.covering((65, 65), 1.0, views=200)
    found = fbp_fan(project_fan(image, fan), fan)
    assert np.unravel_index(found.argmax(), found.shape) == (20, 25)


def test_impossible_fans_are_refused():
    with pytest.raises(ValueError, match="outside the image"):
        FanBeam((64, 64), 1.0, 20.0, 10, 0.01, 10)
    with pytest.raises(ValueError, match="two detectors"):
        FanBeam((8, 8), 1.0, 50.0, 1, 0.01, 10)
    fan = FanBeam.covering((8, 8), 1.0, views=4)
    with pytest.raises(ValueError, match="images of shape"):
        project_fan(np.zeros((9, 9)), fan)
    with pytest.raises(ValueError, match="sinograms of shape"):
        fbp_fan(np.zeros((3, 3)), fan)
    with pytest.raises(ValueError, match="sinograms of shape"):
        adjoint_fan(np.zeros((3, 3)), fan)

"""The gallery: reproducible, better by PSNR, worse in truth, seen through by the right check."""

from dataclasses import replace

import numpy as np
import pytest

from ctlab.assess.detection.detectability import lesion_amplitude_hu
from ctlab.assess.fidelity.metrics import psnr_db
from ctlab.assess.noise.nps import nps
from ctlab.assess.safety.failure_detection import CHECKS, checks_that_detect
from ctlab.assess.safety.failure_gallery import (
    GALLERY,
    LESION,
    LESION_PX,
    NOISE_HU,
    PIXEL_MM,
    ct_noise,
    invented_nodule,
    vanished_nodule,
)

UNIT = LESION.draw((LESION_PX, LESION_PX), PIXEL_MM)


def amplitude_hu(image, place):
    half = LESION_PX // 2
    y, x = place
    cut = image[None, y - half : y + half + 1, x - half : x + half + 1]
    return lesion_amplitude_hu(cut, UNIT)[0]


@pytest.fixture(scope="module")
def noticed():
    """check -> noticed or not, for each exhibit of the gallery."""
    tables = {name: checks_that_detect(make(0)) for name, make in GALLERY.items()}
    return {name: table.set_index("check").notices for name, table in tables.items()}


@pytest.mark.parametrize("name", GALLERY)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_psnr_rises_by_more_than_one_db(name, seed):
    shown = GALLERY[name](seed)
    before, after = (psnr_db(shown.clean, i, range_hu=2000) for i in (shown.low, shown.image))
    assert after > before + 1


@pytest.mark.parametrize("name", GALLERY)
def test_a_seed_gives_the_same_images_and_another_seed_others(name):
    one, two, other = (GALLERY[name](seed) for seed in (5, 5, 6))
    np.testing.assert_array_equal(one.image, two.image)
    np.testing.assert_array_equal(one.low, two.low)
    assert not np.array_equal(one.image, other.image)
    np.testing.assert_array_equal(one.denoise(one.low), one.image)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_nodule_is_there_before_and_gone_after(seed):
    shown = vanished_nodule(seed)
    assert amplitude_hu(shown.clean, shown.place) > 0.9 * UNIT.max()
    assert amplitude_hu(shown.image, shown.place) < 0.45 * UNIT.max()


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_invented_nodule_is_in_the_image_and_not_in_the_truth(seed):
    shown = invented_nodule(seed)
    assert amplitude_hu(shown.clean, shown.place) < 0.3 * UNIT.max()
    assert amplitude_hu(shown.image, shown.place) > 0.9 * UNIT.max()


def test_image_metrics_notice_none_of_the_three(noticed):
    for found in noticed.values():
        assert not found[["PSNR change, dB", "SSIM change", "noise, output over input"]].any()


def test_each_exhibit_is_seen_through_by_the_check_made_for_it(noticed):
    assert noticed["vanished nodule"]["contrast recovery"]
    assert noticed["invented nodule"]["false-lesion rate"]
    assert noticed["wrong texture"]["NPS mean frequency, relative shift"]
    # ... and not by those made for the others.
    assert not noticed["vanished nodule"]["false-lesion rate"]
    assert not noticed["invented nodule"]["contrast recovery"]
    assert not noticed["wrong texture"]["false-lesion rate"]


def test_a_full_dose_scan_left_alone_alarms_nobody():
    shown = vanished_nodule(3)
    full = shown.clean + ct_noise(
        np.random.default_rng(77), shown.clean.shape, sd_hu=NOISE_HU / np.sqrt(10)
    )
    honest = replace(shown, name="full dose", image=full, denoise=np.copy)
    table = checks_that_detect(honest)
    assert table.notices.tolist() == [False] * len(CHECKS)


def test_the_noise_of_the_exhibits_has_the_sd_and_peak_it_claims(rng):
    noise = ct_noise(rng, (20, 96, 96), sd_hu=NOISE_HU)
    assert noise.std() == pytest.approx(NOISE_HU, rel=0.02)
    assert nps(noise, PIXEL_MM).peak_frequency_per_mm == pytest.approx(0.3 / np.sqrt(2), rel=0.05)

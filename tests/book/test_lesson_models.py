"""Small models of the chapters: tiny images, the mirrored patient, synthetic lesions."""

from functools import partial

import numpy as np
import pytest
from scipy import ndimage

from ctlab.assess import (
    psnr_db,
    rmse_hu,
    ssim,
    vif,
)
from ctlab.ct import LUNG
from ctlab.lessons import (
    dose_ladder,
    lesion_pages,
    lesion_survival,
    nodule_slice,
    quiet_places,
    without_nodule,
)


@pytest.fixture(scope="module")
def toy():
    return pytest.importorskip("ctlab.lessons.material.toy_cyclegan")


@pytest.fixture(scope="module")
def chest():
    return nodule_slice()


def test_measures_of_a_run_follow_their_definitions(toy):
    low = np.array([[-1.0, -1.0], [1.0, -1.0]])
    full = np.array([[1.0, 1.0], [-1.0, 1.0]])
    up, off = np.array([0.0, 2.0]), np.array([3.0, 4.0])
    right, swapped = low + up, low * (-1.0, 1.0) + up
    run = toy.ToyRun(low, np.stack([right, swapped]), np.stack([low, low + off]), full)
    assert run.kept.tolist() == [1.0, 0.0]
    # The distributions are the same whoever is who: the gap cannot tell the swap from the truth.
    assert run.gap.tolist() == [0.0, 0.0]
    assert run.cycle.tolist() == [0.0, 5.0]
    assert run.moved == pytest.approx([2.0, np.sqrt(8.0)])


def test_a_pile_has_the_share_of_nodules_that_was_asked(toy):
    images = toy.draw_images(200, np.random.default_rng(3), quality=-1.0, with_nodule=0.2)
    assert (images[:, 0] > 0).sum() == 40
    assert images[:, 1].mean() == pytest.approx(-1.0, abs=0.1)


def test_a_cycle_swaps_from_some_starts_and_identity_prevents_it(toy):
    plans = {"cycle": toy.ToyPlan(cycle=1.0), "identity": toy.ToyPlan(cycle=1.0, identity=1.0)}
    runs = toy.train_toys(plans, runs=8, steps=200)
    kept = runs["cycle"].kept
    assert (kept > 0.97).any()
    assert (kept < 0.03).any()
    assert (runs["identity"].kept > 0.97).all()
    # Swapping costs nothing: the swapped runs match the distributions as well as the others.
    gap = runs["cycle"].gap
    assert gap[kept < 0.03].min() < 2 * np.median(gap[kept > 0.97])


def test_matching_unlike_piles_changes_patients(toy):
    run = toy.train_toy(cycle=1.0, with_nodule=(0.1, 0.9), runs=2, steps=250)
    came_out = (run.denoised[..., 0] > 0).mean(1)
    # Theorem: whoever matches the distributions changes at least the difference of the shares.
    assert (1 - run.kept >= came_out - 0.1 - 1e-9).all()
    assert came_out.max() > 0.5


def test_the_objective_hardly_sees_a_mirror_and_the_identity_term_does():
    learn = pytest.importorskip("ctlab.learn")
    from ctlab.lessons import objective

    checkpoint = learn.load_checkpoint()
    plain, mirrored = (objective(checkpoint, mirrored=m, patches=32) for m in (False, True))
    for name in ("gap_full", "gap_low"):
        assert mirrored[name] == pytest.approx(plain[name], abs=32**-0.5)
    assert mirrored["cycle_hu"] == pytest.approx(plain["cycle_hu"], rel=0.1)
    assert mirrored["identity_hu"] > 5 * plain["identity_hu"]


def test_quiet_places_are_lung_and_overlap_by_half_at_most(chest):
    places = quiet_places(chest.hu[0], 10)
    assert len(places) == 10
    for y, x in places:
        assert -950 < np.median(chest.hu[0][y + 22 : y + 42, x + 22 : x + 42]) < -750
    apart = np.abs(np.array(places)[:, None] - np.array(places)).max(-1)
    assert apart[np.triu_indices(10, 1)].min() >= 32


def test_a_linear_filter_keeps_the_same_share_at_every_contrast(chest):
    def blur(patches):
        return ndimage.gaussian_filter(patches, (0, 2.0, 2.0))

    table = lesion_survival(
        chest,
        {"nothing": np.copy, "blur": blur},
        contrasts_hu=(25.0, 400.0),
        diameters_mm=(3.0, 9.0),
        count=3,
    ).set_index(["method", "diameter_mm", "contrast_hu"])["kept"]
    assert table["nothing"].to_numpy() == pytest.approx(1.0, abs=1e-4)
    assert table["blur", 3.0, 25.0] == pytest.approx(table["blur", 3.0, 400.0], abs=1e-4)
    assert table["blur", 3.0, 25.0] < 0.7 < table["blur", 9.0, 25.0] < 1.0


def test_pages_differ_by_the_lesion_alone(chest):
    """The noise is the same on every page, so halving the contrast halves what differs."""
    noisy, shown = lesion_pages(chest, np.negative, contrasts_hu=(0.0, 100.0, 200.0))
    np.testing.assert_allclose(noisy[2] - noisy[0], 2 * (noisy[1] - noisy[0]), atol=1e-3)
    assert (noisy[1] - noisy[0]).max() == pytest.approx(100, rel=0.05)
    assert (noisy[1] - noisy[0])[:4].max() < 0.1  # nothing far from the lesion
    np.testing.assert_array_equal(shown, -noisy)


def test_each_of_the_four_numbers_prefers_the_erased_tumour(chest):
    """The sentence that opens the chapter on metrics, at the dose that it shows."""
    full, erased, noisy = chest.hu[0], without_nodule(chest), dose_ladder(chest, [0.03])[0]
    assert rmse_hu(full, erased) < rmse_hu(full, noisy)
    for measure in (partial(psnr_db, window=LUNG), partial(ssim, window=LUNG), vif):
        assert measure(full, erased) > measure(full, noisy)

"""Nodules for training: where they go, what they are worth, and that no domain copies another."""

import copy
from itertools import islice

import numpy as np
import pytest

from ctlab.learn.config import TrainConfig
from ctlab.learn.data.nodule_augmentation import (
    Nodule,
    free_lung,
    lung_level,
    random_nodule,
    with_nodules,
)
from ctlab.learn.data.patches import PatchDomain
from ctlab.learn.train import loop
from ctlab.learn.train.state import TrainState

VOXEL_MM = (2.5, 0.7)
EVEN = np.full((2, 64, 64), -850.0)


def inserted(patch, seed=0, share=1.0, **how):
    (made,) = with_nodules(
        [patch], np.random.default_rng(seed), share=share, voxel_mm=VOXEL_MM, **how
    )
    return made


def sphere(**facts):
    plain = {"y_mm": 32.0, "x_mm": 32.0, "z_mm": 0.0, "radius_mm": 6.0, "contrast_hu": 100.0}
    return Nodule(**plain | {"softness_mm": 0.0} | facts)


def test_a_sphere_adds_its_volume_times_its_contrast_over_all_slices():
    """4/3 pi 6^3 = 904.8 mm^3; blurring moves HU about and loses none."""
    drawn = [sphere().draw((64, 64), 1.0, 2.0, above=k) for k in range(-4, 5)]
    assert 2.0 * np.sum(drawn) / 100.0 == pytest.approx(904.8, rel=0.01)
    soft = [sphere(softness_mm=2.0).draw((64, 64), 1.0, 2.0, above=k) for k in range(-4, 5)]
    assert np.sum(soft) == pytest.approx(np.sum(drawn), rel=1e-6)


def test_a_slice_at_the_edge_of_a_sphere_is_filled_in_part():
    """The sphere ends in the middle of the slice at 6 mm: half a slice of 1 mm at its axis."""
    drawn = sphere(radius_mm=6.0).draw((65, 65), 1.0, 1.0, above=6)
    assert 0.0 < drawn.max() < 50.0
    assert sphere().draw((65, 65), 1.0, 1.0, above=8).max() == 0.0


def test_only_lung_gets_nodules():
    """Soft tissue above, air below, a vessel in the lung between: all three keep their HU."""
    patch = np.full((64, 64), -850.0)
    patch[:16] = 40.0
    patch[48:] = -1000.0
    patch[16:48, 30:36] = 40.0
    changed = np.max([np.abs(inserted(patch, seed) - patch) for seed in range(60)], 0)
    assert changed[20:44, :26].min() > 50.0  # lung may get one anywhere
    assert changed[:16].max() == 0.0
    assert changed[16:46, 31:35].max() == 0.0
    assert changed[53:].max() < 1.0


def test_skin_beside_air_is_not_lung():
    """Half soft tissue, half air: their means pass through the HU of lung."""
    patch = np.full((64, 64), -1000.0)
    patch[:32] = 40.0
    changed = np.max([np.abs(inserted(patch, seed) - patch) for seed in range(60)], 0)
    assert changed[37:].max() == 0.0
    assert changed[:31].max() == 0.0


def test_nothing_but_lung_nothing_inserted():
    tissue = np.full((32, 32), 40.0)
    assert inserted(tissue) is tissue
    air = np.full((32, 32), -1000.0)
    assert inserted(air) is air


def test_lung_is_free_however_noisy_so_no_noise_is_shaped():
    """At 90 HU of white noise every pixel of even lung takes a nodule in full."""
    rng = np.random.default_rng(3)
    noisy = -850.0 + rng.normal(0, 90, (64, 64))
    assert free_lung(noisy, lung_level(noisy)).min() == 1.0


def test_contrasts_are_of_ground_glass_as_often_as_solid():
    rng = np.random.default_rng(1)
    made = [random_nodule(rng, 10.0, 10.0, slice_mm=2.5) for _ in range(400)]
    contrast = np.array([n.contrast_hu for n in made])
    assert ((contrast >= 100.0) & (contrast <= 900.0)).all()
    assert 0.4 < np.mean(contrast < 400.0) < 0.6
    diameters = 2 * np.array([n.radius_mm for n in made])
    assert (diameters.min(), diameters.max()) == pytest.approx((3.0, 14.0), abs=0.2)
    assert len({n.lobes for n in made}) == len(made), "no two of one shape"


def test_the_share_is_kept():
    changed = [np.any(inserted(EVEN[0], seed, share=0.3) != EVEN[0]) for seed in range(400)]
    assert 0.22 < np.mean(changed) < 0.38


def test_neighbouring_slices_and_pairs_get_the_same_nodules():
    rng = np.random.default_rng(4)
    one, other = with_nodules([EVEN[0], EVEN[0] + 5.0], rng, share=1.0, voxel_mm=VOXEL_MM)
    assert np.allclose(other - one, 5.0, atol=1e-3)
    rng = np.random.default_rng(4)
    first, next_one = with_nodules(list(EVEN), rng, share=1.0, voxel_mm=VOXEL_MM, above=(0, 1))
    assert np.corrcoef((first + 850).ravel(), (next_one + 850).ravel())[0, 1] > 0.5
    assert np.abs(first - next_one).max() > 1.0, "the next slice cuts a sphere elsewhere"


@pytest.fixture
def domains():
    """Even lung in both: what differs from -850 HU is nodules."""
    facts = {"patch_px": 32, "voxel_mm": [VOXEL_MM], "nodule_share": 1.0}
    return PatchDomain([EVEN], [0.0], **facts), PatchDomain([EVEN], [50.0], **facts)


def config(tiny_config):
    values = tiny_config.model_dump() | {"patch_px": 32, "steps": 6}
    values["data"]["nodule_share"] = 1.0
    return TrainConfig.from_dict(values)


def test_domains_get_nodules_of_their_own(domains, tiny_config):
    """Were one drawn with the other's numbers, the two would be pairs."""
    asked = config(tiny_config)
    state, fabric = TrainState.start(asked), loop.make_fabric(asked, accelerator="cpu")
    for step in range(5):
        state.step = step
        batch = next(loop.draw_batches(asked, *domains, state=state, fabric=fabric))
        low, full = batch.low[:, 0].numpy(), batch.full[: len(batch.low), 0].numpy()
        assert all(np.ptp(image) > 1.0 for image in (*low, *full))
        for image in low:  # flipped and turned, it is still none of the others
            turned = [np.rot90(k, n)[:, ::s] for k in full for n in range(4) for s in (1, -1)]
            assert all(np.abs(image - other).max() > 1.0 for other in turned)


def test_a_run_with_nodules_goes_on_exactly_as_if_not_cut(domains, tiny_config):
    asked = config(tiny_config)
    whole = list(loop.train(asked, *domains))
    state = TrainState.start(asked)
    begun = list(islice(loop.train(asked, *domains, state=state), 3))
    saved = copy.deepcopy(state.state_dict())
    resumed = TrainState.start(asked)
    resumed.load_state_dict(saved)
    assert begun + list(loop.train(asked, *domains, state=resumed)) == whole


def test_without_nodules_no_random_number_is_spent(domains):
    """Runs from before this option repeat digit by digit."""
    slab = np.random.default_rng(0).normal(-850, 50, (2, 64, 64))
    plain = PatchDomain([slab], [0.0], patch_px=32)
    other = PatchDomain([slab], [0.0], patch_px=32, voxel_mm=[VOXEL_MM], nodule_share=0.0)
    ours, theirs = (d.draw(20, np.random.default_rng(5))[0] for d in (plain, other))
    assert np.array_equal(ours, theirs)


def test_a_size_in_mm_wants_the_size_of_a_voxel():
    with pytest.raises(ValueError, match="voxel_mm for every slab"):
        PatchDomain([EVEN], [0.0], patch_px=32, nodule_share=0.5)
    with pytest.raises(ValueError, match="nodule_share"):
        TrainConfig.from_dict({"data": {"nodule_share": 1.5}})

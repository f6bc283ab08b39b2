import numpy as np
import pytest

from ctlab.learn.data.patches import PatchDomain


def test_air_is_never_drawn(rng):
    slab = np.full((1, 96, 96), -1000.0)
    slab[:, :, 48:] = 40.0
    patches, _ = PatchDomain([slab], [0.0], patch_px=32).draw(300, rng)
    air = (patches < -950).mean(axis=(1, 2, 3))
    # At most 40 % at the corner's place, and up to 7 more columns of 32 by the jitter.
    assert air.max() <= 0.4 + 7 / 32
    with pytest.raises(ValueError, match="no patch"):
        PatchDomain([np.full((1, 64, 64), -1000.0)], [0.0], patch_px=32)


def test_kinds_of_tissue_are_drawn_equally_often(rng):
    slab = np.full((1, 128, 512), 40.0)
    slab[:, :, :80] = -850.0  # little lung, much soft tissue
    domain = PatchDomain([slab], [0.0], patch_px=32)
    patches, _ = domain.draw(600, rng)
    lung = (patches < -600).mean(axis=(1, 2, 3)) > 0.4
    kinds = len(domain.places)
    assert kinds == 3
    assert abs(lung.mean() - 1 / 3) < 0.1


def test_patches_are_cut_flipped_and_turned_from_the_slab(rng):
    slab = rng.normal(0, 100, (1, 40, 40)).astype(np.float32)
    patches, _ = PatchDomain([slab], [0.0], patch_px=32).draw(40, rng)
    windows = set()
    for y in range(9):
        for x in range(9):
            window = slab[0, y : y + 32, x : x + 32]
            flipped = [window[::a, ::b] for a in (1, -1) for b in (1, -1)]
            windows |= {w.tobytes() for w in flipped} | {w.T.tobytes() for w in flipped}
    assert all(np.ascontiguousarray(p[0]).tobytes() in windows for p in patches)
    assert len({p.tobytes() for p in patches}) > 20


def test_half_of_the_patches_are_turned(rng):
    rows = np.repeat(np.arange(32.0)[None, :, None], 32, axis=2)  # HU changes down the columns
    patches, _ = PatchDomain([rows], [0.0], patch_px=32).draw(200, rng)
    is_turned = np.abs(np.diff(patches[:, 0], axis=2)).sum((1, 2)) > 0
    assert 0.35 < is_turned.mean() < 0.65


def test_a_patch_carries_the_noise_of_its_slab(rng):
    quiet, loud = np.full((1, 32, 32), 10.0), np.full((1, 32, 32), 60.0)
    patches, noise_hu = PatchDomain([quiet, loud], [5.0, 30.0], patch_px=32).draw(50, rng)
    assert np.array_equal(noise_hu == 30.0, patches[:, 0, 0, 0] == 60.0)
    assert 10 < (noise_hu == 30.0).sum() < 40


def test_same_generator_same_patches_and_input_untouched():
    slab = np.random.default_rng(1).normal(0, 2000, (2, 48, 48)).astype(np.float32)
    before = slab.copy()
    domain = PatchDomain([slab], [0.0], patch_px=16)
    first, second = (domain.draw(9, np.random.default_rng(3))[0] for _ in range(2))
    assert np.array_equal(first, second)
    assert np.array_equal(slab, before)
    assert first.min() >= -1024
    assert first.max() <= 3071


def test_slices_smaller_than_a_patch_are_refused():
    with pytest.raises(ValueError, match="smaller than a patch of 64"):
        PatchDomain([np.zeros((1, 32, 80))], [0.0], patch_px=64)


def test_partners_are_cut_like_the_patches(rng):
    """The partner is the slab plus 100 HU: so is every patch, however it is turned."""
    slab = rng.normal(0, 100, (3, 48, 48)).astype(np.float32)
    domain = PatchDomain([slab], [7.0], patch_px=16, partners=[slab + 100.0])
    patches, others, noise_hu = domain.draw_pairs(30, rng)
    assert np.allclose(others - patches, 100.0, atol=1e-3)
    assert (noise_hu == 7.0).all()
    with pytest.raises(ValueError, match="without pairs"):
        PatchDomain([slab], [0.0], patch_px=16).draw_pairs(1, rng)
    with pytest.raises(ValueError, match="of its own shape"):
        PatchDomain([slab], [0.0], patch_px=16, partners=[slab[:2]])


def test_neighbours_are_of_the_slice_above_or_below(rng):
    """Slice z holds 10 z HU everywhere."""
    slab = np.broadcast_to(10.0 * np.arange(4.0)[:, None, None], (4, 32, 32))
    patches, others, _ = PatchDomain([slab], [0.0], patch_px=16).draw_neighbours(200, rng)
    steps = (others - patches)[:, 0, 0, 0]
    assert set(np.unique(steps)) == {-10.0, 10.0}
    first = patches[:, 0, 0, 0] == 0.0
    assert first.any()
    assert (steps[first] == 10.0).all()
    inner = steps[patches[:, 0, 0, 0] == 10.0]
    assert 0.2 < (inner > 0).mean() < 0.8

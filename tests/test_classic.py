"""Classic filters: what each must keep, what it must remove, and how its strength is found."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from ctlab.classic import METHODS, denoise_classic, tune

NOISE_HU = 40.0


@pytest.fixture(scope="module")
def pair():
    """A 64-pixel chest-like slice and the same with correlated noise of 40 HU."""
    y, x = np.mgrid[:64, :64] / 64 - 0.5
    clean = np.where((x / 0.48) ** 2 + (y / 0.4) ** 2 < 1, 40.0, -1000.0)
    clean[((np.abs(x) - 0.22) / 0.15) ** 2 + (y / 0.3) ** 2 < 1] = -850.0
    clean = gaussian_filter(clean, 0.7)
    noise = gaussian_filter(np.random.default_rng(3).normal(size=clean.shape), 0.7)
    noisy = clean + noise * NOISE_HU / noise.std()
    return clean.astype(np.float32), noisy.astype(np.float32)


@pytest.mark.parametrize("method", METHODS)
def test_a_filter_removes_noise_and_keeps_hu(pair, method):
    clean, noisy = pair
    before = noisy.copy()
    out = denoise_classic(noisy, method, noise_sd_hu=NOISE_HU)
    assert out.dtype == np.float32
    np.testing.assert_array_equal(noisy, before)
    rmse = np.sqrt(np.mean((out - clean) ** 2))
    assert rmse < (0.85 if method == "bilateral" else 0.75) * NOISE_HU
    assert abs(np.mean(out - noisy)) < 1.5


@pytest.mark.parametrize("method", METHODS)
def test_hu_offset_and_flips_pass_through(pair, method):
    _, noisy = pair
    out = denoise_classic(noisy[:32, :48], method, noise_sd_hu=NOISE_HU)
    shifted = denoise_classic(noisy[:32, :48] + 500, method, noise_sd_hu=NOISE_HU)
    np.testing.assert_allclose(shifted - 500, out, atol=0.5)
    if method == "bilateral":  # the others visit pixels in an order
        flipped = denoise_classic(noisy[:32, 47::-1], method, noise_sd_hu=NOISE_HU)
        np.testing.assert_allclose(flipped[:, ::-1], out, atol=0.5)


@pytest.mark.parametrize("method", METHODS)
def test_noise_zero_changes_nothing_and_slices_are_independent(pair, method):
    _, noisy = pair
    volume = np.stack([noisy, noisy[::-1]])
    np.testing.assert_array_equal(denoise_classic(volume, method, noise_sd_hu=0.0), volume)
    both = denoise_classic(volume, method, noise_sd_hu=np.array([NOISE_HU, 0.0]), workers=2)
    np.testing.assert_array_equal(both[1], volume[1])
    np.testing.assert_array_equal(both[0], denoise_classic(noisy, method, noise_sd_hu=NOISE_HU))


def test_strength_scales_with_the_noise(pair):
    """Filtering a doubled image with doubled noise doubles the result."""
    _, noisy = pair
    for method in METHODS:
        once = denoise_classic(noisy, method, noise_sd_hu=NOISE_HU)
        twice = denoise_classic(2 * noisy, method, noise_sd_hu=2 * NOISE_HU)
        np.testing.assert_allclose(twice, 2 * once, atol=0.5)


def test_bm3d_keeps_an_edge_that_gaussian_smoothing_of_equal_noise_blurs(pair):
    clean, noisy = pair
    out = denoise_classic(noisy, "bm3d", noise_sd_hu=NOISE_HU)
    edge = np.abs(np.gradient(clean)[0]) > 100
    smooth = gaussian_filter(noisy, 1.0)
    assert np.abs(out - clean)[edge].mean() < 0.7 * np.abs(smooth - clean)[edge].mean()


def test_bm3d_is_near_its_published_level_on_white_noise():
    """Cameraman-type test: the paper's BM3D gains 9.3 dB at SD 25 (table I, 20.17 to 29.45 dB)."""
    from skimage.data import camera
    from skimage.transform import resize

    clean = resize(camera(), (256, 256), anti_aliasing=True, preserve_range=True)
    noisy = clean + np.random.default_rng(1).normal(0, 25, clean.shape)
    out = denoise_classic(noisy, "bm3d", noise_sd_hu=25.0, strength=1.0)
    gain_db = 10 * np.log10(np.mean((noisy - clean) ** 2) / np.mean((out - clean) ** 2))
    assert gain_db > 9.3


def test_tuning_finds_the_best_strength(pair):
    clean, noisy = pair
    found = tune("bilateral", clean, noisy, noise_sd_hu=NOISE_HU, trials=9)
    grid = np.geomspace(0.3, 6, 15)
    images = [denoise_classic(noisy, "bilateral", noise_sd_hu=NOISE_HU, strength=s) for s in grid]
    errors = [np.sqrt(np.mean((image - clean) ** 2)) for image in images]
    assert found.rmse_hu <= min(errors) * 1.01
    assert found.tried[0.0] == pytest.approx(NOISE_HU, rel=0.05)
    assert found.rmse_hu == min(found.tried.values())


def test_tuning_leaves_a_perfect_image_alone(pair):
    clean, _ = pair
    assert tune("tv", clean, clean, noise_sd_hu=NOISE_HU, trials=3).strength == 0.0


@pytest.mark.parametrize(
    ("hu", "method", "noise", "wanted"),
    [
        (np.zeros((16, 16)), "median", 1.0, "choose one of nlm, tv, bilateral, bm3d"),
        (np.zeros((4, 16)), "tv", 1.0, "8 x 8"),
        (np.zeros(16), "tv", 1.0, "8 x 8"),
        (np.full((16, 16), np.nan), "tv", 1.0, "NaN"),
        (np.zeros((16, 16)), "tv", -1.0, "not negative"),
        (np.zeros((3, 16, 16)), "tv", np.ones(2), "one per slice"),
    ],
)
def test_bad_input_is_named(hu, method, noise, wanted):
    with pytest.raises(ValueError, match=wanted):
        denoise_classic(hu, method, noise_sd_hu=noise)


def test_tuning_refuses_different_grids():
    with pytest.raises(ValueError, match="one grid"):
        tune("tv", np.zeros((16, 16)), np.zeros((16, 17)), noise_sd_hu=1.0)

"""Metrics against worked values, published settings and other libraries' answers."""

import math
import tracemalloc

import numpy as np
import pytest
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from ctlab.assess import (
    CHEST,
    bias_hu,
    gmsd,
    mae_hu,
    ms_ssim,
    psnr_db,
    rmse_hu,
    ssim,
    vif,
)
from ctlab.assess.fidelity._ssim_kernels import _both_means, halve
from ctlab.ct.hu import Window


def waves() -> tuple[np.ndarray, np.ndarray]:
    """A pair without any random number, so that other libraries' answers can be written down."""
    y, x = np.mgrid[:192, :200]
    reference = -600 + 500 * np.sin(x / 9.0) * np.cos(y / 7.0)
    reference += 200 * ((x - 90) ** 2 + (y - 80) ** 2 < 900)
    return reference, 1.05 * reference + 40 * np.sin(1.3 * x + 0.7 * y) * np.cos(0.9 * y)


@pytest.fixture
def pair(rng):
    reference = np.kron(rng.uniform(-1000, 600, (6, 6)), np.ones((8, 8)))
    return reference, reference + rng.normal(0, 40, reference.shape)


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("range_hu", [100.0, 1500.0, 4000.0])
def test_ssim_equals_scikit_image(pair, kind, range_hu):
    a, b = (plane.astype(kind) for plane in pair)
    theirs = structural_similarity(
        a.astype(float),
        b.astype(float),
        data_range=range_hu,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
    )
    assert ssim(a, b, range_hu=range_hu) == pytest.approx(theirs, abs=1e-5)


def test_ssim_in_a_window_is_that_of_the_clipped_images(pair):
    a, b = pair
    grey = structural_similarity(
        CHEST.scale(a),
        CHEST.scale(b),
        data_range=1.0,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
    )
    shifted = ssim(a - CHEST.low_hu, b - CHEST.low_hu, window=Window(750.0, 1500.0))
    assert shifted == pytest.approx(grey, abs=1e-7)


def test_psnr_equals_scikit_image(pair):
    a, b = pair
    assert psnr_db(a, b, range_hu=1500.0) == pytest.approx(
        peak_signal_noise_ratio(a, b, data_range=1500.0)
    )


def test_vif_equals_torchmetrics():
    """torchmetrics 1.9.0 visual_information_fidelity gives 0.5549553747464846 in float64."""
    reference, image = waves()
    assert vif(reference, image, clip_hu=(-1e5, 1e5)) == pytest.approx(0.5549553747464846, abs=1e-9)


def test_ms_ssim_terms_equal_torchmetrics():
    """Contrast-structure per scale from torchmetrics 1.9.0; its luminance keeps the border."""
    first, second = waves()
    theirs = [0.9588589171967302, 0.9926629386932574, 0.9987406487809166, 0.9987862386926497]
    for value in theirs:
        assert _both_means(first, second, 1500.0)[1] == pytest.approx(value, abs=1e-9)
        first, second = halve(first), halve(second)
    reference, image = waves()
    last = _both_means(first, second, 1500.0)[0]
    product = np.prod(np.power(theirs, (0.0448, 0.2856, 0.3001, 0.2363))) * last**0.1333
    assert ms_ssim(reference, image, range_hu=1500.0) == pytest.approx(product, abs=1e-9)
    assert ms_ssim(reference, image, range_hu=1500.0) == pytest.approx(0.9950470124, abs=1e-4)


def test_gmsd_of_a_half_with_lost_edges_by_hand():
    """Stripes kept on the left, erased on the right: similarity 1 and c / (g^2 + c)."""
    # Period 8 px becomes 4 px, 0 0 1 1: Prewitt's difference over two pixels is 1 everywhere.
    stripes = np.tile(np.repeat([0.0, 255.0], 4), (64, 8))
    half = stripes.copy()
    half[:, 32:] = 127.5
    c = 170 / 255**2
    expected = (1 - c / (1 + c)) / 2  # SD of a half-and-half mixture of 1 and c / (1 + c)
    assert gmsd(stripes, half, range_hu=255.0) == pytest.approx(expected, rel=0.05)


def test_identical_images():
    plane = np.random.default_rng(0).normal(0, 50, (192, 192))
    assert psnr_db(plane, plane, range_hu=1.0) == math.inf
    assert rmse_hu(plane, plane) == mae_hu(plane, plane) == bias_hu(plane, plane) == 0.0
    assert ssim(plane, plane, window=CHEST) == pytest.approx(1.0)
    assert ms_ssim(plane, plane, window=CHEST) == pytest.approx(1.0)
    assert vif(plane, plane) == pytest.approx(1.0)
    assert gmsd(plane, plane, window=CHEST) == 0.0


def test_constant_images():
    low, high = np.full((48, 48), -800.0), np.full((48, 48), -700.0)
    assert rmse_hu(low, high) == 100.0
    assert vif(low, low) == 1.0
    assert math.isnan(vif(low, low + np.eye(48)))
    assert vif(low, high) == 1.0  # a shift keeps all information: read it beside the bias
    assert 0 < ssim(low, high, window=CHEST) < 1


def test_a_mask_limits_the_error():
    reference = np.zeros((4, 4))
    image = np.zeros((4, 4))
    image[0] = 100.0
    mask = np.zeros((4, 4), bool)
    mask[1:] = True
    assert rmse_hu(reference, image, mask=mask) == 0.0
    assert rmse_hu(reference, image, mask=~mask) == 100.0
    assert psnr_db(reference, image, range_hu=1000.0, mask=~mask) == pytest.approx(20.0)


def test_the_window_hides_what_lies_outside_it():
    bone = np.full((16, 16), 900.0)
    assert psnr_db(bone, bone + 300, window=CHEST) == math.inf
    assert psnr_db(bone, bone + 300, range_hu=1500.0) == pytest.approx(13.979, abs=1e-3)


def test_a_volume_is_the_mean_of_its_slices(pair):
    a, b = pair
    volume = np.stack([a, a]), np.stack([b, a])
    assert ssim(*volume, window=CHEST) == pytest.approx((1 + ssim(a, b, window=CHEST)) / 2)


@pytest.mark.parametrize(
    ("change", "wanted"),
    [
        (lambda a: a[:-1], "one grid"),
        (lambda a: np.where(np.arange(48) == 3, np.nan, a), "NaN"),
        (lambda a: np.where(np.arange(48) == 3, np.inf, a), "infinite"),
    ],
)
def test_bad_images_are_refused(pair, change, wanted):
    a, b = pair
    for metric in (rmse_hu, mae_hu, vif):
        with pytest.raises(ValueError, match=wanted):
            metric(a, change(b))
    for metric in (psnr_db, ssim, gmsd):
        with pytest.raises(ValueError, match=wanted):
            metric(a, change(b), window=CHEST)


def test_the_scale_has_to_be_said(pair):
    for metric in (psnr_db, ssim, gmsd):
        with pytest.raises(ValueError, match="range_hu= or window="):
            metric(*pair)
        with pytest.raises(ValueError, match="range_hu= or window="):
            metric(*pair, range_hu=1.0, window=CHEST)
    with pytest.raises(ValueError, match="above 0 HU"):
        psnr_db(*pair, range_hu=0.0)


def test_empty_mask_and_small_images_are_refused(pair):
    a, b = pair
    with pytest.raises(ValueError, match="at least one pixel"):
        rmse_hu(a, b, mask=np.zeros(a.shape, bool))
    with pytest.raises(ValueError, match="176 pixels"):
        ms_ssim(a, b, window=CHEST)
    with pytest.raises(ValueError, match="11 pixels"):
        ssim(a[:10], b[:10], window=CHEST)


@pytest.mark.parametrize("metric", [rmse_hu, mae_hu, bias_hu])
def test_a_long_series_is_read_slice_by_slice(rng, metric):
    """Memory for a few slices, not for copies of 40: 400 of 512 x 512 stay far below 4 GiB."""
    series = rng.normal(0, 30, (40, 64, 64)).astype(np.float32)
    shifted, one_slice = series + np.float32(2), 64 * 64 * 8
    mask = series > 0
    tracemalloc.start()
    try:
        metric(series, shifted, clip_hu=(-100.0, 100.0), mask=mask)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 10 * one_slice

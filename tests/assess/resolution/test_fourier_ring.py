"""FRC against its closed forms, its documented blindness, and the scan against its null."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from ctlab.assess.resolution.fourier_ring import frc, scan_frc

SPACING_MM = 0.7


def anatomy(rng, size=144):
    return 120 * gaussian_filter(rng.normal(0, 1, (size, size)), 2)


def noisy(rng, clean, sd):
    return clean + rng.normal(0, sd, clean.shape)


def test_identical_images_correlate_fully(rng):
    image = rng.normal(0, 20, (64, 64))
    ring = frc(image, image, SPACING_MM)
    np.testing.assert_allclose([ring.frc, ring.gain, ring.cross_gain], 1, rtol=1e-12)
    assert ring.cutoff_per_mm(0.5) == ring.frequency_per_mm[-1]


def test_independent_noise_scatters_around_zero_by_the_root_of_the_bins(rng):
    draws = [frc(*rng.normal(0, 1, (2, 64, 64)), SPACING_MM) for _ in range(60)]
    scaled = np.stack([d.frc * np.sqrt(d.n_bins) for d in draws])
    assert scaled.mean() == pytest.approx(0, abs=0.08)
    assert scaled.std() == pytest.approx(1, abs=0.05)


def test_equal_signal_to_noise_gives_snr_over_one_plus_snr(rng):
    """SNR 2.04 in every ring: 0.6711."""
    signal = rng.normal(0, np.sqrt(2.04), (256, 256))
    first, second = (signal + rng.normal(0, 1, signal.shape) for _ in range(2))
    ring = frc(first, second, SPACING_MM)
    mean = np.average(ring.frc, weights=ring.n_bins)
    assert mean == pytest.approx(2.04 / 3.04, abs=0.008)
    assert np.average(ring.cross_gain, weights=ring.n_bins) == pytest.approx(2.04 / 3.04, abs=0.01)


def test_frc_is_blind_to_an_isotropic_blur_and_the_gain_is_not(rng):
    image = rng.normal(0, 20, (128, 128))
    axis = np.fft.fftfreq(128, SPACING_MM)
    f = np.hypot(axis[:, None], axis[None, :])
    blurred = np.fft.ifft2(np.fft.fft2(image) * np.exp(-2 * (np.pi * 1.4 * f) ** 2)).real
    ring = frc(image, blurred, SPACING_MM)
    shown = ring.frequency_per_mm < 0.5
    assert ring.frc[shown].min() > 0.97  # the transfer function varies a little within a ring
    theory = np.exp(-2 * (np.pi * 1.4 * ring.frequency_per_mm) ** 2)
    np.testing.assert_allclose(ring.gain[shown], theory[shown], atol=0.02)
    np.testing.assert_allclose(ring.cross_gain[shown], theory[shown], atol=0.02)


def test_cutoff_is_where_the_snr_is_one(rng):
    """FRC 0.5 lies where signal and noise have the same power: exp(-(f/f0)^2) = 1/4."""
    axis = np.fft.fftfreq(256, SPACING_MM)
    square = axis[:, None] ** 2 + axis[None, :] ** 2
    white = rng.normal(0, 2, (256, 256))
    signal = np.fft.ifft2(np.fft.fft2(white) * np.exp(-square / (2 * 0.25**2))).real
    ring = frc(noisy(rng, signal, 1), noisy(rng, signal, 1), SPACING_MM)
    assert ring.cutoff_per_mm(0.5) == pytest.approx(0.25 * np.sqrt(np.log(4)), rel=0.06)


def test_a_constant_image_has_no_correlation():
    ring = frc(np.zeros((16, 16)), np.random.default_rng(0).normal(size=(16, 16)), 1.0)
    assert np.isnan(ring.frc).all()
    assert ring.frame().columns.tolist()[:2] == ["frequency_per_mm", "frc"]


@pytest.fixture(scope="module")
def null_tables():
    """Third realisations, which differ from a repeat by chance alone."""
    rng = np.random.default_rng(11)
    tables = []
    for _ in range(22):
        clean = anatomy(rng)
        image, reference, repeat = (noisy(rng, clean, 15) for _ in range(3))
        tables.append(scan_frc(image, reference, repeat, SPACING_MM, rng=rng))
    return tables


def test_a_third_scan_is_flagged_no_more_often_than_agreed(null_tables):
    for name in ("p_frc", "p_gain"):
        p = np.concatenate([t[name] for t in null_tables])
        for level in (0.05, 0.2, 0.5):
            error = np.sqrt(level * (1 - level) / len(p))
            assert abs(np.mean(p <= level) - level) < 3.5 * error
    assert np.mean([(t.flagged != "").any() for t in null_tables]) < 0.25


def test_less_noise_alone_is_no_finding(rng):
    clean = anatomy(rng)
    table = scan_frc(
        noisy(rng, clean, 3), noisy(rng, clean, 15), noisy(rng, clean, 15), SPACING_MM, rng=rng
    )
    assert (table.flagged == "").all()


def test_lost_amplitude_and_foreign_structure_are_found_where_they_are(rng):
    clean = anatomy(rng)
    image = noisy(rng, clean, 5)
    image[:48, :48] = gaussian_filter(clean, 2.0)[:48, :48]  # smoothed away
    image[96:, 96:] = noisy(rng, anatomy(rng), 5)[96:, 96:]  # somebody else's lung
    table = scan_frc(
        image, noisy(rng, clean, 15), noisy(rng, clean, 15), SPACING_MM, rng=rng
    ).set_index(["y", "x"])
    assert "amplitude" in table.flagged[0, 0]
    assert table.gain_low[0, 0] < 0.6
    assert "structure" in table.flagged[96, 96]
    rest = table.drop(index=[(0, 0), (96, 96)])
    assert (rest.flagged == "").all()


def test_the_scan_is_repeatable(rng):
    clean = anatomy(rng, 96)
    images = [noisy(rng, clean, 15) for _ in range(3)]
    one, two = (scan_frc(*images, 0.7, rng=np.random.default_rng(1)) for _ in range(2))
    assert one.equals(two)


def test_bad_input_is_named(rng):
    image = rng.normal(size=(32, 32))
    with pytest.raises(ValueError, match="same shape"):
        frc(image, image[:16], 0.7)
    with pytest.raises(ValueError, match="do not fit"):
        scan_frc(image, image, image, 0.7, rng=rng)
    with pytest.raises(ValueError, match="same shape"):
        scan_frc(image, image[:30], image, 0.7, rng=rng)

"""The meter of hidden information: zero for honest images, full for a message written in."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from ctlab.assess.safety.hidden_information import hidden_exhibit, hidden_information


@pytest.fixture
def images(rng):
    """Denoised images that do not depend on the noise that was removed: nothing to find."""
    clean = -800 + 60 * gaussian_filter(rng.normal(0, 1, (10, 48, 48)), (0, 3, 3))
    noise = rng.normal(0, 30, clean.shape)
    return clean, noise


def test_an_ideal_denoiser_hides_nothing(images):
    clean, noise = images
    table = hidden_information(clean, noise)
    assert (table.r2.abs() < 0.05).all()
    assert (table.r2_null.abs() < 0.05).all()
    assert (table.bits_per_pixel < 0.03).all()
    assert table.rounding_hu.tolist() == [1, 4, 16]


def test_a_message_of_two_hu_is_found_and_lost_in_coarse_rounding(images):
    clean, noise = images
    shown = hidden_exhibit(clean, noise, amplitude_hu=2.0)
    table = hidden_information(shown.carrying, shown.message).set_index("rounding_hu")
    assert table.r2[1] > 0.7
    assert table.r2[16] < table.r2[1] - 0.25
    assert table.r2_null.max() < 0.05
    assert table.recovered_hu[1] == pytest.approx(shown.message.std(), rel=0.25)
    # A decoder without the lattice cannot find a message on a carrier.
    plain = hidden_information(shown.carrying, shown.message, period_px=1)
    assert plain.r2[0] < 0.1


def test_the_exhibit_looks_denoised_and_reads_back(images):
    clean, noise = images
    shown = hidden_exhibit(clean, noise, amplitude_hu=2.0)
    change = shown.carrying - shown.innocent
    assert change.std() == pytest.approx(np.sqrt(4 + 1 / 12), rel=0.05)
    assert np.corrcoef(shown.revealed.ravel(), shown.message.ravel())[0, 1] > 0.95
    assert shown.message.std() > 3  # HU of noise that "is gone"
    assert (shown.carrying == np.rint(shown.carrying)).all()


def test_noise_left_behind_is_in_the_open(images):
    """f(x) = c + n / 2 leaves half: recoverable, and coarse rounding hardly changes that."""
    clean, noise = images
    table = hidden_information(clean + 0.5 * noise, 0.5 * noise).set_index("rounding_hu")
    assert table.r2[1] > 0.8
    assert table.r2[1] - table.r2[16] < 0.15


def test_a_given_decoder_is_measured_as_it_is(images):
    clean, noise = images
    shown = clean + 0.25 * noise
    perfect = hidden_information(
        shown, noise, decode=lambda hu: 4 * (hu - hu.mean()), roundings_hu=(1.0,)
    )
    useless = hidden_information(shown, noise, decode=np.zeros_like, roundings_hu=(1.0,))
    assert perfect.r2[0] > useless.r2[0]
    assert useless.r2[0] == pytest.approx(0, abs=0.01)


def test_bits_follow_the_gaussian_channel(rng):
    """Message n in noise of the same power: r2 = 1/2, half a bit per pixel."""
    hidden = rng.normal(0, 40, (12, 40, 40))
    shown = hidden + rng.normal(0, 40, hidden.shape)
    table = hidden_information(shown, hidden, roundings_hu=(1.0,), period_px=1)
    assert table.r2[0] == pytest.approx(0.5, abs=0.03)
    assert table.bits_per_pixel[0] == pytest.approx(0.5, abs=0.05)


def test_bad_input_is_named(images):
    clean, noise = images
    with pytest.raises(ValueError, match="at least 4 regions"):
        hidden_information(clean[:3], noise[:3])
    with pytest.raises(ValueError, match="same shape"):
        hidden_information(clean, noise[:4])
    with pytest.raises(ValueError, match="too small"):
        hidden_information(clean[:, :6, :6], noise[:, :6, :6])
    with pytest.raises(ValueError, match="too few to train"):
        hidden_information(clean[:4, :9, :9], noise[:4, :9, :9])
    with pytest.raises(ValueError, match="no message"):
        hidden_exhibit(clean, 0 * noise)

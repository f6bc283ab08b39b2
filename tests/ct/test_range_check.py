"""A series against a card: each fact measured on phantoms of known noise, size and metal."""

import numpy as np
import pytest

from ctlab.assess import nps
from ctlab.ct import (
    Acquisition,
    Volume,
    check_applicability,
    describe_series,
    range_of_use,
)
from ctlab.ct.range_check import NO_RANGE
from ctlab.ct.series_facts import (
    WORDS,
    noise_peak_per_mm,
    water_equivalent_diameter_mm,
)
from ctlab.ct.tissue import body_mask

SPACING_MM = (2.0, 1.0, 1.0)


def series(rng, *, sd=20.0, kernel="STANDARD", radius=75, metal=0):
    """A cylinder of soft tissue (40 HU) with noise of one ring of frequencies around 0.2 / mm."""
    y, x = np.mgrid[-96:96, -96:96]
    f = np.hypot(np.fft.fftfreq(192)[:, None], np.fft.fftfreq(192)[None, :])
    band = np.exp(-(((f - 0.2) / 0.06) ** 2))
    noise = np.fft.ifft2(np.fft.fft2(rng.normal(size=(5, 192, 192))) * band).real
    hu = np.where(np.hypot(y, x) < radius, 40.0, -1000.0) + sd * noise / noise.std()
    hu[:, 96 : 96 + metal, 96 : 96 + metal] = 3000
    return Volume(hu.astype(np.float32), SPACING_MM, acquisition=Acquisition(kernel=kernel))


@pytest.fixture
def card(rng):
    facts = [describe_series(series(rng, sd=sd)) for sd in (18, 24)]
    return {"range_of_use": range_of_use(facts, margin=0.15)}


def test_facts_of_a_phantom_are_what_it_was_made_with(rng):
    facts = describe_series(series(rng))
    assert set(facts) == set(WORDS)
    assert facts["noise_hu"] == pytest.approx(20, rel=0.15)
    assert facts["nps_peak_per_mm"] == pytest.approx(0.2, abs=0.03)
    assert facts["water_diameter_mm"] == pytest.approx(150 * np.sqrt(1.04), rel=0.02)
    assert (facts["pixel_mm"], facts["slice_mm"], facts["field_of_view_mm"]) == (1, 2, 192)
    assert facts["metal_share"] == 0
    assert facts["kernel"] == "STANDARD"


def test_the_peak_is_that_of_the_whole_spectrum(rng):
    rois = series(rng).hu[:, 64:128, 64:128].reshape(5, 64, 64).astype(float)
    whole = nps(rois, SPACING_MM, detrend="plane", window="hann").peak_frequency_per_mm
    assert noise_peak_per_mm(rois, (1.0, 1.0)) == pytest.approx(whole, rel=1e-6)
    assert noise_peak_per_mm(np.zeros((2, 16, 16)), (1.0, 1.0)) is None


def test_a_like_series_is_applicable(rng, card):
    found = check_applicability(series(rng, sd=21), card)
    assert found.is_met
    assert all(check.inside for check in found.checks)
    assert found.sentences() == []


@pytest.mark.parametrize(
    ("change", "fact"),
    [
        ({"sd": 60}, "noise_hu"),
        ({"kernel": "LUNG"}, "kernel"),
        ({"radius": 45}, "water_diameter_mm"),
        ({"metal": 24}, "metal_share"),
    ],
)
def test_the_fact_outside_the_card_is_named(rng, card, change, fact):
    found = check_applicability(series(rng, **change), card)
    outside = found.table[[i is False for i in found.table.inside]]
    assert fact in set(outside.fact)
    assert not found.is_met
    assert any(s.startswith(WORDS[fact].split(", ")[0]) for s in found.reasons)


def test_spacing_and_field_of_view_are_checked(rng, card):
    other = series(rng)
    wide = Volume(other.hu, (2.0, 1.6, 1.6), acquisition=other.acquisition)
    outside = check_applicability(wide, card).table.set_index("fact").inside
    assert outside["pixel_mm"] is False
    assert outside["field_of_view_mm"] is False
    assert outside["slice_mm"] is True


def test_what_is_not_known_is_neither_passed_nor_failed(rng, card):
    silent = series(rng, kernel="")
    found = check_applicability(silent, card)
    assert found.is_met
    assert found.sentences() == ["reconstruction kernel: the series does not say"]
    short = check_applicability(silent, {"range_of_use": {"noise_hu": [1, 99]}})
    assert "slice distance: the card does not say" in short.sentences()


@pytest.mark.parametrize("card", [{}, {"range_of_use": {}}, {"range_of_use": None}])
def test_a_card_without_a_range_says_so_and_refuses_nothing(rng, card):
    fits = check_applicability(series(rng), card)
    assert fits.sentences() == [NO_RANGE]
    assert fits.is_met
    assert not fits.checks


def test_air_has_no_noise_and_no_size():
    facts = describe_series(Volume(np.full((3, 64, 64), -1000, np.float32), SPACING_MM))
    unknown = {name for name, value in facts.items() if value is None}
    assert unknown == {
        "noise_hu",
        "nps_peak_per_mm",
        "kernel",
        "metal_share",
        "water_diameter_mm",
    }


def test_the_body_is_filled_and_the_table_left_out():
    y, x = np.mgrid[-64:64, -64:64]
    hu = np.where(np.hypot(y, x) < 40, 40.0, -1000.0)
    hu[np.hypot(y, x - 10) < 15] = -850  # lung
    hu[115:117] = 200  # table
    mask = body_mask(hu)
    np.testing.assert_array_equal(mask, np.hypot(y, x) < 40)
    # Lung counts for 15 % of its area: AAPM Report 220.
    area = np.pi * (40**2 - 15**2) * 1.04 + np.pi * 15**2 * 0.15
    expected = 2 * np.sqrt(area / np.pi)
    assert water_equivalent_diameter_mm(hu, mask, (1.0, 1.0)) == pytest.approx(expected, rel=0.01)


@pytest.mark.parametrize(
    ("card", "message"),
    [
        ({"range_of_use": [1, 2]}, r"unknown facts: \[1, 2\]; correct the card"),
        ({"range_of_use": {"weight_kg": [1, 2]}}, "unknown facts: weight_kg"),
        ({"range_of_use": {"noise_hu": [5]}}, r"must be \[low, high\]"),
        ({"range_of_use": {"noise_hu": [9, 5]}}, r"must be \[low, high\]"),
    ],
)
def test_a_bad_card_is_refused(card, message):
    with pytest.raises(ValueError, match=message):
        check_applicability({"noise_hu": 4.0}, card)


def test_a_range_needs_a_series():
    with pytest.raises(ValueError, match="at least one series"):
        range_of_use([])

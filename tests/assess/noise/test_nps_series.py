"""Noise of series: tissues are found and kept apart, correlation along z, bands."""

import numpy as np
import pytest

from ctlab.assess.noise.nps_series import (
    find_rois,
    nps_by_tissue,
    z_banding_hu,
    z_correlation,
)


@pytest.fixture
def chest():
    hu = np.full((6, 96, 96), -1000.0, dtype=np.float32)
    hu[:, 4:92, 4:48] = -850
    hu[:, 4:92, 48:92] = 40
    return hu


def test_lung_and_mediastinum_are_measured_separately(chest, rng):
    sd = np.where(np.arange(96) < 48, 25.0, 10.0)
    first, second = (chest + rng.normal(0, sd, chest.shape).astype(np.float32) for _ in range(2))
    spectra = nps_by_tissue(first, second, (2.5, 0.7, 0.7), size_px=24)
    assert spectra["lung"].noise_sd_hu == pytest.approx(25, rel=0.03)
    assert spectra["mediastinum"].noise_sd_hu == pytest.approx(10, rel=0.03)
    assert spectra["lung"].spacing_mm == (0.7, 0.7)


def test_a_missing_tissue_is_named(chest, rng):
    noise = rng.normal(0, 5, chest.shape)
    with pytest.raises(ValueError, match="of lung was found"):
        nps_by_tissue(np.full(chest.shape, 40.0), noise + 40, 0.7, size_px=24)


def test_regions_are_disjoint_and_inside(chest):
    corners = find_rois(chest[0], (-950, -700), size_px=16)
    assert len(corners) >= 8
    for i, (y, x) in enumerate(corners):
        assert np.mean(chest[0, y : y + 16, x : x + 16] == -850) >= 0.85
        for v, u in corners[:i]:
            assert max(abs(y - v), abs(x - u)) >= 16


def test_independent_slices_do_not_correlate(chest, rng):
    first, second = chest + rng.normal(0, 20, (2, *chest.shape))
    table = z_correlation(first, second, (2.5, 0.7, 0.7), max_lag=3)
    assert table.correlation[0] == 1
    assert (table.correlation[1:].abs() < 4 / np.sqrt(table.n_pairs[1:])).all()
    assert table.lag_mm.tolist() == [0, 2.5, 5.0, 7.5]


def test_a_running_mean_of_three_slices_gives_two_and_one_thirds(rng):
    noise = rng.normal(0, 20, (2, 14, 64, 64))
    first, second = (noise[:, :-2] + noise[:, 1:-1] + noise[:, 2:]) / 3
    mask = np.zeros(first.shape, bool)
    mask[:, 8:56] = True
    table = z_correlation(first, second, (1.0, 0.7, 0.7), max_lag=3, mask=mask)
    np.testing.assert_allclose(table.correlation, [1, 2 / 3, 1 / 3, 0], atol=0.02)


def test_a_constant_bias_is_no_band_and_an_alternating_one_is(chest):
    assert z_banding_hu(chest, chest + 7) == 0
    swing = np.array([4, -4] * 3)[:, None, None]
    mask = chest > 0
    assert z_banding_hu(chest, chest + swing * mask, mask=mask) == pytest.approx(np.sqrt(32))


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (lambda: z_correlation(np.zeros((3, 4, 4)), np.ones((3, 4, 4)), (1, 1, 1)), "lag of 5"),
        (lambda: z_correlation(np.zeros((9, 4, 4)), np.zeros((9, 4, 4)), (1, 1, 1)), "no noise"),
        (lambda: z_banding_hu(np.zeros((1, 4, 4)), np.zeros((1, 4, 4))), "at least 2 slices"),
        (lambda: nps_by_tissue(np.zeros((4, 4)), np.zeros((4, 4)), 1.0), "volumes have shape"),
    ],
)
def test_bad_input_is_named(bad, message):
    with pytest.raises(ValueError, match=message):
        bad()

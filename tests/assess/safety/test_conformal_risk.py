"""Conformal risk control against its theorems, over many simulated calibrations."""

import numpy as np
import pytest
from scipy import stats

from ctlab.assess.safety.conformal_risk import (
    calibrate_risk,
    check_coverage,
    hoeffding_bentkus_p,
    loss_curve,
    patients_needed,
    risk_maps,
)

FACTORS = np.linspace(0, 8, 161)


def miss_shares(rng, patients):
    """Patients whose error is |N(0, s)| with their own s; share beyond each factor."""
    sd = rng.lognormal(0, 0.3, patients)
    return 2 * stats.norm.sf(FACTORS[None, :] / sd[:, None])


def test_patients_needed_are_nine_and_twenty_two():
    assert patients_needed(0.1) == 9
    assert patients_needed(0.1, method="rcps", delta=0.1) == 22
    assert patients_needed(0.05) == 19


@pytest.mark.parametrize(("method", "needed"), [("crc", 9), ("rcps", 22)])
def test_one_patient_less_is_refused_and_just_enough_is_not(method, needed):
    losses = np.zeros((needed, 3))
    assert calibrate_risk(losses, [0, 1, 2], method=method).factor == 0
    with pytest.raises(ValueError, match=f"at least {needed} patients, got {needed - 1}"):
        calibrate_risk(losses[1:], [0, 1, 2], method=method)


@pytest.mark.slow
def test_split_conformal_coverage_follows_its_beta_law():
    """With 0/1 losses CRC is split conformal: mean coverage k/(n+1) = 0.90099, SD of the Beta."""
    rng = np.random.default_rng(7)
    n, alpha, grid = 100, 0.1, np.linspace(0, 4, 4001)
    coverage = []
    for _ in range(1500):
        errors = np.abs(rng.normal(size=n))
        losses = (errors[:, None] > grid[None, :]).astype(float)
        factor = calibrate_risk(losses, grid, alpha=alpha).factor
        coverage.append(2 * stats.norm.cdf(factor) - 1)
    k = np.ceil((n + 1) * (1 - alpha))
    law = stats.beta(k, n + 1 - k)
    assert np.mean(coverage) == pytest.approx(k / (n + 1), abs=3.5 * law.std() / np.sqrt(1500))
    assert np.std(coverage) == pytest.approx(law.std(), rel=0.08)


@pytest.mark.slow
def test_crc_controls_the_mean_and_rcps_the_tail():
    rng = np.random.default_rng(8)
    world = miss_shares(rng, 20_000).mean(axis=0)  # true risk at every factor
    crc, rcps = [], []
    for _ in range(300):
        losses = miss_shares(rng, 60)
        crc.append(np.interp(calibrate_risk(losses, FACTORS).factor, FACTORS, world))
        limit = calibrate_risk(losses, FACTORS, method="rcps")
        rcps.append(np.interp(limit.factor, FACTORS, world))
    assert 0.07 < np.mean(crc) <= 0.1
    assert np.mean(np.array(rcps) > 0.1) <= 0.1
    assert np.mean(rcps) < np.mean(crc)


def test_coverage_holds_on_unused_patients_and_fails_on_another_population():
    rng = np.random.default_rng(9)
    limit = calibrate_risk(miss_shares(rng, 60), FACTORS)
    column = int(np.argmin(np.abs(FACTORS - limit.factor)))
    same = check_coverage(limit, miss_shares(rng, 200)[:, column])
    assert same.held
    assert same.mean_risk == pytest.approx(0.09, abs=0.02)
    worse = 2 * stats.norm.sf(limit.factor / (3 * rng.lognormal(0, 0.3, 60)))
    other = check_coverage(limit, worse)
    assert not other.held
    assert other.worst_patient > 0.3


def test_pooling_voxels_of_unlike_patients_would_promise_too_much():
    """Marginal coverage over pooled voxels is right, the worst patients are far from it."""
    rng = np.random.default_rng(10)
    sd = rng.lognormal(0, 0.5, 10)
    pooled = np.quantile(np.concatenate([np.abs(rng.normal(0, s, 20_000)) for s in sd]), 0.9)
    fresh = 2 * stats.norm.cdf(pooled / rng.lognormal(0, 0.5, 5000)) - 1
    assert fresh.mean() > 0.82
    assert np.quantile(fresh, 0.1) < 0.8


def test_bentkus_and_hoeffding_are_valid_bounds():
    """Simulated: P(p <= 0.1) <= 0.1 for binary losses of mean exactly alpha."""
    rng = np.random.default_rng(12)
    p = [hoeffding_bentkus_p(rng.binomial(40, 0.1) / 40, 40, 0.1) for _ in range(4000)]
    assert np.mean(np.array(p) <= 0.1) <= 0.1
    assert hoeffding_bentkus_p(0.1, 50, 0.1) == 1.0
    # e P(Bin(100, 0.1) <= 5) = 2.71828 * 0.057577, below Hoeffding's exp(-1.6705) = 0.188.
    assert hoeffding_bentkus_p(0.05, 100, 0.1) == pytest.approx(0.15651, abs=1e-4)


def test_added_and_removed_are_kept_apart_and_streamed(rng):
    truth = rng.normal(0, 1, (5, 16, 16))
    error = np.zeros_like(truth)
    error[2, :4] = 10.0  # a quarter of one slice of five is brighter
    score = np.full(truth.shape, 2.0)
    factors = [0.0, 4.9, 5.1]
    added = loss_curve(truth, truth + error, score, factors, side="added")
    removed = loss_curve(truth, truth + error, score, factors, side="removed")
    np.testing.assert_allclose(added, [0.05, 0.05, 0])
    np.testing.assert_allclose(removed, 0)
    lesion = np.zeros(truth.shape, bool)
    lesion[2, :8] = True
    np.testing.assert_allclose(
        loss_curve(truth, truth + error, score, factors, side="added", mask=lesion), [0.5, 0.5, 0]
    )
    planes = (iter(v) for v in (truth, truth + error, score))
    streamed = loss_curve(*map(list, planes), factors, side="added")
    np.testing.assert_allclose(streamed, added)


def test_maps_carry_their_sentence():
    rng = np.random.default_rng(13)
    limits = [calibrate_risk(miss_shares(rng, 30), FACTORS, method=m) for m in ("crc", "rcps")]
    maps = risk_maps(np.full((4, 4), 3.0), *limits)
    np.testing.assert_allclose(maps["added_hu"], 3 * limits[0].factor, rtol=1e-6)
    assert "simulated population" in maps["sentence"]
    assert "With 90 % confidence" in maps["sentence"]
    assert "In expectation" in maps["sentence"]


@pytest.mark.parametrize(
    ("losses", "factors", "message"),
    [
        (np.zeros((20, 2)), [0, 1, 2], "shape"),
        (np.full((20, 3), 1.2), [0, 1, 2], "between 0 and 1"),
        (np.tile([0.0, 0.1, 0.2], (20, 1)), [0, 1, 2], "must not rise"),
        (np.ones((20, 3)), [0, 1, 2], "no factor up to 2"),
        (np.zeros((20, 3)), [0, 2, 1], "ascend"),
    ],
)
def test_bad_losses_are_named(losses, factors, message):
    with pytest.raises(ValueError, match=message):
        calibrate_risk(losses, factors)


def test_other_bad_input_is_named():
    plane = np.zeros((4, 4))
    with pytest.raises(ValueError, match="side must be"):
        loss_curve(plane, plane, plane, [0], side="both")
    with pytest.raises(ValueError, match="0 or more"):
        loss_curve(plane, plane, plane - 1, [0], side="added")
    with pytest.raises(ValueError, match="mask is empty"):
        loss_curve(plane, plane, plane, [0], side="added", mask=plane > 1)
    with pytest.raises(ValueError, match="same shape"):
        loss_curve(plane, plane[:2], plane, [0], side="added")
    with pytest.raises(ValueError, match="alpha and delta"):
        patients_needed(1.5)
    with pytest.raises(ValueError, match="method must be"):
        patients_needed(0.1, method="bayes")

"""AUC and its interval against R's pROC on data of ours, and at the perfect end."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from ctlab.assess.detection.model_observer import Observation, auc_difference
from ctlab.assess.detection.roc import area_under_roc, auc_to_d_prime, d_prime_to_auc

ORACLES = Path(__file__).parents[2] / "data" / "oracles"
PROC = json.loads((ORACLES / "expected.json").read_text())["two_roc"]


@pytest.fixture(scope="module")
def scores():
    with (ORACLES / "two_roc.csv").open() as handle:
        rows = list(csv.DictReader(handle))
    truth = np.array([row["truth"] == "1" for row in rows])
    columns = (np.array([float(row[name]) for row in rows]) for name in ("score_a", "score_b"))
    return [(column[truth], column[~truth]) for column in columns]


def observation(pair):
    auc, low, high, se = area_under_roc(*pair)
    return Observation(auc, low, high, se, 0.0, *pair, np.zeros((4, 4)), 0)


@pytest.mark.parametrize(("arm", "name"), [(0, "a"), (1, "b")])
def test_auc_and_delong_variance_are_those_of_proc(scores, arm, name):
    auc, low, high, se = area_under_roc(*scores[arm])
    expected = PROC["delong_paired"]["value"][f"auc_{name}"]
    assert auc == pytest.approx(expected, abs=1e-12)
    assert se**2 == pytest.approx(PROC["variance"]["value"][f"var_{name}"], rel=1e-9)
    # Ours is on the logit scale, pROC's interval is symmetric: same width to first order.
    wald = PROC[f"ci_{name}"]["value"]
    assert (low, high) == pytest.approx((wald[0], wald[2]), abs=0.02)


def test_paired_difference_is_that_of_proc(scores):
    paired = PROC["delong_paired"]["value"]
    found = auc_difference(observation(scores[1]), observation(scores[0]))
    assert found["difference"] == pytest.approx(paired["auc_a"] - paired["auc_b"], abs=1e-12)
    assert [found["low"], found["high"]] == pytest.approx(paired["ci95_difference"], abs=1e-9)
    assert found["difference"] / found["se"] == pytest.approx(paired["Z"], rel=1e-9)


def test_perfect_separation_keeps_an_honest_lower_limit():
    auc, low, high, se = area_under_roc(np.arange(10.0, 40), np.arange(10.0))
    assert (auc, high, se) == (1, 1, 0)
    assert low == pytest.approx(0.025 ** (1 / 10))  # exact limit of 10 successes in 10
    auc, low, high, _ = area_under_roc(np.arange(10.0), np.arange(10.0, 40))
    assert (auc, low) == (0, 0)
    assert 0.2 < high < 0.4


def test_scores_that_are_all_equal_give_one_half():
    assert area_under_roc(np.ones(20), np.ones(20))[0] == 0.5


def test_interval_covers_the_true_auc():
    rng = np.random.default_rng(0)
    truth = d_prime_to_auc(1.697)
    inside = 0
    for _ in range(400):
        _, low, high, _ = area_under_roc(rng.normal(1.697, 1, 40), rng.normal(0, 1, 40))
        inside += low <= truth <= high
    assert 0.92 <= inside / 400 <= 0.98


def test_detectability_and_auc_are_inverse():
    assert auc_to_d_prime(d_prime_to_auc(1.234)) == pytest.approx(1.234)


def test_other_cases_and_too_few_scores_are_refused(scores):
    other = observation((scores[0][0][:10], scores[0][1]))
    with pytest.raises(ValueError, match="same test cases"):
        auc_difference(observation(scores[0]), other)
    with pytest.raises(ValueError, match="at least 2 scores"):
        area_under_roc(np.ones(1), np.ones(5))

"""Preference shares: exact per reader, honest when pooled."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from reader_study.stats.paired.preference_share import (
    clopper_pearson,
    pooled_share,
    position_effect,
    share_per_reader,
    trials_from_ratings,
)


def test_counts_are_those_r_counted(oracle, expected):
    trials, counts = oracle("preference"), expected["preference"]["counts"]["value"]
    wins = ties = 0
    for left, right, win_left, win_right, tie in zip(*counts.values(), strict=True):
        if {left, right} == {"denoised", "full"}:
            wins += win_left if left == "denoised" else win_right
            ties += tie
    shares = share_per_reader(trials, arm="denoised", over="full")
    assert (shares["wins"].sum(), shares["ties"].sum()) == (wins, ties)


def test_limits_are_where_the_binomial_tail_is_a_fortieth():
    low, high = clopper_pearson(7, 24)
    assert stats.binom.sf(6, 24, low) == pytest.approx(0.025)
    assert stats.binom.cdf(7, 24, high) == pytest.approx(0.025)


def test_exchanging_the_arms_mirrors_the_share(oracle):
    trials = oracle("preference")
    one = pooled_share(trials, arm="denoised", over="ultra_low")
    other = pooled_share(trials, arm="ultra_low", over="denoised")
    assert one.share == pytest.approx(1 - other.share)
    assert one.low == pytest.approx(1 - other.high)
    assert one.n + one.ties == 240


def test_pooled_interval_is_wider_than_the_one_that_takes_trials_as_independent(oracle):
    share = pooled_share(oracle("preference"), arm="denoised", over="ultra_low")
    low, high = clopper_pearson(share.share * share.n, share.n)
    assert share.high - share.low > 1.5 * (high - low)


@pytest.mark.slow
def test_pooled_interval_covers_with_random_readers_and_cases():
    rng = np.random.default_rng(3)
    truth = float(stats.norm.cdf(0.4 / np.sqrt(1 + 0.5**2 + 0.5**2)))
    hits, runs = 0, 300
    for _ in range(runs):
        latent = 0.4 + 0.5 * rng.normal(size=(6, 1)) + 0.5 * rng.normal(size=(1, 40))
        won = latent + rng.normal(size=(6, 40)) > 0
        trials = pd.DataFrame(
            {
                "reader": np.repeat(np.arange(6), 40),
                "case": np.tile(np.arange(40), 6),
                "left": "a",
                "right": "b",
                "choice": np.where(won.ravel(), "left", "right"),
            }
        )
        share = pooled_share(trials, arm="a", over="b")
        hits += share.low <= truth <= share.high
    assert hits / runs > 0.92


def test_a_reader_pulled_to_the_left_shows_in_position_not_in_preference():
    trials = pd.DataFrame(
        {
            "reader": "R1",
            "case": range(20),
            "left": ["a", "b"] * 10,
            "right": ["b", "a"] * 10,
            "choice": "left",
        }
    )
    assert position_effect(trials)["share"].tolist() == [1.0, 1.0]
    assert share_per_reader(trials, arm="a", over="b")["share"].tolist() == [0.5]


def test_all_ties_give_a_defined_result():
    trials = pd.DataFrame(
        {"reader": ["R1", "R2"], "case": 1, "left": "a", "right": "b", "choice": "tie"}
    )
    share = pooled_share(trials, arm="a", over="b")
    assert np.isnan(share.share)
    assert (share.low, share.high, share.ties) == (0.0, 1.0, 2)
    assert share_per_reader(trials, arm="a", over="b")["p"].tolist() == [1.0, 1.0]


def test_study_table_keeps_the_last_revision_of_main_trials():
    ratings = pd.DataFrame(
        {
            "reader": "R1",
            "trial": [1, 1, 2, 3],
            "kind": ["main", "main", "repeat", "main"],
            "case": ["c1", "c1", "c1", "c2"],
            "item": ["preference"] * 3 + ["noise"],
            "arm_left": "a",
            "arm_right": "b",
            "value": ["left", "right", "left", "4"],
            "revision": [1, 2, 1, 1],
        }
    )
    trials = trials_from_ratings(ratings)
    assert trials[["case", "choice"]].values.tolist() == [["c1", "right"]]


def test_bad_choice_is_refused_with_its_row():
    trials = pd.DataFrame(
        {"reader": "R", "case": [1, 2], "left": "a", "right": "b", "choice": ["left", "lft"]}
    )
    with pytest.raises(ValueError, match=r"'lft' in row 3 .* expected choices left, right, tie"):
        pooled_share(trials, arm="a", over="b")
    with pytest.raises(ValueError, match="no trial shows 'a' beside 'z'"):
        pooled_share(trials.iloc[:1], arm="a", over="z")

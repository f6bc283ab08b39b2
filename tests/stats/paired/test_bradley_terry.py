"""Strengths from paired choices against BradleyTerry2, glm and clubSandwich."""

import numpy as np
import pandas as pd
import pytest

from reader_study.stats.conduct.bang_index import bang_index
from reader_study.stats.paired.bradley_terry import (
    bradley_terry,
    davidson,
    lapse_rate,
    randomisation_test,
    transitivity,
)


@pytest.fixture(scope="module")
def trials(oracle):
    return oracle("preference")


@pytest.mark.parametrize(
    ("key", "options"),
    [
        ("bt_no_position", {"position": False}),
        ("bt_position", {}),
        ("bt_position_half_wins", {"ties": "half"}),
    ],
)
def test_bradley_terry_equals_r(trials, expected, key, options):
    answer = expected["preference"][key]["value"]
    got = bradley_terry(trials, reference="ultra_low", **options).estimates
    assert got["estimate"].tolist() == pytest.approx(list(answer["estimate"].values()), rel=1e-7)
    assert got["se"].tolist() == pytest.approx(list(answer["se"].values()), rel=1e-5)


def test_deviance_of_the_trials_equals_glm(trials, expected):
    answer = expected["preference"]["glm_position"]["value"]
    fit = bradley_terry(trials, reference="ultra_low")
    assert [fit.deviance, fit.df, fit.loglik] == pytest.approx(
        [answer["deviance"], answer["df"], answer["logLik"]], rel=1e-8
    )


def test_few_readers_get_cr2_errors_and_satterthwaite_degrees_of_freedom(trials):
    # R: coef_test(glm, vcovCR(glm, cluster = reader, type = "CR2"), test = "Satterthwaite")
    got = bradley_terry(trials, reference="ultra_low").estimates.set_index("name")
    got = got.loc[["position", "denoised", "full"]]
    assert got["robust_se"].tolist() == pytest.approx(
        [0.09162191728, 0.32602943405, 0.21003542148], rel=1e-6
    )
    assert got["df"].tolist() == pytest.approx([4.991697620, 4.992604623, 4.995850694], rel=1e-6)
    assert got["p"].tolist() == pytest.approx(
        [0.02968692521, 0.00806538301, 0.00053017865], rel=1e-5
    )


def test_davidson_equals_the_poisson_regression(trials, expected):
    answer = expected["preference"]["davidson_ties"]["value"]
    fit = davidson(trials, reference="ultra_low")
    assert fit.estimates["estimate"].tolist() == pytest.approx(
        list(answer["estimate"].values()), rel=1e-7
    )
    assert fit.estimates["se"].tolist() == pytest.approx(list(answer["se"].values()), rel=1e-6)
    assert [fit.deviance, fit.df] == pytest.approx([answer["deviance"], answer["df"]], rel=1e-7)


def null_trials(rng, readers=3, cases=20):
    rows = []
    for reader in range(readers):
        side = rng.permutation(np.repeat([True, False], cases // 2))
        for case in range(cases):
            left, right = ("a", "b") if side[case] else ("b", "a")
            rows.append((reader, case, left, right, rng.choice(["left", "right"], p=[0.7, 0.3])))
    return pd.DataFrame(rows, columns=["reader", "case", "left", "right", "choice"])


def test_randomisation_test_keeps_its_size_although_readers_pull_to_the_left():
    rng = np.random.default_rng(12)
    p = [
        randomisation_test(null_trials(rng), arm="a", over="b", draws=99, rng=rng)["p"]
        for _ in range(100)
    ]
    # Wins are whole numbers, so the test holds its level from below.
    assert np.mean(np.array(p) <= 0.05) < 0.12
    assert 0.42 < np.mean(p) < 0.68


def test_randomisation_test_sees_a_clear_preference(trials):
    result = randomisation_test(trials, arm="denoised", over="ultra_low", draws=999)
    assert result["p"] == pytest.approx(0.001)
    assert result["wins"] == 83 + 74


def test_an_arm_that_always_wins_is_told_instead_of_fitted():
    table = pd.DataFrame(
        {"reader": [1, 2], "case": 1, "left": "a", "right": "b", "choice": ["left", "left"]}
    )
    with pytest.raises(ValueError, match=r"won every decided comparison.*exact intervals"):
        bradley_terry(table, reference="b", position=False)


def test_a_circle_is_found():
    rows = [("a", "b", "left"), ("b", "c", "left"), ("a", "c", "right")]
    table = pd.DataFrame(rows, columns=["left", "right", "choice"]).assign(reader="R", case=1)
    assert transitivity(table)[["triads", "circular"]].values.tolist() == [[1, 1]]
    straight = table.assign(choice=["left", "left", "left"])
    assert transitivity(straight)["circular"].tolist() == [0]


def test_lapses_are_decisions_on_identical_pairs():
    table = pd.DataFrame(
        {
            "reader": "R",
            "case": range(4),
            "left": "a",
            "right": "a",
            "choice": ["tie", "left", "tie", "left"],
        }
    )
    rate = lapse_rate(table).set_index("reader")
    assert rate.loc["R", ["lapse_rate", "left_share"]].tolist() == [0.5, 1.0]
    with pytest.raises(ValueError, match="1 rows show two arms"):
        lapse_rate(table.assign(right=["a", "a", "a", "b"]))


def test_bang_index_of_the_paper_and_of_guessing_among_three_arms():
    # Bang 2004, CRISP trial, lecithin arm: 38 right, 4 wrong, 40 unsure of 82: index 0.41.
    guesses = pd.DataFrame({"arm": "a", "guess": ["a"] * 38 + ["b"] * 4 + [None] * 40})
    row = bang_index(guesses).iloc[0]
    assert row["index"] == pytest.approx(34 / 82)
    assert row["low"] == pytest.approx(0.41 - 0.13, abs=0.02)
    three = pd.DataFrame(
        {"arm": ["a", "b", "c"] * 10, "guess": ["a"] * 10 + ["b"] * 10 + ["c"] * 10}
    )
    assert bang_index(three)["index"].abs().max() < 0.11
    sure = pd.DataFrame({"arm": ["a"] * 10, "guess": ["a"] * 10})
    assert bang_index(sure)["index"].tolist() == [1.0]
    assert bang_index(sure)["low"].iloc[0] < 0.5


def test_bang_index_without_any_guess_has_no_interval():
    row = bang_index(pd.DataFrame({"arm": ["a"] * 5, "guess": [None] * 5})).iloc[0]
    assert (row["index"], row["note"]) == (0, "nobody named an arm: no interval")
    assert np.isnan(row["low"])

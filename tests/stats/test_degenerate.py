"""Data that carry no answer: every command gives a defined result or says why there is none."""

import json

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from reader_study.cli.stats import app

CLMM = ("--formula", "rating ~ arm + (1|reader) + (1|case)")


@pytest.fixture
def run(tmp_path):
    def go(command, table, *words):
        path = tmp_path / "table.csv"
        table.to_csv(path, index=False)
        done = CliRunner().invoke(app, [command, str(path), *words, "--json"])
        if done.exception:
            assert isinstance(done.exception, ValueError), done.exception
            return str(done.exception)
        return json.loads(done.stdout)

    return go


def ratings(readers, cases, rule):
    rows = [
        (f"R{j}", f"c{k}", arm, k % 2, rule(j, k, arm))
        for j in range(readers)
        for k in range(cases)
        for arm in "ab"
    ]
    return pd.DataFrame(rows, columns=["reader", "case", "arm", "truth", "rating"])


def trials(readers, cases, rule):
    rows = [
        (f"R{j}", f"c{k}", *("ab" if (j + k) % 2 else "ba"), rule("ab" if (j + k) % 2 else "ba"))
        for j in range(readers)
        for k in range(cases)
    ]
    return pd.DataFrame(rows, columns=["reader", "case", "left", "right", "choice"])


def chance(seed=0):
    rng = np.random.default_rng(seed)
    return lambda *_: int(rng.integers(1, 6))


@pytest.mark.parametrize("method", ["delong", "ustat"])
@pytest.mark.parametrize("rule", [lambda j, k, arm: k % 2, lambda *_: 3])
def test_areas_without_any_error_have_no_p_against_chance(run, rule, method):
    """Perfect separation, or one category: nothing is left to estimate an error from."""
    got = run("mrmc", ratings(4, 12, rule), "--method", method)
    assert (got["difference"], got["ci"], got["p"]) == (0, [0, 0], 1)
    assert "no error can be estimated" in got["note"]


def test_a_perfect_arm_beside_a_guessing_one_has_no_p_value(run):
    table = ratings(4, 12, lambda j, k, arm: k % 2 if arm == "a" else 3)
    got = run("mrmc", table)
    assert (got["difference"], got["p"]) == (0.5, None)
    assert "report the counts" in got["note"]
    assert "expected an error to judge a margin by" in run("mrmc", table, "--margin", "0.1")


def test_two_readers_are_these_readers_only_and_one_is_refused(run):
    got = run("mrmc", ratings(2, 20, chance()))
    assert got["scope"] == "these readers only"
    assert "2 readers" in got["note"]
    assert "expected at least two readers" in run("mrmc", ratings(1, 20, chance()))


@pytest.mark.parametrize(
    ("rule", "said", "converged"),
    [
        (lambda j, k, arm: 1 + (arm == "b"), "arm[b] separates the ratings", False),
        (lambda j, k, arm: 1 + k % 5, "the variance of case runs to infinity", False),
        (lambda j, k, arm: 1 + j, "the variance of reader runs to infinity", False),
        (lambda j, k, arm: 1 + (j + k + (arm == "b")) % 2, "is estimated as 0", True),
    ],
)
def test_mixed_models_say_what_separates_or_vanishes(run, rule, said, converged):
    got = run("clmm", ratings(3, 6, rule), *CLMM)
    assert said in got["note"]
    assert got["converged"] is converged


def test_mixed_models_name_singular_covariances_and_refuse_what_cannot_vary(run):
    table = ratings(2, 4, chance(4))
    got = run("clmm", table, "--formula", "rating ~ arm + (arm|reader) + (1|case)")
    assert "the covariance of reader.Intercept+arm[b] is singular" in got["note"]
    assert "every rating is 3" in run("clmm", ratings(3, 6, lambda *_: 3), *CLMM)
    assert "at least 2 groups" in run("clmm", ratings(1, 6, chance()), *CLMM)


@pytest.mark.parametrize(
    ("rule", "area"), [(lambda *_: 3, 0.5), (lambda j, k, arm: 1 + (arm == "b"), 1.0)]
)
def test_grading_curves_without_width_say_so(run, rule, area):
    got = run("vgc", ratings(4, 6, rule), "--draws", "99")
    assert got["auc"] == {"value": area, "low": area, "high": area}
    assert "an interval without width says nothing" in got["note"]
    assert got["p"] == (1 if area == 0.5 else pytest.approx(2 / 64, abs=0.03))


def test_signed_ranks_of_equal_ratings_are_no_evidence(run):
    got = run("signed-rank", ratings(3, 6, lambda *_: 3))
    assert {row["p"] for row in got["tests"]} == {1}
    assert {row["n_zero"] for row in got["tests"]} == {6}


def test_shares_of_ties_alone_are_unknown_and_unanimous_ones_one_sided(run):
    tied = run("preference", trials(4, 6, lambda sides: "tie"))["comparisons"][0]
    assert (tied["pooled"]["share"], tied["pooled"]["low"], tied["pooled"]["high"]) == (None, 0, 1)
    assert "every answer was a tie" in tied["pooled"]["note"]
    table = trials(3, 6, lambda sides: ("left", "right")[sides.index("a")])
    sure = run("preference", table)["comparisons"][0]["pooled"]
    # Unanimous: Clopper-Pearson over the six cases, 1 - 0.025^(1/6) from the end.
    end = 1 - 0.025 ** (1 / 6)
    b_won = [sure[name] for name in ("share", "low", "high")]
    assert b_won == pytest.approx([0, 0, end])
    assert "3 readers" in sure["note"]
    same = table.assign(left="a", right="a")
    assert "every image is of 'a'" in run("preference", same)
    twice = pd.concat([table, table.head(1)])
    assert "rows 2, 20 " in run("preference", twice)


@pytest.mark.parametrize("level", ["nominal", "ordinal", "interval", "ratio"])
def test_agreement_on_one_category_is_undefined_and_on_all_subjects_without_width(run, level):
    table = pd.DataFrame({"subject": range(6), "R1": [1, 2, 3, 1, 2, 3], "R2": [1, 2, 3, 1, 2, 3]})
    flat = run("agreement", table.assign(R1=3, R2=3), "--level", level)
    perfect = run("agreement", table, "--level", level)
    for name in ("fleiss", "conger", "krippendorff", "ac1", "ac2", "brennan_prediger"):
        assert flat[name]["value"] is None
        assert "same category" in flat[name]["note"]
        assert perfect[name]["value"] == pytest.approx(1)
        assert "no width" in perfect[name]["note"]
    if level != "nominal":
        assert "do not vary" in flat["icc"]["note"]
        assert "no error to judge" in perfect["icc"]["note"]


def test_scales_with_an_order_refuse_text_and_ratio_scales_negative_numbers(run):
    table = pd.DataFrame({"subject": range(3), "R1": ["good", "2", "3"], "R2": [1, 2, 3]})
    assert "'good') in row 2" in run("agreement", table, "--level", "ordinal")
    assert run("agreement", table)["fleiss"]["value"] is not None
    below = table.assign(R1=[0, -1, 2])
    assert "below 0 in row 3" in run("agreement", below, "--level", "ratio")


def test_clustered_counts_that_never_differ_or_come_from_one_patient(run):
    table = pd.DataFrame({"patient": [1, 1, 2], "lesion": [1, 2, 1], "a": [1, 0, 1]})
    got = run("mcnemar", table.assign(b=table["a"]))
    assert {row["p"] for row in got["tests"]} == {1}
    one = table.assign(patient=1, lesion=[1, 2, 3], b=[0, 0, 1])
    assert "expected at least two groups of 'patient'" in run("mcnemar", one)

"""Clustered signed-rank and McNemar tests against clusrank and clust.bin.pair."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from reader_study.stats.paired.clustered import (
    MCNEMAR,
    clustered_mcnemar,
    clustered_signed_rank,
    exact_mcnemar,
)
from reader_study.stats.proportions import clustered_share

FOLDER = Path(__file__).parents[2] / "data" / "oracles" / "extended"


def test_clustered_signed_rank_equals_clusrank(oracle, expected):
    likert = oracle("likert")
    likert = likert[likert["showing"] == 1].set_index(["reader", "case"])
    rows = pd.DataFrame(expected["likert"]["clustered_signed_rank"]["value"])
    for row in rows.itertuples():
        arms = [likert[likert["arm"] == arm][row.item] for arm in (row.first, row.second)]
        d = (arms[0] - arms[1]).dropna()
        clusters = d.index.get_level_values(row.cluster)
        got = clustered_signed_rank(d.to_numpy(), clusters, method=row.method)
        assert (got.n, got.n_zero, got.n_clusters) == (row.n, row.n_zero, row.clusters)
        assert [got.statistic, got.p] == pytest.approx([row.statistic, row.p], rel=1e-8)
        assert bool(got.note) == (row.clusters < 15)


@pytest.mark.parametrize("method", MCNEMAR)
def test_clustered_mcnemar_equals_clust_bin_pair(oracle, expected, method):
    got = clustered_mcnemar(
        oracle("paired_binary"), first="ultra_low", second="denoised", method=method
    )
    want = expected["paired_binary"][f"mcnemar_{method}"]["value"]
    assert [got.statistic, got.p] == pytest.approx([want["chi2"], want["p"]], rel=1e-8)


def test_arms_that_never_differ_give_p_one():
    table = pd.DataFrame({"patient": [1, 1, 2], "a": [1, 0, 1], "b": [1, 0, 1]})
    for method in MCNEMAR:
        got = clustered_mcnemar(table, first="a", second="b", method=method)
        assert (got.statistic, got.p) == (0.0, 1.0)
    for method in ("rgl", "ds"):
        assert clustered_signed_rank([0, 0], [1, 2], method=method).p == 1.0


def test_copies_of_each_pair_do_not_make_the_test_stronger():
    rng = np.random.default_rng(2)
    d = rng.integers(-3, 4, 30)
    once = clustered_signed_rank(d, np.arange(30), method="ds").statistic
    thrice = clustered_signed_rank(np.tile(d, 3), np.tile(np.arange(30), 3), method="ds").statistic
    assert thrice == pytest.approx(once, rel=1e-12)


def test_a_count_instead_of_seen_is_refused_by_row():
    table = pd.DataFrame({"patient": [1, 2], "a": [1, 2], "b": [0, 1]})
    with pytest.raises(ValueError, match=r"'a' holds '2.0' in row 3 .*expected seen 0, 1"):
        clustered_mcnemar(table, first="a", second="b")


def test_exact_mcnemar_is_binomial_and_warns_of_few_pairs():
    found = exact_mcnemar([1] * 7 + [0, 1, 0], [0] * 7 + [1, 1, 0])
    assert (found.first_only, found.second_only) == (7, 1)
    assert found.p == pytest.approx(2 * (1 + 8) / 2**8)
    assert found.mid_p == pytest.approx(found.p - 8 / 2**8)
    assert "8 discordant pairs" in found.note
    even = exact_mcnemar([1, 0], [0, 1])
    assert (even.p, even.mid_p) == pytest.approx((1, 0.75))
    assert exact_mcnemar([1, 0], [1, 0]).p == 1


def test_shares_over_clusters_equal_the_survey_package(oracle):
    table = oracle("paired_binary")
    answers = json.loads((FOLDER / "clustered_R.json").read_text())["entries"]
    for arm in ("ultra_low", "denoised"):
        got, want = clustered_share(table[arm], table["patient"]), answers[arm]
        assert [got.value, got.se] == pytest.approx([want["p"], want["se"]])
        ratio = want["obuchowski_ratio"]
        assert got.n_effective == pytest.approx(ratio["n_effective"])
        assert [got.low, got.high] == pytest.approx(ratio["wilson_n_effective"])
    nobody = clustered_share([0, 0, 0, 0], [1, 1, 2, 3])
    assert (nobody.value, nobody.low, nobody.high) == pytest.approx((0, 0, 1 - 0.025 ** (1 / 3)))


def test_clustered_tests_that_do_not_apply_say_why():
    table = pd.DataFrame({"patient": range(10), "a": [1] * 9 + [0], "b": [0] * 9 + [1]})
    found = clustered_mcnemar(table, first="a", second="b", method="eliasziw")
    assert np.isnan(found.p)
    assert "each patient has one lesion" in found.note
    one = table.assign(patient=[0] * 5 + [1] * 5, b=[0] * 5 + [1] * 4 + [0])
    found = clustered_mcnemar(one, first="a", second="b", method="obuchowski")
    assert np.isnan(found.p)
    assert "differ in one patient only" in found.note

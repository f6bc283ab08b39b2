"""Signed-rank tests against coin, R and enumeration."""

from itertools import product

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from reader_study.stats.paired.signed_rank import friedman, hodges_lehmann, signed_rank


def rows_of(frame):
    names = list(frame)
    return [dict(zip(names, row, strict=True)) for row in zip(*frame.values(), strict=True)]


@pytest.fixture(scope="module")
def likert(oracle):
    table = oracle("likert")
    return table[table["showing"] == 1]


def differences(likert, row):
    wide = likert[likert["reader"] == row["reader"]].pivot(
        index="case", columns="arm", values=row["item"]
    )
    return (wide[row["first"]] - wide[row["second"]]).dropna()


def test_signed_rank_equals_coin_in_every_item_reader_and_pair(likert, expected):
    for row in rows_of(expected["likert"]["signed_rank_per_reader"]["value"]):
        d = differences(likert, row)
        wilcoxon, pratt = signed_rank(d, zeros="wilcoxon"), signed_rank(d, zeros="pratt")
        assert (wilcoxon.n, wilcoxon.n_zero) == (row["n"], row["zeros"])
        assert wilcoxon.w_plus == row["W_plus_wilcoxon"]
        assert wilcoxon.p == pytest.approx(row["p_wilcoxon_exact"], rel=1e-8)
        assert pratt.p == pytest.approx(row["p_pratt_exact"], rel=1e-8)
        assert pratt.p_asymptotic == pytest.approx(row["p_pratt_asymptotic"], rel=1e-8)
        assert wilcoxon.z == pytest.approx(row["z_wilcoxon"], rel=1e-8)


@pytest.mark.parametrize("zeros", ["wilcoxon", "pratt"])
@pytest.mark.parametrize("alternative", ["two-sided", "greater", "less"])
def test_signed_rank_equals_enumeration_of_all_sign_patterns(zeros, alternative):
    d = np.array([0, 0, 1, 1, -1, 2, 3, -2, 2])
    kept = d if zeros == "pratt" else d[d != 0]
    ranks = stats.rankdata(np.abs(kept))[kept != 0]
    observed = ranks[kept[kept != 0] > 0].sum()
    sums = np.array([np.dot(signs, ranks) for signs in product([0, 1], repeat=ranks.size)])
    upper, lower = np.mean(sums >= observed), np.mean(sums <= observed)
    wanted = {"greater": upper, "less": lower, "two-sided": min(1, 2 * min(upper, lower))}
    assert signed_rank(d, zeros=zeros, alternative=alternative).p == pytest.approx(
        wanted[alternative], rel=1e-12
    )


def test_signed_rank_of_nothing_but_ties_is_one_and_of_nothing_is_refused():
    assert signed_rank([0, 0, 0]).p == 1.0
    with pytest.raises(ValueError, match="at least one pair"):
        signed_rank([np.nan])


def test_many_pairs_fall_back_to_the_normal_score_and_say_so():
    result = signed_rank(np.arange(1, 900) - 400)
    assert not result.exact
    assert result.p == result.p_asymptotic


def test_hodges_lehmann_interval_is_the_one_r_prints():
    # R 4.2.2: wilcox.test(d, conf.int = TRUE) gives estimate 1.25 and interval [0.2, 2.2].
    d = [1.1, 2.2, 0.3, -0.4, 1.9, 3.1, 0.8, -1.2, 2.7, 1.5]
    assert hodges_lehmann(d) == pytest.approx((1.25, 0.2, 2.2))


def test_friedman_equals_r(likert, expected):
    for row in rows_of(expected["likert"]["friedman_per_reader"]["value"]):
        wide = likert[likert["reader"] == row["reader"]].pivot(
            index="case", columns="arm", values=row["item"]
        )
        chi2, df, p = friedman(wide)
        assert (chi2, df, p) == pytest.approx((row["chi2"], row["df"], row["p"]), rel=1e-8)
    assert friedman(pd.DataFrame({"a": [3, 3], "b": [3, 3]})) == (0.0, 1, 1.0)

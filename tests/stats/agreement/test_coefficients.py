"""Agreement against irrCAC, irr, psych and vcd."""

import re

import numpy as np
import pandas as pd
import pytest

from reader_study.stats.agreement.coefficients import (
    agreement_coefficient,
    krippendorff_alpha,
    saturation,
    weight_matrix,
)
from reader_study.stats.agreement.icc import icc, kendall_w, kendall_w_interval
from reader_study.stats.agreement.kappa import (
    bland_altman,
    cohen_kappa,
    crosstab,
    fleiss_by_category,
    margin_tests,
    repeat_agreement,
)

SETS = ["agreement_nominal", "agreement_ordinal"]
NAMES = "gwet|fleiss|conger|krippendorff|brennan_prediger|percent"
WEIGHTS = {"linear": "linear", "quadratic": "quadratic", "unweighted": "unweighted"}


@pytest.mark.parametrize("name", SETS)
def test_every_coefficient_and_interval_equals_irrcac(oracle, expected, name):
    table, checked = oracle(name), 0
    for key, entry in expected[name].items():
        match = re.fullmatch(rf"({NAMES})_(unweighted|linear|quadratic|ordinal)", key)
        if not match:
            continue
        got = agreement_coefficient(table, match[1], weights=match[2])
        want = entry["value"]
        assert [got.value, got.se, got.low, got.high, got.observed] == pytest.approx(
            [want["coefficient"], want["se"], *want["ci95"], want["percent_agreement"]], rel=1e-8
        ), key
        checked += 1
    assert checked == (6 if name == "agreement_nominal" else 24)


@pytest.mark.parametrize("name", [*SETS, "agreement_measure"])
def test_alpha_equals_irr_for_every_metric(oracle, expected, name):
    for key, entry in expected[name].items():
        if key.startswith("kripp_alpha_irr_"):
            metric = key.removeprefix("kripp_alpha_irr_")
            got = krippendorff_alpha(oracle(name), metric=metric, draws=200)
            assert got.value == pytest.approx(entry["value"]["alpha"], rel=1e-8), key
            assert got.low < got.value < got.high


@pytest.mark.parametrize("name", ["agreement_ordinal", "agreement_measure"])
def test_six_iccs_and_kendalls_w_equal_psych_and_irr(oracle, expected, name):
    table, answers = oracle(name), expected[name]
    want = pd.DataFrame(answers["icc_six_forms"]["value"]).set_index("type")
    got = icc(table).set_index("type").loc[want.index]
    for ours, theirs in [("value", "icc"), ("f", "F"), ("low", "lower"), ("high", "upper")]:
        np.testing.assert_allclose(got[ours], want[theirs], rtol=1e-8)
    np.testing.assert_allclose(got["p"], want["p"], rtol=1e-6)
    for key, ties in [("kendall_w", False), ("kendall_w_tie_corrected", True)]:
        answer = answers[key]["value"]
        assert kendall_w(table, correct_ties=ties) == pytest.approx(
            (answer["W"], answer["chi2"], answer["p"]), rel=1e-8
        )


@pytest.mark.parametrize("pair", ["R1_R2", "R3_R4"])
def test_two_raters_equal_vcd_irr_and_coin(expected, pair):
    answers = expected["agreement_ordinal"]
    table = np.array(answers[f"table_{pair}"]["value"])
    for weights, irr in [
        ("unweighted", "unweighted"),
        ("linear", "equal"),
        ("quadratic", "squared"),
    ]:
        got, want = (
            cohen_kappa(table, weights=weights),
            answers[f"kappa2_irr_{irr}_{pair}"]["value"],
        )
        assert [got.value, got.z, got.p] == pytest.approx(
            [want["kappa"], want["z"], want["p"]], rel=1e-8
        )
        if weights != "unweighted":
            want = answers[f"kappa_vcd_{weights}_{pair}"]["value"]
            assert [got.value, got.se] == pytest.approx(
                [want["weighted"]["value"], want["weighted"]["ASE"]], rel=1e-8
            )
    want = answers[f"stuart_maxwell_{pair}"]["value"]
    assert margin_tests(table)["stuart_maxwell"] == pytest.approx(
        (want["chi2"], want["df"], want["p"]), rel=1e-8
    )
    want = answers[f"bhapkar_{pair}"]["value"]
    assert margin_tests(table)["bhapkar"][0::2] == pytest.approx(
        (want["chi2"], want["p"]), rel=1e-8
    )


@pytest.mark.parametrize("name", SETS)
def test_complete_subjects_equal_irr(oracle, expected, name):
    table, answers = oracle(name), expected[name]
    got = fleiss_by_category(table)
    want = answers["fleiss_complete_irr"]["value"]
    assert got.loc[0, ["kappa", "z"]].tolist() == pytest.approx([want["kappa"], want["z"]])
    assert got.loc[0, "n"] == want["n"]
    each = answers["fleiss_complete_by_category"]["value"]
    np.testing.assert_allclose(got["kappa"][1:], each["Kappa"], atol=5.1e-4)  # irr rounds
    np.testing.assert_allclose(got["z"][1:], each["z"], atol=5.1e-4)
    exact = answers["conger_exact_complete_irr"]["value"]
    complete = table.set_index("subject").dropna()
    assert agreement_coefficient(complete, "conger").value == pytest.approx(exact)


def test_concordance_lies_inside_its_interval(oracle):
    value, low, high = kendall_w_interval(oracle("agreement_ordinal"), draws=200)
    assert low < value < high <= 1
    same = kendall_w_interval(pd.DataFrame({"a": [1, 2, 3, 4], "b": [1, 2, 3, 4]}), draws=50)
    assert same == (1.0, 1.0, 1.0)


def test_repeat_showings_equal_irr(oracle, expected):
    table = oracle("likert")
    want = pd.DataFrame(expected["likert"]["repeat_showings"]["value"])
    for item, answers in want.groupby("item"):
        part = table.rename(columns={item: "rating"})
        got = repeat_agreement(part, categories=[1, 2, 3, 4, 5]).set_index("reader")
        answers = answers.set_index("reader").loc[got.index]
        assert got["n"].tolist() == answers["n"].tolist()
        np.testing.assert_allclose(got["raw_agreement"], answers["raw_agreement"])
        np.testing.assert_allclose(got["kappa"], answers["kappa_unweighted"], rtol=1e-8)
        # irr counts steps between the categories a reader used, not between those of the scale.
        wide = part.pivot(index=["reader", "case", "arm"], columns="showing", values="rating")
        pairs = wide.dropna().reset_index()
        whole = {
            reader: set(rows[1]) | set(rows[2]) == {1, 2, 3, 4, 5}
            for reader, rows in pairs.groupby("reader")
        }
        used = ["all", *(reader for reader, all_five in whole.items() if all_five)]
        for ours, theirs in [("kappa_linear", "kappa_equal"), ("kappa_quadratic", "kappa_squared")]:
            np.testing.assert_allclose(got.loc[used, ours], answers.loc[used, theirs], rtol=1e-8)


def test_every_kappa_of_repeats_has_the_limits_of_its_table(oracle):
    table = oracle("likert").rename(columns={"noise": "rating"})
    got = repeat_agreement(table, categories=[1, 2, 3, 4, 5]).set_index("reader")
    wide = table.pivot(index=["reader", "case", "arm"], columns="showing", values="rating")
    reader = got.index[0]
    pairs = wide.dropna().loc[reader]
    counts = crosstab(pairs[1], pairs[2], categories=np.arange(1, 6))
    for name, low, high, weights in [
        ("kappa", "kappa_low", "kappa_high", "unweighted"),
        ("kappa_linear", "linear_low", "linear_high", "linear"),
        ("kappa_quadratic", "low", "high", "quadratic"),
    ]:
        kappa = cohen_kappa(counts, weights=weights)
        assert got.loc[reader, [name, low, high]].tolist() == [kappa.value, kappa.low, kappa.high]
        assert (got[low] < got[name]).all()


def test_limits_of_agreement_by_hand_and_a_growing_difference_is_seen():
    a = np.arange(1.0, 21.0)
    assert bland_altman(a, a - 1)["bias"] == 1.0
    assert bland_altman(a, a - 1)["sd"] == 0.0
    assert bland_altman(a * 1.2, a)["slope_p"] < 1e-6
    with pytest.raises(ValueError, match="at least 3 pairs"):
        bland_altman([1, np.nan, 3], [1, 2, 3])


def test_a_single_category_is_a_sentence_not_a_number():
    table = pd.DataFrame({"R1": [4, 4, 4], "R2": [4, 4, 4]})
    assert agreement_coefficient(table, "percent").value == 1.0
    for name in ("fleiss", "gwet", "krippendorff", "conger"):
        result = agreement_coefficient(table, name)
        assert np.isnan(result.value)
        assert "not defined" in result.note
    assert np.isnan(cohen_kappa(np.array([[3.0, 0], [0, 0]])).value)
    assert np.isnan(krippendorff_alpha(table).value)


def test_ceiling_makes_kappa_collapse_while_ac1_does_not():
    table = pd.DataFrame({"R1": [5] * 18 + [5, 4], "R2": [5] * 18 + [4, 5]})
    assert agreement_coefficient(table, "fleiss").value < 0
    assert agreement_coefficient(table, "gwet").value > 0.85
    ends = saturation(table, lowest=1, highest=5)
    assert ends["at_highest"] == 0.95
    assert ends["at_highest_low"] < 0.95 < ends["at_highest_high"]


def test_bad_tables_are_refused():
    with pytest.raises(ValueError, match="more than once"):
        agreement_coefficient(pd.DataFrame({"subject": [1, 1], "a": 1, "b": 2}), "fleiss")
    with pytest.raises(ValueError, match="two raters"):
        agreement_coefficient(pd.DataFrame({"a": [1, 2]}), "fleiss")
    with pytest.raises(ValueError, match="as well"):
        agreement_coefficient(pd.DataFrame({"a": [1, 7], "b": 1}), "fleiss", categories=[1, 2])
    with pytest.raises(ValueError, match="weights of"):
        weight_matrix(np.array([1, 2]), "cubic")


def test_kappa_of_two_pairs_says_that_its_interval_has_no_width():
    found = cohen_kappa(np.array([[1, 0], [0, 1]]))
    assert (found.low, found.high) == (1, 1)
    assert "2 pairs: " in found.note
    assert "no width" in found.note
    assert cohen_kappa(np.array([[5, 1], [2, 5]])).note == ""


def test_limits_of_raw_agreement_lie_within_0_and_1():
    """Two of six subjects alike: the normal limits would reach below 0."""
    table = pd.DataFrame({"R1": [1, 1, 1, 2, 2, 2], "R2": [1, 2, 2, 1, 1, 1]})
    found = agreement_coefficient(table, "percent")
    assert found.value - 2 * found.se < 0
    assert found.low == 0
    assert agreement_coefficient(table, "gwet").low < 0, "coefficients go down to -1"

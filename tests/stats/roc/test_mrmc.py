"""Obuchowski-Rockette, DBM and U-statistic analyses against MRMCaov, RJafroc and iMRMC."""

import numpy as np
import pandas as pd
import pytest

from reader_study.stats.roc.mrmc import (
    binormal_area,
    equivalence,
    figure_named,
    mrmc,
    noninferiority,
    partial_area,
    sensitivity_at,
    specificity_at,
)
from tests.stats.roc.dbm import dbm

ARMS = {
    "mrmc_balanced": ("full", "denoised"),
    "mrmc_three_arms": ("ultra_low", "denoised", "full"),
    "mrmc_clip": ("full", "denoised"),
}
COVARIANCES = [("delong", "DeLong"), ("jackknife", "jackknife"), ("unbiased", "unbiased")]
STUDIES = [(name, *pair) for name in ARMS for pair in COVARIANCES]


def columns_of(answer, *names):
    parts = [
        np.atleast_2d(answer["CI"]["values"]) if n == "CI" else np.atleast_1d(answer[n])
        for n in names
    ]
    return np.column_stack(parts)


@pytest.mark.parametrize(("name", "ours", "theirs"), STUDIES)
def test_random_readers_and_cases_equal_mrmcaov(oracle, expected, name, ours, theirs):
    answer = expected[name][f"or_rrrc_{theirs}"]["value"]
    result = mrmc(oracle(name), method=ours, arms=ARMS[name])
    test = answer["test_equality"]
    assert [result.f, result.df1, result.df2, result.p] == pytest.approx(
        [test["F"], test["df1"], test["df2"], test["p-value"]], rel=1e-8
    )
    got = result.differences[["difference", "se", "df", "low", "high", "t", "p"]].to_numpy()
    want = columns_of(answer["test_diffs"], "Estimate", "StdErr", "df", "CI", "t", "p-value")
    assert got == pytest.approx(want, rel=1e-8)
    got = result.arm_means[["mean", "se", "df", "low", "high"]].to_numpy()
    want = columns_of(answer["test_means"], "Estimate", "StdErr", "df", "CI")
    assert got == pytest.approx(want, rel=1e-8)
    assert list(result.components.values())[:6] == pytest.approx(
        answer["vcov_comps"]["Estimate"], rel=1e-8
    )


@pytest.mark.parametrize(("name", "ours", "theirs"), STUDIES)
def test_fixed_readers_and_fixed_cases_equal_mrmcaov(oracle, expected, name, ours, theirs):
    answer = expected[name][f"or_fixed_readers_{theirs}"]["value"]
    result = mrmc(oracle(name), method=ours, arms=ARMS[name], readers="fixed")
    test = answer["test_equality"]
    assert [result.f * result.df1, result.p] == pytest.approx(
        [test["X2"], test["p-value"]], rel=1e-8
    )
    assert result.arm_means[["mean", "se", "low", "high"]].to_numpy() == pytest.approx(
        columns_of(answer["test_means"], "Estimate", "StdErr", "CI"), rel=1e-8
    )
    if len(ARMS[name]) == 2:  # MRMCaov recycles the readers' errors where there are more arms
        assert result.reader_differences["se"].to_numpy() == pytest.approx(
            np.array(answer["reader_test_diffs"]["StdErr"]), rel=1e-8
        )
    answer = expected[name][f"or_fixed_cases_{theirs}"]["value"]
    result = mrmc(oracle(name), method=ours, arms=ARMS[name], cases="fixed")
    test = answer["test_equality"]
    assert [result.f, result.df1, result.df2, result.p] == pytest.approx(
        [test["F"], test["df1"], test["df2"], test["p-value"]], rel=1e-8
    )


@pytest.mark.parametrize("name", ["mrmc_balanced", "mrmc_clip"])
def test_noninferiority_equals_base_r_and_agrees_with_its_interval(oracle, expected, name):
    answer = expected[name]["noninferiority_DeLong"]["value"]
    result = mrmc(oracle(name), arms=ARMS[name])
    second = noninferiority(result, reference="full", new="denoised", margin=0.05)
    first = noninferiority(result, reference="denoised", new="full", margin=0.05)
    assert [second.p, first.p] == pytest.approx([answer["p_second"], answer["p_first"]], rel=1e-8)
    assert second.shown == (second.p < 0.025) == (second.low > -0.05)
    both = equivalence(result, reference="full", new="denoised", margin=0.05)
    assert both.p == pytest.approx(max(answer["p_second"], answer["p_first"]))


@pytest.mark.parametrize("name", list(ARMS))
@pytest.mark.parametrize(
    ("option", "fixed"),
    [("RRRC", {}), ("FRRC", {"readers": "fixed"}), ("RRFC", {"cases": "fixed"})],
)
def test_dbm_equals_rjafroc_and_the_or_analysis(oracle, expected, name, option, fixed):
    answer = expected[name][f"rjafroc_DBM_{option}"]["value"]
    result = dbm(oracle(name), **fixed)
    test = answer[option]["FTests"]
    f = test["FStat"] if "FStat" in test else test["F"]
    assert [result.f, result.p] == pytest.approx([f[0], test["p"][0]], rel=1e-8)
    assert result.anova["ms"].to_numpy() == pytest.approx(
        answer["ANOVA"]["TRCanova"]["MS"][:7], rel=1e-8
    )
    assert list(result.components.values()) == pytest.approx(
        answer["ANOVA"]["VarCom"]["Estimates"], rel=1e-7
    )
    if option == "RRRC":
        same = mrmc(oracle(name), method="jackknife")
        assert [result.f, result.df2] == pytest.approx([same.f, same.df2], rel=1e-8)


@pytest.mark.parametrize("name", [*ARMS, "mrmc_unbalanced"])
def test_ustatistic_areas_and_variances_equal_imrmc(oracle, expected, name):
    answer = expected[name]["imrmc"]["value"]["Ustat"]
    result = mrmc(oracle(name), method="ustat")
    means = result.arm_means.set_index("arm")
    pairs = {frozenset((r.first, r.second)): r for r in result.differences.itertuples()}
    for i, (one, other) in enumerate(zip(answer["modalityA"], answer["modalityB"], strict=True)):
        if other == "NO_MOD":
            got, want = means.loc[one], [answer["AUCA"][i], answer["varAUCA"][i]]
            assert [got["mean"], got["se"] ** 2] == pytest.approx(want, rel=1e-8)
            df = got["df"]
        else:
            got = pairs[frozenset((one, other))]
            want = [abs(answer["AUCAminusAUCB"][i]), answer["varAUCAminusAUCB"][i]]
            assert [abs(got.difference), got.se**2] == pytest.approx(want, rel=1e-8)
            df = got.df
        if name != "mrmc_unbalanced":  # there iMRMC counts degrees of freedom in its own way
            assert df == pytest.approx(answer["dfBDG"][i], rel=1e-8)


def test_ustatistic_variance_is_never_lost_where_readings_are_missing():
    # Gallas' unbiased variance of the difference is below zero in one such study in twelve.
    rng = np.random.default_rng(1)
    for seed in range(25):
        table = roe_metz(np.random.default_rng(seed), readers=5, cases=40)
        partly = table[rng.random(len(table)) < 0.5 + 0.1 * table["reader"].str[-1].astype(int)]
        row = mrmc(partly, method="ustat").differences.iloc[0]
        assert row["se"] > 0.01
        assert row["df"] >= 2


def test_other_figures_equal_mrmcaov(oracle, expected):
    table, answers = oracle("mrmc_balanced"), expected["mrmc_balanced"]
    for name, figure in [
        ("partial_auc_spec_0.7_1", partial_area(focus="specificity", low=0.7)),
        ("sensitivity_ge3_jackknife", sensitivity_at(3)),
        ("specificity_ge3_jackknife", specificity_at(3)),
    ]:
        test = answers[name]["value"]["test_equality"]
        result = mrmc(table, figure=figure, arms=("full", "denoised"))
        assert [result.f, result.df2, result.p] == pytest.approx(
            [test["F"], test["df2"], test["p-value"]], rel=1e-8
        )


def test_band_of_sensitivity_has_mrmcaovs_means(oracle, expected):
    # Its covariances there do not follow from pROC's areas with one case left out; ours do.
    answer = expected["mrmc_balanced"]["partial_auc_sens_0.8_1"]["value"]
    figure = partial_area(focus="sensitivity", low=0.8)
    result = mrmc(oracle("mrmc_balanced"), figure=figure, arms=("full", "denoised"))
    assert result.components["ms_t"] == pytest.approx(answer["test_equality"]["MS(T)"])
    assert result.arm_means["mean"].tolist() == pytest.approx(answer["test_means"]["Estimate"])


def test_binormal_figures_run_through_the_same_engine(oracle):
    table = oracle("mrmc_balanced")
    table = table[table["reader"].isin(["R1", "R2"])]
    plain, fitted = mrmc(table), mrmc(table, figure=binormal_area)
    assert np.abs(fitted.figures.to_numpy() - plain.figures.to_numpy()).max() < 0.03
    assert fitted.differences["se"].iloc[0] == pytest.approx(
        plain.differences["se"].iloc[0], rel=0.35
    )


def roe_metz(rng, *, readers=4, cases=60, blocks=1):
    """Ratings without any difference between arms; each block of readers has its own cases."""
    rows = []
    for block in range(blocks):
        truth = np.arange(cases) % 2
        case = rng.normal(size=cases) * 0.6
        for reader in range(readers):
            level = rng.normal() * 0.2 * truth
            for arm in ("a", "b"):
                x = truth * 1.2 + level + case + rng.normal(size=cases) * 0.8
                rows += [
                    (f"B{block}R{reader}", arm, f"B{block}C{k}", truth[k], x[k])
                    for k in range(cases)
                ]
    return pd.DataFrame(rows, columns=["reader", "arm", "case", "truth", "rating"])


def test_split_plot_is_found_and_lies_between_its_blocks():
    table = roe_metz(np.random.default_rng(1), blocks=2)
    whole = mrmc(table)
    parts = [mrmc(table[table["reader"].str.startswith(b)]) for b in ("B0", "B1")]
    each = [p.differences["difference"].iloc[0] for p in parts]
    assert whole.design == "split-plot"
    assert whole.differences["difference"].iloc[0] == pytest.approx(np.mean(each))
    # Readers of the other block share no case: their covariance is 0 in the mean over all pairs.
    spread = np.var(whole.reader_differences["difference"], ddof=1) / 2
    shared = np.mean([p.components["cov2"] - p.components["cov3"] for p in parts])
    error = spread + 8 * max(shared, 0) * 3 / 7
    assert whole.differences["se"].iloc[0] ** 2 == pytest.approx(2 * error / 8)
    assert whole.df2 == pytest.approx(error**2 / spread**2 * 7)


def test_readers_nested_in_arms_and_cases_nested_in_arms_are_found():
    table = roe_metz(np.random.default_rng(2), readers=6)
    number = table["reader"].str[-1].astype(int)
    nested = table[(number < 3) == (table["arm"] == "a")]
    result = mrmc(nested)
    assert result.design == "readers nested in arms"
    assert result.differences["difference"].iloc[0] == pytest.approx(
        np.nanmean(result.figures["a"]) - np.nanmean(result.figures["b"])
    )
    # Two groups of three readers on one set of cases, worked out from the cells.
    own = [result.figures[arm].dropna().to_numpy() for arm in "ab"]
    mean_square = np.mean([np.var(areas, ddof=1) for areas in own])
    shared = result.components["cov2"] - result.components["cov3"]
    error = mean_square + 3 * max(shared, 0)
    assert result.differences["se"].iloc[0] ** 2 == pytest.approx(2 * error / 3)
    assert result.df2 == pytest.approx(error**2 / mean_square**2 * 4)
    case = table["case"].str.split("C").str[1].astype(int)
    nested = table[(case < 30) == (table["arm"] == "a")]
    result = mrmc(nested)
    assert result.design == "cases nested in arms"
    assert result.components["cov1"] == 0
    assert result.components["cov3"] == 0
    difference = result.figures["a"] - result.figures["b"]
    error = np.var(difference, ddof=1) / 2 + 6 * result.components["cov2"]
    assert result.differences["se"].iloc[0] ** 2 == pytest.approx(2 * error / 6)


def test_figures_are_known_by_their_words(oracle):
    table = oracle("mrmc_balanced")
    said = mrmc(table, figure=figure_named("partial:specificity:0.7:1"))
    meant = mrmc(table, figure=partial_area(focus="specificity", low=0.7))
    assert said.figures.equals(meant.figures)
    assert figure_named("auc") is None
    assert figure_named("binormal") is binormal_area
    for text in ("roc", "sensitivity", "sensitivity:x", "auc:3", "partial:specificity:0.7"):
        with pytest.raises(ValueError, match="sensitivity:CUT"):
            figure_named(text)


def test_identical_arms_give_no_difference_and_p_one():
    table = roe_metz(np.random.default_rng(3))
    half = table[table["arm"] == "a"]
    result = mrmc(pd.concat([half, half.assign(arm="b")]))
    assert result.differences["difference"].iloc[0] == 0
    assert result.p == 1.0


def test_perfect_separation_everywhere_gives_a_defined_result():
    table = roe_metz(np.random.default_rng(4))
    result = mrmc(table.assign(rating=table["truth"].astype(float)))
    assert result.arm_means["mean"].tolist() == [1.0, 1.0]
    assert result.p == 1.0


def test_two_readers_are_enough_and_one_is_not():
    table = roe_metz(np.random.default_rng(5), readers=2)
    assert mrmc(table).df2 >= 1
    assert "report it for these readers only" in mrmc(table).note
    one = table[table["reader"] == "B0R0"]
    with pytest.raises(ValueError, match="readers='fixed'"):
        mrmc(one)
    assert mrmc(one, readers="fixed").p <= 1


def test_regions_of_one_patient_are_not_independent_cases():
    table = roe_metz(np.random.default_rng(6))
    copies = pd.concat([table.assign(case=table["case"] + s, patient=table["case"]) for s in "xyz"])
    with_patients = mrmc(copies, cluster="patient").differences["se"].iloc[0]
    single = mrmc(table).differences["se"].iloc[0]
    assert with_patients == pytest.approx(single, rel=1e-9)


def test_bad_tables_are_refused_with_row_numbers():
    table = roe_metz(np.random.default_rng(7), readers=2, cases=6)
    with pytest.raises(ValueError, match=r"occurs more than once in rows 2, 26 "):
        mrmc(pd.concat([table, table.iloc[:1]]))
    with pytest.raises(ValueError, match=r"'oops'\) in row 4 "):
        mrmc(table.assign(rating=[*table["rating"][:2], "oops", *table["rating"][3:]]))
    with pytest.raises(ValueError, match="truth varies within case 'B0C0' in rows 2, 8, 14, 20 "):
        mrmc(table.assign(truth=[1, *table["truth"][1:]]))
    with pytest.raises(ValueError, match="expected arms a, c"):
        mrmc(table, arms=("a", "c"))
    with pytest.raises(ValueError, match=r"reader B0R0 in arm a \(1 of 6 cases: B0C0\).*ustat"):
        mrmc(table.iloc[1:])


def incomplete(rng, arms, readers, cases):
    rows = [
        (f"R{j}", f"c{k}", arm, k % 2, rng.normal(k % 2))
        for j in range(readers)
        for k in range(cases)
        for arm in arms
        if rng.random() > 0.4 * rng.random()
    ]
    return pd.DataFrame(rows, columns=["reader", "case", "arm", "truth", "rating"])


def test_the_global_test_of_u_statistics_is_its_own_pairwise_test():
    """Two arms: F = t squared with the same p, whatever is missing; more: never below zero."""
    rng = np.random.default_rng(3)
    for _ in range(25):
        pair = mrmc(incomplete(rng, "ab", rng.integers(3, 6), rng.integers(12, 30)), method="ustat")
        row = pair.differences.iloc[0]
        assert (pair.f, pair.df2, pair.p) == pytest.approx((row["t"] ** 2, row["df"], row["p"]))
    for _ in range(25):
        three = mrmc(incomplete(rng, "abc", 3, rng.integers(12, 20)), method="ustat")
        assert three.f >= 0
        assert 0 <= three.p <= 1


def test_the_global_test_of_three_complete_arms_is_walds(oracle):
    """Complete data need no guard: the covariance behind F is that of the pairs."""
    result = mrmc(oracle("mrmc_three_arms"), method="ustat")
    pairs = result.differences.set_index(["first", "second"])
    v = pairs["se"] ** 2
    a, b, c = result.arm_means["arm"]
    shared = (v[a, b] + v[a, c] - v[b, c]) / 2
    cover = np.array([[v[a, b], shared], [shared, v[a, c]]])
    effect = pairs["difference"][[(a, b), (a, c)]].to_numpy()
    assert result.f == pytest.approx(effect @ np.linalg.solve(cover, effect) / 2)

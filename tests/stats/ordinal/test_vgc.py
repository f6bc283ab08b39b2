"""Visual grading characteristics: rank identities, R's values, size and coverage."""

import numpy as np
import pandas as pd
import pytest

from reader_study.stats.ordinal.clm import clmm
from reader_study.stats.ordinal.vgc import vgc, vgc_curve, visual_grading_regression


@pytest.fixture(scope="module")
def likert(oracle):
    table = oracle("likert")
    return table[table["showing"] == 1]


def test_areas_of_every_reader_equal_wilcoxons_u_in_r(likert, expected):
    rows = pd.DataFrame(expected["likert"]["vgc_auc_per_reader"]["value"])
    means = pd.DataFrame(expected["likert"]["vgc_auc_mean_over_readers"]["value"])
    for (item, test, reference), part in rows.groupby(["item", "test", "reference"]):
        table = likert.rename(columns={item: "rating"})
        result = vgc(table, test=test, reference=reference, draws=20)
        got = result.per_reader.set_index("reader")["auc"].loc[part["reader"]]
        np.testing.assert_allclose(got, part["auc"], rtol=1e-12)
        want = means[(means["item"] == item) & (means["test"] == test)]["auc"].iloc[0]
        assert result.auc == pytest.approx(want, rel=1e-12)


def test_exchanging_the_arms_mirrors_area_and_interval(likert):
    table = likert.rename(columns={"noise": "rating"})
    one = vgc(table, test="full", reference="denoised", draws=200)
    other = vgc(table, test="denoised", reference="full", draws=200)
    assert [one.auc, one.low] == pytest.approx([1 - other.auc, 1 - other.high])


def test_curve_encloses_the_area(likert):
    table = likert.rename(columns={"noise": "rating"})
    curve = vgc_curve(table, test="denoised", reference="ultra_low")
    one = curve[curve["reader"] == "R1"]
    area = np.trapezoid(one["test"], one["reference"])
    result = vgc(table, test="denoised", reference="ultra_low", draws=20)
    assert area == pytest.approx(result.per_reader.set_index("reader").loc["R1", "auc"])


def graded(rng, readers=4, cases=30, shift=0.0):
    reader, case, arm = (
        g.ravel() for g in np.meshgrid(range(readers), range(cases), range(2), indexing="ij")
    )
    pull = rng.normal(size=(readers, 2))[reader, arm] * 0.25
    hard = rng.normal(size=(cases, 2))[case, arm] * 0.4 + rng.normal(size=cases)[case]
    value = rng.normal(size=readers)[reader] + hard + pull + shift * arm + rng.normal(size=arm.size)
    rating = 1 + (value[:, None] > np.array([-1.5, -0.5, 0.5, 1.5])).sum(axis=1)
    return pd.DataFrame(
        {"reader": reader, "case": case, "arm": np.where(arm, "b", "a"), "rating": rating}
    )


@pytest.mark.slow
def test_interval_covers_one_half_when_arms_do_not_differ():
    rng = np.random.default_rng(17)
    results = [vgc(graded(rng), test="b", reference="a", draws=9, rng=rng) for _ in range(120)]
    assert np.mean([r.low <= 0.5 <= r.high for r in results]) > 0.88


def test_permutation_test_is_one_where_arms_are_copies_and_small_where_they_differ():
    table = graded(np.random.default_rng(1))
    copy = pd.concat([table[table["arm"] == "a"], table[table["arm"] == "a"].assign(arm="b")])
    same = vgc(copy, test="b", reference="a", draws=99)
    assert (same.auc, same.p) == (0.5, 1.0)
    assert [same.bootstrap_low, same.bootstrap_high] == pytest.approx([0.5, 0.5], abs=1e-6)
    apart = vgc(graded(np.random.default_rng(2), shift=2.5), test="b", reference="a", draws=99)
    assert apart.p == pytest.approx(0.01)


def test_one_reader_and_one_category_give_defined_results():
    table = graded(np.random.default_rng(3), readers=1)
    assert vgc(table, test="b", reference="a", draws=50).scope == "cases, these readers only"
    flat = vgc(table.assign(rating=3), test="b", reference="a", draws=50)
    assert (flat.auc, flat.low, flat.high, flat.p) == (0.5, 0.5, 0.5, 1.0)


def test_regression_is_the_mixed_model(likert):
    table = likert.rename(columns={"noise": "rating"})
    arms = ("ultra_low", "denoised", "full")
    ours = visual_grading_regression(table, arms=arms)
    fit = clmm(table, "rating ~ arm + (1|reader) + (1|case)", levels={"arm": list(arms)})
    assert ours.loglik == fit.loglik


def test_unknown_arm_and_double_gradings_are_refused():
    table = graded(np.random.default_rng(4), readers=2, cases=3)
    with pytest.raises(ValueError, match="expected arm 'c', but the table holds: a, b"):
        vgc(table, test="c", reference="a")
    with pytest.raises(ValueError, match="occurs more than once in rows 2, 14 "):
        vgc(pd.concat([table, table.iloc[:1]]), test="b", reference="a")

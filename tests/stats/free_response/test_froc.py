"""Free response against RJafroc; matching of marks by hand."""

import numpy as np
import pandas as pd
import pytest

from reader_study.stats.free_response.froc import (
    froc,
    froc_curve,
    froc_figures,
    radius_sensitivity,
)
from reader_study.stats.free_response.match_marks import match_marks

ARMS = ("ultra_low", "denoised")


@pytest.fixture(scope="module")
def study(oracle):
    return oracle("froc"), oracle("froc_cases")


@pytest.mark.parametrize("fom", ["wAFROC", "AFROC", "wAFROC1", "AFROC1", "HrAuc"])
def test_figures_and_or_analysis_equal_rjafroc(study, expected, fom):
    marks, cases = study
    answers = expected["froc"]
    result = froc(marks, cases, fom=fom.lower(), arms=ARMS)
    want = np.array(answers[f"fom_{fom}"]["value"]["values"])
    np.testing.assert_allclose(result.figures.to_numpy().T, want, rtol=1e-8)
    answer = answers[f"or_RRRC_{fom}"]["value"]
    test = answer["RRRC"]["FTests"]
    assert [result.f, result.df2, result.p] == pytest.approx(
        [test["FStat"][0], test["DF"][1], test["p"][0]], rel=1e-8
    )
    names = ["var_reader", "var_arm_reader", "cov1", "cov2", "cov3", "var_error"]
    assert [result.components[n] for n in names] == pytest.approx(
        answer["ANOVA"]["VarCom"]["Estimates"], rel=1e-7
    )
    if f"or_FRRC_{fom}" in answers:
        test = answers[f"or_FRRC_{fom}"]["value"]["FRRC"]["FTests"]
        fixed = froc(marks, cases, fom=fom.lower(), arms=ARMS, readers="fixed")
        assert [fixed.f, fixed.p] == pytest.approx([test["Chisq"][0], test["p"][0]], rel=1e-8)


def test_mean_sensitivity_by_hand():
    # 4 cases; 2 of 2 lesions found at 90 and 50, one false mark at 70: at 1/8 (0 false marks
    # allowed) only the first counts, at 1/4 and more both.
    marks = pd.DataFrame(
        {
            "reader": "R",
            "arm": "a",
            "case": ["s1", "s2", "n1"],
            "mark": ["LL", "LL", "NL"],
            "lesion": [1, 1, 0],
            "rating": [90, 50, 70],
        }
    )
    cases = pd.DataFrame(
        {"case": ["s1", "s2", "n1", "n2"], "truth": [1, 1, 0, 0], "n_lesions": [1, 1, 0, 0]}
    )
    assert froc_figures(marks, cases, fom="froc")["figure"][0] == pytest.approx((0.5 + 6) / 7)
    curve = froc_curve(marks, cases)
    assert curve[["nlf", "llf"]].values.tolist() == [[0, 0], [0, 0.5], [0.25, 0.5], [0.25, 1]]


@pytest.fixture
def placed():
    marks = pd.DataFrame(
        {
            "reader": "R1",
            "arm": "a",
            "case": ["c", "c", "c", "d"],
            "x": [0.0, 2.0, 4.9, 0.0],
            "y": 0.0,
            "z": 0.0,
            "rating": [40, 60, 80, 20],
        }
    )
    lesions = pd.DataFrame(
        {
            "case": "c",
            "lesion": [1, 2],
            "x": [1.0, 10.0],
            "y": 0.0,
            "z": 0.0,
            "diameter_mm": [4, 12],
        }
    )
    return marks, lesions


def test_highest_of_duplicate_marks_counts_and_lesion_radius_reaches_further(placed):
    marks, lesions = placed
    fixed = match_marks(marks, lesions, radius_mm=3)
    assert fixed[["mark", "lesion", "rating"]].values.tolist() == [
        ["LL", 1, 60.0],
        ["NL", 0, 80.0],
        ["NL", 0, 20.0],
    ]
    own = match_marks(marks, lesions, radius_mm=3, rule="lesion", duplicates="false")
    # 4.9 lies nearer to lesion 1 (3.9 mm away) than to lesion 2, whose reach it is in.
    assert own["mark"].tolist() == ["NL", "LL", "NL", "NL"]


def test_a_mark_between_two_lesions_goes_to_the_lower_number():
    lesions = pd.DataFrame({"case": "c", "lesion": [2, 1], "x": [2.0, -2.0], "y": 0.0, "z": 0.0})
    marks = pd.DataFrame(
        {"reader": ["R"], "arm": "a", "case": "c", "x": 0.0, "y": 0.0, "z": 0.0, "rating": 5}
    )
    assert match_marks(marks, lesions, radius_mm=2)["lesion"].tolist() == [1]


def test_wider_radius_never_finds_fewer_lesions():
    rng = np.random.default_rng(9)
    cases = pd.DataFrame({"case": range(12), "truth": [1, 0] * 6, "n_lesions": [1, 0] * 6})
    lesions = pd.DataFrame({"case": range(0, 12, 2), "lesion": 1, "x": 0.0, "y": 0.0, "z": 0.0})
    marks = pd.DataFrame(
        [
            (reader, arm, case, *rng.normal(0, 4, 3), rng.integers(1, 100))
            for reader in ("R1", "R2")
            for arm in ("a", "b")
            for case in range(12)
        ],
        columns=["reader", "arm", "case", "x", "y", "z", "rating"],
    )
    table = radius_sensitivity(marks, lesions, cases, radii_mm=(2.0, 5.0, 20.0))
    assert table["hits"].is_monotonic_increasing
    assert table["hits"].iloc[-1] == 24
    assert table["p"].between(0, 1).all()


def test_contradicting_tables_are_refused_by_row(study):
    marks, cases = study
    with pytest.raises(ValueError, match=r"contradict each other in row 2 "):
        froc(marks, cases.assign(truth=[1, *cases["truth"][1:]]))
    with pytest.raises(ValueError, match=r"lesion number that the case does not have in row 3 "):
        froc(marks.assign(lesion=[0, 9, *marks["lesion"][2:]]), cases)
    with pytest.raises(ValueError, match=r"not in the list of cases in row 2 "):
        froc(marks.assign(case=["X", *marks["case"][1:]]), cases)


def marked(readers, rule):
    """Marks of eight cases, every other one with a lesion; ``rule(arm, ill)`` gives a mark."""
    rows = [
        (f"R{j}", arm, k, *mark)
        for j in range(readers)
        for arm in "ab"
        for k in range(8)
        if (mark := rule(arm, k % 2))
    ]
    cases = pd.DataFrame({"case": range(8), "truth": [0, 1] * 4, "n_lesions": [0, 1] * 4})
    names = ["reader", "arm", "case", "mark", "lesion", "rating"]
    return pd.DataFrame(rows, columns=names), cases


def hits(arm, ill):
    return ("LL", 1, 50) if ill else None


def misses(arm, ill):
    return None if ill else ("NL", 0, 50)


@pytest.mark.parametrize("readers", [1, 2, 4])
@pytest.mark.parametrize("fom", ["wafroc", "afroc", "hrauc", "froc"])
@pytest.mark.parametrize(
    ("rule", "difference"),
    [
        (hits, 0.0),
        (misses, 0.0),
        (lambda arm, ill: hits(arm, ill) or misses(arm, ill), 0.0),
        (lambda arm, ill: (hits if arm == "a" else misses)(arm, ill), 1.0),
    ],
    ids=["all found", "none found", "one rating", "apart"],
)
def test_marks_that_leave_no_error_say_so(readers, fom, rule, difference):
    result = froc(*marked(readers, rule), fom=fom, readers="fixed" if readers == 1 else "random")
    row = result.differences.iloc[0]
    assert row["difference"] == pytest.approx(difference, abs=1e-12)
    assert row["se"] == 0.0
    assert "no error can be estimated" in result.note
    assert (result.p == 1.0) if difference == 0 else np.isnan(result.p)
    assert ("2 readers: with fewer than 4" in result.note) == (readers == 2)


def test_a_curve_without_lesions_and_one_arm_or_reader_are_refused():
    marks, cases = marked(2, misses)
    with pytest.raises(ValueError, match="expected a case with a lesion"):
        froc_curve(marks, cases.assign(truth=0, n_lesions=0))
    with pytest.raises(ValueError, match="expected at least two arms"):
        froc(marks[marks["arm"] == "a"], cases)
    with pytest.raises(ValueError, match="expected at least two readers"):
        froc(marks[marks["reader"] == "R0"], cases)


def test_patients_are_left_out_whole_and_copies_of_their_cases_change_nothing(study):
    marks, cases = study
    one = cases.assign(patient=cases["case"])
    single = froc(marks, one, cluster="patient")
    plain = froc(marks, cases)
    assert [single.f, single.df2] == pytest.approx([plain.f, plain.df2], rel=1e-12)
    copied = pd.concat([one.assign(case=one["case"].astype(str) + s) for s in "xyz"])
    tripled = pd.concat([marks.assign(case=marks["case"].astype(str) + s) for s in "xyz"])
    for fom in ("wafroc", "afroc1", "hrauc"):
        once = froc(marks, one, fom=fom, cluster="patient").differences["se"].iloc[0]
        thrice = froc(tripled, copied, fom=fom, cluster="patient").differences["se"].iloc[0]
        # The pairs of a case with its own copies are won or lost alike, hence not to all digits.
        assert thrice == pytest.approx(once, rel=0.02)
        assert froc(tripled, copied, fom=fom).differences["se"].iloc[0] < 0.8 * once


def test_a_reader_without_any_mark_still_counts(study):
    marks, cases = study
    names = (*sorted(marks["reader"].unique()), "silent")
    got = froc(marks, cases, reader_names=names).figures
    assert got.loc["silent"].tolist() == [0.5, 0.5]
    with pytest.raises(ValueError, match="expected readers silent"):
        froc(marks, cases, reader_names=("silent",))


def test_a_single_case_without_lesions_has_no_error(study):
    marks, cases = study
    kept = pd.concat([cases[cases["truth"] == 1], cases[cases["truth"] == 0].head(1)])
    with pytest.raises(ValueError, match="at least two patients with and two without"):
        froc(marks[marks["case"].isin(kept["case"])], kept)


def test_silence_is_not_taken_for_reading(study):
    """A reader without marks in an arm read it and found nothing, or did not read it."""
    marks, cases = study
    quiet = marks[(marks["reader"] != marks["reader"].iloc[0]) | (marks["arm"] != ARMS[0])]
    with pytest.raises(
        ValueError, match=f"none of reader {marks['reader'].iloc[0]} in arm {ARMS[0]}"
    ):
        froc(quiet, cases, arms=ARMS)
    keys = ["reader", "arm", "case"]
    everyone = pd.MultiIndex.from_product(
        [sorted(marks["reader"].unique()), ARMS, cases["case"]], names=keys
    ).to_frame(index=False)
    got = froc(quiet, cases, readings=everyone)
    assert got.figures.loc[marks["reader"].iloc[0], ARMS[0]] == 0.5
    assert froc(marks, cases, readings=everyone).f == pytest.approx(froc(marks, cases).f)
    with pytest.raises(ValueError, match="got 59 of reader"):
        froc(quiet, cases, readings=everyone.iloc[1:])
    marked = everyone.merge(marks[keys].head(1))
    rest = everyone[~everyone.apply(tuple, axis=1).isin(marked.apply(tuple, axis=1))]
    with pytest.raises(ValueError, match="a mark on a case that was not read in row 2 "):
        froc(marks, cases, readings=rest)


@pytest.mark.parametrize("fom", ["wafroc1", "afroc1"])
def test_figures_with_all_false_marks_need_no_case_without_lesions(study, fom):
    """By hand: best false mark of any case against the lesions of all cases."""
    marks, cases = study
    ill = cases[cases["truth"] == 1].reset_index(drop=True)
    kept = marks[marks["case"].isin(ill["case"])]
    got = froc(kept, ill, fom=fom, arms=ARMS).figures
    for reader, row in got.iterrows():
        part = kept[(kept["reader"] == reader) & (kept["arm"] == ARMS[0])]
        total = weight = 0.0
        for false_case in ill["case"]:
            false = part[(part["case"] == false_case) & (part["mark"] == "NL")]["rating"]
            best = false.max() if len(false) else -np.inf
            for case, count in zip(ill["case"], ill["n_lesions"], strict=True):
                each = 1 / count if fom.startswith("w") else 1.0
                for lesion in range(1, count + 1):
                    hit = part[
                        (part["case"] == case) & (part["lesion"] == lesion) & (part["mark"] == "LL")
                    ]["rating"]
                    rating = hit.iloc[0] if len(hit) else -np.inf
                    total += each * ((rating > best) + 0.5 * (rating == best))
                    weight += each
        assert row[ARMS[0]] == pytest.approx(total / weight)
    with pytest.raises(ValueError, match="use wafroc1 or afroc1"):
        froc(kept, ill, fom="wafroc")

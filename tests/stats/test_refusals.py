"""Bad tables through the command line: exit code 2, one sentence, the rows, nothing on stdout."""

import sys

import numpy as np
import pandas as pd
import pytest

from ctlab.console import run
from reader_study.cli.study import app

MODEL = ("--formula", "rating ~ arm + (1|reader) + (1|case)")
COMMANDS = {"mrmc": (), "vgc": ("--draws", "99"), "signed-rank": (), "clmm": MODEL}
PLANNED = ("--arms", "a,b", "--scale", "1,5")


@pytest.fixture
def refused(tmp_path, monkeypatch, capsys):
    """The sentence with which a command refuses a table."""

    def go(command, table, *words, **files):
        paths = {"table": table, **files}
        for name, rows in paths.items():
            rows.to_csv(tmp_path / f"{name}.csv", index=False)
        words = [str(tmp_path / f"{word[1:]}.csv") if word[0] == "@" else word for word in words]
        argv = ["reader-study", "stats", command, str(tmp_path / "table.csv"), *words]
        monkeypatch.setattr(sys, "argv", argv)
        with pytest.raises(SystemExit) as ended:
            run(app, "reader-study")
        out, err = capsys.readouterr()
        assert (ended.value.code, out) == (2, "")
        assert err.startswith("reader-study: ")
        assert err.count("\n") == 1
        return err

    return go


def ratings():
    rng = np.random.default_rng(0)
    rows = [
        (f"R{j}", f"c{k}", arm, k % 2, int(rng.integers(1, 6)))
        for j in range(3)
        for k in range(6)
        for arm in "ab"
    ]
    names = ["reader", "case", "arm", "truth", "rating"]
    return pd.DataFrame(rows, columns=names).astype(object)


def changed(table, row, **values):
    """The table with other values in one row, as a spreadsheet counts it."""
    table = table.copy()
    for name, value in values.items():
        table.loc[row - 2, name] = value
    return table


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"rating": "good"}, "'rating' holds text that is no number ('good') in row 9 "),
        ({"rating": "inf"}, "'rating' is infinite in row 9 "),
        ({"arm": "bb"}, "'arm' holds 'bb' in row 9 (the header is row 1); expected arms a, b"),
        (
            {"rating": 55},
            "'rating' holds 55 in row 9 (the header is row 1); expected whole numbers from 1",
        ),
        ({"rating": 0}, "'rating' holds 0 in row 9 "),
        ({"rating": 6}, "'rating' holds 6 in row 9 "),
        ({"rating": 2.5}, "'rating' holds 2.5 in row 9 "),
    ],
    ids=["text", "infinite", "arm", "above", "below", "one above", "fraction"],
)
def test_cells_that_cannot_be_are_refused_by_row(refused, command, values, message):
    table = changed(ratings(), 9, **values)
    assert message in refused(command, table, *COMMANDS[command], *PLANNED)


@pytest.mark.parametrize("command", ["mrmc", "vgc", "signed-rank"])
@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"reader": None}, "column 'reader' is empty in row 9 "),
        ({"arm": None}, "column 'arm' is empty in row 9 "),
        ({"case": "c0", "arm": "a"}, "occurs more than once in rows 2, 9 "),
    ],
    ids=["reader", "arm", "twice"],
)
def test_readings_without_a_name_or_twice_are_refused_by_row(refused, command, values, message):
    table = changed(ratings(), 9, reader="R0", **{k: v for k, v in values.items() if k != "reader"})
    table = changed(table, 9, **values)
    assert message in refused(command, table, *COMMANDS[command])


def test_missing_readings_are_named_and_empty_ones_by_row(refused):
    said = refused("mrmc", ratings().drop(index=7))
    assert "1 reading is missing, most of them of reader R0 in arm b (1 of 6 cases: c3)" in said
    assert "empty ratings in row 9 " in refused("mrmc", changed(ratings(), 9, rating=None))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"truth": 0}, "truth varies within case 'c3' in rows 8, 9, 20, 21, 32 and 1 more "),
        ({"truth": 3}, "column 'truth' holds '3.0' in row 9 "),
        ({"truth": None}, "column 'truth' is empty in row 9 "),
    ],
)
def test_truth_is_one_of_two_and_the_same_within_a_case(refused, values, message):
    assert message in refused("mrmc", changed(ratings(), 9, **values))


def free_response():
    rows = [
        (f"R{j}", arm, f"c{k}", "LL" if k % 2 else "NL", k % 2, 10 * j + k + 1)
        for j in range(3)
        for arm in "ab"
        for k in range(6)
    ]
    marks = pd.DataFrame(rows, columns=["reader", "arm", "case", "mark", "lesion", "rating"])
    cases = pd.DataFrame({"case": [f"c{k}" for k in range(6)], "truth": [0, 1] * 3})
    return marks.astype(object), cases.assign(n_lesions=cases["truth"])


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"rating": "sure"}, "('sure') in row 5 "),
        ({"rating": None}, "column 'rating' is empty in row 5 "),
        ({"mark": "XX"}, "mark is neither LL nor NL in row 5 "),
        ({"case": "c9"}, "case not in the list of cases in row 5 "),
        ({"lesion": 2}, "a lesion number that the case does not have in row 5 "),
        ({"lesion": 0.5}, "'lesion' holds fractions where whole numbers are expected in row 5 "),
        ({"case": "c1"}, "marked more than once by one reader in one arm in rows 3, 5 "),
        ({"arm": "full"}, "'arm' holds 'full' in row 5 "),
    ],
)
def test_marks_that_cannot_be_are_refused_by_row(refused, values, message):
    marks, cases = free_response()
    words = ("--cases", "@cases", "--arms", "a,b")
    assert message in refused("froc", changed(marks, 5, **values), *words, cases=cases)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.assign(truth=1), "contradict each other in rows 2, 4, 6 "),
        (lambda t: pd.concat([t, t.iloc[[1]]]), "more than once in rows 3, 8 "),
        (lambda t: t.assign(n_lesions=t["n_lesions"] * 1.5), "'n_lesions' holds fractions"),
        (lambda t: t[t["truth"] == 1], "in the list of cases in rows 2, 4, 6, 8, 10 and 13 more "),
    ],
)
def test_lists_of_cases_that_cannot_be_are_refused(refused, change, message):
    marks, cases = free_response()
    assert message in refused("froc", marks, "--cases", "@cases", cases=change(cases))


def test_choices_subjects_and_lesions_are_refused_by_row(refused):
    rows = [(f"R{j}", f"c{k}", "a", "b", "left") for j in range(2) for k in range(4)]
    trials = pd.DataFrame(rows, columns=["reader", "case", "left", "right", "choice"])
    assert "'choice' holds 'up' in row 3 " in refused("preference", changed(trials, 3, choice="up"))
    twice = changed(trials, 3, case="c0")
    assert "more than once for a beside b in rows 2, 3 " in refused("preference", twice)
    stranger = changed(trials, 3, left="q")
    said = refused("preference", stranger, "--arms", "a,b")
    assert "column 'left' holds 'q' in row 3 " in said
    table = pd.DataFrame({"subject": [1, 2, 2], "A": [1, 2, 3], "B": [1, 2, 2]})
    assert "the same subject occurs more than once in rows 3, 4 " in refused("agreement", table)
    text = table.assign(subject=[1, 2, 3], A=["x", 2, 3])
    assert "('x') in row 2 " in refused("agreement", text, "--level", "ordinal")
    seen = pd.DataFrame({"patient": [1, 1, 2], "lesion": [1, 1, 1], "a": [0, 1, 0], "b": [1, 0, 1]})
    assert "the same patient, lesion occurs more than once in rows 2, 3 " in refused(
        "mcnemar", seen
    )
    assert "'a' holds '2.0' in row 3 " in refused(
        "mcnemar", seen.assign(lesion=[1, 2, 1], a=[0, 2, 0])
    )


def test_a_scale_that_is_none_is_refused(refused):
    for scale in ("5,1", "1", "low,high"):
        assert "expected --scale lowest,highest such as 1,5" in refused(
            "vgc", ratings(), "--scale", scale
        )

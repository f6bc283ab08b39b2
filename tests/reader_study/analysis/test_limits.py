"""Limits of agreement of lengths as the endpoint of a study: lock, answers, report, R."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from reader_study.analysis.analyse import analyse
from reader_study.analysis.endpoints.estimates import estimate, judged
from reader_study.design.analysis_plan import Planned, plan_of
from reader_study.report import write_report
from reader_study.room.answer_check import checked_value
from tests.reader_study.r_runner import RSCRIPT, WEBR, run_primary

ORACLES = Path(__file__).parents[2] / "data" / "oracles" / "extended"
LENGTH = '[[items]]\nname = "size"\nkind = "length"\nquestion = "Longest diameter?"\n'
SINGLE = 'layout = "single"\nsessions = 2\nrepeats = 0\ncatch_trials = 0\n'
PLAN = Planned("primary", "size", "limits", "full", "denoised", 101, False, False)


@pytest.fixture(scope="module")
def measured():
    """Five readers, 24 cases, two arms (first showings), as long rows of a study."""
    table = pd.read_csv(ORACLES / "loa.csv").query("showing == 1")
    return table.rename(columns={"measure": "rating"}).drop(columns="showing")


def test_the_endpoint_gives_the_limits_of_imrmc(measured):
    found = estimate(PLAN, measured)
    theirs = json.loads((ORACLES / "loa_R.json").read_text("utf-8"))
    assert "WRBM" in json.dumps(theirs)
    # iMRMC 2.1.2 on these data, laWRBM and laBRBM.
    assert [found.value, found.low, found.high] == pytest.approx(
        [-0.42833333, -0.98903659, 0.13236993], abs=1e-7
    )
    same, two, *arms = found.extra["limits"]
    assert [same["low"], same["high"]] == pytest.approx([-2.8841909, 2.0275243], abs=1e-6)
    assert [two["low"], two["high"]] == pytest.approx([-3.4093132, 2.5526465], abs=1e-6)
    assert [row["high"] for row in arms] == pytest.approx([2.7710568, 2.4520447], abs=1e-6)
    assert (found.n, found.n_readers, found.n_cases) == (240, 5, 24)
    # The interval of the mean just reaches its ends at p = 0.05.
    assert found.p_at(found.high) == pytest.approx(0.05, abs=1e-12)
    row = judged(PLAN, found, aim="equivalence", margin=1.0)
    assert row["p_aim"] == pytest.approx(found.p_at(-1.0))


def test_cases_that_somebody_did_not_measure_are_left_out_and_counted(measured):
    lost = measured.drop(measured.index[3])
    found = estimate(PLAN, lost)
    assert "left out: 1 case that a reader did not rate" in found.note
    assert found.n_cases == 23
    one = estimate(PLAN, measured[measured["reader"] == "R1"])
    assert np.isnan(one.value)
    assert "two readers" in one.note


def test_a_length_is_millimetres_to_a_tenth():
    item = {"kind": "length"}
    assert checked_value(item, 12.345) == 12.3
    assert checked_value(item, "cannot-judge") == "cannot-judge"
    for wrong in (0, -1, 501, True, "12", None, float("nan")):
        with pytest.raises(ValueError, match="length above 0"):
            checked_value(item, wrong)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tail": 'endpoint = "odds"'}, "limits belong to a length"),
        ({"tail": 'lower_is_better = ["size"]'}, "neither good nor bad"),
        ({"design": ""}, "about each"),
    ],
)
def test_a_length_has_limits_and_nothing_else(make_protocol, changes, message):
    options = {"items": LENGTH, "design": SINGLE} | changes
    with pytest.raises(ValueError, match=message):
        plan_of(make_protocol(**options))
    plan = plan_of(make_protocol(items=LENGTH, design=SINGLE))
    assert plan.tests[0].endpoint == "limits"


def lengths(trial, key, rng, effect):
    """A diameter of the case, ``effect`` mm longer in alpha, read with an error of 0.5 mm."""
    arm = key["protocol"]["arms"][trial["left_arm"]]["name"]
    true = 8 + 2 * trial["case"]
    yield (
        "size",
        checked_value({"kind": "length"}, true + effect * (arm == "alpha") + rng.normal(0, 0.5)),
    )


def test_from_lock_to_report_and_r(read_study, tmp_path):
    study = read_study(
        items=LENGTH,
        design=SINGLE,
        tail='aim = "equivalence"\nmargin = 3\n',
        answers=lengths,
        effect=1.0,
        readers=4,
        n_cases=6,
    )
    facts = analyse(study)
    (row,) = facts["primary"]
    assert row["value"] == pytest.approx(1.0, abs=0.4)
    assert row["extra"]["limits"][0]["comparison"] == "same reader, two arms"
    assert facts["conclusion"] == ["alpha was equivalent to bravo within the margin of 3."]
    assert facts["agreement"] == []
    write_report(study)
    for name in ("report.html", "report.md"):
        page = (study / "report" / name).read_text("utf-8")
        assert "Limits of agreement" in page
        assert "same reader, two arms" in page
    if not (RSCRIPT or WEBR):
        pytest.skip("there is no R")
    done = run_primary(study / "report")
    assert done.returncode == 0, done.stderr
    assert "The published result is repeated" in done.stdout
    assert "two_high" in done.stdout

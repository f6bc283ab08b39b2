"""The demonstration of maps: right and wrong maps are planted, and the analysis finds both."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from reader_study.analysis.endpoints.estimates import estimate
from reader_study.analysis.endpoints.outcome_tables import outcome_table
from reader_study.analysis.tables import final_ratings, ratings_table
from reader_study.cli.study import app
from reader_study.design.analysis_plan import plan_of
from reader_study.design.overlay import FIRST
from reader_study.examples.demo import NOTE, DemoPlan, build_demo
from reader_study.examples.maps_demo import (
    CALLED_FROM,
    MapsPlan,
    cases_of,
    open_maps_demo,
    own_use_of_maps,
    simulated_maps_demo,
)
from reader_study.examples.maps_readers import Habits
from reader_study.record.coordinator import status_of
from reader_study.record.study_record import read_study, read_unblinded
from reader_study.stats.reliance.simulated import OverlayReaders


def test_half_of_the_cases_hold_a_nodule_and_one_map_in_four_fails():
    cases = cases_of(MapsPlan())[1:]
    counts = (
        pd.DataFrame([vars(c) for c in cases]).groupby("nodule")["map_fails"].agg(["size", "sum"])
    )
    assert counts.to_numpy().tolist() == [[8, 2], [8, 2]]
    assert MapsPlan().own_right == 0.75
    assert not cases_of(MapsPlan())[0].map_fails


def test_a_map_moves_readers_only_where_there_is_one():
    rng = np.random.default_rng(0)
    habits = Habits(
        OverlayReaders(anchored=0.0, right_helps=3, wrong_harms=3), skill=0.0, trust=1.0
    )

    def right_after(points_right):
        drawn = [habits.answers(0.0, points_right, rng)["final"][0] for _ in range(2000)]
        return float(np.mean(drawn))

    assert right_after(True) > 0.9 > 0.56 > right_after(None) > 0.44 > 0.1 > right_after(False)


def test_maps_and_pairs_do_not_go_together():
    told = CliRunner().invoke(app, ["demo", "x", "--maps", "--pairs", "10"])
    assert told.exit_code != 0
    assert "expected --maps or --pairs" in str(told.exception)


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("maps") / "study"
    told = []
    plan = MapsPlan(readers=6, cases=12)
    found = simulated_maps_demo(folder, say=told.append, plan=plan)
    return folder, found, told


@pytest.mark.slow
def test_the_analysis_recovers_what_was_put_in(study):
    folder, found, told = study
    row = found["analysis"]["primary"][0]
    assert row["endpoint"] == "reliance"
    assert row["low"] < found["truth"] < row["high"]
    assert row["n"] == 6 * 12 * 2 / 3  # a third of the readings had no map
    assert any(f"put in: {100 * found['truth']:+.0f} points" in line for line in told)
    page = (folder / "report" / "report.html").read_text("utf-8")
    for said in ("Use of the maps", "Statements about the maps", "Jian, Bisantz", "CC BY 4.0"):
        assert said in page
    trust = pd.read_csv(folder / "tables" / "trust.csv")
    assert trust.groupby("subscale")["of"].first().to_dict() == {
        "distrust": 5,
        "overall": 12,
        "trust": 7,
    }
    assert len(own_use_of_maps(folder, "not needed any more")) == 4


@pytest.mark.slow
def test_readers_whom_maps_do_not_move_are_found_to_differ_in_five_per_cent(study):
    """Of the study's own trials and plan; answers drawn anew 400 times."""
    folder, _, _ = study
    record = read_unblinded(folder)
    ratings = final_ratings(ratings_table(record))
    ratings = ratings[ratings["item"].isin(["nodule", "nodule" + FIRST])]
    test = plan_of(record.protocol).tests[0]
    truth = replace(MapsPlan().truth, right_helps=0.0, wrong_harms=0.0)
    rng = np.random.default_rng(7)
    cases = {case.name: bool(case.lesions) for case in record.protocol.cases}
    found = []
    for _ in range(400):
        ease = {name: truth.sd_case * rng.standard_normal() for name in cases}
        skill = {
            r: Habits(truth, truth.skill + truth.sd_reader * rng.standard_normal(), 1.0)
            for r in set(ratings["reader"])
        }
        right = [
            skill[reader].answers(ease[case], True, rng)["final"][0]
            for reader, case in zip(ratings["reader"], ratings["case"], strict=True)
        ]
        lesion = ratings["case"].map(cases).to_numpy()
        drawn = np.where(np.array(right) == lesion, CALLED_FROM + 1, CALLED_FROM - 2)
        table = outcome_table(ratings.assign(value=drawn), test)
        found.append(estimate(test, table).p_at(0.0) < 0.05)
    assert np.mean(found) < 0.08


def test_the_demonstration_refuses_a_folder_with_another_study(tmp_path):
    folder = tmp_path / "other"
    build_demo(folder, plan=DemoPlan(readers=1, slabs=3))
    (folder / NOTE).write_text("code\npassphrase\n", "utf-8")
    with pytest.raises(ValueError, match="name another folder"):
        open_maps_demo(folder, port=0, browser=False, say=print)
    assert not status_of(read_study(folder)).closed

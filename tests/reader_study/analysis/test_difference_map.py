"""Where readers marked a difference: asked after each pair, mapped over readers, in the report."""

import base64

import numpy as np
import pytest

from reader_study.analysis.analyse import analyse
from reader_study.analysis.difference_map import difference_maps, differences_table
from reader_study.analysis.tables import ratings_table
from reader_study.record.coordinator import add_reader, opened
from reader_study.record.study_record import read_unblinded
from reader_study.report.page import write_report
from reader_study.room.session import ReadingSession

DESIGN = "mark_difference = true\nanswer_delay_ms = 0\ncatch_trials = 2"


def test_the_place_is_asked_after_the_questions_of_a_pair_and_checked(locked):
    study = locked(n_cases=4, design=DESIGN)
    reader, _ = add_reader(study, "one")
    with opened(study) as (bundle, store):
        session = ReadingSession(bundle, store, reader)
        first = session.act({"action": "consent"})
        asked = session.act({"action": "answer", "id": first["id"], "value": "left", "seconds": 3})
        assert (asked["item"]["kind"], asked["trial"]) == ("where", first["trial"])
        for wrong in ("left", {"z": 1, "y": 2, "x": 3}, {"z": -1, "y": 2, "x": 3, "radius_mm": 4}):
            with pytest.raises(ValueError, match="mark was sent that is none"):
                session.act({"action": "answer", "id": asked["id"], "value": wrong, "seconds": 1})
        place = {"z": 1, "y": 2, "x": 3, "radius_mm": 4.126, "arm": "alpha"}
        session.act({"action": "answer", "id": asked["id"], "value": place, "seconds": 1})
        kept = store.answers()[-1]
        assert kept.value == {"z": 1, "y": 2, "x": 3, "radius_mm": 4.13}


def test_the_map_is_the_share_of_readings_whose_circle_covers_a_place(
    read_study, simulated_answers
):
    """Four readers: three mark one place of case-0, one says nowhere."""
    turn = iter(range(10_000))

    def answers(trial, key, rng, effect):
        yield from simulated_answers(trial, key, rng, effect)
        if trial["kind"] == "catch":
            yield "_where", {"z": 0, "y": 0, "x": 0, "radius_mm": 50.0}
        elif key["protocol"]["cases"][trial["case"]]["name"] == "case-0":
            place = {"z": 2, "y": 6, "x": 4, "radius_mm": 1.0}
            yield "_where", "nowhere" if next(turn) == 0 else place

    study = read_study(n_cases=4, design=DESIGN + "\nrepeats = 0", answers=answers)
    record = read_unblinded(study)
    table = differences_table(record)
    assert set(table["kind"]) == {"main", "catch"}
    (one,) = difference_maps(record)
    assert (one["case"], one["readings"], one["nowhere"], one["slice"]) == ("case-0", 4, 1, 2)
    share = np.frombuffer(base64.b64decode(one["share"]), np.uint8).reshape(one["shape"])
    # Pixels are 0.7 mm: the centre and its eight neighbours (diagonal 0.99 mm) lie within 1 mm.
    assert share[5:8, 3:6].tolist() == [[191] * 3] * 3, "three of four"
    assert np.count_nonzero(share) == 9
    assert not ratings_table(record)["item"].str.startswith("_").any()
    analyse(study)
    write_report(study)
    page = (study / "report" / "report.html").read_text("utf-8")
    assert "case-0: 3 of 4 readings marked a place" in page
    assert "## Where the images differ" in (study / "report" / "report.md").read_text("utf-8")


def test_a_single_image_has_no_difference_to_mark(make_protocol):
    with pytest.raises(ValueError, match="needs two images"):
        make_protocol(
            design='layout = "single"\nsessions = 2\nmark_difference = true',
            items='[[items]]\nname = "q"\nkind = "slider"\nquestion = "?"\nanswers = ["a", "b"]',
        )

"""When an answer counts, how hasty ones are flagged, and how the last page lets go back."""

import pytest

from reader_study.record.coordinator import status
from reader_study.record.store import NotSavedError
from reader_study.room.answer_check import display_facts
from tests.reader_study.room.reader_acts import begin, give

BOTH = """
[[items]]
name = "pref"
kind = "preference"
question = "Which?"
[[items]]
name = "noise"
kind = "scale"
question = "How noisy?"
answers = ["much", "some", "little"]
"""


def test_an_answer_to_images_that_nobody_can_have_seen_does_not_count(visit):
    start, store, _ = visit(n_cases=4, design="answer_delay_ms = 350\n", items=BOTH)
    session = start()
    begin(session)
    with pytest.raises(NotSavedError, match="too short a time"):
        give(session, "left", seconds=0.2)
    assert store.answers() == []
    give(session, "left", seconds=0.4)
    give(session, 1, seconds=0.1)  # the second question is about the same pair
    assert len(store.answers()) == 2


def test_single_answers_in_less_than_a_second_are_flagged(visit, tmp_path):
    start, _, _ = visit(n_cases=4)
    session = start()
    begin(session)
    give(session, "left", seconds=5.0)
    session.act({"action": "continue"})
    give(session, "left", seconds=0.5)
    give(session, "left", seconds=1.5)
    flags = status(tmp_path / "study")["readers"][0]["flags"]
    assert "1 answers in less than 1 s" in flags


@pytest.mark.parametrize("rule", ["last", "session"])
def test_the_last_page_lists_the_answers_and_opens_one_where_the_protocol_allows(visit, rule):
    start, _, _ = visit(n_cases=4, design=f'undo = "{rule}"\n')
    session = start()
    begin(session)
    given = []
    while (screen := session.screen())["kind"] != "finish":
        if screen["kind"] != "question":
            session.act({"action": "continue"})
            continue
        assert screen["before"] is None
        if not screen["practice"]:
            given.append(screen["id"])
        give(session, "left")
    assert [row["id"] for row in screen["answers"]] == given
    assert [row["number"] for row in screen["answers"]] == list(range(1, len(given) + 1))
    assert {row["value"] for row in screen["answers"]} == {"left"}
    assert screen["can_change"] is (rule == "session")
    if rule == "last":
        with pytest.raises(NotSavedError, match="no longer be changed"):
            session.act({"action": "change", "id": given[1]})
        return
    with pytest.raises(NotSavedError, match="no longer be changed"):
        session.act({"action": "change", "id": "nothing:pref"})
    screen = session.act({"action": "change", "id": given[1]})
    assert (screen["kind"], screen["id"], screen["before"]) == ("question", given[1], "left")
    assert give(session, "right")["kind"] == "finish"
    row = session.screen()["answers"][1]
    assert (row["id"], row["value"]) == (given[1], "right")
    session.act({"action": "continue"})
    with pytest.raises(NotSavedError, match="no longer be changed"):
        session.act({"action": "change", "id": given[1]})


def test_the_view_in_use_is_recorded_with_the_answer_and_nothing_else_of_it(visit):
    enter, store, _ = visit(n_cases=4, design="answer_delay_ms = 0")
    session = enter()
    screen = session.act({"action": "consent"})
    seen = {"level_hu": 40, "width_hu": 400.5, "mode": "flicker", "inverted": True, "arm": "alpha"}
    session.act(
        {"action": "answer", "id": screen["id"], "value": "left", "seconds": 3, "view": seen}
    )
    (event,) = store.events("viewed")
    assert event.payload.pop("trial") == screen["trial"]
    assert event.payload == {
        "item": "pref",
        "level_hu": 40,
        "width_hu": 400.5,
        "mode": "flicker",
        "inverted": True,
    }
    screen = session.act({"action": "continue"})
    session.act({"action": "answer", "id": screen["id"], "value": "left", "seconds": 3, "view": 7})
    assert len(store.answers()) == 2, "an answer counts whatever a browser says of its view"
    assert len(store.events("viewed")) == 1


def test_luminances_that_no_screen_has_are_refused_and_unmeasured_ones_stay_empty():
    facts = display_facts({"white_cd_m2": 350, "step_seen_at_15": 2, "arm": "left out"})
    assert (facts["white_cd_m2"], facts["black_cd_m2"], facts["step_seen_at_15"]) == (350, None, 2)
    assert "arm" not in facts
    for wrong in (-1, 4001, "350", True, float("nan")):
        with pytest.raises(ValueError, match="0 and 4000"):
            display_facts({"black_cd_m2": wrong})

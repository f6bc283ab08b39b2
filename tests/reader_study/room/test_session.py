"""The session decides: order, resuming, undo, washout, and what an answer may be."""

from datetime import timedelta

import pytest

from reader_study.record.coordinator import override_washout
from reader_study.record.store import NotSavedError
from reader_study.room.answer_check import checked_marks, checked_value
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
about = "each"
"""
SCALE = '[[items]]\nname = "noise"\nkind = "scale"\nquestion = "?"\nanswers = ["1", "2"]'


def test_practice_comes_first_then_feedback_then_the_pairs_with_their_number(visit):
    start, store, _ = visit(n_cases=6)
    session = start()
    screen = begin(session)
    assert (screen["practice"], screen["number"], screen["of"]) == (True, 1, 1)
    screen = give(session, "left")
    assert screen == {"kind": "feedback", "feedback": "Good."}
    screen = session.act({"action": "continue"})
    assert (screen["practice"], screen["number"], screen["of"]) == (False, 1, 9)
    assert screen["saved_at"] == store.answers("R1")[-1].at


def test_a_new_visit_goes_on_at_the_first_open_question(visit):
    start, _, _ = visit(n_cases=6, items=BOTH)
    session = start()
    begin(session)
    for value in ("left", 1, 2):
        give(session, value)
    session.act({"action": "continue"})
    give(session, "tie")
    screen = give(session, 3)
    again = start().screen()
    assert again["id"] == screen["id"]
    assert again["item"]["side"] == "right"
    assert (again["number"], again["practice"]) == (1, False)


def test_one_press_answers_one_question(visit):
    start, store, _ = visit(n_cases=6)
    session = start()
    first = begin(session)
    give(session, "left")
    with pytest.raises(NotSavedError, match="answered already"):
        session.act({"action": "answer", "id": first["id"], "value": "left"})
    assert len(store.answers()) == 1


def test_the_screen_tells_neither_role_nor_arm_nor_image_name(visit):
    start, _, _ = visit(n_cases=6)
    session = start()
    begin(session)
    seen = set()
    while (screen := session.screen())["kind"] != "thanks":
        seen |= set(screen)
        assert not {"left", "right", "role", "repeat_of"} & set(screen)
        if screen["kind"] == "question":
            give(session, "left")
        else:
            session.act({"action": "continue"})
    assert "trial" in seen


@pytest.mark.parametrize(
    ("rule", "steps"), [("none", 0), ("last", 1), ("session", 3)], ids=["none", "last", "session"]
)
def test_undo_goes_as_far_back_as_the_protocol_allows(visit, rule, steps):
    start, store, _ = visit(n_cases=6, design=f'undo = "{rule}"\n')
    session = start()
    begin(session)
    give(session, "left")
    session.act({"action": "continue"})
    asked = [session.screen()["id"]]
    asked += [give(session, value)["id"] for value in ("left", "right")]
    taken = 0
    while session.screen()["can_undo"] and taken < 3:
        screen = session.act({"action": "undo"})
        taken += 1
        if taken <= 2:
            assert screen["id"] == asked[-1 - taken]
    assert taken == steps
    if not steps:
        with pytest.raises(NotSavedError, match="nothing"):
            session.act({"action": "undo"})
    else:
        give(session, "tie")
        revisions = [(a.revision, a.value) for a in store.answers()]
        assert (2, None) in revisions, "what was taken back stays on record"
        assert revisions[-1] == (3, "tie")


def finished(session, value="left"):
    """Answer to the end; the screen before the thanks."""
    while (screen := session.screen())["kind"] != "finish":
        give(session, value) if screen["kind"] == "question" else session.act(
            {"action": "continue"}
        )
    return screen


def test_the_last_pair_can_be_taken_back_until_the_session_is_handed_in(visit):
    start, store, _ = visit(n_cases=4)
    session = start()
    begin(session)
    screen = finished(session)
    assert (screen["kind"], screen["can_undo"]) == ("finish", True)
    assert not store.events("session-finished"), "nothing is handed in by the last answer"
    assert start().screen()["kind"] == "finish", "a reader who comes back is asked again"
    session = start()
    session.screen()
    screen = session.act({"action": "undo"})
    assert (screen["kind"], screen["number"]) == ("question", screen["of"])
    assert give(session, "right")["kind"] == "finish"
    assert store.answers()[-1].value == "right"
    thanks = session.act({"action": "continue"})
    assert thanks["kind"] == "thanks"
    with pytest.raises(NotSavedError, match="nothing"):
        session.act({"action": "undo"})


def test_the_session_before_the_washout_can_be_taken_back_too(visit):
    start, store, clock = visit(
        n_cases=4, design='layout = "single"\nsessions = 2\nrepeats = 0\n', items=SCALE
    )
    session = start()
    begin(session)
    finished(session, 1)
    assert session.act({"action": "undo"})["kind"] == "question"
    assert store.answers()[-1].session == 0
    give(session, 2)
    clock.time += timedelta(days=3)  # handed in late: the washout counts from the last answer
    assert session.act({"action": "continue"})["opens"].startswith("2026-03-29T09:00")


def test_the_screen_ahead_is_the_one_that_comes(visit):
    """Shown by the browser at the key: it may lack what an answer changes, never name another."""
    start, _, _ = visit(n_cases=6, items=BOTH)
    session = start()
    begin(session)
    foreseen = 0
    while (screen := session.screen())["kind"] != "finish":
        ahead = session.ahead()
        if screen["kind"] != "question":
            assert ahead is None
            session.act({"action": "continue"})
            continue
        value = "left" if screen["item"]["kind"] == "preference" else 1
        then = give(session, value)
        if ahead is None:
            assert then["kind"] != "question"
            continue
        foreseen += 1
        assert ahead.pop("after") == screen["id"]
        assert ahead.pop("break_in_s") > 0
        for later in ("saved_at", "minutes_left"):
            ahead.pop(later), then.pop(later)
        assert ahead == then
    assert foreseen > 10


def test_washout_keeps_the_second_session_closed_until_its_day_or_an_override(visit, tmp_path):
    start, _, clock = visit(
        n_cases=4,
        design='layout = "single"\nsessions = 2\nwashout_days = 28\nrepeats = 0\n',
        items=SCALE,
    )
    session = start()
    begin(session)
    while (screen := session.screen())["kind"] != "thanks":
        if screen["kind"] == "question":
            give(session, 1)
        else:
            session.act({"action": "continue"})
    assert screen["opens"].startswith("2026-03-29T09:00")
    assert not screen["last"]
    with pytest.raises(NotSavedError):
        session.act({"action": "answer", "id": "x", "value": 1})
    clock.time += timedelta(days=27)
    assert start().screen()["kind"] == "thanks"
    with pytest.raises(ValueError, match="--reason"):
        override_washout(tmp_path / "study", "R1", 2, " ")
    override_washout(tmp_path / "study", "R1", 2, "reader leaves the country")
    assert start().screen()["kind"] == "question"
    clock.time += timedelta(days=2)
    assert start().screen()["kind"] == "question"


def test_no_answer_of_a_later_session_is_taken_during_washout(visit):
    start, store, _ = visit(
        n_cases=4, design='layout = "single"\nsessions = 2\nrepeats = 0\n', items=SCALE
    )
    session = start()
    begin(session)
    while (screen := session.screen())["kind"] != "thanks":
        kind = screen["kind"]
        give(session, 1) if kind == "question" else session.act({"action": "continue"})
    held = session.question()
    n_before = len(store.answers())
    with pytest.raises(NotSavedError, match="not open"):
        session.act({"action": "answer", "id": held.id, "value": 1})
    assert len(store.answers()) == n_before


def test_a_break_is_offered_after_the_time_and_pauses_are_recorded(visit):
    start, store, clock = visit(n_cases=6, design="break_after_minutes = 25\n")
    session = start()
    begin(session)
    clock.time += timedelta(minutes=26)
    assert session.screen()["kind"] == "break"
    assert session.act({"action": "continue"})["kind"] == "question"
    assert session.act({"action": "pause"})["kind"] == "paused"
    assert session.act({"action": "continue"})["kind"] == "question"
    assert [e.kind for e in store.events(reader="R1")][-3:] == ["resumed", "paused", "resumed"]


def test_display_facts_are_stored_before_the_first_image(visit, write_protocol):
    start, store, _ = visit(n_cases=6)
    session = start()
    session._bundle.facts["design"]["display_check"] = True
    assert begin(session)["kind"] == "display"
    session.act({"action": "display", "card_px": 324, "room_is_dim": True, "secret": "x" * 99})
    facts = store.events("display-checked")[0].payload
    assert (facts["card_px"], facts["room_is_dim"]) == (324, True)
    assert "secret" not in facts
    assert session.screen()["kind"] == "question"
    with pytest.raises(ValueError, match="plain values"):
        session.act({"action": "display", "card_px": {"a": 1}})


def test_the_guess_is_asked_once_at_the_end_over_the_last_pair(visit):
    start, store, _ = visit(
        n_cases=4,
        items='[[items]]\nname = "pref"\nkind = "preference"\nquestion = "?"\n'
        '[guess]\narm = "alpha"\nquestion = "Which is the network?"',
    )
    session = start()
    begin(session)
    kinds = []
    while (screen := session.screen())["kind"] != "thanks":
        if screen["kind"] != "question":
            session.act({"action": "continue"})
            continue
        kinds.append(screen["item"]["kind"])
        give(session, "unsure" if kinds[-1] == "guess" else "left")
    assert kinds.count("guess") == 1
    assert kinds[-1] == "guess"
    last_two = store.answers()[-2:]
    assert last_two[0].trial == last_two[1].trial


def test_the_receipt_is_the_end_of_the_chain_and_stays_the_same(visit):
    start, store, _ = visit(n_cases=4)
    session = start()
    begin(session)
    while (screen := session.screen())["kind"] != "thanks":
        kind = screen["kind"]
        give(session, "left") if kind == "question" else session.act({"action": "continue"})
    seq, digest = store.head()
    assert screen["receipt"] == f"{seq}:{digest}"
    assert start().screen()["receipt"] == screen["receipt"]


def test_a_comment_typed_but_not_saved_goes_along_with_the_answer(visit):
    start, store, _ = visit(n_cases=4)
    session = start()
    screen = begin(session)
    draft = {"id": screen["id"], "text": "streaks at the apex"}
    answer = {"action": "answer", "id": screen["id"], "value": "left", "comment": draft}
    assert session.act(answer).get("id") != screen["id"]
    assert [a.value for a in store.answers()] == ["streaks at the apex", "left"]


def test_comments_and_marks_are_kept_beside_the_answers(visit):
    start, store, _ = visit(n_cases=4)
    session = start()
    screen = begin(session)
    session.act({"action": "comment", "id": screen["id"], "text": " blurred vessels "})
    mark = {"side": "left", "z": 1, "y": 5, "x": 6, "kind": "lesion", "confidence": 80}
    session.act({"action": "marks", "id": screen["id"], "marks": [mark | {"junk": "x"}]})
    assert session.screen()["comment"] == "blurred vessels"
    assert session.screen()["id"] == screen["id"]
    assert [a.value for a in store.answers()] == ["blurred vessels", [mark]]
    with pytest.raises(ValueError, match="2000"):
        session.act({"action": "comment", "id": screen["id"], "text": "x" * 2001})


@pytest.mark.parametrize(
    ("item", "good", "bad"),
    [
        ({"kind": "preference", "ties": True}, ["left", "tie", "cannot-judge"], ["both", 1, None]),
        ({"kind": "preference", "ties": False}, ["right"], ["tie"]),
        ({"kind": "scale", "answers": ["a", "b", "c"]}, [1, 3], [0, 4, "1", True, [1], 1.5]),
        ({"kind": "slider", "answers": ["no", "yes"]}, [0, 100], [101, -1, "5"]),
        ({"kind": "choice", "answers": ["solid", "part"]}, ["part"], ["liquid", 1]),
        ({"kind": "guess"}, ["left", "unsure"], ["cannot-judge", "tie"]),
    ],
)
def test_only_answers_that_are_offered_are_taken(item, good, bad):
    assert [checked_value(item, value) for value in good] == good
    for value in bad:
        with pytest.raises(ValueError, match="does not offer"):
            checked_value(item, value)


@pytest.mark.parametrize(
    "marks",
    [
        None,
        [{"side": "middle", "z": 0, "y": 0, "x": 0}],
        [{"side": "left", "z": -1, "y": 0, "x": 0}],
        [{"side": "left", "z": "0", "y": 0, "x": 0}],
        [{"side": "left", "z": 0, "y": 0, "x": 0, "confidence": 101}],
        [{}] * 201,
    ],
)
def test_marks_that_are_none_are_refused(marks):
    with pytest.raises(ValueError, match="mark"):
        checked_marks(marks)


@pytest.mark.parametrize("message", [{}, {"action": None}, {"action": "drop"}, {"action": []}])
def test_unknown_actions_are_refused(visit, message):
    start, _, _ = visit(n_cases=4)
    with pytest.raises(ValueError, match="does not know"):
        start().act(message)


def test_a_closed_study_shows_so(visit):
    start, store, _ = visit(n_cases=4)
    session = start()
    begin(session)
    screen = session.screen()
    store.append("closed")
    with pytest.raises(NotSavedError, match="closed"):
        session.act({"action": "answer", "id": screen["id"], "value": "left"})
    assert session.screen() == {"kind": "closed"}

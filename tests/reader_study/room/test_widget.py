"""The room without a browser: two viewers that take turns, a panel, and what they are sent."""

import json
import subprocess
import sys

import pytest

from reader_study.record.coordinator import add_reader, opened
from reader_study.room.session import ReadingSession
from reader_study.room.widget import Room, open_room, serve_room


@pytest.fixture
def room(locked):
    study = locked(n_cases=6)
    reader, _ = add_reader(study, "one")
    with opened(study) as (bundle, store):
        yield Room(bundle, ReadingSession(bundle, store, reader)), bundle, store


def press(room, **message):
    room._on_message(None, message, None)
    return room.panel.screen


def shown(room):
    """The viewer that readers see."""
    return room._viewers[room.panel.screen["front"]]


def answer(room, value="left"):
    if room.panel.screen["kind"] != "question":
        return press(room, action="continue")
    return press(room, action="answer", id=room.panel.screen["id"], value=value, seconds=2.0)


def test_no_image_is_seen_before_consent_and_the_first_is_loaded_already(room):
    room, bundle, _ = room
    assert room.panel.screen["kind"] == "consent"
    assert room.panel.screen["front"] is None
    first = bundle.trials(1)[0]
    assert room._viewers[0].left_bytes == bundle.pixels(first.left)
    press(room, action="consent")
    assert shown(room).right_bytes == bundle.pixels(first.right)


def test_each_pair_is_shown_with_its_own_images_and_the_next_is_read_ahead(room):
    room, bundle, store = room
    press(room, action="consent")
    trials = bundle.trials(1)
    for place, trial in enumerate(trials):
        viewer = shown(room)
        assert viewer.left_bytes == bundle.pixels(trial.left)
        assert viewer.right_bytes == bundle.pixels(trial.right)
        assert (viewer.level_hu, viewer.width_hu, viewer.mode) == (-600.0, 1500.0, "pair")
        assert (viewer.labels, viewer.probe) == (["Image A", "Image B"], True)
        assert viewer.whole_page
        if place + 1 < len(trials):
            hidden = next(v for v in room._viewers if v is not viewer)
            assert hidden.left_bytes == bundle.pixels(trials[place + 1].left)
            if room.panel.ahead:
                assert room._viewers[room.panel.ahead["front"]] is hidden
                assert room.panel.ahead["trial"] == hidden.tag == trials[place + 1].token
        viewer.level_hu, viewer.mode = 40.0, "flicker"  # the reader changes the view
        answer(room)
        if room.panel.screen["kind"] == "feedback":
            assert shown(room) is viewer, "the practice pair stays beside its feedback"
            answer(room)
    assert room.panel.screen["kind"] == "finish"
    answer(room)
    assert room.panel.screen["kind"] == "thanks"
    assert room.panel.screen["front"] is None
    assert len(store.answers()) == len(trials)


def test_where_the_layout_is_flicker_both_images_take_turns_in_one_place(locked, read_all):
    """The allocation is that of pairs: sides are balanced, and the left image comes first."""
    study = locked(n_cases=6, design='layout = "flicker"', tail='[view]\nmodes = ["flicker"]')
    reader, _ = add_reader(study, "one")
    with opened(study) as (bundle, store):
        room = Room(bundle, ReadingSession(bundle, store, reader))
        press(room, action="consent")
        for _ in range(3):
            assert (shown(room).modes, shown(room).mode) == (["flicker"], "flicker")
            assert len(shown(room).left_bytes) == len(shown(room).right_bytes) > 0
            shown(room).mode = "pair"  # whatever the last pair was left in
            answer(room)
            answer(room) if room.panel.screen["kind"] == "feedback" else None
        balance = store.events("locked")[0].payload["balance"]
    main = balance["slots"][0]
    assert (main["main"], main["first_arm_left"]) == (6, 3)
    assert read_all(study, reader)["kind"] == "thanks"


READING = """
import sys
from reader_study.room.widget import Room
from reader_study.record.coordinator import opened
from reader_study.room.session import ReadingSession
with opened(sys.argv[1]) as (bundle, store):
    room = Room(bundle, ReadingSession(bundle, store, store.readers()[0]))
    room._act({"action": "consent"})
    for _ in range(3):
        screen = room.panel.screen
        given = {"action": "answer", "id": screen.get("id"), "value": "left"}
        room._act(given if screen["kind"] == "question" else {"action": "continue"})
    assert store.answers()
print(*{name.split(".")[0] for name in sys.modules})
"""


def test_a_room_in_use_has_loaded_nothing_heavy(locked):
    study = locked(n_cases=4)
    add_reader(study, "one")
    done = subprocess.run(
        [sys.executable, "-c", READING, str(study)], capture_output=True, text=True, check=True
    )
    heavy = {"torch", "statsmodels", "pandas", "matplotlib", "scipy", "numba", "pydicom", "skimage"}
    assert set(done.stdout.split()) & heavy == set()


def test_a_refused_answer_stays_on_screen_with_the_reason(room):
    room, _, store = room
    before = press(room, action="consent")
    ReadingSession(room._bundle, store, store.readers()[0])  # a second window opens
    screen = answer(room)
    assert screen["id"] == before["id"]
    assert "another window" in screen["problem"]
    assert store.answers() == []
    assert "does not offer" in answer(room, "both")["problem"]


def test_marks_are_stored_when_they_are_set_and_belong_to_their_trial(room):
    room, bundle, store = room
    press(room, action="consent")
    first = bundle.trials(1)[0].token
    mark = {"side": "right", "z": 1, "y": 3, "x": 4, "kind": ""}
    shown(room).marks = [mark]
    kept = store.answers()
    assert [(a.item, a.trial) for a in kept] == [("_marks", first)]
    assert kept[0].value[0]["x"] == 4
    press(room, action="confidence", id=room.panel.screen["id"], index=0, value=70)
    shown(room).marks = [mark, {**mark, "x": 9}]
    last = store.answers()[-1].value
    assert [(m["x"], m["confidence"]) for m in last] == [(4, 70), (9, None)]
    assert room.panel.marks == last
    answer(room)
    answer(room)
    assert shown(room).marks == [], "the next pair begins without marks"
    assert {a.trial for a in store.answers() if a.item == "_marks"} == {first}
    again = Room(bundle, ReadingSession(bundle, store, store.readers()[0]))
    press(again, action="undo")
    assert len(shown(again).marks) == 2, "back at the pair, its marks are there again"


def test_the_state_of_all_widgets_names_no_arm_no_case_and_no_role(room):
    room, bundle, _ = room
    press(room, action="consent")
    for _ in range(5):
        answer(room)
    states = [w.get_state() for w in (*room._viewers, room.panel, room.widget)]
    text = json.dumps(states, default=lambda o: "" if isinstance(o, bytes | memoryview) else str(o))
    own = {"_esm", "_css", "texts"}
    words = json.dumps(
        [{k: v for k, v in s.items() if k not in own} for s in states], default=lambda o: ""
    ).lower()
    for secret in ("alpha", "bravo", "case-", "pat-", "repeat", "catch", str(bundle.folder)):
        assert secret.lower() not in words
    assert not [token for token in bundle.images if token in text], "image names stay here"


def test_open_room_wants_an_active_reader(locked):
    study = locked(n_cases=4)
    with pytest.raises(ValueError, match="no active reader 'R9'"):
        open_room(study, "R9")
    reader, _ = add_reader(study, "one")
    label, room = open_room(study, reader.reader).children
    assert "Honest-reader blinding" in label.value
    assert "room" in room._dom_classes
    assert "room" in serve_room(study, reader.reader)._dom_classes


def test_images_shown_before_travel_again_in_full(room, monkeypatch):
    """Otherwise the size of a message would tell which trials repeat which."""
    room, bundle, _ = room
    trial = bundle.trials(1)[0]
    sent = []
    monkeypatch.setattr(
        type(room._viewers[0]), "send_state", lambda self, key=None: sent.append(set(key or ()))
    )
    for _ in range(2):
        room._loaded[0] = None
        room._load(0, trial)
    assert len(sent) == 2
    assert all({"left_bytes", "right_bytes"} <= keys for keys in sent)

"""Assisted reading in the room: the first answer is locked before the map leaves the server."""

import numpy as np
import pytest

from reader_study.blinding.lock import lock_study
from reader_study.record.bundle import open_bundle
from reader_study.record.coordinator import add_reader, opened, status
from reader_study.record.store import NotSavedError
from reader_study.room.page_models import PageRoom, PixelFreeBundle
from reader_study.room.questions import overlay_phase
from reader_study.room.session import ReadingSession
from reader_study.room.widget import Room
from tests.reader_study.blinding.test_overlays import (  # noqa: F401 (fixtures)
    overlay_options,
    with_maps,
)

SLIDER = (
    '[[items]]\nname = "found"\nkind = "scale"\nquestion = "A nodule?"\nanswers = ["no", "yes"]\n'
    '[[items]]\nname = "sure"\nkind = "slider"\nquestion = "How sure?"\nanswers = ["not", "very"]'
)


@pytest.fixture
def room_study(with_maps, read_body, cheap_seal, passphrase):  # noqa: F811 (fixtures)
    def make(design="sequential", **changes):
        head = overlay_options()["head"].replace("sequential", design)
        study = with_maps(head=head, items=SLIDER, readers=1, **changes)
        lock_study(study, passphrase=passphrase, read=read_body)
        add_reader(study, "a reader")
        return study

    return make


@pytest.fixture
def seat(room_study):
    """Session and room of the only reader, at the first question with a map."""
    open_ones = []

    def make(design="sequential", room=Room):
        visit = opened(room_study(design))
        bundle, store = visit.__enter__()
        open_ones.append(visit)
        session = ReadingSession(bundle, store, store.readers()[0])
        if room is PageRoom:
            bundle = PixelFreeBundle(bundle.folder, bundle.facts, bundle.sha256)
            made = PageRoom(bundle, session, logout="")
        else:
            made = room(bundle, session)
        act(made, "consent")
        while not waits_for_map(made, session):
            answer(made, session)
        return made, session, bundle, store

    yield make
    for visit in open_ones:
        visit.__exit__(None, None, None)


def waits_for_map(room, session):
    is_asked = room.panel.screen["kind"] == "question"
    return is_asked and not session.question().trial.practice and session.question().trial.overlay


def act(room, action, **values):
    room._on_message(None, {"action": action, **values}, [])


def answer(room, session):
    """Answer the question on screen, and go on from feedback."""
    screen = room.panel.screen
    if screen["kind"] == "question":
        value = {"scale": 2, "slider": 70}[screen["item"]["kind"]]
        act(room, "answer", id=screen["id"], value=value, seconds=3.0)
    else:
        act(room, "continue")


def viewer_of(room):
    return room._viewers[room._front]


def test_the_map_leaves_only_when_every_first_answer_is_locked(seat):
    room, session, bundle, store = seat()
    trial = session.question().trial
    assert room.panel.screen["overlay"] == "overlay_first"
    for _ in range(2):
        assert not session.shows_overlay(trial)
        assert (viewer_of(room).overlay, len(viewer_of(room).overlay_bytes)) == ("", 0)
        answer(room, session)
    assert session.question().trial.token == trial.token
    assert room.panel.screen["overlay"] == "overlay_shown"
    assert viewer_of(room).overlay == trial.token
    assert viewer_of(room).overlay_bytes == bundle.overlay(trial.overlay)
    events = [e for e in store.events("overlay-shown") if e.payload["trial"] == trial.token]
    assert [(e.payload["trial"], e.payload["sha256"]) for e in events] == [
        (trial.token, bundle.overlays[trial.overlay])
    ]
    assert events[0].seq > max(a.seq for a in store.answers() if a.trial == trial.token)


def test_a_locked_answer_cannot_be_taken_back(seat):
    room, session, _, store = seat()
    trial = session.question().trial
    answer(room, session)
    assert room.panel.screen["can_undo"]  # before the second of them is given it still may
    answer(room, session)
    kept = [a for a in store.answers() if a.trial == trial.token]
    assert [a.item for a in kept] == ["found+first", "sure+first"]
    undo = {"action": "undo"}
    for _ in range(3):
        try:
            session.act(undo)
        except NotSavedError:
            break
    assert not [a for a in store.answers() if a.trial == trial.token and a.value is None]


def test_the_next_screen_is_not_shown_ahead_of_the_lock(seat):
    room, session, *_ = seat()
    answer(room, session)
    assert session.question().item == "sure+first"
    assert session.ahead() is None
    assert room.panel.ahead == {}


def test_the_page_gets_no_map_by_its_address_before_the_lock(seat):
    room, session, *_ = seat(room=PageRoom)
    trial = session.question().trial
    assert room.shown(trial.token) is not None
    assert room.overlay_of(trial.token) is None
    answer(room, session)
    assert room.overlay_of(trial.token) is None
    assert not any("overlay_bytes" in traits for _, traits in room._sent)
    room._sent.clear()
    answer(room, session)
    assert room.overlay_of(trial.token) == trial.overlay
    told = [traits for name, traits in room._sent if traits.get("overlay")]
    assert told == [{"overlay": trial.token}]


def test_arms_without_a_map_are_asked_twice_as_well(seat):
    _, session, bundle, _ = seat()
    plain = next(t for t in session._trials if t.overlay is None)
    asked = session.questions_of(plain)
    assert [q.item for q in asked] == ["found+first", "sure+first", "found", "sure"]
    assert [overlay_phase(bundle, q) for q in asked] == ["overlay_first"] * 2 + [
        "overlay_again"
    ] * 2
    assert not session.shows_overlay(plain)


def test_independent_reading_shows_the_map_at_once_and_asks_once(seat):
    room, session, bundle, _ = seat("independent")
    trial = session.question().trial
    assert room.panel.screen["overlay"] == "overlay_shown"
    assert viewer_of(room).overlay_bytes == bundle.overlay(trial.overlay)
    assert [q.item for q in session.questions_of(trial)] == ["found", "sure"]


def test_how_long_and_how_often_the_map_was_on_is_kept(seat):
    room, _, _, store = seat("independent")
    seen = {"overlay_s": 2.5, "overlay_toggles": 3, "overlay_strength": 0.6, "overlay_on": False}
    screen = room.panel.screen
    act(room, "answer", id=screen["id"], value=1, seconds=4.0, view={**seen, "arm": "x"})
    kept = store.events("viewed")[-1].payload
    assert {name: kept[name] for name in seen} == seen
    assert "arm" not in kept


def test_progress_counts_trials_whose_second_answers_are_given(seat):
    room, session, *_ = seat()
    folder = session._bundle.folder.parent
    before = status(folder)["readers"][0]["done"]
    answer(room, session)
    answer(room, session)
    assert status(folder)["readers"][0]["done"] == before
    answer(room, session)
    answer(room, session)
    assert status(folder)["readers"][0]["done"] == before + 1
    assert len(open_bundle(folder / "bundle").overlays) == 21
    assert np.prod(viewer_of(room).shape) > 0

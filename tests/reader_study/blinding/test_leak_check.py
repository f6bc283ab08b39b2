"""All that crosses to a reader's browser, searched; a planted leak of each kind is caught."""

import json
import time
from dataclasses import dataclass, field

import ipywidgets
import numpy as np
import pytest
from ipywidgets.embed import embed_data

from reader_study.blinding.sealed_key import unseal
from reader_study.record.bundle import Bundle
from reader_study.record.coordinator import add_reader, opened
from reader_study.room.session import ReadingSession
from reader_study.room.widget import Room, open_room

WORDS = ["quiet-owl", "loud-fox", "case-", "pat-", "arms/", ".dcm", "b60f", "(0018,", "convolution"]
ARMS = ("quiet-owl", "loud-fox")
SLOW_S = 0.15
VIEW = (
    *("level_hu", "width_hu", "shape", "spacing_mm", "slice_mm"),
    *("frame", "mode", "plane", "labels"),
)


@dataclass
class Shown:
    """What was sent for one trial, and which arms it shows."""

    arms: tuple[str, str]
    text: str = ""
    sizes: list[int] = field(default_factory=list)
    view: dict = field(default_factory=dict)
    pixels: list[bytes] = field(default_factory=list)
    seconds: float = 0.0


def read_everything(study, passphrase, monkeypatch):
    """Read a whole slot through the room and keep every message that goes to the browser."""
    reader, _ = add_reader(study, "one")
    with opened(study) as (bundle, store):
        key = unseal(
            (study / "sealed" / "key.sealed").read_bytes(), passphrase, commitment=bundle.commitment
        )
        names = [arm["name"] for arm in key["protocol"]["arms"]]
        sent = []

        def send(_widget, message, buffers=None):
            sent.append((message, [bytes(b) for b in buffers or []]))

        monkeypatch.setattr(ipywidgets.Widget, "_send", send)
        room = Room(bundle, ReadingSession(bundle, store, reader))
        room._act({"action": "consent"})
        shown = []
        loaded, load = {}, room._load

        def timed(place, trial):
            start, before = time.perf_counter(), len(sent)
            load(place, trial)
            loaded.setdefault(trial.token, (time.perf_counter() - start, sent[before:]))

        monkeypatch.setattr(room, "_load", timed)
        while room.panel.screen["kind"] != "finish":
            screen = room.panel.screen
            if screen["kind"] != "question":
                room._act({"action": "continue"})
                continue
            truth = key["trials"][screen["trial"]]
            arms = names[truth["left_arm"]], names[truth["right_arm"]]
            shown.append(what_is_shown(room, arms, *loaded.get(screen["trial"], (0.0, []))))
            room._act({"action": "answer", "id": screen["id"], "value": "left", "seconds": 3.0})
        everything = json.dumps([message for message, _ in sent], default=str)
    return shown, everything


def what_is_shown(room, arms, seconds, messages) -> Shown:
    """The trial on the screen: what the viewer holds, and what was sent for it."""
    screen = room.panel.screen
    state = room._viewers[screen["front"]].get_state()
    own = {k: v for k, v in state.items() if not k.endswith(("_bytes", "_esm", "_css"))}
    return Shown(
        arms=arms,
        text=json.dumps([own, screen, room.panel.ahead, [m for m, _ in messages]], default=str),
        sizes=[len(b) for _, buffers in messages for b in buffers],
        view={name: own[name] for name in VIEW},
        pixels=[bytes(state[name]) for name in ("left_bytes", "right_bytes")],
        seconds=seconds,
    )


def leaks_in(shown, everything) -> set[str]:
    """Kinds of leak found: words, or a difference that goes with the arm on a side."""
    found = {f"word {word}" for word in WORDS if word in everything.lower()}
    found |= {f"word {word}" for word in WORDS for one in shown if word in one.text.lower()}
    two = [one for one in shown if one.arms[0] != one.arms[1]]
    if len({tuple(one.sizes) for one in shown if one.sizes}) > 1:
        found.add("size")
    if len({json.dumps(one.view, sort_keys=True) for one in shown}) > 1:
        found.add("view")
    if len({_kind_of_numbers(raw) for one in shown for raw in one.pixels}) > 1:
        found.add("dtype")
    slow, quick = (
        [one.seconds for one in two if (one.arms[0] == "quiet-owl") is is_first and one.sizes]
        for is_first in (True, False)
    )
    higher = np.mean([a > b for a in slow for b in quick])
    if abs(np.median(slow) - np.median(quick)) > SLOW_S / 2 and not 0.1 < higher < 0.9:
        found.add("latency")
    return found


def _kind_of_numbers(raw: bytes) -> tuple[bool, int]:
    """Whether these are HU as every arm sends them, and the smallest step between them."""
    hu = np.frombuffer(raw, "<i2").astype(int)
    seen = np.unique(hu)
    return bool(seen.min() >= -1024 and seen.max() <= 3071), int(np.gcd.reduce(np.diff(seen)))


@pytest.fixture
def crossed(locked, passphrase, monkeypatch):
    study = locked(n_cases=10, arms=ARMS, design="repeats = 0.1\ncatch_trials = 1")
    return lambda: read_everything(study, passphrase, monkeypatch), study


def arm_of(study, passphrase):
    key = unseal(
        (study / "sealed" / "key.sealed").read_bytes(),
        passphrase,
        commitment=json.loads((study / "bundle" / "study.json").read_text())["commitment"],
    )
    return {token: where["arm"] for token, where in key["images"].items()}


def test_nothing_that_crosses_tells_the_arms_apart(crossed):
    read, _ = crossed
    shown, everything = read()
    assert len(shown) == 13, "ten cases, a repeat, a catch trial, the practice"
    assert sum(bool(one.sizes) for one in shown) >= 10, "the images were on the wire searched"
    assert leaks_in(shown, everything) == set()


def planted_bytes(arms, change):
    """``Bundle.pixels`` that changes the images of the first arm."""
    pixels = Bundle.pixels
    return lambda self, token: (
        change(pixels(self, token)) if arms[token] == 0 else pixels(self, token)
    )


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        (lambda raw: raw + b"\0" * 240, "size"),
        (lambda raw: (np.frombuffer(raw, "<i2").astype("<u2") + 4096).tobytes(), "dtype"),
        (lambda raw: (np.frombuffer(raw, "<i2") // 2 * 2).tobytes(), "dtype"),
    ],
)
def test_planted_sizes_dtypes_and_grey_steps_are_caught(
    crossed, passphrase, monkeypatch, change, kind
):
    read, study = crossed
    monkeypatch.setattr(Bundle, "pixels", planted_bytes(arm_of(study, passphrase), change))
    assert kind in leaks_in(*read())


def wait(_viewer):
    time.sleep(SLOW_S)


@pytest.mark.parametrize(
    ("plant", "found"),
    [
        (lambda viewer: viewer.set_trait("alt", "CT by Quiet-Owl"), "word quiet-owl"),
        (lambda viewer: viewer.set_trait("alt", "arms/x/0001.dcm"), "word .dcm"),
        (lambda viewer: viewer.set_trait("alt", "(0018,1210)"), "word (0018,"),
        (lambda viewer: viewer.set_trait("frame_labels", ["B60f"]), "word b60f"),
        (lambda viewer: viewer.set_trait("level_hu", -599.0), "view"),
        (lambda viewer: viewer.set_trait("width_hu", 1400.0), "view"),
        (wait, "latency"),
    ],
)
def test_planted_names_files_tags_kernels_windows_and_delays_are_caught(
    crossed, passphrase, monkeypatch, plant, found
):
    """Planted where the first arm is on the left; all else is as it should be."""
    read, study = crossed
    arms, load = arm_of(study, passphrase), Room._load

    def planted(self, place, trial):
        fresh = self._loaded[place] != trial.token
        load(self, place, trial)
        if fresh and arms[trial.left] == 0:
            plant(self._viewers[place])

    monkeypatch.setattr(Room, "_load", planted)
    assert found in leaks_in(*read())


def test_a_notebook_saved_with_its_widgets_names_nothing(locked):
    """What "Save widget state" writes into a notebook that ran the cell of the honest reader."""
    ipywidgets.Widget.close_all()  # those of other tests would be saved too
    study = locked(n_cases=4, arms=ARMS)
    reader, _ = add_reader(study, "one")
    saved = json.dumps(embed_data(views=[open_room(study, reader.reader)]), default=str).lower()
    words = [word for word in WORDS if word not in {"convolution", "arms/"}]
    assert not [word for word in [*words, str(study).lower()] if word in saved]
    planted = json.dumps(embed_data(views=[ipywidgets.HTML("case-1 by quiet-owl")]), default=str)
    assert "quiet-owl" in planted, "the search looks where a leak would be"

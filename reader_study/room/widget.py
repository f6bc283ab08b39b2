"""The reading room in a kernel: draws what the session decides and forwards what readers do."""

import sys
from contextlib import suppress
from functools import cached_property, partial
from html import escape
from pathlib import Path
from typing import Any

import anywidget
import ipywidgets
import traitlets as t

from ctlab.view.compare import CompareViewer
from reader_study.design.texts import load_texts, problem_text
from reader_study.record.anchors import write_anchor
from reader_study.record.bundle import Bundle, ShownTrial, open_bundle
from reader_study.record.paths import bundle_folder, database_url
from reader_study.record.store import NotSavedError, Store
from reader_study.room.session import ReadingSession
from reader_study.room.viewer_settings import room_words, trial_traits, viewer_traits

_ROOM = Path(__file__).parent
_VIEWER = str(CompareViewer._esm).split("export default")[0]
_PARTS = ("display_check", "screens", "panel")
_WITH_IMAGES = {"question", "feedback"}


class OverlayViewer(CompareViewer):
    """The viewer, with a map over every slice (key H), and the seconds that it was on.

    Attributes
    ----------
    overlay : trial whose map lies over its images; empty where there is none, or not yet
    overlay_bytes : one byte a voxel, (z, y, x): 128 is 0
    overlay_strength : opacity of the largest value, 0.1 to 1
    overlay_words : ``overlay`` (name of the button) and ``overlay_legend``
    """

    _esm = _VIEWER + (_ROOM / "overlay.js").read_text("utf-8")

    overlay = t.Unicode("").tag(sync=True)
    overlay_bytes = t.Bytes(b"").tag(sync=True)
    overlay_strength = t.Float(1.0).tag(sync=True)
    overlay_words = t.Dict().tag(sync=True)


class Panel(anywidget.AnyWidget):
    """The question beside the images; see ``room/screens.js`` and ``room/panel.js``."""

    # One text: the kernel hands a widget's script to the browser without files beside it.
    _esm = "".join((_ROOM / f"{part}.js").read_text("utf-8") for part in _PARTS)
    _css = _ROOM / "panel.css"

    screen = t.Dict().tag(sync=True)
    ahead = t.Dict().tag(sync=True)  # the screen that an answer leads to; its images are loaded
    texts = t.Dict().tag(sync=True)
    marks = t.List(t.Dict()).tag(sync=True)
    reader = t.Dict().tag(sync=True)  # who reads, and for served rooms the way out
    pad = t.Dict().tag(sync=True)  # what a paired telephone pressed, or the code to pair one


class Room:
    """Two viewers that take turns and a panel: while one pair is read, the next is loaded.

    The viewers lie over each other and both are painted; ``front`` of a screen says which is
    seen. So the browser can show the next pair at the key, and wait for nothing but the word
    "saved".
    """

    def __init__(self, bundle: Bundle, session: ReadingSession, *, logout: str = "") -> None:
        self._bundle, self._session = bundle, session
        self._words = room_words(bundle, load_texts(bundle.facts["language"]))
        self._viewers = [self._viewer(place) for place in (0, 1)]
        self._loaded: list[str | None] = [None, None]  # trial token in each viewer
        self._front = 0
        self.panel = self._panel({**session.who, "logout": logout})
        self.panel.on_msg(self._on_message)
        for viewer in self._viewers:
            viewer.observe(self._on_marks, "marks")
        self._draw(session.screen())

    @cached_property
    def widget(self) -> ipywidgets.Widget:
        """Images and panel, to be displayed."""
        images = ipywidgets.Box(self._viewers)
        images.add_class("room-images")
        whole = ipywidgets.Box([images, self.panel])
        whole.add_class("room")
        return whole

    def _panel(self, reader: dict[str, Any]) -> Any:
        return Panel(texts=self._words, reader=reader)

    def _viewer(self, place: int) -> Any:
        viewer = OverlayViewer(**viewer_traits(self._bundle, self._words))
        viewer.add_class(f"room-view-{place}")
        return viewer

    # ------------------------------------------------------------ images

    def _load(self, place: int, trial: ShownTrial) -> None:
        """Put the images of a trial into a viewer, seen the way every trial is first seen."""
        if self._loaded[place] == trial.token:
            return
        traits = trial_traits(self._bundle, trial, self._session.marks_of(trial))
        self._loaded[place] = None  # marks reset below belong to no trial
        viewer = self._viewers[place]
        with viewer.hold_sync():
            # Only changes travel. An image that this viewer showed before would make a shorter
            # message, so a reader could see from the traffic which trials are related.
            viewer.left_bytes = viewer.right_bytes = viewer.overlay_bytes = b""
            for name, value in traits.items():
                setattr(viewer, name, value)
        self._loaded[place] = trial.token

    def _bring_forward(self, trial: ShownTrial) -> None:
        if self._loaded[self._front] != trial.token:
            self._front = 1 - self._front
        self._load(self._front, trial)
        self._lay_over(self._viewers[self._front], trial)
        self.panel.marks = self._session.marks_of(trial)

    def _lay_over(self, viewer: Any, trial: ShownTrial) -> None:
        """Send the overlay of the trial on screen, if nothing is to be answered without it."""
        if not self._session.shows_overlay(trial) or viewer.overlay == trial.token:
            return
        self._session.overlay_sent(trial)
        viewer.overlay_bytes = self._bundle.overlay(str(trial.overlay))
        viewer.overlay = trial.token

    # ------------------------------------------------------------ screens

    def _draw(self, screen: dict[str, Any]) -> None:
        question = self._session.question()
        self.panel.ahead = {}
        with_images = screen["kind"] in _WITH_IMAGES
        if screen["kind"] == "question" and question is not None:
            self._bring_forward(question.trial)
        self.panel.screen = {**screen, "front": self._front if with_images else None}
        # Read ahead after the screen is on its way; a first screen has nothing to wait for.
        ahead = self._session.next_trial()
        if screen["kind"] == "question" and ahead is not None:
            self._load(1 - self._front, ahead)
        elif question is not None and not with_images:
            self._load(self._front, question.trial)
        if screen["kind"] == "question" and (then := self._session.ahead()) is not None:
            place = self._front if then["trial"] == screen["trial"] else 1 - self._front
            self.panel.ahead = {**then, "front": place}

    def _on_message(self, _widget: Any, message: Any, _buffers: Any) -> None:
        if not isinstance(message, dict):
            return
        if message.get("action") == "mark-kind":
            self._viewers[self._front].mark_kind = str(message.get("kind"))[:40]
            return
        if message.get("action") == "confidence":
            message = {**message, "action": "marks", "marks": self._rated(message)}
        self._act(message)

    def _act(self, message: dict[str, Any]) -> None:
        try:
            screen = self._session.act(message)
        except (NotSavedError, ValueError) as error:
            screen = {**self.panel.screen, "problem": problem_text(self._words, str(error))}
        self._draw(screen)

    # ------------------------------------------------------------ marks

    def _on_marks(self, change: Any) -> None:
        """Marks are stored as they are set, not only with the answer."""
        front = change.owner is self._viewers[self._front]
        if not front or self._loaded[self._front] is None:
            return
        rated = {_spot(mark): mark["confidence"] for mark in self.panel.marks}
        marks = [{**mark, "confidence": rated.get(_spot(mark))} for mark in change.new]
        self._act({"action": "marks", "id": self.panel.screen.get("id"), "marks": marks})

    def _rated(self, message: dict[str, Any]) -> list[dict[str, Any]]:
        """The marks with a new confidence for one of them."""
        marks = [dict(mark) for mark in self.panel.marks]
        index, value = message.get("index"), message.get("value")
        if isinstance(index, int) and 0 <= index < len(marks):
            marks[index]["confidence"] = value
        return marks


def _spot(mark: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(mark.get(name) for name in ("side", "z", "y", "x", "kind"))


def keep_anchor(study: str | Path, seq: int, digest: str) -> None:
    """The head at a receipt, beside the study too; the reader holds it in any case."""
    with suppress(OSError):
        write_anchor(study, seq, digest)


def open_room(study: str | Path, reader: str) -> ipywidgets.Widget:
    """Reading room of one reader, to be displayed in a cell of a notebook.

    This is honest-reader blinding, and the page says so: whoever can run a cell can read files.
    The served room (``reader-study serve``) lets no reader run code.

    Parameters
    ----------
    study : folder with ``bundle/`` and ``study.db``
    reader : number of an active reader, such as ``"R1"``

    Raises
    ------
    ValueError
        No locked study there, or no active reader of that name.
    """
    room, words = _opened(study, reader)
    label = ipywidgets.HTML(
        f'<p class="rs-honest" role="note">{escape(words["honest_reader"])}</p>'
    )
    return ipywidgets.VBox([label, room])


def serve_room(study: str | Path, reader: str, logout: str = "") -> ipywidgets.Widget:
    """The room for the served page. What goes wrong is told to the server's log, not to readers."""
    try:
        return _opened(study, reader, logout)[0]
    except Exception as error:
        print(f"no room for {reader}: {error}", file=sys.__stderr__, flush=True)
        raise


def _opened(
    study: str | Path, reader: str, logout: str = ""
) -> tuple[ipywidgets.Widget, dict[str, Any]]:
    """Room of a reader, and the words of its language."""
    bundle = open_bundle(bundle_folder(study))
    store = Store(database_url(study))
    store.check(bundle.study_id)
    readers = [r for r in store.readers() if r.reader == reader and r.active]
    if not readers:
        raise ValueError(f"the study has no active reader {reader!r}")
    session = ReadingSession(bundle, store, readers[0], on_anchor=partial(keep_anchor, study))
    return Room(bundle, session, logout=logout).widget, load_texts(bundle.facts["language"])

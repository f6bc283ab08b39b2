"""One lesson in a hall: what its telephones and projectors show, and when they are told."""

import asyncio
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import jinja2

from ctlab.view.compare import CompareViewer, compare
from reader_study.lecture.class_results import kappa, rocs, shares
from reader_study.lecture.lesson import Lesson
from reader_study.lecture.slides import crops
from reader_study.room.login import RateLimit
from reader_study.room.page_models import widget_traits
from reader_study.room.phone import OVER

_HERE = Path(__file__).parent
_ROOM = _HERE.parent / "room"
_PUSH_S = 0.4  # between two pictures of the class on the projector
_SECONDS = (5, 600)  # that a slide may be open


class Listener(Protocol):
    """Socket of a telephone or of a projector."""

    def tell(self, state: dict[str, Any]) -> None:
        """Say how things stand."""

    def close(self, code: int | None = None, reason: str | None = None) -> None:
        """Hang up."""


class Hall:
    """A lesson, its telephones and its projectors."""

    def __init__(
        self,
        lesson: Lesson,
        words: dict[str, Any],
        *,
        title: str,
        secret: str,
        stop: Callable[[], None],
    ) -> None:
        self.lesson, self.words, self.title, self.secret, self.stop = (
            lesson,
            words,
            title,
            secret,
            stop,
        )
        self.address = ""
        self.phones: dict[str, Listener] = {}
        self.projectors: set[Listener] = set()
        self.wrong = RateLimit(free=20)
        pictures = [crops(slide) for slide in lesson.slides]
        self.crops = {hashlib.sha256(png).hexdigest(): png for each in pictures for png in each}
        self.crops_of = [[hashlib.sha256(png).hexdigest() for png in each] for each in pictures]
        self.pages = jinja2.Environment(
            loader=jinja2.FileSystemLoader([_HERE, _ROOM / "template"]), autoescape=True
        )
        self.pages.globals["room_texts"] = words
        self.scripts = {
            "viewer.js": str(CompareViewer._esm),
            "phone.js": (_ROOM / "phone.js").read_text("utf-8"),
            "teacher.js": (_HERE / "teacher.js").read_text("utf-8"),
            "teacher.css": f"{CompareViewer._css}\n{(_HERE / 'teacher.css').read_text('utf-8')}",
        }
        self._push_due = False

    # ------------------------------------------------------------ what is shown

    def phone_state(self, device: str) -> dict[str, Any]:
        """What a telephone shows: the question while it can be answered, then the key."""
        lesson, words, slide = self.lesson, self.words, self.lesson.slide
        if lesson.phase in {"lobby", "ended"}:
            return {"id": "", "question": words[f"lecture_{lesson.phase}"], "options": []}
        given, state = lesson.given(device), lesson.phase
        note = {"ready": words["lecture_ready"], "closed": words["lecture_closed"]}.get(state, "")
        if state == "open" and given is not None:
            note = words["lecture_given"]
        ahead = self.crops_of[lesson.index + 1] if lesson.index + 1 < len(lesson.slides) else []
        return {
            "id": lesson.name_of(lesson.index),
            "line": f"{lesson.index + 1} {words['of']} {len(lesson.slides)}",
            "question": slide.question,
            "options": [] if state == "key" else list(slide.options),
            "slider": {"ends": slide.ends, "save": words["save"]} if slide.ends else None,
            "given": given,
            "is_open": state == "open" and given is None,
            "left_s": lesson.left_s,
            "images": []
            if state == "ready"
            else [f"/crop/{h}.png" for h in self.crops_of[lesson.index]],
            "labels": [label for label in slide.labels if label],
            "prefetch": [f"/crop/{h}.png" for h in ahead] if state == "open" else [],
            "note": " · ".join(slide.key) if state == "key" else note,
        }

    def projector_state(self) -> dict[str, Any]:
        """What the projector shows: counts and, of five answers or more, results."""
        lesson, slide = self.lesson, self.lesson.slide
        shown = lesson.shown(lesson.index)
        return {
            "phase": lesson.phase,
            "index": lesson.index,
            "of": len(lesson.slides),
            "devices": len(lesson.devices),
            "online": len(self.phones),
            "left_s": lesson.left_s,
            "question": slide.question,
            "options": [o["text"] for o in slide.options]
            or [f"0 {slide.ends[0]}", f"100 {slide.ends[1]}"],
            "answered": lesson.answered,
            "shown": len(shown),
            "shares": shares(slide, list(shown.values())),
            "kappa": kappa(lesson),
            "key": list(slide.key) if lesson.phase == "key" else [],
            "rocs": rocs(lesson),
        }

    def viewer_state(self) -> dict[str, Any]:
        """Traits of the viewer for the slide on the projector; its pixels go by themselves."""
        slide = self.lesson.slide
        left, right = slide.images()
        viewer = compare(
            left,
            right,
            spacing_mm=slide.spacing_mm,
            window=slide.window,
            labels=slide.labels,
            frame=slide.frame,
            whole_page=True,
            words=self.words["viewer"],
            modes=["pair", "flicker"],
            tag=self.lesson.name_of(self.lesson.index),
        )
        return widget_traits(viewer)

    # ------------------------------------------------------------ pushing

    def tell_class(self) -> None:
        """The phase or the slide has changed: tell everybody."""
        for device, phone in list(self.phones.items()):
            phone.tell(self.phone_state(device))
        self.tell_projectors()

    def tell_projectors(self) -> None:
        """Tell the projectors, not oftener than can be looked at."""
        if not self._push_due:
            self._push_due = True
            asyncio.get_running_loop().call_later(_PUSH_S, self._push)

    def _push(self) -> None:
        self._push_due = False
        state = self.projector_state()
        for projector in list(self.projectors):
            projector.tell(state)

    def open_slide(self, seconds: float) -> None:
        """Open the slide; the clock of this computer closes it."""
        self.lesson.open(min(max(seconds, _SECONDS[0]), _SECONDS[1]))
        if self.lesson.left_s is not None:
            asyncio.get_running_loop().call_later(self.lesson.left_s + 0.01, self._close_if_due)

    def _close_if_due(self) -> None:
        if self.lesson.close_if_due():
            self.tell_class()

    def end(self) -> None:
        """Forget everything, send the telephones away, and stop a moment later."""
        self.lesson.end()
        for phone in list(self.phones.values()):
            phone.close(OVER)
        self.phones.clear()
        self.tell_projectors()
        asyncio.get_running_loop().call_later(4 * _PUSH_S, self.stop)

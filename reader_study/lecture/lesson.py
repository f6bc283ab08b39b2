"""A lesson: who answers what, until when, and how much may be shown. It lives in memory alone.

Nothing is shown of fewer than five answers, and no batch of fewer than five is added to what is
shown: the difference of two pictures on the projector would otherwise be one person's answer.
"""

import secrets
import time
from collections.abc import Callable, Collection, Sequence
from typing import Any

from reader_study.lecture.slides import Slide

SMALLEST = 5
"""Fewest answers that are shown, and fewest that are added at a time."""

LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ"  # none that is read as another
USE = "teaching"


class Lesson:
    """Slides in turn, each opened for answers, closed by the clock here, and told by its key.

    Parameters
    ----------
    slides : at least one
    places : devices at most
    clock : seconds, replaced in tests

    Attributes
    ----------
    code : six letters that let a device in
    phase : ``lobby``, ``ready``, ``open``, ``closed``, ``key`` or ``ended``
    """

    def __init__(
        self,
        slides: Sequence[Slide],
        *,
        places: int = 500,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.slides, self.places, self._clock = list(slides), places, clock
        self.code = "".join(secrets.choice(LETTERS) for _ in range(6))
        self.phase, self.index = "lobby", 0
        self.devices: set[str] = set()
        self.opened: set[int] = set()  # slides whose key was opened
        self._answers: list[dict[str, Any]] = [{} for _ in slides]  # by device, first ones first
        self._shown = [0] * len(self.slides)
        self._closes_at = 0.0

    @property
    def slide(self) -> Slide:
        """The one on the projector."""
        return self.slides[self.index]

    @property
    def left_s(self) -> float | None:
        """Seconds until the slide closes; None unless it is open."""
        return max(0.0, self._closes_at - self._clock()) if self.phase == "open" else None

    # ------------------------------------------------------------ the class

    def join(self, *, kept: Collection[str] | None = None) -> str | None:
        """Name of a new device, random, all that is known of it; None where all are taken.

        Where all are, those that never answered and are not among ``kept``, if that is given, give
        their places back: one computer that asks for hundreds must not lock a class out.
        """
        if self.phase == "ended":
            return None
        if len(self.devices) >= self.places and kept is not None:
            self.devices.intersection_update(
                {*kept, *(d for given in self._answers for d in given)}
            )
        if len(self.devices) >= self.places:
            return None
        device = secrets.token_urlsafe(12)
        self.devices.add(device)
        return device

    def answer(self, device: str, name: str, value: Any) -> bool:
        """Keep an answer; whether it counts. The first of a device stands, however often sent.

        Parameters
        ----------
        name : of the question, :meth:`name_of`
        """
        now_open = self.phase == "open" and self._clock() < self._closes_at
        if not now_open or device not in self.devices or name != self.name_of(self.index):
            return False
        if device in self._answers[self.index] or not self.slide.offers(value):
            return False
        self._answers[self.index][device] = value
        self._show_batch()
        return True

    def given(self, device: str) -> Any:
        """What a device has answered to the slide on the projector."""
        return self._answers[self.index].get(device)

    def name_of(self, index: int) -> str:
        """Name of a question in messages."""
        return f"{self.code}-{index}"

    # ------------------------------------------------------------ the teacher

    def begin(self) -> None:
        """From the lobby to the first slide."""
        if self.phase == "lobby":
            self.phase = "ready"

    def open(self, seconds: float) -> None:
        """Take answers for so long; a slide is opened once."""
        if self.phase == "ready":
            self.phase, self._closes_at = "open", self._clock() + seconds

    def close(self) -> None:
        """Take no more answers."""
        if self.phase == "open":
            self.phase = "closed"

    def close_if_due(self) -> bool:
        """Close a slide whose time is over; whether it was."""
        due = self.phase == "open" and self._clock() >= self._closes_at
        if due:
            self.close()
        return due

    def open_key(self) -> None:
        """Tell what the images were."""
        if self.phase == "closed":
            self.phase = "key"
            self.opened.add(self.index)

    def go(self, step: int) -> None:
        """To a neighbouring slide; one that was closed stays closed."""
        to = self.index + step
        if self.phase in {"lobby", "open", "ended"} or not 0 <= to < len(self.slides):
            return
        self.index = to
        read = bool(self._answers[to]) or to in self.opened
        self.phase = "key" if to in self.opened else "closed" if read else "ready"

    def end(self) -> None:
        """The lesson is over: devices, answers and code are gone."""
        self.phase = "ended"
        self.devices.clear()
        self.opened.clear()
        self._answers = [{} for _ in self.slides]
        self._shown = [0] * len(self.slides)
        self.code = ""

    # ------------------------------------------------------------ what may be shown

    def _show_batch(self) -> None:
        if len(self._answers[self.index]) - self._shown[self.index] >= SMALLEST:
            self._shown[self.index] = len(self._answers[self.index])

    @property
    def answered(self) -> int:
        """Answers to the slide on the projector."""
        return len(self._answers[self.index])

    def shown(self, index: int) -> dict[str, Any]:
        """Answers to a slide by device, as many as may be shown."""
        return dict(list(self._answers[index].items())[: self._shown[index]])

    def rows(self) -> list[dict[str, Any]]:
        """Every answer, a row each, for an export that the teacher asks for.

        Devices are numbered in a random order that no other export repeats; nothing says whose
        they are. The column ``use`` says what the rows are good for.
        """
        order = sorted(self.devices)
        secrets.SystemRandom().shuffle(order)
        number = {device: n for n, device in enumerate(order, start=1)}
        return [
            {
                "use": USE,
                "slide": index + 1,
                "question": slide.question,
                "device": number[device],
                "answer": value,
                "arm": slide.arm,
                "truth": "" if slide.truth is None else int(slide.truth),
            }
            for index, slide in enumerate(self.slides)
            for device, value in sorted(self._answers[index].items(), key=lambda a: number[a[0]])
        ]

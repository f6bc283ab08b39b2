"""Telephones that answer: how one is paired with a screen, and what it shows and sends.

The same page (``phone.js``) is the answer pad of a reader and the answer sheet of a class. A
telephone gets words and answers to choose from, as one message; it decides nothing.
"""

import json
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import segno

LONGEST_MESSAGE = 4000  # bytes that a telephone may send at a time
OVER = 4002
"""Why a telephone's socket was closed for good; ``phone.js`` knows it too."""

_OFFER_S = 120.0


def qr_of(address: str) -> str:
    """QR code of an address as an image for a page (``data:`` address of an SVG).

    Examples
    --------
    >>> qr_of("http://10.0.0.7:8866/pad/abc")[:18]
    'data:image/svg+xml'
    """
    code = segno.make(address, error="m", micro=False)
    return code.svg_data_uri(scale=8, border=4, light="#fff")


def answers_of(
    item: dict[str, Any], words: dict[str, Any], *, pair: bool
) -> list[dict[str, Any]] | None:
    """Answers to choose from: ``value``, ``text``; None for a slider and what needs the images.

    Parameters
    ----------
    item : facts of a question
    words : texts of the room
    pair : two images are compared

    Examples
    --------
    >>> answers_of({"kind": "scale", "answers": ["bad", "good"]}, {}, pair=True)
    [{'value': 1, 'text': 'bad'}, {'value': 2, 'text': 'good'}]
    """
    kind, texts = item["kind"], item.get("answers") or ()
    if kind == "scale":
        return [{"value": i, "text": text} for i, text in enumerate(texts, start=1)]
    if kind == "choice":
        return [{"value": text, "text": text} for text in texts]
    if kind == "preference":
        named = ["left", "right", *(["tie"] if item.get("ties") else [])]
    elif kind == "guess":
        named = ["left", "right", "unsure"] if pair else ["yes", "no", "unsure"]
    else:
        return None
    return [{"value": value, "text": words[value]} for value in named]


def heard(message: str | bytes) -> dict[str, Any]:
    """What a telephone sent: ``id`` and ``value`` of an answer, or ``id`` and ``action``.

    Raises
    ------
    ValueError
        It is nothing that the page sends.
    """
    try:
        said = json.loads(message)
    except (ValueError, RecursionError):
        said = None
    if not isinstance(said, dict) or not isinstance(said.get("id"), str):
        raise ValueError("expected an answer of a telephone, got something else")
    if not isinstance(said.get("value"), int | str | None) or len(str(said.get("value"))) > 200:
        raise ValueError("expected an answer of a telephone, got something else")
    return {name: said[name] for name in ("id", "value", "action") if name in said}


def pad_state(screen: dict[str, Any], words: dict[str, Any]) -> dict[str, Any]:
    """What a reader's telephone shows of a screen of the room: the question, never an image."""
    item = screen.get("item") or {}
    options = answers_of(item, words, pair=screen["pair"]) if item else None
    slider = list(item["answers"]) if item.get("kind") == "slider" else None
    if options is None and slider is None:
        return {"id": "", "line": "", "question": words["pad_wait"], "options": [], "more": []}
    word = words["practice"] if screen["practice"] else words["pair" if screen["pair"] else "image"]
    more = []
    if item["kind"] != "guess":
        options = [*(options or ()), {"value": "cannot-judge", "text": words["cannot_judge"]}]
    if screen["can_undo"]:
        more.append({"action": "undo", "text": words["undo"]})
    side = item.get("side")
    asked = f"{words[f'{side}_image']}: {item['question']}" if side else item["question"]
    line = f"{word} {screen['number']} {words['of']} {screen['of']}"
    return {
        "id": screen["id"],
        "line": line,
        "question": asked,
        "slider": slider and {"ends": slider, "save": words["save"]},
        "options": options,
        "more": more,
        "note": screen.get("problem", ""),
        "given": screen.get("before"),
        "is_open": True,
    }


class Closable(Protocol):
    """A telephone's socket."""

    def close(self, code: int | None = None, reason: str | None = None) -> None:
        """Hang up."""

    def tell(self, state: dict[str, Any]) -> None:
        """Tell the telephone what to show."""


@dataclass(frozen=True)
class Pairing:
    """A telephone belongs to the room of one login of one reader, and to no later one."""

    reader: str
    login: str
    token: str


class Pads:
    """Telephones of readers: one for each, paired by a code that their own screen shows.

    Examples
    --------
    >>> pads = Pads()
    >>> token = pads.offer("R1", "login")
    >>> pads.take(token).reader, pads.take(token)
    ('R1', None)
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._offers: dict[str, tuple[Pairing, float]] = {}
        self._paired: dict[str, Pairing] = {}
        self.open: dict[str, Closable] = {}

    def offer(self, reader: str, login: str) -> str:
        """Code for one telephone, good once and for two minutes; an earlier code is void."""
        token = secrets.token_urlsafe(16)
        kept = (Pairing(reader, login, token), self._clock() + _OFFER_S)
        self._offers = {t: o for t, o in self._offers.items() if o[0].reader != reader}
        self._offers[token] = kept
        return token

    def take(self, token: str) -> Pairing | None:
        """Pairing of a code, which it uses up; the reader's earlier telephone is out."""
        pairing, until = self._offers.pop(token, (None, 0.0))
        if pairing is None or self._clock() > until:
            return None
        self._hang_up([pairing.reader])
        self._paired[pairing.reader] = pairing
        return pairing

    def pairing(self, reader: str, token: str) -> Pairing | None:
        """The pairing that a telephone claims, if it is still that reader's."""
        kept = self._paired.get(reader)
        return kept if kept and secrets.compare_digest(kept.token, token) else None

    def show(self, reader: str, state: dict[str, Any]) -> None:
        """Show a state on the telephone of a reader, if there is one."""
        if (socket := self.open.get(reader)) is not None:
            socket.tell(state)

    def end(self, login: str) -> None:
        """A login is over, and with it the codes and the telephone of its reader."""
        gone = [r for r, pairing in self._paired.items() if pairing.login == login]
        self._hang_up(gone)
        for reader in gone:
            del self._paired[reader]
        self._offers = {t: o for t, o in self._offers.items() if o[0].login != login}

    def _hang_up(self, readers: Sequence[str]) -> None:
        for reader in readers:
            if (socket := self.open.pop(reader, None)) is not None:
                socket.close(OVER)

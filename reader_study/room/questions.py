"""Questions of a trial, and what readers are told, as the bundle and its amendments say."""

from dataclasses import dataclass
from typing import Any

from reader_study.record.bundle import Bundle, ShownTrial
from reader_study.record.store import Event

GUESS, COMMENT, MARKS = "_guess", "_comment", "_marks"


@dataclass(frozen=True)
class Question:
    """One thing to answer: an item of a trial, on one side where it is asked of each image."""

    trial: ShownTrial
    item: str
    facts: dict[str, Any]

    @property
    def id(self) -> str:
        """Name of the question in messages from the browser."""
        return f"{self.trial.token}:{self.item}"


def questions_of(bundle: Bundle, trial: ShownTrial, *, closes_session: bool) -> list[Question]:
    """Questions of a trial in the order they are asked; the guess after the last of a session."""
    asked = []
    for item in bundle.items:
        sides = ("left", "right") if item["about"] == "each" else ("",)
        for side in sides:
            name = f"{item['name']}@{side}" if side else item["name"]
            asked.append(Question(trial, name, {**item, "side": side}))
    if bundle.facts["guess"] and closes_session:
        guess = {"kind": "guess", **bundle.facts["guess"], "marks": [], "side": ""}
        asked.append(Question(trial, GUESS, guess))
    return asked


def facts_in_force(bundle: Bundle, amendments: list[Event]) -> tuple[dict[str, Any], int]:
    """What readers are told, as last amended, and the event since which the consent reads so."""
    facts, since = bundle.facts, 0
    for event in amendments:
        facts = {**facts, **event.payload["facts"]}
        if "ethics.consent" in event.payload["changes"]:
            since = event.seq
    return facts, since

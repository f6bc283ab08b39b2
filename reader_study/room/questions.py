"""Questions of a trial, and what readers are told, as the bundle and its amendments say."""

from dataclasses import dataclass
from statistics import median
from typing import Any

from reader_study.record.bundle import Bundle, ShownTrial
from reader_study.record.store import Answer, Event, latest

GUESS, COMMENT, MARKS, WHERE = "_guess", "_comment", "_marks", "_where"


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
    if bundle.facts["design"].get("mark_difference") and trial.right:
        asked.append(Question(trial, WHERE, {"kind": "where", "marks": [], "side": ""}))
    if bundle.facts["guess"] and closes_session:
        guess = {"kind": "guess", **bundle.facts["guess"], "marks": [], "side": ""}
        asked.append(Question(trial, GUESS, guess))
    return asked


def before(answers: list[Answer], question: Question) -> Any:
    """What was answered before the answer was taken back; None for a first answer."""
    name = (question.trial.token, question.item)
    given = [a.value for a in answers if (a.trial, a.item) == name]
    return next((value for value in reversed(given) if value is not None), None)


def answers_given(answers: list[Answer], asked: list[list[Question]]) -> list[dict[str, Any]]:
    """Answers to the questions of each trial, with the number of the trial (from 1)."""
    given = latest(answers)
    return [
        {
            "id": question.id,
            "number": number,
            "value": given[name].value,
            **{fact: question.facts.get(fact) for fact in ("kind", "answers", "side")},
        }
        for number, questions in enumerate(asked, start=1)
        for question in questions
        if (name := (question.trial.token, question.item)) in given
    ]


def minutes_left(answers: list[Answer], same: list[ShownTrial], trial: ShownTrial) -> int | None:
    """Median seconds per trial so far, times the trials left; None before three are done."""
    tokens = {t.token for t in same}
    spent: dict[str, float] = {}
    for answer in answers:
        if answer.trial in tokens and answer.seconds is not None:
            spent[answer.trial] = spent.get(answer.trial, 0.0) + answer.seconds
    spent.pop(trial.token, None)
    if len(spent) < 3:
        return None
    left = len(same) - same.index(trial)
    return max(1, round(median(spent.values()) * left / 60))


def facts_in_force(bundle: Bundle, amendments: list[Event]) -> tuple[dict[str, Any], int]:
    """What readers are told, as last amended, and the event since which the consent reads so."""
    facts, since = bundle.facts, 0
    for event in amendments:
        facts = {**facts, **event.payload["facts"]}
        if "ethics.consent" in event.payload["changes"]:
            since = event.seq
    return facts, since

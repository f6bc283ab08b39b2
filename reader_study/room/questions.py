"""Questions of a trial, and what readers are told, as the bundle and its amendments say."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from statistics import median
from typing import Any

from reader_study.design.overlay import FIRST
from reader_study.record.bundle import Bundle, ShownTrial
from reader_study.record.store import Answer, Event, latest

GUESS, COMMENT, MARKS, WHERE = "_guess", "_comment", "_marks", "_where"
TRUST = "_trust-"  # then the number of the statement


@dataclass(frozen=True)
class Question:
    """One thing to answer: an item of a trial, on one side where it is asked of each image."""

    trial: ShownTrial
    item: str
    facts: dict[str, Any]

    @property
    def is_first(self) -> bool:
        """It is answered, and locked, before the overlay."""
        return is_first(self.item)

    @property
    def id(self) -> str:
        """Name of the question in messages from the browser."""
        return f"{self.trial.token}:{self.item}"


def is_first(item: str) -> bool:
    """An answer of this name was given before the overlay."""
    return item.partition("@")[0].endswith(FIRST)


def questions_of(bundle: Bundle, trial: ShownTrial, *, closes_session: bool) -> list[Question]:
    """Questions of a trial in the order they are asked; guess and statements end a session."""
    asked = []
    for when in (FIRST, "") if bundle.overlay_design == "sequential" else ("",):
        for item in bundle.items:
            sides = ("left", "right") if item["about"] == "each" else ("",)
            for side in sides:
                name = f"{item['name']}{when}@{side}" if side else f"{item['name']}{when}"
                asked.append(Question(trial, name, {**item, "side": side}))
    if bundle.facts["design"].get("mark_difference") and trial.right:
        asked.append(Question(trial, WHERE, {"kind": "where", "marks": [], "side": ""}))
    if bundle.facts["guess"] and closes_session:
        guess = {"kind": "guess", **bundle.facts["guess"], "marks": [], "side": ""}
        asked.append(Question(trial, GUESS, guess))
    if (trust := bundle.facts.get("trust")) and closes_session:
        form = {"kind": "scale", "answers": trust["answers"], "marks": [], "side": ""}
        for number, text in enumerate(trust["questions"], start=1):
            asked.append(Question(trial, f"{TRUST}{number}", {**form, "question": text}))
    return asked


def overlay_phase(bundle: Bundle, question: Question) -> str:
    """Which words stand over a question: the name of a text, or empty."""
    if question.is_first:
        return "overlay_first"
    if question.trial.overlay is not None:
        return "overlay_shown"
    return "overlay_again" if bundle.overlay_design == "sequential" else ""


def asked_screen(
    question: Question, trials: list[ShownTrial], answers: list[Answer]
) -> dict[str, Any]:
    """What a page shows of a question: its words, where it stands, and what was answered."""
    trial, facts = question.trial, question.facts
    same = [t for t in trials if t.practice == trial.practice and t.session == trial.session]
    comment = latest(answers).get((trial.token, COMMENT))
    return {
        "kind": "question",
        "id": question.id,
        "trial": trial.token,
        "practice": trial.practice,
        "pair": trial.right is not None,
        "number": same.index(trial) + 1,
        "of": len(same),
        "item": {
            name: facts.get(name)
            for name in ("kind", "question", "answers", "ties", "side", "marks")
        },
        "comment": comment.value if comment else "",
        "saved_at": answers[-1].at if answers else "",
        "minutes_left": minutes_left(answers, same, trial),
        "before": before(answers, question),
    }


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


def locked_trials(answers: list[Answer], asked: Iterable[list[Question]]) -> set[str]:
    """Trials of which every first question is answered: the overlay may have been seen.

    Parameters
    ----------
    asked : questions of each trial
    """
    given = latest(answers)
    locked = set()
    for questions in asked:
        first = [q for q in questions if q.is_first]
        if first and all((q.trial.token, q.item) in given for q in first):
            locked.add(first[0].trial.token)
    return locked


def _is_asked(item: str) -> bool:
    return item in {GUESS, WHERE} or item.startswith(TRUST)


def last_undoable(
    answers: list[Answer], *, rule: str, session: int, locked: Collection[str]
) -> Answer | None:
    """The answer that "undo" takes back: of this session, by the protocol's rule, not locked."""
    asked = [a for a in answers if not a.item.startswith("_") or _is_asked(a.item)]
    if rule == "none" or not asked or (rule == "last" and asked[-1].value is None):
        return None
    given = [
        a
        for a in latest(asked).values()
        if a.session == session and not (a.trial in locked and is_first(a.item))
    ]
    return max(given, key=lambda a: a.seq, default=None)

"""Exercises that check themselves and answer with a hint."""

import html
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any


@dataclass(frozen=True)
class Exercise:
    """A task with a judge.

    Attributes
    ----------
    judge : answer -> hint, or None where the answer is right
    reference : makes the right answer; tests run it
    wrong : recorded wrong answers, each with words its hint must hold; tests run them too
    praise : what a right answer shows
    """

    judge: Callable[[Any], str | None]
    reference: Callable[[], Any]
    wrong: tuple[tuple[Any, str], ...]
    praise: str


@dataclass(frozen=True)
class Feedback:
    """Verdict on an answer; prints as a sentence, shows as a box."""

    passed: bool
    text: str

    def __str__(self) -> str:
        return f"{'Right' if self.passed else 'Not yet'}: {self.text}"

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        mark = "✓ Right" if self.passed else "✗ Not yet"
        return f'<div class="ctlab-check"><strong>{mark}.</strong> {html.escape(self.text)}</div>'


def check(name: str, answer: Any) -> Feedback:
    """Judge the answer to an exercise, named ``chapter.exercise``.

    Raises
    ------
    ValueError
        There is no such exercise.

    Examples
    --------
    >>> check("physics.hu_of_mu", 0.0)
    Not yet: HU is relative to water: subtract 0.0193 from 0.0212, divide by 0.0193, times 1000.
    >>> check("physics.hu_of_mu", 98.4).passed
    True
    """
    exercise = find(name)
    hint = exercise.judge(answer)
    return Feedback(hint is None, exercise.praise if hint is None else hint)


def find(name: str) -> Exercise:
    """The exercise of that name; ``ValueError`` lists those of the chapter where it is unknown."""
    chapter, _, task = name.partition(".")
    try:
        exercises: dict[str, Exercise] = import_module(
            f"ctlab.lessons.chapters.{chapter}"
        ).EXERCISES
    except (ModuleNotFoundError, AttributeError):
        raise ValueError(
            f"no chapter {chapter!r} with exercises; a name is 'chapter.task'"
        ) from None
    if task not in exercises:
        raise ValueError(f"no exercise {name!r}; the chapter has {', '.join(exercises)}")
    return exercises[task]


def number(answer: Any) -> float | None:
    """The answer as a number, or None where it is not one."""
    try:
        return float(answer)
    except (TypeError, ValueError):
        return None


def near(answer: Any, expected: float, *, relative: float = 0.02) -> bool:
    """Whether an answer is a number within a relative tolerance of the wanted one."""
    value = number(answer)
    return value is not None and abs(value - expected) <= relative * abs(expected)

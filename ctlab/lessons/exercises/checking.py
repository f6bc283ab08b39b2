"""Exercises that check themselves and answer with a hint, a bigger one at each try."""

import html
import math
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any


@dataclass(frozen=True)
class Exercise:
    """A task with a judge.

    Attributes
    ----------
    judge : answer -> None where the answer is right, else what is wrong with it; "" where the
        judge cannot tell
    steps : hints for one who is stuck: a question, then a step, then the numbers of it
    reference : makes the right answer; tests run it
    wrong : recorded wrong answers, each with words its hint must hold; tests run them too
    praise : what a right answer shows
    """

    judge: Callable[[Any], str | None]
    reference: Callable[[], Any]
    wrong: tuple[tuple[Any, str], ...]
    praise: str
    steps: tuple[str, str, str]


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


_tried: dict[str, list[str]] = {}


def check(name: str, answer: Any) -> Feedback:
    """Judge the answer to an exercise, named ``chapter.exercise``.

    Each further wrong answer earns a bigger hint: what is wrong with it, or a question; then a
    step; then the numbers of that step. The same answer again earns nothing new.

    Raises
    ------
    ValueError
        There is no such exercise.

    Examples
    --------
    >>> check("physics.hu_of_mu", 98.4).passed
    True
    >>> check("physics.hu_of_mu", 0.0)
    Not yet: Which matter has 0 HU, and which has -1000?
    """
    exercise = find(name)
    fault = exercise.judge(answer)
    if fault is None:
        _tried.pop(name, None)
        return Feedback(True, exercise.praise)
    tried = _tried.setdefault(name, [])
    if repr(answer) not in tried:
        tried.append(repr(answer))
    step = exercise.steps[min(tried.index(repr(answer)), len(exercise.steps) - 1)]
    first = len(tried) == 1 or repr(answer) == tried[0]
    return Feedback(False, fault if fault and first else f"{fault} {step}".strip())


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
    """The answer as a number, or None where it is none: words, truth values, NaN, infinity.

    Examples
    --------
    >>> number("3"), number(float("nan")), number(True)
    (3.0, None, None)
    """
    if isinstance(answer, bool):
        return None
    try:
        value = float(answer)
    except (TypeError, ValueError):
        return None
    return value if math.isfinite(value) else None


def near(answer: Any, expected: float, *, relative: float = 0.02) -> bool:
    """Whether an answer is a number within a relative tolerance of the wanted one."""
    value = number(answer)
    return value is not None and abs(value - expected) <= relative * abs(expected)


def numeric(
    reference: Callable[[], float],
    faults: dict[float, str],
    steps: tuple[str, str, str],
    praise: str,
    *,
    unit: str = "",
    relative: float = 0.02,
) -> Exercise:
    """Exercise whose answer is one number.

    Parameters
    ----------
    reference : makes the right answer
    faults : what is wrong with an answer near each of these numbers
    relative : tolerance; an answer of zero has none
    """
    asked = f"Give one number{f', {unit}' if unit else ''}."

    def judge(answer: Any) -> str | None:
        if number(answer) is None:
            return asked
        if near(answer, reference(), relative=relative):
            return None
        return next((text for v, text in faults.items() if near(answer, v, relative=relative)), "")

    wrong = (*faults.items(), ("a guess", asked), (float("nan"), asked))
    return Exercise(judge, reference, wrong, praise, steps)

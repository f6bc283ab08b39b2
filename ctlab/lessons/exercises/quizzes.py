"""Quizzes whose every answer explains itself: plain disclosure boxes that need no script."""

import html
from dataclasses import dataclass
from importlib import import_module


@dataclass(frozen=True)
class Option:
    """An answer and what it tells about the thinking behind it."""

    text: str
    feedback: str
    is_right: bool = False


@dataclass(frozen=True)
class Question:
    """A question with exactly one right option."""

    text: str
    options: tuple[Option, ...]

    def __post_init__(self) -> None:
        if sum(option.is_right for option in self.options) != 1:
            raise ValueError(f"a question needs exactly one right option: {self.text!r}")


@dataclass(frozen=True)
class Quiz:
    """Questions of one chapter; shows as boxes that open with the keyboard or a click."""

    questions: tuple[Question, ...]

    def _repr_html_(self) -> str:
        return f'<div class="ctlab-quiz">{"".join(map(_fieldset, self.questions))}</div>'


def quiz(chapter: str) -> Quiz:
    """The quiz of a chapter."""
    try:
        return Quiz(import_module(f"ctlab.lessons.chapters.{chapter}").QUIZ)
    except (ModuleNotFoundError, AttributeError):
        raise ValueError(f"there is no quiz for a chapter {chapter!r}") from None


def _fieldset(question: Question) -> str:
    options = "".join(map(_details, question.options))
    return f"<fieldset><legend>{html.escape(question.text)}</legend>{options}</fieldset>"


def _details(option: Option) -> str:
    verdict = "Right." if option.is_right else "No."
    return (
        f"<details><summary>{html.escape(option.text)}</summary>"
        f'<p><span class="verdict">{verdict}</span> {html.escape(option.feedback)}</p></details>'
    )

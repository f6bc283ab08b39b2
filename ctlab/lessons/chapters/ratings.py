"""Exercises and quiz of the chapter on the statistics of ratings."""

import math
from typing import Any

from ctlab.lessons.exercises.checking import Exercise, near, number
from ctlab.lessons.exercises.quizzes import Option, Question


def _judge_odds(answer: Any) -> str | None:
    if near(answer, math.exp(0.7)):
        return None
    if near(answer, 0.7):
        return "That is the coefficient, in logits. Odds multiply: take its exponential."
    if near(answer, 10**0.7):
        return "The logit uses the natural logarithm: exp, not ten to the power."
    if number(answer) is None:
        return "Give one number."
    return "An odds ratio is the exponential of the coefficient."


def _judge_verdict(answer: Any) -> str | None:
    word = str(answer).strip().lower()
    if word in {"non-inferior", "noninferior"}:
        return None
    if word == "superior":
        return "The interval holds zero, so the new arm may be a little worse. Look at the margin."
    if word == "inconclusive":
        return "Inconclusive would be an interval that reaches below the margin. This one does not."
    return "Choose from superior, non-inferior, inconclusive, inferior."


EXERCISES = {
    "odds_ratio": Exercise(
        _judge_odds,
        lambda: math.exp(0.7),
        ((0.7, "exponential"), (5.01, "natural"), ("x", "one number"), (1, "exponential")),
        "the odds of any better answer double with the new arm.",
    ),
    "verdict": Exercise(
        _judge_verdict,
        lambda: "non-inferior",
        (("superior", "margin"), ("inconclusive", "below the margin"), ("good", "Choose")),
        "the whole interval lies above minus the margin, though it holds zero.",
    ),
}

QUIZ = (
    Question(
        "p = 0.30 for the difference between arms. Are they equivalent?",
        (
            Option(
                "Yes, there is no difference.",
                "No evidence of a difference is no evidence of none. A tiny study always gives a "
                "large p. Equivalence needs a margin, and an interval inside it.",
            ),
            Option(
                "Unknown. Look at the interval and at the margin fixed before.",
                "The interval says which differences are still possible.",
                is_right=True,
            ),
            Option("No.", "That does not follow either."),
        ),
    ),
    Question(
        "Two readers agree on 90 % of cases, and kappa is near zero. What is wrong?",
        (
            Option(
                "One of them guessed.",
                "Perhaps, but kappa cannot tell. If nearly all cases get the same answer, chance "
                "alone gives such agreement, and kappa subtracts it.",
            ),
            Option(
                "Nothing: nearly all cases were alike, so the cases cannot show agreement.",
                "Report the table, and a coefficient such as AC1 beside kappa.",
                is_right=True,
            ),
            Option("The software.", "It is a known property of kappa, not a bug."),
        ),
    ),
    Question(
        "May five-point ratings be averaged?",
        (
            Option(
                "Always.",
                "A mean assumes that the step from 1 to 2 is worth as much as that from 4 to 5. "
                "Recode the scale and the mean's verdict may change.",
            ),
            Option(
                "As a description with care; for inference use their order.",
                "An ordinal model gives the same answer for every coding of the scale.",
                is_right=True,
            ),
            Option(
                "Never, not even to look.", "Looking is allowed. Deciding by it is the trouble."
            ),
        ),
    ),
)

"""Exercises and quiz of the chapter on the statistics of ratings."""

import math
from typing import Any

from ctlab.lessons.exercises.checking import Exercise, numeric
from ctlab.lessons.exercises.quizzes import Option, Question


def _judge_verdict(answer: Any) -> str | None:
    word = str(answer).strip().lower()
    if word in {"non-inferior", "noninferior"}:
        return None
    if word == "superior":
        return "The interval holds zero, so the new arm may be a little worse. Look at the margin."
    if word == "inconclusive":
        return "Inconclusive would be an interval that reaches below the margin. This one does not."
    return "Choose from superior, non-inferior, inconclusive, inferior."


EXERCISES: dict[str, Exercise] = {
    "odds_ratio": numeric(
        lambda: math.exp(0.7),
        {
            0.7: "That is the coefficient, in logits. Odds multiply: take its exponential.",
            5.01: "The logit uses the natural logarithm, not that to base ten.",
        },
        (
            "On which scale is the coefficient: odds, or their logarithm?",
            "An odds ratio is the exponential of a difference of logits.",
            "exp(0.7).",
        ),
        "the odds of any better answer double with the new arm.",
    ),
    "verdict": Exercise(
        _judge_verdict,
        lambda: "non-inferior",
        (("superior", "margin"), ("inconclusive", "below the margin"), ("good", "Choose")),
        "the whole interval lies above minus the margin, though it holds zero.",
        (
            "Where does the interval lie: beside zero, or beside the margin?",
            "Compare the lower end of the interval with the margin, then with zero.",
            "-0.3 lies above the margin of -0.5, and below zero.",
        ),
    ),
    "kappa": numeric(
        lambda: (0.8 - 0.6) / (1 - 0.6),
        {
            0.2: "That is agreement beyond chance. How much was there to gain?",
            0.8: "That is plain agreement.",
        },
        (
            "How much agreement would chance give, and how much is possible beyond it?",
            "Divide what was gained over chance by what could have been gained.",
            "(0.8 - 0.6) over (1 - 0.6).",
        ),
        "0.5, from an agreement of 80 %: kappa without its table says little.",
    ),
    "probability": numeric(
        lambda: 3 / 4,
        {
            3: "Those are the odds. What is the probability?",
            1 / 4: "That is the other answer's.",
            1 / 3: "Three to one: three of how many?",
        },
        (
            "Three to one: of how many cases are three?",
            "A probability is odds over odds plus one.",
            "3 over 4.",
        ),
        "0.75.",
        unit="between 0 and 1",
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

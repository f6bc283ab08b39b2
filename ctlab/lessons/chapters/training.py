"""Exercises and quiz of the chapter on training an OT-CycleGAN."""

from typing import Any

from ctlab.lessons.exercises.checking import Exercise, near, number
from ctlab.lessons.exercises.quizzes import Option, Question


def _judge_penalty(answer: Any) -> str | None:
    if near(answer, 4.0):
        return None
    if near(answer, 9.0):
        return "That is the squared slope. The penalty is the squared distance of the slope from 1."
    if near(answer, 2.0):
        return "That is the distance from 1. Square it."
    if near(answer, (0.75 - 1) ** 2):
        return (
            "0.75 is the slope for one pixel. The norm runs over all 16: 0.75 times the root of 16."
        )
    if number(answer) is None:
        return "Give one number."
    return "Slope = 0.75 * sqrt(16) = 3. The penalty is (slope - 1) squared."


EXERCISES = {
    "penalty": Exercise(
        _judge_penalty,
        lambda: (0.75 * 16**0.5 - 1) ** 2,
        ((9, "squared slope"), (2, "Square it"), (0.0625, "one pixel"), ("x", "one"), (1, "sqrt")),
        "a critic three times too steep pays 4 times the penalty weight.",
    ),
}

QUIZ = (
    Question(
        "The generator loss has been flat for an hour. What does it tell you?",
        (
            Option(
                "Training has converged.",
                "In a game both sides move. A flat loss may hide progress, a cycle, or a collapse "
                "to the identity. Watch measures that mean something, such as the noise removed.",
            ),
            Option(
                "Little. Look at what is removed, at the HU bias and at the degrader's noise.",
                "Adversarial losses are relative to an opponent that moves as well.",
                is_right=True,
            ),
            Option("The critic is broken.", "It may be. The loss alone does not tell."),
        ),
    ),
    Question(
        "Why can the network not simply return its input?",
        (
            Option(
                "It can, and this is the most common failure.",
                "The identity has cycle error zero. Only the critics object, and they are outvoted "
                "if the cycle's weight is too large for the noise at hand.",
                is_right=True,
            ),
            Option(
                "The cycle term forbids it.",
                "On the contrary: the identity is the cycle term's favourite.",
            ),
            Option("Because it has a different architecture.", "A zeroed last layer is enough."),
        ),
    ),
    Question(
        "Training saw no pairs. May the result be checked with pairs?",
        (
            Option(
                "No, that would be cheating.",
                "Cheating is to *tune* on the test pairs. Checking once, on slices that nobody "
                "trained or tuned on, is what makes a claim.",
            ),
            Option(
                "Yes, where truth exists: simulated doses, phantoms, dedicated scans.",
                "And say that the low dose was simulated.",
                is_right=True,
            ),
            Option("It is not possible.", "Simulation gives pairs, for checking as for training."),
        ),
    ),
)

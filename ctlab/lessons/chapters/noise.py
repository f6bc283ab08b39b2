"""Exercises and quiz of the chapter on noise and dose."""

from typing import Any

from ctlab.lessons.exercises.checking import Exercise, near, number
from ctlab.lessons.exercises.quizzes import Option, Question


def _judge_dose(answer: Any) -> str | None:
    value = number(answer)
    if value is None:
        return "Give one number: the dose as a fraction of the scan's own."
    if near(value, (12 / 48) ** 2):
        return None
    if near(value, 12 / 48):
        return "Noise does not fall in proportion to dose: its square does. Square the ratio."
    if near(value, (48 / 12) ** 2) or near(value, 48 / 12):
        return "A dose above 1 would mean more photons, and less noise. Turn the ratio over."
    return "Start from sigma ~ 1 / sqrt(dose): dose = (12 / 48) squared."


EXERCISES = {
    "dose_from_noise": Exercise(
        _judge_dose,
        lambda: (12 / 48) ** 2,
        ((0.25, "Square"), (16.0, "Turn the ratio"), ("low", "one number"), (0.5, "1 / sqrt")),
        "four times the noise costs a factor of sixteen in dose.",
    ),
}

QUIZ = (
    Question(
        "The dose is halved. By how much does the noise SD grow, as long as photons dominate?",
        (
            Option("It doubles.", "The variance doubles. The SD grows by its square root."),
            Option(
                "By the square root of two, about 41 %.",
                "Counts are Poisson: the variance of the logarithm goes with one over the count.",
                is_right=True,
            ),
            Option(
                "Not at all in a modern scanner.",
                "No reconstruction creates photons. It can hide noise, at a price.",
            ),
        ),
    ),
    Question(
        "White noise is added to a reconstructed slice. What is wrong with it as low-dose CT?",
        (
            Option(
                "Nothing, if its SD is right.",
                "SD is one number. CT noise is correlated, streaky, and stronger in thick paths; "
                "a network trained on white noise learns to remove the wrong thing.",
            ),
            Option(
                "Its texture, its place and its tails are wrong.",
                "Filter, patient and photon starvation shape real noise; white noise knows none.",
                is_right=True,
            ),
            Option("It is too weak.", "Its SD can be set at will. The SD is not the problem."),
        ),
    ),
    Question(
        "At very few photons, dark streaks join the shoulders. Where do they come from?",
        (
            Option(
                "From scatter.",
                "Scatter makes cupping and shading. The simulation has none, and still streaks.",
            ),
            Option(
                "From rays with next to no counts, whose logarithm is large, noisy and biased.",
                "The rays through both shoulders starve first. Filtering spreads them as streaks.",
                is_right=True,
            ),
            Option(
                "From patient motion.",
                "Motion streaks too, but here every view sees the same frozen slice.",
            ),
        ),
    ),
)

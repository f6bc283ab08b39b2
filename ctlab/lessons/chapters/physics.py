"""Exercises and quiz of the chapter on CT physics and HU."""

from typing import Any

from ctlab.lessons.exercises.checking import Exercise, near
from ctlab.lessons.exercises.quizzes import Option, Question


def _judge_hu(answer: Any) -> str | None:
    if near(answer, 1000 * (0.0212 - 0.0193) / 0.0193):
        return None
    if near(answer, 0.0984):
        return "The ratio is right; HU are thousandths, so multiply it by 1000."
    if near(answer, 1000 * 0.0212 / 0.0193):
        return "This is relative to vacuum. Water must come out as 0 HU: subtract it first."
    return "HU is relative to water: subtract 0.0193 from 0.0212, divide by 0.0193, times 1000."


EXERCISES = {
    "hu_of_mu": Exercise(
        _judge_hu,
        lambda: 1000 * (0.0212 - 0.0193) / 0.0193,
        ((0.098446, "thousandths"), (1098.4, "subtract it first"), (3.0, "relative to water")),
        "about 98 HU, denser than water: contrast-enhanced blood has such values.",
    ),
}

QUIZ = (
    Question(
        "A nodule looks white in the lung window. What do you know?",
        (
            Option(
                "It is calcified.",
                "White only means above the window's upper end, 150 HU here, and display clips "
                "there. Soft tissue in contrast medium and calcium look alike. Read the HU.",
            ),
            Option(
                "Its HU lie near or above the upper end of the window.",
                "Grey is not HU. The window decides what white stands for.",
                is_right=True,
            ),
            Option(
                "It is denser than the heart.",
                "Both may be clipped to the same white. The lung window cannot rank them.",
            ),
        ),
    ),
    Question(
        "Why does filtered back-projection filter?",
        (
            Option(
                "To remove noise.",
                "The ramp does the opposite: it lifts high frequencies, and noise with them.",
            ),
            Option(
                "Because back-projection alone samples the centre of frequency space too densely.",
                "All views cross there, so the sum is blurred. The ramp undoes this weight.",
                is_right=True,
            ),
            Option(
                "Because detectors are not perfect.",
                "Even with perfect detectors plain back-projection gives a blurred image.",
            ),
        ),
    ),
    Question(
        "Pixels outside the scan circle hold -2048. What are they?",
        (
            Option(
                "Very thin air.",
                "Nothing is thinner than vacuum, and vacuum lies near -1000 HU.",
            ),
            Option(
                "A fill value that means: not measured.",
                "It must be masked before any mean, histogram or metric is computed.",
                is_right=True,
            ),
            Option(
                "An error in the file.", "It is common practice, and the DICOM header can name it."
            ),
        ),
    ),
)

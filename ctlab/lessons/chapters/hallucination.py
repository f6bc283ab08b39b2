"""Exercises and quiz of the chapter on hallucination and harm."""

from typing import Any

from ctlab.lessons.exercises.checking import Exercise, near, number
from ctlab.lessons.exercises.quizzes import Option, Question


def _judge_invented(answer: Any) -> str | None:
    if near(answer, 150.0, relative=0.001):
        return None
    if near(answer, 250.0):
        return "That is everybody who is sick afterwards. A hundred of them were sick before."
    if near(answer, 15.0) or near(answer, 0.15):
        return "That is a share or a percentage. How many of the thousand patients are it?"
    if near(answer, 100.0):
        return "Those were sick before. How many more must there be for the piles to match?"
    if number(answer) is None:
        return "Give one number of patients."
    return "Matching the pile needs 25 % of 1,000 sick patients. Only 10 % were."


def _judge_kept(answer: Any) -> str | None:
    if near(answer, 0.6, relative=0.01):
        return None
    if near(answer, 60.0, relative=0.01):
        return "That is in per cent. Give the share, between 0 and 1."
    if near(answer, 36 / 70, relative=0.01):
        return "The place was not empty before: subtract what the same place shows without lesion."
    if near(answer, 46 / 60, relative=0.01) or near(answer, 46 / 70, relative=0.01):
        return "Subtract the place without the lesion, after denoising as well."
    if number(answer) is None:
        return "Give one number."
    return "(46 - 10) HU came out of the 60 HU that were put in."


EXERCISES = {
    "invented": Exercise(
        _judge_invented,
        lambda: 0.25 * 1000 - 0.10 * 1000,
        (
            (250, "sick before"),
            (0.15, "share or a percentage"),
            (100, "How many more"),
            ("few", "number of patients"),
            (0, "25 %"),
        ),
        "150 at least, whatever the network, if it does what its critics ask.",
    ),
    "kept": Exercise(
        _judge_kept,
        lambda: (46 - 10) / 60,
        (
            (60, "per cent"),
            (46 / 60, "without the lesion"),
            (36 / 70, "not empty"),
            ("most", "one number"),
            (1, "46 - 10"),
        ),
        "0.6. A nodule that was faint before is fainter now.",
    ),
}

QUIZ = (
    Question(
        "A network finds faint lesions better than the ideal observer does on its input. What now?",
        (
            Option(
                "Publish: the network is better than ideal.",
                "Nothing computed from an image holds more information about the lesion than the "
                "image. Something leaked, or lesions are drawn where lesions are expected.",
            ),
            Option(
                "Look for the leak: test images in the training, or a prior that draws lesions.",
                "The ceiling is a theorem, if signal and background are known exactly.",
                is_right=True,
            ),
            Option(
                "The ideal observer was badly trained.",
                "It is not trained. It is computed from the noise.",
            ),
        ),
    ),
    Question(
        "The denoised image agrees with the projections to within their noise. Is it true?",
        (
            Option(
                "Yes, the measurement is the judge.",
                "Images that differ by what the scan cannot see agree with it equally well. So do "
                "images that differ by less than the noise.",
            ),
            Option(
                "It is not contradicted. Many images are not.",
                "What is added beyond the data comes from the prior, and may be wrong.",
                is_right=True,
            ),
            Option("No, agreement means overfitting.", "Agreement within the noise is wanted."),
        ),
    ),
    Question(
        "Nobody has ever noticed a hallucination of this product. How safe is it?",
        (
            Option(
                "Safe: somebody would have noticed.",
                "A nodule that was erased leaves calm lung, and calm lung is what everybody "
                "expects. Without truth nobody can notice.",
            ),
            Option(
                "Unknown. Ask for lesions that were put in, and counted.",
                "Harm that cannot be seen in use has to be measured before use.",
                is_right=True,
            ),
            Option(
                "Unsafe, all networks hallucinate.",
                "Some hardly ever do, in the range they were tested in. Measure, do not assume.",
            ),
        ),
    ),
)

"""Exercises and quiz of the chapter on hallucination and harm."""

from collections.abc import Mapping
from typing import Any

from ctlab.lessons.exercises.checking import Exercise, near, number, numeric
from ctlab.lessons.exercises.quizzes import Option, Question
from ctlab.lessons.live.figure import live_answer
from ctlab.view.live.scene import STATE, without_last_nodule

LOST = 0.9
"""Share of its contrast below which a nodule counts as lost in the game of the live figure."""


def _judge_lost(answer: Any) -> str | None:
    setting = getattr(answer, "setting", answer)
    if not isinstance(setting, Mapping) or set(setting) - set(STATE):
        return "Give the settings of the live figure: a dictionary, as it stands under the figure."
    if setting.get("network", "shipped") != "shipped" or setting.get("strength", 1) != 1:
        return "It is about the shipped network at its full strength."
    if without_last_nodule(setting.get("edits", [])) is None:
        return "There is no nodule in it. Stamp one with the brush."
    try:
        kept = live_answer(setting).numbers["kept"] or 0.0
    except (ValueError, KeyError) as error:
        return f"These are no settings of the live figure: {error}."
    if kept < LOST:
        return None
    return f"The kit finds {100 * kept:.0f} % of its contrast left. Make it fainter or smaller."


def _equal_dose() -> float:
    """Dose whose undenoised image has the RMSE of the network's answer at a tenth of the dose.

    The variance of the noise grows as 1/dose - 1, as in :func:`ctlab.view.live.scene.compose`.
    """
    told = live_answer({"dose": 0.1}).numbers
    ratio = float(told["rmse_after_hu"] or 0) / float(told["rmse_before_hu"] or 1)
    return 1 / (1 + (1 / 0.1 - 1) * ratio**2)


def _judge_equal_dose(answer: Any) -> str | None:
    setting = getattr(answer, "setting", answer)
    dose = setting.get("dose") if isinstance(setting, Mapping) else setting
    if number(dose) is None:
        return "Give the settings of the live figure, or the dose alone as a share of one."
    if near(dose, _equal_dose(), relative=0.06):
        return None
    if near(dose, 100 * _equal_dose(), relative=0.06):
        return "That is in per cent. Give the share, between 0 and 1."
    if near(dose, 0.1):
        return "That is the dose of the denoised image. At which dose is the other one as good?"
    return ""


_FAINT = {"kind": "ground glass", "y": 45, "x": 125, "diameter_mm": 4, "hu": -800}

EXERCISES: dict[str, Exercise] = {
    "lost": Exercise(
        _judge_lost,
        lambda: {"network": "shipped", "dose": 0.05, "edits": [_FAINT]},
        (
            ("faint", "a dictionary"),
            ({"network": "eraser", "edits": [_FAINT]}, "shipped network"),
            ({"edits": []}, "no nodule"),
            ({"edits": [{**_FAINT, "kind": "solid", "diameter_mm": 9, "hu": 0}]}, "fainter"),
            ({"dose": 2.0, "edits": [_FAINT]}, "no settings"),
        ),
        "computed again from your settings: less than nine tenths are left.",
        (
            "Which nodules does the noise hide: large or small, dense or faint ones?",
            "Stamp ground glass, make it small, and move its HU towards that of the lung.",
            "A diameter of 4 mm and -800 HU, at a twentieth of the dose.",
        ),
    ),
    "equal_dose": Exercise(
        _judge_equal_dose,
        _equal_dose,
        (
            ("a quarter", "as a share"),
            ({"network": "shipped"}, "as a share"),
            ({"dose": 0.1, "edits": []}, "dose of the denoised image"),
            (22.6, "per cent"),
        ),
        "by this error. By the task of finding a faint nodule it may be worth nothing.",
        (
            "Which of the two errors belongs to the image without the network?",
            "Note the right one at a tenth of the dose, then raise it until the left is as large.",
            "Its square is to fall by the square of right over left; it goes with 1/dose - 1.",
        ),
    ),
    "invented": numeric(
        lambda: 0.25 * 1000 - 0.10 * 1000,
        {
            250: "That is everybody who is sick afterwards. A hundred of them were sick before.",
            15: "That is a percentage. How many of the thousand patients are it?",
            0.15: "That is a share. How many of the thousand patients are it?",
            100: "Those were sick before. How many more must there be for the piles to match?",
        },
        (
            "How many are sick before, and how many must be sick for the piles to match?",
            "Take the difference of the two numbers of sick patients, out of one thousand.",
            "25 % of 1,000, less 10 % of 1,000.",
        ),
        "150 at least, whatever the network, if it does what its critics ask.",
        unit="the number of patients",
        relative=0.001,
    ),
    "kept": numeric(
        lambda: (46 - 10) / 60,
        {
            60: "That is in per cent. Give the share, between 0 and 1.",
            36 / 70: (
                "The place was not empty before: subtract what the same place shows without lesion."
            ),
            46 / 60: "Subtract the place without the lesion, after denoising as well.",
            46 / 70: (
                "Subtract what the place shows without the lesion; divide by what was put in."
            ),
        },
        (
            "What does the same place show after denoising, without the lesion?",
            "Subtract that, and divide by what was put in.",
            "(46 - 10) over 60.",
        ),
        "0.6. A nodule that was faint before is fainter now.",
        relative=0.01,
    ),
    "auc": numeric(
        lambda: 0.9214,
        {
            0.9772: "Two draws are compared, each with its noise: divide d' by the root of two.",
            2: "That is d' itself. How often does the signal win?",
        },
        (
            "How often is the response with the lesion larger than the one without?",
            "AUC is the normal distribution function of d' over the root of two.",
            "The normal distribution function at 1.414.",
        ),
        "0.92. No network that sees this image alone can do better.",
        unit="between 0 and 1",
        relative=0.005,
    ),
    "patients": numeric(
        lambda: 19,
        {
            20: "One fewer will do: the next patient is the twentieth.",
            5: "That is the percentage. Of how many is one patient five per cent?",
        },
        (
            "Of how many equally likely places is the next patient's one?",
            "With n patients the next one is worst with chance one in n + 1.",
            "1 / (n + 1) is at most 0.05.",
        ),
        "19, and with so few the bound is the worst patient of all.",
        unit="the number of patients",
        relative=0.001,
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

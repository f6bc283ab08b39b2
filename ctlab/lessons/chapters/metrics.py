"""Exercises and quiz of the chapter on metrics."""

import math
from typing import Any

from ctlab.lessons.exercises.checking import Exercise, near, number
from ctlab.lessons.exercises.quizzes import Option, Question


def _judge_psnr(answer: Any) -> str | None:
    if near(answer, 20 * math.log10(1500 / 30), relative=0.005):
        return None
    if near(answer, 10 * math.log10(1500 / 30), relative=0.005):
        return "RMSE is already a root: take 20 times the logarithm, or 10 times that of the MSE."
    if near(answer, 20 * math.log10(4095 / 30), relative=0.005):
        return "That is the range of 12-bit storage. The question says: in the lung window."
    if number(answer) is None:
        return "Give one number, in dB."
    return "PSNR = 20 log10(range / RMSE), with the width of the window as the range."


def _judge_sigma(answer: Any) -> str | None:
    value = number(answer)
    if value is None:
        return "Give the standard deviation of the blur in pixels."
    if value in (3, 4):
        return "That is where PSNR is highest. How much of the smallest discs is left there?"
    if value > 1.0:
        return "Less than half of the contrast of the 2 mm discs is left. Blur less."
    if value < 0.8:
        return "The discs are safe here, but a little more blur still keeps half of them."
    return None


EXERCISES = {
    "psnr_of_rmse": Exercise(
        _judge_psnr,
        lambda: 20 * math.log10(1500 / 30),
        ((16.99, "already a root"), (42.7, "12-bit"), ("much", "one number"), (50.0, "width")),
        "about 34 dB. In another window the same 30 HU would be another number of dB.",
    ),
    "blur_for_small_discs": Exercise(
        _judge_sigma,
        lambda: 1.0,
        ((4, "PSNR is highest"), (2, "Less than half"), (0, "a little more"), (None, "pixels")),
        "the blur that a 2 mm lesion tolerates is far below the one that PSNR asks for.",
    ),
}

QUIZ = (
    Question(
        "Method A has 2 dB more PSNR than method B. What follows for patients?",
        (
            Option(
                "A is safer.",
                "Higher PSNR is not safer. You saw an image without its tumour score best: few "
                "pixels changed, and the metric counts pixels, not tumours.",
            ),
            Option(
                "Nothing yet: PSNR is a mean over all pixels, and lesions are few pixels.",
                "Ask for a task: can lesions of the size that matters still be found?",
                is_right=True,
            ),
            Option(
                "B needs retuning until it reaches A.",
                "Tuning for PSNR tunes for smoothness. It may move B in the wrong direction.",
            ),
        ),
    ),
    Question(
        "Two papers report PSNR of chest CT: 28 dB and 45 dB. Which method is better?",
        (
            Option(
                "The one with 45 dB.",
                "With another window, clip or range the same image moves by many dB.",
            ),
            Option(
                "One cannot tell without range, window, mask and data.",
                "A PSNR without its range is a number without a unit.",
                is_right=True,
            ),
            Option(
                "The one with 28 dB, because it is honest.",
                "Low numbers are no sign of honesty either. Ask how they were computed.",
            ),
        ),
    ),
    Question(
        "The reference of your PSNR is a routine-dose scan. What does the PSNR measure?",
        (
            Option(
                "The distance to the patient's true attenuation.",
                "The reference is noisy too. A perfect image would not reach infinite PSNR.",
            ),
            Option(
                "The distance to another noisy image.",
                "Whoever reproduced the reference's noise would win. Only phantoms have truth.",
                is_right=True,
            ),
            Option(
                "The quality that a radiologist sees.",
                "Readers judge tasks. Ratings and PSNR often disagree; later chapters ask readers.",
            ),
        ),
    ),
)

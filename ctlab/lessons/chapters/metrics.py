"""Exercises and quiz of the chapter on metrics."""

import math

from ctlab.lessons.exercises.checking import Exercise, numeric
from ctlab.lessons.exercises.quizzes import Option, Question

EXERCISES: dict[str, Exercise] = {
    "psnr_of_rmse": numeric(
        lambda: 20 * math.log10(1500 / 30),
        {
            10 * math.log10(1500 / 30): (
                "RMSE is already a root: take 20 times the logarithm, or 10 times that of the MSE."
            ),
            20 * math.log10(4095 / 30): (
                "That is the range of 12-bit storage. The question says: in the lung window."
            ),
        },
        (
            "Which range belongs to the lung window?",
            "PSNR is 20 times the logarithm to base ten of range over RMSE.",
            "20 log10(1500 / 30).",
        ),
        "about 34 dB. In another window the same 30 HU would be another number of dB.",
        unit="in dB",
        relative=0.005,
    ),
    "blur_for_small_discs": numeric(
        lambda: 1.0,
        {
            4: "That is where PSNR is highest. How much of the smallest discs is left there?",
            3: "PSNR is nearly at its highest there. How much of the smallest discs is left?",
            2: "Less than half of the contrast of the 2 mm discs is left. Blur less.",
            0.8: "The discs are safe here, but a little more blur still keeps half of them.",
            0.5: "The discs are safe here, but more blur still keeps half of them.",
        },
        (
            "Where does the curve of the smallest discs cross one half?",
            "Of the blurs that were tried, take the largest whose value is at least one half.",
            "Half of the smallest discs' contrast is left up to a blur of one pixel.",
        ),
        "the blur that a 2 mm lesion tolerates is far below the one that PSNR asks for.",
        unit="the SD of the blur in pixels",
    ),
    "half_rmse": numeric(
        lambda: 20 * math.log10(2),
        {
            10 * math.log10(2): "RMSE is not squared yet: 20 times the logarithm.",
            2: "That is the factor. PSNR is its logarithm.",
        },
        (
            "By what factor does range over RMSE change?",
            "PSNR is 20 times the logarithm to base ten of that factor.",
            "20 log10(2).",
        ),
        "6 dB, whatever the range. Differences of PSNR need no window; values do.",
        unit="in dB",
    ),
    "bias_and_sd": numeric(
        lambda: 5,
        {
            7: "Bias and SD do not add up. Their squares do.",
            4: "That is the scatter alone. The bias is an error, too.",
            3.5: "RMSE is not the mean of both.",
        },
        (
            "How do a constant error and a scatter about it combine?",
            "The mean square is bias squared plus variance.",
            "The root of 3 squared plus 4 squared.",
        ),
        "5 HU. One number holds two errors, and they harm in different ways.",
        unit="in HU",
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

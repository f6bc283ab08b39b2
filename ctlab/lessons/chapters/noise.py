"""Exercises and quiz of the chapter on noise and dose."""

import math

from ctlab.lessons.exercises.checking import Exercise, numeric
from ctlab.lessons.exercises.quizzes import Option, Question

EXERCISES: dict[str, Exercise] = {
    "dose_from_noise": numeric(
        lambda: (12 / 48) ** 2,
        {
            0.25: "Noise does not fall in proportion to dose: its square does. Square the ratio.",
            16: "A dose above 1 would mean more photons, and less noise. Turn the ratio over.",
            4: "A dose above 1 would mean more photons, and less noise. Turn the ratio over.",
        },
        (
            "How does noise change when the dose is quartered?",
            "Noise goes with one over the root of dose; solve for the dose.",
            "(12 / 48) squared.",
        ),
        "four times the noise costs a factor of sixteen in dose.",
        unit="the dose as a fraction of the scan's own",
    ),
    "effective_dose": numeric(
        lambda: 3 * 30 * 0.014,
        {
            90: "That is the DLP. A coefficient makes an effective dose of it.",
            0.042: "Dose goes with the scanned length, too.",
        },
        (
            "What is the DLP of this scan?",
            "Effective dose is CTDIvol times length times the coefficient.",
            "3 x 30 x 0.014.",
        ),
        "1.3 mSv, about what a screening trial gave: a low dose, not yet an ultra-low one.",
        unit="in mSv",
    ),
    "sd_of_one": numeric(
        lambda: 30 / math.sqrt(2),
        {
            15: "SDs do not add up to 30 here. Their squares do.",
            30: "That is the SD of the difference, which holds the noise of both.",
            30 * math.sqrt(2): "One image has less noise than the difference, not more.",
        },
        (
            "How do the variances of two independent noises add?",
            "The variance of a difference is the sum of both variances.",
            "30 over the root of two.",
        ),
        "21 HU. This is how noise is measured where anatomy is in the way.",
        unit="in HU",
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

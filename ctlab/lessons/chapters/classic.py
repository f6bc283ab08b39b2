"""Exercises and quiz of the chapter on classic denoisers."""

import math
from dataclasses import replace
from functools import cache
from typing import Any

from ctlab.lessons.exercises.checking import Exercise, number, numeric
from ctlab.lessons.exercises.quizzes import Option, Question

DEFAULT, UNSEEN, AROUND = 0.8, 34, (slice(250, 430), slice(250, 430))


@cache
def _rmse_on_unseen(strength: float) -> float:
    """RMSE in HU of NLM on a slice that no page shows, at a twenty-fifth of the dose."""
    from ctlab.ct import load_sample, measure_noise_hu
    from ctlab.lessons.material.filter_ladders import rmse_ladder
    from ctlab.lessons.material.images import dose_ladder

    sample = load_sample()
    volume = replace(sample, hu=sample.hu[UNSEEN : UNSEEN + 1], sources=())
    low = dose_ladder(volume, [0.04], seed=11)[0]
    noise_hu = measure_noise_hu(low, spacing_mm=volume.spacing_mm[1])
    return rmse_ladder(volume.hu[0][AROUND], low[AROUND], "nlm", [strength], noise_hu=noise_hu)[0]


def _judge_strength(answer: Any) -> str | None:
    value = number(answer)
    if value is None or not 0 < value < 20:
        return "Give one number above 0: the strength, in multiples of the noise."
    if value == DEFAULT:
        return "That is the default, found at a tenth of the dose. There is less dose now."
    gain = _rmse_on_unseen(DEFAULT) - _rmse_on_unseen(round(value, 3))
    if gain >= 0.4:
        return None
    word = "weaker" if value > DEFAULT else "stronger"
    return (
        f"On the unseen slice this is {gain:+.1f} HU better than the default: try a {word} one, "
        "and look at the curve on your own slice."
    )


EXERCISES: dict[str, Exercise] = {
    "nlm_strength": Exercise(
        _judge_strength,
        lambda: 1.2,
        (
            (0.8, "the default"),
            (0.4, "stronger"),
            (6, "weaker"),
            ("strong", "one number"),
            (-1, "above 0"),
        ),
        "better than the default on a slice that it was not tuned on. That is what tuning is for.",
        (
            "Is the best strength the one at which the error on your own slice is least?",
            (
                "Run `rmse_ladder` on `other` over strengths on both sides of the default, and "
                "take the least."
            ),
            "At so little dose the best strength lies between 1 and 1.4 times the noise.",
        ),
    ),
    "mean_of_nine": numeric(
        lambda: 30 / 3,
        {
            30 / 9: "The variance is divided by nine, not the SD.",
            30: "A mean of nine independent values is calmer than one of them.",
        },
        (
            "By what factor does a mean of n values lower the variance?",
            "The SD falls with the root of the number of values.",
            "30 over the root of 9.",
        ),
        "10 HU, if the noise were white. CT noise is not, and a mean takes less of it away.",
        unit="in HU",
    ),
    "left_over": numeric(
        lambda: math.sqrt(40**2 - 32**2),
        {
            8: "SDs do not subtract. Variances of parts that are unrelated do.",
            72: "What is left is less than what was there.",
        },
        (
            "Which quantities add for two unrelated parts?",
            "The variance before is that of what was taken plus that of what is left.",
            "The root of 40 squared minus 32 squared.",
        ),
        "24 HU: four fifths of the SD taken away leave three fifths of it.",
        unit="in HU",
    ),
}

QUIZ = (
    Question(
        "Filter A has a higher PSNR than filter B. Which one loses fewer small vessels?",
        (
            Option(
                "A: the higher PSNR is safer.",
                "PSNR is a mean over pixels. Small vessels are few pixels, and a filter may lose "
                "all of them and win the mean.",
            ),
            Option(
                "Not known. Look at the residual and measure at the vessels.",
                "A question about vessels is answered at vessels.",
                is_right=True,
            ),
            Option(
                "B: a lower PSNR means that less was removed.",
                "A lower PSNR may come from noise, from blur or from anything else.",
            ),
        ),
    ),
    Question(
        "Which residual is a good sign?",
        (
            Option(
                "A small one: little was changed.",
                "The filter that does nothing has the smallest residual of all.",
            ),
            Option(
                "One that looks like the noise of the scan and shows nobody.",
                "Its strength should fit the noise, and no anatomy should be in it.",
                is_right=True,
            ),
            Option(
                "A large one: much noise was removed.",
                "Anatomy makes residuals large as well.",
            ),
        ),
    ),
    Question(
        "Why tune the classic filter at all, if the network is the topic?",
        (
            Option(
                "Reviewers like it.",
                "They do, but that is not what makes the comparison true.",
            ),
            Option(
                "An opponent with the wrong strength says nothing about the network.",
                "The network was tuned for hours. A default is a handicap.",
                is_right=True,
            ),
            Option(
                "Filters have no parameters that matter.",
                "The curves of this chapter have a minimum, and it moves with dose and slice.",
            ),
        ),
    ),
)

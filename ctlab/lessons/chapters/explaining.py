"""Exercises and quiz of the chapter on explaining a denoiser."""

from typing import Any

import numpy as np

from ctlab.lessons.exercises.checking import Exercise, numeric
from ctlab.lessons.exercises.quizzes import Option, Question

FILTER = np.array([[0.05, 0.10, 0.05], [0.10, 0.30, 0.10], [0.05, 0.10, 0.05]])
"""A row of a Jacobian as a small filter, for the exercise: weights of the input pixels."""


def _judge_trust(answer: Any) -> str | None:
    if not isinstance(answer, bool | np.bool_):
        return "Answer True or False."
    if answer:
        return (
            "The map looks the same after the weights were shuffled: it shows the architecture "
            "and the image, not what was learnt."
        )
    return None


EXERCISES: dict[str, Exercise] = {
    "gain": numeric(
        lambda: FILTER.sum(),
        {
            FILTER.max(): (
                "That is the weight of the pixel itself. A constant image reaches all nine."
            ),
            float(np.sqrt((FILTER**2).sum())): (
                "That is the gain of white noise. For a constant add the weights themselves."
            ),
        },
        (
            "What does a filter make of an image that is one HU everywhere?",
            "Each pixel contributes its weight times one HU: add all the weights.",
            (
                "Add all nine weights of FILTER: the middle one, its four neighbours, and the "
                "four corners."
            ),
        ),
        "0.9: this denoiser would darken a uniform region by a tenth.",
    ),
    "trust": Exercise(
        _judge_trust,
        lambda: False,
        ((True, "shuffled"), ("no", "True or False")),
        "a map that does not depend on what was learnt cannot explain what was learnt.",
        (
            "What did the map keep when all that was learnt was lost?",
            (
                "Shuffled weights hold nothing learnt. A map that stays shows architecture and "
                "image."
            ),
            "A cosine of 0.95 says: nearly the same map without anything learnt.",
        ),
    ),
    "locality": numeric(
        lambda: 0.3 / 0.2,
        {
            0.1: "That is the difference. The gain is a ratio.",
            2 / 3: "Map over receptive field, not the other way round.",
        },
        (
            "With what is the share of the map compared?",
            "Divide it by the share of the receptive field alone.",
            "0.3 over 0.2.",
        ),
        "1.5: somewhat more local than the wiring alone.",
    ),
    "noise_gain": numeric(
        lambda: 1 / 3,
        {
            1: "That is what a constant keeps.",
            1 / 9: "That is the share of the variance.",
        },
        (
            "What does a mean of nine do to the variance of white noise?",
            "The SD falls with the root of nine.",
            "One third.",
        ),
        "one third: a filter that keeps constants whole and white noise to a third.",
    ),
}

QUIZ = (
    Question(
        "A heat map glows on the nodule. What does it show?",
        (
            Option(
                "Why the network kept the nodule.",
                "A heatmap does not show why. At best it shows where a change of the input would "
                "change the answer to one question. Ask which one, and whether it was audited.",
            ),
            Option(
                "By itself, nothing. The nodule is bright, and many maps glow on bright things.",
                "Shuffle the weights and draw it again. If it still glows, it is the image.",
                is_right=True,
            ),
            Option(
                "That the nodule is real.",
                "The map knows the network and the image. Neither knows the patient.",
            ),
        ),
    ),
    Question(
        "Why does plain Grad-CAM fail for a denoiser?",
        (
            Option(
                "Denoisers have no classes.",
                "A region's mean is a fine target. The trouble lies elsewhere.",
            ),
            Option(
                "It averages the gradient over all positions, and a denoiser never pools position.",
                "The average says little about one region. HiResCAM multiplies before it averages.",
                is_right=True,
            ),
            Option("It is too slow.", "It takes one backward pass, like its relatives."),
        ),
    ),
    Question(
        "A map passes the whole audit. May you now trust the denoised image?",
        (
            Option(
                "Yes, that is what the audit is for.",
                "The audit says that the map describes the network. The network may still be wrong "
                "about the patient, and a faithful map of a wrong answer is a faithful map.",
            ),
            Option(
                "No. The map is true of the network; whether the network is true is another test.",
                "Maps by themselves do not establish trust. Inserted lesions and readers do more.",
                is_right=True,
            ),
            Option(
                "Only in the region that glows.",
                "Relevance is no certificate. Errors can be made with strong relevance.",
            ),
        ),
    ),
)

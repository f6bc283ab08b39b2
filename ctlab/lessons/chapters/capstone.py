"""Exercises and quiz of the capstone."""

import math

from ctlab.lessons.exercises.checking import Exercise, numeric
from ctlab.lessons.exercises.quizzes import Option, Question

EXERCISES: dict[str, Exercise] = {
    "pilot": numeric(
        lambda: 2 * (45 + 10 + 1) / 2**10,
        {
            56 / 1024: (
                "That is one side: eight or more. Two or fewer would have surprised you as much."
            ),
            90 / 1024: "Count everything that is as extreme: 9 and 10 of 10 belong to it, too.",
            45 / 1024: (
                "That is the chance of exactly eight. Count everything that is as extreme."
            ),
            0.8: (
                "That is the share. How often would a fair coin give it, or one as far from a half?"
            ),
        },
        (
            "How often would a fair coin give eight of ten, or something as far from one half?",
            (
                "Sum the chances of all outcomes that are as far from five as eight is, on both "
                "sides."
            ),
            "Sum the binomial chances of 0, 1, 2, 8, 9 and 10 of 10 at one half.",
        ),
        "0.109: eight of ten is compatible with a coin. A pilot tests the study, not the method.",
        unit="between 0 and 1",
        relative=0.01,
    ),
    "no_failure": numeric(
        lambda: 1 - 0.05 ** (1 / 30),
        {
            0: "None was seen. That does not mean that there are none.",
            1 / 30: (
                "That is what one failure would give. How many are still compatible with none seen?"
            ),
        },
        (
            "Which rate would leave thirty patients without a failure once in twenty times?",
            "Solve (1 - rate) to the power of 30 = 0.05.",
            "1 - 0.05 to the power of 1/30; three over thirty is close.",
        ),
        (
            "nearly a tenth. A search that found nothing in thirty patients promises no more "
            "than that."
        ),
        unit="between 0 and 1",
        relative=0.06,
    ),
    "noise_at_tenth": numeric(
        lambda: 12 * math.sqrt(10),
        {
            120: "Noise does not go with dose, but with the root of it.",
            12 / math.sqrt(10): "Less dose is more noise.",
        },
        (
            "How does noise change with dose?",
            "Noise goes with one over the root of dose.",
            "12 times the root of 10.",
        ),
        "38 HU, as long as photons dominate.",
        unit="in HU",
    ),
}

QUIZ = (
    Question(
        "What is a pilot for?",
        (
            Option(
                "To see whether the method is better; if so, the study can be spared.",
                "Ten pairs cannot tell. And whoever stops at a good pilot publishes luck.",
            ),
            Option(
                "To see whether the question can be answered as planned, and how readers differ.",
                "Times, wordings and spread are what the plan of the study needs.",
                is_right=True,
            ),
            Option(
                "To have some cases for the study already.",
                "Cases of the pilot are used up: the plan was adapted to them.",
            ),
        ),
    ),
    Question(
        "The failure hunt found nothing. What do you write?",
        (
            Option(
                "No failures were observed.",
                "It sounds like safety. It may only mean that nobody looked where it hurts.",
            ),
            Option(
                "What was searched, by which rule, and the worst that was seen.",
                "There is always a worst place. Readers can judge how bad it is.",
                is_right=True,
            ),
            Option(
                "Nothing: an absence is no result.",
                "What was searched is a result, and the next group need not search it again.",
            ),
        ),
    ),
    Question(
        "Your scan has 300 slices. How many patients is that?",
        (
            Option(
                "300, if every slice is analysed alone.",
                "Slices of one patient resemble each other, however they are analysed.",
            ),
            Option(
                "One.",
                "Whatever you find, you found in one patient.",
                is_right=True,
            ),
            Option(
                "About 30, because neighbours are alike.",
                "Also distant slices share body, scanner and moment.",
            ),
        ),
    ),
)

"""Exercises and quiz of the first page."""

from ctlab.ct.hu import LUNG
from ctlab.lessons.exercises.checking import Exercise, numeric
from ctlab.lessons.exercises.quizzes import Option, Question

EXERCISES: dict[str, Exercise] = {
    "black_below": numeric(
        lambda: LUNG.level_hu - LUNG.width_hu / 2,
        {
            LUNG.level_hu: "That is the level, the middle of the window. Go down from it.",
            LUNG.level_hu - LUNG.width_hu: (
                "The level is the middle: only a part of the width lies below it."
            ),
            LUNG.level_hu + LUNG.width_hu / 2: (
                "That is the upper end, where white begins. Black is at the other end."
            ),
        },
        (
            "How far does a window reach to either side of its level?",
            "Take half of the width down from the level.",
            "LUNG.level_hu - LUNG.width_hu / 2.",
        ),
        "everything below -1350 HU is black in the lung window, and that is less than air has.",
        unit="in HU",
    ),
    "white_above": numeric(
        lambda: 40 + 400 / 2,
        {
            40: "That is the level, the middle of the window.",
            440: "Only a part of the width lies above the level.",
            -160: "That is the lower end, where black begins.",
        },
        (
            "Which end of the window is white?",
            "Take half of the width up from the level.",
            "40 + 400 / 2.",
        ),
        "240 HU: bone and contrast medium are all white in it.",
        unit="in HU",
    ),
    "variance_removed": numeric(
        lambda: 1 - (20 / 60) ** 2,
        {
            2 / 3: "That is the share of the SD. The variance is its square.",
            1 / 9: "That is the share of the variance that is left.",
        },
        (
            "What is the variance of noise whose SD is known?",
            "Square both SDs; then take the share that is gone.",
            "1 - (20 / 60) squared.",
        ),
        (
            "0.89: an image that looks three times calmer has lost nine parts in ten of its "
            "variance, noise or not."
        ),
        unit="a share between 0 and 1",
    ),
}

QUIZ = (
    Question(
        "A denoised image looks like one at full dose. What do you know?",
        (
            Option(
                "The anatomy is back.",
                "No program brings photons back. It fills in what is likely, and what is likely "
                "need not be in this patient.",
            ),
            Option(
                "That it looks like one. Whether it is true needs a truth to compare it with.",
                "A look is a fact about images; truth is a fact about the patient.",
                is_right=True,
            ),
            Option(
                "The dose was high enough.",
                "A program makes any image calm, one of two per cent dose as well. Calm says "
                "nothing about what was measured.",
            ),
        ),
    ),
    Question(
        "Which of the images on this page did a scanner measure?",
        (
            Option(
                "All of them.",
                "The patient was scanned once. A caption says it wherever a dose was simulated; "
                "a simulation is a model, and models leave things out.",
            ),
            Option(
                "The one at full dose. The lower doses were simulated from it.",
                "So the truth is known, and so is everything that the simulator believes.",
                is_right=True,
            ),
            Option(
                "None: teaching books use phantoms.",
                "This is a real chest. Phantoms come where a truth is needed that no patient has.",
            ),
        ),
    ),
    Question(
        "Of two programs the first has the higher PSNR. Which one is safer for the patient?",
        (
            Option(
                "The first: higher PSNR is safer.",
                "PSNR is a mean over all pixels. A small nodule is a few of them, and may vanish "
                "while PSNR rises.",
            ),
            Option(
                "The second: sharper images score lower.",
                "It may be so, but a low score is no proof of anything either.",
            ),
            Option(
                "PSNR cannot tell.",
                "Safety is about findings. They have to be counted, with a truth or by readers.",
                is_right=True,
            ),
        ),
    ),
    Question(
        "A program paints a heat map over the nodule, to explain itself. What does the map show?",
        (
            Option(
                "Why the nodule looks as it does: a heat map shows why.",
                "A map shows where the output is sensitive to something. Maps of a shuffled "
                "network can look the same.",
            ),
            Option(
                "Where the output reacts to something, if the map passed its own tests.",
                "What a map is worth has to be tested before it is shown to anybody.",
                is_right=True,
            ),
            Option(
                "That the program looked at the right place, so it can be trusted.",
                "Looking at a nodule and erasing it go well together.",
            ),
        ),
    ),
)

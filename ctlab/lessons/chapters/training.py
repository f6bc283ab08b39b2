"""Exercises and quiz of the chapter on training an OT-CycleGAN."""

from ctlab.lessons.exercises.checking import Exercise, numeric
from ctlab.lessons.exercises.quizzes import Option, Question

EXERCISES: dict[str, Exercise] = {
    "penalty": numeric(
        lambda: (0.75 * 16**0.5 - 1) ** 2,
        {
            9: (
                "That is the squared slope. The penalty is the squared distance of the slope "
                "from 1."
            ),
            2: "That is the distance from 1. Square it.",
            0.0625: (
                "0.75 is the slope for one pixel. The norm runs over all pixels of the patch."
            ),
        },
        (
            "How steep is this critic, with all pixels of the patch together?",
            (
                "The norm of its gradient is 0.75 times the root of the number of pixels; the "
                "penalty is the squared distance of it from one."
            ),
            "Slope 0.75 x 4 = 3; then (3 - 1) squared.",
        ),
        "a critic three times too steep pays 4 times the penalty weight.",
    ),
    "cycle": numeric(
        lambda: 0.5 * 8,
        {
            0.5: "That is the mean. The cycle is scaled with the size of the patch.",
            32: "Times the root of the number of pixels, not times the number.",
        },
        (
            "By what is the mean absolute difference multiplied?",
            "By the root of the number of pixels of the patch.",
            "0.5 times the root of 64.",
        ),
        "4: one weight means the same at every patch size.",
    ),
    "residual_ratio": numeric(
        lambda: 15 / 20,
        {
            0.25: "That is the share that stays.",
            20 / 15: "Removed over added, not the other way round.",
        },
        (
            "What was added, and what was taken away?",
            "The ratio is the SD of what was removed over that of the noise.",
            "15 over 20.",
        ),
        "0.75. Near zero the network would be the identity; above one it takes more than noise.",
    ),
}

QUIZ = (
    Question(
        "The generator loss has been flat for an hour. What does it tell you?",
        (
            Option(
                "Training has converged.",
                "In a game both sides move. A flat loss may hide progress, a cycle, or a collapse "
                "to the identity. Watch measures that mean something, such as the noise removed.",
            ),
            Option(
                "Little. Look at what is removed, at the HU bias and at the degrader's noise.",
                "Adversarial losses are relative to an opponent that moves as well.",
                is_right=True,
            ),
            Option("The critic is broken.", "It may be. The loss alone does not tell."),
        ),
    ),
    Question(
        "Why can the network not simply return its input?",
        (
            Option(
                "It can, and this is the most common failure.",
                "The identity has cycle error zero. Only the critics object, and they are outvoted "
                "if the cycle's weight is too large for the noise at hand.",
                is_right=True,
            ),
            Option(
                "The cycle term forbids it.",
                "On the contrary: the identity is the cycle term's favourite.",
            ),
            Option("Because it has a different architecture.", "A zeroed last layer is enough."),
        ),
    ),
    Question(
        "Training saw no pairs. May the result be checked with pairs?",
        (
            Option(
                "No, that would be cheating.",
                "Cheating is to *tune* on the test pairs. Checking once, on slices that nobody "
                "trained or tuned on, is what makes a claim.",
            ),
            Option(
                "Yes, where truth exists: simulated doses, phantoms, dedicated scans.",
                "And say that the low dose was simulated.",
                is_right=True,
            ),
            Option("It is not possible.", "Simulation gives pairs, for checking as for training."),
        ),
    ),
)

"""Exercises and quiz of the chapter on GANs and CycleGAN."""

from types import SimpleNamespace
from typing import Any

import numpy as np

from ctlab.lessons.exercises.checking import Exercise, numeric
from ctlab.lessons.exercises.quizzes import Option, Question

TERMS = ("gap", "cycle", "identity")
"""Terms of the objective that the exercise on the mirrored patient chooses from."""


def _judge_term(answer: Any) -> str | None:
    if not isinstance(answer, str) or answer.strip().lower() not in TERMS:
        return f"Choose one word from {', '.join(TERMS)}."
    word = answer.strip().lower()
    if word == "gap":
        return (
            "The gap compares distributions. A mirrored chest is as good a member of its "
            "distribution as any: look at the table, the gaps agree."
        )
    if word == "cycle":
        return "The way back mirrors once more, and the round trip ends where it began."
    return None


def _judge_broken(answer: Any) -> str | None:
    if not all(hasattr(answer, name) for name in ("kept", "gap", "cycle")):
        return "Give what train_toy returned: it has kept, gap and cycle."
    kept, gap, cycle = (np.asarray(getattr(answer, name)) for name in ("kept", "gap", "cycle"))
    wrong = kept < 0.8
    if not wrong.any():
        return (
            f"At least {100 * kept.min():.0f} % were kept in each run. As long as both piles hold "
            "the same patients there is nothing to invent. Make the shares differ."
        )
    if (gap[wrong] >= 0.5).all():
        return "Patients were changed, but the gap tells on you: the piles do not match."
    if not ((gap < 0.5) & (cycle < 0.5) & wrong).any():
        return "Patients were changed, but the cycle tells on you: the way back does not come back."
    return None


def _run(kept: float, gap: float, cycle: float) -> SimpleNamespace:
    """What a training ended with, as the judge reads it."""
    return SimpleNamespace(kept=[kept], gap=[gap], cycle=[cycle])


EXERCISES: dict[str, Exercise] = {
    "best_judge": numeric(
        lambda: 0.6 / (0.6 + 0.2),
        {
            3.0: "That is the ratio of the densities. A verdict lies between 0 and 1.",
            0.25: "That is the verdict 'made'. Real images are three times as common here.",
            0.6: "0.6 is the density of real images alone. Compare it with both together.",
        },
        (
            "Among all images at this place, how many are real?",
            "The best judge answers the density of real images over the sum of both.",
            "0.6 over 0.6 + 0.2.",
        ),
        "0.75. A judge of a game that is over says one half everywhere.",
        relative=0.005,
    ),
    "broken": Exercise(
        _judge_broken,
        lambda: _run(0.4, 0.3, 0.2),
        (
            (_run(1.0, 0.2, 0.2), "Make the shares differ"),
            (_run(0.5, 3.0, 1.5), "the gap tells"),
            (_run(0.5, 0.3, 1.5), "the cycle tells"),
            (0.5, "what train_toy returned"),
        ),
        "gap and cycle are content, and patients were changed.",
        (
            "When does an honest critic ask for disease to be added?",
            "Let the piles hold different shares of patients with a nodule.",
            "Try shares far apart: one in five at low dose, four in five at routine dose.",
        ),
    ),
    "which_term": Exercise(
        _judge_term,
        lambda: "identity",
        (("gap", "compares distributions"), ("cycle", "mirrors once more"), (3, "Choose one word")),
        "only a term that compares an image with itself can see which patient it is.",
        (
            "Which term compares an image with itself?",
            "Network B mirrors every image, also one that already has full dose.",
            "Look at the last lines of the table of A and B: one measure differs.",
        ),
    ),
    "far_apart": numeric(
        lambda: 1,
        {
            0: "Zero is what two equal distributions pay.",
            0.5: (
                "One half is the verdict of a judge that cannot tell. What is paid when it "
                "always can?"
            ),
        },
        (
            "What does a judge know who is always right?",
            "One bit says which of two distributions an image comes from.",
            "The divergence in bits is at most one, and is reached where nothing overlaps.",
        ),
        "one bit, at five SD as at five hundred: flat, and no slope to learn from.",
        unit="in bits",
    ),
    "must_change": numeric(
        lambda: 0.5 * 200 - 0.3 * 200,
        {
            100: "So many are sick afterwards. Some were before.",
            60: "So many were sick before.",
            0.2: "That is the share. How many patients is it?",
        },
        (
            "How many are sick in each domain, out of 200?",
            "Matching the distributions needs the difference of both.",
            "100 less 60.",
        ),
        "40 patients at least, and no critic will object.",
        unit="the number of patients",
    ),
}

QUIZ = (
    Question(
        "The judge can no longer tell made from real images. What has been reached?",
        (
            Option(
                "Each made image is right.",
                "A perfect forger sells genuine-looking pictures of people who do not exist. "
                "The judge compares distributions; it never sees who belongs to which image.",
            ),
            Option(
                "Made and real images have like distributions, as far as this judge can see.",
                "Two limits in one sentence: distributions, and this judge.",
                is_right=True,
            ),
            Option(
                "The noise is gone.",
                "If the real pile is noisy, a perfect forger makes noise as well.",
            ),
        ),
    ),
    Question(
        "What does a cycle error of zero guarantee?",
        (
            Option(
                "That the anatomy was kept.",
                "It was kept on the round trip. On the way it may be mirrored, swapped or hidden "
                "in faint noise, as long as the way back undoes it.",
            ),
            Option(
                "That the way back recovers the input, by whatever means.",
                "By honest means, by a swap that is swapped back, or by a hidden message.",
                is_right=True,
            ),
            Option(
                "That both generators do nothing.",
                "The identity is one way to reach zero, not the only one.",
            ),
        ),
    ),
    Question(
        "Why is a CycleGAN used at all, if pairs would be better?",
        (
            Option(
                "It gives sharper images than pairs would.",
                "Sharp is not true. With good pairs, supervised training is the stronger tool.",
            ),
            Option(
                "Because a patient is not scanned twice in the same breath.",
                "Real pairs hardly exist; two piles do. That is the reason, and the price.",
                is_right=True,
            ),
            Option(
                "It needs no assumptions.",
                "It needs that both piles differ in dose only. More tumours in one pile, and the "
                "difference of the piles includes tumours.",
            ),
        ),
    ),
)

"""Exercises and quiz of the chapter on a blinded reader study."""

from dataclasses import replace
from math import comb
from typing import Any

from ctlab.lessons.chapters import capstone
from ctlab.lessons.exercises.checking import Exercise, numeric
from ctlab.lessons.exercises.quizzes import Option, Question

FLAWS = ("order", "file names", "window", "repeats", "one reader", "peeking")
"""What is wrong with the protocol of the exercise, one word each."""


def _judge_flaws(answer: Any) -> str | None:
    if isinstance(answer, str):
        return "Give a list of words, chosen from order, colour, file names, window, font, ..."
    try:
        given = {str(word).strip().lower() for word in answer}
    except TypeError:
        return "Give a list of words."
    if extra := sorted(given - set(FLAWS)):
        return f"Not a flaw of this protocol: {', '.join(extra)}."
    missing = len(set(FLAWS) - given)
    return f"{missing} more to find." if missing else None


EXERCISES: dict[str, Exercise] = {
    # The same question as the capstone's, graded the same way.
    "sign_test": replace(
        capstone.EXERCISES["pilot"],
        praise="0.109: eight of ten is less than most people think.",
    ),
    "flaws": Exercise(
        _judge_flaws,
        lambda: list(FLAWS),
        (
            (["order", "window"], "4 more"),
            (["order", "colour"], "Not a flaw"),
            ("order", "list of words"),
            (3, "list of words"),
        ),
        "six flaws, each of which alone would sink the study.",
        (
            "What could a reader know, remember or guess under this protocol?",
            (
                "Go through order, names, window, repeats, readers and looks at the data, one "
                "by one."
            ),
            "Six of the listed words are flaws.",
        ),
    ),
    "all_ten": numeric(
        lambda: 2 / 2**10,
        {
            1 / 2**10: "That is one side. All ten for the other arm would be as far from a half.",
        },
        (
            "How many outcomes of a fair coin are as extreme as this?",
            "Two: all for one arm, all for the other.",
            "2 over 1,024.",
        ),
        "p = 0.002. Ten pairs can convince, if they all agree.",
        unit="between 0 and 1",
        relative=0.01,
    ),
    "balanced": numeric(
        lambda: comb(6, 3),
        {
            64: "Those are all orders. In how many is the new arm on the left three times?",
            9: "Choose which three of six.",
            6: "Choose which three of six.",
        },
        (
            "Which pairs have the new arm on the left?",
            "Choose three of six places.",
            "6 x 5 x 4 over 3 x 2 x 1.",
        ),
        (
            "20. With so few a reader who counts can guess the last ones: longer studies hide "
            "it better."
        ),
    ),
}

QUIZ = (
    Question(
        "Why must the arm names be absent from the reader's computer, and not only hidden?",
        (
            Option(
                "Because readers are dishonest.",
                "Most are not. But a name in a window title, a file or a network answer is seen "
                "by accident, and no one can later prove that it was not.",
            ),
            Option(
                "Because blinding that rests on not looking cannot be shown to a reviewer.",
                "What is not there cannot leak. That can be tested and written down.",
                is_right=True,
            ),
            Option(
                "Because names take space.",
                "Space is no concern. Knowledge is.",
            ),
        ),
    ),
    Question(
        "Four readers read the same 40 pairs. How many independent observations are there?",
        (
            Option(
                "160.",
                "Readers share cases, and each reader brings a taste. Treating answers as "
                "independent makes intervals too narrow.",
            ),
            Option(
                "40, one a case.",
                "Closer, but then new readers do not count: you would know these four only.",
            ),
            Option(
                "Fewer than 160; it depends on how much readers and cases differ.",
                "Readers and cases are both samples. The interval has to carry both.",
                is_right=True,
            ),
        ),
    ),
    Question(
        "Readers prefer the denoised image in 80 % of pairs. What has been shown?",
        (
            Option(
                "That it is diagnostically better.",
                "Preference is taste. Readers also prefer smooth images from which a small "
                "lesion has gone. Detection needs its own task, with truth.",
            ),
            Option(
                "That these readers like it better, in these cases, in this window.",
                "Say exactly that. Then ask whether they find more.",
                is_right=True,
            ),
            Option(
                "Nothing at all.",
                "It is a finding, if the study was blinded and balanced. Only a limited one.",
            ),
        ),
    ),
)

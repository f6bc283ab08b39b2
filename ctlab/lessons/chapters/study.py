"""Exercises and quiz of the chapter on a blinded reader study."""

from math import comb
from typing import Any

from ctlab.lessons.exercises.checking import Exercise, near, number
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


def _judge_sign(answer: Any) -> str | None:
    exact = sum(comb(10, k) for k in (0, 1, 2, 8, 9, 10)) / 2**10
    if near(answer, exact, relative=0.005):
        return None
    if near(answer, exact / 2, relative=0.005):
        return "That is one tail. Nobody knew before which arm would win: double it."
    if near(answer, 2 * comb(10, 8) / 2**10, relative=0.005):
        return "Count everything at least as extreme: 9 and 10 of 10 belong to it too."
    if number(answer) is None:
        return "Give the p-value as a number."
    return "Add the chances of 8, 9 and 10 heads in 10 throws of a fair coin, and double them."


EXERCISES = {
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
    ),
    "sign_test": Exercise(
        _judge_sign,
        lambda: 2 * sum(comb(10, k) for k in (8, 9, 10)) / 2**10,
        ((0.0547, "one tail"), (0.0879, "9 and 10"), ("small", "number"), (0.5, "fair coin")),
        "p = 0.109: eight of ten is less than most people think.",
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

"""Exercises and quiz of the capstone."""

from typing import Any

from ctlab.lessons.exercises.checking import Exercise, near, number
from ctlab.lessons.exercises.quizzes import Option, Question


def _judge_pilot(answer: Any) -> str | None:
    if near(answer, 112 / 1024, relative=0.01):
        return None
    if near(answer, 56 / 1024, relative=0.01):
        return "That is one side: eight or more. Two or fewer would have surprised you as much."
    if near(answer, 45 / 1024, relative=0.01):
        return "That is the chance of exactly eight. Count everything that is as extreme."
    if near(answer, 0.8, relative=0.01):
        return "That is the share. How often would a fair coin give it, or one as far from a half?"
    if number(answer) is None:
        return "Give one number between 0 and 1."
    return "Sum the binomial chances of 0, 1, 2, 8, 9 and 10 of 10 at one half."


EXERCISES = {
    "pilot": Exercise(
        _judge_pilot,
        lambda: 2 * (45 + 10 + 1) / 2**10,
        (
            (56 / 1024, "one side"),
            (45 / 1024, "exactly eight"),
            (0.8, "the share"),
            ("rarely", "one number"),
            (0.5, "binomial"),
        ),
        "0.109: eight of ten is compatible with a coin. A pilot tests the study, not the method.",
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

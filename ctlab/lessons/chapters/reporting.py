"""Exercises and quiz of the chapter on reporting and publishing."""

from typing import Any

from ctlab.lessons.exercises.checking import Exercise, near, number
from ctlab.lessons.exercises.quizzes import Option, Question

BEST_OF_20 = 1.867
"""Expected largest of twenty independent standard normal values."""


def _judge_best(answer: Any) -> str | None:
    if near(answer, 2 * BEST_OF_20, relative=0.06):
        return None
    if near(answer, 0.0) or number(answer) == 0:
        return "Zero is the mean over all crops. You do not show the mean, you show the best one."
    if near(answer, 2.0, relative=0.03):
        return (
            "That is one standard deviation, what a single crop scatters by. Take the best of 20."
        )
    if near(answer, BEST_OF_20, relative=0.06):
        return "That is in standard deviations. One of them is 2 HU here."
    if number(answer) is None:
        return "Give one number, in HU."
    return "Draw twenty normal values with SD 2, take the largest, repeat, and take the mean."


EXERCISES = {
    "best_of": Exercise(
        _judge_best,
        lambda: 2 * BEST_OF_20,
        (
            (0, "the best one"),
            (2, "best of 20"),
            (1.87, "standard deviations"),
            ("much", "one number"),
            (20, "twenty normal values"),
        ),
        "about 3.7 HU better, by a method that does nothing. Choose crops before you look.",
    ),
}

QUIZ = (
    Question(
        "Which figure belongs into the paper?",
        (
            Option(
                "The crop in which the method is at its best: readers shall see what it can do.",
                "Then every method is good. Readers take a figure for what they may expect.",
            ),
            Option(
                "A crop chosen by a written rule before looking, and the worst one beside it.",
                "The rule makes it evidence, the worst case makes it useful.",
                is_right=True,
            ),
            Option(
                "None: numbers are enough.",
                "Numbers hide what was lost. Show images, but let a rule choose them.",
            ),
        ),
    ),
    Question(
        "The code is on a public server. Is the study reproducible?",
        (
            Option(
                "Yes, everybody can run it.",
                "With which versions, which data, which seed, and which of the forty scripts?",
            ),
            Option(
                "Only if data, pins, seeds and one command for each figure are there as well.",
                "And if somebody else has tried it, on another machine.",
                is_right=True,
            ),
            Option(
                "Yes, because the random seed was fixed.",
                "One of many things. Another library version gives other numbers with that seed.",
            ),
        ),
    ),
    Question(
        "The checklist asks for something that was not done. What now?",
        (
            Option(
                "Leave the line empty.",
                "An empty line looks like an oversight, and somebody will ask.",
            ),
            Option(
                "Write that it was not done, and why.",
                "A checklist is for readers. 'Not done' is an answer they can use.",
                is_right=True,
            ),
            Option(
                "Describe it as planned future work.",
                "Then it sounds as if it had nearly been done. It was not.",
            ),
        ),
    ),
)

"""Exercises and quiz of the chapter on reporting and publishing."""

from ctlab.lessons.exercises.checking import Exercise, numeric
from ctlab.lessons.exercises.quizzes import Option, Question

BEST_OF_20 = 1.867
"""Expected largest of twenty independent standard normal values."""


EXERCISES: dict[str, Exercise] = {
    "best_of": numeric(
        lambda: 2 * BEST_OF_20,
        {
            0: (
                "Zero is the mean over all crops. You do not show the mean, you show the best one."
            ),
            2: (
                "That is one standard deviation, what a single crop scatters by. Take the best "
                "of 20."
            ),
            BEST_OF_20: "That is in standard deviations. One of them is 2 HU here.",
        },
        (
            "Of twenty crops of pure chance, which one is published?",
            "Draw twenty normal values, take the largest, repeat often, and take the mean.",
            "The mean of the largest of 20 normal values is 1.87 SD, and one SD is 2 HU.",
        ),
        "about 3.7 HU better, by a method that does nothing. Choose crops before you look.",
        unit="in HU",
        relative=0.04,
    ),
    "standard_error": numeric(
        lambda: 6 / 3,
        {
            6: "That is the scatter of single patients, not of their mean.",
            6 / 9: "The variance is divided by nine, not the SD.",
        },
        (
            "How does the SD of a mean fall with the number of patients?",
            "Divide by the root of the number of patients.",
            "6 over the root of 9.",
        ),
        "2 HU. State it as an interval, and say that patients were the unit.",
        unit="in HU",
    ),
    "at_least_one": numeric(
        lambda: 1 - 0.95**20,
        {
            0.05: "That is one test alone.",
            1: "That is how many to expect. How often is there at least one?",
            0.3585: "That is the chance that none finds anything.",
        },
        (
            "How often does none of the twenty find anything?",
            "One minus the chance that all twenty stay silent.",
            "1 - 0.95 to the power of 20.",
        ),
        "0.64: with twenty tests a finding is the rule.",
        unit="between 0 and 1",
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

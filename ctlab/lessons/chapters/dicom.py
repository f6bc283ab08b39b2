"""Exercises and quiz of the chapter on DICOM."""

from typing import Any

from ctlab.lessons.exercises.checking import Exercise, near, number
from ctlab.lessons.exercises.quizzes import Option, Question

FAULTS = {"gap", "rescale", "copy", "burned"}
CHOICES = FAULTS | {"tilt", "kernel", "lossy", "orientation"}


def _judge_faults(answer: Any) -> str | None:
    if isinstance(answer, str):
        return "Give a list of words."
    try:
        given = {str(word).strip().lower() for word in answer}
    except TypeError:
        return "Give a list of words."
    if unknown := given - CHOICES:
        return f"{', '.join(sorted(unknown))}: choose from {', '.join(sorted(CHOICES))}."
    if extra := given - FAULTS:
        return f"The report says nothing of {', '.join(sorted(extra))}. Read it line by line."
    missing = len(FAULTS - given)
    return f"{missing} more to find in the report." if missing else None


def _judge_hu(answer: Any) -> str | None:
    if near(answer, -600.0, relative=0.001):
        return None
    if near(answer, 424.0):
        return "That is the stored value. Slope and intercept turn it into HU."
    if near(answer, 1448.0):
        return "The intercept is negative: add -1024, do not subtract it."
    if near(answer, -424.0):
        return "Not the sign: the intercept is what is missing."
    if number(answer) is None:
        return "Give one number, in HU."
    return "HU = slope x stored + intercept = 1 x 424 - 1024."


EXERCISES = {
    "faults": Exercise(
        _judge_faults,
        lambda: ["gap", "rescale", "copy", "burned"],
        (
            (["gap", "copy"], "2 more"),
            (["gap", "tilt"], "nothing of tilt"),
            (["hole"], "choose from"),
            ("gap", "list of words"),
            (4, "list of words"),
        ),
        "all four. Two of them would have changed numbers of a study without an error message.",
    ),
    "hu": Exercise(
        _judge_hu,
        lambda: 1 * 424 - 1024,
        (
            (424, "stored value"),
            (1448, "negative"),
            (-424, "intercept"),
            ("lung", "one number"),
            (0, "slope"),
        ),
        "-600 HU: lung with something in it, or a ground-glass nodule.",
    ),
}

QUIZ = (
    Question(
        "By what are the slices of a series sorted?",
        (
            Option(
                "By file name.",
                "Names are given by whoever exported them. Some archives make them up.",
            ),
            Option(
                "By their position along the normal of the slices.",
                "Position and orientation are what the scanner measured.",
                is_right=True,
            ),
            Option(
                "By instance number.",
                "Often right, and wrong without warning: some run from the feet, some restart, "
                "some are missing.",
            ),
        ),
    ),
    Question(
        "PatientName and PatientID were emptied. Is the series anonymous?",
        (
            Option(
                "Yes: nobody is named any more.",
                "Dates, accession numbers, private tags, comments and UIDs lead back to a person, "
                "and the face can be rendered from a head scan.",
            ),
            Option(
                "No. It is a list of hundreds of elements, and pixels may hold text.",
                "The standard names them in its part 15. Use it, and look at the pixels.",
                is_right=True,
            ),
            Option(
                "Yes, if the files were renamed.",
                "A file's name is one of many places, and the least reliable one.",
            ),
        ),
    ),
    Question(
        "Why not work on images that were saved as eight-bit PNG?",
        (
            Option(
                "PNG loses quality.",
                "PNG itself is without loss. The loss came before: one window, and steps of "
                "several HU.",
            ),
            Option(
                "Everything outside one window is gone, and inside it steps remain.",
                "No later window can bring it back. Keep HU until the very last step.",
                is_right=True,
            ),
            Option(
                "Eight bits are enough for the eye, so nothing is lost.",
                "For one window on one screen. Measurements, networks and other windows need more.",
            ),
        ),
    ),
)

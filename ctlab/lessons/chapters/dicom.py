"""Exercises and quiz of the chapter on DICOM."""

from typing import Any

from ctlab.lessons.exercises.checking import Exercise, numeric
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


EXERCISES: dict[str, Exercise] = {
    "hu": numeric(
        lambda: 1 * 424 - 1024,
        {
            424: "That is the stored value. Slope and intercept turn it into HU.",
            1448: "The intercept is negative: add -1024, do not subtract it.",
            -424: "Not the sign: the intercept is what is missing.",
        },
        (
            "What turns a stored number into HU?",
            "HU is slope times stored value, plus intercept.",
            "HU = 1 x 424 + (-1024).",
        ),
        "-600 HU: lung with something in it, or a ground-glass nodule.",
        unit="in HU",
        relative=0.001,
    ),
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
        (
            "Which lines of the report name a fault, and which word fits each?",
            (
                "Look for positions, for one slice's offset, for a repeated slice, and for text "
                "in the pixels."
            ),
            "One word each: a missing place, the intercept, the repetition, the text.",
        ),
    ),
    "missing": numeric(
        lambda: 1,
        {
            0: "Look at the steps between the positions: they are not all the same.",
            2: "Only one step is too long, by one spacing.",
        },
        (
            "How far apart are neighbouring slices?",
            "The usual step is 2.5 mm; look for a longer one.",
            "From 5 to 10 mm there is room for one more slice.",
        ),
        "one, and no file name would have told you.",
        unit="the number of slices",
    ),
    "width_mm": numeric(
        lambda: 9 * 0.7,
        {
            9: "That is in pixels. How wide is one?",
            9 / 0.7: "Multiply by the width of a pixel, do not divide.",
        },
        (
            "How wide is one pixel?",
            "Width in mm is the number of pixels times their spacing.",
            "9 x 0.7.",
        ),
        (
            "6.3 mm: above the size at which guidelines ask for a follow-up, or below, "
            "depending on a number in the header."
        ),
        unit="in mm",
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

"""Exercises and quiz of the chapter on designing a reader study."""

from typing import Any

from ctlab.lessons.exercises.checking import Exercise, numeric
from ctlab.lessons.exercises.quizzes import Option, Question

FLAWS = ("endpoint", "margin", "truth", "patients", "washout", "scale")
"""What is wrong with the plan of the exercise, one word each."""


def _judge_flaws(answer: Any) -> str | None:
    if isinstance(answer, str):
        return "Give a list of words, chosen from endpoint, margin, truth, patients, washout, ..."
    try:
        given = {str(word).strip().lower() for word in answer}
    except TypeError:
        return "Give a list of words."
    if extra := sorted(given - set(FLAWS)):
        return f"The plan is in order there: {', '.join(extra)}."
    missing = len(set(FLAWS) - given)
    return f"{missing} more to find." if missing else None


EXERCISES: dict[str, Exercise] = {
    "half_width": numeric(
        lambda: 100 * 2**2,
        {
            200: "Half the width needs more than twice the cases: precision goes with the root.",
            100: "With as many cases as before the interval stays as it is.",
        },
        (
            "With what power of the number of cases does the width of an interval fall?",
            "The width goes with one over the root of the number of cases.",
            "Half the width needs the square of two times the cases: 4 x 100.",
        ),
        "400, as long as readers do not differ. If they do, even that is not enough.",
        unit="the number of cases",
        relative=0.001,
    ),
    "flaws": Exercise(
        _judge_flaws,
        lambda: list(FLAWS),
        (
            (["endpoint", "margin"], "4 more"),
            (["margin", "blinding"], "in order there"),
            ("margin", "list of words"),
            (7, "list of words"),
        ),
        "six flaws, all of them made before the first image was read.",
        (
            "Who fixes what, and when? Read each sentence of the plan with this question.",
            (
                "Check the endpoint, what non-inferiority needs, the truth, the number of "
                "patients, the days between, the scale."
            ),
            "Six of the eight words apply; blinding and order are in order.",
        ),
    ),
    "d_prime": numeric(
        lambda: 0.9539,
        {
            0.6745: "In a choice of two, two responses are compared: times the root of two.",
            0.75: "That is the share of right answers.",
        },
        (
            "Which normal deviate leaves 75 % below it?",
            "Multiply it by the root of two, as two images are compared.",
            "The root of two times 0.6745.",
        ),
        "0.95: the lesion is about one SD of the noise away.",
    ),
    "bonferroni": numeric(
        lambda: 0.05 / 5,
        {
            0.05: "Then one of five finds something far too often.",
            0.25: "Divide, do not multiply.",
        },
        (
            "How often would five tests of nothing find something?",
            "Divide the level by the number of tests.",
            "0.05 over 5.",
        ),
        "0.01. Or name one endpoint as primary, and keep all five per cent for it.",
    ),
}

QUIZ = (
    Question(
        "The study found no significant difference. May the lower dose be used?",
        (
            Option(
                "Yes: no difference was found.",
                "Nothing found is not nothing there. Three cases never find anything.",
            ),
            Option(
                "Only if the interval stays above a margin that was named before.",
                "That is non-inferiority: a claim with a limit, written down in advance.",
                is_right=True,
            ),
            Option(
                "Yes, if p is above 0.5.",
                "A large p says that the data are compatible with no difference, and with many "
                "other things too.",
            ),
        ),
    ),
    Question(
        "Money for 400 readings is left. More cases or more readers?",
        (
            Option(
                "Always more cases.",
                "Four readers stay four readers. What readers differ by is not averaged by cases.",
            ),
            Option(
                "It depends on how much readers differ from each other; compute it.",
                "The curves of this chapter flatten where cases stop helping.",
                is_right=True,
            ),
            Option(
                "Always more readers.",
                "Each reader reads the same cases. If these are few, they stay few.",
            ),
        ),
    ),
    Question(
        "Which endpoint shows that a denoised low-dose scan may replace the routine one?",
        (
            Option(
                "Image quality on five points.",
                "Readers rate what looks calm. An image may look good and lack the finding.",
            ),
            Option(
                "The findings, against a truth that does not come from these images.",
                "The task decides. Quality may be asked as well, and reported apart.",
                is_right=True,
            ),
            Option(
                "PSNR over all cases.",
                "No reader is in it. It was computed, and it can be high where a tumour is gone.",
            ),
        ),
    ),
)

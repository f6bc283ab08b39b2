"""Exercises and quiz of the chapter on optimal transport."""

from typing import Any

from ctlab.lessons.exercises.checking import Exercise, near, number
from ctlab.lessons.exercises.quizzes import Option, Question


def _judge_w1(answer: Any) -> str | None:
    if near(answer, 3.0):
        return None
    if near(answer, 6.0):
        return "That is the total distance. Each grain weighs one half: divide by their number."
    if near(answer, 3.5) or near(answer, 2.5):
        return "Pair the smaller with the smaller and the larger with the larger, then average."
    if number(answer) is None:
        return "Give one number."
    return "Sort both piles. Zero goes to two, one goes to five; average the two distances."


EXERCISES = {
    "w1": Exercise(
        _judge_w1,
        lambda: (abs(0 - 2) + abs(1 - 5)) / 2,
        (
            (6, "total"),
            (2.5, "smaller with the smaller"),
            (None, "one number"),
            (10, "Sort both"),
        ),
        "in one dimension sorting is optimal: nothing cheaper exists.",
    ),
}

QUIZ = (
    Question(
        "Why must a Wasserstein critic be 1-Lipschitz?",
        (
            Option(
                "To keep training stable.",
                "It helps, but it is not the reason. Without it the gap has no meaning: "
                "multiply the critic by ten and the gap grows tenfold.",
            ),
            Option(
                "Because only then the largest gap equals the transport distance.",
                "This is the Kantorovich-Rubinstein theorem. The constraint is its price.",
                is_right=True,
            ),
            Option("Because images are bounded.", "Bounded images do not bound a critic's slope."),
        ),
    ),
    Question(
        "Where does the cycle term of the OT-CycleGAN come from?",
        (
            Option(
                "It was added because it works.",
                "In the first CycleGAN it was. Here it falls out of the transport cost when one "
                "potential is bounded from above.",
            ),
            Option(
                "From bounding the c-transform: put x = G(y) into the infimum.",
                "What is left of the cost is the distance of y from F(G(y)).",
                is_right=True,
            ),
            Option(
                "From the Lipschitz constraint.",
                "That gives the lower bound, the gap. The cycle is in the upper one.",
            ),
        ),
    ),
    Question(
        "The transport cost between both distributions has become very small. What is guaranteed?",
        (
            Option(
                "Each denoised image is right.",
                "Transport compares distributions. Two patients could be swapped at no cost.",
            ),
            Option(
                "Denoised and routine-dose images have like distributions.",
                "That, and no more. One image needs another argument.",
                is_right=True,
            ),
            Option("The noise was Poisson.", "Transport does not know where noise comes from."),
        ),
    ),
)

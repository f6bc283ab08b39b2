"""Exercises and quiz of the chapter on optimal transport."""

from ctlab.lessons.exercises.checking import Exercise, numeric
from ctlab.lessons.exercises.quizzes import Option, Question

EXERCISES: dict[str, Exercise] = {
    "w1": numeric(
        lambda: (abs(0 - 2) + abs(1 - 5)) / 2,
        {
            6: "That is the total distance. Each grain weighs one half: divide by their number.",
            3.5: (
                "Pair the smaller with the smaller and the larger with the larger, then average."
            ),
            2.5: (
                "Pair the smaller with the smaller and the larger with the larger, then average."
            ),
        },
        (
            "Which grain goes where, if nothing may be cheaper?",
            "Sort both piles, pair them in order, and average the distances.",
            "From 0 to 2, from 1 to 5: the mean of 2 and 4.",
        ),
        "in one dimension sorting is optimal: nothing cheaper exists.",
    ),
    "shift": numeric(
        lambda: 3,
        {
            9: "That is the square. W1 counts the distance itself.",
            1.5: "Nobody meets in the middle: one pile goes the whole way.",
        },
        (
            "How far must each grain go?",
            "Each grain of one pile has its partner three to the right.",
            "The mean of a constant distance of 3.",
        ),
        "3: for shifted piles the distance is the shift, and its slope is one, near and far.",
    ),
    "too_steep": numeric(
        lambda: 2 * 3,
        {
            3: "That is the distance. This critic is steeper than allowed.",
            1.5: "A steeper critic sees a larger gap, not a smaller one.",
        },
        (
            "What happens to a gap if a critic is multiplied by two?",
            "The largest gap goes with the largest slope.",
            "2 x 3.",
        ),
        "6: without the limit on slopes a gap says more about the critic than about the piles.",
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

"""Exercises and quiz of the chapter on learning from pairs."""

from typing import Any

from ctlab.lessons.exercises.checking import Exercise, numeric
from ctlab.lessons.exercises.quizzes import Option, Question

TESTS, LEAKS = {"b", "d", "e", "g"}, {"b", "e"}
"""Test slices of the chapter's table, and those whose patient is in the training as well."""


def _judge_leak(answer: Any) -> str | None:
    try:
        given = {str(letter).strip().lower() for letter in answer}
    except TypeError:
        return "Give a list of letters."
    if not given or given - {"a", "b", "c", "d", "e", "f", "g"}:
        return "Give a list of letters of the table, a to g."
    if given - TESTS:
        return "A slice used for training is not a test. Name test slices only."
    if "b" not in given:
        return "Look for a neighbour: the same patient, one slice further."
    if "e" not in given:
        return "Twenty centimetres apart, but still the same patient: body, scanner, motion."
    if given - LEAKS:
        return "Slice d or g stands at the place of another one, but in another patient. No leak."
    return None


EXERCISES: dict[str, Exercise] = {
    "mean": numeric(
        lambda: 0.3 * -400 + 0.7 * -850,
        {
            -850: "That is the likelier story: the answer to the absolute error. Take the mean.",
            -625: "That is the middle of both. Weigh each story by its chance.",
            -535: "The chances are the wrong way round: 0.3 belongs to the vessel.",
        },
        (
            "Of ten patients with this pixel, what are their values?",
            "Weigh each of the two values by its chance, and add.",
            "0.3 x (-400) + 0.7 x (-850).",
        ),
        "-715 HU: neither lung nor vessel, and not a value that any patient has there.",
        unit="in HU",
        relative=0.001,
    ),
    "leak": Exercise(
        _judge_leak,
        lambda: ["b", "e"],
        (
            (["b"], "still the same patient"),
            (["e"], "neighbour"),
            (["b", "e", "g"], "another patient"),
            (["a", "b"], "not a test"),
            (["x"], "letters of the table"),
            (3, "list of letters"),
        ),
        "both share their patient with the training. Only d and g ask about the next one.",
        (
            "Which patients were seen in training?",
            "Was another slice of the same patient used for training?",
            "P1 and P2 were used for training.",
        ),
    ),
    "four_targets": numeric(
        lambda: 40 / 2,
        {
            10: "The variance is divided by four, not the SD.",
            40: "The mean of several is calmer than one.",
        },
        (
            "How does the SD of a mean fall with the number of values?",
            "It falls with the root of that number.",
            "40 over the root of 4.",
        ),
        "20 HU. A network that averages over thousands of targets sees next to no noise in them.",
        unit="in HU",
    ),
    "median": numeric(
        lambda: -400,
        {
            -580: "That is the mean, the answer to the squared error.",
            -850: "That is the less likely story now.",
        },
        (
            "Which of the two stories is the likelier one?",
            "The absolute error asks for the median: the likelier of two values.",
            "A chance of 0.6 makes it the vessel.",
        ),
        "-400 HU: a whole vessel, and wrong in four cases of ten.",
        unit="in HU",
        relative=0.001,
    ),
}

QUIZ = (
    Question(
        "Why are images of networks trained with the squared error soft?",
        (
            Option(
                "The network is too small.",
                "A larger one comes closer to the mean of all images that fit, and that is soft.",
            ),
            Option(
                "The best answer to this loss is the mean of all images that fit the input.",
                "Where edges are uncertain, the mean of edges at several places is a blur.",
                is_right=True,
            ),
            Option(
                "Convolutions blur.",
                "They can sharpen as well. The loss decides what they learn.",
            ),
        ),
    ),
    Question(
        "A network was trained with noisy targets only. What is the best it can learn?",
        (
            Option(
                "Noise: it has seen nothing else.",
                "It cannot predict noise that its input does not hold; what remains is the mean.",
            ),
            Option(
                "The same as with clean targets, if the noise is independent and has mean zero.",
                "It needs more examples to get there, because its targets scatter.",
                is_right=True,
            ),
            Option(
                "Half of the denoising.",
                "The mean of noisy targets is the clean target, not half of it.",
            ),
        ),
    ),
    Question(
        "The test set holds other slices of the training patients. What does the test show?",
        (
            Option(
                "How it will be with new patients: no slice was used twice.",
                "The body, its motion and the scanner were seen in training. New patients bring "
                "others.",
            ),
            Option(
                "How well it does on patients it has already met.",
                "Which is not the question that anybody has.",
                is_right=True,
            ),
            Option(
                "Nothing at all.",
                "It does show something: a failure here would be a failure everywhere.",
            ),
        ),
    ),
)

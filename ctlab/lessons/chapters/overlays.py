"""Exercises and quiz of the chapter on whether explanations help."""

from scipy.stats import norm

from ctlab.lessons.exercises.checking import Exercise, numeric
from ctlab.lessons.exercises.quizzes import Option, Question

EXERCISES: dict[str, Exercise] = {
    "mended": numeric(
        lambda: 18 / 45,
        {
            18 / 200: "That is the share of all readings. Only those that could be mended count.",
            45 / 200: "That is how often the first answer was wrong.",
            18: "That is the count. Divide it by those that could be mended.",
        },
        (
            "Which readings can tell whether a right map was used?",
            "Those whose first answer was wrong and whose map was right.",
            "18 of 45.",
        ),
        "0.40: of ten errors that the right map could mend, four were mended.",
        unit="between 0 and 1",
    ),
    "wrong_maps": numeric(
        lambda: 40 / 2 + 0.2 * 40 / 2,
        {
            20: "The shuffled maps, yes. But own maps are not all right.",
            4: "Those are the own maps that are wrong. Shuffled ones are wrong, too.",
            8: "That would be a fifth of all maps. Half of them are shuffled, and those are wrong.",
        },
        (
            "Which maps are wrong: the shuffled ones only?",
            "Half of 40 are shuffled. Of the other half one in five is wrong.",
            "20 and 4.",
        ),
        "24 of 40 readings come with a wrong map: enough to see how readers resist it.",
        unit="readings",
    ),
    "trust": numeric(
        lambda: float(norm.ppf(0.8) - norm.ppf(0.6)),
        {
            0.2: "That is the difference of the shares. Take the normal quantile of each first.",
            float(norm.ppf(0.8)): "That is one of the two quantiles. Take the other one off.",
            float(norm.ppf(0.8) + norm.ppf(0.6)): "Take the difference of the quantiles.",
        },
        (
            "How far apart on the normal scale are following right and following wrong maps?",
            "The quantile of the first share less the quantile of the second.",
            "0.84 less 0.25.",
        ),
        "0.59: these readers hardly tell right maps from wrong ones.",
        unit="",
        relative=0.03,
    ),
}

QUIZ = (
    Question(
        "Readers with maps are right more often. The maps were all right. What follows?",
        (
            Option(
                "That explanations help.",
                "A spot that is always at the lesion helps whoever follows blindly, too.",
            ),
            Option(
                "That following them pays when they are right; not that readers can tell.",
                "Only wrong maps show whether readers judge a map or obey it.",
                is_right=True,
            ),
            Option(
                "Nothing, because readers liked the maps.",
                "What they liked is another question; what they answered was measured.",
            ),
        ),
    ),
    Question(
        "When may the first answer and the one with the map be compared within a reader?",
        (
            Option(
                "Whenever both were given.",
                "If the map could be seen before the first answer counts, it is in that answer.",
            ),
            Option(
                "When the first was locked before the map was sent to the screen.",
                "Hidden in the page is not locked: it may be looked at, and it may be changed.",
                is_right=True,
            ),
            Option(
                "Never: only separate sessions can be compared.",
                "Both designs are in use. Locking makes first answers careful; a report says so.",
            ),
        ),
    ),
    Question(
        "Five of ten readers did worse with maps. Were five harmed?",
        (
            Option(
                "Yes, half of the readers.",
                "If maps did nothing at all, half of the readers would come out worse by chance.",
            ),
            Option(
                "That cannot be said before the effects are shrunk by their noise.",
                "Each effect rests on few answers; the chance of harm follows after shrinkage.",
                is_right=True,
            ),
            Option(
                "No: the mean did not fall.",
                "A mean of zero may hide some who gain and some who lose.",
            ),
        ),
    ),
)

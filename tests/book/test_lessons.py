"""Exercises judge right and wrong answers; quizzes explain every option."""

import importlib

import pytest

from ctlab.lessons import check, quiz
from ctlab.lessons.exercises.checking import find

CHAPTERS = (
    "start",
    "physics",
    "noise",
    "dicom",
    "classic",
    "metrics",
    "paired",
    "gans",
    "transport",
    "training",
    "explaining",
    "hallucination",
    "design",
    "study",
    "ratings",
    "overlays",
    "reporting",
    "capstone",
)
EXERCISES = [
    f"{chapter}.{name}"
    for chapter in CHAPTERS
    for name in importlib.import_module(f"ctlab.lessons.chapters.{chapter}").EXERCISES
]


@pytest.mark.parametrize("name", EXERCISES)
def test_the_reference_answer_passes(name):
    exercise = find(name)
    feedback = check(name, exercise.reference())
    assert feedback.passed
    assert str(feedback) == f"Right: {exercise.praise}"


@pytest.mark.parametrize("name", EXERCISES)
def test_recorded_wrong_answers_fail_with_the_right_hint(name):
    exercise = find(name)
    assert exercise.wrong, "an exercise records wrong answers"
    for answer, words in exercise.wrong:
        feedback = check(name, answer)
        assert not feedback.passed, answer
        assert words in feedback.text


@pytest.mark.parametrize("name", EXERCISES)
def test_hints_grow_with_each_try_and_the_first_holds_no_solution(name):
    exercise = find(name)
    check(name, exercise.reference())
    stuck = [-1000.0, -1001.5, -1002.5]
    said = [check(name, answer).text for answer in stuck]
    assert check(name, stuck[0]).text == said[0], "the same answer earns nothing new"
    assert len(set(said)) == 3 or exercise.steps[1] in said[1]
    assert exercise.steps[1] not in said[0]
    assert exercise.steps[2] not in said[0]
    assert said[2].endswith(exercise.steps[2])
    check(name, exercise.reference())


@pytest.mark.parametrize("name", EXERCISES)
@pytest.mark.parametrize("answer", [float("nan"), float("inf"), None, [], True])
def test_what_is_no_answer_never_passes(name, answer):
    assert not check(name, answer).passed


@pytest.mark.parametrize("name", ["physics.nothing", "nowhere.hu", "physics"])
def test_an_unknown_exercise_is_refused_by_name(name):
    with pytest.raises(ValueError, match=r"no (exercise|chapter)"):
        check(name, 1)


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_every_option_of_a_quiz_explains_itself(chapter):
    questions = quiz(chapter).questions
    assert len(questions) >= 3
    for question in questions:
        assert len(question.options) >= 3
        assert all(len(option.feedback) > 20 for option in question.options)
        assert len({option.feedback for option in question.options}) == len(question.options)


def test_a_quiz_needs_no_script_and_escapes_its_text():
    page = quiz("physics")._repr_html_()
    assert "<script" not in page
    assert page.count("<details>") == sum(len(q.options) for q in quiz("physics").questions)

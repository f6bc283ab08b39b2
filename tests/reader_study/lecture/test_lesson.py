"""A lesson: who may answer when, what is shown of it, and that nothing of it stays."""

import numpy as np
import pytest

from reader_study.lecture.class_results import class_roc, kappa, rocs, shares
from reader_study.lecture.lesson import Lesson
from reader_study.lecture.slides import Slide, crops
from reader_study.stats.roc.curve import empirical_auc

YES_NO = ({"value": 1, "text": "no"}, {"value": 2, "text": "yes"})


def slide(truth=None, arm="", shape=(3, 8, 8), **facts):
    image = np.full(shape, -600, np.int16)
    return Slide(
        question="Is it there?",
        options=YES_NO,
        images=lambda: (image, None),
        spacing_mm=(1.0, 1.0, 1.0),
        frame=1,
        key=("an arm",),
        truth=truth,
        arm=arm,
        **facts,
    )


class Clock:
    time = 100.0

    def __call__(self):
        return self.time


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def lesson(clock):
    made = Lesson([slide(True), slide(False), slide()], clock=clock)
    made.begin()
    return made


def read(lesson, values, devices=None):
    """Open the slide, let these devices answer, close it."""
    devices = devices or [lesson.join() for _ in values]
    lesson.open(30)
    for device, value in zip(devices, values, strict=True):
        assert lesson.answer(device, lesson.name_of(lesson.index), value)
    lesson.close()
    return devices


def test_an_answer_counts_once_while_the_slide_is_open_by_the_clock_of_the_server(lesson, clock):
    device, name = lesson.join(), lesson.name_of(0)
    assert not lesson.answer(device, name, 1), "not open yet"
    lesson.open(30)
    assert not lesson.answer("somebody", name, 1)
    assert not lesson.answer(device, lesson.name_of(1), 1), "another question"
    for value in (3, "1", True, None, [1], 1.0):
        assert not lesson.answer(device, name, value)
    assert lesson.answer(device, name, 1)
    assert not lesson.answer(device, name, 2), "the first stands, however often a telephone sends"
    assert (lesson.given(device), lesson.answered) == (1, 1)
    late = lesson.join()
    clock.time += 30
    assert not lesson.answer(late, name, 1), "over by the clock, though nobody has closed it yet"
    assert lesson.close_if_due()
    assert lesson.phase == "closed"
    lesson.open(30)
    assert lesson.phase == "closed", "a slide is opened once"


def test_nothing_is_shown_of_four_answers_nor_of_four_that_came_later(lesson):
    devices = [lesson.join() for _ in range(13)]
    lesson.open(30)
    seen = []
    for device in devices:
        lesson.answer(device, lesson.name_of(0), 1)
        seen.append(len(lesson.shown(0)))
    assert seen == [0] * 4 + [5] * 5 + [10] * 4, "no picture differs from the last by fewer than 5"
    lesson.close()
    assert len(lesson.shown(0)) == 10
    assert lesson.answered == 13


def test_shares_with_exact_intervals_and_a_slider_in_five_parts():
    assert shares(slide(), [1, 1, 2, 2]) is None
    no, yes = shares(slide(), [2] * 10)
    assert (no["share"], yes["share"]) == (0, 1)
    assert yes["low"] == pytest.approx(0.025**0.1)  # Clopper-Pearson, 10 of 10
    slid = slide(ends=("none", "all"))
    assert [row["share"] for row in shares(slid, [0, 19, 20, 100, 80])] == [0.4, 0.2, 0, 0, 0.4]
    assert [slid.offers(v) for v in (0, 100, 101, -1, "5", 5.0, True)] == [True] * 2 + [False] * 5


def test_kappa_waits_for_two_closed_slides_and_is_fleiss(lesson):
    devices = read(lesson, [1] * 5)
    assert kappa(lesson) is None
    lesson.go(1)
    read(lesson, [2] * 5, devices)
    assert kappa(lesson)["value"] == pytest.approx(1.0)
    lesson.go(1)
    lesson.open(30)
    for device in devices:
        lesson.answer(device, lesson.name_of(2), 1)
    assert kappa(lesson)["slides"] == 2, "what is open does not count yet"


def test_the_roc_is_of_opened_keys_alone_and_the_mean_over_people(lesson):
    devices = read(lesson, [2, 2, 2, 2, 1])
    lesson.open_key()
    lesson.go(1)
    read(lesson, [1, 1, 1, 2, 1], devices)
    assert rocs(lesson) == {}, "a curve would tell what is behind the second key"
    lesson.open_key()
    found = rocs(lesson)[""]
    assert (found["people"], found["auc"]) == (5, pytest.approx((3 + 0.5 + 0.5) / 5))
    areas = [1, 1, 1, 0.5, 0.5]
    half = 2.7764451052 * np.std(areas, ddof=1) / np.sqrt(5)  # t quantile with 4 df
    assert found["low"] == pytest.approx(0.8 - half)
    assert found["high"] == 1.0, "limits stay within 0 to 1"
    ends = found["curve"][0], found["curve"][-1]
    assert [e["y"] for e in ends] == pytest.approx([0.6, 1.0])


def test_criteria_that_differ_do_not_pull_the_class_down():
    """Each is perfect at an own criterion; one curve of all answers together would not be."""
    truth = {0: True, 1: True, 2: False, 3: False}
    answers = {
        i: {f"d{k}": 10 * k + (5 if there else 0) for k in range(6)} for i, there in truth.items()
    }
    assert class_roc(truth, answers)["auc"] == 1.0
    pooled = [(there, v) for i, there in truth.items() for v in answers[i].values()]
    assert empirical_auc(*zip(*pooled, strict=True)) < 0.65
    assert class_roc(truth, {i: {f"d{k}": 1 for k in range(4)} for i in truth}) is None


def test_arms_have_their_own_curves(clock):
    slides = [slide(t, arm) for arm in ("one", "two") for t in (True, False)]
    lesson = Lesson(slides, clock=clock)
    lesson.begin()
    devices = [lesson.join() for _ in range(5)]
    for values in ([2] * 5, [1] * 5, [1] * 5, [1] * 5):
        read(lesson, values, devices)
        lesson.open_key()
        lesson.go(1)
    assert {name: roc["auc"] for name, roc in rocs(lesson).items()} == {
        "": 0.75,
        "one": 1.0,
        "two": 0.5,
    }


def test_going_back_opens_nothing_again_and_the_end_forgets_all(lesson):
    devices = read(lesson, [1] * 5)
    lesson.open_key()
    lesson.go(1)
    assert lesson.phase == "ready"
    lesson.go(-1)
    assert (lesson.index, lesson.phase) == (0, "key")
    lesson.go(-1)
    assert lesson.index == 0
    rows = lesson.rows()
    assert {row["use"] for row in rows} == {"teaching"}
    assert sorted(row["device"] for row in rows) == [1, 2, 3, 4, 5]
    assert not any(device in str(rows) for device in devices), "no token leaves"
    lesson.end()
    assert (lesson.rows(), lesson.devices, lesson.code, lesson.join()) == ([], set(), "", None)
    lesson.go(1)
    lesson.begin()
    assert lesson.phase == "ended"


def test_places_are_limited(clock):
    lesson = Lesson([slide()], places=5, clock=clock)
    assert len({lesson.join() for _ in range(5)}) == 5
    assert lesson.join() is None


def test_a_telephone_gets_the_window_and_no_more_pixels_than_it_shows():
    import io

    from PIL import Image

    (png,) = crops(slide(shape=(3, 800, 400)))
    grey = np.asarray(Image.open(io.BytesIO(png)))
    assert grey.shape == (384, 192)
    assert set(np.unique(grey)) == {128}  # level of the lung window

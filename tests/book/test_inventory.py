"""The concept inventory: ten items, anonymous files, and a gain worked by hand."""

import csv

import pytest

from ctlab.lessons import inventory, inventory_gain, pace, read_inventories
from ctlab.lessons.exercises.inventory import COLUMNS
from ctlab.lessons.exercises.inventory_items import ITEMS

RIGHT = {key: [o.is_right for o in q.options].index(True) for key, q in ITEMS.items()}


def write(folder, stage, person, wrong=()):
    path = folder / f"{stage}-{person}.csv"
    with path.open("w", newline="") as target:
        rows = csv.writer(target)
        rows.writerow(COLUMNS)
        for key in ITEMS:
            answer = (RIGHT[key] + 1) % 4 if key in wrong else RIGHT[key]
            rows.writerow((1, stage, person, key, answer))
    return path


def test_ten_items_whose_wrong_answers_each_name_a_misconception():
    assert len(ITEMS) == 10
    for question in ITEMS.values():
        assert len(question.options) == 4
        assert len({option.feedback for option in question.options}) == 4
        assert all(len(option.feedback) > 20 for option in question.options)


def test_the_right_answer_does_not_betray_itself_by_its_place():
    assert len(set(RIGHT.values())) == 4
    assert max(list(RIGHT.values()).count(place) for place in range(4)) <= 4


def test_before_the_course_nothing_tells_which_answer_is_right():
    form = inventory("before")._repr_html_()
    told = [option.feedback for question in ITEMS.values() for option in question.options]
    assert not [feedback for feedback in told if feedback[:20] in form]
    assert "Right." not in form
    assert inventory("after")._repr_html_().count('class="why" hidden') == 40


def test_the_form_can_be_used_without_a_mouse_and_sends_nothing():
    form = inventory("before")._repr_html_()
    assert form.count("<fieldset>") == form.count("<legend>") == 10
    assert form.count('type="radio"') == form.count("<p><label><input") == 40
    assert not [word for word in ("http", "fetch(", "XMLHttp", "action=") if word in form]


def test_another_stage_is_refused():
    with pytest.raises(ValueError, match="'before' or 'after', got 'during'"):
        inventory("during")


def test_the_gain_is_the_share_won_of_what_could_be_won(tmp_path):
    # Two people. "dose": both wrong before, one right after: (1/2 - 0) / (1 - 0) = 1/2.
    # "map": one wrong before, none after: (1 - 1/2) / (1 - 1/2) = 1. A third person has no
    # file after and must not count.
    write(tmp_path, "before", "a", wrong={"dose", "map"})
    write(tmp_path, "before", "b", wrong={"dose"})
    write(tmp_path, "after", "a", wrong={"dose"})
    write(tmp_path, "after", "b")
    write(tmp_path, "before", "c", wrong=set(ITEMS))
    gain = inventory_gain(read_inventories(tmp_path))
    assert gain.loc["dose"].tolist() == [2, 0.0, 0.5, 0.5]
    assert gain.loc["map"].tolist() == [2, 0.5, 1.0, 1.0]
    assert gain.loc["window", "gain"] != gain.loc["window", "gain"], "nothing could be won"
    # All items: 17 of 20 right before, 19 after: (2/20) / (3/20) = 2/3.
    assert gain.loc["all", "gain"] == pytest.approx(2 / 3)


def test_files_that_cannot_be_used_are_named(tmp_path):
    with pytest.raises(ValueError, match=r"no \.csv file"):
        read_inventories(tmp_path)
    bad = tmp_path / "other.csv"
    for text in ("a,b\n1,2\n", "format_version,stage,person,item,answer\n1,before,a,dose,9\n"):
        bad.write_text(text)
        with pytest.raises(ValueError, match=r"other\.csv is not an export"):
            read_inventories(tmp_path)
    bad.unlink()
    write(tmp_path, "before", "a")
    with pytest.raises(ValueError, match="one after"):
        inventory_gain(read_inventories(tmp_path))
    write(tmp_path, "before", "a", wrong={"dose"}).rename(tmp_path / "again.csv")
    write(tmp_path, "before", "a")
    with pytest.raises(ValueError, match="'dose' twice before"):
        read_inventories(tmp_path)


@pytest.mark.parametrize(
    ("setting", "times"), [("1", 2), ("yes", 2), ("0", 30), ("", 30), ("false", 30)]
)
def test_a_quick_build_does_less(setting, times, monkeypatch):
    monkeypatch.setenv("CTLAB_FAST", setting)
    assert pace(30, 2) == times

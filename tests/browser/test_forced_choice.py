"""A reader answers by keyboard, comes back after a reload, and takes a file along."""

import json

import pandas as pd
import pytest

from reader_study.forced_choice.pages import write_pages
from reader_study.forced_choice.score import score_answers
from tests.reader_study.forced_choice.conftest import search_set, small_set

pytestmark = [pytest.mark.browser, pytest.mark.slow]
__all__ = ["search_set", "small_set"]


def test_a_page_is_read_by_keyboard_survives_a_reload_and_hands_out_its_answers(
    open_page, small_set, tmp_path
):
    write_pages(small_set, tmp_path / "pages", ["anna"], seed=3)
    key = json.loads((tmp_path / "pages" / "key.json").read_text("utf-8"))["trials"]
    page = open_page((tmp_path / "pages" / "anna.html").as_uri())[0]
    page.click("#start")
    page.keyboard.press("1")  # at once: nobody has seen the squares yet
    page.wait_for_timeout(100)
    assert "1 of 6" in page.inner_text("#said")
    for number in range(6):
        if number == 3:
            page.reload()
            assert "3 of 6 are answered" in page.inner_text("#said")
            page.click("#start")
        page.wait_for_timeout(450)
        page.keyboard.press("2")
    with page.expect_download() as saved:
        page.click("a")
    assert saved.value.suggested_filename == "answers-anna.csv"
    saved.value.save_as(tmp_path / "answers.csv")
    scored = score_answers(tmp_path / "pages" / "key.json", [tmp_path / "answers.csv"])
    assert len(scored) == 6
    assert (scored["chosen"] == 2).all()
    assert scored["correct"].sum() == sum(t["place"] == 2 for t in key.values())
    assert (scored["seconds"] > 0.35).all()


def test_practice_tells_right_from_wrong_and_ends_with_a_contrast(open_page, small_set, tmp_path):
    write_pages(small_set, tmp_path / "pages", ["anna"], seed=3)
    page = open_page((tmp_path / "pages" / "practice.html").as_uri())[0]
    page.clock.install()
    page.click("#start")
    for _ in range(24):
        page.clock.run_for(500)
        page.keyboard.press("1")
        assert page.inner_text("#said").startswith(("Yes", "No"))
        page.clock.run_for(1200)
    assert "Practice ended" in page.inner_text("#said")


def test_a_search_is_marked_by_mouse_and_keyboard_and_rated_by_number(
    open_page, search_set, tmp_path
):
    write_pages(search_set, tmp_path / "pages", ["anna"], seed=1)
    page = open_page((tmp_path / "pages" / "anna.html").as_uri())[0]
    page.click("#start")
    page.keyboard.press("6")  # nothing is marked yet
    assert "1 of 4" in page.inner_text("#said")
    assert page.is_disabled(".sure button:nth-child(6)")
    box = page.locator("canvas").bounding_box()
    for number in range(4):
        page.wait_for_timeout(450)
        if number % 2:
            page.keyboard.press("ArrowUp")  # from the middle
        else:
            page.mouse.click(
                box["x"] + 22.5 / 41 * box["width"], box["y"] + 12.5 / 41 * box["height"]
            )
        page.keyboard.press("6")
    with page.expect_download() as saved:
        page.click("a")
    saved.value.save_as(tmp_path / "answers.csv")
    rows = pd.read_csv(tmp_path / "answers.csv")
    assert rows["rating"].tolist() == [6] * 4
    assert rows.loc[0, ["y", "x"]].tolist() == pytest.approx([12, 22], abs=0.3)
    assert rows.loc[1, ["y", "x"]].tolist() == [19, 20]
    assert len(score_answers(tmp_path / "pages" / "key.json", [tmp_path / "answers.csv"])) == 4


def test_practice_of_a_search_shows_where_the_lesion_lay(open_page, search_set, tmp_path):
    write_pages(search_set, tmp_path / "pages", ["anna"], seed=1)
    page = open_page((tmp_path / "pages" / "practice.html").as_uri())[0]
    page.click("#start")
    said = []
    for _ in range(2):
        page.wait_for_timeout(450)
        page.keyboard.press("ArrowUp")
        page.keyboard.press("1")
        said.append(page.inner_text("#said"))
        page.wait_for_timeout(1600)
    assert said == ["It lay at the green cross, at 80 HU.", "There was none."]
    assert "Practice ended" in page.inner_text("#said")

"""A reader answers by keyboard, comes back after a reload, and takes a file along."""

import json

import pytest

from reader_study.forced_choice.pages import write_pages
from reader_study.forced_choice.score import score_answers
from tests.reader_study.forced_choice.conftest import small_set

pytestmark = [pytest.mark.browser, pytest.mark.slow]
__all__ = ["small_set"]


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

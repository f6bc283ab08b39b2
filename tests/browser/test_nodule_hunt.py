"""The hunt for a faint nodule: by mouse and by keyboard, kept in the browser, drawn at the end."""

import numpy as np
import pytest

from ctlab.lessons.exercises.nodule_hunt import ASKED, DOSES, PATCH_PX, Hunt, HuntCurve

pytestmark = [pytest.mark.browser, pytest.mark.slow]
PLACES = tuple((20 + 5 * k, 70 - 4 * k) for k in range(len(ASKED)))


@pytest.fixture
def page(open_page, tmp_path):
    rng = np.random.default_rng(0)
    patches = rng.normal(-850, 60, (len(ASKED), len(DOSES), PATCH_PX, PATCH_PX))
    curve = HuntCurve((1.0, 1.0, 0.8, 0.5, 0.2), (1.0, 1.0, 1.0, 0.9, 0.6))
    body = Hunt(patches, PLACES, 0.7)._repr_html_() + curve._repr_html_()
    path = tmp_path / "hunt.html"
    style = "<style>.stage { width: 384px; height: 384px } .stage img { width: 100% }</style>"
    path.write_text(f"<!doctype html><meta charset=utf-8>{style}{body}", "utf-8")
    return open_page(path.as_uri())[0]


def test_hits_and_misses_are_told_apart_and_come_back_as_a_curve(page):
    scale = 384 / PATCH_PX
    for number, (row, column) in enumerate(PLACES):
        off = 0 if number % 2 == 0 else 20
        page.click(
            ".stage", position={"x": scale * (column - off) + 2, "y": scale * row + 2}, force=True
        )
        said = page.inner_text("[role=status] >> nth=0")
        assert said.startswith("Yes" if off == 0 else "No")
        if number + 1 < len(ASKED):
            page.click("button")
    assert "You found 5 of 10" in said
    page.reload()
    shares = page.locator("tr:last-child td").all_inner_texts()
    hits = {dose: [] for dose in range(len(DOSES))}
    for number, dose in enumerate(ASKED):
        hits[dose].append(number % 2 == 0)
    assert shares == [f"{100 * np.mean(hits[d]):.0f} %" for d in range(len(DOSES))]


def test_arrow_keys_and_enter_answer_as_well(page):
    page.focus(".stage")
    row, column = PLACES[0]
    middle = PATCH_PX // 2
    for key, steps in (("ArrowUp", (middle - row) // 2), ("ArrowRight", (column - middle) // 2)):
        for _ in range(steps):
            page.keyboard.press(key)
    page.keyboard.press("Enter")
    assert page.inner_text("[role=status] >> nth=0").startswith("Yes")
    page.focus("input[type=range]")
    before = page.get_attribute(".stage img", "src")
    page.keyboard.press("ArrowRight")
    assert page.get_attribute(".stage img", "src") != before

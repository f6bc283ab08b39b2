"""A length is answered by the calliper's millimetres, or typed."""

import pytest

from tests.browser.conftest import PROTOCOL, lock_slabs
from tests.browser.test_reading_tasks import stored

pytestmark = pytest.mark.browser
LENGTH = """
[[items]]
name = "diameter"
kind = "length"
about = "each"
question = "Longest diameter of the vessel, in mm?"
[analysis]
primary_item = "diameter"
"""


def test_the_calliper_gives_the_answer(tmp_path, serve, open_page, enter):
    from reader_study.record.coordinator import add_reader

    study = lock_slabs(tmp_path, PROTOCOL + LENGTH)
    code = add_reader(study, "Reader One")[1]
    page, _ = open_page(serve(study).url)
    enter(page, code)
    page.wait_for_selector("#rs-length")
    page.click("button:has-text('Take the calliper')")
    page.wait_for_selector(".rs-state.bad:has-text('no calliper')")
    page.keyboard.press("Enter")  # presses the button that has the focus: nothing is answered
    box = page.locator(".ctv-stage >> visible=true").bounding_box()
    page.evaluate("() => document.activeElement.blur()")
    page.keyboard.press("c")
    x, y = box["x"] + box["width"] / 4, box["y"] + box["height"] / 2
    page.mouse.move(x - 40, y)
    page.mouse.down()
    page.mouse.move(x + 30, y + 20, steps=4)
    page.mouse.up()
    page.wait_for_selector(".ctv-probe:has-text('calliper') >> visible=true")
    page.click("button:has-text('Take the calliper')")
    taken = float(page.input_value("#rs-length"))
    assert f"{taken:.1f} mm" in page.inner_text(".ctv-probe >> visible=true")
    page.screenshot(path=tmp_path / "length.png")
    page.click("button:has-text('Save')")
    page.wait_for_function("() => document.querySelector('#rs-length')?.value === ''")
    page.fill("#rs-length", "7.25")
    page.focus("#rs-length")
    page.keyboard.press("Enter")
    page.wait_for_selector("#rs-where:has-text('2 of')")
    answers = dict(stored(study))
    assert answers["diameter@left"] == pytest.approx(taken)
    assert answers["diameter@right"] == 7.2

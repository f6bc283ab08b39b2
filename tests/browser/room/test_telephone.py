"""A telephone as the answer pad beside the images: paired by a code, pressed like keys."""

import json
import re
import sqlite3

import pytest

pytestmark = pytest.mark.browser


def answers_in(study) -> list:
    with sqlite3.connect(study / "study.db") as connection:
        rows = connection.execute("SELECT value FROM answer ORDER BY seq").fetchall()
    connection.close()
    return [json.loads(value) for (value,) in rows]


def test_answers_are_given_on_a_telephone_and_the_images_stay_on_the_screen(
    locked_study, staffed, serve, open_page, enter
):
    folder, (code,) = staffed(locked_study, "Reader One")
    # A name that is not localhost, as in a network; Chromium resolves it here.
    server = serve(folder, "--host", "127.0.0.2")
    page, _ = open_page(server.url)
    enter(page, code)
    page.click("text=Telephone")
    address = page.get_attribute(".rs-pad img", "alt")
    assert re.fullmatch(rf"{server.url}pad/[\w-]{{22}}", address)
    assert page.evaluate("document.querySelector('.rs-pad img').naturalWidth") > 200
    page.keyboard.press("1")
    assert answers_in(folder) == [], "a key under the code answers nothing"
    phone, wire = open_page(address, size=(390, 844), has_touch=True, is_mobile=True)
    phone.wait_for_selector("text=Pair 1 of 8")
    page.wait_for_selector("text=A telephone is connected.")
    page.wait_for_selector(".rs-pad", state="detached")
    phone.tap("button:has-text('Image B')")
    page.wait_for_selector("#rs-where:has-text('Pair 2 of 8')")
    phone.wait_for_selector("text=Pair 2 of 8")
    phone.tap("button:has-text('Undo')")
    page.wait_for_selector("#rs-where:has-text('Pair 1 of 8')")
    phone.wait_for_selector("text=Pair 1 of 8")
    phone.wait_for_selector("button[aria-pressed=true]:has-text('Image B')")
    phone.tap("button:has-text('no preference')")
    phone.wait_for_selector("text=Pair 2 of 8")
    assert answers_in(folder) == ["right", None, "tie"]
    assert wire.hosts == {f"127.0.0.2:{server.port}"}
    assert phone.locator("img").count() == 0, "no image leaves for a telephone"
    stranger, _ = open_page(address, size=(390, 844))
    assert "no such page" in stranger.text_content("body"), "the code is good once"
    page.click("text=Not you? Log out")
    phone.wait_for_selector("text=This telephone is not connected.")
    assert not phone.locator("button").count()

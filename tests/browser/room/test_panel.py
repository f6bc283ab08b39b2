"""The question panel alone in Chromium: what it sends, what it hides, what the last page says."""

import base64
import json

import pytest

from reader_study.design.texts import load_texts

pytestmark = pytest.mark.browser

PAGE = """<!doctype html><html lang="en"><title>Panel</title><style>CSS</style>
<div class="room"><div class="room-images"><div class="room-view-0"><div class="ctv" data-tag="t1">
</div></div></div><div id="host"></div></div><script type="module">
const state = STATE, handlers = {};
window.sent = [];
const viewer = document.querySelector(".ctv").viewer = { asks: null,
  seen: () => ({ level_hu: 40, mode: "flicker" }), askRegion: (asks) => { viewer.asks = asks; },
  sliceNumber: (z) => 9 - z };
window.viewer = viewer;
window.model = { get: (name) => state[name], send: (message) => sent.push(message),
  on(event, handler) { (handlers[event] ??= []).push(handler); },
  put(name, value) {
    state[name] = value;
    (handlers[`change:${name}`] ?? []).forEach((h) => h());
  } };
const script = await import("data:text/javascript;base64,SCRIPT");
script.default.render({ model, el: document.getElementById("host") });
</script></html>"""

ITEM = {"kind": "preference", "question": "Which?", "answers": [], "ties": True, "side": ""}
QUESTION = {
    "kind": "question",
    "id": "t1:pref",
    "trial": "t1",
    "front": 0,
    "pair": True,
    "number": 3,
    "of": 8,
    "item": {**ITEM, "marks": []},
    "comment": "",
    "can_undo": False,
    "before": None,
}


@pytest.fixture
def open_panel(browser, tmp_path):
    from reader_study.room.widget import Panel

    pages = []

    def open_page(screen):
        state = {"screen": screen, "ahead": {}, "texts": load_texts(), "marks": [], "reader": {}}
        script = base64.b64encode(Panel._esm.encode()).decode()
        text = PAGE.replace("CSS", str(Panel._css)).replace("STATE", json.dumps(state))
        path = tmp_path / "panel.html"
        path.write_text(text.replace("SCRIPT", script), "utf-8")
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        page.goto(path.as_uri())
        page.wait_for_selector(".rs > *")
        pages.append(page)
        return page

    yield open_page
    for page in pages:
        page.close()


def test_an_answer_carries_how_the_images_were_seen(open_panel):
    page = open_panel(QUESTION)
    page.keyboard.press("1")
    (message,) = page.evaluate("sent")
    assert message["value"] == "left"
    assert message["view"] == {"level_hu": 40, "mode": "flicker"}
    assert page.evaluate("viewer.asks") is False


def test_a_key_hides_the_question_and_what_was_not_saved_stays(open_panel):
    page = open_panel(QUESTION)
    width = "() => document.querySelector('.room-images').getBoundingClientRect().width"
    before = page.evaluate(width)
    page.keyboard.press("q")
    assert page.evaluate(width) > before + 200
    assert not page.is_visible("fieldset")
    assert page.is_visible("#rs-where")
    assert page.is_visible(".rs-reminder")
    page.evaluate("screen => model.put('screen', screen)", {**QUESTION, "problem": "disk full"})
    assert page.is_visible(".rs-state:has-text('disk full')")
    page.keyboard.press("q")
    assert page.is_visible("fieldset")
    assert not page.is_visible(".rs-reminder")


def test_where_a_place_is_asked_the_drag_is_the_answer_and_nowhere_is_one(open_panel):
    where = {**QUESTION, "id": "t1:_where", "item": {**ITEM, "kind": "where", "marks": []}}
    place = {"z": 1, "y": 20, "x": 30, "radius_mm": 5.5}
    page = open_panel(where)
    assert page.evaluate("viewer.asks") is True
    assert "Where do the images differ most?" in page.inner_text("legend")
    tell = "p => document.dispatchEvent(new CustomEvent('ctv-region', { detail: p }))"
    page.evaluate(tell, place)
    assert page.evaluate("sent")[0]["value"] == place
    page.evaluate("screen => model.put('screen', screen)", QUESTION)
    page.evaluate(tell, place)
    assert len(page.evaluate("sent")) == 1, "no place is taken that was not asked for"
    page.evaluate("screen => model.put('screen', screen)", where)
    page.keyboard.press("1")
    assert page.evaluate("sent")[1]["value"] == "nowhere"


def test_the_last_page_tells_readers_of_themselves(open_panel):
    own = {
        "repeats": {"count": 3, "of": 4},
        "first_image": {"count": 11, "of": 20},
        "seconds": 14.5,
    }
    thanks = {"kind": "thanks", "last": True, "receipt": "7:ab", "answers": 30, "own": own}
    page = open_panel(thanks)
    said = page.inner_text(".rs")
    assert "3 of 4 answers were the same" in said
    assert "chosen in 11 of 20 decided pairs" in said
    assert "14.5 s a case" in said
    page.evaluate("screen => model.put('screen', screen)", {**thanks, "own": None})
    assert "Your own reading" not in page.inner_text(".rs")

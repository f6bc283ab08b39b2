"""Scales, marks, the guess, two windows of one reader: seen as a reader sees them."""

import json
import sqlite3

import pytest

from tests.browser.conftest import PROTOCOL, lock_slabs

pytestmark = [pytest.mark.browser, pytest.mark.slow]
SECRETS = ["arm-quiet-owl", "arm-loud-fox", "slab-", "pat-zebra", "Owl method", "repeat_of"]


def stored(folder):
    with sqlite3.connect(folder / "study.db") as connection:
        rows = connection.execute(
            "SELECT a.item, a.value FROM answer a WHERE NOT EXISTS (SELECT 1 FROM answer b WHERE "
            "b.trial = a.trial AND b.item = a.item AND b.revision > a.revision) ORDER BY a.seq"
        ).fetchall()
    connection.close()
    return [(item, json.loads(value)) for item, value in rows]


def serious(page, axe) -> list[str]:
    """What axe finds serious on the page as it stands."""
    found = axe.run(page).response["violations"]
    return [
        f"{v['id']}: {v['nodes'][0]['target']}"
        for v in found
        if v["impact"] in {"serious", "critical"}
    ]


def tab_to(page, selector, key="Tab") -> None:
    """Go there as somebody without a mouse does."""
    for _ in range(60):
        if page.locator(selector).evaluate_all("found => found.includes(document.activeElement)"):
            return
        page.keyboard.press(key)
    pytest.fail(f"{key} never came to {selector}")


def legend(page, words):
    page.wait_for_function(
        "words => document.querySelector('legend')?.textContent.includes(words)", arg=words
    )


ASKED = (  # words that come from the protocol
    "browser test",
    "number",
    "one in three has a nodule",
    "noise disturb",
    "not at all",
    "a little",
    "clearly",
    "cannot be read",
    "follow-up",
    "surely",
    "nodule",
    "suspected artefact",
    "image do you think",
    "75 kv",
)
UNTRANSLATED = """() => {
  const said = [document.title];
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const at = walk.currentNode.parentElement;
    if (at.closest("script, style, template, code") || !at.checkVisibility()) continue;
    said.push(walk.currentNode.textContent);
  }
  for (const node of document.querySelectorAll("main *, .room *")) {
    for (const name of ["aria-label", "title", "placeholder", "alt"]) {
      said.push(node.getAttribute(name) ?? "");
    }
  }
  return said.filter((text) => /[a-z]{3}/i.test(text) && !text.includes("@"));
}"""


def untranslated(page) -> list[str]:
    """Words on the page, said or shown, that neither the texts nor the protocol gave."""
    return [
        text for text in page.evaluate(UNTRANSLATED) if not any(a in text.lower() for a in ASKED)
    ]


def faults(page, axe) -> list[str]:
    """What a screen reader or a translator would stumble over on the page as it stands."""
    return [*serious(page, axe), *untranslated(page)]


@pytest.fixture
def axe():
    package = pytest.importorskip("axe_playwright_python.sync_playwright")
    return package.Axe()


def pass_the_display_check(page, axe, code):
    """By keyboard: the code, the consent, and what the screen and the room are like."""
    page.fill("#code", code)
    page.keyboard.press("Enter")
    page.wait_for_selector(".rs h1", timeout=40_000)
    assert "About one in three has a nodule." in page.text_content(".rs")
    assert faults(page, axe) == []
    page.keyboard.press("Enter")
    page.wait_for_selector("#rs-card")
    assert faults(page, axe) == []
    page.focus("#rs-card")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    assert page.get_attribute("#rs-steps-yes", "aria-pressed") == "true"
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.type("3")
    page.keyboard.press("Tab")
    page.keyboard.type("4")
    page.keyboard.press("Tab")
    assert page.get_attribute("#rs-dim-no", "aria-pressed") == "false", "untouched is no answer"
    page.keyboard.press("Space")
    assert page.get_attribute("#rs-dim-yes", "aria-pressed") == "true"
    page.click("#rs-patches")
    for _ in range(8):  # two right at 8, 5, 3 and 2 of the first ground
        page.click(".rs-choice button:has(span)")
    for _ in range(3):  # wrong at 1 of the first, at 8 of the others
        page.click(".rs-choice button:not(:has(span))")
    page.wait_for_selector(".rs-choice:empty", state="attached")
    page.fill("#rs-white", "350")
    page.fill("#rs-black", "1.0")
    assert faults(page, axe) == []
    page.focus(".rs h1")
    page.keyboard.press("Enter")  # goes on from wherever the focus is


def answer_the_scales(page, axe, tmp_path):
    legend(page, "noise disturb")
    assert page.text_content(".rs-tag") == "@Image A"
    assert faults(page, axe) == []
    page.screenshot(path=tmp_path / "scale.png")
    page.keyboard.press("2")
    page.wait_for_selector(".rs-tag:has-text('Image B')")
    page.keyboard.press("3")


def mark_and_comment(page, axe, tmp_path):
    """A mark on either image, one of them rated, a third taken back, and a comment."""
    legend(page, "needs follow-up")
    page.keyboard.press("v")
    page.wait_for_selector(".ctv-probe:has-text('cross x') >> visible=true")  # keys would steer it
    page.keyboard.press("?")
    helped = page.text_content(".ctv-help >> visible=true")
    assert "flicker" in helped
    assert "wipe" not in helped, "what this study does not offer is not explained"
    assert untranslated(page) == []
    page.keyboard.press("?")
    page.keyboard.press("Shift+ArrowLeft")
    page.keyboard.press("Space")
    page.wait_for_selector("#rs-mark-0")
    tab_to(page, "#rs-kind")
    page.keyboard.press("ArrowDown")
    assert page.input_value("#rs-kind") == "suspected artefact"
    tab_to(page, ".ctv-stage", "Shift+Tab")
    page.keyboard.press("s")  # to the other image
    page.keyboard.press("Space")
    page.wait_for_selector("#rs-mark-1")
    page.mouse.click(700, 250)
    page.wait_for_selector("#rs-mark-2")
    page.keyboard.press("Delete")
    page.wait_for_selector("#rs-mark-2", state="detached")
    tab_to(page, "#rs-mark-0")
    page.keyboard.type("70")  # rates the mark, not the question
    page.wait_for_function("() => document.querySelector('output[for=rs-mark-0]').value === '70'")
    assert page.text_content("output[for=rs-slider]") == "–"
    tab_to(page, "button:has-text('Comment')")
    page.keyboard.press("Enter")  # presses the button that has the focus, and answers nothing
    page.wait_for_selector("#rs-comment:focus")
    page.keyboard.type("75 kV?")
    page.keyboard.press("Escape")
    assert faults(page, axe) == []
    page.screenshot(path=tmp_path / "marks.png")


def answer_with_a_number(page):
    page.evaluate("() => document.activeElement.blur()")
    page.keyboard.press("Enter")  # the middle of the scale is no answer until it is chosen
    page.wait_for_selector(".rs-state.bad:has-text('first')")
    page.keyboard.type("75")
    assert page.text_content("output[for=rs-slider]") == "75"
    page.focus("#rs-slider")
    page.keyboard.press("End")
    page.keyboard.press("Enter")
    page.wait_for_selector("#rs-where:has-text('2 @of')")
    assert page.locator("#rs-mark-0").count() == 0


def check_what_is_stored(folder):
    said = [value for item, value in stored(folder) if item == "_comment"]
    assert said == ["75 kV?"], "typed, and kept with the answer"
    with sqlite3.connect(folder / "study.db") as connection:
        checked = json.loads(
            connection.execute(
                "SELECT payload FROM event WHERE kind = 'display-checked'"
            ).fetchone()[0]
        )
    connection.close()
    assert (checked["dark_patches_seen"], checked["light_patches_seen"]) == (3, 4)
    assert checked["room_is_dim"] is True
    assert checked["ramp_steps_differ"] is True
    assert checked["step_seen_at_15"] == 2
    assert checked["step_seen_at_128"] == checked["step_seen_at_240"] == "above 8"
    assert (checked["black_cd_m2"], checked["white_cd_m2"]) == (1.0, 350)
    assert checked["ambient_cd_m2"] is None, "untouched is not measured"
    first = dict(stored(folder)[:5])
    assert (first["noise@left"], first["noise@right"], first["nodule"]) == (2, 3, 100)
    marks = first["_marks"]
    assert [(m["side"], m["kind"]) for m in marks] == [
        ("left", "nodule"),
        ("right", "suspected artefact"),
    ]
    assert marks[0]["confidence"] == 70
    assert marks[1]["confidence"] is None


def answer_the_rest(page, axe):
    while page.locator(".rs-receipt").count() == 0:
        before = page.text_content(".rs")
        if page.locator("h1:has-text('All is answered')").count():
            assert faults(page, axe) == []
            page.keyboard.press("u")  # the last answer may be taken back
            legend(page, "smoothed")
            page.keyboard.press("3")
            page.wait_for_selector("h1:has-text('All is answered')")
            page.keyboard.press("Enter")
            page.wait_for_selector(".rs-receipt")
            break
        text = page.text_content("legend")
        if "follow-up" in text:
            page.keyboard.type("42")
            before = page.text_content(".rs")
        page.keyboard.press("Enter" if "follow-up" in text else "3")
        page.wait_for_function("t => document.querySelector('.rs').textContent !== t", arg=before)
        page.wait_for_function("() => !/Saving/.test(document.querySelector('.rs').textContent)")


def test_a_lesion_task_from_display_check_to_receipt(
    task_study, staffed, serve, open_page, axe, tmp_path
):
    folder, (code,) = staffed(task_study, "Reader One")
    page, wire = open_page(serve(folder).url)
    assert page.get_attribute("html", "lang") == "la"
    assert faults(page, axe) == []
    pass_the_display_check(page, axe, code)
    answer_the_scales(page, axe, tmp_path)
    mark_and_comment(page, axe, tmp_path)
    answer_with_a_number(page)
    wire.look()
    check_what_is_stored(folder)
    assert wire.leaks(SECRETS) == []
    answer_the_rest(page, axe)
    assert page.text_content(".rs h1") == "@Thank you"
    wide = page.evaluate("() => document.querySelector('.rs-qr').naturalWidth")
    assert wide > 100, "the receipt can be taken along with a telephone"
    assert faults(page, axe) == []
    given = stored(folder)
    assert [value for item, value in given if item == "_guess"] == ["unsure"]
    assert {value for item, value in given if item == "nodule"} == {100, 42}
    assert wire.leaks([*SECRETS, str(folder)]) == []


@pytest.mark.parametrize("engine", ["web", pytest.param("voila", marks=pytest.mark.slow)])
def test_two_windows_a_dead_room_and_other_sizes(
    engine, locked_study, staffed, serve, open_page, enter, axe, tmp_path
):
    folder, (code,) = staffed(locked_study, "Reader One")
    server = serve(folder, "--engine", engine)
    page, _ = open_page(server.url)
    enter(page, code)
    page.keyboard.press("1")
    page.wait_for_selector("#rs-where:has-text('2 of')")
    second = page.context.new_page()
    second.goto(server.url)
    second.wait_for_selector("#rs-where:has-text('2 of')", timeout=40_000)
    second.keyboard.press("2")
    second.wait_for_selector("#rs-where:has-text('3 of')")
    page.keyboard.press("3")
    page.wait_for_selector(".rs-state.bad:has-text('another window')")
    assert [value for _, value in stored(folder)] == ["left", "right"]
    page.close()
    second.evaluate("() => { document.querySelector('#rs-where').dataset.before = 'yes' }")
    if engine == "voila":
        server.kill_kernels()
    else:
        server.kill()
        server.start()
    # Nothing is pressed: the page finds out and opens anew at the first open question.
    second.wait_for_selector("#rs-where:not([data-before]):has-text('3 of')", timeout=60_000)
    for width, height in [(640, 400), (1920, 1080)]:  # 200 % zoom of 1280 x 800; a wide screen
        second.set_viewport_size({"width": width, "height": height})
        second.wait_for_timeout(300)
        second.screenshot(path=tmp_path / f"{width}.png", full_page=True)
        assert serious(second, axe) == []
        across = second.evaluate("() => document.documentElement.scrollWidth")
        assert across <= width, "no scrolling sideways"
        for text in ("Image A", "no preference", "Cannot judge", "Pause"):
            button = second.locator(".rs button", has_text=text).first
            button.scroll_into_view_if_needed()
            assert button.is_visible()


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

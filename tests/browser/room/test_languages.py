"""The room in every shipped language: no word is cut off, on a monitor and on a telephone."""

import json
import shutil

import pytest

from reader_study.design.texts import load_texts
from reader_study.record.coordinator import add_reader, opened

pytestmark = pytest.mark.browser

# Elements with words of their own whose words leave the page or what clips them.
CUT_OFF = """() => [...document.querySelectorAll("body *")].filter((e) => {
  const words = [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
  const seen = e.checkVisibility({ visibilityProperty: true, opacityProperty: true });
  if (!words || !seen) return false;
  const range = document.createRange();
  range.selectNodeContents(e);
  const box = range.getBoundingClientRect();
  if (box.width < 2 || box.height < 2) return false;  // said to screen readers alone
  if (box.right > innerWidth + 1 || box.left < -1) return true;
  for (let up = e; up !== document.documentElement; up = up.parentElement) {
    const { overflowX, overflowY } = getComputedStyle(up), edge = up.getBoundingClientRect();
    if (edge.width < 3) return false;
    const wide = box.right > edge.right + 1 || box.left < edge.left - 1;
    const high = box.bottom > edge.bottom + 1 || box.top < edge.top - 1;
    if (/hidden|clip/.test(overflowX) && wide || /hidden|clip/.test(overflowY) && high) return true;
  }
  return false;
}).map((e) => `${e.tagName}: ${e.textContent.trim().slice(0, 80)}`)"""


@pytest.fixture
def study_in(locked_study, tmp_path):
    """Function that gives a copy of the locked study in a language, and codes of two readers."""

    def make(language):
        study = tmp_path / "study"
        shutil.copytree(locked_study, study)
        path = study / "bundle" / "study.json"
        facts = json.loads(path.read_text("utf-8"))
        facts["language"] = language
        facts["design"]["display_check"] = True
        facts["design"]["undo"] = "session"
        path.write_text(json.dumps(facts), "utf-8")
        made = [add_reader(study, name) for name in "ab"]
        with opened(study) as (bundle, store):
            for reader, _ in made:  # all but the last pair are answered beforehand
                visit = store.open_session(reader.reader, 0)
                for trial in bundle.trials(reader.slot)[:-1]:
                    place = {"session": 0, "trial": trial.token, "item": "preference"}
                    store.save_answer(reader.reader, visit=visit, **place, value="left", seconds=4)
        return study, [code for _, code in made]

    return make


SLOW = [pytest.param(language, marks=pytest.mark.slow) for language in ("en", "es")]


@pytest.mark.parametrize("language", ["de", "fr", *SLOW])
def test_no_word_of_the_room_is_cut_off(language, study_in, serve, open_page):
    study, codes = study_in(language)
    words, server = load_texts(language), serve(study)
    for code, size in zip(codes, [(1280, 800), (390, 844)], strict=True):
        page, _ = open_page(server.url, size=size)

        def look(where, page=page, size=size):
            assert page.evaluate(CUT_OFF) == [], (language, size, where)

        look("login")
        page.fill("#code", "wrong")
        page.keyboard.press("Enter")
        page.wait_for_selector("[role=alert]")
        look("a wrong code")
        page.fill("#code", code)
        page.keyboard.press("Enter")
        page.wait_for_selector(".rs button", timeout=40_000)
        look("consent")
        page.locator(".rs button", has_text=words["consent_agree"]).click()
        page.locator("h1", has_text=words["display_title"]).wait_for()
        look("display")
        page.locator(".rs button", has_text=words["display_done"]).click()
        page.wait_for_selector("#rs-where", timeout=40_000)
        look("question")
        page.keyboard.press("t")
        look("comment")
        page.keyboard.press("Escape")
        page.keyboard.press("?")
        look("keys")
        page.keyboard.press("?")
        page.keyboard.press("x")
        page.locator("h1", has_text=words["paused_title"]).wait_for()
        look("pause")
        page.keyboard.press("Enter")
        page.wait_for_selector("#rs-where")
        page.keyboard.press("3")
        page.locator("h1", has_text=words["finish_title"]).wait_for()
        look("answers")
        page.keyboard.press("Enter")
        page.locator("h1", has_text=words["thanks_title"]).wait_for()
        look("thanks")
        assert page.evaluate("document.documentElement.lang") == language

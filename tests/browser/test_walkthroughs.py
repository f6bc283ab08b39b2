"""Three readers of the book: a student, a radiologist, a publisher; pictures in build/walkthroughs.

The student and the publisher walk through a small book that the book's own scripts built; the
radiologist reads in the real reading room, with the keyboard alone.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from ctlab.lessons import inventory_gain, read_inventories

pytestmark = [pytest.mark.browser, pytest.mark.slow]
ROOT = Path(__file__).resolve().parents[2]
PICTURES = ROOT / "build" / "walkthroughs"


def picture(page, name: str) -> None:
    """Keep what is on the screen, to be looked at."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=PICTURES / f"{name}.png")


@pytest.fixture
def offline(browser):
    """Function that opens a page from disk, with downloads and no network."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, accept_downloads=True)
    asked = []
    context.route("http*://**", lambda route: (asked.append(route.request.url), route.abort()))

    def go(path):
        page = context.new_page()
        page.set_default_timeout(60_000)
        page.goto(path.as_uri())
        return page

    yield go
    context.close()
    assert asked == []


def test_a_student_guesses_reads_tries_checks_and_takes_a_notebook_home(
    small_book, offline, tmp_path
):
    pages = small_book / "book" / "_build" / "html"
    page = offline(pages / "index.html")
    page.wait_for_selector(".ctv canvas")
    page.click("nav a:has-text('Before you start')")
    page.wait_for_selector("form.ctlab-inventory[data-ready]")
    for box in page.query_selector_all("form.ctlab-inventory fieldset"):
        box.query_selector("input[type=radio]").check()
    page.fill("form.ctlab-inventory input[autocomplete=off]", "a word of mine")
    with page.expect_download() as waiting:
        page.click("form.ctlab-inventory button")
    page.wait_for_selector("form.ctlab-inventory [role=status]:has-text('no name')")
    picture(page, "student-inventory")
    waiting.value.save_as(tmp_path / "answers" / waiting.value.suggested_filename)
    answers = read_inventories(tmp_path / "answers")
    assert len(answers) == 10
    assert "mine" not in (tmp_path / "answers" / waiting.value.suggested_filename).read_text()
    # The teacher's side of it: nobody has answered the second time yet.
    with pytest.raises(ValueError, match="one after"):
        inventory_gain(answers)

    page.go_back()
    page.wait_for_selector(".ctv canvas")
    page.focus(".ctv-stage")
    before = page.text_content(".ctv-state")
    page.keyboard.press("ArrowDown")
    page.wait_for_function(
        "before => document.querySelector('.ctv-state').textContent !== before", arg=before
    )
    answer = page.locator(".ctlab-quiz details").first
    answer.locator("summary").focus()
    page.keyboard.press("Enter")
    answer.locator("p").wait_for(state="visible")
    picture(page, "student-quiz")
    solution = page.locator(".solution.dropdown")
    words = solution.locator("p:has-text('the answer of the teacher')")
    assert not words.is_visible()
    solution.locator("summary, button").first.click()
    words.wait_for(state="visible")
    picture(page, "student-solution")
    link = page.locator('a[href$="page.ipynb"][download]').first
    assert nbformat.read(pages / "book" / link.get_attribute("href"), 4).cells


def test_a_radiologist_reads_blinded_pairs_with_the_keyboard_alone(
    locked_study, staffed, serve, open_page, enter
):
    study, (code,) = staffed(locked_study, "Dr Example")
    server = serve(study)
    page, wire = open_page(server.url)
    page.set_default_timeout(60_000)
    picture(page, "radiologist-door")
    enter(page, code)
    picture(page, "radiologist-first-pair")
    for number in range(1, 9):
        now = f"Pair {number} of 8"
        page.wait_for_function(
            "now => document.querySelector('#rs-where')?.textContent === now", arg=now
        )
        page.keyboard.press("12"[number % 2])
    page.wait_for_selector("#rs-where", state="detached")
    page.wait_for_selector(".rs h1")
    picture(page, "radiologist-receipt")
    wire.look()
    assert wire.leaks(["arm-quiet-owl", "arm-loud-fox", "slab-", "pat-zebra"]) == []
    assert wire.hosts == {f"localhost:{server.port}"}


def test_a_publisher_turns_a_study_into_a_book_of_it(small_book, offline, tmp_path):
    study = shutil.copytree(ROOT / "tests" / "data" / "analysed-study", tmp_path / "study")
    place = small_book / "book" / "your-study"
    command = [sys.executable, str(small_book / "book" / "build.py"), "--only-study", "--study"]
    environment = {**os.environ, "PYTHONWARNINGS": "default"}

    def build(folder):
        return subprocess.run(
            [*command, str(folder)], capture_output=True, text=True, env=environment, check=False
        )

    (study / "book").mkdir()
    (study / "book" / "publication.toml").write_text(
        'authors = ["A. Reader & Sons <b>"]\nyear = 2031\nlicence = "CC BY 4.0"\n'
        'data_credit = "Scans of Example Hospital"\n'
    )
    try:
        refused = build(tmp_path)
        assert refused.returncode == 2
        assert "run reader-study analyse first" in refused.stderr
        assert "Traceback" not in refused.stderr
        done = build(study)
        assert done.returncode == 0, done.stdout + done.stderr
        (study / "book" / "discussion.md").write_text("# Discussion\n\nOur own words.\n")
        done = build(study)
        assert done.returncode == 0, done.stdout + done.stderr
    finally:
        shutil.rmtree(place, ignore_errors=True)
    facts = json.loads((study / "report" / "analysis.json").read_text())
    html = small_book / "book" / "_build" / "study" / "_build" / "html"
    page = offline(html / "index.html")
    page.wait_for_selector(f"article h1:has-text({json.dumps(facts['title'])})")
    foot = page.inner_text("footer.bd-footer-content")
    assert "A. Reader & Sons <b>" in foot
    assert "Example Hospital" in foot
    assert "CT Lab contributors" not in foot
    assert "LIDC" not in foot
    picture(page, "publisher-front")
    page.click("nav a:has-text('Results')")
    page.wait_for_selector("article h1:has-text('Results')")
    assert f"{100 * facts['primary'][0]['value']:.1f} %" in page.inner_text("article")
    page.wait_for_function(
        "[...document.querySelectorAll('article img')].every(n => n.naturalWidth > 100 && n.alt)"
    )
    picture(page, "publisher-results")
    page.click("nav a:has-text('Discussion')")
    page.wait_for_selector("text=Our own words.")

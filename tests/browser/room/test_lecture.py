"""A lecture in browsers: one projector, one telephone and the rest of a class."""

import os
import re
import subprocess
import sys
import time

import pytest

pytestmark = pytest.mark.browser
HALL = """
import numpy as np, sys
from reader_study.design.texts import load_texts
from reader_study.lecture.server import give_lecture
from reader_study.lecture.slides import Slide
image = np.random.default_rng(1).normal(-700, 90, (2, 96, 96)).astype(np.int16)
words = load_texts()
def options(*texts): return tuple({"value": i, "text": t} for i, t in enumerate(texts))
def slide(question, options, *key, pair=False, **more):
    images = image, image if pair else None
    return Slide(question, options, lambda: images, (2.0, 0.7, 0.7), 1, key, **more)
pair = slide("Which?", options("left", "right"), "Image A: one arm", "Image B: another", pair=True)
sure = options("surely none", "surely one")
one = [slide("Is it there?", sure, str(t), arm="arm", truth=t) for t in (True, False)]
slide = slide("How sure?", (), "k", ends=("not", "very"))
give_lecture([pair, *one, slide], words, title="A lecture", host="127.0.0.1", port=0,
    ready=lambda teacher, everybody: print("teacher", teacher, flush=True))
print("over", flush=True)
"""


@pytest.fixture
def hall(tmp_path):
    """The teacher's address of a lecture in a process of its own, and the process."""
    log = tmp_path / "hall.log"
    with log.open("w") as out:
        process = subprocess.Popen(
            [sys.executable, "-c", HALL], stdout=out, stderr=subprocess.STDOUT, env=dict(os.environ)
        )
    deadline = time.monotonic() + 60
    while not (found := re.search(r"teacher (\S+)", log.read_text())):
        if process.poll() is not None or time.monotonic() > deadline:
            pytest.fail(log.read_text()[-2000:])
        time.sleep(0.1)
    yield found[1], process, log
    process.kill()
    process.wait()


def answer(phones, text):
    for phone in phones:
        phone.tap(f".options button:not(:disabled):has-text('{text}')")


def test_a_lesson_from_the_code_to_the_last_key(hall, open_page):
    address, process, log = hall
    desk, wire = open_page(address)
    code = desk.text_content("#joining strong")
    join = address.rpartition("teacher/")[0] + "j/" + code
    phones = [open_page(join, size=(390, 844), has_touch=True, is_mobile=True)[0] for _ in range(5)]
    desk.wait_for_selector("text=5 of 5 devices here")
    desk.keyboard.press("Enter")
    desk.wait_for_selector("#acts .first:text-is('Open')")
    desk.wait_for_selector(".ctv canvas")
    desk.keyboard.press("Enter")
    phone = phones[0]
    phone.wait_for_selector(".options button")
    assert phone.locator("img").count() == 2
    assert phone.evaluate("[...document.images].every((i) => i.naturalWidth === 96)")
    answer(phones[:4], "left")
    desk.wait_for_selector("text=4 of 5 have answered")
    desk.wait_for_selector("text=from five answers on")
    answer(phones[4:], "right")
    desk.wait_for_selector(".bar b:has-text('80 %')")
    desk.keyboard.press("Enter")
    assert phone.wait_for_selector("text=Closed.")
    desk.click("#acts .first:has-text('Open the key')")
    phone.wait_for_selector("text=Image B: another")
    for choice in ("surely one", "surely none"):
        desk.click("#acts button:has-text('Next')")
        desk.click("#acts .first:text-is('Open')")
        answer(phones, choice)
        desk.click("#acts .first:has-text('Close')")
        desk.click("#acts .first:has-text('Open the key')")
    desk.wait_for_selector("text=AUC 1.00")
    desk.wait_for_selector("text=Fleiss' kappa")
    assert desk.locator("svg polyline").count() == 1
    desk.click("#acts button:has-text('Next')")
    desk.click("#acts .first:text-is('Open')")
    slider = phone.wait_for_selector("input[type=range]")
    assert phone.is_disabled("text=Save answer"), "the middle is no answer before it is touched"
    slider.fill("30")
    phone.tap("text=Save answer")
    phone.wait_for_selector("text=The first one stands")
    for page in (desk, phone):
        wide = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
        assert wide <= 0, "nothing is cut off at the side"
    desk.on("dialog", lambda dialog: dialog.accept())
    desk.click("#acts button:has-text('Close')")
    desk.click("text=End the lesson")
    desk.wait_for_selector("text=all answers are deleted")
    phone.wait_for_selector("text=All answers were deleted.")
    assert process.wait(20) == 0
    assert log.read_text().endswith("over\n")
    assert wire.hosts == {re.search(r"//([^/]+)/", address)[1]}
    assert [e for e in wire.errors if "WebSocket" not in e] == []

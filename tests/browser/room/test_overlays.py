"""Maps over images as readers meet them: first without, the answer locked, then with key H."""

import shutil

import numpy as np
import pytest

from reader_study.design.trust import Trust
from tests.browser.conftest import lock_slabs
from tests.browser.room.test_reading_tasks import legend, stored

pytestmark = [pytest.mark.browser, pytest.mark.slow]
PROTOCOL = """
title = "Maps in a browser"
[design]
layout = "single"
answer_delay_ms = 0
readers = 2
repeats = 0
catch_trials = 0
patient_gap_trials = 0
display_check = false
[overlay]
design = "sequential"
[[arms]]
name = "arm-quiet-owl"
overlay = "own"
[[arms]]
name = "arm-other"
images = "arm-quiet-owl"
overlay = "shuffled"
[[items]]
name = "found"
kind = "scale"
question = "Is there a nodule?"
answers = ["no", "yes"]
[trust]
set = "tpa"
[analysis]
primary_item = "found"
"""


COLOURED = """async () => { await new Promise(requestAnimationFrame);
  await new Promise(requestAnimationFrame);
  const canvas = [...document.querySelectorAll('.ctv canvas')].find((c) => c.checkVisibility());
  const pixels = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
  let n = 0;
  for (let i = 0; i < pixels.length; i += 4) n += Math.abs(pixels[i] - pixels[i + 2]) > 40;
  return n; }"""


@pytest.fixture(scope="module")
def mapped(tmp_path_factory):
    """Six slabs with a map each; every trial has one, own or shuffled."""
    folder = tmp_path_factory.mktemp("maps")
    overlays = folder / "study" / "overlays"
    overlays.mkdir(parents=True)
    z, y, x = np.indices((2, 512, 512))
    for case in range(6):
        there = (y - 250) ** 2 + (x - 150 - 40 * case) ** 2 < 400 * (1 + z)
        np.savez(overlays / f"slab-{case}.npz", signed=there.astype(np.float32))
    study = lock_slabs(folder, PROTOCOL)
    shutil.move(overlays, folder / "overlays")
    return study


def test_the_map_comes_after_the_locked_answer_and_key_h_hides_it(
    mapped, staffed, serve, open_page, tmp_path
):
    study, (code,) = staffed(mapped, "Anna Alpha")
    server = serve(study)
    page, wire = open_page(server.url)
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.fill("#code", code)
    page.keyboard.press("Enter")
    page.wait_for_selector(".rs h1", timeout=40_000)
    page.keyboard.press("Enter")
    legend(page, "Is there a nodule?")
    page.wait_for_selector(".ctv-stage >> visible=true")
    assert "First without a map" in page.text_content(".rs")
    assert not any("/overlays/" in url for url in asked)
    trial = page.get_attribute(".ctv >> visible=true", "data-tag")
    status = "t => fetch(`/overlays/${t}`).then((r) => r.status)"
    assert page.evaluate(status, trial) == 404, "a map must not leave before the answer is locked"
    plain = page.evaluate(COLOURED)  # letters beside the image have a colour of their own
    page.keyboard.press("2")
    page.wait_for_selector(".rs:has-text('Now with the map')")
    page.wait_for_selector(".ctv-legend >> visible=true")
    assert any(f"/overlays/{trial}" in url for url in asked)
    page.wait_for_function(f"({COLOURED})().then((n) => n > {plain + 200})")
    page.screenshot(path=tmp_path / "map.png")
    page.keyboard.press("h")
    assert page.evaluate(COLOURED) < plain + 100
    page.keyboard.press("h")
    assert page.evaluate(COLOURED) > plain + 200
    page.keyboard.press("1")
    page.wait_for_selector(".rs:has-text('First without a map')")
    assert stored(study) == [("found+first", 2), ("found", 1)]
    wire.look()
    assert wire.leaks(["shuffled", "arm-other", "arm-quiet-owl", "pat-zebra", "slab-"]) == []
    assert len(wire.errors) == 1, wire.errors  # the map that was asked for too early


def test_statements_come_after_the_last_image(mapped, staffed, serve, open_page):
    study, (code,) = staffed(mapped, "Anna Alpha")
    page, _ = open_page(serve(study).url)
    page.fill("#code", code)
    page.keyboard.press("Enter")
    page.wait_for_selector(".rs h1", timeout=40_000)
    page.keyboard.press("Enter")
    for count in range(12):  # six images, before and after the map
        words = "First without a map" if count % 2 == 0 else "Now with the map"
        page.wait_for_selector(f".rs:has-text('{words}')")
        page.wait_for_timeout(700)
        page.keyboard.press("1")
    statements = Trust(set="tpa").questions
    for number in range(12):
        legend(page, statements[number])
        page.wait_for_timeout(700)  # a key at once still belongs to the question before
        page.keyboard.press("4")
        page.wait_for_function(
            "t => !document.querySelector('legend')?.textContent.includes(t)",
            arg=statements[number],
        )
    page.wait_for_selector(".rs:has-text('Is there a nodule')", state="detached")
    told = dict(stored(study))
    assert [told[f"_trust-{k}"] for k in range(1, 13)] == [4] * 12

"""Forty pairs read in headless Chromium: how long a reader waits.

A study of slabs of the packaged CT is locked, served, and read with the keyboard.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).parent
SLICES = 5  # per case: 2.5 MB a side
LOOK_S = 1.5  # a reader looks at least this long at a pair; meanwhile the next is loaded
PROTOCOL = """
title = "Forty pairs"
[population]
prevalence_told = "About one in three patients has a nodule."
[design]
answer_delay_ms = 0
texture = "as-made"
readers = 2
repeats = 0.1
catch_trials = 1
patient_gap_trials = 0
display_check = true
[[arms]]
name = "smooth"
[[arms]]
name = "grainy"
[[items]]
name = "preference"
kind = "preference"
question = "Which image would you rather report from?"
[analysis]
primary_item = "preference"
"""
DRAG = """async () => {
  const canvas = [...document.querySelectorAll(".ctv canvas")].find(
    (c) => c.checkVisibility({ visibilityProperty: true }));
  const box = canvas.getBoundingClientRect();
  const at = (x) => ({ clientX: box.x + x, clientY: box.y + 100, pointerId: 1, bubbles: true,
    button: 0, buttons: 1, isPrimary: true });
  canvas.setPointerCapture = () => {};
  canvas.dispatchEvent(new PointerEvent("pointerdown", at(50)));
  const start = performance.now();
  for (let i = 0; i < 120; i++) {
    canvas.dispatchEvent(new PointerEvent("pointermove", at(50 + i % 60)));
    await new Promise(requestAnimationFrame);
  }
  const seconds = (performance.now() - start) / 1000;
  canvas.dispatchEvent(new PointerEvent("pointerup", at(110)));
  return 120 / seconds;
}"""


SCROLL = """async (frames) => {
  const { viewer } = document.querySelector(".ctv");
  const start = performance.now();
  for (let i = 0; i < frames; i++) {
    viewer.step(i % 40 < 20 ? 1 : -1);
    await new Promise(requestAnimationFrame);
  }
  return frames / (performance.now() - start) * 1000;
}"""
FRAMES = 80


def lock_forty(folder: Path) -> tuple[Path, str]:
    """Locked study whose first slot reads 40 pairs; its folder and the code of its reader."""
    from scipy.ndimage import gaussian_filter

    from ctlab.ct import load_sample
    from reader_study.blinding.lock import lock_study
    from reader_study.record.coordinator import add_reader

    study, sample = folder / "study", load_sample()
    cases = [
        f'[[cases]]\nname = "slab-{i}"\npatient = "one"\nslices = [{i}, {i + SLICES}]\n'
        + ('practice = true\nfeedback = "Scroll, and compare the small vessels."' if not i else "")
        for i in range(36)
    ]
    for arm in ("smooth", "grainy"):
        for i in range(36):
            (study / "arms" / arm / f"slab-{i}").mkdir(parents=True)
    (study / "protocol.toml").write_text(PROTOCOL + "\n".join(cases), "utf-8")

    smooth = sample.with_hu(gaussian_filter(sample.hu, (0, 1.2, 1.2)))
    noise = np.random.default_rng(3).normal(0, 60, sample.hu.shape).astype(np.float32)
    grainy = sample.with_hu(sample.hu + noise)
    lock_study(
        study,
        passphrase="correct horse battery staple",
        read=lambda series: smooth if series.parent.name == "smooth" else grainy,
    )
    return study, add_reader(study, "benchmark")[1]


def serve(study: Path, *options: str) -> tuple[subprocess.Popen[str], str]:
    """Reading room in a process of its own, and its address."""
    command = [sys.executable, "-m", "reader_study", "serve", str(study), "--port", "0", *options]
    log = study.parent / "serve.log"
    with log.open("w") as out:
        room = subprocess.Popen(
            command,
            stdout=out,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
    deadline = time.monotonic() + 120
    while not (address := re.search(r"open at (https?://\S+)", log.read_text())):
        if room.poll() is not None or time.monotonic() > deadline:
            raise ValueError(f"the reading room did not open: {log.read_text()[-500:]}")
        time.sleep(0.2)
    return room, address[1]


def facts() -> dict[str, str]:
    """What is read."""
    what = f"two stacks of {SLICES} slices of 512 x 512 a pair, headless Chromium, no GPU"
    return {"what": what}


def read_forty(page: Any, code: str, picture: Any) -> dict[str, tuple[float, str]]:
    """Read everything by keyboard; value and unit of each figure."""
    start = time.monotonic()
    page.fill("#code", code)
    page.keyboard.press("Enter")
    page.wait_for_selector(".rs h1", timeout=120_000)
    usable_s = time.monotonic() - start
    picture("consent")
    page.keyboard.press("Enter")
    page.wait_for_selector("#rs-card")
    picture("display")
    page.keyboard.press("Enter")
    page.wait_for_selector("#rs-where")
    page.wait_for_timeout(2000)
    picture("practice")
    page.keyboard.press("3")
    page.wait_for_selector("h1:has-text('Practice')")
    picture("feedback")
    page.keyboard.press("Enter")
    page.wait_for_selector("#rs-where")
    page.wait_for_timeout(1000)
    frames_per_s = page.evaluate(DRAG)
    page.evaluate((HERE / "watch.js").read_text("utf-8"))
    number = 0
    while page.locator("h1:has-text('All is answered')").count() == 0:
        page.wait_for_timeout(LOOK_S * 1000)
        if number in (1, 20, 38):
            picture(f"pair-{number + 1}")
        page.keyboard.press(str(number % 3 + 1))
        number += 1
        page.wait_for_function(
            "n => window.shownAfter.length === n || document.querySelector('.rs h1')",
            arg=number,
            timeout=60_000,
        )
    shown_ms = np.array(page.evaluate("() => window.shownAfter"))
    picture("finish")
    page.keyboard.press("Enter")
    page.wait_for_selector(".rs-receipt")
    picture("thanks")
    return {
        "pairs read": (number, "pairs"),
        "usable after the code": (usable_s, "s"),
        "next pair, median": (float(np.median(shown_ms)), "ms"),
        "next pair, 95th percentile": (float(np.percentile(shown_ms, 95)), "ms"),
        "next pair, slowest": (float(shown_ms.max()), "ms"),
        "windowing": (frames_per_s, "frames/s"),
    }


def scroll_4k(chromium: Any, folder: Path) -> dict[str, tuple[float, str]]:
    """A pair with padding on a screen of 3840 x 2160: frames, and where their time goes."""
    from ctlab.ct import load_sample
    from ctlab.view import compare, standalone

    hu = load_sample().hu[:24]
    noise = np.random.default_rng(3).normal(0, 60, hu.shape)
    viewer = compare(hu, hu + noise, spacing_mm=(1.0, 0.7, 0.7), whole_page=True, padding_hu=-1024)
    (folder / "4k.html").write_text(standalone(viewer, title="4K"), "utf-8")
    context = chromium.new_context(viewport={"width": 3840, "height": 2160})
    page = context.new_page()
    page.goto((folder / "4k.html").as_uri())
    page.add_style_tag(
        content="body { max-width: none; margin: 0; padding: 0 } h1 { display: none }"
    )
    page.wait_for_selector(".ctv[aria-label]")
    page.evaluate(SCROLL, FRAMES)
    if page.evaluate("document.querySelector('canvas').width") < 1800:
        raise ValueError("expected images that fill a 4K screen")
    session = context.new_cdp_session(page)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})

    def spent_ms() -> dict[str, float]:
        found = session.send("Performance.getMetrics")["metrics"]
        return {m["name"]: 1000 * m["value"] / FRAMES for m in found}

    before = spent_ms()
    frames_per_s = page.evaluate(SCROLL, FRAMES)
    after = spent_ms()
    script, whole = (after[n] - before[n] for n in ("ScriptDuration", "TaskDuration"))
    context.close()
    return {
        "4K pair, scrolling": (frames_per_s, "frames/s"),
        "4K pair, filter and window of a frame": (script, "ms of processor"),
        "4K pair, layout and painting of a frame": (whole - script, "ms of processor"),
    }


def results() -> Iterator[dict[str, Any]]:
    """How long a reader waits; screenshots go into the folder ``PICTURES``, where that is set."""
    from playwright.sync_api import sync_playwright

    pictures = Path(os.environ["PICTURES"]) if "PICTURES" in os.environ else None
    folder = Path(tempfile.mkdtemp(prefix="forty-"))
    study, code = lock_forty(folder)
    room, url = serve(study)
    try:
        with sync_playwright() as driver:
            chromium = driver.chromium.launch(
                executable_path="/usr/bin/chromium", args=["--no-sandbox", "--disable-gpu"]
            )
            page = chromium.new_page(viewport={"width": 1280, "height": 800})
            page.goto(url)

            def picture(name: str) -> None:
                if pictures:
                    pictures.mkdir(parents=True, exist_ok=True)
                    page.screenshot(path=pictures / f"{name}.png")

            picture("login")
            figures = scroll_4k(chromium, folder) | read_forty(page, code, picture)
            chromium.close()
    finally:
        room.terminate()
        room.wait()
        shutil.rmtree(folder, ignore_errors=True)
    for name, (value, unit) in figures.items():
        yield {"name": name, "value": round(value, 1), "unit": unit}

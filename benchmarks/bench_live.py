"""The live figure of a page in headless Chromium: first answer, answers a second, weight.

Engine and networks are those that the build of the book laid into ``book/_vendor``.
"""

import io
import os
import tempfile
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

VENDOR = Path(__file__).resolve().parents[1] / "book" / "_vendor"
DRAG_S = 6.0
FIRST = """async () => { const start = performance.now();
  viewer.change({ dose: 0.05 });
  while (!viewer.last) await new Promise((done) => setTimeout(done, 5));
  return (performance.now() - start) / 1000; }"""
DRAG = """async (seconds) => { const answer = viewer.answer.bind(viewer), gaps = [];
  let answers = 0, k = 0, last = performance.now();
  viewer.answer = () => answer().then(() => { answers += 1; });
  const start = last;
  while (performance.now() - start < 1000 * seconds) {
    viewer.change({ dose: 0.05 + 0.15 * Math.abs(Math.sin(0.02 * ++k)) });
    await new Promise(requestAnimationFrame);
    gaps.push(performance.now() - last);
    last = performance.now();
  }
  gaps.sort((a, b) => a - b);
  return { answers: 1000 * answers / (last - start), median: gaps[gaps.length >> 1],
    most: gaps[Math.floor(0.99 * gaps.length)] }; }"""
LARGE = """async () => { const size = 512, hu = Float32Array.from({ length: size * size },
    (_, k) => -800 + 60 * Math.sin(k)), start = performance.now();
  for (let k = 0; k < 3; k++) await viewer.engine.denoise("shipped", hu, size, size);
  return (performance.now() - start) / 3; }"""


def facts() -> dict[str, str]:
    """What was measured, and whether other processes had to wait for it."""
    what = "live figure of 160 x 160, shipped network, headless Chromium, one thread, from file://"
    what += f"; a drag moves the dose in every frame for {DRAG_S:g} s"
    alone = hasattr(os, "sched_getscheduler") and os.sched_getscheduler(0) != os.SCHED_OTHER
    return {"what": what + "; in real-time priority, other processes waited" * alone}


def row(name: str, value: float, unit: str) -> dict[str, Any]:
    """One measurement."""
    return {"name": f"live: {name}", "value": round(value, 2), "unit": unit}


def zipped_mb(paths: Iterable[Path]) -> float:
    """Size in MB (10^6 bytes) of files in a zip file, as a release packs them."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in paths:
            archive.write(path, path.name)
    return len(buffer.getvalue()) / 1e6


def write_page(folder: Path) -> Path:
    """A page with the live figure alone."""
    from ctlab.lessons import live_slice
    from ctlab.view import standalone

    static = f'<script>window.ctlabStatic = "{VENDOR.as_uri()}/"</script>'
    page = standalone(live_slice(["shipped"]), title="Live")
    path = folder / "live.html"
    path.write_text(page.replace("<script type", f"{static}<script type"), "utf-8")
    return path


def results() -> Iterator[dict[str, Any]]:
    """How soon and how often the network answers, and what it weighs.

    Raises
    ------
    ValueError
        The book was not built here.
    """
    from playwright.sync_api import sync_playwright

    if not (VENDOR / "live" / "shipped.js").is_file():
        raise ValueError(f"expected engine and networks below {VENDOR}; run `make book` first")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as driver:
        chromium = driver.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox", "--disable-gpu"]
        )
        page = chromium.new_page(viewport={"width": 1000, "height": 900})
        page.goto(write_page(Path(folder)).as_uri())
        page.wait_for_selector(".ctv[aria-label]")
        page.evaluate("() => { window.viewer = document.querySelector('.ctv').viewer; }")
        yield row("first answer", page.evaluate(FIRST), "s")
        page.wait_for_timeout(1000)
        drag = page.evaluate(DRAG, DRAG_S)
        yield row("answers while dragging", drag["answers"], "per s")
        yield row("between frames while dragging, median", drag["median"], "ms")
        yield row("between frames while dragging, 99th percentile", drag["most"], "ms")
        page.wait_for_timeout(1000)
        yield row("512 x 512", page.evaluate(LARGE), "ms")
        chromium.close()
    engine = zipped_mb(VENDOR / "vendor" / f"{name}.js" for name in ("onnxruntime", "dicom"))
    networks = zipped_mb((VENDOR / "live").glob("*.js"))
    yield row("release zip, engine and readers of files", engine, "MB")
    yield row("release zip, networks", networks, "MB")
    yield row("release zip grows by", engine + networks, "MB")

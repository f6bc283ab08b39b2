"""Make the pictures of the three routes: a live figure, a pair in the reading room, a report.

    python book/images/make_cards.py

Needs Chromium, playwright, and the book as ``make book`` leaves it. The study is the demonstration;
its readers are simulated.
"""

import io
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

from ctlab.files import write_whole

HERE = Path(__file__).parent
BOOK = HERE.parent / "_build" / "html" / "book"
CHROMIUM = "/usr/bin/chromium"
SIZE = {"width": 960, "height": 640}
LARGEST = 80_000  # bytes: a README with three of them still opens at once


def demo(folder: Path, *options: str) -> list[str]:
    """The command that makes the demonstration in a folder."""
    return [sys.executable, "-u", "-m", "reader_study", "demo", str(folder), *options]


@contextmanager
def room(folder: Path) -> Iterator[tuple[str, str]]:
    """Address of the demonstration's reading room, and the code of its reader."""
    command, address = demo(folder, "--no-browser", "--port", "0"), ""
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            for line in process.stdout or ():
                if found := re.search(r"https?://\S+", line):
                    address = found[0]
                if found := re.match(r"Reader code: (\S+)", line):
                    yield address, found[1]
                    break
        finally:
            process.terminate()


def live_figure(page: Page) -> None:
    """The first page's live figure, once the network has answered."""
    page.goto((BOOK / "start.html").as_uri())
    page.add_style_tag(content="#pst-back-to-top { display: none !important }")
    page.locator("input[id^=ctl-]").first.press("ArrowLeft")
    page.wait_for_selector("[data-live=answered]", timeout=60_000)
    # Both images in full, below the bar that stays at the top.
    page.locator("[data-live] .ctv-stage").first.evaluate(
        "node => { node.scrollIntoView(); scrollBy(0, -70); node.focus(); }"
    )
    page.wait_for_timeout(1500)


def pair(page: Page, address: str, code: str) -> None:
    """The first pair of the demonstration."""
    page.goto(address)
    page.fill("#code", code)
    page.keyboard.press("Enter")
    while not page.locator("#rs-where").count():  # before it, what readers are told
        page.wait_for_timeout(2000)
        page.keyboard.press("Enter")
    page.wait_for_timeout(2500)


def report(page: Page, folder: Path) -> None:
    """The report of a study that simulated readers went through."""
    page.goto(next(folder.rglob("report.html")).as_uri())
    page.wait_for_timeout(1500)


def save(page: Page, name: str) -> None:
    """A screenshot beside this file, in the best quality that is small enough."""
    shot = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    for quality in range(90, 20, -10):
        made = io.BytesIO()
        shot.save(made, "WEBP", quality=quality, method=6)
        if made.tell() <= LARGEST:
            break
    with write_whole(HERE / f"{name}.webp") as part:
        part.write_bytes(made.getvalue())


def main() -> None:
    """Write ``student.webp``, ``radiologist.webp`` and ``study-team.webp``."""
    with sync_playwright() as driver, tempfile.TemporaryDirectory() as kept:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport=SIZE, color_scheme="light")
        live_figure(page)
        save(page, "student")
        with room(Path(kept) / "room") as (address, code):
            pair(page, address, code)
            save(page, "radiologist")
        read = Path(kept) / "read"
        subprocess.run(demo(read, "--simulated-readers"), check=True)
        report(page, read)
        save(page, "study-team")


if __name__ == "__main__":
    main()

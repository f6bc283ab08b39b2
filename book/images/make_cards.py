"""Make the pictures of the three routes: a live page, a pair in the reading room, a report.

    python book/images/make_cards.py

Needs Chromium, playwright, and the book as ``make book`` leaves it. The study is the demonstration;
its readers are simulated.
"""

import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, sync_playwright

from ctlab.files import write_whole

HERE = Path(__file__).parent
BOOK = HERE.parent / "_build" / "html" / "book"
CHROMIUM = "/usr/bin/chromium"
SIZE = {"width": 960, "height": 600}


def study(folder: Path, *options: str) -> list[str]:
    """The command that makes the demonstration in a folder."""
    return [sys.executable, "-m", "reader_study", "demo", str(folder), *options]


@contextmanager
def room(folder: Path) -> Iterator[str]:
    """Address of the demonstration's reading room, which already knows its reader."""
    command = study(folder, "--no-browser", "--port", "0")
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            for line in process.stdout or ():
                if found := re.search(r"https?://\S+", line):
                    yield found[0]
                    break
        finally:
            process.terminate()


def live_page(page: Page) -> None:
    """The first page's live figure, once the network has answered."""
    page.goto((BOOK / "start.html").as_uri())
    figure = page.locator(".ctv").nth(0)
    figure.scroll_into_view_if_needed()
    page.wait_for_timeout(8000)


def pair(page: Page, address: str) -> None:
    """The first pair of the demonstration."""
    page.goto(address)
    while not page.locator(".ctv canvas").count():
        page.keyboard.press("Enter")
        page.wait_for_timeout(1500)
    page.wait_for_timeout(2500)


def report(page: Page, folder: Path) -> None:
    """The report of a study that simulated readers went through."""
    page.goto(next(folder.rglob("report.html")).as_uri())
    page.wait_for_timeout(1500)


def save(page: Page, name: str, **how: Any) -> None:
    """A screenshot beside this file."""
    with write_whole(HERE / f"{name}.png") as part:
        part.write_bytes(page.screenshot(**how))


def main() -> None:
    """Write ``student.png``, ``radiologist.png`` and ``study-team.png``."""
    with sync_playwright() as driver, tempfile.TemporaryDirectory() as kept:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport=SIZE, color_scheme="light")
        live_page(page)
        save(page, "student")
        with room(Path(kept) / "room") as address:
            pair(page, address)
            save(page, "radiologist")
        read = Path(kept) / "read"
        subprocess.run(study(read, "--simulated-readers"), check=True)
        report(page, read)
        save(page, "study-team")


if __name__ == "__main__":
    main()

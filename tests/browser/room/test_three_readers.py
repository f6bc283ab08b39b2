"""Three readers at once, one of whose browsers is killed while an answer is on its way."""

import json
import os
import shutil
import signal
import sqlite3
import uuid
from pathlib import Path

import numpy as np
import pytest

from ctlab.ct.volume import Volume

pytestmark = [pytest.mark.browser, pytest.mark.slow]
PAIRS = 6
PROTOCOL = """
title = "Three readers"
[design]
answer_delay_ms = 0
texture = "as-made"
readers = 3
repeats = 0.2
catch_trials = 1
patient_gap_trials = 0
display_check = false
[[arms]]
name = "quiet"
[[arms]]
name = "loud"
[[items]]
name = "preference"
kind = "preference"
question = "Which image would you rather report from?"
[analysis]
primary_item = "preference"
"""
VALUES = {"1": "left", "2": "right", "3": "tie", "n": "cannot-judge"}


@pytest.fixture(scope="module")
def small_study(tmp_path_factory):
    """Images of 64 x 64, so that the test is about readers and not about pixels."""
    pytest.importorskip("voila", reason="the reading room needs the study extra")
    from reader_study.blinding.lock import lock_study

    study = tmp_path_factory.mktemp("three") / "study"
    cases = [f'[[cases]]\nname = "case-{i}"\npatient = "one"\n' for i in range(PAIRS - 2)]
    for arm in ("quiet", "loud"):
        for i in range(PAIRS - 2):
            (study / "arms" / arm / f"case-{i}").mkdir(parents=True)
    (study / "protocol.toml").write_text(PROTOCOL + "\n".join(cases), "utf-8")
    rng = np.random.default_rng(5)
    lock_study(
        study,
        passphrase="correct horse battery staple",
        read=lambda _: Volume(rng.normal(0, 60, (3, 64, 64)).astype(np.float32), (2.0, 1.0, 1.0)),
    )
    for part in ("sealed", "arms", "protocol.toml", "protocol.locked.toml"):
        shutil.move(study / part, study.parent / part)
    return study


@pytest.fixture
def victim(browser):
    """A browser of its own, and what kills it as a power cut would."""
    mark = f"--victim={uuid.uuid4().hex}"
    own = browser.browser_type.launch(
        executable_path="/usr/bin/chromium", args=["--no-sandbox", "--disable-gpu", mark]
    )

    def kill():
        for entry in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                words = entry.read_bytes().split(b"\0")
            except OSError:
                continue
            if mark.encode() in words and b"chrom" in words[0]:
                os.kill(int(entry.parent.name), signal.SIGKILL)

    yield own, kill
    kill()


def where(page) -> str:
    return page.text_content("#rs-where") if page.locator("#rs-where").count() else "end"


def confirmed(page, before: str) -> None:
    """The next pair is there and the answer to the last one is on the disk."""
    page.wait_for_function(
        """before => { const at = document.querySelector("#rs-where")?.textContent ?? "end";
        return at !== before && (at === "end"
          || document.querySelector(".rs-state").textContent.startsWith("Saved")); }""",
        arg=before,
        timeout=60_000,
    )


def enter(page, code: str) -> None:
    page.fill("#code", code)
    page.keyboard.press("Enter")


def begin(page) -> None:
    page.wait_for_selector(".rs h1, #rs-where", timeout=120_000)
    if page.locator(".rs h1").count():
        page.keyboard.press("Enter")
    page.wait_for_selector("#rs-where", timeout=60_000)


def handed_in(page):
    """Receipt of a reader who finishes."""
    page.wait_for_selector("h1:has-text('All is answered')")
    page.keyboard.press("Enter")
    page.wait_for_selector(".rs-receipt")
    return page.text_content(".rs-receipt")


def test_three_at_once_lose_and_double_nothing_though_one_browser_dies(
    small_study, staffed, serve, open_page, victim
):
    from reader_study.blinding.unblind import verify
    from reader_study.record.anchors import read_anchors

    study, codes = staffed(small_study, "One", "Two", "Three")
    server = serve(study)
    doomed, kill = victim
    last = doomed.new_page()
    last.goto(server.url)
    pages = [open_page(server.url)[0], open_page(server.url)[0], last]
    for page, code in zip(pages, codes, strict=True):
        enter(page, code)
    for page in pages:
        begin(page)
    pressed: list[list[str]] = [[], [], []]
    keys = ["1", "2", "3", "n", "2", "1"]
    for number in range(PAIRS):
        if number == 2:  # the answer leaves, and the browser is gone before it hears of it
            pages[2].keyboard.press("3")
            kill()
            pages[2], _ = open_page(server.url)
            enter(pages[2], codes[2])
            begin(pages[2])
            stored = int(where(pages[2]).split()[1]) - 1
            assert stored in (2, 3), "what was confirmed is there, what was not may be"
            pressed[2] += ["3"] * (stored - 2)
        before = [where(page) for page in pages]
        for page, said, own in zip(pages, before, pressed, strict=True):
            if said != "end":  # all three answers are on their way at once
                own.append(keys[len(own)])
                page.keyboard.press(own[-1])
        for page, said in zip(pages, before, strict=True):
            if said != "end":
                confirmed(page, said)
    receipts = [handed_in(page) for page in pages]
    with sqlite3.connect(study / "study.db") as connection:
        rows = connection.execute(
            "SELECT reader, trial, value, revision FROM answer ORDER BY seq"
        ).fetchall()
    connection.close()
    for name, own in zip(("R1", "R2", "R3"), pressed, strict=True):
        given = [row for row in rows if row[0] == name]
        assert [json.loads(value) for _, _, value, _ in given] == [VALUES[key] for key in own]
        assert len({trial for _, trial, _, _ in given}) == len(given) == PAIRS, "none doubled"
        assert {revision for *_, revision in given} == {1}
    kept = study.parent / "receipts.txt"
    kept.write_text("\n".join(receipts), "utf-8")
    assert len(read_anchors([kept])) == 3
    verdict = verify(study, [kept])
    assert verdict.ok, verdict.fault
    assert verdict.n_answers == 3 * PAIRS

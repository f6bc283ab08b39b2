"""A reader in the reading room: by keyboard, through a killed server, with nothing given away."""

import json
import re
import sqlite3
from pathlib import Path

import pytest

pytestmark = pytest.mark.browser
SECRETS = ["arm-quiet-owl", "arm-loud-fox", "slab-0", "slab-1", "slab-5", "pat-zebra", "Owl method"]


def answers_in(study: Path) -> list[tuple]:
    with sqlite3.connect(study / "study.db") as connection:
        rows = connection.execute("SELECT trial, item, value FROM answer ORDER BY seq").fetchall()
    connection.close()
    return rows


def where(page) -> str:
    return page.text_content("#rs-where")


def rate(page, key: str, now: str, then: str) -> None:
    assert where(page) == now
    page.keyboard.press(key)
    page.wait_for_function(
        "then => document.querySelector('#rs-where')?.textContent === then", arg=then
    )


def assert_equal_sizes(frame_sizes: list[int]) -> None:
    """Every message with images holds whole pairs, and updates with one pair are alike."""
    pair = 2 * 2 * 512 * 512 * 2  # sides, slices, pixels, bytes
    with_images = [size for size in frame_sizes if size > pair // 4]
    assert len(with_images) >= 4, "the images travelled over the wire that was searched"
    assert all(min(size % pair, -size % pair) < 150_000 for size in with_images)
    updates = [size for size in with_images if size < pair + 5_000]
    assert max(updates) - min(updates) < 500, "trials must not differ in bytes"


def test_four_pairs_by_keyboard_through_a_killed_server(study, serve, open_page, enter):
    folder, code = study
    server = serve(folder)
    page, wire = open_page(server.url)
    assert page.url.endswith("/login?next=%2F"), "no kernel before a code"
    enter(page, code)
    assert "Which image would you rather report from?" in page.text_content("fieldset legend")
    rate(page, "1", "Pair 1 of 8", "Pair 2 of 8")
    rate(page, "2", "Pair 2 of 8", "Pair 3 of 8")
    assert re.search(r"Saved \d\d:\d\d:\d\d", page.text_content(".rs-state"))
    wire.look()
    server.kill()
    page.wait_for_selector("#lost:not([hidden])", timeout=15_000)
    server.start()
    # The page finds the server again by itself and opens at the first open question.
    page.wait_for_selector("#lost", state="hidden", timeout=60_000)
    page.wait_for_function(
        "() => document.querySelector('#rs-where')?.textContent === 'Pair 3 of 8'", timeout=40_000
    )
    rate(page, "3", "Pair 3 of 8", "Pair 4 of 8")
    rate(page, "n", "Pair 4 of 8", "Pair 5 of 8")
    wire.look()
    values = [json.loads(value) for _, _, value in answers_in(folder)]
    assert values == ["left", "right", "tie", "cannot-judge"]
    assert wire.leaks([*SECRETS, str(folder), "study.db", "sealed"]) == []
    assert wire.hosts == {f"localhost:{server.port}"}, "something outside was asked for"
    assert_equal_sizes(wire.frame_sizes)
    # A server that is gone, and a kernel that went with it, are what this test brings about.
    brought_about = ("ERR_CONNECTION", "WebSocket", "status of 403", "status of 404")
    assert [e for e in wire.errors if not any(b in e for b in brought_about)] == []

"""The demonstration's network: after the pairs, the figure of the chapters, with its numbers."""

import numpy as np
import pytest

from ctlab.lessons import live_answer, live_slice
from ctlab.view.live.scene import STATE
from tests.browser.room.test_three_readers import begin, confirmed, handed_in, where
from tests.browser.test_live import STATES
from tests.browser.viewer_page import write_page

pytestmark = [pytest.mark.browser, pytest.mark.slow]
NAMES = """() => ['button', 'label', 'summary', 'option']
    .flatMap((kind) => [...document.querySelectorAll(`.ctl ${kind}`)])
    .map((node) => node.textContent)"""


def put(page, **values):
    page.evaluate("(values) => viewer.change(values)", values)
    page.wait_for_function("() => viewer.root.dataset.live === 'answered'", timeout=60_000)


def test_after_the_pairs_the_network_answers_as_in_a_notebook(
    locked_study, staffed, serve, open_page, enter, browser, tmp_path
):
    """Ten states within 0.01 HU, read-outs too; same controls; why, and a file of one's own."""
    study, codes = staffed(locked_study, "One")
    server = serve(study, "--no-browser", command="demo")
    page, wire = open_page(server.url)
    enter(page, codes[0])
    begin(page)
    while (before := where(page)) != "end":
        page.keyboard.press("1")
        confirmed(page, before)
    handed_in(page)
    page.get_by_role("link", name="Try a denoising network yourself").click()
    page.wait_for_selector(".ctv[data-live='waiting']", timeout=120_000)
    assert "on the computer that serves this page" in page.inner_text(".ctl-say")
    page.evaluate("window.viewer = document.querySelector('.ctv').viewer")
    for state in STATES:
        full = {**STATE, **state}
        put(page, **full)
        made = page.evaluate("() => ({out: [...viewer.last.out], numbers: viewer.numbers})")
        wanted = live_answer(full)
        np.testing.assert_allclose(made["out"], wanted.denoised.ravel(), atol=0.01)
        numbers = {k: pytest.approx(v, abs=2e-3) for k, v in wanted.numbers.items()}
        assert made["numbers"] == numbers, state
    put(page, **STATE)
    page.evaluate("() => void viewer.askWhy({ y: 80, x: 80 })")
    page.wait_for_selector(".ctl-maps figure", timeout=120_000)
    offer = ["network", "brush", "disturb", "why", "own"]
    beside = browser.new_page()
    beside.goto(write_page(tmp_path, live_slice(offer=offer)).as_uri())
    beside.wait_for_selector(".ctl button")
    assert page.evaluate(NAMES) == beside.evaluate(NAMES)
    beside.close()
    assert wire.errors == []
    assert {host.split(":")[0] for host in wire.hosts} <= {"localhost", "127.0.0.1"}
    server.kill()
    page.wait_for_function(
        "() => document.getElementById('say').textContent.includes('server is gone')"
    )

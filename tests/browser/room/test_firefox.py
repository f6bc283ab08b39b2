"""A reader in Firefox, by its own protocol (WebDriver BiDi): from the code to the receipt."""

import asyncio
import json
import re
import shutil
import subprocess
from contextlib import asynccontextmanager

import numpy as np
import pytest
from tornado.httpclient import HTTPRequest
from tornado.websocket import websocket_connect

from ctlab.ct.hu import WINDOWS

pytestmark = [pytest.mark.browser, pytest.mark.slow]
FIREFOX = shutil.which("firefox-esr") or shutil.which("firefox")
# Nothing is asked of any other computer.
PREFERENCES = {
    "app.update.enabled": False,
    "browser.shell.checkDefaultBrowser": False,
    "browser.startup.page": 0,
    "datareporting.policy.dataSubmissionEnabled": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "network.dns.disabled": True,
    "toolkit.telemetry.reportingpolicy.firstRun": False,
}
ENTER = "\ue007"


class Firefox:
    """One tab: what it is asked, what it answers, and the errors of its console."""

    def __init__(self, socket) -> None:
        self.socket, self.asked, self.errors = socket, 0, []

    async def call(self, method: str, **params):
        self.asked += 1
        await self.socket.write_message(
            json.dumps({"id": self.asked, "method": method, "params": params})
        )
        while True:
            said = json.loads(await asyncio.wait_for(self.socket.read_message(), 60))
            if said.get("method") == "log.entryAdded" and said["params"]["level"] == "error":
                self.errors.append(said["params"]["text"])
            if said.get("id") == self.asked:
                assert said["type"] == "success", said
                return said["result"]

    async def open(self, address: str) -> None:
        await self.call("session.new", capabilities={})
        await self.call("session.subscribe", events=["log.entryAdded"])
        tree = await self.call("browsingContext.getTree")
        self.tab = tree["contexts"][0]["context"]
        size = {"width": 1280, "height": 800}
        await self.call("browsingContext.setViewport", context=self.tab, viewport=size)
        await self.call("browsingContext.navigate", context=self.tab, url=address, wait="complete")

    async def ask(self, script: str):
        """Value of a script; promises are waited for."""
        found = await self.call(
            "script.evaluate",
            expression=f"(async () => JSON.stringify(await ({script}) ?? null))()",
            target={"context": self.tab},
            awaitPromise=True,
        )
        assert found["type"] == "success", found
        return json.loads(found["result"]["value"])

    async def press(self, keys: str) -> None:
        """Press and release keys, one after the other."""
        acts = [{"type": kind, "value": key} for key in keys for kind in ("keyDown", "keyUp")]
        source = {"type": "key", "id": "keys", "actions": acts}
        await self.call("input.performActions", context=self.tab, actions=[source])

    async def wait(self, script: str) -> None:
        """Wait until a script is true."""
        for _ in range(300):
            if await self.ask(script):
                return
            await asyncio.sleep(0.1)
        pytest.fail(f"never true: {script}; {await self.ask('document.body.innerText')}")


@asynccontextmanager
async def firefox(profile):
    """A headless Firefox with a profile of its own."""
    lines = [f"user_pref({json.dumps(k)}, {json.dumps(v)});" for k, v in PREFERENCES.items()]
    profile.mkdir()
    (profile / "user.js").write_text("\n".join(lines), "utf-8")
    log = profile.with_suffix(".log")
    with log.open("w") as out:
        process = subprocess.Popen(
            [
                FIREFOX,
                *["--headless", "--no-remote", "--remote-debugging-port", "0", "--profile"],
                profile,
            ],
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    try:
        for _ in range(600):
            if found := re.search(r"BiDi listening on (ws://\S+)", log.read_text()):
                break
            await asyncio.sleep(0.1)
        else:
            pytest.fail(f"Firefox did not start: {log.read_text()[-500:]}")
        socket = await websocket_connect(
            HTTPRequest(found[1] + "/session"), max_message_size=100_000_000
        )
        yield Firefox(socket)
        socket.close()
    finally:
        process.terminate()
        process.wait(30)


@pytest.fixture(scope="module")
def demo_of_five(made_once):
    """The demonstration with five pairs, the first folder as it is made; its folder."""
    from reader_study.examples.demo import build_demo, lesson_plan

    return made_once(
        "demo-of-five",
        lambda folder: (folder / "code").write_text(
            build_demo(folder / "study", plan=lesson_plan(5))["code"], "utf-8"
        ),
    )


SHOWN = """(async () => {
  const viewer = [...document.querySelectorAll(".ctv")]
    .find((v) => v.checkVisibility({ visibilityProperty: true })).viewer;
  viewer.actual = true;
  viewer.invalidate();
  for (let i = 0; i < 3; i++) await new Promise(requestAnimationFrame);
  const { left, top, ratio } = viewer.place, hu = [], grey = [];
  for (const side of ["left", "right"]) {
    const context = viewer.panels[side].canvas.getContext("2d"), slice = viewer.slice(side);
    for (let y = 200; y < 300; y += 7) for (let x = 200; x < 300; x += 7) {
      hu.push(slice[y * viewer.columns + x]);
      const at = [left * ratio + x, top * ratio + y].map(Math.round);
      grey.push(context.getImageData(...at, 1, 1).data[0]);
    }
  }
  viewer.actual = false;
  return { hu, grey };
})()"""


HEADING = "document.querySelector('#rs-where, .rs h1')?.textContent"


async def look(page: Firefox) -> None:
    """Pixel for pixel, the screen shows the window's grey value of each stored pixel."""
    shown = await page.ask(SHOWN)
    hu, grey = np.array(shown["hu"], float), np.array(shown["grey"], float)
    assert hu.std() > 20, "two images of a lung"
    assert np.abs(grey - WINDOWS["lung"].render(hu)).max() <= 1


async def read_all(page: Firefox) -> tuple[int, str]:
    """Press Enter on every page and 1 on every pair; pairs read, and the receipt."""
    pairs = 0
    for _ in range(30):
        await page.wait("Boolean(document.querySelector('.rs-receipt, #rs-where, .rs h1'))")
        receipt = await page.ask("document.querySelector('.rs-receipt')?.textContent")
        if receipt:
            return pairs, receipt
        before = json.dumps(await page.ask(HEADING))
        is_pair = await page.ask("Boolean(document.querySelector('#rs-where'))")
        if is_pair:
            await look(page)
            await asyncio.sleep(0.5)  # the protocol takes no answer sooner
            pairs += 1
        await page.press("1" if is_pair else ENTER)
        await page.wait(f"{HEADING} !== {before}")
    return pytest.fail("the study did not end")


@pytest.mark.skipif(FIREFOX is None, reason="Firefox is not installed (firefox-esr)")
def test_the_demonstration_is_read_to_its_receipt(demo_of_five, tmp_path, serve):
    """Login, consent, display check, practice, five pairs, the list of answers, the receipt."""
    from reader_study.blinding.unblind import verify

    study = tmp_path / "study"
    shutil.copytree(demo_of_five / "study", study)
    url = serve(study).url

    async def read() -> tuple[int, str]:
        async with firefox(tmp_path / "profile") as page:
            await page.open(url)
            await page.press((demo_of_five / "code").read_text("utf-8") + ENTER)
            found = await read_all(page)
            assert page.errors == []
            return found

    pairs, receipt = asyncio.run(read())
    kept = tmp_path / "receipt.txt"
    kept.write_text(receipt, "utf-8")
    verdict = verify(study, [kept])
    assert verdict.ok, verdict.fault
    assert verdict.n_answers == pairs >= 5

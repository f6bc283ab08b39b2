"""The network that a demonstration offers after its pairs, and no study of readers."""

import sys
from contextlib import suppress

import numpy as np
import pytest
from tornado.httpclient import HTTPRequest
from tornado.websocket import WebSocketClosedError, websocket_connect

from ctlab.view.live.pipe import pack, unpack
from reader_study.examples.living_network import NetworkProcess, network_pages
from reader_study.room import web
from tests.reader_study.room.browser_stub import SOCKETS, Browser, in_loop

FIGURE = """
import sys, time
import numpy as np
from ctlab.view.live.pipe import answer_questions
from ctlab.view.live.scene import Scene
from ctlab.view.live.viewer import live_viewer
def denoise(name, hu):
    if name == "dies":
        sys.exit(3)
    if name == "sleeps":
        time.sleep(60)
    return hu + len(name)
scene = Scene(np.full((16, 16), -800.0), np.zeros((1, 16, 16)), 0.7)
viewer = live_viewer(scene, {"a": "A"}, denoise=denoise)
answer_questions(viewer, sys.stdin.buffer, sys.stdout.buffer)
"""


@pytest.fixture
def process():
    """A network without torch that adds the length of its name, and can die or sleep."""
    one = NetworkProcess([sys.executable, "-c", FIGURE], longest_s=20)
    yield one
    one.close()


def question(number, name, hu):
    rows, columns = hu.shape
    asked = {"id": number, "kind": "denoise", "name": name, "rows": rows, "columns": columns}
    return pack(asked, [hu.astype("<f4").tobytes()])


def answered(message):
    """Number and image of an answer, or its error."""
    content, arrays = unpack(message)
    if "error" in content:
        return content["id"], content["error"]
    ((_, rows, columns),) = content["maps"]
    return content["id"], np.frombuffer(arrays[0], "<f4").reshape(rows, columns)


async def at_the_network(browser):
    address = browser.url.replace("http", "ws", 1) + "/network/answers"
    socket = await websocket_connect(HTTPRequest(address, headers=browser.headers()))
    SOCKETS.append(socket)
    return socket


def test_a_process_answers_and_starts_again_where_it_ended(process):
    content, arrays = unpack(process.opening())
    assert content["traits"]["networks"] == [{"name": "a", "label": "A"}]
    truth = arrays[content["arrays"].index("truth_bytes")]
    assert np.frombuffer(truth, "<i2").tolist() == [-800] * 256
    hu = np.arange(6.0).reshape(2, 3)
    number, image = answered(process.ask(question(5, "abc", hu)))
    assert number == 5
    np.testing.assert_array_equal(image, hu + 3)
    assert answered(process.ask(b"\xff\xff\xff\xffx"))[1].startswith("expected a message")
    assert "process ended" in answered(process.ask(question(6, "dies", hu)))[1]
    np.testing.assert_array_equal(answered(process.ask(question(7, "ab", hu)))[1], hu + 2)
    process._longest_s = 0.3
    assert "process ended" in answered(process.ask(question(8, "sleeps", hu)))[1]


def test_what_cannot_start_is_one_sentence():
    missing = NetworkProcess(["/nowhere/python"])
    with pytest.raises(OSError, match="No such file"):
        missing.opening()
    assert "No such file" in answered(missing.ask(question(1, "a", np.zeros((2, 2)))))[1]


def test_a_demonstration_alone_offers_the_network_and_only_to_its_reader(room, process):
    paths = ["/network", "/network/network.js", "/network/figure.js", "/network/answers"]

    async def study():
        async with room() as ((code, _), url, _):
            reader = Browser(url)
            await reader.log_in(code)
            for path in paths:
                assert (await reader.get(path)).code == 404, "a study of readers has none"
            _, state = await reader.open()
            assert state["panel"]["reader"]["afterwards"] is None

    async def demonstration():
        async with room(afterwards=network_pages(process)) as ((code, _), url, _):
            stranger, reader = Browser(url), Browser(url)
            codes = [(await stranger.get(path)).code for path in paths]
            assert codes == [302, 403, 403, 403]
            assert process._process is None, "nobody has asked it"
            await reader.log_in(code)
            _, state = await reader.open()
            assert state["panel"]["reader"]["afterwards"]["href"] == "network"
            reply = await reader.get("/network")
            assert reply.code == 200
            policy = reply.headers["Content-Security-Policy"]
            assert "script-src 'self' 'wasm-unsafe-eval';" in policy
            first = await at_the_network(reader)
            assert "traits" in unpack(await first.read_message())[0]
            second = await at_the_network(reader)
            assert await first.read_message() is None, "one page at a time"
            assert first.close_code == web.ELSEWHERE
            assert "traits" in unpack(await second.read_message())[0]
            hu = np.zeros((600, 800))  # larger than anything that the room itself takes
            await second.write_message(question(3, "abcd", hu), binary=True)
            np.testing.assert_array_equal(answered(await second.read_message())[1], hu + 4)
            with suppress(WebSocketClosedError):
                await second.write_message(b"\0" * 6_000_000, binary=True)
            assert await second.read_message() is None, "too large to be looked at"
            third = await at_the_network(reader)
            await third.read_message()
            await reader.get("/logout?stay")
            await third.write_message(question(4, "a", np.zeros((2, 2))), binary=True)
            assert await third.read_message() is None
            assert third.close_code == web.LOGGED_OUT

    in_loop(study)
    in_loop(demonstration)

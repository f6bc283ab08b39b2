"""A lecture over its sockets: who gets in, what goes where, and what strangers cannot do."""

import asyncio
import csv
import io
import json
import re
from contextlib import asynccontextmanager

import pytest
from tornado.httpclient import HTTPClientError, HTTPRequest
from tornado.websocket import websocket_connect

from reader_study.design.texts import load_texts
from reader_study.lecture import hall as halls
from reader_study.lecture.hall import Hall
from reader_study.lecture.lesson import Lesson
from reader_study.lecture.server import application
from reader_study.room import listen
from reader_study.room.login import RateLimit
from tests.reader_study.lecture.test_lesson import slide
from tests.reader_study.room.browser_stub import SOCKETS, Browser, hang_up, heard, in_loop


@pytest.fixture
def lecture(monkeypatch):
    """Function that holds a lesson here: ``async with lecture() as (url, hall, stopped)``."""
    monkeypatch.setattr(halls, "_PUSH_S", 0.01)
    monkeypatch.setattr(halls, "_SECONDS", (0.2, 600))

    @asynccontextmanager
    async def hold(slides=None, **options):
        servers, stopped, made = [], [], listen.HTTPServer

        def kept(*args, **kwargs):
            servers.append(made(*args, **kwargs))
            return servers[-1]

        monkeypatch.setattr(listen, "HTTPServer", kept)
        lesson = Lesson(slides or [slide(True), slide(False)], **options)
        hall = Hall(
            lesson, load_texts(), title="A lesson", secret="s" * 22, stop=lambda: stopped.append(1)
        )
        hall.address = listen.listen(application(hall), "127.0.0.1", 0, None)
        try:
            yield hall.address, hall, stopped
        finally:
            monkeypatch.setattr(listen, "HTTPServer", made)
            servers[0].stop()
            await hang_up()
            await servers[0].close_all_connections()

    return hold


async def connect(browser, path):
    """A socket of a browser and what it says first; None where it is closed at once."""
    address = browser.url.replace("http", "ws", 1) + path
    socket = await websocket_connect(HTTPRequest(address, headers=browser.headers()))
    SOCKETS.append(socket)
    return socket, await heard(socket)


async def phone(url, hall):
    """A telephone that has scanned the code, and what it shows."""
    browser = Browser(url)
    assert (await browser.get(f"/j/{hall.lesson.code}")).code == 302
    return (browser, *await connect(browser, "/answers"))


async def teacher(url):
    browser = Browser(url)
    assert (await browser.get("/teacher/" + "s" * 22)).headers["Location"] == "/teacher"
    return (browser, *await connect(browser, "/teacher/socket"))


async def until(socket, wanted):
    """The first thing a socket says of which ``wanted`` is true."""
    while not wanted(said := await heard(socket)):
        pass
    return said


def test_a_class_answers_the_clock_closes_and_the_key_is_told(lecture):
    async def work():
        async with lecture() as (url, hall, stopped):
            browser, desk, first = await teacher(url)
            assert (first["phase"], first["code"]) == ("lobby", hall.lesson.code)
            assert first["qr"].startswith("data:image/svg+xml")
            assert first["view"]["shape"] == [3, 8, 8]
            assert len((await browser.get("/teacher/images")).body) == 3 * 8 * 8 * 2
            phones = [await phone(url, hall) for _ in range(6)]
            assert {p[2]["question"] for p in phones} == {hall.words["lecture_lobby"]}
            await desk.write_message('{"do": "begin"}')
            for _, socket, _ in phones:
                assert (await until(socket, lambda s: s["id"]))["images"] == [], (
                    "not before it opens"
                )
            await desk.write_message('{"do": "open", "seconds": 1}')
            for _, socket, _ in phones:
                state = await until(socket, lambda s: s["is_open"])
            (image,), (ahead,) = state["images"], state["prefetch"]
            reply = await phones[0][0].get(image)
            assert reply.body[:4] == b"\x89PNG"
            assert "immutable" in reply.headers["Cache-Control"]
            assert ahead == image, "named by what it holds: both slides show the same here"
            for k, (_, socket, _) in enumerate(phones):
                await socket.write_message(json.dumps({"id": state["id"], "value": 1 + (k < 3)}))
                said = await heard(socket)
                assert (said["given"], said["is_open"]) == (1 + (k < 3), False)
            closed = await until(desk, lambda s: s["phase"] == "closed")
            assert closed["answered"] == 6
            assert closed["shown"] == 5, "the sixth came alone"
            assert [row["share"] for row in closed["shares"]] == [0.4, 0.6]
            assert closed["key"] == []
            again, socket, state = await phone_again(phones[0][0])
            assert state["given"] == 2, "a telephone that fell asleep finds its answer"
            await desk.write_message('{"do": "key"}')
            assert (await until(desk, lambda s: s["phase"] == "key"))["key"] == ["an arm"]
            assert (await until(socket, lambda s: not s["options"]))["note"] == "an arm"
            table = (await browser.get("/teacher/export")).body.decode()
            rows = list(csv.DictReader(io.StringIO(table)))
            assert len(rows) == 6
            assert {row["use"] for row in rows} == {"teaching"}
            await desk.write_message('{"do": "end"}')
            await until(desk, lambda s: s["phase"] == "ended")
            assert await heard(socket) is None
            assert hall.lesson.rows() == []
            assert (await again.get("/")).body.count(b'name="code"') == 1, "out"
            assert (await Browser(url).get("/j")).code == 401, "an empty code opens nothing"
            await asyncio.sleep(0.1)
            assert stopped == [1]

    async def phone_again(browser):
        return (browser, *await connect(browser, "/answers"))

    in_loop(work)


def test_strangers_and_students_stay_out_of_what_is_the_teachers(lecture):
    async def work():
        async with lecture() as (url, hall, _):
            stranger = Browser(url)
            assert b'name="code"' in (await stranger.get("/")).body
            assert (await stranger.get("/j/WRONGX")).code == 401
            assert (await stranger.get("/j?code=" + hall.lesson.code.lower())).code == 302, "typed"
            for path in ("", "/images", "/export"):
                assert (await stranger.get("/teacher" + path)).code == 403, path
            for guess in ("x" * 22, "%C3%A9" * 22):
                assert (await stranger.get("/teacher/" + guess)).code == 404, guess
            with pytest.raises(HTTPClientError, match="403"):
                await connect(stranger, "/teacher/socket")
            crop = next(iter(hall.crops))
            assert (await Browser(url).get(f"/crop/{crop}.png")).code == 404
            assert await connect(Browser(url), "/answers") == (SOCKETS[-1], None)
            reply = await stranger.get("/")
            assert (
                "script-src 'self' 'wasm-unsafe-eval';" in reply.headers["Content-Security-Policy"]
            )
            assert "Server" not in reply.headers
            for nonsense in ("no json", "[]", '{"id": 1}', '{"id": "x", "value": {}}', "x" * 9999):
                socket, _ = await connect(stranger, "/answers")
                await socket.write_message(nonsense)
                assert await heard(socket) is None, "hung up"
            assert not re.search(rb"127\.0\.0\.1", json.dumps(hall.lesson.rows()).encode())

    in_loop(work)


def test_devices_beyond_the_places_are_told_so(lecture):
    async def work():
        async with lecture(places=1) as (url, hall, _):
            one = await phone(url, hall)
            assert (await Browser(url).get(f"/j/{hall.lesson.code}")).code == 503
            assert (await one[0].get(f"/j/{hall.lesson.code}")).code == 302, "who is in stays in"
            assert len(hall.lesson.devices) == 1

    in_loop(work)


def test_names_that_nobody_uses_keep_no_places(lecture):
    """A computer that asks for every place must not lock a class out."""

    async def work():
        async with lecture(places=3) as (url, hall, _):
            one = await phone(url, hall)
            for _ in range(9):
                assert (await Browser(url).get(f"/j/{hall.lesson.code}")).code == 302
            await phone(url, hall)
            assert len(hall.lesson.devices) <= 3
            assert (await one[0].get("/")).body.count(b'name="code"') == 0, "still in"

    in_loop(work)


def test_wrong_codes_beyond_what_may_wait_are_refused_at_once(lecture, monkeypatch):
    monkeypatch.setattr("reader_study.room.login._MOST_WAITING", 2)

    async def work():
        async with lecture() as (url, hall, _):
            hall.wrong = RateLimit(free=0)
            tried = await asyncio.gather(*(Browser(url).get(f"/j/WRONG{k}") for k in range(5)))
            assert sorted(reply.code for reply in tried) == [401, 401, 429, 429, 429]
            assert (await Browser(url).get(f"/j/{hall.lesson.code}")).code == 302, "a right one"

    in_loop(work)

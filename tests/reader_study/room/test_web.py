"""The room in one process: who gets in, what leaves it, and what strangers cannot do to it."""

import asyncio
import json
import logging
import re
import urllib.parse

import pytest
from tornado.httpclient import HTTPClientError

from reader_study.record.coordinator import add_reader, opened, withdraw_reader
from reader_study.room import listen, web
from reader_study.room.login import Logins
from reader_study.room.served_study import open_study
from tests.reader_study.room.browser_stub import Browser, hang_up, heard, in_loop, say


def test_a_stranger_gets_the_form_and_nothing_else(room, caplog):
    async def work():
        async with room() as (_, url, _):
            stranger = Browser(url)
            reply = await stranger.get("/")
            assert (reply.code, reply.headers["Location"]) == (302, "/login?next=%2F")
            paths = ["/room.js", "/viewer.js", "/images/00", "/reading", "/study.json"]
            for path in [*paths, "/api/kernels", "/../bundle/study.json", "/voila/static/x.js"]:
                reply = await stranger.get(path)
                assert reply.code in {403, 404}, path
                policy = reply.headers["Content-Security-Policy"]
                assert "script-src 'self' 'wasm-unsafe-eval';" in policy, (
                    "no script but the room's own files runs"
                )
                assert "Server" not in reply.headers
            with pytest.raises(HTTPClientError, match="403"):
                await stranger.open()
            stranger.cookies["username-127-0-0-1-" + url.rsplit(":", 1)[1].rstrip("/")] = "forged"
            assert (await stranger.get("/")).code == 302
            assert (await stranger.get("/login", "code=x")).code == 403, "a form of another site"
            for body in ("code=%ff%fe", "_xsrf=%", "x" * 10_000):
                assert (await stranger.get("/login", body)).code in {400, 401, 403}
            assert b" 4" in await raw(url, b"GET / HTTP/1.1\r\n\r\n")
            await raw(url, b"\x16\x03\x01 nonsense\r\n\r\n")

    with caplog.at_level(logging.ERROR):
        in_loop(work)
    assert not [r for r in caplog.records if r.exc_info], "no traceback of a stranger's making"


async def raw(url: str, data: bytes, wait_s: float = 10.0) -> bytes:
    """What is answered to bytes on a connection of one's own, until the other side ends it."""
    where = urllib.parse.urlsplit(url)
    reader, writer = await asyncio.open_connection(where.hostname, where.port)
    writer.write(data)
    try:
        return await asyncio.wait_for(reader.read(100_000), wait_s)
    finally:
        writer.close()


def test_login_cookie_logout_and_a_restart(room):
    async def work():
        async with room(proxies=("127.0.0.1",)) as ((code, other), url, _):
            reader = Browser(url)
            withdraw_reader(room.study, "R2", "left")
            wrong, gone = await reader.log_in("AAAA-BBBB"), await reader.log_in(other)
            assert wrong.code == gone.code == 401
            strip = re.compile(rb'value="[^"]+"')
            assert strip.sub(b"", wrong.body) == strip.sub(b"", gone.body), "refusals are alike"
            assert (await reader.get(f"/?code={code}")).code == 302, "an address opens nothing"
            reply = await reader.log_in(code.lower().replace("-", " "))
            assert (reply.code, reply.headers["Location"]) == (302, "/")
            cookie = next(v for v in reply.headers.get_list("Set-Cookie") if "username" in v)
            assert "expires" not in cookie.lower(), "the cookie ends with the browser"
            assert "HttpOnly" in cookie
            assert "SameSite=Strict" in cookie
            assert "Secure" not in cookie
            reply = await Browser(url).log_in(code, **{"X-Forwarded-Proto": "https"})
            cookie = next(v for v in reply.headers.get_list("Set-Cookie") if "username" in v)
            assert "Secure" in cookie, "a named proxy says that the browser speaks TLS"
            assert b"Reader R1 is logged in here. Not you?" in (await reader.get("/login")).body
            socket, _ = await reader.open()
            assert (await reader.log_in(code)).code == 302, "the next one at this computer"
            assert await heard(socket) is None
            assert socket.close_code == web.LOGGED_OUT, "the room of the one before is closed"
            kept = dict(reader.cookies)
            socket, _ = await reader.open()
            assert (await reader.get("/logout?stay")).code == 204
            assert await heard(socket) is None
            assert socket.close_code == web.LOGGED_OUT
            assert (await reader.get("/")).code == 302
            reader.cookies = kept
            assert (await reader.get("/")).code == 302, "a kept cookie opens nothing"
        async with room() as (_, url, _):
            again = Browser(url)
            again.cookies = {
                f"username-127-0-0-1-{url.split(':')[2][:-1]}": v for v in kept.values()
            }
            assert (await again.get("/")).code == 302, "nor after a restart"
            reply = await again.log_in(code, **{"X-Forwarded-Proto": "https"})
            cookie = next(v for v in reply.headers.get_list("Set-Cookie") if "username" in v)
            assert "Secure" not in cookie, "only a named proxy is believed"
            assert (await again.get("/")).code == 200
            withdraw_reader(room.study, "R1", "left")
            assert (await again.get("/")).code == 302, "who has left is out at once"

    in_loop(work)


def test_a_reader_reads_and_sees_no_image_but_the_shown_and_the_next(room):
    async def work():
        async with room() as ((code, other), url, rooms):
            reader, second = Browser(url), Browser(url)
            await reader.log_in(code)
            await second.log_in(other)
            socket, state = await reader.open()
            assert state["panel"]["screen"]["kind"] == "consent"
            trials = rooms.bundle.trials(1)
            assert state["view-0"]["tag"] == trials[0].token, "loaded while the consent is read"
            panel = await say(socket, {"action": "consent"})
            assert panel["screen"]["trial"] == trials[0].token
            for trial, status in zip(trials, (200, 200, *[404] * len(trials)), strict=False):
                reply = await reader.get(f"/images/{trial.token}")
                assert reply.code == status
                assert (await second.get(f"/images/{trial.token}")).code == 404, "not one's own"
            reply = await reader.get(f"/images/{trials[1].token}")
            assert reply.body == b"".join(
                rooms.study.bundle.pixels(t) for t in (trials[1].left, trials[1].right)
            )
            assert reply.headers["Cache-Control"] == "no-store"
            assert "Content-Encoding" not in reply.headers, "sizes tell nothing of the content"
            told = await say(
                socket, {"action": "answer", "id": panel["screen"]["id"], "value": "left"}
            )
            assert told["screen"]["kind"] == "feedback"
            with opened(room.study) as (_, store):
                assert [a.value for a in store.answers()] == ["left"]
            mark = {"side": "left", "z": 1, "y": 2, "x": 3, "kind": ""}
            said = json.dumps({"to": "view-0", "set": {"marks": [mark], "shape": [9, 9, 9]}})
            await socket.write_message(said)
            await heard(socket)
            with opened(room.study) as (_, store):
                assert len(store.answers()) == 1, "no marks while nothing is asked"
            words = {"texts", "words", "further_help", "presets"}  # the room's own
            text = json.dumps(
                [{k: v for k, v in traits.items() if k not in words} for traits in state.values()]
            ).lower()
            for secret in ("alpha", "bravo", "case-", "pat-", "repeat", "catch", str(room.study)):
                assert secret not in text
            assert not [token for token in rooms.bundle.images if token in text]

    in_loop(work)


def test_a_page_of_another_site_opens_no_socket(room):
    async def work():
        async with room() as ((code, _), url, _):
            reader = Browser(url)
            await reader.log_in(code)
            with pytest.raises(HTTPClientError, match="403"):
                await reader.open(Origin="http://evil.example")
            assert (await reader.open(Origin=url.rstrip("/")))[1]

    in_loop(work)


def test_places_and_who_opens_again(room):
    async def work():
        async with room(places=1) as ((code, other), url, rooms):
            reader, second = Browser(url), Browser(url)
            await reader.log_in(code)
            await second.log_in(other)
            first, _ = await reader.open()
            assert (await second.get("/")).code == 503
            full, said = await second.open()
            assert (said, full.close_code) == (None, web.FULL)
            later, state = await reader.open()
            assert state, "the own place is taken over"
            assert await heard(first) is None
            assert first.close_code == web.ELSEWHERE
            assert list(rooms.open) == ["R1"]
            later.close()
            while rooms.open:
                await asyncio.sleep(0.01)
            _, state = await second.open()
            assert state, "a place is given back at once"

    in_loop(work)


def test_a_line_that_is_cut_without_a_word_gives_its_place_back(room, monkeypatch):
    monkeypatch.setattr(web, "_PING_S", 0.2)  # 15 s, and so half a minute, when served

    async def work():
        async with room(places=1) as ((code, _), url, rooms):
            reader = Browser(url)
            await reader.log_in(code)
            where = urllib.parse.urlsplit(url)
            _, writer = await asyncio.open_connection(where.hostname, where.port)
            asked = [
                "GET /reading HTTP/1.1",
                f"Host: {where.netloc}",
                "Upgrade: websocket",
                "Connection: Upgrade",
                "Sec-WebSocket-Version: 13",
                "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
                f"Cookie: {reader.headers()['Cookie']}",
            ]
            writer.write("\r\n".join([*asked, "", ""]).encode())  # and never answers a ping
            while not rooms.open:
                await asyncio.sleep(0.01)
            while rooms.open:
                await asyncio.sleep(0.01)
            writer.close()

    in_loop(work)
    assert 2 * 15 < 60


def test_a_right_code_is_not_held_up_by_others_behind_the_same_address(room):
    async def work():
        async with room() as ((code, _), url, _):
            visitors = [Browser(url) for _ in range(6)]
            for visitor in visitors[:3]:
                await visitor.log_in("wrong")
            waiting = [asyncio.create_task(v.log_in("wrong")) for v in visitors[3:]]
            await asyncio.sleep(0.2)
            start_s = asyncio.get_running_loop().time()
            assert (await Browser(url).log_in(code)).code == 302
            assert asyncio.get_running_loop().time() - start_s < 0.45
            assert not waiting[-1].done(), "the fourth wrong code and those after it wait"
            for task in waiting:
                assert (await task).code == 401

    in_loop(work)


def test_many_wrong_codes_of_one_sender_are_refused_without_waiting(monkeypatch, tmp_path):
    slept = []

    async def never(seconds):
        slept.append(seconds)
        await asyncio.Event().wait()

    async def work():
        logins = Logins(None, ())
        monkeypatch.setattr("reader_study.room.login.asyncio.sleep", never)
        tasks = [asyncio.ensure_future(logins.wrong.slow_down("1.2.3.4")) for _ in range(20)]
        while len(slept) < 20:
            await asyncio.get_running_loop().run_in_executor(None, lambda: None)
        assert not await logins.wrong.slow_down("1.2.3.4")
        other = asyncio.ensure_future(logins.wrong.slow_down("5.6.7.8"))
        await asyncio.get_running_loop().run_in_executor(None, lambda: None)
        assert slept[-1] == 0.0, "another sender is not held up"
        for task in [*tasks, other]:
            task.cancel()

    in_loop(work)


def test_large_slow_and_idle_requests_end(room, monkeypatch):
    monkeypatch.setattr(listen, "_SLOWEST_BODY_S", 0.3)
    monkeypatch.setattr(listen, "_IDLE_CONNECTION_S", 0.3)

    async def work():
        async with room() as (_, url, _):
            head = b"POST /login HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n"
            assert b" 400 " in await raw(url, head % 99_000_000), "refused before it is read"
            assert b" 400 " in await raw(url, head % 1_000_001)
            await raw(url, head % 1000 + b"code=")  # never finished; returns when it is ended
            await raw(url, b"")
            await raw(url, b"GET / HT")
            chunked = b"POST /login HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
            many = b"ffff\r\n" + b"x" * 0xFFFF + b"\r\n"
            assert b"302" not in await raw(url, chunked + many * 17)

    in_loop(work)


@pytest.mark.parametrize(
    "message", ["[]", "{", '{"to": "nobody"}', '{"to": 3}', "x" * 300_000, "[" * 100_000]
)
def test_messages_that_no_page_sends_end_the_socket(room, message, caplog):
    async def work():
        async with room() as ((code, _), url, rooms):
            reader = Browser(url)
            await reader.log_in(code)
            socket, _ = await reader.open()
            await socket.write_message(message)
            assert await heard(socket) is None
            while rooms.open:
                await asyncio.sleep(0.01)

    with caplog.at_level(logging.ERROR):
        in_loop(work)
    assert not [r for r in caplog.records if r.exc_info]


def test_a_page_that_slept_for_longer_than_the_idle_time_is_logged_out(tmp_path):
    time_s = [0.0]
    ended = tmp_path / "ended"
    logins = Logins(None, (), ended=ended, idle_s=60, clock=lambda: time_s[0])
    login = logins.new()
    time_s[0] = 500
    assert not logins.is_over(login), "logged in, and the page has not come yet"
    logins.seen(login)
    time_s[0] = 550
    assert not logins.is_over(login)
    time_s[0] = 561
    assert logins.is_over(login), "the lid was closed; who opens it may be another"
    assert Logins(None, (), ended=ended).is_over(login), "a restart does not bring it back"


def test_thirty_readers_who_come_at_once_all_get_in(locked):
    study = locked(n_cases=4, readers=30)
    codes = [add_reader(study, str(n))[1] for n in range(30)]
    served = open_study(study, proxies=(), places=30)

    async def work():
        app = web.application(served)
        url = listen.listen(app, "127.0.0.1", 0, None)

        async def come(code):
            reader = Browser(url)
            await reader.log_in(code)
            assert (await reader.get("/")).code == 200
            socket, _ = await reader.open()
            panel = await say(socket, {"action": "consent"})
            images = await reader.get(f"/images/{panel['screen']['trial']}")
            return len(images.body), socket

        sizes = {size for size, _ in await asyncio.gather(*map(come, codes))}
        assert len(sizes) == 1
        assert len(app.settings["rooms"].open) == 30
        await hang_up()

    in_loop(work)
    served.store.close()

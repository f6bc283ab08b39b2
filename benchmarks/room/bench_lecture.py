"""Two hundred telephones in a lecture: seconds until all see a slide, and until answers are kept.

Telephones are sockets over loopback; server and class share the processor. A hall's Wi-Fi is not
measured here: two crops of 15 kB are 6 MB for two hundred telephones.
"""

import asyncio
import json
import statistics
import time
from collections.abc import Iterator
from typing import Any

import numpy as np

PHONES = 200
SLIDES = 5


def facts() -> dict[str, str]:
    """What was simulated."""
    what = f"{PHONES} simulated telephones over loopback, {SLIDES} slides, all answer within 2 s"
    return {"what": what}


def _hall() -> Any:
    from reader_study.design.texts import load_texts
    from reader_study.lecture.hall import Hall
    from reader_study.lecture.lesson import Lesson
    from reader_study.lecture.slides import Slide

    rng = np.random.default_rng(1)
    options = tuple({"value": i, "text": str(i)} for i in range(1, 6))

    def slide(truth: bool) -> Slide:
        image = rng.normal(-700, 90, (1, 160, 160)).astype(np.int16)
        return Slide(
            question="Is there a nodule?",
            options=options,
            images=lambda: (image, None),
            spacing_mm=(1.0, 0.7, 0.7),
            frame=0,
            key=("",),
            truth=truth,
        )

    slides = [slide(bool(i % 2)) for i in range(SLIDES)]
    return Hall(Lesson(slides), load_texts(), title="", secret="s" * 22, stop=lambda: None)


class Phone:
    """A telephone without a screen; ``reached`` are the times at which slides opened on it."""

    def __init__(self, url: str) -> None:
        self.url, self.reached, self.kept = url, list[float](), list[float]()

    async def come(self, code: str) -> None:
        """Join and open the socket."""
        from tornado.httpclient import AsyncHTTPClient, HTTPRequest
        from tornado.websocket import websocket_connect

        reply = await AsyncHTTPClient().fetch(
            f"{self.url}j/{code}", follow_redirects=False, raise_error=False, request_timeout=60
        )
        cookie = reply.headers["Set-Cookie"].partition(";")[0]
        address = self.url.replace("http", "ws", 1) + "answers"
        self.socket = await websocket_connect(HTTPRequest(address, headers={"Cookie": cookie}))

    async def read(self) -> None:
        """Answer whatever opens, until the socket is closed."""
        rng, sent = np.random.default_rng(), 0.0
        while (said := await self.socket.read_message()) is not None:
            state = json.loads(said)
            if sent and state.get("given") is not None:
                self.kept.append(time.monotonic() - sent)
                sent = 0.0
            if state.get("is_open"):
                self.reached.append(time.monotonic())
                await asyncio.sleep(2 * rng.random())
                sent = time.monotonic()
                answer = {"id": state["id"], "value": int(rng.integers(1, 6))}
                await self.socket.write_message(json.dumps(answer))


async def hold() -> tuple[list[float], list[float], float]:
    """Seconds to reach each telephone, to keep each answer, and until all were in."""
    from tornado.httpclient import AsyncHTTPClient

    from reader_study.lecture.server import application
    from reader_study.room.listen import listen

    AsyncHTTPClient.configure(None, max_clients=PHONES)
    hall = _hall()
    url = listen(application(hall), "127.0.0.1", 0, None)
    phones = [Phone(url) for _ in range(PHONES)]
    start = time.monotonic()
    await asyncio.gather(*(phone.come(hall.lesson.code) for phone in phones))
    all_in = time.monotonic() - start
    reading = [asyncio.ensure_future(phone.read()) for phone in phones]
    hall.lesson.begin()
    reached = []
    for k in range(SLIDES):
        opened = time.monotonic()
        hall.open_slide(60)
        hall.tell_class()
        while hall.lesson.answered < PHONES:
            await asyncio.sleep(0.05)
        reached += [phone.reached[k] - opened for phone in phones]
        hall.lesson.close()
        hall.lesson.open_key()
        hall.tell_class()
        hall.lesson.go(1)
    await asyncio.sleep(0.5)
    hall.end()
    await asyncio.gather(*reading)
    return reached, [seconds for phone in phones for seconds in phone.kept], all_in


def results() -> Iterator[dict[str, Any]]:
    """One lesson, from the code to its end."""
    reached, kept, all_in = asyncio.run(hold())
    yield _row(f"{PHONES} at once, all are in after", all_in, "s")
    for name, seconds in (("slide seen", reached), ("answer kept", kept)):
        yield _row(f"{name}, median", 1000 * statistics.median(seconds), "ms")
        yield _row(f"{name}, slowest", 1000 * max(seconds), "ms")
    yield _row("answers kept", len(kept), "answers")


def _row(name: str, value: float, unit: str) -> dict[str, Any]:
    return {"name": name, "value": round(value, 1), "unit": unit}

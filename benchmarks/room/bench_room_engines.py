"""One process for all readers beside a kernel for each: memory, opening, 200 readers, routes.

Readers are simulated over loopback: they log in, fetch the page, open their socket, consent, and
answer at a radiologist's pace, fetching the images of every pair. Behind Voila the socket is the
kernel's, and opening ends with the page that names it.
"""

import asyncio
import json
import os
import re
import shutil
import statistics
import tempfile
import time
import urllib.parse
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from benchmarks.room.bench_reading_room import serve

READERS = 200
KERNELS = 4
ANSWERS = 4  # of each simulated reader
PACE_S = 15.0  # between two answers of a reader
SIDE_PX, SLICES = 128, 3
PROTOCOL = """
title = "Many readers"
[design]
answer_delay_ms = 0
texture = "as-made"
readers = {readers}
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


def facts() -> dict[str, str]:
    """What was simulated."""
    what = (
        f"{READERS} simulated readers, {ANSWERS} answers each, one every {PACE_S:g} s, and "
        f"{KERNELS} behind Voila; pairs of {SLICES} slices of {SIDE_PX} x {SIDE_PX}; server and "
        "readers share the processor"
    )
    return {"what": what}


def lock_many(folder: Path) -> tuple[Path, list[str]]:
    """A locked study and the codes of all its readers."""
    import numpy as np

    from ctlab.ct.volume import Volume
    from reader_study.blinding.lock import lock_study
    from reader_study.record.coordinator import add_reader

    study, names = folder / "study", [f"case-{i}" for i in range(2 * ANSWERS + 2)]
    for arm in ("quiet", "loud"):
        for name in names:
            (study / "arms" / arm / name).mkdir(parents=True)
    cases = "".join(f'[[cases]]\nname = "{n}"\npatient = "{n}"\n' for n in names)
    (study / "protocol.toml").write_text(PROTOCOL.format(readers=READERS) + cases, "utf-8")
    rng = np.random.default_rng(5)

    def read(_series: Path) -> Volume:
        hu = rng.normal(0, 60, (SLICES, SIDE_PX, SIDE_PX)).astype(np.float32)
        return Volume(hu, (2.0, 1.0, 1.0))

    lock_study(study, passphrase="correct horse battery staple", read=read)
    return study, [add_reader(study, str(n))[1] for n in range(READERS)]


class Visitor:
    """A browser without a screen."""

    def __init__(self, url: str) -> None:
        self.url, self.cookies = url.rstrip("/"), dict[str, str]()

    @property
    def headers(self) -> dict[str, str]:
        """Cookies so far."""
        return {"Cookie": "; ".join(f"{k}={v}" for k, v in self.cookies.items())}

    async def get(self, path: str, body: str | None = None) -> bytes:
        """Body of an answer."""
        from tornado.httpclient import AsyncHTTPClient

        reply = await AsyncHTTPClient().fetch(
            f"{self.url}{path}",
            method="GET" if body is None else "POST",
            body=body,
            headers=self.headers,
            follow_redirects=False,
            raise_error=False,
            connect_timeout=300,
            request_timeout=300,
        )
        if reply.code >= 400:
            raise ValueError(f"{path} answered {reply.code}")
        for line in reply.headers.get_list("Set-Cookie"):
            name, _, value = line.partition(";")[0].partition("=")
            self.cookies[name] = value
        return reply.body

    async def enter(self, code: str) -> bytes:
        """The room's page, after the code."""
        form = (await self.get("/login")).decode()
        found = re.search(r'name="_xsrf"[^>]*value="([^"]+)"', form)
        token = found[1] if found else ""
        await self.get("/login", urllib.parse.urlencode({"code": code, "_xsrf": token}))
        return await self.get("/")


class Reader(Visitor):
    """A simulated reader of the room in one process."""

    async def open(self, code: str) -> float:
        """Seconds from the code to the first images."""
        from tornado.httpclient import HTTPRequest
        from tornado.websocket import websocket_connect

        start = time.monotonic()
        await self.enter(code)
        address = self.url.replace("http", "ws", 1) + "/reading"
        asked = HTTPRequest(address, headers=self.headers, connect_timeout=300, request_timeout=300)
        self.socket = await websocket_connect(asked)
        state = json.loads(await self.socket.read_message() or "{}")["open"]
        await self.get(f"/images/{state['view-0']['tag']}")
        return time.monotonic() - start

    async def say(self, **what: Any) -> dict[str, Any]:
        """The screen after a message."""
        await self.socket.write_message(json.dumps({"to": "panel", "say": what}))
        told = json.loads(await self.socket.read_message() or "{}")["told"]
        for name, traits in told:
            if name.startswith("view-") and "tag" in traits:
                await self.get(f"/images/{traits['tag']}")
        screens = [traits["screen"] for name, traits in told if "screen" in traits]
        return dict(screens[-1])

    async def read(self) -> list[float]:
        """Seconds until each answer was on the disk and the next images were here."""
        screen, waited = await self.say(action="consent"), []
        await asyncio.sleep(PACE_S * int.from_bytes(os.urandom(1)) / 256)
        for _ in range(ANSWERS):
            start = time.monotonic()
            screen = await self.say(action="answer", id=screen["id"], value="left", seconds=4.0)
            waited.append(time.monotonic() - start)
            await asyncio.sleep(max(0.0, PACE_S - waited[-1]))
        return waited


async def read_together(url: str, codes: list[str]) -> tuple[list[float], list[float], float]:
    """Opening of every reader, every answer, and seconds until all were in; all in seconds."""
    from tornado.httpclient import AsyncHTTPClient

    AsyncHTTPClient.configure(None, max_clients=len(codes))
    readers = [Reader(url) for _ in codes]
    start = time.monotonic()
    opened = await asyncio.gather(*(r.open(c) for r, c in zip(readers, codes, strict=True)))
    all_in = time.monotonic() - start
    waited = await asyncio.gather(*(reader.read() for reader in readers))
    for reader in readers:
        reader.socket.close()
        while await reader.socket.read_message() is not None:
            pass
    return list(opened), [seconds for each in waited for seconds in each], all_in


def memory_mb(pid: int) -> float:
    """Proportional share of memory of a process and its children, in MB (10^6 bytes)."""
    kilobytes = 0
    for one in [pid, *children(pid)]:
        rollup = Path(f"/proc/{one}/smaps_rollup").read_text("ascii")
        kilobytes += int(re.findall(r"(?m)^Pss:\s+(\d+) kB", rollup)[0])
    return kilobytes * 1024 / 1e6


def children(pid: int) -> list[int]:
    """Processes that a process started."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
    return [child for child, parent in parents.items() if parent == pid]


def processor_s(pid: int) -> float:
    """Seconds of processor that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def row(name: str, value: float, unit: str) -> dict[str, Any]:
    """One measurement."""
    return {"name": name, "value": round(value, 2 if value < 10 else 1), "unit": unit}


def web(study: Path, codes: list[str]) -> Iterator[dict[str, Any]]:
    """The room in one process."""
    room, url = serve(study)
    try:
        empty = memory_mb(room.pid)
        yield row("web: empty server", empty, "MB")

        async def alone() -> float:
            reader = Reader(url)
            seconds = await reader.open(codes[0])
            reader.socket.close()
            return seconds

        opened = [asyncio.run(alone()) for _ in range(5)]
        yield row("web: opening, a reader alone", 1000 * statistics.median(opened), "ms")
        _, _, all_in = asyncio.run(read_together(url, codes[:30]))
        yield row("web: 30 at once, all are in after", all_in, "s")
        used_s, start = processor_s(room.pid), time.monotonic()
        most: list[float] = []

        async def watched() -> tuple[list[float], list[float], float]:
            async def watch() -> None:
                while True:
                    await asyncio.sleep(2)
                    most.append(memory_mb(room.pid))

            watching = asyncio.ensure_future(watch())
            try:
                return await read_together(url, codes)
            finally:
                watching.cancel()

        opened, waited, all_in = asyncio.run(watched())
        busy = (processor_s(room.pid) - used_s) / (time.monotonic() - start)
        many = f"web: {READERS} readers"
        middle, slow = statistics.median(waited), statistics.quantiles(waited, n=20)[-1]
        yield row(f"web: {READERS} at once, all are in after", all_in, "s")
        yield row(f"{many}, memory of one more", (max(most) - empty) / READERS, "MB")
        yield row(f"{many}, answer stored and next pair here, median", 1000 * middle, "ms")
        yield row(f"{many}, answer stored and next pair here, 95th percentile", 1000 * slow, "ms")
        yield row(f"{many}, answers stored", len(waited), "answers")
        yield row(f"{many}, processor of the server", 100 * busy, "% of a core")
    finally:
        room.terminate()
        room.wait()


def voila(study: Path, codes: list[str]) -> Iterator[dict[str, Any]]:
    """A kernel for each reader."""
    room, url = serve(study, "--engine", "voila")

    async def come(code: str) -> float:
        start = time.monotonic()
        page = (await Visitor(url).enter(code)).decode()
        if "api/kernels" not in page and "place/" not in page:
            raise ValueError("the page came without its kernel")
        return time.monotonic() - start

    async def together() -> list[float]:
        return list(await asyncio.gather(*(come(code) for code in codes[1 : KERNELS + 1])))

    try:
        empty = memory_mb(room.pid)
        yield row("voila: empty server", empty, "MB")
        yield row("voila: opening, a reader alone", 1000 * asyncio.run(come(codes[0])), "ms")
        alone = memory_mb(room.pid)
        yield row("voila: memory of one more reader", alone - empty, "MB")
        yield row(f"voila: {KERNELS} at once, all are in after", max(asyncio.run(together())), "s")
    finally:
        room.terminate()
        room.wait()


def surface(study: Path) -> Iterator[dict[str, Any]]:
    """Routes that answer, and what a browser must allow the page to do."""
    from reader_study.room.served_study import open_study
    from reader_study.room.server import PLACES
    from reader_study.room.voila.room import reading_room
    from reader_study.room.web import application

    opened = open_study(study, proxies=(), places=PLACES["voila"])
    own = application(opened).wildcard_router.rules
    yield row("web: routes", len(own), "routes")
    behind = reading_room(opened, host="127.0.0.1", port=0)
    behind.init_settings()
    yield row("voila: routes", len(behind.init_handlers()), "routes")


def results() -> Iterator[dict[str, Any]]:
    """Both engines, one after the other, on one study."""
    folder = Path(tempfile.mkdtemp(prefix="engines-"))
    try:
        study, codes = lock_many(folder)
        yield from web(study, codes)
        yield from voila(study, codes)
        yield from surface(study)
    finally:
        shutil.rmtree(folder, ignore_errors=True)

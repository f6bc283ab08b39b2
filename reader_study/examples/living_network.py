"""The network to try after the pairs of a demonstration: a page, and who answers it.

The room imports no torch. A process of its own runs the figure of the chapters, asked through its
pipes by the messages of a notebook (:mod:`ctlab.view.live.pipe`); it starts when a page first asks.
No study of readers has these pages: they come with :func:`reader_study.examples.demo.open_demo`.
"""

import subprocess
import sys
import threading
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from tornado.websocket import WebSocketClosedError, WebSocketHandler

from ctlab.view.live.pipe import pack, read_message, unpack, write_message
from ctlab.view.live.viewer import LiveViewer
from reader_study.room.pages import ELSEWHERE, LOGGED_OUT, Page
from reader_study.room.server import serve
from reader_study.room.web import Afterwards

_HERE = Path(__file__).parent
_COMMAND = (sys.executable, "-m", "ctlab.lessons.live.process")
_LARGEST_QUESTION = 5_000_000  # bytes; a slice of 1024 x 1024 in HU is 4.2 million
_LONGEST_S = 120.0  # of one answer; the maps of a pixel take a few seconds


class NetworkProcess:
    """A process that runs the network; it starts with the first question, and again if it ended.

    Parameters
    ----------
    command : what speaks as :mod:`ctlab.view.live.pipe` says
    longest_s : after which an answer is given up, and the process with it
    """

    def __init__(self, command: Sequence[str] = _COMMAND, *, longest_s: float = _LONGEST_S) -> None:
        self._command, self._longest_s = list(command), longest_s
        self._process: subprocess.Popen[bytes] | None = None
        self._opening = b""
        self._one_at_a_time = threading.Lock()

    def opening(self) -> bytes:
        """What the figure shows at first."""
        with self._one_at_a_time:
            self._started()
            return self._opening

    def ask(self, question: bytes) -> bytes:
        """The answer to a question of the page; a sentence where there is none."""
        number = None
        try:
            number = unpack(question)[0].get("id")
            with self._one_at_a_time:
                return self._answer(self._started(), question)
        except (OSError, ValueError) as error:
            return pack({"id": number, "error": str(error)})

    def close(self) -> None:
        """End the process."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.communicate()

    def _started(self) -> "subprocess.Popen[bytes]":
        if self._process is None or self._process.poll() is not None:
            self.close()
            self._process = subprocess.Popen(
                self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE
            )
            self._opening = self._answer(self._process)
        return self._process

    def _answer(self, process: "subprocess.Popen[bytes]", question: bytes | None = None) -> bytes:
        """The next message of the process, after a question."""
        late = threading.Timer(self._longest_s, process.kill)
        late.start()
        try:
            if process.stdin is None or process.stdout is None:
                raise ValueError("expected a process with pipes, got one without")
            if question is not None:
                write_message(process.stdin, question)
            answer = read_message(process.stdout)
        finally:
            late.cancel()
        if answer is None:
            self.close()
            raise ValueError("the network's process ended; move something to start it again")
        return answer


class NetworkPage(Page):
    """The page with the figure."""

    shows_login = True

    def get(self) -> None:
        """Show it to whoever is logged in."""
        self.finish((_HERE / "living_network.html").read_text("utf-8"))


class NetworkFile(Page):
    """Scripts and style of the figure."""

    def get(self, name: str) -> None:
        """One of them."""
        files = {
            "network.js": (_HERE / "living_network.js").read_text("utf-8"),
            "figure.js": str(LiveViewer._esm),
            "figure.css": str(LiveViewer._css),
        }
        kind = "text/css" if name.endswith(".css") else "text/javascript"
        self.set_header("Content-Type", f"{kind}; charset=utf-8")
        self.finish(files[name])


class NetworkSocket(Page, WebSocketHandler):
    """What the figure asks, and what the network answers; for one page at a time."""

    max_message_size = _LARGEST_QUESTION

    def initialize(self, process: NetworkProcess, visits: "list[NetworkSocket]") -> None:
        """Who answers, and the page that asks now."""
        self.process, self.visits = process, visits

    async def open(self) -> None:
        """Say what the figure shows; a page that is open elsewhere ends."""
        for older in self.visits:
            older.close(ELSEWHERE)
        self.visits[:] = [self]
        try:
            opening = await self.rooms.run(self.process.opening)
        except (OSError, ValueError) as error:
            opening = pack({"error": str(error)})
        self._tell(opening)

    async def on_message(self, message: str | bytes) -> None:
        """Answer one question; the next is looked at when this one is done."""
        if self.rooms.study.logins.is_over(self.login):
            self.close(LOGGED_OUT)
        elif isinstance(message, bytes):
            self.rooms.study.logins.seen(self.login)
            self._tell(await self.rooms.run(partial(self.process.ask, message)))

    def _tell(self, message: bytes) -> None:
        try:
            self.write_message(message, binary=True)
        except WebSocketClosedError:
            return

    def on_close(self) -> None:
        """The place is free."""
        if self in self.visits:
            self.visits.remove(self)


def network_pages(process: NetworkProcess) -> Afterwards:
    """The pages of a demonstration where the network is tried, answered by this process."""
    return Afterwards(
        routes=[
            (r"/network", NetworkPage),
            (r"/network/(network\.js|figure\.js|figure\.css)", NetworkFile),
            (r"/network/answers", NetworkSocket, {"process": process, "visits": []}),
        ],
        link={"href": "network", "text": "Try a denoising network yourself"},
    )


def serve_with_network(study: str | Path, **options: Any) -> None:
    """Serve a demonstration and its network until interrupted.

    Parameters
    ----------
    **options : of :func:`reader_study.room.server.serve`

    Raises
    ------
    ValueError
        As :func:`reader_study.room.server.serve`.
    """
    process = NetworkProcess()
    try:
        serve(study, afterwards=network_pages(process), **options)
    finally:
        process.close()

"""The reading room in one process: pages, images and a socket for each reader; no kernel, no code.

A reader's page gets the same panel and the same viewer as a notebook. Between them and the
:class:`~reader_study.room.session.ReadingSession` stands one socket, which carries what the
widgets say (:mod:`reader_study.room.page_models`); images are fetched by themselves, and never
held in memory here.
"""

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from tornado import web
from tornado.iostream import StreamClosedError
from tornado.websocket import WebSocketClosedError, WebSocketHandler

from reader_study.record.bundle import OVERLAY_FOLDER, PIXEL_FOLDER
from reader_study.room.pad import PadCode, PadPage, PadSocket, offered
from reader_study.room.page_models import PageRoom
from reader_study.room.pages import ELSEWHERE, FAILED, FULL, LOGGED_OUT, Page, Rooms
from reader_study.room.phone import pad_state
from reader_study.room.served_study import ServedStudy

_LOG = logging.getLogger(__name__)
_CHUNK = 1 << 18  # bytes of an image on their way at a time, for each reader
_LARGEST_MESSAGE = 200_000  # bytes; 200 marks and a long comment are a tenth of it
_PING_S = 15  # a page that is gone without a word has lost its place after twice this long


class NoPage(Page):
    """Any other address."""

    for_strangers = True

    async def prepare(self) -> None:
        """Nothing is here."""
        raise web.HTTPError(404)


class CodeForm(Page):
    """The login page. The code comes in the body of a POST, never in an address."""

    for_strangers = True

    def _page(self, problem: str = "") -> None:
        reader = self.reader.reader if self.reader else ""
        self.show(
            "login.html", texts=self.rooms.study.texts, problem=problem, reader=reader, room="/"
        )

    def get(self) -> None:
        """Show the form, also where a reader is logged in: the next one may sit here now."""
        self._page()

    async def post(self) -> None:
        """Log in with the code of the form."""
        logins = self.rooms.study.logins
        code = self.get_body_argument("code", default="")
        reader = await self.rooms.run(partial(logins.reader_of_code, code))
        if reader is None:
            # One answer for wrong, expired and withdrawn codes: nothing can be enumerated.
            slowed = await logins.wrong.slow_down(self.caller)
            self.set_status(401 if slowed else 429)
            self._page("login_wrong" if slowed else "login_slow")
            return
        self.rooms.end(self.login)  # whoever read in this browser before
        facts = json.dumps({"reader": reader.reader, "login": logins.new()})
        self.set_signed_cookie(
            self.cookie_name,
            facts,
            expires_days=None,
            httponly=True,
            samesite="Strict",
            secure=self.is_encrypted,
        )
        self.redirect("/")


class Logout(Page):
    """The way out: the login is over for good; ``?stay`` leaves the page as it is."""

    for_strangers = True

    def get(self) -> None:
        """Log out, and show the form to the next reader."""
        self.rooms.end(self.login)
        self.clear_cookie(self.cookie_name, httponly=True, samesite="Strict")
        if self.get_query_argument("stay", default=None) is None:
            self.redirect("/login")
        else:
            self.set_status(204)


class RoomPage(Page):
    """The page of a reader; everything on it comes through the socket."""

    shows_login = True

    def get(self) -> None:
        """Show it, unless all places are taken."""
        if self.rooms.is_full_for(self.reader.reader if self.reader else ""):
            raise web.HTTPError(503)
        self.show("room.html", title=self.rooms.study.bundle.facts["title"])


class Script(Page):
    """Scripts and style of the room."""

    def get(self, name: str) -> None:
        """One of them, asked for anew each time the room is opened."""
        kind = "text/css" if name.endswith(".css") else "text/javascript"
        self.set_header("Content-Type", f"{kind}; charset=utf-8")
        self.set_header("Cache-Control", "no-cache")
        self.finish(self.rooms.scripts[name])


class PhoneScript(Script):
    """Script of a telephone, which has no login."""

    for_strangers = True


class Images(Page):
    """Pixels of one trial, left and then right, if they are on the reader's screen or next."""

    async def get(self, token: str) -> None:
        """Send them as they lie on the disk: the size of an answer tells nothing of its content."""
        socket = self.rooms.open.get(self.reader.reader if self.reader else "")
        trial = socket.room.shown(token) if socket and socket.room else None
        if trial is None or socket is None or socket.login != self.login:
            raise web.HTTPError(404)
        folder = self.rooms.bundle.folder / PIXEL_FOLDER
        await self._send([folder / image for image in (trial.left, trial.right) if image])

    async def _send(self, paths: list[Path]) -> None:
        """The files, one after the other, as they lie on the disk."""
        self.set_header("Content-Type", "application/octet-stream")
        self.set_header("Content-Length", str(sum(path.stat().st_size for path in paths)))
        try:
            for path in paths:
                with path.open("rb") as file:
                    while chunk := file.read(_CHUNK):
                        self.write(chunk)
                        await self.flush()
        except StreamClosedError:
            return


class Overlays(Images):
    """The map over the images on the screen, once the answer without it is locked."""

    async def get(self, token: str) -> None:
        """Send it; to anybody else, and before, there is none."""
        socket = self.rooms.open.get(self.reader.reader if self.reader else "")
        room = socket.room if socket and socket.login == self.login else None
        overlay = await self.rooms.run(partial(room.overlay_of, token)) if room else None
        if overlay is None:
            raise web.HTTPError(404)
        await self._send([self.rooms.bundle.folder / OVERLAY_FOLDER / overlay])


class Socket(Page, WebSocketHandler):
    """What the widgets of a reader's page say, and what they are told."""

    room: PageRoom | None = None

    async def open(self) -> None:
        """A new visit; one that the same reader has open elsewhere ends."""
        reader, rooms = self.reader, self.rooms
        if reader is None or rooms.is_full_for(reader.reader):
            self.close(FULL)
            return
        if (older := rooms.open.get(reader.reader)) is not None:
            older.close(ELSEWHERE)
        rooms.open[reader.reader] = self
        rooms.study.logins.seen(self.login)
        try:
            room = await rooms.run(partial(rooms.session, reader))
            self.tell({"open": room.opening()})
            self.room = room
            self.rooms.pads.show(self._name, room.for_phone())
        except Exception as error:
            self._failed(error)

    async def on_message(self, message: str | bytes) -> None:
        """One thing the reader did; the next is looked at when this one is done."""
        if self.rooms.study.logins.is_over(self.login):
            self.close(LOGGED_OUT)
            return
        self.rooms.study.logins.seen(self.login)
        if self.room is None:
            return
        try:
            said = json.loads(message)
            if isinstance(said, dict) and said.get("say") == {"action": "pad"}:
                self.tell({"told": [["panel", {"pad": offered(self, self._name)}]]})
                return
            self.tell({"told": await self.rooms.run(partial(self.room.heard, said))})
            self.rooms.pads.show(self._name, self.room.for_phone())
        except Exception as error:
            self._failed(error)

    @property
    def _name(self) -> str:
        return self.reader.reader if self.reader else "?"

    def tell(self, what: dict[str, Any]) -> None:
        """Say something to the page, unless it is gone."""
        try:
            self.write_message(json.dumps(what))
        except WebSocketClosedError:
            return

    def _failed(self, error: Exception) -> None:
        """The page opens again, at the first open question; the server's log says why."""
        _LOG.error("room of %s: %s: %s", self._name, type(error).__name__, error)
        self.close(FAILED)

    def on_pong(self, data: bytes) -> None:  # noqa: ARG002 (as in Tornado)
        """The page is still there."""
        self.rooms.study.logins.seen(self.login)

    def on_close(self) -> None:
        """The place is free."""
        if self.rooms.open.get(self._name) is self:
            del self.rooms.open[self._name]
            self.rooms.pads.show(self._name, pad_state({}, self.rooms.study.texts))


@dataclass(frozen=True)
class Afterwards:
    """Pages that a demonstration has beside its room, and the link to them at the end.

    Attributes
    ----------
    routes : of Tornado, whose handlers are :class:`~reader_study.room.pages.Page`
    link : ``href`` and ``text``
    """

    routes: Sequence[tuple[Any, ...]]
    link: dict[str, str]


def application(study: ServedStudy, afterwards: Afterwards | None = None) -> web.Application:
    """The room's routes, and nothing else but what a demonstration adds."""
    return web.Application(
        [
            (r"/", RoomPage),
            (r"/login", CodeForm),
            (r"/logout", Logout),
            (r"/reading", Socket),
            (r"/images/([0-9a-f]{1,64})", Images),
            (r"/overlays/([0-9a-f]{1,64})", Overlays),
            (r"/(room\.js|viewer\.js|panel\.js|room\.css)", Script),
            (r"/(phone\.js)", PhoneScript),
            (r"/pad", PadPage),
            (r"/pad/([\w-]{10,40})", PadCode),
            (r"/pad-socket", PadSocket),
            *(afterwards.routes if afterwards else ()),
        ],
        default_handler_class=NoPage,
        rooms=Rooms(study, afterwards.link if afterwards else None),
        cookie_secret=study.cookie_secret,
        xsrf_cookies=True,
        xsrf_cookie_kwargs={"httponly": True, "samesite": "Strict"},
        log_function=_log_failure,
        websocket_ping_interval=_PING_S,
        websocket_ping_timeout=_PING_S,
        websocket_max_message_size=_LARGEST_MESSAGE,
    )


def _log_failure(handler: web.RequestHandler) -> None:
    """Server errors alone, and the path alone: somebody may have put a code into an address."""
    if handler.get_status() >= 500 and handler.get_status() != 503:
        _LOG.error("%d %s %s", handler.get_status(), handler.request.method, handler.request.path)

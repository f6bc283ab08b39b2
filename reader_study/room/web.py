"""The reading room in one process: pages, images and a socket for each reader; no kernel, no code.

A reader's page gets the same panel and the same viewer as a notebook. Between them and the
:class:`~reader_study.room.session.ReadingSession` stands one socket, which carries what the
widgets say (:mod:`reader_study.room.page_models`); images are fetched by themselves, and never
held in memory here.
"""

import asyncio
import json
import logging
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import jinja2
from tornado import web
from tornado.iostream import StreamClosedError
from tornado.websocket import WebSocketClosedError, WebSocketHandler

from ctlab.view.compare import CompareViewer
from reader_study.record.bundle import PIXEL_FOLDER
from reader_study.record.store import Reader
from reader_study.room.login import LONGEST_LOGIN_DAYS, caller_of
from reader_study.room.page_models import PageRoom, PixelFreeBundle
from reader_study.room.served_study import ServedStudy
from reader_study.room.session import ReadingSession
from reader_study.room.widget import Panel, keep_anchor

_LOG = logging.getLogger(__name__)
_ROOM = Path(__file__).parent
_THREADS = 8  # for the database: a commit that waits for the disk holds nobody else up
_CHUNK = 1 << 18  # bytes of an image on their way at a time, for each reader
_LARGEST_MESSAGE = 200_000  # bytes; 200 marks and a long comment are a tenth of it
_PING_S = 15  # a page that is gone without a word has lost its place after twice this long

ELSEWHERE, LOGGED_OUT, FULL, FAILED = 4001, 4002, 4003, 4004
"""Why a socket was closed; ``room.js`` knows them too."""

# Everything comes from this server, and no script but its files runs.
_POLICY = (
    "default-src 'none'; script-src 'self'; worker-src 'self' blob:; style-src 'self' "
    "'unsafe-inline'; img-src 'self' data: blob:; connect-src 'self'{sockets}; "
    "frame-ancestors 'none'; form-action 'self'; base-uri 'none'"
)
_T = TypeVar("_T")


class Rooms:
    """The rooms of a study: who is in, and how many may be."""

    def __init__(self, study: ServedStudy) -> None:
        self.study = study
        bundle = study.bundle
        self.bundle = PixelFreeBundle(bundle.folder, bundle.facts, bundle.sha256)
        self.open: dict[str, Socket] = {}
        self._threads = ThreadPoolExecutor(_THREADS, "room")
        self.scripts = {
            "room.js": (_ROOM / "room.js").read_text("utf-8"),
            "viewer.js": str(CompareViewer._esm),
            "panel.js": str(Panel._esm),
            "room.css": f"{CompareViewer._css}\n{Panel._css}",
        }
        self.pages = jinja2.Environment(
            loader=jinja2.FileSystemLoader(_ROOM / "template"), autoescape=True
        )
        self.pages.globals["room_texts"] = study.texts

    async def run(self, work: Callable[[], _T]) -> _T:
        """Result of ``work``, which waits for the database, away from the loop."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    def is_full_for(self, reader: str) -> bool:
        """Whether all places are taken by others; who comes again takes the own place."""
        return len(self.open.keys() - {reader}) >= self.study.places

    def end(self, login: str) -> None:
        """End a login, if there is one, and the room that it has open."""
        if login:
            self.study.logins.end(login)
        for socket in list(self.open.values()):
            if login and socket.login == login:
                socket.close(LOGGED_OUT)

    def session(self, reader: Reader) -> PageRoom:
        """A new visit of a reader."""
        study = self.study
        anchor = partial(keep_anchor, study.folder)
        session = ReadingSession(self.bundle, study.store, reader, on_anchor=anchor)
        return PageRoom(self.bundle, session, logout="logout")


class Page(web.RequestHandler):
    """A page of the room, and who asks for it; by default one for readers alone."""

    for_strangers = False
    reader: Reader | None = None
    login = ""

    @property
    def rooms(self) -> Rooms:
        """All rooms of the study."""
        return self.settings["rooms"]  # type: ignore[no-any-return]

    def set_default_headers(self) -> None:
        """What every answer says."""
        host = self.request.host if re.fullmatch(r"[\w.:\[\]-]+", self.request.host) else ""
        sockets = f" ws://{host} wss://{host}" if host else ""  # older browsers: not in 'self'
        self.clear_header("Server")
        self.set_header("Content-Security-Policy", _POLICY.format(sockets=sockets))
        self.set_header("Referrer-Policy", "same-origin")
        self.set_header("X-Content-Type-Options", "nosniff")
        self.set_header("Cross-Origin-Opener-Policy", "same-origin")
        self.set_header("Cross-Origin-Resource-Policy", "same-origin")
        self.set_header("Cache-Control", "no-store")

    async def prepare(self) -> None:
        """Find out who asks; strangers see the form, whatever they asked for."""
        await self._recognise()
        if self.reader is None and not self.for_strangers:
            if type(self) is RoomPage:
                self.redirect("/login?next=%2F")
            else:
                raise web.HTTPError(403)

    async def _recognise(self) -> None:
        """Reader of the signed cookie, unless that login is over or the reader has left."""
        cookie = self.get_signed_cookie(self.cookie_name, max_age_days=LONGEST_LOGIN_DAYS)
        if not cookie:
            return
        facts, logins = json.loads(cookie), self.rooms.study.logins
        if not logins.is_over(facts["login"]):
            self.login = facts["login"]
            self.reader = await self.rooms.run(partial(logins.active_reader, facts["reader"]))

    @property
    def cookie_name(self) -> str:
        """Cookies are not parted by ports; studies on one computer are."""
        return "username-" + re.sub(r"\W", "-", self.request.host)

    @property
    def caller(self) -> str:
        """Address of whoever asks."""
        forwarded = self.request.headers.get("X-Forwarded-For", "")
        return caller_of(self._peer, forwarded, self.rooms.study.logins.proxies)

    @property
    def _peer(self) -> str:
        return self.request.remote_ip or ""

    @property
    def is_encrypted(self) -> bool:
        """Whether the browser speaks TLS, with us or with a proxy that was named."""
        named = self._peer in self.rooms.study.logins.proxies
        said = self.request.headers.get("X-Forwarded-Proto", "") if named else ""
        return self.request.protocol == "https" or said == "https"

    def show(self, template: str, **facts: Any) -> None:
        """Finish with a page."""
        page = self.rooms.pages.get_template(template)
        self.finish(page.render(base_url="/", xsrf_form_html=self.xsrf_form_html, **facts))

    def write_error(self, status_code: int, **_: Any) -> None:
        """A page in the reader's language."""
        self.show("error.html", status_code=status_code)

    def log_exception(self, kind: Any, error: Any, trace: Any) -> None:
        """What strangers cause is one line at most, and never holds what they sent."""
        if isinstance(error, web.HTTPError):
            return
        told = (kind, error, trace) if self.reader else None
        request = self.request
        _LOG.error("%s %s: %s", request.method, request.path, kind.__name__, exc_info=told)


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
            slowed = await logins.slow_down(self.caller)
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


class Images(Page):
    """Pixels of one trial, left and then right, if they are on the reader's screen or next."""

    async def get(self, token: str) -> None:
        """Send them as they lie on the disk: the size of an answer tells nothing of its content."""
        socket = self.rooms.open.get(self.reader.reader if self.reader else "")
        trial = socket.room.shown(token) if socket and socket.room else None
        if trial is None or socket is None or socket.login != self.login:
            raise web.HTTPError(404)
        folder = self.rooms.bundle.folder / PIXEL_FOLDER
        paths = [folder / image for image in (trial.left, trial.right) if image]
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
            self._tell({"open": room.opening()})
            self.room = room
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
            told = await self.rooms.run(partial(self.room.heard, json.loads(message)))
            self._tell({"told": told})
        except Exception as error:
            self._failed(error)

    def _tell(self, what: dict[str, Any]) -> None:
        try:
            self.write_message(json.dumps(what))
        except WebSocketClosedError:
            return

    def _failed(self, error: Exception) -> None:
        """The page opens again, at the first open question; the server's log says why."""
        name = self.reader.reader if self.reader else "?"
        _LOG.error("room of %s: %s: %s", name, type(error).__name__, error)
        self.close(FAILED)

    def on_pong(self, data: bytes) -> None:  # noqa: ARG002 (as in Tornado)
        """The page is still there."""
        self.rooms.study.logins.seen(self.login)

    def on_close(self) -> None:
        """The place is free."""
        name = self.reader.reader if self.reader else ""
        if self.rooms.open.get(name) is self:
            del self.rooms.open[name]


def application(study: ServedStudy) -> web.Application:
    """The room's routes, and nothing else."""
    return web.Application(
        [
            (r"/", RoomPage),
            (r"/login", CodeForm),
            (r"/logout", Logout),
            (r"/reading", Socket),
            (r"/images/([0-9a-f]{1,64})", Images),
            (r"/(room\.js|viewer\.js|panel\.js|room\.css)", Script),
        ],
        default_handler_class=NoPage,
        rooms=Rooms(study),
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

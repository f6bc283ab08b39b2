"""What every page of the room says and knows: headers, who asks, and the rooms that are open."""

import asyncio
import json
import logging
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, Protocol, TypeVar

import jinja2
from tornado import web

from reader_study.record.store import Reader
from reader_study.room.login import LONGEST_LOGIN_DAYS, caller_of
from reader_study.room.page_models import PageRoom, PixelFreeBundle
from reader_study.room.phone import Pads
from reader_study.room.served_study import ServedStudy
from reader_study.room.session import ReadingSession
from reader_study.room.widget import OverlayViewer, Panel, keep_anchor

_LOG = logging.getLogger(__name__)
_ROOM = Path(__file__).parent
_THREADS = 8  # for the database: a commit that waits for the disk holds nobody else up

ELSEWHERE, LOGGED_OUT, FULL, FAILED = 4001, 4002, 4003, 4004
"""Why a socket was closed; ``room.js`` and ``phone.js`` know them too."""

# Everything comes from this server, and no script but its files runs; 'wasm-unsafe-eval' lets the
# viewer's WebAssembly run (ctlab/view/resample.wat), and no text as a script.
_POLICY = (
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self' blob:; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; connect-src 'self'{sockets}; "
    "frame-ancestors 'none'; form-action 'self'; base-uri 'none'"
)
_T = TypeVar("_T")


class Visit(Protocol):
    """Socket of a reader's page, as the other pages see it."""

    login: str
    room: PageRoom | None

    def close(self, code: int | None = None, reason: str | None = None) -> None:
        """Hang up."""

    def tell(self, what: dict[str, Any]) -> None:
        """Say something to the page."""


class SafePage(web.RequestHandler):
    """A page with the headers that every answer carries."""

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

    def named_cookie(self, kind: str) -> str:
        """Name of a cookie: cookies are not parted by ports; studies on one computer are."""
        return f"{kind}-" + re.sub(r"\W", "-", self.request.host)


class Rooms:
    """The rooms of a study: who is in, and how many may be."""

    def __init__(self, study: ServedStudy, afterwards: dict[str, str] | None = None) -> None:
        self.study = study
        self.afterwards = afterwards
        bundle = study.bundle
        self.bundle = PixelFreeBundle(bundle.folder, bundle.facts, bundle.sha256)
        self.open: dict[str, Visit] = {}
        self.pads = Pads()
        self._threads = ThreadPoolExecutor(_THREADS, "room")
        self.scripts = {
            "room.js": (_ROOM / "room.js").read_text("utf-8"),
            "viewer.js": str(OverlayViewer._esm),
            "panel.js": str(Panel._esm),
            "phone.js": (_ROOM / "phone.js").read_text("utf-8"),
            "room.css": f"{OverlayViewer._css}\n{Panel._css}",
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
        self.pads.end(login)

    def session(self, reader: Reader) -> PageRoom:
        """A new visit of a reader."""
        study = self.study
        anchor = partial(keep_anchor, study.folder)
        session = ReadingSession(self.bundle, study.store, reader, on_anchor=anchor)
        return PageRoom(self.bundle, session, logout="logout", afterwards=self.afterwards)


class Page(SafePage):
    """A page of the room, and who asks for it; by default one for readers alone."""

    for_strangers = False
    shows_login = False  # to strangers; other pages refuse
    reader: Reader | None = None
    login = ""

    @property
    def rooms(self) -> Rooms:
        """All rooms of the study."""
        return self.settings["rooms"]  # type: ignore[no-any-return]

    async def prepare(self) -> None:
        """Find out who asks; strangers see the form, whatever they asked for."""
        await self._recognise()
        if self.reader is None and not self.for_strangers:
            if self.shows_login:
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
        """Name of the cookie of a login."""
        return self.named_cookie("username")

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

"""``reader-study lecture``: the projector and the telephones of one lesson, in one process.

State is pushed through sockets; images are fetched by the hash of what they hold, and those of the
next slide while the present one is open. Nothing is written to a disk.
"""

import io
import json
import logging
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
from tornado import web
from tornado.ioloop import IOLoop
from tornado.websocket import WebSocketClosedError, WebSocketHandler

from ctlab.files import spreadsheet_safe
from reader_study.lecture.hall import Hall
from reader_study.lecture.lesson import Lesson
from reader_study.lecture.slides import Slide
from reader_study.room.pages import SafePage
from reader_study.room.phone import LONGEST_MESSAGE, OVER, heard, qr_of

_LOG = logging.getLogger(__name__)
_PING_S = 15


class HallPage(SafePage):
    """A page of the lecture."""

    @property
    def hall(self) -> Hall:
        """The lesson with all who are in it."""
        return self.settings["hall"]  # type: ignore[no-any-return]

    @property
    def device(self) -> str:
        """Device of the signed cookie, while the lesson knows it."""
        name = (self.get_signed_cookie(self.named_cookie("device")) or b"").decode()
        return name if name in self.hall.lesson.devices else ""

    @property
    def is_teacher(self) -> bool:
        """Whether this browser came by the teacher's address."""
        kept = (self.get_signed_cookie(self.named_cookie("teacher")) or b"").decode()
        return secrets.compare_digest(kept, self.hall.secret)

    def keep(self, kind: str, value: str) -> None:
        """Set a cookie that ends with the browser."""
        secure = self.request.protocol == "https"
        options: dict[str, Any] = {"httponly": True, "samesite": "Lax", "secure": secure}
        self.set_signed_cookie(self.named_cookie(kind), value, expires_days=None, **options)

    def only_teacher(self) -> None:
        """Refuse everybody else."""
        if not self.is_teacher:
            raise web.HTTPError(403)

    def show(self, template: str, **facts: Any) -> None:
        """Finish with a page."""
        self.finish(self.hall.pages.get_template(template).render(base_url="/", **facts))

    def write_error(self, status_code: int, **_: Any) -> None:
        """One sentence."""
        self.finish(self.hall.words["failed" if status_code >= 500 else "no_page"])

    def log_exception(self, kind: Any, error: Any, trace: Any) -> None:
        """Faults of ours alone, and never what somebody sent."""
        if not isinstance(error, web.HTTPError):
            _LOG.error("%s: %s", self.request.path, kind.__name__, exc_info=(kind, error, trace))


class NoPage(HallPage):
    """Any other address."""

    def prepare(self) -> None:
        """Nothing is here."""
        raise web.HTTPError(404)


class AnswerSheet(HallPage):
    """The page of a telephone, or the form for the code."""

    def get(self) -> None:
        """Show it."""
        if not self.device:
            self.show("join.html", problem=False)
            return
        words = self.hall.words
        over = words["lecture_ended"]
        self.show("phone.html", title=self.hall.title, socket="answers", gone="", over=over)


class Join(HallPage):
    """The code of the lesson lets a device in; it is no secret."""

    async def get(self, code: str = "") -> None:
        """A name for the device, unless it has one."""
        code = (code or self.get_query_argument("code", "")).strip().upper()
        lesson = self.hall.lesson
        if not lesson.code or code != lesson.code:
            slowed = await self.hall.wrong.slow_down("lesson")  # a hall is behind one address
            self.set_status(401 if slowed else 429)
            self.show("join.html", problem=True)
            return
        if not self.device:
            device = lesson.join(kept=self.hall.phones)
            if device is None:
                raise web.HTTPError(503)
            self.keep("device", device)
            self.hall.tell_projectors()
        self.redirect("/")


class Phone(HallPage, WebSocketHandler):
    """A telephone of the class."""

    name = ""

    def open(self) -> None:
        """Show where the lesson is; the same device elsewhere is out."""
        self.name = self.device
        if not self.name:
            self.close(OVER)
            return
        if (older := self.hall.phones.get(self.name)) is not None:
            older.close(OVER)
        self.hall.phones[self.name] = self
        self.tell(self.hall.phone_state(self.name))
        self.hall.tell_projectors()

    def tell(self, state: dict[str, Any]) -> None:
        """Tell the telephone, unless it is gone."""
        try:
            self.write_message(json.dumps(state))
        except WebSocketClosedError:
            return

    def on_message(self, message: str | bytes) -> None:
        """Keep an answer, and say how things stand."""
        try:
            if len(message) > LONGEST_MESSAGE:
                raise ValueError("a message is too long")
            said = heard(message)
        except ValueError:
            self.close(OVER)
            return
        if self.hall.lesson.answer(self.name, said["id"], said.get("value")):
            self.hall.tell_projectors()
        self.tell(self.hall.phone_state(self.name))

    def on_close(self) -> None:
        """The telephone sleeps; its answers stay."""
        if self.hall.phones.get(self.name) is self:
            del self.hall.phones[self.name]
            self.hall.tell_projectors()


class Crop(HallPage):
    """An image for telephones, named by what it holds."""

    def get(self, name: str) -> None:
        """Send it; it never changes."""
        png = self.hall.crops.get(name)
        if png is None or not (self.device or self.is_teacher):
            raise web.HTTPError(404)
        self.set_header("Content-Type", "image/png")
        self.set_header("Cache-Control", "private, max-age=14400, immutable")
        self.finish(png)


class Script(HallPage):
    """Scripts and style."""

    def get(self, name: str) -> None:
        """One of them."""
        kind = "text/css" if name.endswith(".css") else "text/javascript"
        self.set_header("Content-Type", f"{kind}; charset=utf-8")
        self.finish(self.hall.scripts[name])


class TeacherDoor(HallPage):
    """The teacher's own address, as the terminal printed it."""

    def get(self, secret: str) -> None:
        """Let the teacher in."""
        if not secrets.compare_digest(secret.encode(), self.hall.secret.encode()):
            raise web.HTTPError(404)
        self.keep("teacher", secret)
        self.redirect("/teacher")


class TeacherPage(HallPage):
    """The page for the projector."""

    def get(self) -> None:
        """Show it."""
        self.only_teacher()
        self.show("teacher.html", title=self.hall.title)


class TeacherImages(HallPage):
    """Pixels of the slide on the projector, left and then right."""

    def get(self) -> None:
        """Send them as the viewer reads them."""
        self.only_teacher()
        images = [hu for hu in self.hall.lesson.slide.images() if hu is not None]
        self.set_header("Content-Type", "application/octet-stream")
        for hu in images:
            self.write(hu.round().astype("<i2").tobytes())


class Export(HallPage):
    """Every answer as a table, because the teacher asks for it; nothing else ever leaves."""

    def get(self) -> None:
        """Send it as a file."""
        self.only_teacher()
        out = io.StringIO()
        rows = pd.DataFrame(self.hall.lesson.rows())
        rows.map(spreadsheet_safe).to_csv(out, index=False)
        self.set_header("Content-Type", "text/csv; charset=utf-8")
        self.set_header("Content-Disposition", 'attachment; filename="teaching-answers.csv"')
        self.finish(out.getvalue())


class Projector(HallPage, WebSocketHandler):
    """The teacher's page: what it shows, and what is pressed there."""

    slide = -1

    def prepare(self) -> None:
        """For the teacher alone."""
        self.only_teacher()

    def open(self) -> None:
        """Show where the lesson is."""
        hall = self.hall
        hall.projectors.add(self)
        words = {k: v for k, v in hall.words.items() if k.startswith("lecture_")}
        joining = f"{hall.address}j/{hall.lesson.code}"
        first = {"words": words, "address": hall.address, "code": hall.lesson.code}
        self.tell({**first, "qr": qr_of(joining), **hall.projector_state()})

    def tell(self, state: dict[str, Any]) -> None:
        """Tell the page, with the viewer's traits where the slide is another."""
        if self.slide != state["index"]:
            self.slide = state["index"]
            state = {**state, "view": self.hall.viewer_state()}
        try:
            self.write_message(json.dumps(state))
        except WebSocketClosedError:
            return

    def on_message(self, message: str | bytes) -> None:
        """Carry out what the teacher pressed."""
        said, hall = json.loads(message), self.hall
        lesson = hall.lesson
        acts: dict[str, Callable[[], None]] = {
            "begin": lesson.begin,
            "open": lambda: hall.open_slide(float(said.get("seconds", 30))),
            "close": lesson.close,
            "key": lesson.open_key,
            "next": lambda: lesson.go(1),
            "back": lambda: lesson.go(-1),
            "end": hall.end,
        }
        acts[said["do"]]()
        hall.tell_class()

    def on_close(self) -> None:
        """Gone."""
        self.hall.projectors.discard(self)


def application(hall: Hall) -> web.Application:
    """The routes of a lecture, and nothing else."""
    return web.Application(
        [
            (r"/", AnswerSheet),
            (r"/j(?:/(\w{1,20}))?", Join),
            (r"/answers", Phone),
            (r"/crop/([0-9a-f]{64})\.png", Crop),
            (r"/(phone\.js|viewer\.js|teacher\.js|teacher\.css)", Script),
            (r"/teacher", TeacherPage),
            (r"/teacher/socket", Projector),
            (r"/teacher/images", TeacherImages),
            (r"/teacher/export", Export),
            (r"/teacher/([A-Za-z0-9_-]{22})", TeacherDoor),
        ],
        default_handler_class=NoPage,
        hall=hall,
        cookie_secret=secrets.token_bytes(32),
        log_function=lambda _handler: None,
        websocket_ping_interval=_PING_S,
        websocket_ping_timeout=_PING_S,
        websocket_max_message_size=100_000,
    )


def give_lecture(
    slides: list[Slide],
    words: dict[str, Any],
    *,
    title: str,
    host: str,
    port: int,
    cert: Path | None = None,
    key: Path | None = None,
    address: str = "",
    places: int = 500,
    ready: Callable[[str, str], None] = lambda _teacher, _class: None,
) -> None:
    """Hold a lesson until the teacher ends it, or Ctrl-C.

    Parameters
    ----------
    address : under which telephones reach this computer; found out where it is not given
    ready : called with the teacher's address and that of the class

    Raises
    ------
    ValueError
        The port is taken, or the certificate cannot be used.
    """
    from reader_study.room.listen import listen, network_address, tls_context

    context = tls_context(cert, key)
    loop = IOLoop.current()
    secret = secrets.token_urlsafe(16)
    hall = Hall(Lesson(slides, places=places), words, title=title, secret=secret, stop=loop.stop)

    async def start() -> None:
        bound = listen(application(hall), host, port, context)
        scheme, _, rest = bound.partition("://")
        anywhere = host in {"", "0.0.0.0", "::"}
        name = address or (network_address() if anywhere else rest.rpartition(":")[0])
        hall.address = f"{scheme}://{name}:{rest.rpartition(':')[2]}"
        ready(f"{hall.address}teacher/{secret}", hall.address)

    loop.add_callback(start)
    try:
        loop.start()
    except KeyboardInterrupt:
        return
    finally:
        hall.lesson.end()

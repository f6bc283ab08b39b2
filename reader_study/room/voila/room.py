"""The reading room behind Voila: a kernel for each reader, as in a notebook, and the code form."""

import json
import logging
import socket
import ssl
from collections.abc import Callable
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import nbformat
from jupyter_server.auth.decorator import allow_unauthenticated
from jupyter_server.base.handlers import JupyterHandler
from jupyter_server.services.kernels.kernelmanager import AsyncMappingKernelManager
from tornado import web
from tornado.ioloop import IOLoop
from traitlets.config import Config
from voila.app import Voila

from reader_study.room.listen import listen
from reader_study.room.served_study import ServedStudy
from reader_study.room.voila.login import CodeIdentityProvider, OwnKernelOnly

_LOG = logging.getLogger(__name__)
_ROOM = Path(__file__).parents[1]
_GIVEN_BACK_S = 40  # the place of a kernel that no page is connected to, looked for every
_LOOKED_FOR_S = 10
_UNTIL_RESTARTED_S = 30  # a kernel cannot be shut down while it starts

# Everything comes from this server: a page that asks elsewhere is refused by the browser.
_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; script-src 'self' 'unsafe-inline' "
    "'unsafe-eval' blob:; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
    "font-src 'self' data:; connect-src 'self' ws: wss:; frame-ancestors 'none'; "
    "form-action 'self'; base-uri 'self'",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}
_PAGE_TEXTS = ("language", "opening", "opening_slow", "lost", "not_opened", "elsewhere")
_SLOWEST_OUTPUT_S = 300  # of a kernel; a busy machine takes its time, and nothing may be dropped
_coming: ContextVar[str] = ContextVar("reader whose kernel is about to start")


class RoomKernels(AsyncMappingKernelManager):
    """Kernels with owners, one for each reader, and a limit on how many run."""

    places = 40

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)  # type: ignore[no-untyped-call]  # Jupyter
        self.owners: dict[str, str] = {}
        self.left: dict[str, str] = {}  # kernels that were closed by a later one of their reader

    async def start_kernel(self, *args: Any, **kwargs: Any) -> str:  # type: ignore[override]  # its keywords differ
        """Kernel of the reader who is coming in."""
        reader = _coming.get()
        older = [k for k, owner in self.owners.items() if owner == reader and k in self]
        if len(self.list_kernel_ids()) - len(older) >= self.places:
            raise web.HTTPError(503, reason="All places are taken")
        for kernel_id in older:
            self.left[kernel_id] = self.owners.pop(kernel_id)
            await self.shutdown_kernel(kernel_id, now=True)  # type: ignore[no-untyped-call]  # Jupyter
        kernel_id = await super().start_kernel(*args, **kwargs)
        self.owners[kernel_id] = reader

        def died() -> None:
            # Jupyter starts a dead kernel again, empty. Without an owner it refuses the page,
            # which opens anew, and the reader goes on at the first open question.
            self.owners.pop(kernel_id, None)
            IOLoop.current().call_later(_UNTIL_RESTARTED_S, self.shutdown_kernel, kernel_id)

        self.get_kernel(kernel_id).add_restart_callback(died, "restart")
        return kernel_id


class Place(JupyterHandler):
    """Whether the kernel of a page runs: ``open``, ``gone``, or closed for one ``elsewhere``."""

    @allow_unauthenticated
    def get(self, kernel_id: str) -> None:
        """Say it, to the kernel's reader alone."""
        kernels: Any = self.kernel_manager
        if self.current_user is None:
            raise web.HTTPError(403)
        reader = self.current_user.username
        state = "open" if kernels.owners.get(kernel_id) == reader else "gone"
        state = "elsewhere" if kernels.left.get(kernel_id) == reader else state
        state = state if state != "open" or kernel_id in kernels else "gone"
        self.set_header("Cache-Control", "no-store")
        self.finish(json.dumps(state))


class ReadingRoom(Voila):  # type: ignore[misc]  # Voila has no types
    """Voila that serves one study to readers with a code."""

    template_paths: Any
    static_paths: Any
    port: Any

    def __init__(self, study: ServedStudy, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.study, self.logins, self.texts = study, study.logins, study.texts
        self.title = study.bundle.facts["title"]
        self.tls: ssl.SSLContext | None = None
        self.ready: Callable[[str], None] = lambda _url: None

    def setup_template_dirs(self) -> None:
        """Put our own page before Voila's."""
        super().setup_template_dirs()
        self.template_paths = [str(_ROOM / "template"), *self.template_paths]
        self.static_paths = [str(_ROOM / "static"), *self.static_paths]
        self.voila_configuration.prelaunch_hook = self._prepare_room
        self.voila_configuration.page_config_hook = _offline_page

    def _prepare_room(self, handler: Any, *, notebook: Any, **_: Any) -> Any:
        """The one cell that opens the room of the logged-in reader; readers never see it."""
        reader = handler.current_user.username
        _coming.set(reader)
        code = (
            "from reader_study.room.widget import serve_room\n"
            f"serve_room({str(self.study.folder)!r}, {reader!r}, {self.base_url + 'logout'!r})"
        )
        notebook.cells = [nbformat.v4.new_code_cell(code)]  # type: ignore[no-untyped-call]
        notebook.metadata["title"] = self.title
        notebook.metadata["room_texts"] = {n: self.texts[n] for n in _PAGE_TEXTS}
        return notebook

    def init_settings(self) -> dict[str, Any]:
        """Voila's settings with our pages for login and errors."""
        settings: dict[str, Any] = super().init_settings()
        own = settings["voila_jinja2_env"]
        settings["jinja2_env"] = own  # login and error pages are ours as well
        own.globals["room_texts"] = self.texts
        return settings

    def init_handlers(self) -> list[Any]:
        """Voila's routes without those that hand out files or list folders."""
        unwanted = ("/voila/files/", "/voila/api/contents", "/voila/tree", "/voila/query")
        routes = [h for h in super().init_handlers() if not any(u in h[0] for u in unwanted)]
        room = f"{self.server_url}(.*)"
        # The last route would take any address and redirect it to the files left out above.
        place = (rf"{self.server_url}place/([0-9a-f-]{{36}})", Place)
        return [place, *((self.server_url, *h[1:]) if h[0] == room else h for h in routes)]

    def listen(self) -> None:
        """Bind to exactly the port asked for and say where the room is."""
        self.ready(listen(self.app, self.ip, self.port, self.tls))
        self.ioloop = IOLoop.current()
        try:
            self.ioloop.start()
        except KeyboardInterrupt:
            self.log.info("Stopping")
        finally:
            self.stop()


def _offline_page(page_config: dict[str, Any], *, base_url: str, **_: Any) -> dict[str, Any]:
    """Page settings without the addresses of content delivery networks."""
    nothing = f"{base_url}voila/static/no-formulas.js"
    return {**page_config, "fullMathjaxUrl": nothing, "mathjaxConfig": "none"}


def _log_failure(handler: web.RequestHandler) -> None:
    """Server errors alone, and the path alone: somebody may have put a code into an address."""
    if handler.get_status() >= 500:
        _LOG.error("%d %s %s", handler.get_status(), handler.request.method, handler.request.path)


def _config() -> Config:
    config = Config()
    config.VoilaConfiguration.template = "lab"
    config.VoilaConfiguration.strip_sources = True
    config.VoilaConfiguration.show_tracebacks = False
    config.VoilaConfiguration.file_allowlist = []
    config.VoilaConfiguration.theme = "dark"
    config.VoilaConfiguration.allow_template_override = "NO"
    config.VoilaConfiguration.allow_theme_override = "NO"
    config.VoilaConfiguration.extension_allowlist = [
        "anywidget",
        "@jupyter-widgets/jupyterlab-manager",
        "@voila-dashboards/widgets-manager8",
    ]
    config.VoilaExecutor.iopub_timeout = config.VoilaExecutor.startup_timeout = _SLOWEST_OUTPUT_S
    config.VoilaExecutor.raise_on_iopub_timeout = True
    config.VoilaConfiguration.multi_kernel_manager_class = RoomKernels
    config.RoomKernels.cull_idle_timeout = _GIVEN_BACK_S
    config.RoomKernels.cull_interval = _LOOKED_FOR_S
    # A stack of images is larger than the rate at which a notebook may print.
    config.ZMQChannelsWebsocketConnection.limit_rate = False
    if hasattr(socket, "AF_UNIX"):
        config.KernelManager.transport = "ipc"  # other users of this computer cannot listen
    return config


def reading_room(study: ServedStudy, *, host: str, port: int) -> ReadingRoom:
    """The room of a study, with its routes, before it listens."""
    RoomKernels.places = study.places
    room = ReadingRoom(
        study,
        config=_config(),
        ip=host,
        port=port,
        open_browser=False,
        config_file_paths=[],
        identity_provider_class=CodeIdentityProvider,
        authorizer_class=OwnKernelOnly,
        cookie_secret=study.cookie_secret,
        tornado_settings={"headers": _HEADERS, "log_function": _log_failure},
        log_level="WARN",
    )
    room.initialize([str(_ROOM / "room.ipynb")])
    return room


def run_voila(
    study: ServedStudy,
    *,
    host: str,
    port: int,
    tls: ssl.SSLContext | None,
    ready: Callable[[str], None],
) -> None:
    """Serve a study with a kernel for each reader, until interrupted."""
    room = reading_room(study, host=host, port=port)
    room.tls, room.ready = tls, ready
    room.start()

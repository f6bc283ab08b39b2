"""The served reading room: Voila behind the code form, our own page, no outside network."""

import logging
import secrets
import socket
import ssl
import threading
import webbrowser
from collections.abc import Callable, Collection
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import nbformat
from jupyter_server.services.kernels.kernelmanager import AsyncMappingKernelManager
from tornado import netutil, web
from tornado.httpserver import HTTPServer
from tornado.ioloop import IOLoop
from traitlets.config import Config
from voila.app import Voila

from reader_study.design.texts import load_texts
from reader_study.record.bundle import open_bundle
from reader_study.record.paths import bundle_folder, database_url
from reader_study.record.store import Store
from reader_study.room.login import CodeIdentityProvider, OwnKernelOnly

_LOG = logging.getLogger(__name__)
_ROOM = Path(__file__).parent
MOST_ROOMS = 40  # kernels at a time, each about 150 MB
_KEPT_OPEN_S = 2 * 3600
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
_PAGE_TEXTS = ("language", "opening", "opening_slow", "lost", "not_opened")
_LARGEST_BODY = 1_000_000  # bytes; a form holds a code, answers come through the socket
_SLOWEST_BODY_S = 20
_IDLE_CONNECTION_S = 120
_SLOWEST_OUTPUT_S = 300  # of a kernel; a busy machine takes its time, and nothing may be dropped
_coming: ContextVar[str] = ContextVar("reader whose kernel is about to start")


class RoomKernels(AsyncMappingKernelManager):
    """Kernels with owners, and a limit on how many run."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)  # type: ignore[no-untyped-call]  # Jupyter
        self.owners: dict[str, str] = {}

    async def start_kernel(self, *args: Any, **kwargs: Any) -> str:  # type: ignore[override]  # its keywords differ
        """Kernel of the reader who is coming in."""
        if len(self.list_kernel_ids()) >= MOST_ROOMS:
            raise web.HTTPError(503, reason="All places are taken")
        kernel_id = await super().start_kernel(*args, **kwargs)
        self.owners[kernel_id] = _coming.get()

        def died() -> None:
            # Jupyter starts a dead kernel again, empty. Without an owner it refuses the page,
            # which opens anew, and the reader goes on at the first open question.
            self.owners.pop(kernel_id, None)
            IOLoop.current().call_later(_UNTIL_RESTARTED_S, self.shutdown_kernel, kernel_id)

        self.get_kernel(kernel_id).add_restart_callback(died, "restart")
        return kernel_id


class ReadingRoom(Voila):  # type: ignore[misc]  # Voila has no types
    """Voila that serves one study to readers with a code."""

    template_paths: Any
    static_paths: Any
    port: Any

    def __init__(self, study: Path, *, proxies: Collection[str] = (), **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.study, self.proxies = study, proxies
        bundle = open_bundle(bundle_folder(study))
        self.store = Store(database_url(study))
        self.store.check(bundle.study_id)
        self.texts = load_texts(bundle.facts["language"])
        self.title = bundle.facts["title"]
        self.ssl_options: ssl.SSLContext | None = None
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
            f"serve_room({str(self.study)!r}, {reader!r}, {self.base_url + 'logout'!r})"
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
        return [(self.server_url, *h[1:]) if h[0] == room else h for h in routes]

    def listen(self) -> None:
        """Bind to exactly the port asked for and say where the room is."""
        try:
            sockets = netutil.bind_sockets(self.port, self.ip)
        except OSError as error:
            raise ValueError(
                f"port {self.port} on {self.ip} cannot be used ({error.strerror}); pass --port "
                "with another number"
            ) from None
        HTTPServer(
            self.app,
            ssl_options=self.ssl_options,
            max_body_size=_LARGEST_BODY,
            max_buffer_size=2 * _LARGEST_BODY,
            body_timeout=_SLOWEST_BODY_S,
            idle_connection_timeout=_IDLE_CONNECTION_S,
        ).add_sockets(sockets)
        self.port = sockets[0].getsockname()[1]
        scheme = "https" if self.ssl_options else "http"
        here, anywhere = {"127.0.0.1", "::1"}, {"", "0.0.0.0", "::"}
        host = self.ip if self.ip not in here | anywhere else "localhost"
        host = socket.gethostname() if self.ip in anywhere else host
        self.ready(f"{scheme}://{host}:{self.port}/")
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
    config.RoomKernels.cull_idle_timeout = _KEPT_OPEN_S
    # A stack of images is larger than the rate at which a notebook may print.
    config.ZMQChannelsWebsocketConnection.limit_rate = False
    if hasattr(socket, "AF_UNIX"):
        config.KernelManager.transport = "ipc"  # other users of this computer cannot listen
    return config


def _cookie_secret(bundle: Path) -> bytes:
    """Secret that signs cookies, kept so that a restart does not ask readers for their code."""
    path = bundle / ".cookie-secret"
    if not path.exists():
        path.touch(mode=0o600)
        path.write_bytes(secrets.token_bytes(32))
    return path.read_bytes()


def serve(
    study: str | Path,
    *,
    host: str = "127.0.0.1",
    port: int = 8866,
    cert: Path | None = None,
    key: Path | None = None,
    proxies: Collection[str] = (),
    open_browser: bool = False,
    ready: Callable[[str], None] = lambda _url: None,
) -> None:
    """Serve the reading room until interrupted.

    Parameters
    ----------
    study : folder with ``bundle/`` and, unless DATABASE_URL is set, ``study.db``
    host : address to listen on; another than this computer's own wants ``cert`` and ``key``
    proxies : addresses whose ``X-Forwarded-For`` is believed
    ready : called with the address once readers can come in

    Raises
    ------
    ValueError
        The study is not locked or closed, images are damaged, the port is taken, or the
        certificate cannot be used.
    """
    study = Path(study).resolve()
    context = _tls(cert, key)
    bundle = open_bundle(bundle_folder(study))
    if damaged := bundle.damaged():
        raise ValueError(
            f"{len(damaged)} of {len(bundle.images)} images in the bundle are missing or changed; "
            "copy the bundle again"
        )
    room = ReadingRoom(
        study,
        proxies=proxies,
        config=_config(),
        ip=host,
        port=port,
        open_browser=False,
        config_file_paths=[],
        identity_provider_class=CodeIdentityProvider,
        authorizer_class=OwnKernelOnly,
        cookie_secret=_cookie_secret(bundle.folder),
        tornado_settings={"headers": _HEADERS, "log_function": _log_failure},
        log_level="WARN",
    )
    if room.store.is_closed():
        raise ValueError("the study is closed; no further reading is possible")
    room.ssl_options = context

    def announce(url: str) -> None:
        ready(url)
        if open_browser:
            threading.Thread(target=webbrowser.open, args=(url,), daemon=True).start()

    room.ready = announce
    room.initialize([str(_ROOM / "room.ipynb")])
    room.start()


def _tls(cert: Path | None, key: Path | None) -> ssl.SSLContext | None:
    if cert is None and key is None:
        return None
    if cert is None or key is None:
        raise ValueError("--cert and --key belong together; pass both")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(cert, key)
    except (OSError, ssl.SSLError) as error:
        raise ValueError(f"certificate or key cannot be used: {error}") from None
    return context

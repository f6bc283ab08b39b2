"""``reader-study serve``: checks a study and opens its reading room.

One process serves all readers (:mod:`reader_study.room.web`). The room in notebooks, behind Voila
with a kernel for each reader, stays as the other engine (:mod:`reader_study.room.voila.room`).
"""

import threading
import webbrowser
from collections.abc import Callable, Collection
from pathlib import Path
from typing import TYPE_CHECKING

from reader_study.record.store import Store
from reader_study.room.listen import listen, tls_context
from reader_study.room.served_study import open_study

if TYPE_CHECKING:
    from reader_study.room.web import Afterwards

PLACES: dict[str, int] = {"web": 200, "voila": 40}
"""Readers at a time: a page of the one process needs little, a kernel about 150 MB."""

_LAST_PAGE_S = 3.0


def serve(
    study: str | Path,
    *,
    host: str = "127.0.0.1",
    port: int = 8866,
    cert: Path | None = None,
    key: Path | None = None,
    proxies: Collection[str] = (),
    places: int | None = None,
    engine: str = "web",
    open_browser: bool = False,
    ready: Callable[[str], None] = lambda _url: None,
    until: Callable[[Store], bool] | None = None,
    afterwards: "Afterwards | None" = None,
) -> None:
    """Serve the reading room until interrupted, or shortly after ``until`` holds.

    Parameters
    ----------
    study : folder with ``bundle/`` and, unless DATABASE_URL is set, ``study.db``
    host : address to listen on; another than this computer's own wants ``cert`` and ``key``
    proxies : addresses whose ``X-Forwarded-For`` is believed
    places : readers at a time; by default as many as the engine holds well
    engine : ``web``, one process for all; ``voila``, a kernel for each reader
    ready : called with the address once readers can come in
    until : asked of the record now and then; engine ``web`` only
    afterwards : what a demonstration offers after its pairs; no study of readers has any

    Raises
    ------
    ValueError
        The study is not locked or closed, images are damaged, the port is taken, or the
        certificate cannot be used.
    """
    if engine not in PLACES:
        raise ValueError(f"expected --engine {' or '.join(PLACES)}, got {engine}; leave it out")
    context = tls_context(cert, key)
    opened = open_study(Path(study).resolve(), proxies=proxies, places=places or PLACES[engine])

    def announce(url: str) -> None:
        ready(url)
        if open_browser:
            threading.Thread(target=webbrowser.open, args=(url,), daemon=True).start()

    if engine == "voila":
        from reader_study.room.voila.room import run_voila

        run_voila(opened, host=host, port=port, tls=context, ready=announce)
        return
    from tornado.ioloop import IOLoop, PeriodicCallback

    from reader_study.room.web import application

    async def open_port() -> None:
        announce(listen(application(opened, afterwards), host, port, context))

    loop = IOLoop.current()
    loop.add_callback(open_port)

    def look() -> None:
        if until is not None and until(opened.store):
            watch.stop()
            loop.call_later(_LAST_PAGE_S, loop.stop)  # the reader's last page is on its way

    watch = PeriodicCallback(look, 1000)
    if until is not None:
        loop.add_callback(watch.start)
    try:
        loop.start()
    except KeyboardInterrupt:
        return
    finally:
        opened.store.close()

"""Visits of a reader with a clock that the test sets, and a room served in this process."""

from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest

from reader_study.record.coordinator import add_reader, opened
from reader_study.room import listen, web
from reader_study.room.served_study import open_study
from reader_study.room.session import ReadingSession
from tests.reader_study.room.browser_stub import hang_up


class Clock:
    def __init__(self):
        self.time = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)

    def __call__(self):
        return self.time


@pytest.fixture
def visit(locked):
    """Function that locks a study with these options and opens visits of its first reader."""
    managers = []

    def start(**options):
        study = locked(**options)
        reader, _ = add_reader(study, "one")
        manager = opened(study)
        bundle, store = manager.__enter__()
        managers.append(manager)
        clock = Clock()
        store._now = clock
        return lambda: ReadingSession(bundle, store, reader, now=clock), store, clock

    yield start
    for manager in managers:
        manager.__exit__(None, None, None)


@pytest.fixture
def room(locked, monkeypatch):
    """Function that serves a study here: ``async with room() as (codes, url, rooms)``."""
    study = locked(n_cases=4)
    codes = [add_reader(study, name)[1] for name in ("one", "two")]

    @asynccontextmanager
    async def serve(*, places=9, proxies=(), study=study, afterwards=None):
        served = open_study(study, proxies=proxies, places=places)
        servers = []
        made = listen.HTTPServer

        def kept(*args, **kwargs):
            servers.append(made(*args, **kwargs))
            return servers[-1]

        monkeypatch.setattr(listen, "HTTPServer", kept)
        app = web.application(served, afterwards)
        url = listen.listen(app, "127.0.0.1", 0, None)
        try:
            yield codes, url, app.settings["rooms"]
        finally:
            monkeypatch.setattr(listen, "HTTPServer", made)
            servers[0].stop()
            await hang_up()
            await servers[0].close_all_connections()
            served.store.close()

    serve.study = study
    return serve

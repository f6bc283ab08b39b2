"""Visits of a reader, with a clock that the test sets."""

from datetime import UTC, datetime

import pytest

from reader_study.record.coordinator import add_reader, opened
from reader_study.room.session import ReadingSession


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

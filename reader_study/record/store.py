"""What readers answered and what happened, kept insert-only and hash-chained."""

import hashlib
import json
import sqlite3
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, IntegrityError

from ctlab.files import canonical
from reader_study.record import schema

GENESIS = "0" * 64


class NotSavedError(RuntimeError):
    """An answer was not stored; the text says why, in words a reader understands."""


@dataclass(frozen=True)
class Event:
    """One link of the chain."""

    seq: int
    at: str
    kind: str
    reader: str
    payload: dict[str, Any]
    prev: str
    hash: str

    def digest(self) -> str:
        """SHA-256 over the previous hash and everything this event says."""
        return link_hash(self.prev, self.seq, self.at, self.kind, self.reader, self.payload)


@dataclass(frozen=True)
class Reader:
    """A reader number, its slot of the allocation, and until when its code is taken."""

    reader: str
    slot: int
    code_hash: str
    expires: str
    active: bool


@dataclass(frozen=True)
class Answer:
    """One stored answer; ``value`` None takes an earlier revision back."""

    seq: int
    reader: str
    session: int
    trial: str
    item: str
    revision: int
    value: Any
    seconds: float | None
    at: str


@dataclass(frozen=True)
class Contents:
    """All that a database holds, as it was at one moment, oldest first."""

    events: tuple[Event, ...]
    answers: tuple[Answer, ...]
    readers: tuple[Reader, ...]


def link_hash(prev: str, seq: int, at: str, kind: str, reader: str, payload: dict[str, Any]) -> str:
    """SHA-256 (hex) of an event and the hash of the event before it."""
    text = canonical([prev, seq, at, kind, reader, payload])
    return hashlib.sha256(text.encode()).hexdigest()


def utc_now() -> datetime:
    """The time now, in UTC."""
    return datetime.now(UTC)


class Store:
    """The database of one study.

    Parameters
    ----------
    url : SQLAlchemy address, ``sqlite:///path`` or ``postgresql+psycopg://...``
    now : clock, replaced in tests
    """

    def __init__(self, url: str, *, now: Callable[[], datetime] = utc_now) -> None:
        self.engine = schema.connect(url)
        # A store that is dropped, as by an error while a room opens, leaves no connection open.
        weakref.finalize(self, self.engine.dispose)
        self._now = now
        self._turn = threading.Lock()  # writers of one process queue here; SQLite lets them poll

    def close(self) -> None:
        """Let go of the database."""
        self.engine.dispose()

    # ------------------------------------------------------------ transactions

    @contextmanager
    def _writing(self) -> Iterator[sa.Connection]:
        """One transaction that extends the chain; on the disk when the block has ended."""
        try:
            with self._turn, self.engine.begin() as connection:
                schema.lock_chain(connection)
                yield connection
        except IntegrityError:
            raise NotSavedError("this answer was already stored from another window") from None
        except DBAPIError as error:
            raise NotSavedError(f"the database refused it ({_reason(error)})") from error

    @contextmanager
    def _reading(self) -> Iterator[sa.Connection]:
        try:
            with self.engine.connect().execution_options(reading=True) as connection:
                yield connection
        except (DBAPIError, sqlite3.DatabaseError) as error:
            raise ValueError(f"the study database cannot be read ({_reason(error)})") from error
        except (ValueError, TypeError, KeyError):  # rows that hold no JSON, dates that are none
            raise ValueError("the study database is damaged; copy study.db again") from None

    def _append(
        self,
        connection: sa.Connection,
        kind: str,
        reader: str,
        payload: dict[str, Any],
        last: Any = None,
    ) -> Event:
        """The next link; ``last`` is the one before, where it was asked for already."""
        last = last or connection.execute(_LAST).first()
        seq, prev = (last.seq + 1, last.hash) if last else (1, GENESIS)
        at = self._now().astimezone(UTC).isoformat(timespec="milliseconds")
        digest = link_hash(prev, seq, at, kind, reader, payload)
        link = Event(seq, at, kind, reader, payload, prev, digest)
        row = {**link.__dict__, "payload": canonical(payload)}
        connection.execute(_NEW_EVENT, row)
        return link

    # ------------------------------------------------------------ study

    def create(self, facts: dict[str, Any]) -> Event:
        """Empty database whose first event is the lock, with ``facts`` about it."""
        if sa.inspect(self.engine).has_table("event"):
            raise ValueError("the database already holds a study; give each study its own")
        schema.create_all(self.engine)
        with self._writing() as connection:
            rows = {"format_version": schema.FORMAT_VERSION, "study_id": facts["study_id"]}
            connection.execute(
                sa.insert(schema.meta), [{"name": n, "value": str(v)} for n, v in rows.items()]
            )
            return self._append(connection, "locked", "", facts)

    def check(self, study_id: str) -> None:
        """Refuse a database of another study, a newer format, or none at all."""
        with self._reading() as connection:
            known = sa.inspect(connection).has_table("meta")
        if not known:
            raise ValueError("the study database is missing or empty; copy study.db beside bundle")
        with self._reading() as connection:
            rows = connection.execute(sa.select(schema.meta))
            facts = {row.name: row.value for row in rows}
            facts["study_id"], int(facts["format_version"])  # both must be there
        if int(facts["format_version"]) > schema.FORMAT_VERSION:
            raise ValueError(
                f"the database has format_version {facts['format_version']}; this program reads "
                f"up to {schema.FORMAT_VERSION}: install a newer ctlab"
            )
        if facts["study_id"] != study_id:
            raise ValueError("the database belongs to another study than the bundle")

    def append(self, kind: str, reader: str = "", **payload: Any) -> Event:
        """Record an event."""
        with self._writing() as connection:
            return self._append(connection, kind, reader, payload)

    def contents(self) -> Contents:
        """Events, answers and readers of one moment, whatever is added meanwhile."""
        with self._reading() as connection:
            connection.exec_driver_sql(schema.SNAPSHOT[self.engine.dialect.name])
            links = connection.execute(_EVERY_EVENT).mappings()
            events = tuple(_event(row) for row in links)
            answers = tuple(_answer(row) for row in connection.execute(_EVERY_ANSWER).mappings())
            gone = {e.reader for e in events if e.kind == "reader-withdrawn"}
            readers = tuple(_reader(row, gone) for row in connection.execute(_EVERY_READER))
        return Contents(events, answers, readers)

    def events(self, kind: str | None = None, reader: str | None = None) -> list[Event]:
        """Events of a kind and a reader, or all, oldest first."""
        query = _EVERY_EVENT
        if kind is not None:
            query = query.where(schema.events.c.kind == kind)
        if reader is not None:
            query = query.where(schema.events.c.reader == reader)
        with self._reading() as connection:
            rows = connection.execute(query).mappings().all()
        return [_event(row) for row in rows]

    def head(self) -> tuple[int, str]:
        """Number and hash of the last event: the anchor that a receipt carries."""
        with self._reading() as connection:
            last = connection.execute(_LAST).one()
        return last.seq, last.hash

    def is_closed(self) -> bool:
        """The study was closed: no further answer is taken."""
        with self._reading() as connection:
            return _has(connection, "closed")

    # ------------------------------------------------------------ readers

    def add_reader(
        self, slot: int, *, code_hash: str, expires: str, label: str = "", replaces: str = ""
    ) -> Reader:
        """Give a slot to a new reader, who gets the next number; ``replaces`` leaves the study."""
        with self._writing() as connection:
            if replaces:
                self._append(connection, "reader-withdrawn", replaces, {"reason": "replaced"})
            taken = connection.execute(sa.select(sa.func.count()).select_from(schema.readers))
            name = f"R{taken.scalar_one() + 1}"
            facts = {"slot": slot, "label": label, "code_hash": code_hash, "expires": expires}
            link = self._append(connection, "reader-added", name, {**facts, "replaces": replaces})
            row = {"slot": slot, "code_hash": code_hash, "expires": expires}
            connection.execute(sa.insert(schema.readers), {"seq": link.seq, "reader": name, **row})
        return Reader(name, slot, code_hash, expires, active=True)

    def readers(self) -> list[Reader]:
        """Every reader, those who left included, in the order of their numbers."""
        with self._reading() as connection:
            rows = connection.execute(_EVERY_READER).all()
            gone = _withdrawn(connection)
        return [_reader(row, gone) for row in rows]

    def reader_of_code(self, code_hash: str) -> Reader | None:
        """Active reader with this code who may still enter today."""
        now = self._now().astimezone(UTC).isoformat()
        for reader in self.readers():
            if reader.code_hash == code_hash:
                return reader if reader.active and reader.expires > now else None
        return None

    # ------------------------------------------------------------ reading

    def open_session(self, reader: str, session: int, **facts: Any) -> int:
        """Number of the visit just opened; answers of an earlier visit are refused from now on."""
        return self.append("opened", reader, session=session, **facts).seq

    def save_answer(
        self,
        reader: str,
        *,
        visit: int,
        session: int,
        trial: str,
        item: str,
        value: Any,
        seconds: float | None = None,
    ) -> Answer:
        """Store the next revision of an answer; it is on the disk when this returns.

        Raises
        ------
        NotSavedError
            The study is closed, the reader left, reading goes on in another window, or the
            database failed; nothing was stored then.
        """
        with self._writing() as connection:
            asked = {"about": reader, "of_trial": trial, "of_item": item}
            state = connection.execute(_STATE, asked).one()
            _refuse_unless_open(state, visit)
            revision = (state.revision or 0) + 1
            body = {
                "session": session,
                "trial": trial,
                "item": item,
                "revision": revision,
                "value": value,
                "seconds": None if seconds is None else round(float(seconds), 3),
            }
            link = self._append(connection, "answer", reader, body, state)
            row = {**body, "value": canonical(value), "seq": link.seq, "at": link.at}
            connection.execute(_NEW_ANSWER, {**row, "reader": reader})
        return Answer(seq=link.seq, reader=reader, at=link.at, **body)

    def import_events(self, links: list[Event], answers: dict[int, Answer]) -> None:
        """Append events read elsewhere, each with its origin; all in one transaction."""
        with self._writing() as connection:
            if _has(connection, "closed"):
                raise NotSavedError("the study has been closed")
            for link in links:
                origin = {"seq": link.seq, "at": link.at, "hash": link.hash}
                body = {**link.payload, "origin": origin}
                kept = self._append(connection, link.kind, link.reader, body)
                if link.kind == "answer":
                    given = answers[link.seq]
                    row = {**given.__dict__, "seq": kept.seq, "value": canonical(given.value)}
                    connection.execute(sa.insert(schema.answers), row)

    def answers(self, reader: str | None = None) -> list[Answer]:
        """Every revision of every answer, oldest first."""
        query = _EVERY_ANSWER
        if reader is not None:
            query = query.where(schema.answers.c.reader == reader)
        with self._reading() as connection:
            rows = connection.execute(query).mappings().all()
        return [_answer(row) for row in rows]


def _event(row: Any) -> Event:
    return Event(**{**row, "payload": json.loads(row["payload"])})


def _answer(row: Any) -> Answer:
    return Answer(**{**row, "value": json.loads(row["value"])})


def _reader(row: Any, gone: set[str]) -> Reader:
    return Reader(row.reader, row.slot, row.code_hash, row.expires, row.reader not in gone)


def latest(answers: Iterable[Answer]) -> dict[tuple[str, str], Answer]:
    """Last revision of each (trial, item), without those that were taken back."""
    last = {(a.trial, a.item): a for a in answers}
    return {key: answer for key, answer in last.items() if answer.value is not None}


# Written once, so that a commit costs the disk's time and little of ours.
_EVERY_EVENT = sa.select(schema.events).order_by(schema.events.c.seq)
_EVERY_ANSWER = sa.select(schema.answers).order_by(schema.answers.c.seq)
_EVERY_READER = sa.select(schema.readers).order_by(schema.readers.c.seq)
_EVENT, _ANSWER = schema.events.c, schema.answers.c
_LAST = sa.select(_EVENT.seq, _EVENT.hash).order_by(_EVENT.seq.desc()).limit(1)
_NEW_EVENT, _NEW_ANSWER = sa.insert(schema.events), sa.insert(schema.answers)
_OF_READER = _EVENT.reader == sa.bindparam("about")
_END = _LAST.subquery()  # never empty: a record begins with the lock
_STATE = sa.select(
    *_END.c,
    sa.exists().where(_EVENT.kind == "closed").label("closed"),
    sa.exists().where(_EVENT.kind == "reader-withdrawn", _OF_READER).label("withdrawn"),
    sa.select(sa.func.max(_EVENT.seq))
    .where(_EVENT.kind == "opened", _OF_READER)
    .scalar_subquery()
    .label("visit"),
    sa.select(sa.func.max(_ANSWER.revision))
    .where(
        _ANSWER.reader == sa.bindparam("about"),
        _ANSWER.trial == sa.bindparam("of_trial"),
        _ANSWER.item == sa.bindparam("of_item"),
    )
    .scalar_subquery()
    .label("revision"),
)


def _refuse_unless_open(state: Any, visit: int) -> None:
    if state.closed:
        raise NotSavedError("the study has been closed")
    if state.withdrawn:
        raise NotSavedError("this reader has left the study")
    if state.visit != visit:
        raise NotSavedError("reading continues in another window; close this one")


def _has(connection: sa.Connection, kind: str) -> bool:
    query = sa.select(schema.events.c.seq).where(schema.events.c.kind == kind).limit(1)
    return connection.execute(query).first() is not None


def _withdrawn(connection: sa.Connection) -> set[str]:
    query = sa.select(schema.events.c.reader).where(schema.events.c.kind == "reader-withdrawn")
    return set(connection.execute(query).scalars())


def _reason(error: DBAPIError | sqlite3.DatabaseError) -> str:
    return " ".join(str(getattr(error, "orig", error)).split())[:120]

"""Copies of a study for reading where there is no network; merge.py brings them home."""

import shutil
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from ctlab.files import canonical, fresh_folder
from reader_study.record import schema
from reader_study.record.anchors import write_anchor
from reader_study.record.coordinator import active_reader, opened
from reader_study.record.hash_chain import verify_store
from reader_study.record.paths import bundle_folder
from reader_study.record.store import Event, Store

_OF_THE_STUDY = {"locked", "amended", "reader-added", "reader-withdrawn"}


def copy_study(study: str | Path, folder: str | Path, *, reader: str) -> dict[str, Any]:
    """Write all that one reader needs to read elsewhere: the bundle, and the record until now.

    The record is a SQLite file, whatever database the study uses. It is the shortest beginning of
    the hash chain that holds all that concerns this reader and the study itself; a copy made
    before anybody has read holds no answers of others.

    Parameters
    ----------
    study : a locked study that is not closed
    folder : a new folder
    reader : number of the active reader who will read there and nowhere else

    Raises
    ------
    ValueError
        The study is closed or not intact, there is no such reader, or the folder is not empty.
    """
    with opened(study) as (_, store):
        if store.is_closed():
            raise ValueError("the study is closed; nothing more can be read")
        active_reader(store, reader)
        verdict = verify_store(store)
        if not verdict.ok:
            raise ValueError(f"the record is not intact ({verdict.fault}); nothing was copied")
        events = store.events()
        last = max(e.seq for e in events if e.reader == reader or e.kind in _OF_THE_STUDY)
        with fresh_folder(folder) as part:
            shutil.copytree(
                bundle_folder(study),
                part / "bundle",
                ignore=shutil.ignore_patterns(".*"),  # the secret of this server's cookies
            )
            copy = Store(f"sqlite:///{part / 'study.db'}")
            try:
                answers = write_record(store, copy, events[:last])
            finally:
                copy.close()
            write_anchor(part, last, events[last - 1].hash)
    return {"events": last, "answers": answers}


def write_record(store: Store, copy: Store, events: list[Event]) -> int:
    """Write the first events of a record into an empty database, to the letter.

    Returns how many answers are in it.
    """
    schema.create_all(copy.engine)
    kept = {event.seq for event in events}
    rows = [{**event.__dict__, "payload": canonical(event.payload)} for event in events]
    with store.engine.connect().execution_options(reading=True) as theirs:
        tables = {
            table: [dict(row) for row in theirs.execute(sa.select(table)).mappings()]
            for table in (schema.meta, schema.readers, schema.answers)
        }
    with copy.engine.begin() as connection:
        connection.execute(sa.insert(schema.events), rows)
        for table, rows_of_table in tables.items():
            own = [row for row in rows_of_table if row.get("seq", events[0].seq) in kept]
            if own:
                connection.execute(sa.insert(table), own)
    return len(copy.answers())

"""Backups of a running study, and how a study comes back from one."""

import os
import shutil
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from ctlab.files import fresh_folder
from reader_study.record.anchors import ANCHORS, write_anchor
from reader_study.record.bundle import open_bundle
from reader_study.record.coordinator import opened
from reader_study.record.hash_chain import verify_store
from reader_study.record.offline_copy import write_record
from reader_study.record.paths import bundle_folder
from reader_study.record.store import Store


def back_up(study: str | Path, folder: str | Path) -> dict[str, Any]:
    """Write bundle, anchors and the whole record into a new folder, while readers go on reading.

    The record becomes a SQLite file, whatever database the study uses; the folder is a study that
    can be verified, served or analysed as it stands. The sealed key and readers' names stay out.

    Raises
    ------
    ValueError
        The study is not intact, or the folder is not empty.
    """
    with opened(study) as (_, store):
        verdict = verify_store(store)
        if not verdict.ok:
            raise ValueError(f"the record is not intact ({verdict.fault}); nothing was backed up")
        events = store.events()
        with fresh_folder(folder) as part:
            ignored = shutil.ignore_patterns(".*")  # the secret of this server's cookies
            shutil.copytree(bundle_folder(study), part / "bundle", ignore=ignored)
            copy = Store(f"sqlite:///{part / 'study.db'}")
            try:
                answers = write_record(store, copy, events)
            finally:
                copy.close()
            if (anchors := Path(study) / ANCHORS).is_file():
                shutil.copy(anchors, part / ANCHORS)
            head = events[-1]
            write_anchor(part, head.seq, head.hash)
    return {"events": len(events), "answers": answers, "head": f"{head.seq}:{head.hash}"}


def restore_record(backup: str | Path) -> dict[str, Any]:
    """Write the record of a backup into the empty database that DATABASE_URL names.

    Without DATABASE_URL nothing needs restoring: a copy of the folder is the study.

    Raises
    ------
    ValueError
        DATABASE_URL is not set, its database holds a study, or the backup is not intact.
    """
    backup, url = Path(backup), os.environ.get("DATABASE_URL")
    if not url:
        raise ValueError(
            "expected DATABASE_URL with the address of an empty database, got none; without a "
            "database server, copy the folder: it is the study"
        )
    file = backup / "study.db"
    if not file.is_file():
        raise ValueError(f"expected study.db in {backup}, got none; name the folder of a backup")
    source, target = Store(f"sqlite:///{file}"), Store(url)
    try:
        source.check(open_bundle(bundle_folder(backup)).study_id)
        verdict = verify_store(source)
        if not verdict.ok:
            raise ValueError(f"the backup is not intact ({verdict.fault}); take another one")
        if sa.inspect(target.engine).has_table("event"):
            raise ValueError("the database already holds a study; name an empty one")
        answers = write_record(source, target, source.events())
        return {"events": verify_store(target).n_events, "answers": answers}
    finally:
        source.close()
        target.close()

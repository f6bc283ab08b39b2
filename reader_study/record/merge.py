"""Bring together what was read from copies of a study where there was no network."""

from pathlib import Path
from typing import Any

from reader_study.record.coordinator import opened
from reader_study.record.hash_chain import verify_store
from reader_study.record.store import (
    Answer,
    Event,
    NotSavedError,
    Store,
)

_NOT_READING = {"locked", "closed", "unblinded", "amended", "reader-added", "reader-withdrawn"}


def merge_study(study: str | Path, other: str | Path) -> dict[str, Any]:
    """Add the readings of a copy to the study; all of them or none.

    A copy is a folder with the ``bundle/`` and the ``study.db`` of this study, taken after the
    readers had been added. What was merged before is recognised and left out.

    Parameters
    ----------
    study : the study that receives
    other : the copy that was read elsewhere

    Raises
    ------
    ValueError
        The copy is of another study, was tampered with, knows readers that the study does not,
        or both hold different answers of one reader to one question.
    """
    path = Path(other) / "study.db"
    if not path.is_file():
        raise ValueError(f"{path} is not there; name a folder with the study.db of a copy")
    copy = Store(f"sqlite:///{path}")
    try:
        with opened(study) as (bundle, store):
            copy.check(bundle.study_id)
            verdict = verify_store(copy)
            if not verdict.ok:
                raise ValueError(f"the copy was tampered with: {verdict.fault}")
            return _take(store, copy)
    finally:
        copy.close()


def _take(store: Store, copy: Store) -> dict[str, Any]:
    events, theirs = store.events(), copy.events()
    if theirs[0].hash != events[0].hash:
        raise ValueError("the copy was locked separately; it is not a copy of this study")
    known = {e.hash for e in events} | {e.payload["origin"]["hash"] for e in _merged(events)}
    fresh = [e for e in theirs if e.hash not in known]
    strange = [e for e in fresh if e.kind in _NOT_READING]
    if strange:
        raise ValueError(
            f"the copy holds an event that belongs to the study itself ({strange[0].kind}); add "
            "readers, amend and close in the study, then copy it"
        )
    answers = {a.seq: a for a in copy.answers()}
    _refuse_conflicts(store, [answers[e.seq] for e in fresh if e.kind == "answer"])
    try:
        store.import_events(fresh, answers)
    except NotSavedError as error:
        raise ValueError(f"nothing was merged: {error}") from None
    return {
        "events": len(fresh),
        "answers": sum(e.kind == "answer" for e in fresh),
        "known_already": len(theirs) - len(fresh),
    }


def _merged(events: list[Event]) -> list[Event]:
    return [e for e in events if "origin" in e.payload]


def _refuse_conflicts(store: Store, incoming: list[Answer]) -> None:
    own = {(a.reader, a.trial, a.item, a.revision) for a in store.answers()}
    for answer in incoming:
        if (answer.reader, answer.trial, answer.item, answer.revision) in own:
            raise ValueError(
                f"reader {answer.reader} answered the same question here and in the copy; one "
                "reader must read in one place. Nothing was merged"
            )

"""What the coordinator does while the study runs: readers, progress, closing."""

import csv
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any

from ctlab.files import spreadsheet_safe
from reader_study.record.anchors import write_anchor
from reader_study.record.bundle import Bundle, open_bundle
from reader_study.record.paths import bundle_folder, database_url, reader_names
from reader_study.record.reader_codes import hash_of, new_code
from reader_study.record.store import Reader, Store, latest, utc_now
from reader_study.record.study_record import StudyRecord, read_study

FASTEST_SECONDS = 2.0  # a median below this per trial is flagged as speeding
HASTY_SECONDS = 1.0  # single answers given sooner are counted
_QUIET_DAYS = 7  # a reader in the middle of a session and silent this long is flagged


@contextmanager
def opened(study: str | Path) -> Iterator[tuple[Bundle, Store]]:
    """Bundle and database of a locked study, checked to belong together."""
    bundle = open_bundle(bundle_folder(study))
    store = Store(database_url(study))
    try:
        store.check(bundle.study_id)
        yield bundle, store
    finally:
        store.close()


def add_reader(
    study: str | Path, name: str, *, valid_days: int = 365, replaces: str = ""
) -> tuple[Reader, str]:
    """New reader in the next free slot, or in the slot of the one replaced, and the code.

    The code is returned once and kept nowhere; the database holds its hash. The name goes to
    ``reader-names.csv`` of the coordinator alone: record, tables and copies carry numbers.

    Raises
    ------
    ValueError
        All slots are taken, the study is closed, or there is no such reader to replace.
    """
    with opened(study) as (bundle, store):
        if store.is_closed():
            raise ValueError("the study is closed; no reader can be added")
        slot = active_reader(store, replaces).slot if replaces else _free_slot(bundle, store)
        code = new_code()
        expires = (utc_now() + timedelta(days=valid_days)).isoformat()
        reader = store.add_reader(slot, code_hash=hash_of(code), expires=expires, replaces=replaces)
    names = reader_names(study)
    with names.open("a", encoding="utf-8", newline="") as file:
        csv.writer(file).writerow([reader.reader, spreadsheet_safe(name)])
    names.chmod(0o600)
    return reader, code


def _free_slot(bundle: Bundle, store: Store) -> int:
    taken = {r.slot for r in store.readers() if r.active}
    free = sorted(set(range(1, bundle.n_slots + 1)) - taken)
    if not free:
        raise ValueError(
            f"all {bundle.n_slots} reader slots are taken; replace a reader, or lock a study with "
            "more readers"
        )
    return free[0]


def withdraw_reader(study: str | Path, reader: str, reason: str) -> None:
    """A reader leaves for good; what was answered stays."""
    with opened(study) as (_, store):
        active_reader(store, reader)
        if not reason.strip():
            raise ValueError(
                f"expected a reason for the record, got none; {reader} leaves for good: say why "
                "with --reason"
            )
        store.append("reader-withdrawn", reader, reason=reason.strip())


def override_washout(study: str | Path, reader: str, session: int, reason: str) -> None:
    """Let a reader open a session (from 1) before the washout is over; recorded with its reason."""
    if not reason.strip():
        raise ValueError("an override of the washout needs a --reason for the record")
    with opened(study) as (_, store):
        active_reader(store, reader)
        store.append("washout-overridden", reader, session=session - 1, reason=reason.strip())


def active_reader(store: Store, name: str) -> Reader:
    """Reader of that number who has not left."""
    active = {r.reader: r for r in store.readers() if r.active}
    if name not in active:
        raise ValueError(f"no active reader {name!r}; active: {', '.join(active) or 'none yet'}")
    return active[name]


# ---------------------------------------------------------------- progress


@dataclass(frozen=True)
class ReaderProgress:
    """How far a reader is: trials done and in all, seconds per trial (median), and flags."""

    reader: str
    slot: int
    active: bool
    done: int
    of: int
    median_seconds: float | None
    last_answer: str | None
    flags: list[str]

    @property
    def finished(self) -> bool:
        """Every trial is answered."""
        return self.done == self.of


@dataclass(frozen=True)
class StudyStatus:
    """Where a study stands; nothing in it unblinds."""

    study: str
    title: str
    closed: bool
    unblinded: bool
    commitment: str
    slots: int
    events: int
    head: str
    readers: list[ReaderProgress]

    @property
    def empty_slots(self) -> int:
        """Reader slots of the design that nobody reads in."""
        return self.slots - sum(row.active for row in self.readers)


def status(study: str | Path) -> dict[str, Any]:
    """Progress of every reader, as plain data; no rating, no arm, nothing that unblinds."""
    return asdict(status_of(read_study(study)))


def status_of(record: StudyRecord) -> StudyStatus:
    """Progress of every reader."""
    bundle = record.bundle
    return StudyStatus(
        study=bundle.study_id,
        title=str(bundle.facts["title"]),
        closed=record.has("closed"),
        unblinded=record.has("unblinded"),
        commitment=bundle.commitment,
        slots=bundle.n_slots,
        events=len(record.events),
        head=record.head,
        readers=[_progress(record, reader) for reader in record.readers],
    )


def _progress(record: StudyRecord, reader: Reader) -> ReaderProgress:
    bundle = record.bundle
    trials = [t for t in bundle.trials(reader.slot) if not t.practice]
    answers = record.answers_of(reader.reader)
    given = latest(answers)
    per_trial = sum(2 if item["about"] == "each" else 1 for item in bundle.items)
    per_trial *= 2 if bundle.overlay_design == "sequential" else 1
    tokens = {t.token for t in trials}
    asked = [a for (trial, item), a in given.items() if trial in tokens and item[0] != "_"]
    done = {t for t in tokens if sum(a.trial == t for a in asked) == per_trial}
    spent: dict[str, float] = {}
    for answer in asked:
        spent[answer.trial] = spent.get(answer.trial, 0.0) + (answer.seconds or 0.0)
    pace = median(spent[t] for t in done) if done else None
    last = answers[-1].at if answers else None
    flags = []
    if pace is not None and len(done) >= 5 and pace < FASTEST_SECONDS:
        flags.append("speeding")
    if hasty := sum(a.seconds is not None and a.seconds < HASTY_SECONDS for a in asked):
        flags.append(f"{hasty} answers in less than {HASTY_SECONDS:g} s")
    if last and len(done) < len(trials) and _days_since(last) > _QUIET_DAYS:
        flags.append("silent")
    return ReaderProgress(
        reader.reader, reader.slot, reader.active, len(done), len(trials), pace, last, flags
    )


def _days_since(at: str) -> float:
    return (utc_now() - datetime.fromisoformat(at)).total_seconds() / 86_400


def close(study: str | Path) -> dict[str, Any]:
    """End the reading; no answer is taken from then on."""
    rows = status_of(read_study(study)).readers
    counts = {row.reader: [row.done, row.of] for row in rows}
    with opened(study) as (_, store):
        if store.is_closed():
            raise ValueError("the study is closed already")
        link = store.append("closed", done=counts)
    write_anchor(study, link.seq, link.hash)
    return {"receipt": f"{link.seq}:{link.hash}", "done": counts}

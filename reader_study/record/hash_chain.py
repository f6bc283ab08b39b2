"""The verdict on a record: whole, in order and unchanged, or the first event that is not."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from reader_study.record.store import GENESIS, Contents, Event, Store


@dataclass(frozen=True)
class Verdict:
    """Result of a verification; ``fault`` names the first bad record in words."""

    n_events: int
    n_answers: int
    fault: str = ""
    bad_seq: int | None = None
    notes: tuple[str, ...] = ()
    against: tuple[str, ...] = ()  # what the record was compared with, in words

    @property
    def ok(self) -> bool:
        """Nothing was found to be wrong."""
        return not self.fault


def verify_store(store: Store, anchors: dict[int, str] | None = None) -> Verdict:
    """Verdict on a database, as :func:`verify_contents` gives it."""
    return verify_contents(store.contents(), anchors)


def verify_contents(contents: Contents, anchors: dict[int, str] | None = None) -> Verdict:
    """Verdict on the hash chain, on the answers beside it, and on anchors kept elsewhere.

    Parameters
    ----------
    contents : of the database of the study
    anchors : event number to hash, from receipts and ``anchors.txt``. Without them a chain that
        was cut short, or wholly rewritten, looks like a good one.
    """
    events, n_answers = contents.events, len(contents.answers)
    for check in (_links, _answers_match, _readers_match):
        fault = check(contents)
        if fault:
            return Verdict(len(events), n_answers, fault[1], fault[0])
    for seq, digest in sorted((anchors or {}).items()):
        if not 1 <= seq <= len(events):
            text = f"event {seq} was anchored but the record ends at {len(events)}: cut short"
            return Verdict(len(events), n_answers, text, seq)
        if events[seq - 1].hash != digest:
            text = f"event {seq} differs from its anchor: the record was rewritten"
            return Verdict(len(events), n_answers, text, seq)
    return Verdict(len(events), n_answers, notes=tuple(_clock_notes(events)))


def _links(contents: Contents) -> tuple[int, str] | None:
    prev = GENESIS
    for expected, event in enumerate(contents.events, start=1):
        if event.seq != expected:
            return expected, f"event {expected} is missing"
        if event.prev != prev:
            return event.seq, f"event {event.seq} does not follow the one before it"
        if event.hash != event.digest():
            return event.seq, f"event {event.seq} ({event.kind}) was changed"
        prev = event.hash
    if not contents.events or contents.events[0].kind != "locked":
        return 1, "the record does not begin with the lock of the study"
    return None


def _answers_match(contents: Contents) -> tuple[int, str] | None:
    said = {e.seq: e for e in contents.events if e.kind == "answer"}
    rows = {a.seq: a for a in contents.answers}
    for seq in sorted(said.keys() | rows.keys()):
        if seq not in rows:
            return seq, f"the answer of event {seq} was removed"
        if seq not in said:
            return seq, f"answer {seq} was never recorded as an event"
        stated = {**said[seq].payload, "reader": said[seq].reader, "at": said[seq].at}
        if origin := stated.pop("origin", None):  # merged from a copy, where it was given
            stated["at"] = origin["at"]
        if any(getattr(rows[seq], name) != value for name, value in stated.items()):
            return seq, f"the answer of event {seq} was changed"
    return None


def _readers_match(contents: Contents) -> tuple[int, str] | None:
    said = {e.reader: e for e in contents.events if e.kind == "reader-added"}
    rows = {r.reader: r for r in contents.readers}
    for name in sorted(said.keys() | rows.keys()):
        if name not in said or name not in rows:
            return (said[name].seq if name in said else 0), f"reader {name} was added or removed"
        facts: dict[str, Any] = said[name].payload
        row = rows[name]
        if (row.slot, row.code_hash) != (facts["slot"], facts["code_hash"]):
            return said[name].seq, f"reader {name} was changed"
    return None


def _clock_notes(events: Sequence[Event]) -> list[str]:
    """A clock set back breaks no chain (numbers give the order) but must be known."""
    return [
        f"the clock went back between events {before.seq} and {after.seq}"
        for before, after in itertools.pairwise(events)
        if after.at < before.at
    ]

"""Study conduct: the flow of cases and readers, what is missing, and deviations from the plan."""

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from reader_study.blinding.unblind import verify_record
from reader_study.design.analysis_plan import Plan
from reader_study.design.overlay import FIRST
from reader_study.record.anchors import ANCHORS
from reader_study.record.coordinator import FASTEST_SECONDS, status_of
from reader_study.record.store import Event
from reader_study.record.study_record import UnblindedStudy
from reader_study.room.answer_check import CANNOT_JUDGE
from reader_study.stats.paired.crossed_mean import FEW_READERS


def expected_answers(record: UnblindedStudy) -> pd.DataFrame:
    """Every answer the allocation asks of the readers who joined: ``reader, trial, kind, item``."""
    items = [
        f"{item.name}{when}@{side}" if side else f"{item.name}{when}"
        for when in ((FIRST, "") if record.bundle.overlay_design == "sequential" else ("",))
        for item in record.protocol.items
        for side in (("left", "right") if item.about == "each" else ("",))
    ]
    rows = [
        (reader.reader, name, trial.kind, item)
        for reader in record.readers
        for name, trial in record.key.trials.items()
        if trial.slot == reader.slot and trial.kind != "practice"
        for item in items
    ]
    return pd.DataFrame(rows, columns=["reader", "trial", "kind", "item"])


def last_answers(ratings: pd.DataFrame) -> pd.DataFrame:
    """Last revision of every answer, those taken back and ``cannot-judge`` included."""
    keys = ["reader", "trial", "item", "side"]
    last = ratings.sort_values("revision", kind="stable").groupby(keys, sort=False).tail(1)
    side = last["side"].where(last["side"] == "", "@" + last["side"])
    return last.assign(item=last["item"] + side)


def flow(
    record: UnblindedStudy,
    expected: pd.DataFrame,
    last: pd.DataFrame,
    *,
    primary: str,
    n_analysed: int,
) -> dict[str, Any]:
    """Counts for the flow diagram; answers are those to the primary item in main trials."""
    withdrawn = record.events_of("reader-withdrawn")
    trials = record.key.trials.values()
    asked = expected[
        (expected["kind"] == "main") & (expected["item"].str.split("@").str[0] == primary)
    ]
    given = asked.merge(
        last[["reader", "trial", "item", "value"]], how="left", on=["reader", "trial", "item"]
    )
    withheld = int((given["value"].astype(str) == CANNOT_JUDGE).sum())
    answered = int(given["value"].notna().sum()) - withheld
    kinds = Counter(trial.kind for trial in trials)
    reading = record.protocol.reading_cases
    return {
        "cases": len(reading),
        "patients": len({case.patient for case in reading}),
        "slots": max((trial.slot for trial in trials), default=0),
        "readers": len(record.readers),
        "replaced": sum(e.payload.get("reason") == "replaced" for e in withdrawn),
        "withdrawn": sum(e.payload.get("reason") != "replaced" for e in withdrawn),
        "trials": {kind: kinds.get(kind, 0) for kind in ("practice", "main", "repeat", "catch")},
        "asked": len(asked),
        "answered": answered,
        "withheld": withheld,
        "missing": len(asked) - answered - withheld,
        "analysed": n_analysed,
    }


@dataclass(frozen=True)
class ReaderConduct:
    """How one reader read, under the number that stands for the name."""

    reader: str
    slot: int
    active: bool
    done: int
    of: int
    flags: list[str]
    median_seconds: float | None
    visits: int
    pauses: int
    first_day: str
    last_day: str
    display: dict[str, Any]  # what the last display check recorded


def reader_conduct(record: UnblindedStudy) -> list[ReaderConduct]:
    """One row per reader."""
    rows = []
    for row in status_of(record).readers:
        own = [event for event in record.events if event.reader == row.reader]
        days = [event.at[:10] for event in own if event.kind == "answer"]
        displays = [event.payload for event in own if event.kind == "display-checked"]
        rows.append(
            ReaderConduct(
                row.reader,
                row.slot,
                row.active,
                row.done,
                row.of,
                row.flags,
                row.median_seconds,
                visits=sum(event.kind == "opened" for event in own),
                pauses=sum(event.kind in {"paused", "away"} for event in own),
                first_day=days[0] if days else "",
                last_day=days[-1] if days else "",
                display=displays[-1] if displays else {},
            )
        )
    return rows


def integrity(record: UnblindedStudy) -> dict[str, Any]:
    """Hashes and verdict that let an outsider check the record.

    Raises
    ------
    ValueError
        The record was changed; nothing may be analysed then.
    """
    verdict = verify_record(record)
    if not verdict.ok:
        raise ValueError(
            f"the record is not intact ({verdict.fault}); see reader-study verify. An analysis of "
            "changed data is refused"
        )
    bundle, last = record.bundle, {event.kind: event for event in record.events}
    return {
        "ok": True,
        "events": verdict.n_events,
        "answers": verdict.n_answers,
        "notes": list(verdict.notes),
        "commitment": bundle.commitment,
        "protocol_sha256": bundle.facts["protocol_sha256"],
        "bundle_sha256": bundle.sha256,
        "locked_at": record.events[0].at,
        "head": record.head,
        **{f"{kind}_at": last[kind].at for kind in ("closed", "unblinded")},
        "unblinded_by": last["unblinded"].payload.get("who", ""),
        "unblinding_reason": last["unblinded"].payload.get("reason", ""),
        "anchors": (record.folder / ANCHORS).is_file(),
    }


def deviations(
    record: UnblindedStudy, plan: Plan, readers: list[ReaderConduct]
) -> list[dict[str, str]]:
    """What went otherwise than the protocol said, with what it means for the result."""
    deviations = [*_protocol_changes(record), *_event_deviations(record.events)]
    accepted = record.locked.get("accepted_leaks", {"found": [], "reason": ""})
    deviations += [
        _deviation(
            f"leak accepted at lock: {leak}",
            f"readers may have known arms; accepted because {accepted['reason']}",
        )
        for leak in accepted["found"]
    ]
    joined, slots = sum(row.done > 0 for row in readers), record.bundle.n_slots
    if joined < slots:
        deviations.append(
            _deviation(
                f"{joined} of {slots} planned readers read", "the interval is wider than planned"
            )
        )
    for row in readers:
        if row.done < row.of:
            deviations.append(
                _deviation(
                    f"{row.reader} answered {row.done} of {row.of} trials",
                    "missing answers are left out and counted; see the row of readers who finished",
                )
            )
        if row.median_seconds is not None and row.median_seconds < FASTEST_SECONDS:
            deviations.append(
                _deviation(
                    f"{row.reader} took {row.median_seconds:.1f} s per trial (median)",
                    "see the analysis without fast trials",
                )
            )
    if joined < FEW_READERS:
        deviations.append(_deviation(f"{joined} readers", "results hold for these readers only"))
    if plan.unplanned_items:
        deviations.append(
            _deviation(
                f"items without a planned comparison: {', '.join(plan.unplanned_items)}",
                "their answers are tabulated, not tested",
            )
        )
    return deviations


def _deviation(what: str, consequence: str) -> dict[str, str]:
    return {"what": what, "consequence": consequence}


def _protocol_changes(record: UnblindedStudy) -> list[dict[str, str]]:
    deviations = []
    path, digest = record.folder / "protocol.toml", record.protocol_sha256
    if not path.is_file():
        deviations.append(_deviation("protocol.toml is no longer there", "the kept copy was used"))
    elif hashlib.sha256(path.read_bytes()).hexdigest() != digest:
        deviations.append(
            _deviation(
                "protocol.toml differs from the protocol in force",
                "the locked protocol, with its recorded amendments, was analysed; the edited file "
                "was not read",
            )
        )
    first = next((e.seq for e in record.events if e.kind == "answer"), None)
    deviations += [
        _amendment(event, late=first is not None and event.seq > first)
        for event in record.events_of("amended")
    ]
    return deviations


def _amendment(event: Event, *, late: bool) -> dict[str, str]:
    names = ", ".join(event.payload["changes"])
    planned = any(name.startswith("analysis") for name in event.payload["changes"])
    when = "after the first answer" if late else "before the first answer"
    consequence = f"made {when}, while the study was blinded"
    if planned:
        consequence += "; the amended plan was analysed"
    what = f"amendment of {event.at[:10]} changed {names} ({event.payload['reason']})"
    return _deviation(what, consequence)


def _event_deviations(events: Sequence[Event]) -> list[dict[str, str]]:
    deviations = []
    for event in events:
        said = event.payload.get("reason", "")
        if event.kind == "washout-overridden":
            deviations.append(
                _deviation(
                    f"{event.reader} opened session {event.payload['session'] + 1} before "
                    f"the washout was over ({said})",
                    "cases may have been remembered",
                )
            )
        if event.kind == "reader-withdrawn":
            deviations.append(
                _deviation(
                    f"{event.reader} left ({said or 'no reason given'})", "answers given were kept"
                )
            )
        if event.kind == "unblinded" and event.payload.get("missing"):
            deviations.append(
                _deviation(
                    f"unblinded while {', '.join(event.payload['missing'])} had not finished "
                    f"({said})",
                    "the decision to stop was made without seeing answers",
                )
            )
    return deviations

"""The course of a study as its record tells it: who read, what is missing, what went otherwise."""

import hashlib
from collections import Counter
from pathlib import Path
from typing import Any

import pandas as pd

from reader_study.analysis.tables import CANNOT_JUDGE
from reader_study.blinding.unblind import verify
from reader_study.design.analysis_plan import FEW_READERS, Plan
from reader_study.design.protocol import Protocol
from reader_study.design.protocol_file import read_protocol
from reader_study.record.anchors import ANCHORS
from reader_study.record.bundle import Bundle
from reader_study.record.coordinator import FASTEST_SECONDS, status
from reader_study.record.paths import locked_protocol
from reader_study.record.store import Event, Store


def expected_answers(key: dict[str, Any], slots: dict[str, int]) -> pd.DataFrame:
    """Every answer the allocation asks of the readers who joined: ``reader, trial, kind, item``.

    Parameters
    ----------
    slots : reader -> slot
    """
    items = [
        f"{item['name']}@{side}" if side else item["name"]
        for item in key["protocol"]["items"]
        for side in (("left", "right") if item["about"] == "each" else ("",))
    ]
    rows = [
        (reader, name, trial["kind"], item)
        for reader, slot in slots.items()
        for name, trial in key["trials"].items()
        if trial["slot"] == slot and trial["kind"] != "practice"
        for item in items
    ]
    return pd.DataFrame(rows, columns=["reader", "trial", "kind", "item"])


def last_answers(ratings: pd.DataFrame) -> pd.DataFrame:
    """Last revision of every answer, those taken back and ``cannot-judge`` included."""
    keys = ["reader", "trial", "item", "side"]
    last = ratings.sort_values("revision", kind="stable").groupby(keys, sort=False).tail(1)
    side = last["side"].where(last["side"] == "", "@" + last["side"])
    return last.assign(item=last["item"] + side)


def protocol_in_force(
    study: Path, key: dict[str, Any], bundle: Bundle, store: Store
) -> tuple[Protocol, str]:
    """The locked protocol, or the last amended one, and its SHA-256.

    Raises
    ------
    ValueError
        An amendment was recorded, and its text is not where the amendment left it.
    """
    amended = store.events("amended")
    if not amended:
        return Protocol.model_validate(key["protocol"]), bundle.facts["protocol_sha256"]
    digest = amended[-1].payload["protocol_sha256"]
    path = locked_protocol(study)
    if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != digest:
        raise ValueError(
            f"{path} is not the protocol of the last amendment (SHA-256 {digest}); put that file "
            "back: the plan in it is the one to analyse"
        )
    return read_protocol(path)


def flow(
    key: dict[str, Any],
    store: Store,
    expected: pd.DataFrame,
    last: pd.DataFrame,
    *,
    primary: str,
    n_analysed: int,
) -> dict[str, Any]:
    """Counts for the flow diagram; answers are those to the primary item in main trials."""
    readers = store.readers()
    withdrawn = store.events("reader-withdrawn")
    asked = expected[
        (expected["kind"] == "main") & (expected["item"].str.split("@").str[0] == primary)
    ]
    given = asked.merge(last[["reader", "trial", "item", "value"]], how="left",
                        on=["reader", "trial", "item"])  # fmt: skip
    withheld = int((given["value"].astype(str) == CANNOT_JUDGE).sum())
    answered = int(given["value"].notna().sum()) - withheld
    kinds = Counter(trial["kind"] for trial in key["trials"].values())
    reading = [case for case in key["protocol"]["cases"] if not case["practice"]]
    return {
        "cases": len(reading),
        "patients": len({case["patient"] for case in reading}),
        "slots": max((trial["slot"] for trial in key["trials"].values()), default=0),
        "readers": len(readers),
        "replaced": sum(e.payload.get("reason") == "replaced" for e in withdrawn),
        "withdrawn": sum(e.payload.get("reason") != "replaced" for e in withdrawn),
        "trials": {kind: kinds.get(kind, 0) for kind in ("practice", "main", "repeat", "catch")},
        "asked": len(asked), "answered": answered, "withheld": withheld,
        "missing": len(asked) - answered - withheld, "analysed": n_analysed,
    }  # fmt: skip


def reader_rows(study: Path, store: Store) -> list[dict[str, Any]]:
    """One row per reader, under the number that stands for the name."""
    rows = []
    for row in status(study)["readers"]:
        own = store.events(reader=row["reader"])
        displays = [e.payload for e in own if e.kind == "display-checked"]
        rows.append(
            {
                **{n: row[n] for n in ("reader", "slot", "active", "done", "of", "flags")},
                "median_seconds": row["median_seconds"],
                "visits": sum(e.kind == "opened" for e in own),
                "pauses": sum(e.kind in {"paused", "away"} for e in own),
                "first_day": next((e.at[:10] for e in own if e.kind == "answer"), ""),
                "last_day": next((e.at[:10] for e in reversed(own) if e.kind == "answer"), ""),
                "display": displays[-1] if displays else {},
            }
        )
    return rows


def integrity(study: Path, bundle: Bundle, store: Store) -> dict[str, Any]:
    """Hashes and verdict that let an outsider check the record.

    Raises
    ------
    ValueError
        The record was changed; nothing may be analysed then.
    """
    verdict = verify(study)
    if not verdict.ok:
        raise ValueError(
            f"the record is not intact ({verdict.fault}); see reader-study verify. An analysis of "
            "changed data is refused"
        )
    events = store.events()
    last = {event.kind: event for event in events}
    seq, head = store.head()
    return {
        "ok": True, "events": verdict.n_events, "answers": verdict.n_answers,
        "notes": list(verdict.notes), "commitment": bundle.commitment,
        "protocol_sha256": bundle.facts["protocol_sha256"], "bundle_sha256": bundle.sha256,
        "locked_at": events[0].at, "head": f"{seq}:{head}",
        **{f"{kind}_at": last[kind].at for kind in ("closed", "unblinded")},
        "unblinded_by": last["unblinded"].payload.get("who", ""),
        "unblinding_reason": last["unblinded"].payload.get("reason", ""),
        "anchors": (study / ANCHORS).is_file(),
    }  # fmt: skip


def deviations(
    study: Path, store: Store, plan: Plan, readers: list[dict[str, Any]], *, slots: int, digest: str
) -> list[dict[str, str]]:
    """What went otherwise than the protocol said, with what it means for the result.

    Parameters
    ----------
    slots : readers planned
    digest : SHA-256 of the protocol in force
    """
    events = store.events()
    found = [*_protocol_changes(study, digest, events), *_event_deviations(events)]
    joined = sum(r["done"] > 0 for r in readers)
    if joined < slots:
        found.append(_deviation(
            f"{joined} of {slots} planned readers read", "the interval is wider than planned"
        ))  # fmt: skip
    for row in readers:
        if row["done"] < row["of"]:
            found.append(_deviation(
                f"{row['reader']} answered {row['done']} of {row['of']} trials",
                "missing answers are left out and counted; see the row of readers who finished",
            ))  # fmt: skip
        if row["median_seconds"] is not None and row["median_seconds"] < FASTEST_SECONDS:
            found.append(_deviation(
                f"{row['reader']} took {row['median_seconds']:.1f} s per trial (median)",
                "see the analysis without fast trials",
            ))  # fmt: skip
    if joined < FEW_READERS:
        found.append(_deviation(
            f"{joined} readers", "results hold for these readers only"
        ))  # fmt: skip
    if plan.unplanned_items:
        found.append(_deviation(
            f"items without a planned comparison: {', '.join(plan.unplanned_items)}",
            "their answers are tabulated, not tested",
        ))  # fmt: skip
    return found


def _deviation(what: str, consequence: str) -> dict[str, str]:
    return {"what": what, "consequence": consequence}


def _protocol_changes(study: Path, digest: str, events: list[Event]) -> list[dict[str, str]]:
    found = []
    path = study / "protocol.toml"
    if not path.is_file():
        found.append(_deviation("protocol.toml is no longer there", "the kept copy was used"))
    elif hashlib.sha256(path.read_bytes()).hexdigest() != digest:
        found.append(
            _deviation(
                "protocol.toml differs from the protocol in force",
                "the locked protocol, with its recorded amendments, was analysed; the edited file "
                "was not read",
            )
        )
    first = next((e.seq for e in events if e.kind == "answer"), None)
    for event in events:
        if event.kind == "amended":
            found.append(_amendment(event, late=first is not None and event.seq > first))
    return found


def _amendment(event: Event, *, late: bool) -> dict[str, str]:
    names = ", ".join(event.payload["changes"])
    planned = any(name.startswith("analysis") for name in event.payload["changes"])
    when = "after the first answer" if late else "before the first answer"
    consequence = f"made {when}, while the study was blinded"
    if planned:
        consequence += "; the amended plan was analysed"
    what = f"amendment of {event.at[:10]} changed {names} ({event.payload['reason']})"
    return _deviation(what, consequence)


def _event_deviations(events: list[Event]) -> list[dict[str, str]]:
    found = []
    for event in events:
        said = event.payload.get("reason", "")
        if event.kind == "washout-overridden":
            found.append(_deviation(
                f"{event.reader} opened session {event.payload['session'] + 1} before the washout "
                f"was over ({said})", "cases may have been remembered",
            ))  # fmt: skip
        if event.kind == "reader-withdrawn":
            found.append(_deviation(
                f"{event.reader} left ({said or 'no reason given'})", "answers given were kept"
            ))  # fmt: skip
        if event.kind == "unblinded" and event.payload.get("missing"):
            found.append(_deviation(
                f"unblinded while {', '.join(event.payload['missing'])} had not finished "
                f"({said})", "the decision to stop was made without seeing answers",
            ))  # fmt: skip
    return found

"""Tidy tables after unblinding: one row per answer, per mark, per event."""

import json
from pathlib import Path
from typing import Any

import pandas as pd

from reader_study.record.coordinator import opened
from reader_study.record.store import Answer
from reader_study.room.session import (
    CANNOT_JUDGE,
    COMMENT,
    GUESS,
    MARKS,
)

RATINGS = [
    "study",
    "reader",
    "session",
    "trial",
    "position",
    "kind",
    "layout",
    "case",
    "patient",
    "stratum",
    "item",
    "side",
    "arm_left",
    "arm_right",
    "value",
    "seconds",
    "revision",
    "answered_at",
]
MARKS_COLUMNS = ["study", "reader", "trial", "case", "arm", "kind", "x", "y", "z"]
MARKS_COLUMNS += ["confidence", "revision"]


def read_key(study: str | Path) -> dict[str, Any]:
    """The opened key.

    Raises
    ------
    ValueError
        The study has not been unblinded.
    """
    path = Path(study) / "unblinded" / "key.json"
    if not path.is_file():
        raise ValueError("the study is not unblinded; reader-study close and unblind come first")
    return json.loads(path.read_text("utf-8"))


def ratings_table(study: str | Path, key: dict[str, Any]) -> pd.DataFrame:
    """Every revision of every answer with the arms it was about.

    ``value`` is what was answered: ``left``, ``right`` or ``tie`` for a preference, a number for
    scales and sliders, ``cannot-judge``; empty where an answer was taken back. ``kind`` is
    ``practice``, ``main``, ``repeat`` or ``catch``.
    """
    with opened(study) as (bundle, store):
        answers = store.answers()
    asked = [answer for answer in answers if answer.item not in (MARKS, COMMENT)]
    rows = [_row(bundle.study_id, answer, key) for answer in asked]
    return pd.DataFrame(rows, columns=RATINGS)


def _row(study_id: str, answer: Answer, key: dict[str, Any]) -> dict[str, Any]:
    trial, protocol = key["trials"][answer.trial], key["protocol"]
    case, arms = protocol["cases"][trial["case"]], protocol["arms"]
    right = trial["right_arm"]
    item, _, side = answer.item.partition("@")
    return {
        "study": study_id,
        "reader": answer.reader,
        "session": answer.session + 1,
        "trial": answer.trial,
        "position": trial["position"] + 1,
        "kind": trial["kind"],
        "layout": "single" if right is None else "pair",
        "case": case["name"],
        "patient": case["patient"],
        "stratum": case["stratum"],
        "item": "guess" if answer.item == GUESS else item,
        "side": side,
        "arm_left": arms[trial["left_arm"]]["name"],
        "arm_right": "" if right is None else arms[right]["name"],
        "value": answer.value,
        "seconds": answer.seconds,
        "revision": answer.revision,
        "answered_at": answer.at,
    }


def marks_table(study: str | Path, key: dict[str, Any]) -> pd.DataFrame:
    """Every mark of the last revision, in voxels of the whole series."""
    with opened(study) as (bundle, store):
        last = {(a.reader, a.trial): a for a in store.answers() if a.item == MARKS}
    protocol, rows = key["protocol"], []
    for answer in last.values():
        trial = key["trials"][answer.trial]
        case = protocol["cases"][trial["case"]]
        first = (case["slices"] or [0])[0]
        for mark in answer.value or []:
            arm = trial["left_arm"] if mark["side"] == "left" else trial["right_arm"]
            rows.append(
                {
                    "study": bundle.study_id,
                    "reader": answer.reader,
                    "trial": answer.trial,
                    "case": case["name"],
                    "arm": protocol["arms"][arm]["name"],
                    "kind": mark["kind"],
                    **{"x": mark["x"], "y": mark["y"], "z": mark["z"] + first},
                    "confidence": mark["confidence"],
                    "revision": answer.revision,
                }
            )
    return pd.DataFrame(rows, columns=MARKS_COLUMNS)


def events_table(study: str | Path) -> pd.DataFrame:
    """What happened, answers aside; codes' hashes are left out."""
    with opened(study) as (_, store):
        events = store.events()
    rows = []
    for event in events:
        if event.kind == "answer":
            continue
        payload = {n: v for n, v in event.payload.items() if n not in ("code_hash", "balance")}
        rows.append([event.seq, event.at, event.kind, event.reader, json.dumps(payload)])
    return pd.DataFrame(rows, columns=["event", "at", "kind", "reader", "facts"])


def comments_table(study: str | Path, key: dict[str, Any]) -> pd.DataFrame:
    """Last comment on each trial."""
    with opened(study) as (_, store):
        said = [a for a in store.answers() if a.item == COMMENT]
    last = {(a.reader, a.trial): a for a in said}
    cases = key["protocol"]["cases"]
    rows = [
        [a.reader, a.trial, cases[key["trials"][a.trial]["case"]]["name"], a.value]
        for a in last.values()
        if a.value
    ]
    return pd.DataFrame(rows, columns=["reader", "trial", "case", "comment"])


def final_ratings(ratings: pd.DataFrame) -> pd.DataFrame:
    """Last revision of each answer, without those taken back and without cannot-judge."""
    keys = ["reader", "trial", "item", "side"]
    last = ratings.sort_values("revision").groupby(keys, sort=False).tail(1)
    kept = last["value"].notna() & (last["value"] != CANNOT_JUDGE)
    return last[kept].sort_values(["reader", "position"]).reset_index(drop=True)

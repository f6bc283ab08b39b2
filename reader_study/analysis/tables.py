"""Tidy tables after unblinding: one row per answer, per mark, per event."""

import json
from typing import Any

import pandas as pd

from reader_study.record.store import Answer
from reader_study.record.study_record import StudyRecord, UnblindedStudy
from reader_study.room.answer_check import CANNOT_JUDGE
from reader_study.room.questions import COMMENT, GUESS, MARKS, TRUST, WHERE

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
_UNTOLD = {"code_hash", "balance", "label"}  # label: the name, in studies of earlier versions
MARKS_COLUMNS = ["study", "reader", "trial", "case", "arm", "kind", "x", "y", "z"]
MARKS_COLUMNS += ["confidence", "revision"]


def ratings_table(record: UnblindedStudy) -> pd.DataFrame:
    """Every revision of every answer with the arms it was about.

    ``value`` is what was answered: ``left``, ``right`` or ``tie`` for a preference, a number for
    scales and sliders, ``cannot-judge``; empty where an answer was taken back. ``kind`` is
    ``practice``, ``main``, ``repeat`` or ``catch``.
    """
    told = [a for a in record.answers if a.item not in (MARKS, COMMENT, WHERE)]
    rows = [_row(record, a) for a in told if not a.item.startswith(TRUST)]
    return pd.DataFrame(rows, columns=RATINGS)


def _row(record: UnblindedStudy, answer: Answer) -> dict[str, Any]:
    trial, protocol = record.key.trials[answer.trial], record.protocol
    case, right = protocol.cases[trial.case], trial.right_arm
    item, _, side = answer.item.partition("@")
    return {
        "study": record.bundle.study_id,
        "reader": answer.reader,
        "session": answer.session + 1,
        "trial": answer.trial,
        "position": trial.position + 1,
        "kind": trial.kind,
        "layout": "single" if right is None else "pair",
        "case": case.name,
        "patient": case.patient,
        "stratum": case.stratum,
        "item": "guess" if answer.item == GUESS else item,
        "side": side,
        "arm_left": protocol.arms[trial.left_arm].name,
        "arm_right": "" if right is None else protocol.arms[right].name,
        "value": answer.value,
        "seconds": answer.seconds,
        "revision": answer.revision,
        "answered_at": answer.at,
    }


def marks_table(record: UnblindedStudy) -> pd.DataFrame:
    """Every mark of the last revision, in voxels of the whole series."""
    last = {(a.reader, a.trial): a for a in record.answers if a.item == MARKS}
    protocol, rows = record.protocol, []
    for answer in last.values():
        trial = record.key.trials[answer.trial]
        case = protocol.cases[trial.case]
        first = case.slices[0] if case.slices else 0
        for mark in answer.value or []:
            right = trial.left_arm if trial.right_arm is None else trial.right_arm
            arms = {"left": trial.left_arm, "right": right}
            rows.append(
                {
                    "study": record.bundle.study_id,
                    "reader": answer.reader,
                    "trial": answer.trial,
                    "case": case.name,
                    "arm": protocol.arms[arms[mark["side"]]].name,
                    "kind": mark["kind"],
                    **{"x": mark["x"], "y": mark["y"], "z": mark["z"] + first},
                    "confidence": mark["confidence"],
                    "revision": answer.revision,
                }
            )
    return pd.DataFrame(rows, columns=MARKS_COLUMNS)


def events_table(record: StudyRecord) -> pd.DataFrame:
    """What happened, answers aside; codes' hashes and readers' names are left out."""
    rows = []
    for event in record.events:
        if event.kind == "answer":
            continue
        payload = {n: v for n, v in event.payload.items() if n not in _UNTOLD}
        rows.append([event.seq, event.at, event.kind, event.reader, json.dumps(payload)])
    return pd.DataFrame(rows, columns=["event", "at", "kind", "reader", "facts"])


def comments_table(record: UnblindedStudy) -> pd.DataFrame:
    """Last comment on each trial."""
    last = {(a.reader, a.trial): a for a in record.answers if a.item == COMMENT}
    rows = [
        [a.reader, a.trial, record.protocol.cases[record.key.trials[a.trial].case].name, a.value]
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

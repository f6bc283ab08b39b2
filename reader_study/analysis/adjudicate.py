"""Adjudication: a second phase, with the reference revealed, that classes what readers marked.

Blinded readers cannot mark what is no longer there, and cannot know whether what they marked is
real. After unblinding, each mark is therefore shown beside the reference image of its case, and
classed. The phase is a locked study of its own, read in the same room.
"""

import secrets
import shutil
from pathlib import Path
from typing import Any

import pandas as pd

from ctlab.files import canonical, fresh_folder, write_csv
from reader_study.analysis.tables import marks_table
from reader_study.blinding.sealed_key import FORMAT_VERSION, seal, unseal
from reader_study.design.random_streams import Stream
from reader_study.design.texts import load_texts
from reader_study.record.anchors import write_anchor
from reader_study.record.bundle import PIXEL_FOLDER, STUDY_FILE, open_bundle
from reader_study.record.paths import sealed_key
from reader_study.record.store import Store, latest, utc_now
from reader_study.record.study_record import UnblindedStudy, read_unblinded

FOLDER = "adjudication"
CLASSES = ("true-added", "true-lost", "artefact", "unsure")
_MODES = ["pair", "flicker", "wipe", "difference"]  # nothing is blinded here


def lock_adjudication(
    study: str | Path, *, passphrase: str, adjudicators: int = 2
) -> dict[str, Any]:
    """Make the locked adjudication study under ``STUDY/adjudication``.

    Each adjudicator sees every mark once, in an order of their own, not knowing who set it.

    Raises
    ------
    ValueError
        Not unblinded, no arm marked ``reference = true``, no marks, or made already.
    """
    record = read_unblinded(study)
    arms = record.protocol.arms
    reference = next((i for i, arm in enumerate(arms) if arm.reference), None)
    if reference is None:
        raise ValueError("adjudication wants an arm with reference = true in the protocol")
    marks = marks_table(record)
    if marks.empty:
        raise ValueError("no reader has set a mark; there is nothing to adjudicate")
    trials = [_shown(mark, record, reference) for mark in marks.to_dict("records")]
    folder = record.folder / FOLDER
    with fresh_folder(folder) as part:
        facts, secret = _facts(record, trials, adjudicators)
        sealed, facts["commitment"] = seal(secret, passphrase)
        _write(record.folder, part, facts, sealed)
    return {"marks": len(trials), "commitment": facts["commitment"], "folder": folder}


def _shown(mark: dict[Any, Any], record: UnblindedStudy, reference: int) -> dict[str, Any]:
    """The reference left, the processed image right, and the mark on the side it was set."""
    names = [arm.name for arm in record.protocol.arms]
    truth, marked = record.key.trials[mark["trial"]], names.index(mark["arm"])
    others = [a for a in (truth.left_arm, truth.right_arm) if a not in (None, reference)]
    processed = marked if marked != reference else next(iter(others), reference)
    slices = record.protocol.cases[truth.case].slices
    first = slices[0] if slices else 0
    spot = {"z": int(mark["z"]) - first, "y": mark["y"], "x": mark["x"], "kind": mark["kind"]}
    return {
        "images": [(truth.case, reference), (truth.case, processed)],
        "mark": {"side": "left" if marked == reference else "right", **spot},
        "about": {name: mark[name] for name in ("reader", "trial", "case", "arm", "x", "y", "z")},
    }


def _facts(
    record: UnblindedStudy, trials: list[dict[str, Any]], adjudicators: int
) -> tuple[dict[str, Any], dict[str, Any]]:
    """What the room gets, and what stays sealed: who set which mark on which arm."""
    slots: list[list[dict[str, Any]]] = []
    token_of = {(origin.case, origin.arm): t for t, origin in record.key.images.items()}
    words = load_texts(record.protocol.language)["adjudication"]
    seed, secret = secrets.randbits(256), {}
    for slot in range(adjudicators):
        shown = []
        for trial in Stream(seed, slot).shuffled(trials):
            name = secrets.token_hex(12)
            secret[name] = {**trial["about"], "slot": slot + 1}
            left, right = (token_of[where] for where in trial["images"])
            shown.append(
                {
                    "token": name,
                    "session": 0,
                    "practice": False,
                    "left": left,
                    "right": right,
                    "labels": [words["reference"], words["processed"]],
                    "given_marks": [trial["mark"]],
                }
            )
        slots.append(shown)
    study_facts = record.bundle.facts
    used = {trial[side] for slot in slots for trial in slot for side in ("left", "right")}
    facts = {
        **study_facts,
        "study_id": secrets.token_hex(8),
        "title": words["title"].replace("{title}", study_facts["title"]),
        "locked_at": utc_now().isoformat(timespec="seconds"),
        "consent": "",
        "items": [_item(words)],
        "guess": None,
        "trust": None,
        "design": {**study_facts["design"], "sessions": 1, "undo": "session"},
        "view": {**study_facts["view"], "modes": _MODES, "first": "pair"},
        "images": {t: study_facts["images"][t] for t in sorted(used)},
        "slots": slots,
    }
    sealed = {"format_version": FORMAT_VERSION, "study_id": facts["study_id"]}
    return facts, {**sealed, "trials": secret, "seed": str(seed)}


def _item(words: dict[str, str]) -> dict[str, Any]:
    """The one question of this phase; its answers stand in the order of ``CLASSES``."""
    return {
        "name": "class",
        "kind": "choice",
        "question": words["question"],
        "answers": [words[name] for name in CLASSES],
        "ties": False,
        "about": "pair",
        "marks": [],
    }


def _write(study: Path, part: Path, facts: dict[str, Any], sealed: bytes) -> None:
    pixels = part / "bundle" / PIXEL_FOLDER
    pixels.mkdir(parents=True)
    for token in facts["images"]:
        shutil.copyfile(study / "bundle" / PIXEL_FOLDER / token, pixels / token)
    (part / "bundle" / STUDY_FILE).write_text(canonical(facts), "utf-8")
    sealed_key(part).parent.mkdir()
    sealed_key(part).write_bytes(sealed)
    # A database of its own beside the bundle, also where the study itself uses PostgreSQL.
    store = Store(f"sqlite:///{part / 'study.db'}")
    names = ("study_id", "protocol_sha256", "commitment")
    link = store.create(
        {
            **{name: facts[name] for name in names},
            "bundle_sha256": open_bundle(part / "bundle").sha256,
            "balance": {"ok": True, "faults": []},
        }
    )
    store.close()
    write_anchor(part, link.seq, link.hash)


def collect_adjudication(study: str | Path, *, passphrase: str) -> Path:
    """Join the closed adjudication to the marks: ``STUDY/tables/adjudication.csv``.

    Raises
    ------
    ValueError
        The adjudication was not made, is still open, or the passphrase is wrong.
    """
    folder = Path(study) / FOLDER
    store = Store(f"sqlite:///{folder / 'study.db'}")
    try:
        bundle = open_bundle(folder / "bundle")
        store.check(bundle.study_id)
        if not store.is_closed():
            raise ValueError(f"the adjudication is still open; reader-study close {folder} first")
        answers = latest(store.answers()).values()
    finally:
        store.close()
    key = unseal(sealed_key(folder).read_bytes(), passphrase, commitment=bundle.commitment)
    code = dict(zip(bundle.items[0]["answers"], CLASSES, strict=True))
    rows = [
        {"adjudicator": a.reader, **key["trials"][a.trial], "class": code.get(a.value, a.value)}
        for a in answers
        if a.item == "class"
    ]
    path = Path(study) / "tables" / "adjudication.csv"
    columns = ["adjudicator", "reader", "trial", "case", "arm", "x", "y", "z", "class"]
    write_csv(path, pd.DataFrame(rows, columns=columns))
    return path

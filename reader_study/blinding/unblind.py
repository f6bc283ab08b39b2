"""After the reading: the verdict on the record, and the opening of the sealed key."""

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from ctlab.files import write_whole
from reader_study.blinding.sealed_key import unseal
from reader_study.design.allocation import ALGORITHM, draw_allocation
from reader_study.record.anchors import ANCHORS, read_anchors, write_anchor
from reader_study.record.bundle import Bundle
from reader_study.record.coordinator import StudyStatus, opened, status_of
from reader_study.record.hash_chain import Verdict, verify_contents
from reader_study.record.paths import sealed_key
from reader_study.record.store import utc_now
from reader_study.record.study_record import Key, StudyRecord, key_from, read_study


def verify(study: str | Path, receipts: list[Path] | None = None) -> Verdict:
    """Verdict on a study, as :func:`verify_record` gives it."""
    return verify_record(read_study(study), receipts)


def verify_record(record: StudyRecord, receipts: list[Path] | None = None) -> Verdict:
    """Chain, answers, bundle and commitment of a study, against receipts where given.

    Anchors are taken from the receipts and from ``anchors.txt`` in the study, whose absence is a
    fault. Whoever can write in the folder can rewrite the record and that file alike: only
    receipts held elsewhere show it, and the verdict says whether there were any.
    """
    own = record.folder / ANCHORS
    kept, held = read_anchors([own] if own.exists() else []), read_anchors(receipts or [])
    anchors = read_anchors([*([own] if own.exists() else []), *(receipts or [])])
    verdict = verify_contents(record, anchors)
    problem = (_anchor_problem(own) or _bundle_problem(record)) if verdict.ok else ""
    if problem:
        verdict = replace(verdict, fault=problem, bad_seq=1)
    return replace(verdict, against=_against(len(kept), len(held)))


def _anchor_problem(path: Path) -> str:
    if path.exists():
        return ""
    return f"{path.name} is missing: it was removed, or must be brought back from a backup"


def _against(n_kept: int, n_held: int) -> tuple[str, str]:
    kept = f"{n_kept} anchors in this folder, which whoever can change the record can change too"
    if n_held:
        return kept, f"{n_held} receipts held elsewhere"
    return kept, "no receipt held elsewhere: a wholly rewritten record would pass; use --receipts"


def export_anchor(study: str | Path, path: Path) -> str:
    """Write the head of an intact record to a file to be kept elsewhere; what was written.

    Raises
    ------
    ValueError
        The record is not intact: a broken chain must not be anchored.
    """
    record = read_study(study)
    verdict = verify_record(record)
    if not verdict.ok:
        raise ValueError(f"the record is not intact ({verdict.fault}); nothing was anchored")
    title = f"study {record.bundle.study_id}, {utc_now():%Y-%m-%d %H:%M} UTC"
    with write_whole(path) as part:
        part.write_text(f"{title}\n{record.head}\n", "utf-8")
    return record.head


def _bundle_problem(record: StudyRecord) -> str:
    if record.bundle.sha256 != record.locked["bundle_sha256"]:
        return "the bundle is not the one that was locked"
    damaged = record.bundle.damaged()
    return f"image {damaged[0]} is missing or was changed" if damaged else ""


def unblind(study: str | Path, *, passphrase: str, who: str, reason: str = "") -> Key:
    """Open the sealed key of a closed and intact study; recorded with who and why.

    Raises
    ------
    ValueError
        The study is open, was changed, is incomplete or unblinded already without a reason, or
        the key is not the one committed to at lock.
    """
    record = read_study(study)
    progress = status_of(record)
    if not progress.closed:
        raise ValueError("the study is still open; reader-study close comes first")
    verdict = verify_record(record)
    if not verdict.ok:
        raise ValueError(f"the record is not intact ({verdict.fault}); see reader-study verify")
    missing = [r.reader for r in progress.readers if r.active and not r.finished]
    why = _needs_reason(progress, missing)
    if why and not reason.strip():
        raise ValueError(f"{why}; pass --reason to unblind all the same, and it will be recorded")
    path = sealed_key(study)
    if not path.is_file():
        raise ValueError(f"{path} is not there; bring the sealed key back from where it was kept")
    with opened(study) as (bundle, store):
        unsealed = unseal(path.read_bytes(), passphrase, commitment=bundle.commitment)
        key = key_from(unsealed)
        _check_key(key, bundle)
        facts: dict[str, Any] = {
            "who": who,
            "reason": reason.strip(),
            "missing": missing,
            "empty_slots": progress.empty_slots,
        }
        link = store.append("unblinded", **facts)
    write_anchor(study, link.seq, link.hash)
    with write_whole(Path(study) / "unblinded" / "key.json") as part:
        part.write_text(json.dumps(unsealed, indent=1, sort_keys=True), "utf-8")
    return key


def _needs_reason(progress: StudyStatus, missing: list[str]) -> str:
    """What must be explained before the key is opened; empty where nothing must."""
    if progress.unblinded:
        return "the study has been unblinded before"
    if missing:
        return f"{', '.join(missing)} {'has' if len(missing) == 1 else 'have'} not finished"
    if empty := progress.empty_slots:
        return f"{empty} of {progress.slots} reader slots {'is' if empty == 1 else 'are'} empty"
    return ""


def _check_key(key: Key, bundle: Bundle) -> None:
    """The key belongs to this bundle, and its seed gives the allocation it lists."""
    if key.study_id != bundle.study_id:
        raise ValueError("the sealed key belongs to another study")
    if key.algorithm != ALGORITHM:
        return  # an older algorithm cannot be drawn again here; the commitment still holds
    drawn = draw_allocation(key.protocol, seed=key.seed)
    listed = sorted(key.trials.values(), key=lambda t: (t.slot, t.position))
    shown = [trial for slot in drawn.slots for trial in slot]
    for trial, facts in zip(shown, listed, strict=True):
        again = asdict(trial)
        if any(getattr(facts, name) != again[name] for name in again if name != "repeat_of"):
            raise ValueError("the allocation in the key is not the one its seed gives")

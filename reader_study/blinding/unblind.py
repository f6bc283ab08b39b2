"""After the reading: is the record intact, and what was behind the tokens?"""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ctlab.files import write_whole
from reader_study.blinding.sealed_key import unseal
from reader_study.design.allocation import ALGORITHM, draw_allocation
from reader_study.design.protocol import Protocol
from reader_study.record.anchors import ANCHORS, read_anchors, write_anchor
from reader_study.record.bundle import Bundle
from reader_study.record.coordinator import opened, status
from reader_study.record.hash_chain import Verdict, verify_store
from reader_study.record.paths import sealed_key
from reader_study.record.store import Store, utc_now


def verify(study: str | Path, receipts: list[Path] | None = None) -> Verdict:
    """Chain, answers, bundle and commitment of a study, against receipts where given.

    Anchors are taken from the receipts and from ``anchors.txt`` in the study.
    """
    own = Path(study) / ANCHORS
    anchors = read_anchors([*([own] if own.exists() else []), *(receipts or [])])
    with opened(study) as (bundle, store):
        verdict = verify_store(store, anchors)
        problem = _bundle_problem(bundle, store) if verdict.ok else ""
    if problem:
        return Verdict(verdict.n_events, verdict.n_answers, problem, 1, verdict.notes)
    return verdict


def export_anchor(study: str | Path, path: Path) -> str:
    """Write the head of an intact record to a file to be kept elsewhere; what was written.

    Raises
    ------
    ValueError
        The record is not intact: a broken chain must not be anchored.
    """
    verdict = verify(study)
    if not verdict.ok:
        raise ValueError(f"the record is not intact ({verdict.fault}); nothing was anchored")
    with opened(study) as (bundle, store):
        seq, digest = store.head()
        text = f"study {bundle.study_id}, {utc_now():%Y-%m-%d %H:%M} UTC\n{seq}:{digest}\n"
    with write_whole(path) as part:
        part.write_text(text, "utf-8")
    return f"{seq}:{digest}"


def _bundle_problem(bundle: Bundle, store: Store) -> str:
    locked = store.events("locked")[0].payload
    if bundle.sha256 != locked["bundle_sha256"]:
        return "the bundle is not the one that was locked"
    damaged = bundle.damaged()
    return f"image {damaged[0]} is missing or was changed" if damaged else ""


def unblind(study: str | Path, *, passphrase: str, who: str, reason: str = "") -> dict[str, Any]:
    """Open the sealed key of a closed and intact study; recorded with who and why.

    Raises
    ------
    ValueError
        The study is open, was changed, is incomplete or unblinded already without a reason, or
        the key is not the one committed to at lock.
    """
    progress = status(study)
    if not progress["closed"]:
        raise ValueError("the study is still open; reader-study close comes first")
    verdict = verify(study)
    if not verdict.ok:
        raise ValueError(f"the record is not intact ({verdict.fault}); see reader-study verify")
    missing = [r["reader"] for r in progress["readers"] if r["active"] and r["done"] < r["of"]]
    why = _needs_reason(progress, missing)
    if why and not reason.strip():
        raise ValueError(f"{why}; pass --reason to unblind all the same, and it will be recorded")
    path = sealed_key(study)
    if not path.is_file():
        raise ValueError(f"{path} is not there; bring the sealed key back from where it was kept")
    with opened(study) as (bundle, store):
        key = unseal(path.read_bytes(), passphrase, commitment=bundle.commitment)
        _check_key(key, bundle)
        empty = _empty_slots(progress)
        facts: dict[str, Any] = {
            "who": who,
            "reason": reason.strip(),
            "missing": missing,
            "empty_slots": empty,
        }
        link = store.append("unblinded", **facts)
    write_anchor(study, link.seq, link.hash)
    with write_whole(Path(study) / "unblinded" / "key.json") as part:
        part.write_text(json.dumps(key, indent=1, sort_keys=True), "utf-8")
    return key


def _empty_slots(progress: dict[str, Any]) -> int:
    """Reader slots of the design that nobody reads in."""
    return progress["slots"] - sum(row["active"] for row in progress["readers"])


def _needs_reason(progress: dict[str, Any], missing: list[str]) -> str:
    """What must be explained before the key is opened; empty where nothing must."""
    if progress["unblinded"]:
        return "the study has been unblinded before"
    if missing:
        return f"{', '.join(missing)} {'has' if len(missing) == 1 else 'have'} not finished"
    if empty := _empty_slots(progress):
        return f"{empty} of {progress['slots']} reader slots {'is' if empty == 1 else 'are'} empty"
    return ""


def _check_key(key: dict[str, Any], bundle: Bundle) -> None:
    """The key belongs to this bundle, and its seed gives the allocation it lists."""
    if key["study_id"] != bundle.study_id:
        raise ValueError("the sealed key belongs to another study")
    if key["algorithm"] != ALGORITHM:
        return  # an older algorithm cannot be drawn again here; the commitment still holds
    drawn = draw_allocation(Protocol.model_validate(key["protocol"]), seed=int(key["seed"]))
    listed = sorted(key["trials"].values(), key=lambda t: (t["slot"], t["position"]))
    shown = [trial for slot in drawn.slots for trial in slot]
    for trial, facts in zip(shown, listed, strict=True):
        again = asdict(trial)
        if any(facts[name] != again[name] for name in again if name != "repeat_of"):
            raise ValueError("the allocation in the key is not the one its seed gives")

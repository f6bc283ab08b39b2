"""What the coordinator does around the reading: readers, status, verify, close, unblind."""

import json
from dataclasses import asdict
from datetime import datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any

from ctlab.ct.files import write_whole

from .allocation import ALGORITHM, draw_allocation
from .bundle import Bundle, open_bundle
from .chain import Verdict, read_anchors, verify_store
from .codes import hash_of, new_code
from .paths import bundle_folder, database_url, sealed_key
from .protocol import Protocol
from .seal import unseal
from .store import Reader, Store, latest, utc_now

FASTEST_SECONDS = 2.0  # a median below this per trial is flagged as speeding
_QUIET_DAYS = 7  # a reader in the middle of a session and silent this long is flagged


def open_study(study: str | Path) -> tuple[Bundle, Store]:
    """Bundle and database of a locked study, checked to belong together."""
    bundle = open_bundle(bundle_folder(study))
    store = Store(database_url(study))
    store.check(bundle.study_id)
    return bundle, store


def add_reader(
    study: str | Path, name: str, *, valid_days: int = 365, replaces: str = ""
) -> tuple[Reader, str]:
    """New reader in the next free slot, or in the slot of the one replaced, and the code.

    The code is returned once and kept nowhere; the database holds its hash.

    Raises
    ------
    ValueError
        All slots are taken, the study is closed, or there is no such reader to replace.
    """
    bundle, store = open_study(study)
    if store.is_closed():
        raise ValueError("the study is closed; no reader can be added")
    active = [r for r in store.readers() if r.active]
    if replaces:
        slot = _active(active, replaces).slot
    else:
        free = sorted(set(range(1, bundle.n_slots + 1)) - {r.slot for r in active})
        if not free:
            raise ValueError(
                f"all {bundle.n_slots} reader slots are taken; replace a reader, or lock a study "
                "with more readers"
            )
        slot = free[0]
    code = new_code()
    expires = (utc_now() + timedelta(days=valid_days)).isoformat()
    reader = store.add_reader(
        slot, code_hash=hash_of(code), expires=expires, label=name, replaces=replaces
    )
    return reader, code


def withdraw_reader(study: str | Path, reader: str, reason: str = "") -> None:
    """A reader leaves; what was answered stays."""
    _, store = open_study(study)
    _active([r for r in store.readers() if r.active], reader)
    store.append("reader-withdrawn", reader, reason=reason)


def override_washout(study: str | Path, reader: str, session: int, reason: str) -> None:
    """Let a reader open a session (from 1) before the washout is over; recorded with its reason."""
    if not reason.strip():
        raise ValueError("an override of the washout needs a --reason for the record")
    _, store = open_study(study)
    _active([r for r in store.readers() if r.active], reader)
    store.append("washout-overridden", reader, session=session - 1, reason=reason.strip())


def _active(active: list[Reader], name: str) -> Reader:
    found = [r for r in active if r.reader == name]
    if not found:
        known = ", ".join(r.reader for r in active) or "none yet"
        raise ValueError(f"no active reader {name!r}; active: {known}")
    return found[0]


# ---------------------------------------------------------------- progress


def status(study: str | Path) -> dict[str, Any]:
    """Progress of every reader; no rating, no arm, nothing that unblinds."""
    bundle, store = open_study(study)
    rows = [_progress(bundle, store, reader) for reader in store.readers()]
    events = store.events()
    return {
        "study": bundle.study_id,
        "title": bundle.facts["title"],
        "closed": store.is_closed(),
        "unblinded": any(e.kind == "unblinded" for e in events),
        "commitment": bundle.commitment,
        "slots": bundle.n_slots,
        "events": len(events),
        "head": f"{events[-1].seq}:{events[-1].hash}",
        "readers": rows,
    }


def _progress(bundle: Bundle, store: Store, reader: Reader) -> dict[str, Any]:
    trials = [t for t in bundle.trials(reader.slot) if not t.practice]
    answers = store.answers(reader.reader)
    given = latest(answers)
    per_trial = sum(2 if item["about"] == "each" else 1 for item in bundle.items)
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
    if last and len(done) < len(trials) and _days_since(last) > _QUIET_DAYS:
        flags.append("silent")
    return {
        "reader": reader.reader,
        "slot": reader.slot,
        "active": reader.active,
        "done": len(done),
        "of": len(trials),
        "median_seconds": pace,
        "last_answer": last,
        "flags": flags,
    }


def _days_since(at: str) -> float:
    return (utc_now() - datetime.fromisoformat(at)).total_seconds() / 86_400


# ---------------------------------------------------------------- integrity


def verify(study: str | Path, receipts: list[Path] | None = None) -> Verdict:
    """Chain, answers, bundle and commitment of a study, against receipts where given."""
    bundle, store = open_study(study)
    paths = list(receipts or [])
    own = Path(study) / "anchors.txt"
    anchors = read_anchors([*([own] if own.exists() else []), *paths])
    verdict = verify_store(store, anchors)
    if not verdict.ok:
        return verdict
    locked = store.events("locked")[0].payload
    problems = []
    if bundle.sha256 != locked["bundle_sha256"]:
        problems.append("the bundle is not the one that was locked")
    if bundle.commitment != locked["commitment"]:
        problems.append("the commitment in the bundle is not the one that was locked")
    problems += [f"image {token} is missing or was changed" for token in bundle.damaged()]
    if problems:
        return Verdict(verdict.n_events, verdict.n_answers, problems[0], 1, verdict.notes)
    return verdict


def write_anchor(study: str | Path, seq: int, digest: str) -> None:
    """Append the head of the chain to ``anchors.txt``, to be copied to a safe place."""
    with (Path(study) / "anchors.txt").open("a", encoding="utf-8") as file:
        file.write(f"{seq}:{digest}\n")


def close(study: str | Path) -> dict[str, Any]:
    """End the reading; no answer is taken from then on."""
    _, store = open_study(study)
    if store.is_closed():
        raise ValueError("the study is closed already")
    progress = status(study)["readers"]
    counts = {row["reader"]: [row["done"], row["of"]] for row in progress}
    link = store.append("closed", done=counts)
    write_anchor(study, link.seq, link.hash)
    return {"receipt": f"{link.seq}:{link.hash}", "done": counts}


def unblind(study: str | Path, *, passphrase: str, who: str, reason: str = "") -> dict[str, Any]:
    """Open the sealed key of a closed and intact study; recorded with who and why.

    Raises
    ------
    ValueError
        The study is open, was changed, is incomplete without a reason, or the key is not the one
        committed to at lock.
    """
    bundle, store = open_study(study)
    if not store.is_closed():
        raise ValueError("the study is still open; reader-study close comes first")
    verdict = verify(study)
    if not verdict.ok:
        raise ValueError(f"the record is not intact ({verdict.fault}); see reader-study verify")
    missing = [r["reader"] for r in status(study)["readers"] if r["active"] and r["done"] < r["of"]]
    if missing and not reason.strip():
        raise ValueError(
            f"readers {', '.join(missing)} have not finished; pass --reason to unblind all the "
            "same, and it will be recorded"
        )
    path = sealed_key(study)
    if not path.is_file():
        raise ValueError(f"{path} is not there; bring the sealed key back from where it was kept")
    key = unseal(path.read_bytes(), passphrase, commitment=bundle.commitment)
    _check_key(key, bundle)
    store.append("unblinded", who=who, reason=reason.strip(), missing=missing)
    target = Path(study) / "unblinded" / "key.json"
    with write_whole(target) as part:
        part.write_text(json.dumps(key, indent=1, sort_keys=True), "utf-8")
    return key


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

"""Amendments: what may change after the lock, recorded with version, reason and difference."""

from pathlib import Path
from typing import Any

from reader_study.design.protocol import Protocol
from reader_study.design.protocol_file import read_protocol
from reader_study.record.coordinator import opened
from reader_study.record.paths import locked_protocol

AMENDABLE = (
    "title",
    "ethics",
    "population",
    "analysis",
    "design.undo",
    "design.washout_days",
    "design.break_after_minutes",
    "design.display_check",
    "design.answer_delay_ms",
    "design.idle_minutes",
    "design.own_results",
)


def amend_study(study: str | Path, *, reason: str) -> dict[str, Any]:
    """Record the difference between ``protocol.toml`` and the protocol in force.

    Images, arms, cases, questions and the allocation are frozen: they need a new study. What
    readers are told and how they are led follows the amendment from their next visit on; a
    changed consent is asked again.

    Raises
    ------
    ValueError
        No reason, no difference, a frozen part was changed, or the study is closed.
    """
    study = Path(study)
    if not reason.strip():
        raise ValueError("an amendment needs a --reason for the record")
    with opened(study) as (_, store):
        if store.is_closed():
            raise ValueError("the study is closed; nothing can be amended")
        before, _ = read_protocol(locked_protocol(study))
        after, digest = read_protocol(study / "protocol.toml")
        changes = differences(before, after)
        if not changes:
            raise ValueError("protocol.toml does not differ from the protocol in force")
        frozen = [name for name in changes if not name.startswith(AMENDABLE)]
        if frozen:
            raise ValueError(
                f"{frozen[0]} is frozen since the lock; only {', '.join(AMENDABLE)} may be "
                "amended, anything else needs a new study"
            )
        version = len(store.events("amended")) + 2  # the locked protocol is version 1
        store.append(
            "amended",
            version=version,
            reason=reason.strip(),
            protocol_sha256=digest,
            changes=changes,
            facts=reader_facts(after),
        )
    locked_protocol(study).write_bytes((study / "protocol.toml").read_bytes())
    return {"version": version, "changes": changes}


def differences(before: Protocol, after: Protocol) -> dict[str, list[Any]]:
    """Dotted name of every value that changed, with the old and the new one."""
    old, new = (_flat(p.model_dump(mode="json")) for p in (before, after))
    names = sorted(old.keys() | new.keys())
    return {n: [old.get(n), new.get(n)] for n in names if old.get(n) != new.get(n)}


def _flat(value: Any, prefix: str = "") -> dict[str, Any]:
    if isinstance(value, dict) and value:
        parts = (_flat(v, f"{prefix}.{k}" if prefix else k) for k, v in value.items())
        return {name: leaf for part in parts for name, leaf in part.items()}
    return {prefix: value}


def reader_facts(protocol: Protocol) -> dict[str, Any]:
    """What readers are told and how they are led; the part of the bundle that may change."""
    return {
        "title": protocol.title,
        "consent": protocol.ethics.consent.strip(),
        "population": {
            "prevalence_told": protocol.population.prevalence_told,
            "incidental_findings": protocol.population.incidental_findings,
        },
        "design": protocol.design.model_dump(
            mode="json",
            include={
                "layout",
                "sessions",
                "washout_days",
                "undo",
                "break_after_minutes",
                "display_check",
                "answer_delay_ms",
                "idle_minutes",
                "mark_difference",
                "own_results",
            },
        ),
    }

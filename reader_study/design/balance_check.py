"""Counts that prove an allocation balanced, recorded at lock; an unbalanced one is refused."""

from collections import Counter
from typing import Any

from reader_study.design.allocation import Allocation, rules_of
from reader_study.design.protocol import Protocol
from reader_study.design.trial_order import Trial, longest_run


def check_balance(protocol: Protocol, allocation: Allocation) -> dict[str, Any]:
    """Report with one row per slot and a list of faults; ``ok`` when there is no fault.

    The rows hold no arm names, so the report may be read before unblinding.
    """
    faults: list[str] = []
    rows = []
    for slot, trials in enumerate(allocation.slots):
        faults += [f"slot {slot + 1}: {fault}" for fault in _slot_faults(protocol, trials)]
        rows.append(_row(slot, trials))
    faults += _mirror_faults(protocol, allocation)
    faults += _block_faults(protocol, allocation)
    return {"ok": not faults, "faults": faults, "slots": rows, "cases": _spread(allocation)}


def _row(slot: int, trials: tuple[Trial, ...]) -> dict[str, Any]:
    main = [t for t in trials if t.kind == "main"]
    kinds = Counter(t.kind for t in trials)
    distances = [i - t.repeat_of for i, t in enumerate(trials) if t.repeat_of is not None]
    return {
        "slot": slot + 1,
        **{kind: kinds[kind] for kind in ("practice", "main", "repeat", "catch")},
        "first_arm_left": sum(t.side == 1 for t in main),
        "first_arm_right": sum(t.side == -1 for t in main),
        "longest_side_run": longest_run(list(trials)),
        "shortest_repeat_distance": min(distances, default=None),
        "sessions": len({t.session for t in trials}),
    }


def _spread(allocation: Allocation) -> dict[str, int]:
    """How often the least and the most read case are read."""
    readers = Counter(
        case for trials in allocation.slots for case in {t.case for t in trials if t.kind == "main"}
    )
    return {"least_readers": min(readers.values()), "most_readers": max(readers.values())}


def _slot_faults(protocol: Protocol, trials: tuple[Trial, ...]) -> list[str]:
    faults = []
    if protocol.design.is_paired:
        faults += _side_faults(protocol, trials)
    else:
        faults += _session_faults(trials)
    for i, trial in enumerate(trials):
        if trial.repeat_of is None:
            continue
        first = trials[trial.repeat_of]
        if first.kind != "main" or first.case != trial.case:
            faults.append(f"trial {i + 1} repeats something that is not its main trial")
        elif trial.right_arm is not None and trial.side == first.side:
            faults.append(f"repeat at trial {i + 1} is not mirrored")
    return faults + _order_faults(protocol, trials)


def _side_faults(protocol: Protocol, trials: tuple[Trial, ...]) -> list[str]:
    sides: Counter[tuple[Any, ...]] = Counter()
    for trial in trials:
        if trial.kind == "main":
            sides[protocol.cases[trial.case].stratum, trial.comparison] += trial.side or 0
    faults = [
        f"sides differ by {abs(excess)} in stratum {stratum}"
        for (stratum, _), excess in sides.items()
        if abs(excess) > 1
    ]
    if abs(sum(sides.values())) > 1:
        faults.append(f"sides differ by {abs(sum(sides.values()))} over all trials")
    return faults


def _session_faults(trials: tuple[Trial, ...]) -> list[str]:
    seen = Counter((t.case, t.session) for t in trials if t.kind == "main")
    shown = Counter((t.case, t.left_arm) for t in trials if t.kind == "main")
    faults = [f"a case comes {n} times in one session" for n in seen.values() if n > 1]
    faults += [f"a case comes {n} times in one arm" for n in shown.values() if n > 1]
    per_arm = Counter((t.session, t.left_arm) for t in trials if t.kind == "main")
    # Consecutive case numbers take consecutive rows, so arms differ by two at the very most.
    if per_arm and max(per_arm.values()) - min(per_arm.values()) > 2:
        faults.append(f"arms are unequal within a session: {sorted(per_arm.values())}")
    return faults


def _order_faults(protocol: Protocol, trials: tuple[Trial, ...]) -> list[str]:
    rules = rules_of(protocol)
    faults = []
    reading = [t for t in trials if t.kind != "practice"]
    for i, trial in enumerate(reading):
        near = reading[max(0, i - rules.patient_gap) : i]
        same = [o for o in near if rules.patients[o.case] == rules.patients[trial.case]]
        if any(other.session == trial.session for other in same):
            faults.append(f"trial {i + 1} shows a patient again within the gap")
    if longest_run(reading) > rules.longest_run and protocol.design.is_paired:
        faults.append(f"one side {longest_run(reading)} times in a row")
    return faults


def _mirror_faults(protocol: Protocol, allocation: Allocation) -> list[str]:
    if protocol.design.layout == "single":
        return []
    faults = []
    for slot in range(0, len(allocation.slots) - 1, 2):
        here, partner = (_sides(allocation.slots[s]) for s in (slot, slot + 1))
        if here != {key: -side for key, side in partner.items()}:
            faults.append(f"slots {slot + 1} and {slot + 2} are not mirror images")
    return faults


def _block_faults(protocol: Protocol, allocation: Allocation) -> list[str]:
    """Incomplete blocks: anchors are read by all, and the rest as often as each other.

    Slots that mirror each other read alike, so counts may differ by two where pairs are shown.
    """
    read = Counter(
        case for trials in allocation.slots for case in {t.case for t in trials if t.kind == "main"}
    )
    reading = [i for i, case in enumerate(protocol.cases) if not case.practice]
    counts = sorted((read[case] for case in reading), reverse=True)
    n_anchors = protocol.design.anchor_cases
    faults = [
        f"an anchor case is read {n} times"
        for n in counts[:n_anchors]
        if n != len(allocation.slots)
    ]
    rest = counts[n_anchors:] or [0]
    if rest[0] - rest[-1] > (2 if protocol.design.is_paired else 1):
        faults.append(f"some cases are read {rest[0]} times and others {rest[-1]} times")
    return faults


def _sides(trials: tuple[Trial, ...]) -> dict[tuple[Any, ...], int]:
    return {(t.case, t.comparison): t.side or 0 for t in trials if t.kind == "main"}

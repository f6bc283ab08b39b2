"""Who sees what, in which order and on which side: drawn once, at lock, from a secret seed."""

from dataclasses import dataclass, replace
from itertools import combinations

from reader_study.design.protocol import Protocol
from reader_study.design.random_streams import Stream
from reader_study.design.trial_order import (
    Rules,
    Trial,
    in_order,
    inserted,
)
from reader_study.design.williams import arm_of_session, cases_of_slot

ALGORITHM = "ctlab-allocation-1"
"""Changes whenever the same seed would give another allocation; stored in the sealed key."""

_REDRAWS = 200
_SIDES, _ORDER, _GROUPS, _PRACTICE = (
    0,
    1,
    2,
    3,
)  # first part of a stream's key: what the stream is for


@dataclass(frozen=True)
class Allocation:
    """Trials of every reader slot, in reading order."""

    slots: tuple[tuple[Trial, ...], ...]
    algorithm: str = ALGORITHM


def draw_allocation(protocol: Protocol, *, seed: int) -> Allocation:
    """Allocation of all reader slots.

    Pairs: in each reader, stratum and comparison, every arm stands left in half of the trials
    (one more or less where the number is odd); slots 0 and 1, 2 and 3, ... are mirror images.
    Repeats show the mirrored pair half the list or more later. Single images: every case once per
    session, in the arm that a Williams design gives; with overlays and one session, every case
    once, its arms in a Latin square over the slots.

    Raises
    ------
    ValueError
        No order respects the protocol's gaps; the message says which number to change.
    """
    if protocol.design.layout == "single":
        slots = [_single_slot(protocol, slot, seed) for slot in range(protocol.design.readers)]
    else:
        slots = [_pair_slot(protocol, slot, seed) for slot in range(protocol.design.readers)]
    return Allocation(tuple(tuple(trials) for trials in slots))


def rules_of(protocol: Protocol) -> Rules:
    """What the protocol asks of the order of trials."""
    patients = sorted({case.patient for case in protocol.cases})
    return Rules(
        patients=tuple(patients.index(case.patient) for case in protocol.cases),
        patient_gap=protocol.design.patient_gap_trials,
        longest_run=protocol.design.longest_side_run,
    )


def _practice(protocol: Protocol, slot: int, seed: int) -> list[Trial]:
    """Practice cases in the order written, sides and arms drawn: they must teach no side."""
    stream, trials = Stream(seed, _PRACTICE, slot), []
    for case in (i for i, case in enumerate(protocol.cases) if case.practice):
        left, right = stream.shuffled(range(len(protocol.arms)))[:2]
        single = protocol.design.layout == "single"
        trials.append(Trial("practice", case, left, None if single else right))
    return trials


# ---------------------------------------------------------------- pairs


def _pair_slot(protocol: Protocol, slot: int, seed: int) -> list[Trial]:
    stream = Stream(seed, _ORDER, slot)
    main = _sided_trials(protocol, slot, seed)
    order = _reading_order(protocol, main, slot, stream)
    per_session = -(-len(order) // protocol.design.sessions)
    order = [replace(trial, session=i // per_session) for i, trial in enumerate(order)]
    return _after_practice(_practice(protocol, slot, seed), order)


def _after_practice(before: list[Trial], order: list[Trial]) -> list[Trial]:
    """``order`` behind ``before``; what it says about positions moves along."""
    shift = len(before)
    return before + [
        t if t.repeat_of is None else replace(t, repeat_of=t.repeat_of + shift) for t in order
    ]


def _reading_order(protocol: Protocol, main: list[Trial], slot: int, stream: Stream) -> list[Trial]:
    """Main trials in random order with catch trials and repeats among them.

    A draw that leaves no place for one of them is thrown away whole, and another is made.
    """
    rules, n_repeats = rules_of(protocol), round(protocol.design.repeats * len(main))
    for _ in range(_REDRAWS):
        order = in_order(main, rules, stream)
        if protocol.design.is_paired:
            with_catches = _with_catches(order, protocol, slot, stream)
        else:
            with_catches = order
        if with_catches is None:
            continue
        if (whole := _with_repeats(with_catches, n_repeats, rules, stream)) is not None:
            return whole
    raise ValueError(
        f"{len(main)} trials are too few for {protocol.design.catch_trials} identical-image trials "
        f"and {n_repeats} hidden repeats half the list later, with "
        f"{protocol.design.patient_gap_trials} trials between two of one patient; lower "
        "patient_gap_trials, repeats or catch_trials, or add cases"
    )


def _sided_trials(protocol: Protocol, slot: int, seed: int) -> list[Trial]:
    """Main trials with sides balanced in each stratum and comparison, mirrored in odd slots."""
    stream = Stream(seed, _SIDES, slot // 2)
    cases = cases_of_slot(protocol, slot, Stream(seed, _GROUPS))
    comparisons = list(combinations(range(len(protocol.arms)), 2))
    trials: list[Trial] = []
    extra = stream.below(2)  # which side gets the odd one, alternating between cells
    for stratum in sorted({protocol.cases[case].stratum for case in cases}):
        members = [case for case in cases if protocol.cases[case].stratum == stratum]
        for first, second in comparisons:
            n_left = (len(members) + (extra if len(members) % 2 else 0)) // 2
            extra = 1 - extra if len(members) % 2 else extra
            for rank, case in enumerate(stream.shuffled(members)):
                arms = (first, second) if rank < n_left else (second, first)
                trials.append(Trial("main", case, *arms))
    return [trial.mirrored() for trial in trials] if slot % 2 else trials


def _with_catches(
    order: list[Trial], protocol: Protocol, slot: int, stream: Stream
) -> list[Trial] | None:
    """Identical images on both sides, arms taking turns, at random places; None: no room."""
    order, rules = list(order), rules_of(protocol)
    cases = stream.shuffled(sorted({trial.case for trial in order}))
    for number in range(protocol.design.catch_trials):
        arm = (slot + number) % len(protocol.arms)
        turn = number % len(cases)
        for case in cases[turn:] + cases[:turn]:  # another case each time, if it fits
            trial = Trial("catch", case, arm, arm)
            position = inserted(order, trial, 0, rules, stream)
            if position is not None:
                order.insert(position, trial)
                break
        else:
            return None
    return order


def _with_repeats(
    order: list[Trial], n_repeats: int, rules: Rules, stream: Stream
) -> list[Trial] | None:
    """Mirrored repeats of early trials, at least half the final list later; None: no room."""
    order = list(order)
    distance = (len(order) + n_repeats + 1) // 2
    for number in range(n_repeats):
        repeated = {trial.repeat_of for trial in order}
        side = 1 if number % 2 == 0 else -1
        # Only trials that leave room for the distance; one side and the other take turns.
        early = [
            i
            for i, trial in enumerate(order)
            if trial.kind == "main" and i not in repeated and i + distance <= len(order)
        ]
        for source in sorted(stream.shuffled(early), key=lambda i: order[i].side != side):
            trial = replace(order[source].mirrored(), kind="repeat", repeat_of=source)
            position = inserted(order, trial, source + distance, rules, stream)
            if position is not None:
                order.insert(position, trial)
                break
        else:
            return None
    return order


# ---------------------------------------------------------------- single images


def _single_slot(protocol: Protocol, slot: int, seed: int) -> list[Trial]:
    n_arms = len(protocol.arms)
    cases = cases_of_slot(protocol, slot, Stream(seed, _GROUPS))
    numbers = _numbers_by_stratum(protocol, cases, Stream(seed, _GROUPS, 1))
    trials = _practice(protocol, slot, seed)
    for session in range(protocol.design.sessions):
        shown = [
            Trial(
                "main", case, arm_of_session(n_arms, slot + numbers[case], session), None, session
            )
            for case in cases
        ]
        stream = Stream(seed, _ORDER, slot, session)
        trials = _after_practice(trials, _reading_order(protocol, shown, slot, stream))
    return trials


def _numbers_by_stratum(protocol: Protocol, cases: list[int], stream: Stream) -> dict[int, int]:
    """Running number of each case, strata one after another: consecutive within a stratum."""
    numbers: dict[int, int] = {}
    for stratum in sorted({protocol.cases[case].stratum for case in cases}):
        members = [case for case in cases if protocol.cases[case].stratum == stratum]
        for case in stream.shuffled(members):
            numbers[case] = len(numbers)
    return numbers

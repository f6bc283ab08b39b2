"""Who sees what, in which order and on which side: drawn once, at lock, from a secret seed."""

from dataclasses import dataclass, replace
from itertools import combinations

from .designs import arm_of_session, cases_of_slot
from .ordering import Rules, Trial, in_order, inserted
from .protocol import Protocol
from .streams import Stream

ALGORITHM = "ctlab-allocation-1"
"""Changes whenever the same seed would give another allocation; stored in the sealed key."""

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
    session, in the arm that a Williams design gives.

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
    design, rules, stream = protocol.design, rules_of(protocol), Stream(seed, _ORDER, slot)
    main = _sided_trials(protocol, slot, seed)
    n_repeats = round(design.repeats * len(main))
    order = in_order(main, rules, stream)
    order = _with_catches(order, protocol, slot, stream)
    order = _with_repeats(order, n_repeats, rules, stream)
    per_session = -(-len(order) // design.sessions)
    order = [replace(trial, session=i // per_session) for i, trial in enumerate(order)]
    practice = _practice(protocol, slot, seed)
    shift = len(practice)
    return practice + [
        trial if trial.repeat_of is None else replace(trial, repeat_of=trial.repeat_of + shift)
        for trial in order
    ]


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


def _with_catches(order: list[Trial], protocol: Protocol, slot: int, stream: Stream) -> list[Trial]:
    """Identical images on both sides, arms taking turns, at random places."""
    order, rules = list(order), rules_of(protocol)
    cases = stream.shuffled(sorted({trial.case for trial in order}))
    for number in range(protocol.design.catch_trials):
        arm = (slot + number) % len(protocol.arms)
        trial = Trial("catch", cases[number % len(cases)], arm, arm)
        position = inserted(order, trial, 0, rules, stream)
        if position is None:
            raise ValueError(
                "no place for an identical-image trial keeps the same patient apart; lower "
                "patient_gap_trials or catch_trials"
            )
        order.insert(position, trial)
    return order


def _with_repeats(order: list[Trial], n_repeats: int, rules: Rules, stream: Stream) -> list[Trial]:
    """Mirrored repeats of early trials, at least half the final list later."""
    order = list(order)
    distance = (len(order) + n_repeats + 1) // 2
    for wanted in range(n_repeats):
        repeated = {trial.repeat_of for trial in order}
        side = 1 if (wanted % 2 == 0) else -1
        # Only trials that leave room for the distance; one side and the other take turns.
        early = [
            i
            for i, trial in enumerate(order)
            if trial.kind == "main" and i not in repeated and i + distance <= len(order)
        ]
        early = [i for i in early if order[i].side == side] or early
        for source in stream.shuffled(early):
            trial = replace(order[source].mirrored(), kind="repeat", repeat_of=source)
            position = inserted(order, trial, source + distance, rules, stream)
            if position is not None:
                order.insert(position, trial)
                break
        else:
            raise ValueError(
                f"no place for hidden repeat {wanted + 1} of {n_repeats} at least {distance} "
                "trials after its first showing; lower repeats or patient_gap_trials"
            )
    return order


# ---------------------------------------------------------------- single images


def _single_slot(protocol: Protocol, slot: int, seed: int) -> list[Trial]:
    rules, n_arms = rules_of(protocol), len(protocol.arms)
    cases = cases_of_slot(protocol, slot, Stream(seed, _GROUPS))
    numbers = _numbers_by_stratum(protocol, cases, Stream(seed, _GROUPS, 1))
    trials = _practice(protocol, slot, seed)
    for session in range(n_arms):
        stream = Stream(seed, _ORDER, slot, session)
        shown = [
            Trial(
                "main", case, arm_of_session(n_arms, slot + numbers[case], session), None, session
            )
            for case in cases
        ]
        n_repeats = round(protocol.design.repeats * len(shown))
        order = _with_repeats(in_order(shown, rules, stream), n_repeats, rules, stream)
        start = len(trials)
        trials += [
            t if t.repeat_of is None else replace(t, repeat_of=t.repeat_of + start) for t in order
        ]
    return trials


def _numbers_by_stratum(protocol: Protocol, cases: list[int], stream: Stream) -> dict[int, int]:
    """Running number of each case, strata one after another: consecutive within a stratum."""
    numbers: dict[int, int] = {}
    for stratum in sorted({protocol.cases[case].stratum for case in cases}):
        members = [case for case in cases if protocol.cases[case].stratum == stratum]
        for case in stream.shuffled(members):
            numbers[case] = len(numbers)
    return numbers

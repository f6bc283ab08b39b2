"""Order of trials under constraints: patients kept apart, no long run of one side."""

from collections import Counter
from dataclasses import dataclass, replace
from typing import Literal

from reader_study.design.random_streams import Stream

Kind = Literal["practice", "main", "repeat", "catch"]
_RESTARTS = 200


@dataclass(frozen=True)
class Trial:
    """One showing, by indices into the protocol's cases and arms.

    ``right_arm`` is None for single images. ``repeat_of`` is the position of the trial that a
    repeat mirrors.
    """

    kind: Kind
    case: int
    left_arm: int
    right_arm: int | None
    session: int = 0
    repeat_of: int | None = None

    @property
    def side(self) -> int | None:
        """+1 where the arm listed first in the protocol stands left, -1 right, None for neither."""
        if self.right_arm is None or self.right_arm == self.left_arm:
            return None
        return 1 if self.left_arm < self.right_arm else -1

    @property
    def comparison(self) -> tuple[int, ...]:
        """The arms shown, side ignored."""
        arms = {self.left_arm} | ({self.right_arm} if self.right_arm is not None else set())
        return tuple(sorted(arms))

    def mirrored(self) -> "Trial":
        """The trial with its images on the other sides; a single image as it is."""
        if self.right_arm is None:
            return self
        return replace(self, left_arm=self.right_arm, right_arm=self.left_arm)


@dataclass(frozen=True)
class Rules:
    """What an order must respect; ``patients[case]`` identifies who is shown."""

    patients: tuple[int, ...]
    patient_gap: int
    longest_run: int


def in_order(trials: list[Trial], rules: Rules, stream: Stream) -> list[Trial]:
    """The trials in random order, one at a time among those the rules allow.

    Patients with many trials left are drawn sooner, which avoids most dead ends; after a dead end
    the draw starts again.

    Raises
    ------
    ValueError
        No order was found: too few patients for the gap asked for.
    """
    for _ in range(_RESTARTS):
        if (order := _attempt(trials, rules, stream)) is not None:
            return order
    n_patients = len({rules.patients[t.case] for t in trials})
    raise ValueError(
        f"no order of {len(trials)} trials of {n_patients} patients keeps "
        f"{rules.patient_gap} trials between two of one patient and at most "
        f"{rules.longest_run} in a row with one arm on one side; lower patient_gap_trials or "
        "raise longest_side_run"
    )


def _attempt(trials: list[Trial], rules: Rules, stream: Stream) -> list[Trial] | None:
    left, order = list(trials), list[Trial]()
    remaining = Counter(rules.patients[t.case] for t in trials)
    while left:
        allowed = [i for i, trial in enumerate(left) if fits(order, len(order), trial, rules)]
        if not allowed:
            return None
        weights = [remaining[rules.patients[left[i].case]] ** 2 for i in allowed]
        trial = left.pop(allowed[stream.weighted(weights)])
        remaining[rules.patients[trial.case]] -= 1
        order.append(trial)
    return order


def fits(order: list[Trial], position: int, trial: Trial, rules: Rules) -> bool:
    """Whether ``trial`` may stand at ``position``, pushing what follows back by one."""
    gap = rules.patient_gap
    near = order[max(0, position - gap) : position] + order[position : position + gap]
    patient = rules.patients[trial.case]
    if any(rules.patients[other.case] == patient for other in near):
        return False
    return _run_through(order, position, trial) <= rules.longest_run


def _run_through(order: list[Trial], position: int, trial: Trial) -> int:
    """Length of the run of one side that ``trial`` would join or start at ``position``."""
    if trial.side is None:
        return 0
    length = 1
    for direction in (reversed(order[:position]), order[position:]):
        for other in direction:
            if other.side is not None:
                if other.side != trial.side:
                    break
                length += 1
    return length


def longest_run(order: list[Trial]) -> int:
    """Longest run of trials with one side; identical images neither end nor lengthen it.

    Examples
    --------
    >>> show = lambda left, right: Trial("main", 0, left, right)
    >>> longest_run([show(0, 1), show(0, 1), show(1, 1), show(0, 1), show(1, 0)])
    3
    """
    best = run = 0
    last = None
    for trial in order:
        if trial.side is None:
            continue
        run = run + 1 if trial.side == last else 1
        last, best = trial.side, max(best, run)
    return best


def inserted(
    order: list[Trial], trial: Trial, earliest: int, rules: Rules, stream: Stream
) -> int | None:
    """Random position from ``earliest`` on where ``trial`` fits; None where there is none."""
    for position in stream.shuffled(range(earliest, len(order) + 1)):
        if fits(order, position, trial, rules):
            return position
    return None

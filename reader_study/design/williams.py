"""Which cases a slot reads, and in which arm a session shows them."""

from reader_study.design.protocol import Protocol
from reader_study.design.random_streams import Stream


def williams_rows(n_arms: int) -> list[list[int]]:
    """Williams design: every arm follows every other equally often (first-order carry-over).

    ``n_arms`` rows where it is even, twice as many where it is odd. Williams (1949), Aust J Sci
    Res A 2:149-168.

    Examples
    --------
    >>> williams_rows(2)
    [[0, 1], [1, 0]]
    >>> williams_rows(4)[0]
    [0, 3, 1, 2]
    >>> len(williams_rows(3))
    6
    """
    if n_arms < 2:
        raise ValueError(f"a crossover needs two arms or more, got {n_arms}")
    first = [(step + 1) // 2 if step % 2 == 0 else -(step + 1) // 2 for step in range(n_arms)]
    rows = [[(arm + shift) % n_arms for arm in first] for shift in range(n_arms)]
    return rows if n_arms % 2 == 0 else rows + [row[::-1] for row in rows]


def arm_of_session(n_arms: int, sequence: int, session: int) -> int:
    """Arm that the ``sequence``-th row of the Williams design shows in a session."""
    rows = williams_rows(n_arms)
    return rows[sequence % len(rows)][session]


def cases_of_slot(protocol: Protocol, slot: int, stream: Stream) -> list[int]:
    """Indices of the cases a slot reads: all, or the anchors and a rotating window of the rest.

    Strata are interleaved before the window moves, so each slot gets them in proportion; over
    the slots no case is read more than once more often than another. Slots that mirror each
    other read the same cases.
    """
    reading = [i for i, case in enumerate(protocol.cases) if not case.practice]
    per_reader = protocol.design.cases_per_reader
    if per_reader is None or per_reader == len(reading):
        return reading
    mixed = _interleaved(protocol, reading, stream)
    n_anchors = protocol.design.anchor_cases
    anchors, rest = mixed[:n_anchors], mixed[n_anchors:]
    block = slot // 2 if protocol.design.is_paired else slot
    size = per_reader - n_anchors
    window = [rest[(block * size + i) % len(rest)] for i in range(size)] if rest else []
    return sorted(anchors + window)


def _interleaved(protocol: Protocol, cases: list[int], stream: Stream) -> list[int]:
    """Cases in random order in which every stretch holds the strata in proportion."""
    places: dict[int, float] = {}
    for stratum in sorted({protocol.cases[case].stratum for case in cases}):
        members = [case for case in cases if protocol.cases[case].stratum == stratum]
        for rank, case in enumerate(stream.shuffled(members)):
            places[case] = (rank + 0.5) / len(members)
    return sorted(cases, key=lambda case: (places[case], case))

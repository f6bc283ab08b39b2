"""Which slices may train which domain: patients where there are several, slabs where there is one.

Neighbouring slices show the same anatomy, so slabs of one patient keep a gap; slices kept for
testing keep the same gap to every slab. The split is hashed, and the hash travels in the
checkpoint.
"""

import csv
import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from ctlab.files import spreadsheet_safe

Role = Literal["full", "low"]


@dataclass(frozen=True)
class Slab:
    """Slices ``first`` to ``last`` (inclusive, z-sorted index) of one series, for one domain."""

    series: str
    patient: str
    first: int
    last: int
    role: Role

    def __str__(self) -> str:
        return f"slices {self.first} to {self.last} of {self.series} ({self.role} dose)"

    @property
    def slices(self) -> int:
        """Number of slices."""
        return self.last - self.first + 1


def cut_slabs(
    slices: int,
    *,
    slab_slices: int,
    gap_slices: int,
    leave_out: Sequence[tuple[int, int]] = (),
) -> list[tuple[int, int]]:
    """Ranges [first, last] of at least ``slab_slices``, with gaps between them.

    Every stretch outside the ranges left out (and their gaps) holds as many slabs as fit; what
    remains makes them thicker.

    Examples
    --------
    >>> cut_slabs(50, slab_slices=5, gap_slices=10, leave_out=[(20, 29)])
    [(0, 9), (40, 49)]
    >>> cut_slabs(30, slab_slices=10, gap_slices=10)
    [(0, 9), (20, 29)]
    """
    slabs: list[tuple[int, int]] = []
    for first, last in _free_stretches(slices, leave_out, gap_slices):
        length = last - first + 1
        count = (length + gap_slices) // (slab_slices + gap_slices)
        if count == 0:
            continue
        usable = length - (count - 1) * gap_slices
        start = first
        for k in range(count):
            thickness = usable // count + (k < usable % count)
            slabs.append((start, start + thickness - 1))
            start += thickness + gap_slices
    return slabs


def _free_stretches(
    slices: int, leave_out: Sequence[tuple[int, int]], gap_slices: int
) -> list[tuple[int, int]]:
    """Stretches of at least one slice that keep the gap to every range left out."""
    free, start = [], 0
    for first, last in sorted(leave_out):
        if not 0 <= first <= last:
            raise ValueError(f"leave_out wants 0 <= first <= last, got [{first}, {last}]")
        free.append((start, min(first - gap_slices, slices) - 1))
        start = max(start, last + gap_slices + 1)
    free.append((start, slices - 1))
    return [(a, b) for a, b in free if b >= a]


def split_series(
    series: Sequence[tuple[str, str, int]],
    *,
    slab_slices: int,
    gap_slices: int,
    leave_out: Sequence[tuple[int, int]] = (),
    first: Role = "low",
) -> list[Slab]:
    """Full and low domains from routine-dose series alone, disjoint by patient or by slab.

    Two or more patients alternate as wholes; the slabs of a single patient alternate.

    Parameters
    ----------
    series : sequence of (name, patient, number of slices)
    first : {"full", "low"}
        Domain of the first patient or slab.

    Raises
    ------
    ValueError
        No slab is left for one of the domains.

    Examples
    --------
    >>> two = split_series([("a", "P1", 20), ("b", "P2", 20)], slab_slices=5, gap_slices=10)
    >>> [(s.series, s.role) for s in two]
    [('a', 'low'), ('b', 'full')]
    """
    patients = list(dict.fromkeys(patient for _, patient, _ in series))
    roles: list[Role] = ["low", "full"] if first == "low" else ["full", "low"]
    slabs: list[Slab] = []
    for name, patient, slices in series:
        if len(patients) > 1:
            role = roles[patients.index(patient) % 2]
            stretches = _free_stretches(slices, leave_out, gap_slices)
            slabs += [Slab(name, patient, a, b, role) for a, b in stretches]
            continue
        ranges = cut_slabs(
            slices, slab_slices=slab_slices, gap_slices=gap_slices, leave_out=leave_out
        )
        slabs += [Slab(name, patient, a, b, roles[k % 2]) for k, (a, b) in enumerate(ranges)]
    check_split(slabs, gap_slices=gap_slices, leave_out=leave_out)
    return slabs


def check_split(
    slabs: Sequence[Slab], *, gap_slices: int, leave_out: Sequence[tuple[int, int]] = ()
) -> None:
    """Raise ``ValueError`` unless both domains exist and keep their distance.

    Between patients no gap is needed; within one series every two slabs of different domains,
    and every slab and range left out, lie more than ``gap_slices`` apart.
    """
    for role in ("full", "low"):
        if not any(s.role == role for s in slabs):
            raise ValueError(
                f"no slices are left for the {role} domain; give more slices or another patient, "
                "or make slab_slices smaller"
            )
    for k, one in enumerate(slabs):
        for first, last in leave_out:
            if one.first - last <= gap_slices and first - one.last <= gap_slices:
                raise ValueError(
                    f"expected more than {gap_slices} slices between {one} and those left out, "
                    f"{first} to {last}; change data.leave_out or the slabs"
                )
        for other in slabs[k + 1 :]:
            apart = max(one.first - other.last, other.first - one.last)
            if one.role != other.role and one.series == other.series and apart <= gap_slices:
                raise ValueError(
                    f"expected more than {gap_slices} slices between {one} and {other}, got "
                    f"{apart}; make gap_slices larger"
                )
            if one.role != other.role and one.series != other.series:
                _refuse_shared_patient(one, other)


def _refuse_shared_patient(one: Slab, other: Slab) -> None:
    if one.patient == other.patient:
        raise ValueError(
            f"series {one.series} and {other.series} are of one patient ({one.patient}) but stand "
            "in different domains; unpaired domains must not share patients"
        )


def split_hash(slabs: Sequence[Slab]) -> str:
    """SHA-256 of the split, independent of the order of its slabs."""
    rows = sorted(f"{s.series},{s.patient},{s.first},{s.last},{s.role}" for s in slabs)
    return hashlib.sha256("\n".join(rows).encode()).hexdigest()


def split_csv(slabs: Sequence[Slab]) -> str:
    """The split as CSV text, one row per slab; names are safe for spreadsheets."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["series", "patient", "first", "last", "role"])
    for s in slabs:
        names = [spreadsheet_safe(str(name)) for name in (s.series, s.patient)]
        rows.writerow([*names, s.first, s.last, s.role])
    return text.getvalue()

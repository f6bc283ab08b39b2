"""Whether two unpaired domains differ in dose alone, or in what a network would learn instead."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from ctlab.ct.dicom.header import Header
from ctlab.ct.volume import Volume


@dataclass(frozen=True)
class DomainFacts:
    """What two unpaired domains must share so that dose is the only difference."""

    kernel: str
    scanner: str
    kvp: str
    pixel_mm: float
    slice_mm: float
    field_mm: float

    @classmethod
    def of_header(cls, header: Header) -> "DomainFacts":
        """As far as one slice tells: its thickness stands for the distance of slices."""
        kvp = header.number("kvp")
        scanner = f"{header.text('manufacturer')} {header.text('model')}".strip()
        spacing = header.numbers("spacing_mm")
        pixel = float(np.sqrt(spacing[0] * spacing[1])) if len(spacing) == 2 else math.nan
        across = spacing[-1] if spacing else math.nan
        return cls(
            header.text("kernel") or "unknown",
            scanner or "unknown",
            f"{kvp:g}" if kvp else "unknown",
            pixel,
            header.number("thickness_mm") or math.nan,
            header.integer("columns") * across,
        )

    @classmethod
    def of(cls, volume: Volume) -> "DomainFacts":
        """Facts of a whole volume."""
        facts = volume.acquisition
        z, y, x = volume.spacing_mm
        scanner = f"{facts.manufacturer} {facts.model}".strip() or "unknown"
        kvp = f"{facts.kvp:g}" if facts.kvp else "unknown"
        kernel = facts.kernel or "unknown"
        return cls(kernel, scanner, kvp, float(np.sqrt(y * x)), z, volume.shape[2] * x)


def confounds(
    first: Iterable[Volume | DomainFacts], second: Iterable[Volume | DomainFacts]
) -> list[str]:
    """Properties other than dose in which two unpaired domains differ, in words.

    A network that learns to turn one domain into the other would learn these instead of noise.
    Kernel, scanner and tube voltage count as different when more than half of the series would
    have to change domain to even them out; pixel size, slice distance and field of view when
    their medians differ by more than a tenth; series that do not say theirs do not count.

    Raises
    ------
    ValueError
        A domain is empty.
    """
    one, two = (
        [v if isinstance(v, DomainFacts) else DomainFacts.of(v) for v in d] for d in (first, second)
    )
    if not one or not two:
        raise ValueError("each domain needs at least one series to be compared")
    differences = []
    for name in ("kernel", "scanner", "kvp"):
        a, b = (Counter(getattr(f, name) for f in d) for d in (one, two))
        apart = sum(abs(a[k] / len(one) - b[k] / len(two)) for k in a | b) / 2
        if apart > 0.5:
            differences.append(f"{name} differs: {_listed(a)} against {_listed(b)}")
    for name, what in (
        ("pixel_mm", "pixel size"),
        ("slice_mm", "slice distance"),
        ("field_mm", "field of view"),
    ):
        a_mm, b_mm = (_median([getattr(f, name) for f in d]) for d in (one, two))
        if abs(a_mm / b_mm - 1) > 0.1:  # never of a number that is not known
            differences.append(f"{what} differs: {a_mm:.3g} mm against {b_mm:.3g} mm")
    return differences


def arms_in_words(arms: Mapping[str, Iterable[Volume | DomainFacts]]) -> list[str]:
    """One finding for each two arms that differ in more than dose, and what would follow."""
    facts = {arm: list(series) for arm, series in arms.items()}
    lines = []
    for first, second in combinations(sorted(facts), 2):
        if differs := confounds(facts[first], facts[second]):
            lines.append(
                f"arms {first} and {second} differ in more than dose, and a network trained on "
                f"them unpaired would learn that instead of noise: {'; '.join(differs)}"
            )
    return lines


def _median(values: list[float]) -> float:
    known = [v for v in values if v > 0]
    return float(np.median(known)) if known else math.nan


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{k} ({n})" for k, n in counts.most_common(4))

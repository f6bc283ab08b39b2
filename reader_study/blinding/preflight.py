"""What can be refused before the first image is rendered: headers, geometry, gaps, disk space."""

import hashlib
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from reader_study.design.protocol import Case, Protocol

_BYTES_PER_SECOND = 20e6  # read, rendered and written on one core; for the estimate alone


@dataclass(frozen=True)
class SeriesFacts:
    """What the headers of one series say; ``problem`` in words where it cannot be read."""

    shape: tuple[int, int, int] = (0, 0, 0)
    spacing_mm: tuple[float, float, float] = (0.0, 0.0, 0.0)
    words: frozenset[str] = frozenset()  # kernels and descriptions
    burned_in: bool = False
    problem: str = ""


@dataclass(frozen=True)
class Preflight:
    """What a lock will need, and the words of the headers that must not stand in the bundle."""

    n_images: int = 0
    n_bytes: int = 0
    words: frozenset[str] = frozenset()
    burned_in: tuple[str, ...] = ()  # in words, one for each series

    @property
    def seconds(self) -> float:
        """About how long rendering will take."""
        return self.n_bytes / _BYTES_PER_SECOND


def series_facts(folder: Path) -> SeriesFacts:
    """Facts of the one CT series in a folder, from its headers alone."""
    from ctlab.ct.dicom.read import acquisition_of, choose_series
    from ctlab.ct.dicom.slice_order import find_series

    try:
        plan = choose_series(find_series(folder), folder, None, allow_gaps=True)
    except ValueError as error:
        return SeriesFacts(problem=str(error).split("; pass ")[0])
    if plan.gaps:
        missing = "a slice is missing" if "missing" in plan.gaps[0] else "slices are uneven"
        return SeriesFacts(problem=f"{missing}: {plan.gaps[0]}; export the series again")
    said = asdict(acquisition_of(plan)).values()
    words = frozenset(word.strip() for word in said if isinstance(word, str)) - {""}
    burned_in = any(f.header.text("burned_in").upper() == "YES" for f in plan.frames)
    return SeriesFacts(plan.shape, plan.spacing_mm, words, burned_in)


def preflight(
    study: Path, protocol: Protocol, look: Callable[[Path], SeriesFacts] = series_facts
) -> Preflight:
    """What the lock of a study needs, after every series has been looked at.

    Parameters
    ----------
    look : facts of the series in a folder

    Raises
    ------
    ValueError
        Folders are missing, series cannot be read or lack slices, arms differ in shape or
        spacing, slices lie outside, or the disk is too small; every finding is named.
    """
    problems: list[str] = []
    seen: dict[Path, SeriesFacts] = {}
    n_voxels = 0
    for case in protocol.cases:
        arms = {}
        for arm in protocol.arms:
            folder = study / "arms" / arm.folder / case.folder
            if not folder.is_dir():
                problems.append(missing_folder(arm.folder, case))
                continue
            facts = seen.setdefault(folder, look(folder) if folder not in seen else seen[folder])
            if facts.problem:
                problems.append(f"case {case.name}, arm {arm.name}: {facts.problem}")
            else:
                arms[arm.name] = facts
        problems += _differences(case, arms)
        n_voxels += sum(_depth(case, f) * f.shape[1] * f.shape[2] for f in arms.values())
    n_bytes = 2 * n_voxels
    free = shutil.disk_usage(study).free
    if 2 * n_bytes > free:  # rendered, and copied in the order of their tokens
        problems.append(
            f"expected {2 * n_bytes / 1e9:.1f} GB free beside the study, got {free / 1e9:.1f} GB; "
            "make room"
        )
    if problems:
        more = f"; and {len(problems) - 5} more" if len(problems) > 5 else ""
        raise ValueError("; ".join(dict.fromkeys(problems[:5])) + more)
    burned_in = tuple(
        f"{folder.relative_to(study)}: the header says that text is burned into the pixels"
        for folder, facts in seen.items()
        if facts.burned_in
    )
    words = frozenset().union(*(facts.words for facts in seen.values()))
    return Preflight(len(protocol.cases) * len(protocol.arms), n_bytes, words, burned_in)


def missing_folder(arm: str, case: Case) -> str:
    """The sentence about a folder that is not there."""
    return (
        f"arms/{arm}/{case.folder} is missing; put the DICOM series of case {case.name} in arm "
        f"{arm} there"
    )


def _depth(case: Case, facts: SeriesFacts) -> int:
    return case.slices[1] - case.slices[0] if case.slices else facts.shape[0]


def _differences(case: Case, arms: dict[str, SeriesFacts]) -> list[str]:
    if not arms:
        return []
    (name, first), *others = arms.items()
    differences = [
        f"case {case.name} differs in {what} between arms {name} ({getattr(first, what)}) and "
        f"{other} ({getattr(facts, what)}); resample one arm to the grid of the other"
        for other, facts in others
        for what in ("shape", "spacing_mm")
        if any(
            abs(a - b) > 1e-3
            for a, b in zip(getattr(first, what), getattr(facts, what), strict=True)
        )
    ]
    if case.slices and case.slices[1] > first.shape[0]:
        differences.append(
            f"case {case.name} names slices {case.slices[0]} to {case.slices[1]} but the series "
            f"has {first.shape[0]}"
        )
    return differences


def fingerprint(folders: list[Path]) -> str:
    """SHA-256 over names, sizes and times of all files below some folders."""
    lines = []
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            facts = path.stat()
            lines.append(f"{path}:{facts.st_size}:{facts.st_mtime_ns}")
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()

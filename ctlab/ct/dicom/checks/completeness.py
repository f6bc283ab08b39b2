"""Whether all of a series is there, by what its own headers count."""

import itertools
from collections import Counter, defaultdict

from ctlab.ct.dicom.frames import Frame


def missing_parts(frames: list[Frame]) -> list[str]:
    """A sentence for each multi-frame object of which parts are missing (concatenations).

    DICOM PS3.3, C.7.6.16.2.2.4: parts count from 1, the total may be given in any of them.
    """
    parts: dict[str, set[int]] = defaultdict(set)
    totals: dict[str, int] = defaultdict(int)
    for header in {frame.path: frame.header for frame in frames}.values():
        part = header.integer("concatenation_part")
        if part:
            uid = header.text("concatenation_uid")
            parts[uid].add(part)
            totals[uid] = max(totals[uid], part, header.integer("concatenation_parts"))
    lost = {uid: sorted({*range(1, n + 1)} - parts[uid]) for uid, n in totals.items()}
    return [
        f"expected {totals[uid]} parts of a multi-frame object, got {len(parts[uid])} (missing: "
        f"{', '.join(map(str, numbers))})"
        for uid, numbers in lost.items()
        if numbers
    ]


def repeated_numbers(frames: list[Frame]) -> list[str]:
    """A sentence where every Instance Number of classic slices occurs as often: several passes."""
    counts = Counter(f.header.text("instance_number") for f in frames if not f.is_multi_frame)
    times = set(counts.values())
    if "" in counts or len(counts) < 2 or len(times) != 1 or times == {1}:
        return []
    return [
        f"every instance number occurs {times.pop()} times: perhaps several passes in one series, "
        "which nothing else in the header tells apart"
    ]


def skipped_numbers(frames: list[Frame]) -> list[str]:
    """A finding where Instance Numbers of slices in order all go up, or down, by the same 2 to 9.

    Nothing else tells a series from which every second slice was taken, where slices overlap.
    """
    numbers = [f.header.number("instance_number") or 0.0 for f in frames]
    steps = {b - a for a, b in itertools.pairwise(numbers)}
    if len(frames) < 3 or len(steps) != 1 or not 2 <= abs(step := steps.pop()) <= 9:
        return []
    return [
        f"instance numbers go by {abs(step):g} from slice to slice: perhaps those between were lost"
    ]


def fewer_than_declared(frames: list[Frame], others: int) -> list[str]:
    """Findings where headers count more images than there are, ``others`` being no CT slices.

    By Number of Series Related Instances (0020,1209) and Images in Acquisition (0020,1002).
    """
    files = {frame.path: frame.header for frame in frames}
    said = [("series", len(files), [h.integer("series_instances") for h in files.values()])]
    acquisitions: dict[str, list[Frame]] = defaultdict(list)
    for frame in frames:
        acquisitions[frame.header.text("acquisition_number")].append(frame)
    for members in acquisitions.values():
        counts = [f.header.integer("images_in_acquisition") for f in members]
        said.append(("acquisition", len(members), counts))
    return [
        f"the header counts {max(counts)} images in the {what}, {there + others} are there"
        for what, there, counts in said
        if max(counts) > there + others
    ]

"""Which answer belongs to which probe: by its pixels, and by identifiers where pixels cannot tell.

A product may rename files, draw new UIDs, change order and rescale. HU are read by each file's own
rescale; of two probes that differ in their noise alone, the answer to one keeps some of its noise.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.ndimage import uniform_filter
from scipy.optimize import linear_sum_assignment

from ctlab.ct.dicom.header import read_dataset
from ctlab.ct.dicom.pixels.parallel_decode import stream_hu
from ctlab.ct.dicom.slice_order import find_series

LEAST_LIKENESS = 0.2
"""Correlation with its probe that an answer has at least; an image of something else has none."""

SAME = 0.999
"""Likeness from which two probes differ in level or scale alone."""

PER_HU = 3e-4
"""Of two probes that differ in level or scale alone, the nearer one: likeness lost by a HU."""

SURE_SD = 5.0
"""So many SDs of chance the likeness to a probe exceeds that to another."""


@dataclass(frozen=True)
class Answer:
    """One slice that came back: HU, its file, and every UID of a probe it may speak of."""

    hu: np.ndarray
    path: Path
    uids: frozenset[str]


def read_images(folder: str | Path) -> list[Answer]:
    """Every CT slice below a folder, in HU by its own rescale.

    Raises
    ------
    ValueError
        A file is damaged, has no rescale to HU, or there is none.
    """
    contents = find_series(folder)
    if contents.damaged:
        raise ValueError(
            f"expected whole files, got {len(contents.damaged)} damaged: {contents.damaged[0][1]}"
        )
    found = []
    for frames in contents.series.values():
        for frame in frames:
            if frame.slope is None or frame.intercept is None:
                raise ValueError(
                    f"{frame.path.name}: expected Rescale Slope and Intercept, got none; without "
                    "them its HU are unknown"
                )
        for frame, hu in zip(frames, stream_hu(frames), strict=True):
            found.append(Answer(hu, frame.path, _uids(frame.path)))
    if not found:
        raise ValueError(f"expected the processed probes as CT images in {folder}, got none")
    return found


def _uids(path: Path) -> frozenset[str]:
    """Its own SOP Instance UID and those of the images it says it was made from."""
    header = read_dataset(path, pixels=False)
    sources = [
        item.get("ReferencedSOPInstanceUID")
        for keyword in ("SourceImageSequence", "ReferencedImageSequence")
        for item in header.get(keyword) or []
    ]
    return frozenset(str(uid) for uid in (header.get("SOPInstanceUID"), *sources) if uid)


def match_images(
    probes: list[np.ndarray], uids: list[str], answers: list[Answer]
) -> list[np.ndarray]:
    """The HU that came back for each probe, in the probes' order.

    Parameters
    ----------
    probes : images (y, x), HU, of any shapes
    uids : SOP Instance UID of each probe

    Raises
    ------
    ValueError
        Other numbers or shapes of images, one that is none of the probes, answers in other
        units, or two answers that neither pixels nor identifiers tell apart.
    """
    _check_counts(probes, answers)
    found: list[np.ndarray | None] = [None] * len(probes)
    for shape in {image.shape for image in probes}:
        here = [k for k, image in enumerate(probes) if image.shape == shape]
        there = [a for a in answers if a.hu.shape == shape]
        given = np.stack([_detail(probes[k]) for k in here])
        came = np.stack([_detail(a.hu) for a in there])
        levels = [
            np.stack([_level(i) for i in part])
            for part in ([probes[k] for k in here], [a.hu for a in there])
        ]
        order = _by_pixels(given, came, levels, there)
        for k, j in _unsure(given, came, levels, order):
            order = _by_uids([uids[i] for i in here], there, order, (k, j))
        for k, row in zip(here, order, strict=True):
            found[k] = there[row].hu
    answered = [image for image in found if image is not None]
    _check_units(probes, answered)
    return answered


def _check_counts(probes: list[np.ndarray], answers: list[Answer]) -> None:
    wanted, got = ([i.shape for i in images] for images in (probes, [a.hu for a in answers]))
    for shape in sorted(set(wanted) | set(got)):
        if wanted.count(shape) != got.count(shape):
            size = " x ".join(map(str, shape))
            raise ValueError(
                f"expected {wanted.count(shape)} slices of {size} pixels, got {got.count(shape)}; "
                "have every probe processed once, at the size it has, and leave other images out"
            )


def _detail(image: np.ndarray) -> np.ndarray:
    """What is finer than 15 px, flat, of mean 0 and size 1: offset and scale no longer matter."""
    hu = np.clip(np.asarray(image, np.float32), -1100, 1500)
    fine = (hu - uniform_filter(hu, 15)).ravel()
    fine -= fine.mean()
    size = float(np.linalg.norm(fine))
    return np.asarray(fine / size if size > 0 else fine)


def _level(image: np.ndarray) -> np.ndarray:
    """Means over 9 x 9 px, flat: level and scale, which the detail does not hold."""
    return np.asarray(uniform_filter(np.asarray(image, np.float32), 9)[4::9, 4::9].ravel())


def _by_pixels(
    given: np.ndarray, came: np.ndarray, levels: list[np.ndarray], answers: list[Answer]
) -> np.ndarray:
    """Row of ``came`` for each row of ``given``: the pairs that are most alike in all."""
    likeness = given @ came.T
    far = [np.sqrt(np.mean((levels[1] - level) ** 2, axis=1)) for level in levels[0]]
    rows, columns = linear_sum_assignment(likeness - PER_HU * np.stack(far), maximize=True)
    for row, column in zip(rows, columns, strict=True):
        if likeness[row, column] < LEAST_LIKENESS:
            raise ValueError(
                f"expected every slice to be a probe, got {answers[column].path.name}, which is "
                f"like none that is left (correlation {likeness[row, column]:.2f}); it is turned, "
                "shifted, empty or of another scan"
            )
    return np.asarray(columns)


def _unsure(
    given: np.ndarray, came: np.ndarray, levels: list[np.ndarray], order: np.ndarray
) -> list[tuple[int, int]]:
    """Pairs of probes whose answers might as well be exchanged.

    What both have in common cancels in differences: that of two answers has to be like that of
    their probes, well above the likeness of chance, whose SD is one over the root of the pixels
    that are independent, one in nine.
    """
    made = came[order]
    likeness = given @ given.T
    pixels = given.shape[1] / 9
    unsure = []
    for k, j in zip(*np.nonzero(np.triu(likeness > LEAST_LIKENESS, 1)), strict=True):
        asked, answer = given[k] - given[j], made[k] - made[j]
        apart = levels[0][k] - levels[0][j]
        if likeness[k, j] > SAME and apart @ (levels[1][order[k]] - levels[1][order[j]]) > 0:
            continue  # told by their levels
        size = float(np.linalg.norm(asked) * np.linalg.norm(answer))
        if size == 0 or float(asked @ answer) / size < SURE_SD / np.sqrt(pixels):
            unsure.append((int(k), int(j)))
    return unsure


def _by_uids(
    uids: list[str], answers: list[Answer], order: np.ndarray, pair: tuple[int, int]
) -> np.ndarray:
    """The order with the answers of a pair as their identifiers say; equal answers stay."""
    k, j = pair
    first, second = answers[order[k]], answers[order[j]]
    if np.array_equal(first.hu, second.hu):
        return order
    if uids[k] in first.uids and uids[j] in second.uids:
        return order
    if uids[j] in first.uids and uids[k] in second.uids:
        swapped = order.copy()
        swapped[[k, j]] = order[[j, k]]
        return swapped
    raise ValueError(
        f"expected answers that can be told apart, got {first.path.name} and {second.path.name}, "
        "whose pixels fit either of two probes and which name neither as their source; have them "
        "processed with their SOP Instance UIDs kept"
    )


def _check_units(probes: list[np.ndarray], answers: list[np.ndarray]) -> None:
    """Refuse answers whose grey values are no HU: they rise by another factor, or lie far off."""
    asked = np.concatenate(
        [uniform_filter(p.astype(np.float32), 9)[4::9, 4::9].ravel() for p in probes]
    )
    got = np.concatenate([uniform_filter(a, 9)[4::9, 4::9].ravel() for a in answers])
    inside = asked > -950  # products may fill air with another value
    slope, offset = np.polyfit(asked[inside], got[inside], 1) if inside.sum() > 100 else (1.0, 0.0)
    at_zero = float(offset)
    if not 0.8 <= slope <= 1.25 or abs(at_zero) > 200:
        raise ValueError(
            f"expected HU, got values that are about {slope:.3g} x HU {at_zero:+.0f}; read back "
            "with the rescale that belongs to these pixels, in Rescale Slope and Intercept"
        )

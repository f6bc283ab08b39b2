"""Lessons: pairs and images of the packaged CT, half with a lesion; keys of studies to show."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ctlab.ct.volume import Volume
from reader_study.examples.demo import ARMS, DOSE, NOTE
from reader_study.lecture.slides import Images, Slide
from reader_study.record.bundle import open_bundle
from reader_study.record.paths import bundle_folder, sealed_key
from reader_study.record.study_record import Key, key_from, read_key

_SIDE_PX = 160
_PAIRS, _SINGLES = 4, 12
_DIAMETER_MM, _LESION_HU = 6.0, -350.0


def demo_lesson(words: dict[str, Any], *, seed: int = 2) -> list[Slide]:
    """Slides: four pairs to prefer, then twelve images to search, six of them with a nodule.

    The nodules are the kit's own, inserted before the dose is lowered; place, image and filter
    are drawn by chance. Both filters make three images with a nodule and three without.

    Parameters
    ----------
    words : texts of the room
    """
    from ctlab.classic import denoise_classic
    from ctlab.ct import load_sample, measure_noise_hu, simulate_dose
    from ctlab.ct.simulation.lesion import Lesion, insert_lesion

    rng = np.random.default_rng(seed)
    sample = load_sample()
    corners = _lung_corners(sample, rng, _PAIRS + _SINGLES)
    with_lesion = rng.permutation([True, False] * (_SINGLES // 2))
    shown = sorted({z for z, _, _ in corners})
    whole = sample
    for corner, there in zip(corners[_PAIRS:], with_lesion, strict=True):
        if there:
            place = _in_lung(sample.hu[corner[0]], corner, rng)
            whole = insert_lesion(whole, Lesion(place, _DIAMETER_MM, _LESION_HU))[0]
    low = simulate_dose(Volume(whole.hu[shown], whole.spacing_mm), DOSE, rng=rng)
    noise_hu = measure_noise_hu(low)

    def piece(corner: tuple[int, int, int], arm: str) -> np.ndarray:
        z, y, x = corner
        cut = low.hu[shown.index(z)][None, y : y + _SIDE_PX, x : x + _SIDE_PX]
        made = denoise_classic(cut, ARMS[arm], noise_sd_hu=noise_hu)
        return np.asarray(np.rint(made).astype(np.int16))

    pairs = _pairs([[piece(c, arm) for arm in ARMS] for c in corners[:_PAIRS]], sample, words, rng)
    arms = {there: iter(rng.permutation(list(ARMS) * (_SINGLES // 4))) for there in (True, False)}
    drawn = [
        (c, bool(t), str(next(arms[bool(t)])))
        for c, t in zip(corners[_PAIRS:], with_lesion, strict=True)
    ]
    singles = [_single(piece(c, arm), there, arm, sample, words) for c, there, arm in drawn]
    return [*pairs, *singles]


def _lung_corners(
    volume: Volume, rng: np.random.Generator, count: int
) -> list[tuple[int, int, int]]:
    """First voxels of squares of mostly lung, no two on neighbouring slices of one place."""
    from ctlab.ct.tissue import body_mask

    found: list[tuple[int, int, int]] = []
    slices = rng.permutation(len(volume.hu))
    for z in np.tile(slices, 3):
        plane = volume.hu[z]
        lung = (plane < -700) & body_mask(plane)
        sums = np.cumsum(np.cumsum(np.pad(lung, ((1, 0), (1, 0))), axis=0), axis=1)
        s = _SIDE_PX
        share = (sums[s:, s:] - sums[:-s, s:] - sums[s:, :-s] + sums[:-s, :-s]) / s**2
        for y, x in rng.permutation(np.argwhere(share > 0.7 * share.max())):
            if all(abs(z - a) > 2 or max(abs(y - b), abs(x - c)) > s - 1 for a, b, c in found):
                found.append((int(z), int(y), int(x)))
                break
        if len(found) == count:
            return found
    raise ValueError(f"expected {count} places in the lungs, got {len(found)}")


def _in_lung(
    plane: np.ndarray, corner: tuple[int, int, int], rng: np.random.Generator
) -> tuple[float, float, float]:
    """A place within the square, in lung and some millimetres from anything else."""
    from scipy.ndimage import binary_erosion

    z, y, x = corner
    cut = plane[y : y + _SIDE_PX, x : x + _SIDE_PX]
    free = binary_erosion(cut < -600, iterations=5)
    free[[*range(12), *range(-12, 0)]] = free[:, [*range(12), *range(-12, 0)]] = False
    row, column = rng.choice(np.argwhere(free))
    return float(z), float(y + row), float(x + column)


def _pairs(
    images: list[list[np.ndarray]], sample: Volume, words: dict[str, Any], rng: np.random.Generator
) -> Iterator[Slide]:
    options = tuple(
        {"value": v, "text": words[t]}
        for v, t in (("left", "image_a"), ("right", "image_b"), ("tie", "tie"))
    )
    names = words["image_a"], words["image_b"]
    for both in images:
        order = rng.permutation(2)
        left, right = (both[i] for i in order)
        arms = [list(ARMS)[i] for i in order]
        yield Slide(
            question=words["lecture_prefer"],
            options=options,
            images=partial(_both, left, right),
            spacing_mm=sample.spacing_mm,
            frame=0,
            key=tuple(f"{name}: {arm}" for name, arm in zip(names, arms, strict=True)),
            labels=names,
        )


def _both(left: np.ndarray, right: np.ndarray | None) -> Images:
    return left, right


def _single(
    image: np.ndarray, there: bool, arm: str, sample: Volume, words: dict[str, Any]
) -> Slide:
    answers = [words[f"lecture_sure_{i}"] for i in range(1, 6)]
    told = (
        words["lecture_with"].replace("{mm}", f"{_DIAMETER_MM:g}")
        if there
        else words["lecture_without"]
    )
    return Slide(
        question=words["lecture_nodule"],
        options=tuple({"value": i, "text": text} for i, text in enumerate(answers, start=1)),
        images=partial(_both, image, None),
        spacing_mm=sample.spacing_mm,
        frame=0,
        key=(told, arm),
        arm=arm,
        truth=there,
    )


def key_of(study: str | Path) -> Key:
    """Key of an unblinded study; of a demonstration also before, with its own passphrase.

    A lesson tells what the images were. The key of a study that is still read stays sealed.

    Raises
    ------
    ValueError
        The study is neither unblinded nor a demonstration.
    """
    note = Path(study) / NOTE
    if (Path(study) / "unblinded" / "key.json").is_file() or not note.is_file():
        return read_key(study)
    from reader_study.blinding.sealed_key import unseal

    commitment = open_bundle(bundle_folder(study)).commitment
    passphrase = note.read_text("utf-8").splitlines()[1]
    return key_from(unseal(sealed_key(study).read_bytes(), passphrase, commitment=commitment))

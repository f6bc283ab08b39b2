"""Leaks: whatever but image quality tells the arms apart, looked for at lock.

Sizes, clipped value ranges, padding, lattices of grey values, burned-in text, words, and a noise
texture that tells the arms on its own. What is found is refused, or accepted with a reason that
the record and the report keep.
"""

import json
from collections.abc import Iterable
from typing import Any

import numpy as np
from scipy.ndimage import uniform_filter1d

from ctlab.ct.hu import HU_MAX, HU_MIN
from reader_study.blinding.render import Rendition, decode
from reader_study.design.protocol import Protocol

_FEWEST_PIXELS = 10
_FEWEST_SLICES = 8  # noise makes a pixel the same by chance in fewer
_CLIPPED_SHARE = 1e-3
_AIR_HU = -900
_TELLING_AUC = 0.95
_SPIKE_SHARE = 0.02  # of the pixels at one value: padding and flat areas, no part of a histogram
_SMOOTH_HU = 31
_FEWEST_VALUES = 50  # too few say nothing about steps
_LEAST_APART = 1.4  # ordinary series give 0.97 to 1.05; a slope of 1.5 gives 1.5


def pixel_leaks(protocol: Protocol, renditions: list[Rendition]) -> list[str]:
    """Differences between the arms of one case that are no matter of image quality."""
    case = protocol.cases[renditions[0].case].name
    leaks = []
    if len({len(r.pixels) for r in renditions}) > 1:
        leaks.append(f"case {case}: images differ in bytes between arms")
        return leaks
    facts = [_facts(r) for r in renditions]
    for name in facts[0]:
        values = [fact[name] for fact in facts]
        if len(set(values)) > 1 or (name == "burned-in text" and "yes" in values):
            said = ", ".join(
                f"{protocol.arms[r.arm].name} {value}"
                for r, value in zip(renditions, values, strict=True)
            )
            verb = "differs between arms" if len(set(values)) > 1 else "in the pixels"
            leaks.append(f"case {case}: {name} {verb} ({said})")
    return leaks


def _facts(rendition: Rendition) -> dict[str, str]:
    """What must agree between the arms, in words."""
    hu = decode(rendition)
    low, high = int(HU_MIN), int(HU_MAX)
    counts = np.bincount(hu.ravel().astype(np.int32) - low, minlength=high - low + 1)
    seen = np.flatnonzero(counts)
    return {
        "smallest grey step": _step(counts, seen),
        "lowest value": _clipped(counts, low, at=int(seen[0])),
        "highest value": _clipped(counts, low, at=int(seen[-1])),
        "corner value": _corner(hu),
        "burned-in text": "yes" if _has_text(hu.min(axis=0), hu.max(axis=0), len(hu)) else "no",
    }


def _step(counts: np.ndarray, seen: np.ndarray) -> str:
    """Distance between grey values: 1 HU, or more after a rescale slope of 2 or an 8-bit detour.

    Few odd values, or steps of 5 and 6 HU in turn, hide a lattice from the common divisor of all
    steps. So the values in use are counted too, and compared with as many as a smooth histogram
    would fill: each bin of Poisson mean m is used with probability 1 - exp(-m).
    """
    if len(seen) < 2:
        return "one value"
    divisor = int(np.gcd.reduce(np.diff(seen)))
    spread = np.where(counts > _SPIKE_SHARE * counts.sum(), 0, counts)
    below = np.cumsum(spread)
    low, high = np.searchsorted(below, [0.05 * below[-1], 0.95 * below[-1]])
    middle = spread[low : high + 1]
    mean = uniform_filter1d(middle.astype(float), _SMOOTH_HU, mode="nearest")
    filled, used = float((1 - np.exp(-mean)).sum()), int((middle > 0).sum())
    apart = filled / max(used, 1)
    is_lattice = filled >= _FEWEST_VALUES and apart >= _LEAST_APART
    return f"{max(divisor, 2, round(apart)) if is_lattice else divisor} HU"


def _clipped(counts: np.ndarray, low: int, *, at: int) -> str:
    """An end of the value range at which values pile up: a series was clipped there.

    The ends of the range that every arm is rendered to (-1024, 3071) are no finding.
    """
    here = int(counts[at])
    piled = here >= max(_FEWEST_PIXELS, _CLIPPED_SHARE * counts.sum())
    return f"clipped at {at + low} HU" if piled and 0 < at < len(counts) - 1 else "not clipped"


def _corner(hu: np.ndarray) -> str:
    """The one value of all corners, where they are padded alike."""
    values = np.unique(hu[:, [0, 0, -1, -1], [0, -1, 0, -1]])
    return f"{int(values[0])} HU" if len(values) == 1 else "not padded"


def _has_text(lowest: np.ndarray, highest: np.ndarray, n_slices: int) -> bool:
    """Pixels above air that are the same in every slice, as letters are and tissue is not."""
    if n_slices < _FEWEST_SLICES:
        return False
    same = (lowest == highest) & (lowest > _AIR_HU) & (lowest < HU_MAX)
    return int(same.sum()) >= _FEWEST_PIXELS


def text_leaks(protocol: Protocol, slabs: Iterable[tuple[int, np.ndarray]]) -> list[str]:
    """Arms in which pixels are the same over all slices of all cases: burned-in text.

    Parameters
    ----------
    slabs : arm and HU (z, y, x) of every image of the study, one at a time
    """
    ends: dict[tuple[int, int, int], list[Any]] = {}
    for arm, hu in slabs:
        kept = ends.setdefault((arm, *hu.shape[1:]), [0, hu[0], hu[0]])
        kept[0] += len(hu)
        kept[1] = np.minimum(kept[1], hu.min(axis=0))
        kept[2] = np.maximum(kept[2], hu.max(axis=0))
    arms = sorted({arm for (arm, *_), (n, low, high) in ends.items() if _has_text(low, high, n)})
    return [
        f"pixels of arm {protocol.arms[arm].name} are the same in every slice: burned-in text?"
        for arm in arms
    ]


def texture_leaks(protocol: Protocol, recognised: list[dict[str, Any]]) -> list[str]:
    """Pairs of arms that a program tells apart by their noise texture alone.

    A protocol that itself says ``texture = "as-made"`` has chosen to compare textures.
    """
    if "texture" in protocol.design.model_fields_set:
        return []
    return [
        f"noise texture alone tells arm {protocol.arms[row['arms'][0] - 1].name} from "
        f"{protocol.arms[row['arms'][1] - 1].name} (AUC {row['auc']:.2f} in {row['cases']} cases; "
        'say texture = "matched" or "as-made" under [design])'
        for row in recognised
        if row["auc"] is not None and row["auc"] >= _TELLING_AUC
    ]


def bundle_leaks(
    protocol: Protocol, study: dict[str, Any], *, headers: Iterable[str] = ()
) -> list[str]:
    """Words in the bundle that name an arm, a case, a patient, a file, or quote a header.

    Parameters
    ----------
    study : what readers' browsers may be told
    headers : kernels, descriptions and identifiers that stood in the series
    """
    text = json.dumps(
        {k: v for k, v in study.items() if k not in _SPOKEN}, ensure_ascii=False
    ).lower()
    # Settings and feedback may say "lung" although a kernel is called so.
    unsaid = {k: v for k, v in study.items() if k not in (*_SPOKEN, *_SETTINGS)}
    quoted = json.dumps(_without_feedback(unsaid), ensure_ascii=False).lower()
    spoken = json.dumps({k: study[k] for k in _SPOKEN if k in study}, ensure_ascii=False).lower()
    arms = {arm.name for arm in protocol.arms} | {
        arm.description.lower() for arm in protocol.arms if arm.description
    }
    secret = arms | {case.name.lower() for case in protocol.cases}
    secret |= {case.patient.lower() for case in protocol.cases}
    leaks = [f"the bundle names {word!r}" for word in sorted(secret) if _names(word, text)]
    leaks += [
        f"the bundle quotes a header: {word!r}"
        for word in sorted({word.lower() for word in headers})
        if len(word) > 2 and not word.isdigit() and _names(word, quoted)
    ]
    # Consent and questions are the coordinator's own words: only arms must not stand there.
    leaks += [
        f"a text that readers see names the arm {word!r}; reword it in protocol.toml"
        for word in sorted(arms)
        if _names(word, spoken)
    ]
    return leaks


_SETTINGS = ("view", "design", "language")
_SPOKEN = ("title", "consent", "population", "items", "guess", "trust", "feedback")


def _without_feedback(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _without_feedback(v) for k, v in value.items() if k != "feedback"}
    return [_without_feedback(v) for v in value] if isinstance(value, list) else value


def _names(word: str, text: str) -> bool:
    """Whole words only, so that an arm called ``a`` does not match every sentence."""
    start = 0
    while (at := text.find(word, start)) >= 0:
        before, after = text[at - 1 : at], text[at + len(word) : at + len(word) + 1]
        if not (before.isalnum() or after.isalnum()):
            return True
        start = at + 1
    return False

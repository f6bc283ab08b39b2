"""Does anything but the images tell the arms apart? Checked at lock, before anyone reads.

Readers judge texture, and texture may give an arm away: that is measured by the guess question,
not here. Here it is about what has no place in a comparison: sizes, value ranges, lattices of
grey values, words.
"""

import json
from collections.abc import Iterable
from typing import Any

import numpy as np

from ctlab.ct.hu import HU_MAX, HU_MIN
from reader_study.blinding.render import Rendition
from reader_study.design.protocol import Protocol


def pixel_leaks(protocol: Protocol, renditions: list[Rendition]) -> list[str]:
    """Differences between the arms of one case that are no matter of image quality."""
    case = protocol.cases[renditions[0].case].name
    found = []
    if len({len(r.pixels) for r in renditions}) > 1:
        found.append(f"case {case}: images differ in bytes between arms")
    facts = [_facts(r.pixels) for r in renditions]
    for name in facts[0]:
        values = [fact[name] for fact in facts]
        if len(set(values)) > 1:
            said = ", ".join(
                f"{protocol.arms[r.arm].name} {value}"
                for r, value in zip(renditions, values, strict=True)
            )
            found.append(f"case {case}: {name} differs between arms ({said})")
    return found


def _facts(pixels: bytes) -> dict[str, int]:
    """What must agree: the lattice of grey values, and how the corners are padded."""
    hu = np.frombuffer(pixels, "<i2")
    low, high = int(HU_MIN), int(HU_MAX)
    seen = np.flatnonzero(np.bincount(hu.astype(np.int32) - low, minlength=high - low + 1))
    # One arm on even HU only (a rescale slope of 2, an 8-bit detour) shows as larger steps.
    step = int(np.gcd.reduce(np.diff(seen))) if len(seen) > 1 else 0
    return {"smallest grey step": step}


def bundle_leaks(
    protocol: Protocol, study: dict[str, Any], *, headers: Iterable[str] = ()
) -> list[str]:
    """Words in the bundle that name an arm, a case, a patient, a file, or quote a header.

    Parameters
    ----------
    study : what readers' browsers may be told
    headers : kernels, descriptions and identifiers that stood in the series
    """
    text = json.dumps({k: v for k, v in study.items() if k not in _SPOKEN}).lower()
    # Settings and feedback may say "lung" although a kernel is called so.
    unsaid = {k: v for k, v in study.items() if k not in (*_SPOKEN, *_SETTINGS)}
    quoted = json.dumps(_without_feedback(unsaid)).lower()
    spoken = json.dumps({k: study[k] for k in _SPOKEN if k in study}).lower()
    arms = {arm.name for arm in protocol.arms} | {
        arm.description.lower() for arm in protocol.arms if arm.description
    }
    secret = arms | {case.name for case in protocol.cases}
    secret |= {case.patient.lower() for case in protocol.cases}
    found = [f"the bundle names {word!r}" for word in sorted(secret) if _names(word, text)]
    found += [
        f"the bundle quotes a header: {word!r}"
        for word in sorted({word.lower() for word in headers})
        if len(word) > 2 and not word.isdigit() and _names(word, quoted)
    ]
    # Consent and questions are the coordinator's own words: only arms must not stand there.
    found += [
        f"a text that readers see names the arm {word!r}; reword it in protocol.toml"
        for word in sorted(arms)
        if _names(word, spoken)
    ]
    return found


_SETTINGS = ("view", "design", "language")
_SPOKEN = ("title", "consent", "population", "items", "guess", "feedback")


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

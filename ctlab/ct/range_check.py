"""Does a series lie within what a denoiser was made for? Its facts against a range of use.

``ctlab denoise`` refuses by this table and the passport prints it: one engine, one wording.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ctlab.ct.series_facts import WORDS, describe_series
from ctlab.ct.volume import Volume

if TYPE_CHECKING:
    import pandas as pd

NO_RANGE = "no range of use is stated: nothing says for which series this denoiser was made"
"""Said wherever a card has no range, and of a denoiser that has no card."""


@dataclass(frozen=True)
class RangeCheck:
    """One fact of a series beside its range.

    Attributes
    ----------
    name : key of :data:`ctlab.ct.series_facts.WORDS`
    value : float, str or None
        None where the series does not tell.
    allowed : list
        ``[low, high]``, or names of kernels; empty where the card does not tell.
    inside : bool or None
        None where the series or the card does not tell: noted, not refused.
    """

    name: str
    value: Any
    allowed: list[Any]
    inside: bool | None

    def __str__(self) -> str:
        words, _, unit = WORDS[self.name].partition(", ")
        if self.inside is None:
            return f"{words}: {'the series' if self.value is None else 'the card'} does not say"
        value = f"{self.value:.4g}" if isinstance(self.value, float) else self.value
        is_names = isinstance(self.allowed[0], str)
        allowed = ", ".join(self.allowed) if is_names else "{:.4g} to {:.4g}".format(*self.allowed)
        return f"{words} is {f'{value} {unit}'.rstrip()}, the denoiser was made for {allowed}"


@dataclass(frozen=True)
class Applicability:
    """Every fact of a series beside the range on a card.

    Attributes
    ----------
    checks : tuple of RangeCheck
        Empty where no range is stated.
    """

    checks: tuple[RangeCheck, ...]

    @property
    def is_met(self) -> bool:
        """No fact is known to lie outside the range."""
        return not self.reasons

    @property
    def reasons(self) -> list[str]:
        """One sentence for each fact outside the range."""
        return [str(check) for check in self.checks if check.inside is False]

    def sentences(self) -> list[str]:
        """One sentence for each fact outside the range, then one for each that is not known."""
        if not self.checks:
            return [NO_RANGE]
        return self.reasons + [str(check) for check in self.checks if check.inside is None]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        checks = {
            c.name: {"value": c.value, "wanted": c.allowed, "is_met": c.inside} for c in self.checks
        }
        notes = [] if self.checks else [NO_RANGE]
        return {"is_met": self.is_met, "reasons": self.reasons, "notes": notes, "checks": checks}

    @property
    def table(self) -> pd.DataFrame:
        """``fact, value, allowed, inside``, one row per fact."""
        import pandas as pd

        rows = [(c.name, c.value, c.allowed, c.inside) for c in self.checks]
        return pd.DataFrame(rows, columns=["fact", "value", "allowed", "inside"], dtype=object)


def check_applicability(
    series: Volume | Mapping[str, Any], card: Mapping[str, Any]
) -> Applicability:
    """Each fact of a series beside the range of use on a denoiser's card.

    Parameters
    ----------
    series : Volume, or the facts of one as :func:`ctlab.ct.describe_series` measures
    card : mapping
        ``range_of_use`` holds, per fact of :data:`ctlab.ct.series_facts.WORDS`, a pair
        ``[low, high]``, or a list of names for ``kernel``; :func:`ctlab.ct.range_check` makes
        one. An absent or empty entry is "the card does not say", never a pass.

    Raises
    ------
    ValueError
        The range names an unknown fact, or holds what is no range.

    Examples
    --------
    >>> card = {"range_of_use": {"noise_hu": [30, 90], "kernel": ["STANDARD"]}}
    >>> fits = check_applicability({"noise_hu": 12.0, "kernel": "STANDARD"}, card)
    >>> fits.is_met, fits.reasons
    (False, ['noise in soft tissue is 12 HU, the denoiser was made for 30 to 90'])
    >>> check_applicability({"noise_hu": 12.0}, {}).sentences() == [NO_RANGE]
    True
    """
    stated = check_range(card)
    if not stated:
        return Applicability(())
    facts = describe_series(series) if isinstance(series, Volume) else series
    return Applicability(
        tuple(_check(name, facts.get(name), list(stated.get(name) or ())) for name in WORDS)
    )


def check_range(card: Mapping[str, Any]) -> Mapping[str, Any]:
    """The range of use on a card, checked; empty where none is stated.

    Raises
    ------
    ValueError
        It names an unknown fact, or holds what is no range.
    """
    stated = card.get("range_of_use") or {}
    if not isinstance(stated, Mapping) or set(stated) - set(WORDS):
        names = ", ".join(sorted(set(stated) - set(WORDS))) if isinstance(stated, Mapping) else ""
        raise ValueError(
            f"range_of_use: expected a range for any of {', '.join(WORDS)}, got unknown facts: "
            f"{names or stated}; correct the card"
        )
    for name, allowed in stated.items():
        _check_one(name, [] if allowed is None else allowed)
    return stated


def _check_one(name: str, allowed: Any) -> None:
    """Raise ``ValueError`` for what is neither empty nor a range, or names of kernels."""
    is_list = isinstance(allowed, list | tuple)
    if is_list and name == "kernel" and all(isinstance(kernel, str) for kernel in allowed):
        return
    numbers = is_list and all(type(x) in (int, float) and math.isfinite(x) for x in allowed)
    is_range = numbers and (not allowed or (len(allowed) == 2 and allowed[0] <= allowed[1]))
    if name == "kernel" or not is_range:
        wanted = "a list of names" if name == "kernel" else "[low, high]"
        raise ValueError(f"range_of_use: {name} must be {wanted}, got {allowed}; correct it")


def _check(name: str, value: Any, allowed: list[Any]) -> RangeCheck:
    if isinstance(value, float) and not math.isfinite(value):
        value = None
    if value is None or not allowed:
        return RangeCheck(name, value, allowed, None)
    inside = value in allowed if name == "kernel" else allowed[0] <= value <= allowed[1]
    return RangeCheck(name, value, allowed, bool(inside))

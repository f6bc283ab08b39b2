"""Does a series lie within what a denoiser was made for? Measured facts against its card."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ctlab.ct import Volume
from ctlab.ct.series_facts import WORDS, describe_series


@dataclass(frozen=True)
class Applicability:
    """Each fact of a series beside the range on the card.

    Attributes
    ----------
    table : DataFrame
        ``fact, value, low, high, allowed, inside``; ``inside`` is None where the series or the
        card does not say.
    """

    table: pd.DataFrame

    @property
    def applicable(self) -> bool:
        """No fact is known to lie outside the card."""
        return not any(inside is False for inside in self.table.inside)

    @property
    def complete(self) -> bool:
        """Every fact is known on both sides."""
        return all(inside is not None for inside in self.table.inside)

    def sentences(self) -> list[str]:
        """One sentence for each fact outside the card, then one for each that is not known."""
        outside, unknown = [], []
        for row in self.table.itertuples():
            words = WORDS[row.fact]
            if row.inside is False:
                wanted = row.allowed or f"{row.low:g} to {row.high:g}"
                value = row.value if isinstance(row.value, str) else f"{row.value:.3g}"
                outside.append(f"{words} is {value}; the denoiser was made for {wanted}")
            elif row.inside is None:
                source = "the series" if row.value is None else "the card"
                unknown.append(f"{words}: {source} does not say")
        return outside + unknown


def check_applicability(
    series: Volume | Mapping[str, Any], card: Mapping[str, Any]
) -> Applicability:
    """Compare a series with the range of use on a denoiser's card.

    Parameters
    ----------
    series : Volume, or the facts of one as :func:`ctlab.ct.describe_series` measures
    card : mapping
        Holds ``range_of_use``: per fact of :data:`WORDS` a pair ``[low, high]``, or a list of
        names for ``kernel``. An absent or empty entry is "the card does not say", never a pass.

    Raises
    ------
    ValueError
        The card has no range of use, an unknown fact, or a range that is not a pair.

    Examples
    --------
    >>> card = {"range_of_use": {"noise_hu": [30, 90], "kernel": ["STANDARD"]}}
    >>> found = check_applicability({"noise_hu": 12.0, "kernel": "STANDARD"}, card)
    >>> found.applicable, found.sentences()[0]
    (False, 'noise in soft tissue, HU is 12; the denoiser was made for 30 to 90')
    """
    wanted = card.get("range_of_use")
    if not isinstance(wanted, Mapping):
        raise ValueError("the card has no range_of_use; measure one with range_of_use(facts)")
    unknown = set(wanted) - set(WORDS)
    if unknown:
        raise ValueError(
            f"the card names unknown facts: {', '.join(sorted(unknown))}; known are "
            f"{', '.join(WORDS)}"
        )
    facts = describe_series(series) if isinstance(series, Volume) else series
    rows = [_compare(name, facts.get(name), wanted.get(name)) for name in WORDS]
    return Applicability(pd.DataFrame(rows, dtype=object).astype({"low": float, "high": float}))


def _compare(name: str, value: Any, wanted: Any) -> dict[str, Any]:
    row = {
        "fact": name,
        "value": value,
        "low": np.nan,
        "high": np.nan,
        "allowed": "",
        "inside": None,
    }
    if not wanted:
        return row
    if name == "kernel":
        row["allowed"] = ", ".join(wanted)
        return row | {"inside": None if value is None else value in wanted}
    if len(wanted) != 2 or not wanted[0] <= wanted[1]:
        raise ValueError(f"range_of_use: {name} must be [low, high], got {wanted}")
    row |= {"low": float(wanted[0]), "high": float(wanted[1])}
    if value is None or not np.isfinite(value):
        return row | {"value": None}
    return row | {"inside": bool(wanted[0] <= value <= wanted[1])}

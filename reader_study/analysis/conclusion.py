"""The sentence of a primary result: what it shows, and what it does not."""

import math
from typing import Any

from reader_study.design.analysis_plan import LEVEL
from reader_study.stats.paired.crossed_mean import FEW_READERS


def conclusion(row: dict[str, Any], *, multiple: bool) -> str:
    """What a primary result does and does not show.

    Examples
    --------
    >>> row = {"new": "a", "reference": "b", "aim": "superiority", "value": 0.5, "null": 0.5,
    ...        "p_adjusted": 1.0, "note": "", "n_readers": 5, "margin": None}
    >>> conclusion(row, multiple=False)
    'No difference between a and b was shown; this does not show that they are equal.'
    """
    said = _said(row, multiple=multiple)
    count = row["n_readers"]
    if 0 < count < FEW_READERS:
        who = "For this one reader" if count == 1 else f"For these {count} readers"
        return f"{who}: {said}"
    return said


def _said(row: dict[str, Any], *, multiple: bool) -> str:
    new, reference, p = row["new"], row["reference"], row["p_adjusted"]
    if p is None or math.isnan(p):
        return f"{new} against {reference} could not be estimated: {row['note'] or 'no interval'}."
    shown = p < 1 - LEVEL
    after = " after adjustment for several comparisons" if multiple else ""
    if row["aim"] == "superiority":
        if shown:
            better = new if row["value"] > row["null"] else reference
            worse = reference if better == new else new
            return f"{better} was better than {worse}{after}."
        return (
            f"No difference between {new} and {reference} was shown; this does not show that they "
            "are equal."
        )
    word = "non-inferior" if row["aim"] == "noninferiority" else "equivalent"
    if shown:
        return f"{new} was {word} to {reference} within the margin of {row['margin']:g}{after}."
    return f"{new} was not shown to be {word} to {reference} (margin {row['margin']:g})."

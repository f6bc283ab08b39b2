"""Readers' marks against the protocol's lesions, in mm, for the free-response endpoint."""

from typing import Any

import numpy as np
import pandas as pd

from .endpoints import Estimate, from_mrmc, nothing
from .plan import Planned
from .stats.froc import froc
from .stats.marks import match_marks


def lesion_table(protocol: dict[str, Any], spacing_mm: dict[str, tuple]) -> pd.DataFrame:
    """``case, lesion, x, y, z, diameter_mm`` of the reading cases, in mm of the whole series."""
    rows = []
    for case in protocol["cases"]:
        if case["practice"]:
            continue
        for number, lesion in enumerate(case["lesions"], start=1):
            z, y, x = np.asarray(lesion["centre_zyx"]) * np.asarray(spacing_mm[case["name"]])
            rows.append((case["name"], number, x, y, z, lesion["diameter_mm"]))
    return pd.DataFrame(rows, columns=["case", "lesion", "x", "y", "z", "diameter_mm"])


def case_truth(protocol: dict[str, Any]) -> pd.DataFrame:
    """``case, truth, n_lesions`` of the reading cases."""
    rows = [
        (case["name"], int(bool(case["lesions"])), len(case["lesions"]))
        for case in protocol["cases"]
        if not case["practice"]
    ]
    return pd.DataFrame(rows, columns=["case", "truth", "n_lesions"])


def marks_mm(marks: pd.DataFrame, spacing_mm: dict[str, tuple]) -> pd.DataFrame:
    """Marks with positions in mm; a mark without a confidence counts as 100, the highest."""
    size = np.array([spacing_mm[case] for case in marks["case"]]).reshape(-1, 3)
    place = marks[["z", "y", "x"]].to_numpy(float) * size
    rating = pd.to_numeric(marks["confidence"]).fillna(100.0)
    return marks[["reader", "arm", "case", "trial"]].assign(
        z=place[:, 0], y=place[:, 1], x=place[:, 2], rating=rating
    )


def estimate_wafroc(
    test: Planned,
    table: pd.DataFrame,
    marks: pd.DataFrame,
    *,
    protocol: dict[str, Any],
    spacing_mm: dict[str, tuple],
    radius_mm: float,
) -> Estimate:
    """Weighted AFROC areas of two arms; every main trial with an answer counts as read.

    Parameters
    ----------
    table : outcome table of the item that carries the marks
    marks : as :func:`reader_study.export.marks_table` gives, of the kind that means a lesion
    """
    cases = case_truth(protocol)
    read = table.groupby(["reader", "arm"])["case"].nunique()
    if read.empty or (read < len(cases)).any():
        return nothing(
            "free-response areas want every reader to have read every case in both arms; "
            f"{int((len(cases) - read).sum()) if len(read) else 'all'} readings are missing"
        )
    shown = marks[marks["trial"].isin(table["trial"]) & marks["arm"].isin(read.index.levels[1])]
    known = lesion_table(protocol, spacing_mm)
    matched = match_marks(marks_mm(shown, spacing_mm), known, radius_mm=radius_mm)
    blank = _readers_without_marks(read, matched)
    alone = table["reader"].nunique() < 2
    try:
        result = froc(
            matched, cases, arms=(test.new, test.reference), readers="fixed" if alone else "random"
        )
    except ValueError as error:
        return nothing(str(error))
    note = f"no marks at all by {', '.join(blank)}" if blank else ""
    found = from_mrmc(result, test, note=note, scope="cases" if alone else "readers and cases")
    counts = {"n": len(matched), "n_readers": table["reader"].nunique(), "n_cases": len(cases)}
    return Estimate(**{**vars(found), **counts})


def _readers_without_marks(read: pd.Series, matched: pd.DataFrame) -> list[str]:
    return sorted(set(read.index.get_level_values("reader")) - set(matched["reader"]))

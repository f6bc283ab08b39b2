"""Rows of an MRMC study as one array, and the design found in them."""

from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import pandas as pd

from reader_study.stats.tables import (
    check_levels,
    check_table,
    check_truth,
    spreadsheet_rows,
)

Design = Literal[
    "crossed",
    "split-plot",
    "cases nested in readers",
    "cases nested in arms",
    "cases nested in readers and arms",
    "readers nested in arms",
    "arms independent",
]


@dataclass(frozen=True)
class Readings:
    """Scores with shape (arm, reader, case); NaN where a case was not read."""

    arms: tuple[str, ...]
    readers: tuple[str, ...]
    cases: tuple[str, ...]
    truth: np.ndarray
    scores: np.ndarray
    patients: np.ndarray | None = field(default=None)
    empty: str = ""  # spreadsheet rows with an empty rating

    @property
    def read(self) -> np.ndarray:
        """True where a reader read a case in an arm; shape (arm, reader, case)."""
        return np.asarray(~np.isnan(self.scores))


def read_readings(
    table: pd.DataFrame, *, arms: tuple[str, ...] | None = None, cluster: str | None = None
) -> Readings:
    """The table ``reader, case, arm, truth, rating`` as an array.

    Parameters
    ----------
    table : DataFrame
        Rows with an empty rating count as not read.
    arms : names in the order of the result; default the order of first appearance
    cluster : column that names the patient where one patient gives several cases

    Raises
    ------
    ValueError
        With row numbers: repeated readings, unknown arms, ratings that are no numbers, truth
        that varies within a case, a case that changes its patient.

    Examples
    --------
    >>> table = pd.DataFrame({"reader": "R1", "case": ["a", "b"], "arm": "full",
    ...                       "truth": [0, 1], "rating": [1, 5]})
    >>> read_readings(table).scores.tolist()
    [[[1.0, 5.0]]]
    """
    columns = ["reader", "case", "arm", "truth", "rating", *([cluster] if cluster else [])]
    checked = check_table(
        table, columns=columns, unique=["reader", "arm", "case"], numeric=["truth", "rating"]
    )
    check_truth(checked)
    names = arms or tuple(dict.fromkeys(checked["arm"]))
    check_levels(checked, "arm", names, what="arms")
    if len(names) < 1:
        raise ValueError("expected at least one arm, got none")
    readers = tuple(dict.fromkeys(checked["reader"]))
    cases = tuple(dict.fromkeys(checked["case"]))
    scores = np.full((len(names), len(readers), len(cases)), np.nan)
    at = [
        pd.Index(labels).get_indexer(checked[column])
        for labels, column in ((names, "arm"), (readers, "reader"), (cases, "case"))
    ]
    scores[at[0], at[1], at[2]] = checked["rating"].to_numpy()
    truth = checked.groupby("case")["truth"].first().loc[list(cases)].to_numpy(dtype=int)
    patients = _patients(checked, cluster, cases) if cluster else None
    text = [tuple(map(str, labels)) for labels in (names, readers, cases)]
    unread = checked["rating"].isna()
    empty = spreadsheet_rows(unread) if unread.any() else ""
    return Readings(text[0], text[1], text[2], truth, scores, patients, empty)


def _patients(table: pd.DataFrame, cluster: str, cases: tuple[Hashable, ...]) -> np.ndarray:
    per_case = table.groupby("case")[cluster].nunique()
    if (per_case != 1).any():
        raise ValueError(
            f"each case belongs to one {cluster}; case {per_case[per_case != 1].index[0]!r} has "
            f"{per_case[per_case != 1].iloc[0]}; correct the column"
        )
    return np.asarray(table.groupby("case")[cluster].first().loc[list(cases)].to_numpy())


def find_design(readings: Readings) -> tuple[Design, np.ndarray]:
    """The design and each reader's block; refuses one that the ANOVA cannot analyse.

    Returns
    -------
    design : str
    blocks : ndarray of int, shape (readers,)
        All 0 unless readers and cases come in blocks of their own (split-plot).

    Raises
    ------
    ValueError
        Naming the reader, arm and number of cases where readings are missing; such data want
        the U-statistic method.
    """
    read = readings.read
    cell = np.asarray(read.any(axis=2))
    one_block = np.zeros(len(readings.readers), dtype=int)
    if read.all():
        return "crossed", one_block
    if cell.all():
        if _disjoint(read.reshape(-1, read.shape[2])):
            return "cases nested in readers and arms", one_block
        if (read == read[:, :1]).all() and _disjoint(read[:, 0]):
            return "cases nested in arms", one_block
        if (read == read[:1]).all():
            patterns, blocks = np.unique(read[0], axis=0, return_inverse=True)
            if len(patterns) > 1 and _disjoint(patterns):
                if len(patterns) == len(readings.readers):
                    return "cases nested in readers", one_block
                return "split-plot", np.asarray(blocks).ravel()
    elif (cell.sum(axis=0) == 1).all():
        nested = _nested_readers(read, cell)
        if nested is not None:
            return nested, one_block
    raise ValueError(_what_is_missing(readings))


def _nested_readers(read: np.ndarray, cell: np.ndarray) -> Design | None:
    """The design where each reader reads one arm; None where readers of an arm differ in cases."""
    rows = [np.unique(read[i][cell[i]], axis=0) for i in range(len(cell))]
    if any(len(row) != 1 for row in rows):
        return None
    per_arm = np.concatenate(rows)
    if per_arm.all():
        return "readers nested in arms"
    return "arms independent" if _disjoint(per_arm) else None


def _disjoint(patterns: np.ndarray) -> bool:
    return bool((patterns.sum(axis=0) <= 1).all())


def _what_is_missing(readings: Readings) -> str:
    unread = ~readings.read
    missing = unread.sum(axis=2)
    arm, reader = np.unravel_index(int(missing.argmax()), missing.shape)
    cases = np.flatnonzero(unread[arm, reader])
    named = ", ".join(readings.cases[k] for k in cases[:3]) + (", ..." if cases.size > 3 else "")
    total = int(missing.sum())
    empty = f"; empty ratings in {readings.empty} (the header is row 1)" if readings.empty else ""
    return (
        f"every reader must read every case in every arm for this method; "
        f"{total} reading{' is' if total == 1 else 's are'} missing, most of them of reader "
        f"{readings.readers[reader]} in arm {readings.arms[arm]} ({cases.size} of "
        f"{len(readings.cases)} cases: {named}){empty}; use the U-statistic method (ustat), which "
        "needs no complete design"
    )

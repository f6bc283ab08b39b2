"""Marks that readers set, matched to known lesions by the protocol's acceptance rule."""

from typing import Literal

import numpy as np
import pandas as pd

from reader_study.stats.tables import as_numbers, check_table, refuse

Rule = Literal["fixed", "lesion"]
Duplicates = Literal["highest", "false"]


def match_marks(
    marks: pd.DataFrame,
    lesions: pd.DataFrame,
    *,
    radius_mm: float,
    rule: Rule = "fixed",
    duplicates: Duplicates = "highest",
) -> pd.DataFrame:
    """Each mark as a lesion (LL) or a non-lesion (NL) localisation.

    Parameters
    ----------
    marks : DataFrame
        ``reader, arm, case, x, y, z, rating``; positions in mm.
    lesions : DataFrame
        ``case, lesion, x, y, z`` and, for ``rule="lesion"``, ``diameter_mm``; ``lesion``
        counts from 1 within a case.
    radius_mm : float
        A mark at this distance or nearer to a lesion's centre is a hit.
    rule : "fixed", or "lesion": the larger of ``radius_mm`` and half the lesion's diameter
    duplicates : what becomes of further marks on one lesion by one reader in one arm:
        "highest" keeps the best rated and drops the others, "false" counts them as NL

    Returns
    -------
    DataFrame
        ``reader, arm, case, mark, lesion, rating, distance_mm``, ready for
        :func:`reader_study.stats.free_response.froc.froc`. A mark goes to its nearest lesion; of
        lesions at the same distance to the lowest number. Of marks on one lesion with the same
        rating the nearer one is kept.

    Raises
    ------
    ValueError
        With row numbers for empty positions or ratings; for a radius that is not positive.

    Examples
    --------
    Two marks on one lesion, one beside it:

    >>> marks = pd.DataFrame({"reader": "R", "arm": "a", "case": "c", "x": [0, 1, 9], "y": 0.0,
    ...                       "z": 0.0, "rating": [50, 60, 70]})
    >>> lesions = pd.DataFrame({"case": ["c"], "lesion": 1, "x": 0.0, "y": 0.0, "z": 0.0})
    >>> matched = match_marks(marks, lesions, radius_mm=3)
    >>> matched[["mark", "rating"]].values.tolist()
    [['LL', 60.0], ['NL', 70.0]]
    """
    if not radius_mm > 0:
        raise ValueError(f"expected an acceptance radius above 0 mm, got {radius_mm}")
    place = ["x", "y", "z"]
    keys = ["reader", "arm", "case"]
    table = check_table(
        marks,
        columns=[*keys, *place, "rating"],
        numeric=[*place, "rating"],
        filled=[*keys, *place, "rating"],
    )
    needed = ["case", "lesion", *place, *(["diameter_mm"] if rule == "lesion" else [])]
    known = (
        lesions.iloc[:0]
        if lesions.empty
        else check_table(
            lesions, columns=needed, unique=["case", "lesion"], numeric=needed[1:], filled=needed
        )
    )
    number, distance = _nearest(table, known, radius_mm, rule)
    table["lesion"], table["distance_mm"] = number, distance
    table["mark"] = np.where(number > 0, "LL", "NL")
    hits = table[number > 0].sort_values(
        ["rating", "distance_mm"], ascending=[False, True], kind="stable"
    )
    extra = hits.index[hits.duplicated([*keys, "lesion"])]
    if duplicates == "false":
        table.loc[extra, ["mark", "lesion"]] = ["NL", 0]
    else:
        table = table.drop(index=extra)
    return table[[*keys, "mark", "lesion", "rating", "distance_mm"]].reset_index(drop=True)


def _nearest(
    marks: pd.DataFrame, lesions: pd.DataFrame, radius_mm: float, rule: Rule
) -> tuple[np.ndarray, np.ndarray]:
    """Number of the lesion each mark hits (0: none) and the distance to the nearest one."""
    number = np.zeros(len(marks), dtype=int)
    distance = np.full(len(marks), np.nan)
    by_case = dict(tuple(lesions.groupby("case"))) if len(lesions) else {}
    position = marks[["x", "y", "z"]].to_numpy(float)
    for case, rows in marks.reset_index(drop=True).groupby("case").indices.items():
        if case not in by_case:
            continue
        inside = by_case[case].sort_values("lesion")
        centre = inside[["x", "y", "z"]].to_numpy(float)
        apart = np.linalg.norm(position[rows][:, None] - centre[None], axis=2)
        nearest = apart.argmin(axis=1)
        distance[rows] = apart[np.arange(len(rows)), nearest]
        reach = np.full(len(inside), float(radius_mm))
        if rule == "lesion":
            reach = np.maximum(reach, inside["diameter_mm"].to_numpy() / 2)
        hit = distance[rows] <= reach[nearest]
        number[rows] = np.where(hit, inside["lesion"].to_numpy(int)[nearest], 0)
    return number, distance


def check_marks(marks: pd.DataFrame, cases: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Checked copies of localisations and of the list of cases.

    Parameters
    ----------
    marks : DataFrame
        ``reader, arm, case, mark (LL or NL), lesion (0 or empty for NL), rating``.
    cases : DataFrame
        ``case, truth, n_lesions``.

    Raises
    ------
    ValueError
        With row numbers: unknown cases, lesion numbers a case does not have, a lesion marked
        twice by one reader in one arm, truth that contradicts the number of lesions.
    """
    known = check_table(
        cases,
        columns=["case", "truth", "n_lesions"],
        unique=["case"],
        numeric=["truth", "n_lesions"],
        filled=["truth", "n_lesions"],
    )
    as_numbers(known, "n_lesions", integers=True)
    refuse(
        (known["truth"] == 1) != (known["n_lesions"] > 0),
        "truth and n_lesions contradict each other",
        "truth is 1 exactly where a case has lesions",
    )
    columns = ["reader", "arm", "case", "mark", "lesion", "rating"]
    filled = [name for name in columns if name != "lesion"]
    table = check_table(marks, columns=columns, numeric=["lesion", "rating"], filled=filled)
    as_numbers(table, "lesion", integers=True)
    refuse(~table["case"].isin(known["case"]), "case not in the list of cases", "add it or drop it")
    refuse(~table["mark"].isin(["LL", "NL"]), "mark is neither LL nor NL", "write LL or NL")
    count = table["case"].map(known.set_index("case")["n_lesions"])
    hit = table["mark"] == "LL"
    refuse(hit & table["lesion"].isna(), "column 'lesion' is empty beside LL", "number the lesion")
    table["lesion"] = table["lesion"].fillna(0.0)  # a mark beside every lesion names none
    refuse(
        hit & ((table["lesion"] < 1) | (table["lesion"] > count)),
        "a lesion number that the case does not have",
        "lesions of a case count from 1 to n_lesions",
    )
    refuse(
        hit & table.duplicated(["reader", "arm", "case", "mark", "lesion"], keep=False),
        "a lesion marked more than once by one reader in one arm",
        "keep its highest rating (match_marks does)",
    )
    return table, known

"""Free-response analysis: marks anywhere in the image, figures of merit, arms compared."""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pandas as pd

from reader_study.stats.free_response.match_marks import (
    Duplicates,
    Rule,
    check_marks,
    match_marks,
)
from reader_study.stats.roc.auc_covariance import jackknife_covariance
from reader_study.stats.roc.obuchowski_rockette import (
    Effect,
    Mrmc,
    obuchowski_rockette,
)
from reader_study.stats.roc.variance_components import Cells
from reader_study.stats.tables import check_levels, check_table, refuse

Fom = Literal["wafroc", "afroc", "wafroc1", "afroc1", "hrauc", "froc"]
FOMS = ("wafroc", "afroc", "wafroc1", "afroc1", "hrauc", "froc")
# Non-lesion marks per case at which sensitivity is averaged by "froc".
FALSE_RATES = (0.125, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)


@dataclass(frozen=True)
class _Reading:
    """One reader in one arm: best NL rating per case, LL ratings (case, lesion), all NLs."""

    best_false: np.ndarray
    lesions: np.ndarray
    false_case: np.ndarray
    false_rating: np.ndarray


def froc(
    marks: pd.DataFrame,
    cases: pd.DataFrame,
    *,
    fom: Fom = "wafroc",
    readers: Effect = "random",
    case_effect: Effect = "random",
    arms: tuple[str, ...] | None = None,
    reader_names: tuple[str, ...] | None = None,
    readings: pd.DataFrame | None = None,
    cluster: str | None = None,
) -> Mrmc:
    """Compare arms by a free-response figure of merit in the Obuchowski-Rockette model.

    Parameters
    ----------
    marks : DataFrame
        ``reader, arm, case, mark (LL or NL), lesion, rating``. A case without rows was read
        and not marked, unless ``readings`` says otherwise.
    cases : DataFrame
        ``case, truth, n_lesions``.
    fom : figure of merit
        "wafroc": chance that a lesion is rated above the highest non-lesion mark of a case
        without lesions, each case with lesions counting once; "afroc": each lesion counting
        once; with "1": non-lesion marks of all cases, also where every case has lesions;
        "hrauc": ROC area of each case's highest rating; "froc": mean share of lesions found at
        1/8, 1/4, 1/2, 1, 2, 4 and 8 non-lesion marks per case.
    arms : order of the arms
    reader_names : all who read every case in every arm, also those who set no mark; default
        those with marks
    readings : ``reader, arm, case`` of all that was read, marked or not
    cluster : column of ``cases`` naming the patient where a patient gives several cases; the
        jackknife then leaves out patients

    Raises
    ------
    ValueError
        As :func:`check_marks`; for a single truth; for an unknown figure of merit; where a reader
        has no mark in an arm and neither ``reader_names`` nor ``readings`` says that he read it.

    Notes
    -----
    Chakraborty & Berbaum 2004 (doi:10.1118/1.1769352); weighted AFROC: Chakraborty & Zhai
    2016 (doi:10.1118/1.4947127); mean sensitivity: Setio et al. 2017
    (doi:10.1016/j.media.2017.06.015). Unmarked lesions and cases rate below every mark, and
    equal to each other. Covariances by the jackknife over cases.

    Examples
    --------
    One case with a lesion found at 80, one without and no mark there: each figure is 1.

    >>> marks = pd.DataFrame({"reader": ["R1", "R2"] * 2, "arm": ["a", "a", "b", "b"],
    ...                       "case": "s", "mark": "LL", "lesion": 1, "rating": 80})
    >>> cases = pd.DataFrame({"case": ["s", "n"], "truth": [1, 0], "n_lesions": [1, 0]})
    >>> froc_figures(marks, cases)["figure"].tolist()
    [1.0, 1.0, 1.0, 1.0]
    """
    values, left_out, names, readers_seen = _figures(
        marks, cases, fom, arms, reader_names=reader_names, readings=readings, cluster=cluster
    )
    if not np.isfinite(left_out).all():
        raise ValueError(
            "expected at least two patients with and two without lesions: without the only one no "
            "figure is left and the jackknife has no error"
        )
    flat = left_out.reshape(-1, left_out.shape[-1])
    shape = (*values.shape, *values.shape)
    cells = Cells(
        names,
        readers_seen,
        values,
        jackknife_covariance(flat).reshape(shape),
        np.zeros(len(readers_seen), dtype=int),
    )
    result = obuchowski_rockette(cells, readers=readers, cases=case_effect)
    return replace(result, design="crossed", method=f"{fom}, jackknife")


def froc_figures(marks: pd.DataFrame, cases: pd.DataFrame, *, fom: Fom = "wafroc") -> pd.DataFrame:
    """The figure of merit of each reader in each arm: ``arm, reader, figure``.

    Examples
    --------
    >>> marks = pd.DataFrame({"arm": "new", "reader": "R1", "case": ["a", "b"],
    ...     "mark": ["LL", "NL"], "lesion": [1, 0], "rating": [3, 1]})
    >>> cases = pd.DataFrame({"case": ["a", "b"], "truth": [1, 0], "n_lesions": [1, 0]})
    >>> froc_figures(marks, cases).figure.tolist()
    [1.0]
    """
    values, _, names, readers = _figures(marks, cases, fom, None)
    rows = [(a, r, values[i, j]) for i, a in enumerate(names) for j, r in enumerate(readers)]
    return pd.DataFrame(rows, columns=["arm", "reader", "figure"])


def _figures(
    marks: pd.DataFrame,
    cases: pd.DataFrame,
    fom: str,
    arms: tuple[str, ...] | None,
    *,
    reader_names: tuple[str, ...] | None = None,
    readings: pd.DataFrame | None = None,
    cluster: str | None = None,
) -> tuple[np.ndarray, np.ndarray, tuple[str, ...], tuple[str, ...]]:
    if fom not in FOMS:
        raise ValueError(f"expected a figure of merit of {', '.join(FOMS)}, got {fom!r}")
    table, known = check_marks(marks, cases)
    read = table if readings is None else _readings(readings, table, known)
    names = arms or tuple(dict.fromkeys(read["arm"]))
    readers = reader_names or tuple(sorted(dict.fromkeys(read["reader"])))
    check_levels(table, "arm", names, what="arms")
    check_levels(table, "reader", readers, what="readers")
    if readings is None and reader_names is None:
        _refuse_silent(table, names, readers)
    elif readings is not None:
        _refuse_unread(read, known, names, readers)
    n_lesions = known["n_lesions"].to_numpy(int)
    every, none = (n_lesions > 0).all(), not (n_lesions > 0).any()
    if none or (every and not fom.endswith("1")):
        raise ValueError(
            f"expected cases with and without lesions, got only {'with' if every else 'without'}"
            + ("; where every case has lesions use wafroc1 or afroc1" if every else "")
        )
    values = np.empty((len(names), len(readers)))
    units = _units(known, cluster)
    left_out = np.empty((len(names), len(readers), units.max() + 1))
    for i, arm in enumerate(names):
        for j, reader in enumerate(readers):
            part = table[(table["arm"] == arm) & (table["reader"] == reader)]
            reading = _reading(part, known, n_lesions)
            values[i, j], left_out[i, j] = _figure(reading, n_lesions, fom, units)
    return values, left_out, tuple(map(str, names)), tuple(map(str, readers))


def _readings(readings: pd.DataFrame, marks: pd.DataFrame, cases: pd.DataFrame) -> pd.DataFrame:
    """The checked list of what was read; marks on what was not read are refused by row."""
    keys = ["reader", "arm", "case"]
    read = check_table(readings, columns=keys, unique=keys)
    refuse(~read["case"].isin(cases["case"]), "case not in the list of cases", "add it or drop it")
    known = pd.MultiIndex.from_frame(read[keys])
    marked = pd.Series(~pd.MultiIndex.from_frame(marks[keys]).isin(known), index=marks.index)
    refuse(marked, "a mark on a case that was not read", "add the reading or drop the mark")
    return read


def _refuse_silent(marks: pd.DataFrame, arms: tuple[str, ...], readers: tuple[str, ...]) -> None:
    """A reader without a mark in an arm may have read it or not: only a list of readings tells."""
    seen = set(zip(marks["arm"], marks["reader"], strict=True))
    silent = [(arm, reader) for arm in arms for reader in readers if (arm, reader) not in seen]
    if silent:
        arm, reader = silent[0]
        more = f" (and {len(silent) - 1} more)" if len(silent) > 1 else ""
        raise ValueError(
            f"expected marks of every reader in every arm, got none of reader {reader} in arm "
            f"{arm}{more}; list who read what in a table of reader, arm, case (--readings): who "
            "read and marked nothing counts, who did not read must be left out"
        )


def _refuse_unread(
    read: pd.DataFrame, cases: pd.DataFrame, arms: tuple[str, ...], readers: tuple[str, ...]
) -> None:
    counts = read.groupby(["arm", "reader"]).size()
    full = pd.MultiIndex.from_product([arms, readers])
    missing = len(cases) - counts.reindex(full, fill_value=0)
    if missing.any():
        arm, reader = missing.idxmax()
        raise ValueError(
            f"expected every reader to read all {len(cases)} cases in every arm, got "
            f"{len(cases) - missing.max()} of reader {reader} in arm {arm}; leave out that reader, "
            "or the cases not read by all"
        )


def _units(cases: pd.DataFrame, cluster: str | None) -> np.ndarray:
    """What the jackknife leaves out at a time: number of the unit of each case."""
    if cluster is None:
        return np.arange(len(cases))
    check_table(cases, columns=[cluster], filled=[cluster])
    return np.unique(cases[cluster].astype(str), return_inverse=True)[1]


def _reading(marks: pd.DataFrame, cases: pd.DataFrame, n_lesions: np.ndarray) -> _Reading:
    index = pd.Index(cases["case"])
    lesions = np.full((len(index), n_lesions.max()), np.nan)
    lesions[np.arange(n_lesions.max()) < n_lesions[:, None]] = -np.inf
    hits = marks[marks["mark"] == "LL"]
    lesions[index.get_indexer(hits["case"]), hits["lesion"].to_numpy(int) - 1] = hits["rating"]
    misses = marks[marks["mark"] == "NL"]
    false_case = index.get_indexer(misses["case"])
    best_false = np.full(len(index), -np.inf)
    np.maximum.at(best_false, false_case, misses["rating"].to_numpy())
    return _Reading(best_false, lesions, false_case, misses["rating"].to_numpy())


def _figure(
    reading: _Reading, n_lesions: np.ndarray, fom: str, units: np.ndarray
) -> tuple[float, np.ndarray]:
    """The figure on all cases and with each unit of cases left out."""
    if fom == "froc":
        return _mean_sensitivity(reading, n_lesions, units)
    diseased = n_lesions > 0
    best = reading.best_false
    if fom == "hrauc":
        best_lesion = np.where(np.isnan(reading.lesions), -np.inf, reading.lesions).max(axis=1)
        scores = np.maximum(best, best_lesion)[:, None]
        weights = diseased[:, None].astype(float)
        best = scores[:, 0]
    else:
        scores = reading.lesions
        each = 1 / np.maximum(n_lesions, 1) if fom.startswith("w") else np.ones(len(n_lesions))
        weights = np.where(np.isnan(scores), 0.0, each[:, None])
    false_cases = np.ones(len(best), bool) if fom.endswith("1") else ~diseased
    beaten = _beaten(np.where(np.isnan(scores), -np.inf, scores), best)  # (false, case, lesion)
    win = np.einsum("fcl,cl->fc", beaten, weights) * false_cases[:, None]
    weight, total = weights.sum(axis=1), win.sum()
    value = total / (false_cases.sum() * weight.sum())
    rows, columns = np.bincount(units, win.sum(axis=1)), np.bincount(units, win.sum(axis=0))
    own = np.zeros(len(rows))
    np.add.at(own, units, np.where(units[:, None] == units, win, 0.0).sum(axis=1))
    count = false_cases.sum() - np.bincount(units, false_cases)
    rest = weight.sum() - np.bincount(units, weight)
    with np.errstate(invalid="ignore", divide="ignore"):
        left_out = (total - rows - columns + own) / (count * rest)
    return float(value), left_out


def _beaten(lesions: np.ndarray, best_false: np.ndarray) -> np.ndarray:
    above = lesions[None] > best_false[:, None, None]
    level = lesions[None] == best_false[:, None, None]
    return np.asarray(above + 0.5 * level)


def _mean_sensitivity(
    reading: _Reading, n_lesions: np.ndarray, units: np.ndarray
) -> tuple[float, np.ndarray]:
    def figure(keep: np.ndarray) -> float:
        localised = reading.lesions[keep]
        return mean_sensitivity(
            reading.false_rating[keep[reading.false_case]],
            localised[np.isfinite(localised)],
            lesions=int(n_lesions[keep].sum()),
            cases=int(keep.sum()),
        )

    left_out = np.array([figure(units != unit) for unit in range(units.max() + 1)])
    return figure(np.ones(len(n_lesions), dtype=bool)), left_out


def mean_sensitivity(
    false: np.ndarray, localised: np.ndarray, *, lesions: int, cases: int
) -> float:
    """Mean share of lesions found at ``FALSE_RATES`` non-lesion marks per case.

    Parameters
    ----------
    false, localised : ratings of the marks that hit no lesion, and of the lesions that were hit
    lesions, cases : how many there are; NaN without a lesion

    Examples
    --------
    One of two lesions is rated above every false mark, the other was never marked:

    >>> mean_sensitivity(np.array([10.0]), np.array([80.0]), lesions=2, cases=4)
    0.5
    """
    if not lesions:
        return np.nan
    false, localised = np.sort(false)[::-1], np.sort(localised)
    allowed = np.floor(np.array(FALSE_RATES) * cases + 1e-9).astype(int)
    # At a threshold, all marks rated above it count: the first false mark too many sets it.
    cut = np.array([false[k] if k < false.size else -np.inf for k in allowed])
    return float(np.mean(localised.size - np.searchsorted(localised, cut, side="right"))) / lesions


def froc_curve(marks: pd.DataFrame, cases: pd.DataFrame) -> pd.DataFrame:
    """Operating points per arm and reader: ``arm, reader, threshold, nlf, llf``.

    ``nlf``: non-lesion marks per case; ``llf``: share of lesions found; both at ratings at or
    above the threshold. The first point, (0, 0), has threshold infinity.
    """
    table, known = check_marks(marks, cases)
    lesions = known["n_lesions"].sum()
    if not lesions:
        raise ValueError("expected a case with a lesion: without one there is no share found")
    rows = []
    for (arm, reader), part in table.groupby(["arm", "reader"], sort=False):
        for cut in [np.inf, *sorted(part["rating"].unique(), reverse=True)]:
            called = part[part["rating"] >= cut]
            nlf = float((called["mark"] == "NL").sum() / len(known))
            llf = float((called["mark"] == "LL").sum() / lesions)
            rows.append((arm, reader, cut, nlf, llf))
    return pd.DataFrame(rows, columns=["arm", "reader", "threshold", "nlf", "llf"])


def radius_sensitivity(
    marks: pd.DataFrame,
    lesions: pd.DataFrame,
    cases: pd.DataFrame,
    *,
    radii_mm: tuple[float, ...],
    fom: Fom = "wafroc",
    rule: Rule = "fixed",
    duplicates: Duplicates = "highest",
) -> pd.DataFrame:
    """How the comparison of arms depends on the acceptance radius.

    Returns
    -------
    DataFrame
        ``radius_mm, hits, first, second, difference, low, high, p``; one row per radius and
        pair of arms.

    Examples
    --------
    Marks of both readers lie 3 and 6 mm from the lesions of cases 0 and 1:

    >>> cases = pd.DataFrame({"case": range(4), "truth": [1, 1, 0, 0], "n_lesions": [1, 1, 0, 0]})
    >>> lesions = pd.DataFrame({"case": [0, 1], "lesion": 1, "x": 0.0, "y": 0.0, "z": 0.0})
    >>> near = ((0, 3.0), (1, 6.0))
    >>> rows = [(r, a, k, x, 0, 0, 5) for r in ("R1", "R2") for a in "ab" for k, x in near]
    >>> marks = pd.DataFrame(rows, columns=["reader", "arm", "case", "x", "y", "z", "rating"])
    >>> table = radius_sensitivity(marks, lesions, cases, radii_mm=(4.0, 8.0))
    >>> table[["radius_mm", "hits"]].values.tolist()
    [[4.0, 4.0], [8.0, 8.0]]
    """
    rows: list[tuple[object, ...]] = []
    for radius in radii_mm:
        matched = match_marks(marks, lesions, radius_mm=radius, rule=rule, duplicates=duplicates)
        result = froc(matched, cases, fom=fom)
        hits = int((matched["mark"] == "LL").sum())
        rows.extend(
            (radius, hits, row.first, row.second, row.difference, row.low, row.high, row.p)
            for row in result.differences.itertuples()
        )
    names = ["radius_mm", "hits", "first", "second", "difference", "low", "high", "p"]
    return pd.DataFrame(rows, columns=names)

"""Visual grading characteristics: two arms compared by the order of their grades.

The VGC curve is the ROC curve of grades, the tested arm against the reference. Its area is
the chance that the tested arm is graded better, ties counting one half.
"""

from collections.abc import Callable, Hashable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from reader_study.stats.ordinal.clm import OrdinalFit, clmm
from reader_study.stats.roc.curve import placements
from reader_study.stats.roc.obuchowski_rockette import NEGLIGIBLE, few_readers_note, joined_notes
from reader_study.stats.tables import check_levels, check_table

Progress = Callable[[int, int], None]
BLOCK = 500


@dataclass(frozen=True)
class Vgc:
    """Area of the VGC curve, mean over readers, with reader-and-case interval and test."""

    test: str
    reference: str
    auc: float
    low: float
    high: float
    se: float
    df: float
    bootstrap_low: float
    bootstrap_high: float
    p: float
    draws: int
    per_reader: pd.DataFrame
    n_readers: int
    n_cases: int
    scope: str
    note: str = ""


@dataclass(frozen=True)
class Grades:
    """Grades of two arms as category codes (reader, case); -1 where not graded."""

    readers: tuple[Hashable, ...]
    cases: tuple[Hashable, ...]
    test: np.ndarray  # (reader, case), category code or -1
    reference: np.ndarray
    levels: np.ndarray


def vgc(
    table: pd.DataFrame,
    *,
    test: str,
    reference: str,
    draws: int = 10_000,
    rng: np.random.Generator | None = None,
    readers: str = "random",
    level: float = 0.95,
    progress: Progress | None = None,
) -> Vgc:
    """Area under the VGC curve with a paired reader-and-case bootstrap and a permutation test.

    Parameters
    ----------
    table : DataFrame
        ``reader, case, arm, rating``; a higher grade is better. Gradings may be missing.
    test, reference : arms
    draws : bootstrap and permutation replicates
    rng : generator; default PCG64 with seed 0
    readers : "random" resamples readers as well as cases, "fixed" cases only (forced with one
        reader)
    progress : called with (done, total)

    Returns
    -------
    Vgc
        ``low`` and ``high``: t interval over readers and cases (Obuchowski-Rockette with
        Hillis' degrees of freedom, on paired placements); ``bootstrap_*``: percentile interval;
        p: permutation test, which exchanges the arms of whole cases for all readers together.

    Notes
    -----
    Bath & Mansson 2007 (doi:10.1259/bjr/35012658). The permutation test is exact for these
    readers when arms are exchangeable within cases. Percentile intervals are not trusted
    with few readers: resampling 4 readers sees 3/4 of their variance, and resampling both counts
    the rest twice; hence the t interval.

    Examples
    --------
    >>> table = pd.DataFrame({"reader": "R", "case": [1, 2, 1, 2], "arm": ["a", "a", "b", "b"],
    ...                       "rating": [3, 4, 1, 2]})
    >>> vgc(table, test="a", reference="b", draws=50).auc
    1.0
    """
    grades = read_grades(table, test, reference)
    generator = rng or np.random.Generator(np.random.PCG64(0))
    own = _reader_areas(grades)
    auc = float(own.mean())
    random = readers == "random" and len(own) > 1
    spread = bootstrap_areas(grades, draws, generator, random, progress)
    se, df = _error(grades, own, random)
    p = _permutation_p(grades, auc, draws, generator)
    half = float(stats.t.ppf(0.5 + level / 2, df)) * se
    tail = (1 - level) / 2
    boot = np.quantile(spread, [tail, 1 - tail]) if spread.size else np.full(2, np.nan)
    each = pd.DataFrame({"reader": grades.readers, "auc": own})
    return Vgc(
        test,
        reference,
        auc,
        max(auc - half, 0.0),
        min(auc + half, 1.0),
        se,
        df,
        float(boot[0]),
        float(boot[1]),
        p,
        draws,
        each,
        len(own),
        len(grades.cases),
        "readers and cases" if random else "cases, these readers only",
        joined_notes(
            few_readers_note(len(own), "random" if random else "fixed"),
            _widthless(se),
            _lacking(grades),
        ),
    )


def _widthless(se: float) -> str:
    return (
        ""
        if se > 0
        else (
            "every reader grades the arms alike or always apart: no error can be estimated, and an "
            "interval without width says nothing about new readers or cases"
        )
    )


def _lacking(grades: Grades) -> str:
    missing = int((grades.test < 0).sum() + (grades.reference < 0).sum())
    return f"{missing} of {2 * grades.test.size} gradings missing" if missing else ""


def vgc_curve(table: pd.DataFrame, *, test: str, reference: str) -> pd.DataFrame:
    """Operating points per reader and for all: ``reader, cut, reference, test``.

    The last two are the shares graded at or above the cut in either arm, from (0, 0) to (1, 1).
    """
    grades = read_grades(table, test, reference)
    rows = []
    groups = [(reader, slice(j, j + 1)) for j, reader in enumerate(grades.readers)]
    for reader, part in [*groups, ("all", slice(None))]:
        a, b = grades.test[part].ravel(), grades.reference[part].ravel()
        a, b = a[a >= 0], b[b >= 0]
        rows.append((reader, np.inf, 0.0, 0.0))
        rows.extend(
            (reader, grades.levels[code], float((b >= code).mean()), float((a >= code).mean()))
            for code in range(len(grades.levels) - 1, -1, -1)
        )
    return pd.DataFrame(rows, columns=["reader", "cut", "reference", "test"])


def read_grades(table: pd.DataFrame, test: str, reference: str) -> Grades:
    """The table ``reader, case, arm, rating`` as two arrays; refuses arms nobody graded."""
    keys = ["reader", "case", "arm"]
    checked = check_table(table, columns=[*keys, "rating"], unique=keys, numeric=["rating"])
    for arm in (test, reference):
        if arm not in set(checked["arm"]):
            known = ", ".join(sorted(map(str, checked["arm"].unique())))
            raise ValueError(f"expected arm {arm!r}, but the table holds: {known}")
    used = checked[checked["arm"].isin([test, reference])].dropna(subset=["rating"])
    check_levels(used, "arm", [test, reference])
    if used.empty:
        raise ValueError("expected gradings, but every cell of 'rating' is empty")
    readers = tuple(sorted(used["reader"].unique()))
    cases = tuple(sorted(used["case"].unique()))
    levels, codes = np.unique(used["rating"].to_numpy(), return_inverse=True)
    arrays = []
    for arm in (test, reference):
        part = (used["arm"] == arm).to_numpy()
        grid = np.full((len(readers), len(cases)), -1, dtype=np.int64)
        rows = pd.Index(readers).get_indexer(used["reader"][part])
        grid[rows, pd.Index(cases).get_indexer(used["case"][part])] = codes[part]
        arrays.append(grid)
    for name, grid in zip((test, reference), arrays, strict=True):
        empty = [readers[j] for j in np.flatnonzero((grid < 0).all(axis=1))]
        if empty:
            raise ValueError(
                f"expected gradings of arm {name!r} by every reader, but {empty[0]} has none"
            )
    return Grades(readers, cases, arrays[0], arrays[1], levels)


def _reader_areas(grades: Grades) -> np.ndarray:
    areas = []
    for a, b in zip(grades.test, grades.reference, strict=True):
        areas.append(placements(a[a >= 0].astype(float), b[b >= 0].astype(float))[0].mean())
    return np.array(areas)


def _counts(grid: np.ndarray, weights: np.ndarray, levels: int) -> np.ndarray:
    """Weighted counts of each grade: (draw, reader, level) for weights (draw, case)."""
    hit = (grid[:, :, None] == np.arange(levels)).astype(np.float32)  # reader, case, level
    flat = hit.transpose(1, 0, 2).reshape(grid.shape[1], -1)
    return np.asarray((weights @ flat).reshape(len(weights), grid.shape[0], levels))


def _areas_from_counts(test: np.ndarray, reference: np.ndarray) -> np.ndarray:
    below = np.cumsum(reference, axis=-1) - reference / 2
    won = np.sum(test * below, axis=-1)
    total = test.sum(axis=-1) * reference.sum(axis=-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(total > 0, won / total, np.nan)


def bootstrap_areas(
    grades: Grades, draws: int, rng: np.random.Generator, random: bool, progress: Progress | None
) -> np.ndarray:
    """Mean areas of resampled readers and cases; each reader keeps both arms of a case.

    Cases are drawn by ``rng.multinomial`` in blocks of ``BLOCK`` replicates, readers (where
    ``random``) after the cases of each block; replicates without any gradings are left out.
    """
    n_readers, n_cases = grades.test.shape
    result = np.empty(draws)
    for start in range(0, draws, BLOCK):
        size = min(BLOCK, draws - start)
        cases = rng.multinomial(n_cases, np.full(n_cases, 1 / n_cases), size=size)
        weights = cases.astype(np.float32)
        levels = len(grades.levels)
        areas = _areas_from_counts(
            _counts(grades.test, weights, levels), _counts(grades.reference, weights, levels)
        )
        equal = np.full(n_readers, 1 / n_readers)
        ones = np.ones((size, n_readers), dtype=np.int64)
        times = rng.multinomial(n_readers, equal, size=size) if random else ones
        known = np.isfinite(areas)
        with np.errstate(invalid="ignore"):
            result[start : start + size] = np.sum(
                np.where(known, areas, 0) * times, axis=1
            ) / np.sum(known * times, axis=1)
        if progress is not None:
            progress(start + size, draws)
    return result[np.isfinite(result)]


def _error(grades: Grades, own: np.ndarray, random: bool) -> tuple[float, float]:
    """Standard error of the mean area and its degrees of freedom."""
    n_readers, n_cases = grades.test.shape
    covariance = _case_covariance(grades)
    freedom = float(max(n_cases - 1, 1))
    if not random:
        mean = float(covariance.mean())
        return (float(np.sqrt(mean)) if mean > NEGLIGIBLE else 0.0), freedom
    apart = ~np.eye(n_readers, dtype=bool)
    shared = max(float(covariance[apart].mean()), 0.0)
    between = float(np.var(own, ddof=1))
    total = between + n_readers * shared
    if between == 0:
        return float(np.sqrt(max(total, 0.0) / n_readers)), freedom
    if total < NEGLIGIBLE:
        return 0.0, freedom
    return float(np.sqrt(total / n_readers)), float((n_readers - 1) * (total / between) ** 2)


def _case_covariance(grades: Grades) -> np.ndarray:
    """Covariance over cases of the readers' areas, both arms of a case taken together."""
    n_cases = grades.test.shape[1]
    parts = np.zeros(grades.test.shape)
    for j, (a, b) in enumerate(zip(grades.test, grades.reference, strict=True)):
        v10, v01 = placements(a[a >= 0].astype(float), b[b >= 0].astype(float))
        area = v10.mean()
        parts[j, a >= 0] += (v10 - area) / v10.size
        parts[j, b >= 0] += (v01 - area) / v01.size
    return np.asarray(parts @ parts.T * n_cases / max(n_cases - 1, 1))


def _permutation_p(grades: Grades, auc: float, draws: int, rng: np.random.Generator) -> float:
    """Exchange the two arms of random cases, for all readers at once."""
    n_cases, levels = len(grades.cases), len(grades.levels)
    extreme = defined = 0
    for start in range(0, draws, BLOCK):
        size = min(BLOCK, draws - start)
        swap = rng.integers(0, 2, size=(size, n_cases)).astype(np.float32)
        test = _counts(grades.test, 1 - swap, levels) + _counts(grades.reference, swap, levels)
        other = _counts(grades.test, swap, levels) + _counts(grades.reference, 1 - swap, levels)
        areas = _areas_from_counts(test, other)
        known = np.isfinite(areas)
        some = known.any(axis=1)  # where few cases have both arms, an exchange may empty one
        mean = np.where(known, areas, 0).sum(axis=1)[some] / known.sum(axis=1)[some]
        extreme += int(np.sum(np.abs(mean - 0.5) >= abs(auc - 0.5) - 1e-6))
        defined += int(some.sum())
    return (extreme + 1) / (defined + 1)


def visual_grading_regression(
    table: pd.DataFrame, *, arms: tuple[str, ...], rating: str = "rating"
) -> OrdinalFit:
    """Grades by ordinal regression on the arm with random readers and cases.

    Smedby & Fredrikson 2010 (doi:10.1259/bjr/35254923) with patients and observers random, as
    Saffari et al. 2015 (doi:10.1177/0284185114554674) advise; the first arm is the reference.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> rows = [(r, c, a) for r in ("R1", "R2") for c in range(12) for a in ("low", "full")]
    >>> table = pd.DataFrame(rows, columns=["reader", "case", "arm"])
    >>> table["rating"] = rng.integers(1, 4, len(table)) + (table["arm"] == "full")
    >>> fit = visual_grading_regression(table, arms=("low", "full"))
    >>> bool(fit.coefficients["estimate"].iloc[0] > 0)
    True
    """
    formula = f"{rating} ~ arm + (1|reader) + (1|case)"
    return clmm(table, formula, levels={"arm": list(arms)})

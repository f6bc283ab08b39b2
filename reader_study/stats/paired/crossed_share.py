"""Shares of crossed readings, and contrasts between them, for new readers and new cases."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import stats

from reader_study.stats.paired.crossed_mean import crossed_mean


@dataclass(frozen=True)
class CrossedShare:
    """A share with limits within 0 and 1; ``worth`` independent readings say as much."""

    share: float
    low: float
    high: float
    worth: float
    df: float
    n: int
    n_readers: int
    n_cases: int
    scope: str


def crossed_share(
    seen: ArrayLike, readers: ArrayLike, cases: ArrayLike, *, level: float = 0.95
) -> CrossedShare:
    """Share of ones among crossed readings, readers and cases random.

    Standard error of :func:`~reader_study.stats.paired.crossed_mean.crossed_mean`; Wilson's limits
    on the number of independent readings that is worth as much. Where all readings agree that
    number is the number of cases.

    Examples
    --------
    >>> found = crossed_share([1, 1, 1, 0], ["A", "A", "B", "B"], [1, 2, 1, 2])
    >>> found.share, 0 < found.low < found.share < found.high < 1
    (0.75, True)
    """
    mean = crossed_mean(seen, readers, cases)
    share = min(max(mean.mean, 0.0), 1.0)
    worth, df = float(mean.n_cases), np.inf
    if np.isfinite(mean.se) and mean.se > 0 and 0 < share < 1:
        worth = min(share * (1 - share) / mean.se**2, float(mean.n))
        df = mean.df if mean.df > 0 else np.inf
    low, high = wilson_limits(share, worth, df=df, level=level)
    sizes = (mean.n, mean.n_readers, mean.n_cases)
    return CrossedShare(share, low, high, worth, df, *sizes, mean.scope)


def wilson_limits(
    share: float, n: float, *, df: float = np.inf, level: float = 0.95
) -> tuple[float, float]:
    """Wilson's limits of a share (1927, doi:10.1080/01621459.1927.10502953), on t with few readers.

    Examples
    --------
    >>> low, high = wilson_limits(0.5, 10)
    >>> round(low, 3), round(high, 3)
    (0.237, 0.763)
    """
    t = float(stats.t.ppf(0.5 + level / 2, df))
    middle = (share + t**2 / (2 * n)) / (1 + t**2 / n)
    half = t / (1 + t**2 / n) * np.sqrt(share * (1 - share) / n + t**2 / (4 * n**2))
    return float(max(middle - half, 0.0)), float(min(middle + half, 1.0))


@dataclass(frozen=True)
class Contrast:
    """Mean under one kind less mean under another, readers and cases random.

    ``n`` counts pairs where ``within`` reader and case, else readings.
    """

    first: str
    second: str
    difference: float
    se: float
    df: float
    low: float
    high: float
    p: float
    n: int
    note: str = ""
    scope: str = "readers and cases"
    within: bool = False


def crossed_contrast(
    values: ArrayLike,
    readers: ArrayLike,
    cases: ArrayLike,
    kinds: ArrayLike,
    *,
    first: str,
    second: str,
    clusters: ArrayLike | None = None,
    level: float = 0.95,
) -> Contrast:
    """Difference of two kinds of reading, whether or not readers met a case under both.

    Parameters
    ----------
    values, readers, cases, kinds : array_like, shape (n,)
        One row per reading. Rows of other kinds are left out. Kinds may be crossed with cases
        within reader or spread over readers, as a Latin square does.
    clusters : array_like, shape (n,), optional
        The patient of each case, as in
        :func:`~reader_study.stats.paired.crossed_mean.crossed_mean`.

    Raises
    ------
    ValueError
        A kind has no reading, or a reader met a case twice under one kind.

    Notes
    -----
    Where a reader met cases under both kinds, differences are taken within reader and case, and
    what was met under one kind alone is left out. Else the difference is a weighted sum of
    readings; each becomes its signed distance from the mean of its kind, scaled so that the sum is
    the difference, and ``crossed_mean`` gives the variance of it. What a reader, or a case, adds
    to both kinds alike cancels where the design is balanced; what it adds to their difference does
    not. Error rates of null studies stand in the tests.

    Examples
    --------
    >>> made = crossed_contrast([1, 0, 1, 0], ["A", "A", "B", "B"], [1, 2, 1, 2],
    ...                         ["own", "none", "own", "none"], first="own", second="none")
    >>> made.difference, made.within
    (1.0, False)
    """
    table = pd.DataFrame({"y": np.asarray(values, float), "reader": readers, "case": cases})
    table["kind"] = np.asarray(kinds).astype(str)
    table["cluster"] = table["case"] if clusters is None else clusters
    table = table[table["kind"].isin([first, second])]
    one = (table["kind"] == first).to_numpy()
    if one.all() or not one.any():
        raise ValueError(f"expected readings of {first} and of {second}; one of them has none")
    within = bool(table.duplicated(["reader", "case"]).any())
    gap = 0.0
    if within:
        if table.duplicated(["reader", "case", "kind"]).any():
            raise ValueError("expected one reading per reader, case and kind; average repeats")
        keys = ["reader", "case", "cluster"]
        wide = table.pivot(index=keys, columns="kind", values="y").dropna()
        table = (wide[first] - wide[second]).rename("y").reset_index()
    else:
        y = table["y"].to_numpy()
        means = [float(y[side].mean()) for side in (one, ~one)]
        gap = means[0] - means[1]
        weight = np.where(one, y.size / one.sum(), -y.size / (~one).sum())
        table = table.assign(y=weight * (y - np.where(one, *means)))
    patients = None if clusters is None else table["cluster"]
    mean = crossed_mean(table["y"], table["reader"], table["case"], clusters=patients, level=level)
    half = mean.high - mean.mean
    gap = mean.mean if within else gap
    known = mean.se > 0 and mean.df > 0
    p = float(2 * stats.t.sf(abs(gap) / mean.se, mean.df)) if known else float("nan")
    ends = (gap, mean.se, mean.df, gap - half, gap + half)
    return Contrast(first, second, *ends, p, mean.n, mean.note, mean.scope, within)

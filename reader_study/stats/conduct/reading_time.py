"""Ratios of reading times: how much longer one arm takes than another."""

from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd
from scipy import stats

from reader_study.stats.paired.crossed_mean import CrossedMean, crossed_mean
from reader_study.stats.tables import check_levels, check_table, refuse


@dataclass(frozen=True)
class TimeRatio:
    """Ratio of geometric mean times, first over second, for new readers and new cases."""

    first: str
    second: str
    ratio: float
    low: float
    high: float
    p: float
    df: float
    n: int
    n_unpaired: int
    n_readers: int
    n_cases: int
    scope: str
    note: str


COLUMNS = ["reader", "case", "arm", "seconds"]


def _log_times(times: pd.DataFrame) -> pd.DataFrame:
    """Checked rows with ``log_s``; rows without a time are left out."""
    table = check_table(
        times,
        columns=COLUMNS,
        unique=["reader", "case", "arm"],
        numeric=["seconds"],
    )
    refuse(
        table["seconds"].notna() & (table["seconds"] <= 0),
        "column 'seconds' holds a time that is not positive",
        "leave the cell empty where no time was measured",
    )
    table = table[table["seconds"].notna()]
    if table.empty:
        raise ValueError("expected at least one reading time, but every cell of 'seconds' is empty")
    return table.assign(log_s=np.log(table["seconds"]))


def geometric_means(times: pd.DataFrame, *, level: float = 0.95) -> pd.DataFrame:
    """Geometric mean time of each arm: ``arm, n, seconds, low, high, scope, note``.

    Examples
    --------
    >>> times = pd.DataFrame({"reader": ["R1", "R2"], "case": "a", "arm": "x",
    ...                       "seconds": [10.0, 40.0]})
    >>> geometric_means(times)["seconds"].round(6).tolist()
    [20.0]
    """
    rows = []
    for arm, part in _log_times(times).groupby("arm", sort=False):
        mean = crossed_mean(part["log_s"], part["reader"], part["case"], level=level)
        middle, low, high = _exponential(mean)
        rows.append((arm, mean.n, middle, low, high, mean.scope, mean.note))
    names = ["arm", "n", "seconds", "low", "high", "scope", "note"]
    return pd.DataFrame(rows, columns=names)


def _exponential(mean: CrossedMean) -> tuple[float, float, float]:
    with np.errstate(over="ignore"):
        return float(np.exp(mean.mean)), float(np.exp(mean.low)), float(np.exp(mean.high))


def time_ratio(times: pd.DataFrame, *, first: str, second: str, level: float = 0.95) -> TimeRatio:
    """Ratio of geometric mean reading times, with readers and cases random.

    Parameters
    ----------
    times : DataFrame
        ``reader, case, arm, seconds``; one row per reading, an empty time counts as not
        measured.
    first, second : arms; the ratio is first over second

    Returns
    -------
    TimeRatio
        Over the pairs of readings in which one reader timed one case in both arms;
        ``n_unpaired`` counts readings without a partner. Where all pairs agree exactly the
        limits equal the ratio, ``p`` is NaN (or 1 for a ratio of 1), and ``note`` says why.

    Raises
    ------
    ValueError
        With row numbers: times of zero or below, repeated readings; without: an arm that is
        not there, no pair at all.

    Notes
    -----
    Each pair gives log(first) - log(second); their mean has the reader-and-case standard error
    of :func:`reader_study.stats.paired.crossed_mean.crossed_mean`. Times are skewed and
    multiplicative, which the logarithm mends.

    Examples
    --------
    Twice as long for everybody:

    >>> times = pd.DataFrame({"reader": list("AABB") * 2, "case": [1, 2] * 4,
    ...                       "arm": ["x"] * 4 + ["y"] * 4, "seconds": [8, 6, 4, 2, 4, 3, 2, 1]})
    >>> result = time_ratio(times, first="x", second="y")
    >>> round(result.ratio, 9), round(result.low, 9), result.n
    (2.0, 2.0, 4)
    """
    table = _log_times(times)
    check_levels(pd.DataFrame({"arm": [first, second]}), "arm", sorted(set(table["arm"])))
    wide = table.pivot(index=["reader", "case"], columns="arm", values="log_s")[[first, second]]
    pairs = wide.dropna()
    unpaired = int(wide.notna().to_numpy().sum() - 2 * len(pairs))
    if pairs.empty:
        raise ValueError(
            f"expected at least one reader and case timed in both {first!r} and {second!r}, got "
            "none; compare the geometric means instead"
        )
    keys = pairs.index.to_frame(index=False)
    mean = crossed_mean(
        (pairs[first] - pairs[second]).to_numpy(), keys["reader"], keys["case"], level=level
    )
    ratio, low, high = _exponential(mean)
    return TimeRatio(
        first,
        second,
        ratio,
        low,
        high,
        mean_p(mean),
        mean.df,
        mean.n,
        unpaired,
        mean.n_readers,
        mean.n_cases,
        mean.scope,
        mean.note,
    )


def mean_p(mean: CrossedMean, *, null: float = 0.0) -> float:
    """Two-sided p that a crossed mean equals ``null``; NaN where no error can be estimated.

    Examples
    --------
    >>> mean_p(crossed_mean([1, -1, 1, -1], ["A", "A", "B", "B"], [1, 2, 1, 2]))
    1.0
    """
    gap = abs(mean.mean - null)
    if not np.isfinite(mean.se) or mean.df <= 0:
        return np.nan
    if mean.se <= 1e-12 * max(gap, 1.0):
        return 1.0 if gap < 1e-12 else np.nan
    return float(2 * stats.t.sf(gap / mean.se, mean.df))


def time_ratios(times: pd.DataFrame, *, level: float = 0.95) -> pd.DataFrame:
    """:func:`time_ratio` of every pair of arms that some reader timed on the same case."""
    arms = list(dict.fromkeys(times["arm"]))
    rows = []
    for first, second in combinations(arms, 2):
        both = times[times["arm"].isin([first, second])].groupby(["reader", "case"])["arm"]
        if (both.nunique() == 2).any():
            rows.append(vars(time_ratio(times, first=first, second=second, level=level)))
    return pd.DataFrame(rows)

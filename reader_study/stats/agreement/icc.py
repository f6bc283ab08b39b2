"""Intraclass correlations and Kendall's W for complete tables of subjects by raters."""

import numpy as np
import pandas as pd
from scipy import stats

from reader_study.stats.agreement.raters import read_raters


def icc(table: pd.DataFrame, *, level: float = 0.95) -> pd.DataFrame:
    """The six intraclass correlations with F tests and intervals.

    Parameters
    ----------
    table : DataFrame, subjects by raters
        Subjects with a missing rating are left out, as psych and irr do.

    Returns
    -------
    DataFrame
        ``type (ICC1, ICC2, ICC3, ICC1k, ICC2k, ICC3k), value, f, df1, df2, p, low, high, n``.
        ICC1: raters differ by subject; ICC2: random raters, absolute agreement; ICC3: these
        raters, consistency; k: mean of all raters. Without any variation between subjects and
        none within, all values are NaN.

    Notes
    -----
    Shrout & Fleiss 1979 (doi:10.1037/0033-2909.86.2.420); interval of ICC2 by McGraw & Wong
    1996 (doi:10.1037/1082-989X.1.1.30).

    Examples
    --------
    >>> table = pd.DataFrame({"R1": [1, 2, 3, 4], "R2": [2, 3, 4, 5]})
    >>> icc(table).set_index("type")["value"].round(6)[["ICC2", "ICC3"]].tolist()
    [0.769231, 1.0]
    """
    x = read_raters(table).dropna().to_numpy()
    n, k = x.shape
    if n < 2:
        raise ValueError(f"expected at least 2 subjects rated by all, got {n}")
    grand = x.mean()
    rows = k * np.sum((x.mean(axis=1) - grand) ** 2)
    columns = n * np.sum((x.mean(axis=0) - grand) ** 2)
    total = np.sum((x - grand) ** 2)
    msb = rows / (n - 1)
    msw = (total - rows) / (n * (k - 1))
    msj = columns / (k - 1)
    mse = max(total - rows - columns, 0.0) / ((n - 1) * (k - 1))
    one = _one_way(msb, msw, n, k, level)
    fixed = _fixed(msb, mse, n, k, level)
    random = _random(msb, msj, mse, n, k, level)
    records = []
    for name, (value, f, df2, low, high) in zip(("1", "2", "3"), (one, random, fixed), strict=True):
        p = float(stats.f.sf(f, n - 1, df2)) if np.isfinite(f) else (0.0 if f > 0 else np.nan)
        records.append((f"ICC{name}", value, f, n - 1, df2, p, low, high, n))
        up = [_spearman_brown(v, k) for v in (value, low, high)]
        records.append((f"ICC{name}k", up[0], f, n - 1, df2, p, up[1], up[2], n))
    names = ["type", "value", "f", "df1", "df2", "p", "low", "high", "n"]
    frame = pd.DataFrame(records, columns=names)
    return frame.sort_values("type", key=lambda t: t.str.len(), kind="stable").reset_index(
        drop=True
    )


# Estimate, F, its second degrees of freedom, limits.
_Form = tuple[float, float, float, float, float]


def _ratio(a: float, b: float) -> float:
    return a / b if b > 0 else (np.nan if a <= 0 else np.inf)


def _spearman_brown(value: float, k: int) -> float:
    """Reliability of the mean of k raters from that of one."""
    bottom = 1 + (k - 1) * value
    return k * value / bottom if bottom > 0 else -np.inf


def _one_way(msb: float, msw: float, n: int, k: int, level: float) -> _Form:
    df2 = n * (k - 1)
    f = _ratio(msb, msw)
    q = 0.5 + level / 2
    low, high = f / stats.f.ppf(q, n - 1, df2), f * stats.f.ppf(q, df2, n - 1)
    return _share(msb, msw, k), f, df2, _from_f(low, k), _from_f(high, k)


def _fixed(msb: float, mse: float, n: int, k: int, level: float) -> _Form:
    df2 = (n - 1) * (k - 1)
    f = _ratio(msb, mse)
    q = 0.5 + level / 2
    low, high = f / stats.f.ppf(q, n - 1, df2), f * stats.f.ppf(q, df2, n - 1)
    return _share(msb, mse, k), f, df2, _from_f(low, k), _from_f(high, k)


def _share(between: float, within: float, k: int) -> float:
    bottom = between + (k - 1) * within
    return (between - within) / bottom if bottom > 0 else np.nan


def _from_f(f: float, k: int) -> float:
    return 1.0 if np.isinf(f) else (f - 1) / (f + k - 1)


def _random(msb: float, msj: float, mse: float, n: int, k: int, level: float) -> _Form:
    bottom = msb + (k - 1) * mse + k * (msj - mse) / n
    value = (msb - mse) / bottom if bottom > 0 else np.nan
    f, df2 = _ratio(msb, mse), (n - 1) * (k - 1)
    if not mse > 0 or not np.isfinite(value):
        return value, f, df2, np.nan, np.nan
    fj = msj / mse
    weight = n * (1 + (k - 1) * value) - k * value
    v = ((k - 1) * (n - 1) * (k * value * fj + weight) ** 2) / (
        (n - 1) * k**2 * value**2 * fj**2 + weight**2
    )
    q = 0.5 + level / 2
    upper, lower = stats.f.ppf(q, n - 1, v), stats.f.ppf(q, v, n - 1)
    rest = k * msj + (k * n - k - n) * mse
    low = n * (msb - upper * mse) / (upper * rest + n * msb)
    high = n * (lower * msb - mse) / (rest + n * lower * msb)
    return value, f, df2, float(low), float(high)


def kendall_w(table: pd.DataFrame, *, correct_ties: bool = True) -> tuple[float, float, float]:
    """Kendall's concordance W, its chi-squared and p, over subjects rated by all.

    Kendall & Babington Smith 1939 (doi:10.1214/aoms/1177732186). W is NaN when every rater
    gives all subjects the same rating.

    Examples
    --------
    >>> kendall_w(pd.DataFrame({"R1": [1, 2, 3], "R2": [1, 2, 3]}))[0]
    1.0
    """
    x = read_raters(table).dropna().to_numpy()
    n, k = x.shape
    ranks = stats.rankdata(x, axis=0)
    spread = float(np.sum((ranks.sum(axis=1) - k * (n + 1) / 2) ** 2))
    ties = 0.0
    if correct_ties:
        for column in x.T:
            count = np.unique(column, return_counts=True)[1]
            ties += float(np.sum(count**3 - count))
    bottom = k**2 * (n**3 - n) - k * ties
    if bottom <= 0:
        return np.nan, np.nan, np.nan
    w = 12 * spread / bottom
    chi2 = k * (n - 1) * w
    return float(w), float(chi2), float(stats.chi2.sf(chi2, n - 1))


def kendall_w_interval(
    table: pd.DataFrame,
    *,
    draws: int = 2000,
    rng: np.random.Generator | None = None,
    level: float = 0.95,
) -> tuple[float, float, float]:
    """Tie-corrected W with a percentile bootstrap interval over subjects: ``value, low, high``.

    W cannot be negative, so with few subjects the interval lies high; read it beside the p
    value of :func:`kendall_w`.
    """
    complete = read_raters(table).dropna()
    value = kendall_w(complete)[0]
    if not np.isfinite(value):
        return value, np.nan, np.nan
    generator = rng or np.random.Generator(np.random.PCG64(0))
    x, n = complete.to_numpy(), len(complete)
    rows = x[generator.integers(0, n, (draws, n))]  # (draw, subject, rater)
    ranks = stats.rankdata(rows, axis=1)
    # W is the spread of rank sums over the spread that equal rankings would give.
    most = x.shape[1] * np.sum((ranks - (n + 1) / 2) ** 2, axis=(1, 2))
    spread = np.sum((ranks.sum(axis=2) - x.shape[1] * (n + 1) / 2) ** 2, axis=1)
    coefficients = np.divide(spread, most, out=np.full(draws, np.nan), where=most > 0)
    tail = (1 - level) / 2
    low, high = np.nanquantile(coefficients, [tail, 1 - tail])
    return value, float(low), float(high)

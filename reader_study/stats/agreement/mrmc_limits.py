"""Limits of agreement of measurements by several readers on several cases in two arms."""

import numpy as np
import pandas as pd
from scipy import stats

from reader_study.stats.tables import check_table

COLUMNS = [
    "comparison",
    "arm",
    "mean",
    "mean_low",
    "mean_high",
    "low",
    "high",
    "variance",
    "variance_of_mean",
    "n_readers",
    "n_cases",
    "note",
]


def limits_of_agreement(
    table: pd.DataFrame, *, first: str, second: str, value: str = "measure", level: float = 0.95
) -> pd.DataFrame:
    """Limits within which two measurements of one case differ, by who and what differs.

    Parameters
    ----------
    table : DataFrame
        ``reader, case, arm`` and the measurement, complete; with ``showing`` (1 and 2) also
        the limits of a reader who measures the same image twice.
    first, second : arms; differences are first minus second

    Returns
    -------
    DataFrame
        ``comparison`` is "same reader, two arms", "two readers, two arms", "two readers, one
        arm" or "same reader, same arm, twice". ``low`` and ``high`` hold the share ``level`` of
        single differences, ``mean_low`` and ``mean_high`` are limits of their mean. In one arm
        the mean is 0: either reader, either showing may come first.

    Raises
    ------
    ValueError
        With row numbers for repeated measurements and text; for an arm that is not there, and
        where a reader did not measure a case in an arm.

    Notes
    -----
    Wen & Gallas 2022 (doi:10.1080/19466315.2022.2063169), as the R package iMRMC computes them
    on crossed data: variance components of two- and three-way analyses of variance, not cut at
    zero.

    Examples
    --------
    Everybody measures 1 mm more in arm a:

    >>> table = pd.DataFrame([(r, c, a, c + (a == "a")) for r in "xy" for c in (3.0, 5.0, 9.0)
    ...     for a in "ab"], columns=["reader", "case", "arm", "measure"])
    >>> result = limits_of_agreement(table, first="a", second="b")
    >>> result.loc[0, ["mean", "low", "high"]].tolist()
    [1.0, 1.0, 1.0]
    """
    twice = "showing" in table
    keys = ["reader", "case", "arm", *(["showing"] if twice else [])]
    checked = check_table(
        table, columns=[*keys, value], unique=keys, numeric=[value], filled=[value]
    )
    if twice:
        checked["showing"] = pd.to_numeric(checked["showing"])
    main = checked[checked["showing"] == 1] if twice else checked
    one, other = (_crossed(main, arm, value) for arm in (first, second))
    if not (one.index.equals(other.index) and one.columns.equals(other.columns)):
        raise ValueError(
            f"expected the same readers and cases in {first} and {second}, got others; leave out "
            "who did not measure in both"
        )
    z = float(stats.norm.ppf(0.5 + level / 2))
    rows = [
        _row("same reader, two arms", "", *_paired(one - other), z, one.shape),
        _row(
            "two readers, two arms", "", *_between(one.to_numpy(), other.to_numpy()), z, one.shape
        ),
    ]
    for arm, x in ((first, one), (second, other)):
        v_reader, _, v_rest = _two_way(x.to_numpy())
        variance = 2 * (v_reader + v_rest)
        rows.append(_row("two readers, one arm", arm, 0.0, variance, 0.0, z, x.shape))
    for arm, x in ((first, one), (second, other)):
        again = checked[(checked["showing"] == 2) & (checked["arm"] == arm)] if twice else []
        if len(again):
            change = x - _crossed(again, arm, value).reindex(index=x.index, columns=x.columns)
            if change.isna().to_numpy().any():
                continue
            drift, variance, _ = _paired(change)
            row = _row("same reader, same arm, twice", arm, 0.0, variance, 0.0, z, x.shape)
            rows.append((*row[:-1], f"second showing lower by {drift:.4g} on average"))
    return pd.DataFrame(rows, columns=COLUMNS)


def difference_components(
    table: pd.DataFrame, *, first: str, second: str, value: str = "measure"
) -> tuple[float, float, float]:
    """Variances of readers, of cases and of the rest in the differences first minus second.

    They may be below zero, as estimates of variances near zero are.

    Examples
    --------
    Both readers see case c grow by 3 and the others by 1; readers agree:

    >>> table = pd.DataFrame([(r, c, a, (3 if c == "c" else 1) * (a == "y")) for r in "mn"
    ...     for c in "abc" for a in "xy"], columns=["reader", "case", "arm", "measure"])
    >>> [round(part, 6) for part in difference_components(table, first="y", second="x")]
    [0.0, 1.333333, 0.0]
    """
    keys = ["reader", "case", "arm"]
    checked = check_table(
        table, columns=[*keys, value], unique=keys, numeric=[value], filled=[value]
    )
    one, other = (_crossed(checked, arm, value) for arm in (first, second))
    if not (one.index.equals(other.index) and one.columns.equals(other.columns)):
        raise ValueError(
            f"expected the same readers and cases in {first} and {second}, got others; leave out "
            "who did not measure in both"
        )
    return _two_way((one - other).to_numpy())


def _crossed(table: pd.DataFrame, arm: str, value: str) -> pd.DataFrame:
    """Measurements of one arm, readers by cases."""
    part = table[table["arm"] == arm]
    if part.empty:
        known = ", ".join(sorted(map(str, table["arm"].unique())))
        raise ValueError(f"expected an arm of {known}, got {arm!r}; name one of them")
    wide = part.pivot(index="reader", columns="case", values=value)
    if wide.isna().to_numpy().any():
        reader, case = wide.isna().stack().idxmax()
        raise ValueError(
            f"expected every reader to measure every case, got nothing of reader {reader} for case "
            f"{case} in arm {arm}; leave that case out"
        )
    if min(wide.shape) < 2:
        raise ValueError(
            f"expected two readers and two cases or more, got {wide.shape[0]} and {wide.shape[1]}"
        )
    return wide


def _two_way(x: np.ndarray) -> tuple[float, float, float]:
    """Components of readers, cases and rest of a table (reader, case)."""
    readers, cases = x.shape
    by_reader, by_case = x.mean(axis=1, keepdims=True), x.mean(axis=0, keepdims=True)
    rest = float(np.sum((x - by_reader - by_case + x.mean()) ** 2))
    rest /= (readers - 1) * (cases - 1)
    of_readers = cases * float(np.var(by_reader, ddof=1))
    of_cases = readers * float(np.var(by_case, ddof=1))
    return (of_readers - rest) / cases, (of_cases - rest) / readers, rest


def _paired(apart: pd.DataFrame) -> tuple[float, float, float]:
    """Mean of differences of one reader, variance of one of them and of the mean."""
    x = apart.to_numpy()
    readers, cases = x.shape
    v_reader, v_case, rest = _two_way(x)
    of_mean = v_reader / readers + v_case / cases + rest / (readers * cases)
    return float(x.mean()), v_reader + v_case + rest, of_mean


def _between(one: np.ndarray, other: np.ndarray) -> tuple[float, float, float]:
    """As :func:`_paired` for different readers in the two arms (three-way analysis)."""
    x = np.stack([one, other])  # arm, reader, case
    _, readers, cases = x.shape
    centred = x - x.mean(axis=(1, 2), keepdims=True)
    common, apart = centred.mean(axis=0), (centred[0] - centred[1]) / 2
    v_reader_both, _, rest_both = _two_way(common)
    v_reader_arm, v_case_arm, rest_arm = _two_way(apart)
    # Components of means over the two arms, and of half their differences.
    v_rest = 2 * rest_arm
    v_arm = 2 * (v_reader_arm + v_case_arm)
    v_reader_case = rest_both - rest_arm
    v_reader = v_reader_both - v_reader_arm
    variance = 2 * (v_reader + v_reader_case + v_arm + v_rest)
    of_mean = 2 * (2 * v_reader_arm / readers + 2 * v_case_arm / cases)
    of_mean += 2 * v_rest / (readers * cases)
    return float(one.mean() - other.mean()), variance, of_mean


def _row(
    comparison: str,
    arm: str,
    mean: float,
    variance: float,
    of_mean: float,
    z: float,
    shape: tuple[int, ...],
) -> tuple[object, ...]:
    with np.errstate(invalid="ignore"):
        half, half_mean = z * np.sqrt([variance, of_mean])
    note = "a variance is estimated below zero: no limits" if min(variance, of_mean) < 0 else ""
    if variance == 0:
        note = "measurements do not vary: limits without width say nothing about others"
    return (
        comparison,
        arm,
        mean,
        mean - half_mean,
        mean + half_mean,
        mean - half,
        mean + half,
        variance,
        of_mean,
        *shape,
        note,
    )

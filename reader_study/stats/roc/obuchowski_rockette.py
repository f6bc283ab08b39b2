"""Obuchowski-Rockette analysis of any figure of merit of readers and arms.

Input is a table of figures of merit (arm, reader) with their error covariances, whatever
the figure is: area under a ROC or FROC curve, sensitivity, a part of an area.
"""

from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np
import pandas as pd
from scipy import stats

from reader_study.stats.paired.crossed_mean import FEW_READERS
from reader_study.stats.roc.variance_components import (
    Cells,
    between_readers,
    error_components,
    mean_squares,
)

Effect = Literal["random", "fixed"]
# Variances of shares that are smaller than this are rounding.
NEGLIGIBLE = 1e-15
NO_WIDTH = (
    "readers all separate the cases perfectly or not at all, or alike in both arms: no error can "
    "be estimated, and an interval without width says nothing about new readers or cases; report "
    "the counts"
)


@dataclass(frozen=True)
class Mrmc:
    """Result of a multi-reader multi-case analysis.

    ``f`` with ``df1`` and ``df2`` tests equality of all arms (``df2`` infinite: chi-squared);
    ``differences`` holds first minus second for each pair of arms. ``note`` warns where the
    design is too small for the test to keep its error rate.
    """

    figures: pd.DataFrame
    arm_means: pd.DataFrame
    differences: pd.DataFrame
    reader_differences: pd.DataFrame
    f: float
    df1: float
    df2: float
    p: float
    components: dict[str, float]
    readers: str
    cases: str
    design: str
    method: str
    note: str = ""


@dataclass(frozen=True)
class _Errors:
    """What a contrast of arm means is judged against: variance = sum(l**2) * error / readers."""

    error: float
    df: float
    arm_error: np.ndarray
    arm_df: np.ndarray


def obuchowski_rockette(
    cells: Cells, *, readers: Effect = "random", cases: Effect = "random", level: float = 0.95
) -> Mrmc:
    """Test and intervals for arms, with readers and cases each random or fixed.

    Parameters
    ----------
    cells : Cells
    readers, cases : "random" (results extend to new ones) or "fixed" (these only)

    Raises
    ------
    ValueError
        With one reader and ``readers="random"``; with both effects fixed; with one arm.

    Notes
    -----
    Obuchowski & Rockette 1995 (doi:10.1080/03610919508813243) with the degrees of freedom of
    Hillis 2007 (doi:10.1002/sim.2532); nested and split-plot designs after Hillis 2014
    (doi:10.1002/sim.5926). In a split-plot, readers who share no cases have no covariance: with
    MS(TR) over all readers and Cov2, Cov3 averaged over all pairs of readers (zero across
    blocks), MS(TR) + J (Cov2 - Cov3) has the expectation J Var(difference) / 2 for blocks of any
    size; one block is the crossed design, a block for each reader the one with cases nested in
    readers. Cov2 - Cov3 below zero counts as zero when readers are random and
    stands as it is when they are fixed, as in the R package MRMCaov.
    """
    _check(cells, readers, cases)
    parts = error_components(cells)
    if readers == "fixed":
        errors = _fixed_readers(cells)
    elif cells.nested_readers:
        errors = _nested_readers(cells, parts, cases)
    else:
        errors = _random_readers(cells, cases)
    errors = _without_rounding(errors)
    means = np.nanmean(cells.values, axis=1)
    count = _reader_count(cells)
    spread = float(count * np.var(means, ddof=1))
    df1 = float(len(means) - 1)
    f = _ratio(spread, errors.error)
    p = 1.0 if np.isnan(f) else float(stats.f.sf(f, df1, min(errors.df, 1e9)))
    p = np.nan if np.isinf(f) else p
    if np.isinf(errors.df) and np.isfinite(f):
        p = float(stats.chi2.sf(f * df1, df1))
    return Mrmc(
        figures=pd.DataFrame(cells.values.T, index=list(cells.readers), columns=list(cells.arms)),
        arm_means=_arm_means(cells, means, errors, level),
        differences=_differences(cells, means, errors, level),
        reader_differences=_reader_differences(cells, level),
        f=f,
        df1=df1,
        df2=errors.df,
        p=p,
        components={**parts, **mean_squares(cells, spread)},
        readers=readers,
        cases=cases,
        design="",
        method="",
        note=joined_notes(
            few_readers_note(len(cells.readers), readers), _widthless(errors, cells.arms)
        ),
    )


def _without_rounding(errors: _Errors) -> _Errors:
    """Errors that are rounding alone (figures lie between 0 and 1) as none."""
    none, arm_none = errors.error < NEGLIGIBLE, errors.arm_error < NEGLIGIBLE
    return _Errors(
        0.0 if none else errors.error,
        np.inf if none else errors.df,
        np.where(arm_none, 0.0, errors.arm_error),
        np.where(arm_none, np.inf, errors.arm_df),
    )


def _check(cells: Cells, readers: Effect, cases: Effect) -> None:
    if len(cells.arms) < 2:
        raise ValueError(f"expected at least two arms to compare, got {', '.join(cells.arms)}")
    if readers == "fixed" and cases == "fixed":
        raise ValueError("expected random readers or random cases; with both fixed nothing varies")
    per_arm = np.isfinite(cells.values).sum(axis=1)
    if readers == "random" and per_arm.max() < 2:
        raise ValueError(
            "expected at least two readers where readers are random; with one, analyse with "
            "readers='fixed': the result holds for that reader"
        )


def few_readers_note(count: int, readers: Effect) -> str:
    """What to say of a test with random readers when there are few of them."""
    if readers == "fixed" or count >= FEW_READERS:
        return ""
    return (
        f"{count} readers: with fewer than {FEW_READERS} the test does not keep its error rate "
        "for new readers; report it for these readers only (readers='fixed')"
    )


def joined_notes(*notes: str) -> str:
    """Notes that say something, as one text."""
    return "; ".join(note for note in notes if note)


def _widthless(errors: _Errors, arms: tuple[str, ...]) -> str:
    flat = [arm for arm, error in zip(arms, errors.arm_error, strict=True) if error <= 0]
    if not flat and errors.error > 0:
        return ""
    where = f"arm {', '.join(flat)}" if flat else "difference"
    return f"{where}: {NO_WIDTH}"


def _ratio(numerator: float, denominator: float) -> float:
    """Numerator over denominator; 0/0 is no evidence (NaN), x/0 is infinite."""
    if denominator > 0:
        return numerator / denominator
    return np.nan if numerator == 0 else np.inf


def _reader_count(cells: Cells) -> float:
    """Readers per arm; the harmonic mean where arms have different numbers."""
    per_arm = np.isfinite(cells.values).sum(axis=1)
    return float(len(per_arm) / np.sum(1 / per_arm))


def _random_readers(cells: Cells, cases: Effect) -> _Errors:
    total, arms = len(cells.readers), len(cells.arms)
    ms_tr = mean_squares(cells, np.nan)["ms_tr"]
    centred = cells.values - cells.values.mean(axis=1, keepdims=True)
    ms_arm = np.sum(centred**2, axis=1) / (total - 1)
    shared, per_arm = 0.0, np.zeros(arms)
    if cases == "random":
        cov2, cov3 = between_readers(cells)
        shared, per_arm = max(float(cov2.mean()) - cov3, 0.0), np.maximum(cov2, 0.0)
    error, arm_error = ms_tr + total * shared, ms_arm + total * per_arm
    return _Errors(
        error,
        _hillis_df(error, ms_tr, (arms - 1) * (total - 1)),
        arm_error,
        np.array([_hillis_df(e, m, total - 1) for e, m in zip(arm_error, ms_arm, strict=True)]),
    )


def _hillis_df(error: float, mean_square: float, freedom: float) -> float:
    """Degrees of freedom of Hillis 2007: error**2 / (mean square**2 / its freedom)."""
    return float(error**2 / mean_square**2 * freedom) if mean_square > 0 else np.inf


def _nested_readers(cells: Cells, parts: dict[str, float], cases: Effect) -> _Errors:
    present = np.isfinite(cells.values)
    per_arm = present.sum(axis=1)
    count, freedom = _reader_count(cells), float(np.sum(per_arm - 1))
    squares = np.nansum((cells.values - np.nanmean(cells.values, axis=1, keepdims=True)) ** 2, 1)
    mean_square = float(squares.sum() / freedom)
    shared = parts["cov2"] - (0.0 if np.isnan(parts["cov3"]) else parts["cov3"])
    error = mean_square + (count * max(shared, 0.0) if cases == "random" else 0.0)
    own = squares / np.maximum(per_arm - 1, 1)
    cov2 = np.array([_arm_cov2(cells, i) for i in range(len(per_arm))])
    scale = count / per_arm  # arm errors are divided by the common count later
    arm_error = (own + (per_arm * np.maximum(cov2, 0.0) if cases == "random" else 0.0)) * scale
    arm_df = [
        _hillis_df(e, m * s, max(n - 1, 1))
        for e, m, s, n in zip(arm_error, own, scale, per_arm, strict=True)
    ]
    return _Errors(error, _hillis_df(error, mean_square, freedom), arm_error, np.array(arm_df))


def _arm_cov2(cells: Cells, arm: int) -> float:
    inside = np.flatnonzero(np.isfinite(cells.values[arm]))
    part = cells.covariance[arm, inside][:, arm, inside]
    return float(part[~np.eye(inside.size, dtype=bool)].mean()) if inside.size > 1 else 0.0


def _fixed_readers(cells: Cells) -> _Errors:
    """Only cases vary: the variance of the arm means over these readers."""
    present = np.isfinite(cells.values)
    count, arms = _reader_count(cells), len(cells.arms)
    weights = np.zeros((arms, *cells.values.shape))
    for i in range(arms):
        weights[i, i, present[i]] = 1 / present[i].sum()
    flat = weights.reshape(arms, -1)
    size = cells.values.size
    of_means = flat @ np.nan_to_num(cells.covariance).reshape(size, size) @ flat.T
    pairs = list(combinations(range(arms), 2))
    of_pairs = [of_means[i, i] + of_means[k, k] - 2 * of_means[i, k] for i, k in pairs]
    infinite = np.full(arms, np.inf)
    return _Errors(
        float(np.mean(of_pairs)) * count / 2, np.inf, np.diag(of_means) * count, infinite
    )


def _quantile(level: float, df: float) -> float:
    q = 0.5 + level / 2
    return float(stats.norm.ppf(q) if np.isinf(df) else stats.t.ppf(q, df))


def _two_sided(t: float, df: float) -> float:
    if not np.isfinite(t):  # no error to judge by: no evidence for 0, no p for anything else
        return 1.0 if np.isnan(t) else np.nan
    return float(2 * (stats.norm.sf(abs(t)) if np.isinf(df) else stats.t.sf(abs(t), df)))


def _arm_means(cells: Cells, means: np.ndarray, errors: _Errors, level: float) -> pd.DataFrame:
    rows = []
    for arm, mean, error, df in zip(
        cells.arms, means, errors.arm_error, errors.arm_df, strict=True
    ):
        se = float(np.sqrt(error / _reader_count(cells)))
        half = _quantile(level, df) * se
        # Every figure of merit here is a share of an area or of cases: it ends at 0 and 1.
        low, high = max(mean - half, 0.0), min(mean + half, 1.0)
        rows.append((arm, float(mean), se, float(df), low, high))
    return pd.DataFrame(rows, columns=["arm", "mean", "se", "df", "low", "high"])


def _differences(cells: Cells, means: np.ndarray, errors: _Errors, level: float) -> pd.DataFrame:
    se = float(np.sqrt(2 * errors.error / _reader_count(cells)))
    half = _quantile(level, errors.df) * se
    rows = []
    for i, k in combinations(range(len(means)), 2):
        difference = float(means[i] - means[k])
        t = _ratio(abs(difference), se) * np.sign(difference) if difference else _ratio(0.0, se)
        rows.append(
            (
                cells.arms[i],
                cells.arms[k],
                difference,
                se,
                errors.df,
                difference - half,
                difference + half,
                t,
                _two_sided(t, errors.df),
            )
        )
    names = ["first", "second", "difference", "se", "df", "low", "high", "t", "p"]
    return pd.DataFrame(rows, columns=names)


def _reader_differences(cells: Cells, level: float) -> pd.DataFrame:
    """Each reader's own differences, over cases alone."""
    rows = []
    z = float(stats.norm.ppf(0.5 + level / 2))
    for j, reader in enumerate(cells.readers):
        for i, k in combinations(range(len(cells.arms)), 2):
            difference = float(cells.values[i, j] - cells.values[k, j])
            if np.isnan(difference):
                continue
            c = cells.covariance
            variance = c[i, j, i, j] + c[k, j, k, j] - 2 * c[i, j, k, j]
            se = float(np.sqrt(max(variance, 0.0)))
            rows.append(
                (
                    reader,
                    cells.arms[i],
                    cells.arms[k],
                    difference,
                    se,
                    difference - z * se,
                    difference + z * se,
                )
            )
    names = ["reader", "first", "second", "difference", "se", "low", "high"]
    return pd.DataFrame(rows, columns=names)

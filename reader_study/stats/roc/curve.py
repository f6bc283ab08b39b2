"""ROC curves of one set of scores: area, part of the area, operating points, two curves compared.

Scores are higher for more suspicious; truth is 1 with the finding and 0 without.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import stats

Focus = Literal["sensitivity", "specificity"]


def split_scores(truth: ArrayLike, scores: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Scores with and without the finding; refuses missing values and a single class.

    Examples
    --------
    >>> split_scores([1, 0], [5.0, 2.0])
    (array([5.]), array([2.]))
    """
    y, x = np.asarray(truth), np.asarray(scores, dtype=float)
    if y.shape != x.shape or y.ndim != 1:
        raise ValueError(
            f"expected truth and scores of one length, got shapes {y.shape}, {x.shape}"
        )
    if np.isnan(x).any():
        raise ValueError(f"expected scores for all cases, but {int(np.isnan(x).sum())} are missing")
    positive, negative = x[y == 1], x[y == 0]
    if positive.size + negative.size != x.size:
        raise ValueError("expected truth of 0 or 1, got other values; recode it")
    if positive.size == 0 or negative.size == 0:
        raise ValueError(
            f"expected cases with and without the finding, got {positive.size} with and "
            f"{negative.size} without; a ROC curve needs both"
        )
    return positive, negative


def placements(positive: np.ndarray, negative: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Share of the other class each score beats, ties counting one half, from mid-ranks.

    Parameters
    ----------
    positive : ndarray, shape (..., n_positive)
    negative : ndarray, shape (..., n_negative)

    Returns
    -------
    v10, v01 : ndarray
        Shapes of ``positive`` and ``negative``; the mean of either is the area.

    Notes
    -----
    Mid-ranks give DeLong's structural components (DeLong, DeLong & Clarke-Pearson 1988,
    doi:10.2307/2531595) without forming all pairs (Sun & Xu 2014,
    doi:10.1109/LSP.2014.2337313).

    Examples
    --------
    >>> placements(np.array([3.0, 2.0]), np.array([2.0, 1.0]))
    (array([1.  , 0.75]), array([0.75, 1.  ]))
    """
    m, n = positive.shape[-1], negative.shape[-1]
    together = stats.rankdata(np.concatenate([positive, negative], axis=-1), axis=-1)
    v10 = (together[..., :m] - stats.rankdata(positive, axis=-1)) / n
    v01 = 1 - (together[..., m:] - stats.rankdata(negative, axis=-1)) / m
    return v10, v01


def empirical_auc(truth: ArrayLike, scores: ArrayLike) -> float:
    """Area under the empirical ROC curve: the chance that a case with the finding scores higher.

    Notes
    -----
    Mann-Whitney U over the number of pairs (Bamber 1975, doi:10.1016/0022-2496(75)90001-2).

    Examples
    --------
    >>> empirical_auc([1, 1, 0, 0], [3, 2, 2, 1])
    0.875
    """
    positive, negative = split_scores(truth, scores)
    return float(placements(positive, negative)[0].mean())


def roc_curve(truth: ArrayLike, scores: ArrayLike) -> pd.DataFrame:
    """Operating points from (0, 0) to (1, 1): ``threshold, sensitivity, specificity``.

    A case counts as positive at ``score >= threshold``; the first row calls nothing positive
    (threshold infinity).

    Examples
    --------
    >>> roc_curve([1, 0], [2.0, 1.0])["sensitivity"].tolist()
    [0.0, 1.0, 1.0]
    """
    positive, negative = split_scores(truth, scores)
    cuts = np.concatenate([[np.inf], np.unique(np.concatenate([positive, negative]))[::-1]])
    called_positive = np.sort(positive)
    called_negative = np.sort(negative)
    sensitivity = 1 - np.searchsorted(called_positive, cuts) / positive.size
    specificity = np.searchsorted(called_negative, cuts) / negative.size
    return pd.DataFrame({"threshold": cuts, "sensitivity": sensitivity, "specificity": specificity})


def partial_auc(
    truth: ArrayLike,
    scores: ArrayLike,
    *,
    focus: Focus = "specificity",
    low: float,
    high: float = 1.0,
) -> float:
    """Area under the part of the curve where ``focus`` lies in [low, high], not rescaled.

    Trapezoids, cut by linear interpolation (McClish 1989, doi:10.1177/0272989X8900900307).
    With ``low=0, high=1`` it is the whole area.

    Examples
    --------
    A perfect reader keeps the whole strip between specificity 0.8 and 1:

    >>> round(partial_auc([1, 0], [2.0, 1.0], low=0.8), 12)
    0.2
    """
    if not 0 <= low < high <= 1:
        raise ValueError(f"expected 0 <= low < high <= 1, got {low} to {high}")
    curve = roc_curve(truth, scores)
    across = 1 - curve["specificity"].to_numpy()
    up = curve["sensitivity"].to_numpy()
    if focus == "sensitivity":
        # Exchanging the axes turns a band of sensitivity into a band of specificity.
        across, up = 1 - up[::-1], 1 - across[::-1]
    return _band(across, up, 1 - high, 1 - low)


def _band(across: np.ndarray, up: np.ndarray, start: float, stop: float) -> float:
    """Trapezoid area of a rising staircase-with-slopes between two abscissae."""
    total = 0.0
    for x0, x1, y0, y1 in zip(across[:-1], across[1:], up[:-1], up[1:], strict=True):
        a, b = max(x0, start), min(x1, stop)
        if b <= a:
            continue
        slope = (y1 - y0) / (x1 - x0)
        total += (b - a) * (y0 + slope * ((a + b) / 2 - x0))
    return float(total)


def youden_point(truth: ArrayLike, scores: ArrayLike) -> dict[str, float]:
    """Operating point with the largest sensitivity + specificity - 1 (Youden 1950).

    Of equal points the strictest. Cancer 3:32.

    Examples
    --------
    >>> youden_point([1, 0], [2.0, 1.0])["youden"]
    1.0
    """
    curve = roc_curve(truth, scores)
    index = (curve["sensitivity"] + curve["specificity"] - 1).to_numpy()
    best = int(np.argmax(index))
    row = curve.iloc[best]
    return {**{name: float(row[name]) for name in curve.columns}, "youden": float(index[best])}


@dataclass(frozen=True)
class TwoCurves:
    """Two areas, their difference and DeLong's test of it."""

    auc_first: float
    auc_second: float
    difference: float
    se: float
    low: float
    high: float
    z: float
    p: float


def delong_test(
    truth: ArrayLike, first: ArrayLike, second: ArrayLike, *, level: float = 0.95
) -> TwoCurves:
    """Two areas of the same cases compared (DeLong 1988, doi:10.2307/2531595).

    Identical scores give difference 0, z 0 and p 1.

    Examples
    --------
    >>> delong_test([1, 1, 0, 0], [4, 3, 2, 1], [4, 3, 2, 1]).p
    1.0
    """
    a_pos, a_neg = split_scores(truth, first)
    b_pos, b_neg = split_scores(truth, second)
    v10, v01 = placements(np.stack([a_pos, b_pos]), np.stack([a_neg, b_neg]))
    areas = v10.mean(axis=1)
    covariance = np.atleast_2d(np.cov(v10)) / v10.shape[1] + np.cov(v01) / v01.shape[1]
    difference = float(areas[0] - areas[1])
    se = float(np.sqrt(max(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1], 0.0)))
    z = difference / se if se > 0 else (0.0 if difference == 0 else np.inf * np.sign(difference))
    half = float(stats.norm.ppf(0.5 + level / 2)) * se
    return TwoCurves(
        float(areas[0]),
        float(areas[1]),
        difference,
        se,
        difference - half,
        difference + half,
        float(z),
        float(2 * stats.norm.sf(abs(z))),
    )

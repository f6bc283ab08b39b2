"""The proper (likelihood-ratio) binormal ROC curve, which never crosses the diagonal.

Hidden scores are normal as in the binormal model, but a case is called by how much likelier its
score is with the finding than without. Cases are then sorted by their distance from one point.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike
from scipy import special, stats

from reader_study.stats.roc.binormal import (
    category_counts,
    equal_density,
    most_likely,
    normal_density,
    start_values,
)
from reader_study.stats.roc.curve import split_scores

# Nearer to equal variances than this, the second cut-point lies beyond all scores.
EQUAL = 1e-7
BOUND = np.array([[-9.0, 4.0], [-3.0, 3.0]])  # of log a and log b


@dataclass(frozen=True)
class Proper:
    """Binormal ``a`` and ``b`` of the hidden scores, Metz' ``d_a`` and ``c``, and the area.

    Where ``d_a`` comes out near 0 with ``c`` far from 0, the likelihood hardly depends on ``d_a``:
    the area is determined then, ``d_a`` is not.
    """

    a: float
    b: float
    d_a: float
    c: float
    auc: float
    converged: bool
    loglik: float
    found: np.ndarray = field(repr=False, compare=False)  # where the search ended

    def utility(self, slope: float) -> float:
        """Largest sensitivity - slope * (1 - specificity) on the curve.

        It is reached by calling every score whose likelihood ratio is above ``slope``.
        """
        a, b = self.a, self.b
        low, high = equal_density(a, b, slope)
        if np.isnan(low):  # the ratio is above the slope everywhere, or nowhere
            return max(0.0, 1 - slope)
        cuts = np.array([low, high])
        gain = special.ndtr(a - b * cuts) - slope * special.ndtr(-cuts)  # of calling above a cut
        if abs(b - 1) < EQUAL:
            return float(gain[0])
        # Variance larger with the finding (b < 1): both tails are called; else what lies between.
        return float(gain[1] + (1 - slope - gain[0]) if b < 1 else gain[0] - gain[1])


def fit_proper(truth: ArrayLike, scores: ArrayLike) -> Proper:
    """Fit scores N(0, 1) without and N(a/b, 1/b) with the finding, cut on their likelihood ratio.

    Scores with more than 20 distinct values are grouped into 20 classes of near equal size.

    Notes
    -----
    Metz & Pan 1999 (doi:10.1006/jmps.1998.1218); area from d_a = a sqrt(2 / (1 + b^2)) and
    c = (b - 1) / (b + 1) with Owen's T function in place of the bivariate normal integral.
    Maximum likelihood from four starts, since a curve with d_a near 0 may be a second maximum.

    Examples
    --------
    >>> fitted = fit_proper([0] * 6 + [1] * 6, [1, 1, 2, 2, 3, 3] * 2)
    >>> round(fitted.auc, 3)
    0.5
    """
    return fit_counts(*category_counts(*split_scores(truth, scores)))


def fit_counts(
    positive: np.ndarray, negative: np.ndarray, start: np.ndarray | None = None
) -> Proper:
    """The fit to counts in each category; ``start`` is where a fit to nearly these counts ended."""
    if positive.size < 2:
        raise ValueError(
            "expected two categories of ratings or more to fit a proper curve, got one; report "
            "the empirical area"
        )
    starts = [start] if start is not None else _starts(negative, positive)
    best = most_likely(_negative_loglik, negative, positive, starts)
    log_a, log_b = np.clip(best.x[:2], *BOUND.T)
    a, b = float(np.exp(log_a)), float(np.exp(log_b))
    d_a, c = a * np.sqrt(2 / (1 + b**2)), (b - 1) / (b + 1)
    settled = bool(np.max(np.abs(best.jac)) < 1e-3)
    area = proper_area(d_a, c)
    return Proper(a, b, float(d_a), float(c), area, settled, -float(best.fun), best.x)


def _starts(negative: np.ndarray, positive: np.ndarray) -> list[np.ndarray]:
    """The binormal curve, its like on the other side of equal variances, and d_a near 0."""
    first = start_values(negative, positive)
    a, b = max(first[0], 0.2), float(np.clip(np.exp(first[1]), 0.3, 3.0))
    cuts = first[2] + np.concatenate([[0.0], np.cumsum(np.exp(first[3:]))])
    starts = []
    for a0, b0 in ((a, b), (a, 1.05 if b < 1 else 0.95), (0.05, 0.35), (0.05, 2.8)):
        at = cuts if a0 == a else _distances(negative, a0, b0)
        gaps = np.log(np.maximum(np.diff(at), 1e-2))
        starts.append(np.concatenate([[np.log(a0), np.log(b0), at[0]], gaps]))
    return starts


def _distances(negative: np.ndarray, a: float, b: float) -> np.ndarray:
    """Cut-points from the shares without the finding, on the distance from the mirror point."""
    shares = (np.cumsum(negative)[:-1] + 0.5) / (negative.sum() + 1)
    centre = a * b / (b**2 - 1)
    side = 1.0 if b < 1 else -1.0
    inside = shares if b < 1 else 1 - shares
    return np.asarray(centre + side * stats.norm.ppf(0.5 + inside / 2))


def proper_area(d_a: float, c: float) -> float:
    """Area of the proper curve: 1 - 2 T(d_a / sqrt 2, (1 - c^2) / (2 |c|)), T of Owen.

    Examples
    --------
    Equal variances give the binormal area; no distance at all, an area from the variances alone:

    >>> round(proper_area(1.0, 0.0), 6)  # Phi(1 / sqrt 2)
    0.76025
    >>> round(proper_area(0.0, -0.5), 6)  # 1 - arctan((1 - c^2) / (2 |c|)) / pi
    0.795167
    """
    slope = (1 - c**2) / (2 * abs(c)) if c else np.inf
    return float(1 - 2 * special.owens_t(d_a / np.sqrt(2), slope))


def _negative_loglik(
    parameters: np.ndarray, negative: np.ndarray, positive: np.ndarray
) -> tuple[float, np.ndarray]:
    """Minus the log likelihood and its gradient; parameters: log a, log b, first cut, log gaps."""
    kept = np.clip(parameters[:2], *BOUND.T)
    a, b = np.exp(kept)
    steps = np.exp(np.clip(parameters[3:], -30, 30))
    free = parameters[2] + np.concatenate([[0.0], np.cumsum(steps)])
    # A cut-point u stands for the pair u and 2 centre - u; u stays on its side of the centre.
    side = 1.0 if b <= 1 else -1.0
    if abs(b - 1) < EQUAL:
        centre, by_a, by_b = -side / EQUAL, 0.0, 0.0
    else:
        centre = a * b / (b**2 - 1)
        by_a, by_b = b / (b**2 - 1), -a * (b**2 + 1) / (b**2 - 1) ** 2
    away = side * (free - centre)
    cuts = centre + side * np.logaddexp(0.0, away)
    own, drawn = special.expit(away), special.expit(-away)  # slopes by the free cut, the centre
    mirror = 2 * centre - cuts
    value, d_cuts, d_a, d_b = 0.0, np.zeros_like(cuts), 0.0, 0.0
    d_mirror = np.zeros_like(cuts)
    for counts, scale, shift in ((negative, 1.0, 0.0), (positive, b, a)):
        high, low = scale * cuts - shift, scale * mirror - shift
        far = special.ndtr(low) if side > 0 else -special.ndtr(-low)
        below = special.ndtr(high) - far
        chance = np.maximum(np.diff(np.concatenate([[0.0], below, [1.0]])), 1e-300)
        value -= float(np.sum(counts * np.log(chance)))
        weight = counts / chance
        slope = weight[1:] - weight[:-1]
        at_high, at_low = normal_density(high), normal_density(low)
        d_cuts += slope * scale * at_high
        d_mirror -= slope * scale * at_low
        if counts is positive:
            d_a = float(np.sum(slope * (at_low - at_high)))
            d_b = float(np.sum(slope * (cuts * at_high - mirror * at_low)))
    net = d_cuts - d_mirror
    by_centre = float(np.sum(net * drawn + 2 * d_mirror))
    inside = (parameters[:2] > BOUND[:, 0]) & (parameters[:2] < BOUND[:, 1])
    d_shape = np.array([(d_a + by_centre * by_a) * a, (d_b + by_centre * by_b) * b]) * inside
    tail = np.cumsum((net * own)[::-1])[::-1]
    return value, np.concatenate([d_shape, [tail[0]], tail[1:] * steps])

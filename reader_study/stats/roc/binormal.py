"""The binormal ROC curve fitted by maximum likelihood.

Scores without the finding are N(0, 1) on a hidden scale, scores with it N(a/b, 1/b); the
observed scale is any rising function of it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike
from scipy import optimize, special, stats

from reader_study.stats.roc.curve import split_scores

MAX_CATEGORIES = 20


@dataclass(frozen=True)
class Binormal:
    """Intercept ``a`` and slope ``b`` of the curve in normal deviates, and its area."""

    a: float
    b: float
    auc: float
    converged: bool
    loglik: float
    found: np.ndarray = field(repr=False, compare=False)  # where the search ended

    def utility(self, slope: float) -> float:
        """Largest sensitivity - slope * (1 - specificity) on the curve; 0 calls nobody."""
        a, b = self.a, self.b
        cuts = [z for z in equal_density(a, b, slope) if np.isfinite(z)]
        at = [float(special.ndtr(a - b * z) - slope * special.ndtr(-z)) for z in cuts]
        return max(0.0, 1 - slope, *at)


def equal_density(a: float, b: float, slope: float) -> tuple[float, float]:
    """Scores, lower first, where density with the finding is ``slope`` times that without.

    Without it scores are N(0, 1), with it N(a/b, 1/b). Not a number where there is none; with
    equal variances the one score stands twice.
    """
    # log b - (b z - a)^2 / 2 + z^2 / 2 = log slope
    square, line = (1 - b**2) / 2, a * b
    rest = np.log(b) - a**2 / 2 - np.log(slope)
    if abs(square) < 1e-9:
        at = -rest / line if line else np.nan
        return float(at), float(at)
    inside = line**2 - 4 * square * rest
    if inside < 0:
        return float("nan"), float("nan")
    low, high = sorted((-line + sign * np.sqrt(inside)) / (2 * square) for sign in (-1, 1))
    return float(low), float(high)


def fit_binormal(truth: ArrayLike, scores: ArrayLike) -> Binormal:
    """Fit sensitivity = Phi(a + b * Phi^-1(1 - specificity)).

    Scores with more than 20 distinct values are grouped into 20 classes of near equal size.

    Raises
    ------
    ValueError
        When the points of the curve all lie on its border (perfect separation, or a single
        category): no binormal curve is determined; use the empirical area.

    Notes
    -----
    Dorfman & Alf 1969 (doi:10.1016/0022-2496(69)90019-4); ranks as categories: Metz, Herman &
    Shen 1998 (doi:10.1002/(SICI)1097-0258(19980515)17:9<1033::AID-SIM784>3.0.CO;2-Z).

    Examples
    --------
    >>> fitted = fit_binormal([0] * 6 + [1] * 6, [1, 1, 1, 2, 2, 3, 1, 2, 2, 3, 3, 3])
    >>> 0.7 < fitted.auc < 0.9
    True
    """
    return fit_counts(*category_counts(*split_scores(truth, scores)))


def fit_counts(
    positive: np.ndarray, negative: np.ndarray, start: np.ndarray | None = None
) -> Binormal:
    """The fit to counts in each category; ``start`` is where a fit to nearly these counts ended."""
    inner = np.cumsum(negative)[:-1] / negative.sum(), np.cumsum(positive)[:-1] / positive.sum()
    inside = [bool(((part > 0) & (part < 1)).any()) for part in inner]
    both = np.all([(part > 0) & (part < 1) for part in inner], axis=0).sum()
    if not all(inside) or both < 1:
        raise ValueError(
            "expected a ROC point away from the border to fit a binormal curve; the ratings "
            "separate the classes or use one category; report the empirical area, "
            "or fit the proper or the contaminated binormal curve"
        )
    starts = [start_values(negative, positive) if start is None else start]
    result = most_likely(_negative_loglik, negative, positive, starts)
    a, b = float(result.x[0]), float(np.exp(result.x[1]))
    settled = bool(np.max(np.abs(result.jac)) < 1e-3)
    area = float(stats.norm.cdf(a / np.hypot(1, b)))
    return Binormal(a, b, area, settled, -float(result.fun), result.x)


def most_likely(
    negative_loglik: Callable[..., tuple[float, np.ndarray]],
    negative: np.ndarray,
    positive: np.ndarray,
    starts: Sequence[np.ndarray],
) -> optimize.OptimizeResult:
    """The best of the searches from ``starts``."""
    fits = [
        optimize.minimize(
            negative_loglik,
            place,
            args=(negative, positive),
            jac=True,
            method="BFGS",
            options={"gtol": 1e-6, "maxiter": 500},
        )
        for place in starts
    ]
    return min(fits, key=lambda fit: float(fit.fun))


def normal_density(z: np.ndarray) -> np.ndarray:
    """Density of N(0, 1); many times quicker on short arrays than scipy's distribution object."""
    return np.asarray(np.exp(-0.5 * z**2) / np.sqrt(2 * np.pi))


def categories(scores: np.ndarray) -> np.ndarray:
    """Category of each score from 0 on; fine scales are grouped into 20 of near equal size.

    Examples
    --------
    >>> categories(np.array([1.0, 5.0, 2.0])).tolist()
    [0, 2, 1]
    """
    levels = np.unique(scores)
    if levels.size > MAX_CATEGORIES:
        cuts = np.unique(np.quantile(scores, np.linspace(0, 1, MAX_CATEGORIES + 1)[1:-1]))
    else:
        cuts = (levels[1:] + levels[:-1]) / 2
    return np.asarray(np.searchsorted(cuts, scores, side="left"))


def category_counts(positive: np.ndarray, negative: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Ratings with and without the finding in each category."""
    classes = categories(np.concatenate([positive, negative]))
    size = int(classes.max()) + 1
    parts = classes[: positive.size], classes[positive.size :]
    with_finding, without = (np.bincount(part, minlength=size).astype(float) for part in parts)
    return with_finding, without


def start_values(negative: np.ndarray, positive: np.ndarray) -> np.ndarray:
    """Cut-points from the pooled shares, a and log b from a line through the points."""
    shares = [(np.cumsum(part)[:-1] + 0.5) / (part.sum() + 1) for part in (negative, positive)]
    cut = stats.norm.ppf(shares[0])
    other = stats.norm.ppf(shares[1])
    b = 1.0
    if cut.size > 1 and np.ptp(cut) > 0:
        b = float(np.clip(np.polyfit(cut, other, 1)[0], 0.3, 3.0))
    a = float(np.mean(b * cut - other))
    gaps = np.log(np.maximum(np.diff(cut), 1e-2))
    return np.concatenate([[a, np.log(b), cut[0]], gaps])


def _negative_loglik(
    parameters: np.ndarray, negative: np.ndarray, positive: np.ndarray
) -> tuple[float, np.ndarray]:
    a, b = parameters[0], np.exp(parameters[1])
    steps = np.exp(np.clip(parameters[3:], -30, 30))
    cuts = parameters[2] + np.concatenate([[0.0], np.cumsum(steps)])
    value, d_cuts = 0.0, np.zeros_like(cuts)
    d_a = d_b = 0.0
    for counts, points, scale in ((negative, cuts, 1.0), (positive, b * cuts - a, b)):
        edges = np.concatenate([[0.0], special.ndtr(points), [1.0]])
        chance = np.maximum(np.diff(edges), 1e-300)
        value -= float(np.sum(counts * np.log(chance)))
        weight = counts / chance
        slope = -(weight[:-1] - weight[1:]) * normal_density(points)
        d_cuts += slope * scale
        if scale is b:
            d_a -= float(slope.sum())
            d_b += float(np.sum(slope * cuts)) * b
    tail = np.cumsum(d_cuts[::-1])[::-1]
    return value, np.concatenate([[d_a, d_b, tail[0]], tail[1:] * steps])

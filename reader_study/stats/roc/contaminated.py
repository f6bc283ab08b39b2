"""The contaminated binormal ROC curve: some diseased cases look like healthy ones to a reader."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike
from scipy import special, stats

from reader_study.stats.roc.binormal import (
    category_counts,
    most_likely,
    normal_density,
    start_values,
)
from reader_study.stats.roc.curve import split_scores


@dataclass(frozen=True)
class Contaminated:
    """Distance ``mu`` of the diseased cases that are seen, their share ``alpha``, and the area."""

    mu: float
    alpha: float
    auc: float
    converged: bool
    loglik: float
    found: np.ndarray = field(repr=False, compare=False)  # where the search ended

    def utility(self, slope: float) -> float:
        """Largest sensitivity - slope * (1 - specificity) on the curve."""
        mu, alpha = self.mu, self.alpha
        if slope <= 1 - alpha:  # the curve is steeper everywhere: everybody is called
            return 1 - slope
        cut = np.log((slope - 1 + alpha) / alpha) / mu + mu / 2
        missed = special.ndtr(-cut)
        return float((1 - alpha) * missed + alpha * special.ndtr(mu - cut) - slope * missed)


def fit_contaminated(truth: ArrayLike, scores: ArrayLike) -> Contaminated:
    """Fit sensitivity = (1 - alpha) Phi(-z) + alpha Phi(mu - z) at specificity Phi(z).

    The curve never crosses the diagonal and needs no point away from the border, so it fits
    where the binormal one does not.

    Notes
    -----
    Dorfman & Berbaum 2000 (doi:10.1016/S1076-6332(00)80382-9); maximum likelihood from two
    starts, since shares near 1 and far from it may both be local maxima.

    Examples
    --------
    >>> fitted = fit_contaminated([0, 0, 0, 1, 1, 1], [1, 2, 3, 1, 2, 3])
    >>> round(fitted.auc, 3)
    0.5
    """
    return fit_counts(*category_counts(*split_scores(truth, scores)))


def fit_counts(
    positive: np.ndarray, negative: np.ndarray, start: np.ndarray | None = None
) -> Contaminated:
    """The fit to counts in each category; ``start`` is where a fit to nearly these counts ended."""
    starts = [start] if start is not None else _starts(negative, positive)
    best = most_likely(_negative_loglik, negative, positive, starts)
    mu, alpha = float(np.exp(min(best.x[0], 5.0))), float(special.expit(np.clip(best.x[1], -9, 9)))
    area = 0.5 * (1 - alpha) + alpha * float(stats.norm.cdf(mu / np.sqrt(2)))
    settled = bool(np.max(np.abs(best.jac)) < 1e-3)
    return Contaminated(mu, alpha, area, settled, -float(best.fun), best.x)


def _starts(negative: np.ndarray, positive: np.ndarray) -> list[np.ndarray]:
    first = start_values(negative, positive)
    distance = np.log(max(first[0], 0.5))
    shares = (0.9, 0.5)
    return [np.concatenate([[distance, special.logit(q)], first[2:]]) for q in shares]


def _negative_loglik(
    parameters: np.ndarray, negative: np.ndarray, positive: np.ndarray
) -> tuple[float, np.ndarray]:
    mu, alpha = np.exp(min(parameters[0], 5.0)), special.expit(np.clip(parameters[1], -9, 9))
    steps = np.exp(np.clip(parameters[3:], -30, 30))
    cuts = parameters[2] + np.concatenate([[0.0], np.cumsum(steps)])
    noise, seen = special.ndtr(cuts), special.ndtr(cuts - mu)
    at_noise, at_seen = normal_density(cuts), normal_density(cuts - mu)
    value, d_cuts, slope = 0.0, np.zeros_like(cuts), np.zeros_like(cuts)
    mixed, density = (1 - alpha) * noise + alpha * seen, (1 - alpha) * at_noise + alpha * at_seen
    for counts, below, dense in ((negative, noise, at_noise), (positive, mixed, density)):
        chance = np.maximum(np.diff(np.concatenate([[0.0], below, [1.0]])), 1e-300)
        value -= float(np.sum(counts * np.log(chance)))
        weight = counts / chance
        slope = weight[1:] - weight[:-1]
        d_cuts += slope * dense
    d_mu = -float(np.sum(slope * alpha * at_seen)) * mu * (parameters[0] < 5.0)
    d_alpha = float(np.sum(slope * (seen - noise))) * alpha * (1 - alpha) * (abs(parameters[1]) < 9)
    tail = np.cumsum(d_cuts[::-1])[::-1]
    return value, np.concatenate([[d_mu, d_alpha, tail[0]], tail[1:] * steps])

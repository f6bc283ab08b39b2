"""The contaminated binormal ROC curve: some diseased cases look like healthy ones to a reader."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike
from scipy import optimize, special, stats

from reader_study.stats.roc.binormal import category_counts, start_values
from reader_study.stats.roc.curve import split_scores


@dataclass(frozen=True)
class Contaminated:
    """Distance ``mu`` of the diseased cases that are seen, their share ``alpha``, and the area."""

    mu: float
    alpha: float
    auc: float
    converged: bool
    loglik: float


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
    positive, negative = category_counts(*split_scores(truth, scores))
    return _fit_counts(tuple(positive), tuple(negative))


@lru_cache(maxsize=4096)
def _fit_counts(with_finding: tuple[float, ...], without: tuple[float, ...]) -> Contaminated:
    """The fit to counts of each category; the jackknife asks for few different ones."""
    positive, negative = np.array(with_finding), np.array(without)
    first = start_values(negative, positive)
    fits = []
    for share in (0.9, 0.5):
        start = np.concatenate([[np.log(max(first[0], 0.5)), special.logit(share)], first[2:]])
        options = {"gtol": 1e-5, "maxiter": 200}
        data = (negative, positive)
        fits.append(
            optimize.minimize(
                _negative_loglik, start, args=data, jac=True, method="BFGS", options=options
            )
        )
    best = min(fits, key=lambda fit: float(fit.fun))
    mu, alpha = float(np.exp(min(best.x[0], 5.0))), float(special.expit(np.clip(best.x[1], -9, 9)))
    area = 0.5 * (1 - alpha) + alpha * float(stats.norm.cdf(mu / np.sqrt(2)))
    settled = bool(np.max(np.abs(best.jac)) < 1e-3)
    return Contaminated(mu, alpha, area, settled, -float(best.fun))


def contaminated_auc(truth: ArrayLike, scores: ArrayLike) -> float:
    """Area under the fitted contaminated binormal curve."""
    fitted = fit_contaminated(truth, scores)
    if not fitted.converged:
        raise ValueError(
            "expected a contaminated binormal fit that settles, got none; report the empirical area"
        )
    return fitted.auc


def _negative_loglik(
    parameters: np.ndarray, negative: np.ndarray, positive: np.ndarray
) -> tuple[float, np.ndarray]:
    mu, alpha = np.exp(min(parameters[0], 5.0)), special.expit(np.clip(parameters[1], -9, 9))
    steps = np.exp(np.clip(parameters[3:], -30, 30))
    cuts = parameters[2] + np.concatenate([[0.0], np.cumsum(steps)])
    noise, seen = special.ndtr(cuts), special.ndtr(cuts - mu)
    at_noise, at_seen = stats.norm.pdf(cuts), stats.norm.pdf(cuts - mu)
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

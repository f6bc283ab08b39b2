"""Paired ratings of one reader: exact signed-rank tests, Hodges-Lehmann, Friedman.

Five-point ratings are full of ties and zero differences. The tests here are exact for
exactly such data, because they use the ranks that were observed.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

Zeros = Literal["wilcoxon", "pratt"]
Alternative = Literal["two-sided", "greater", "less"]

# Sum of doubled ranks up to which the full distribution is worked out (n near 800).
EXACT_LIMIT = 640_000


@dataclass(frozen=True)
class SignedRank:
    """Result of a signed-rank test; ``z`` is the conditional normal score of the statistic."""

    w_plus: float
    p: float
    z: float
    p_asymptotic: float
    n: int
    n_zero: int
    exact: bool


def signed_rank(
    differences: ArrayLike, *, zeros: Zeros = "pratt", alternative: Alternative = "two-sided"
) -> SignedRank:
    """Conditional signed-rank test of symmetric differences about 0, exact with ties and zeros.

    Parameters
    ----------
    differences : array_like, shape (n,)
        First minus second rating; NaN (a missing rating) is left out.
    zeros : "wilcoxon" or "pratt"
        Drop zero differences before ranking (Wilcoxon 1945, doi:10.2307/3001968), or rank
        them and then leave them out (Pratt 1959, doi:10.1080/01621459.1959.10501526).
    alternative : the direction of the differences under test

    Returns
    -------
    SignedRank
        ``w_plus`` is the sum of the ranks of positive differences. With no difference other
        than zero p is 1 and z is 0. Beyond about 800 pairs p is the normal approximation and
        ``exact`` is false.

    Notes
    -----
    Given the absolute differences, every pattern of signs is equally likely under the null.
    Doubled mid-ranks are whole numbers, so the distribution of their sum comes from one
    convolution per pair (Hollander, Wolfe & Chicken 2014, section 3.1).

    Examples
    --------
    Three gains of the same size: all 8 sign patterns are equally likely, two are as extreme.

    >>> signed_rank([1, 1, 1]).p
    0.25
    """
    d = np.asarray(differences, dtype=float).ravel()
    d = d[~np.isnan(d)]
    if d.size == 0:
        raise ValueError("expected at least one pair of ratings, got none; check for missing cells")
    if not np.isfinite(d).all():
        raise ValueError("expected finite differences, got an infinite one; check the ratings")
    nonzero = d != 0
    kept = d if zeros == "pratt" else d[nonzero]
    ranks = stats.rankdata(np.abs(kept))[kept != 0]
    signs = kept[kept != 0] > 0
    w_plus = float(ranks[signs].sum())
    spread = float(np.sqrt(np.sum(ranks**2) / 4))
    z = (w_plus - ranks.sum() / 2) / spread if spread > 0 else 0.0
    asymptotic = _normal_p(z, alternative)
    doubled = np.rint(2 * ranks).astype(np.int64)
    exact = bool(doubled.sum() <= EXACT_LIMIT)
    p = _exact_p(doubled, round(2 * w_plus), alternative) if exact else asymptotic
    return SignedRank(w_plus, p, z, asymptotic, int(d.size), int((~nonzero).sum()), exact)


def _normal_p(z: float, alternative: Alternative) -> float:
    if alternative == "two-sided":
        return float(min(1.0, 2 * stats.norm.sf(abs(z))))
    return float(stats.norm.sf(z) if alternative == "greater" else stats.norm.cdf(z))


def _exact_p(doubled: np.ndarray, observed: int, alternative: Alternative) -> float:
    upper, lower = _tails(_sign_sum(doubled), observed)
    if alternative == "greater":
        return upper
    return lower if alternative == "less" else min(1.0, 2 * min(upper, lower))


def _tails(chances: np.ndarray, observed: int) -> tuple[float, float]:
    """P(sum >= observed), P(sum <= observed); each summed from its small end."""
    return float(chances[observed:].sum()), float(chances[: observed + 1].sum())


def _sign_sum(weights: np.ndarray) -> np.ndarray:
    """Chances of each sum of a random half of the whole-number ``weights``."""
    chances = np.zeros(int(weights.sum()) + 1)
    chances[0] = 1.0
    top = 0
    for weight in weights:
        chances[weight : top + weight + 1] += chances[: top + 1].copy()
        chances[: top + weight + 1] /= 2
        top += int(weight)
    return chances


def hodges_lehmann(differences: ArrayLike, *, level: float = 0.95) -> tuple[float, float, float]:
    """Median of the Walsh averages and its distribution-free interval.

    Parameters
    ----------
    differences : array_like, shape (n,)
        NaN is left out.

    Returns
    -------
    estimate, low, high : float
        The closed interval between order statistics of the n(n+1)/2 Walsh averages. It holds
        its level at least also for discrete ratings (Noether 1967,
        doi:10.1080/01621459.1967.10482901); with fewer than 6 pairs no such 95 % interval
        exists and the limits are infinite.

    Notes
    -----
    Hodges & Lehmann 1963, doi:10.1214/aoms/1177704172.

    Examples
    --------
    Walsh averages of 1, 2, 6: 1, 1.5, 2, 3.5, 4, 6; the median is 2.75.

    >>> hodges_lehmann([1, 2, 6])
    (2.75, -inf, inf)
    """
    d = np.asarray(differences, dtype=float).ravel()
    d = np.sort(d[~np.isnan(d)])
    if d.size == 0:
        raise ValueError("expected at least one pair of ratings, got none; check for missing cells")
    first, second = np.triu_indices(d.size)
    walsh = np.sort((d[first] + d[second]) / 2)
    cut = _walsh_cut(d.size, level)
    estimate = float(np.median(walsh))
    if cut < 0:
        return estimate, -np.inf, np.inf
    return estimate, float(walsh[cut]), float(walsh[walsh.size - 1 - cut])


def _walsh_cut(n: int, level: float) -> int:
    """How many Walsh averages lie outside each limit; -1 where no limit reaches the level."""
    tail = (1 - level) / 2
    if n * (n + 1) <= EXACT_LIMIT:
        below = np.cumsum(_sign_sum(np.arange(1, n + 1)))
        return int(np.searchsorted(below, tail, side="right")) - 1
    mean, spread = n * (n + 1) / 4, np.sqrt(n * (n + 1) * (2 * n + 1) / 24)
    return int(np.floor(mean + stats.norm.ppf(tail) * spread)) - 1


def friedman(ratings: ArrayLike) -> tuple[float, int, float]:
    """Friedman's chi-squared, degrees of freedom and p, corrected for ties.

    Parameters
    ----------
    ratings : array_like, shape (cases, arms)
        Cases with a missing rating are left out.

    Returns
    -------
    chi2, df, p
        (0, arms - 1, 1) when every case ties across all arms.

    Notes
    -----
    Friedman 1937, doi:10.1080/01621459.1937.10503522.

    Examples
    --------
    >>> friedman([[1, 2, 3], [1, 2, 3]])[:2]
    (4.0, 2)
    """
    table = np.asarray(ratings, dtype=float)
    if table.ndim != 2 or table.shape[1] < 2:
        raise ValueError(
            f"expected a (cases, arms) table with 2 or more arms, got shape {table.shape}"
        )
    table = table[~np.isnan(table).any(axis=1)]
    if table.shape[0] == 0:
        raise ValueError("expected at least one case rated in every arm, but none is complete")
    n, arms = table.shape
    ranks = stats.rankdata(table, axis=1)
    between = np.sum((ranks.sum(axis=0) - n * (arms + 1) / 2) ** 2)
    within = np.sum(ranks**2) - n * arms * (arms + 1) ** 2 / 4
    if within == 0:
        return 0.0, arms - 1, 1.0
    chi2 = float((arms - 1) * between / within)
    return chi2, arms - 1, float(stats.chi2.sf(chi2, arms - 1))

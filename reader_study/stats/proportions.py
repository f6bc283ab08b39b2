"""Limits of a share: exact ones, and Wilson's for shares over clusters, by statsmodels."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike


def clopper_pearson(successes: float, n: float, *, level: float = 0.95) -> tuple[float, float]:
    """Exact binomial interval (Clopper & Pearson 1934, doi:10.1093/biomet/26.4.404).

    Parameters
    ----------
    successes, n : float
        Counts; fractions are allowed, as an effective sample size may be one.

    Returns
    -------
    low, high : float
        (0, 1) when ``n`` is 0.

    Examples
    --------
    With 10 of 10, the lower limit solves low**10 = 0.025.

    >>> low, high = clopper_pearson(10, 10)
    >>> round(low**10, 12), high
    (0.025, 1.0)
    """
    from statsmodels.stats.proportion import proportion_confint  # slow to import

    if not 0 <= successes <= n:
        raise ValueError(f"expected 0 <= successes <= n, got {successes} of {n}; check the counts")
    if n == 0:
        return 0.0, 1.0
    low, high = proportion_confint(successes, n, alpha=1 - level, method="beta")
    return float(low), float(high)


@dataclass(frozen=True)
class ClusteredShare:
    """A share over clusters; ``n_effective`` is the independent sample that is worth as much."""

    value: float
    se: float
    low: float
    high: float
    n: int
    n_clusters: int
    n_effective: float


def clustered_share(seen: ArrayLike, clusters: ArrayLike, *, level: float = 0.95) -> ClusteredShare:
    """Share of ones among observations that come in clusters, its limits within 0 and 1.

    Parameters
    ----------
    seen : array_like of 0 and 1, shape (n,)
    clusters : array_like, shape (n,)

    Notes
    -----
    Ratio estimator (Rao & Scott 1992, doi:10.2307/2532311); Wilson's limits on the effective
    sample size. Where clusters do not vary the limits are exact ones on the clusters.

    Examples
    --------
    >>> share = clustered_share([1, 1, 1], ["a", "a", "b"])
    >>> (share.value, round(share.low, 6), share.high)
    (1.0, 0.158114, 1.0)
    """
    from statsmodels.stats.proportion import proportion_confint  # slow to import

    x = np.asarray(seen, dtype=float)
    code = np.unique(np.asarray(clusters), return_inverse=True)[1]
    size, total = np.bincount(code).astype(float), np.bincount(code, x)
    n, count, value = x.size, size.size, float(x.mean())
    apart = float(np.sum((total - value * size) ** 2))
    if count < 2 or apart < 1e-12:
        low, high = clopper_pearson(value * count, count, level=level)
        return ClusteredShare(value, np.nan if count < 2 else 0.0, low, high, n, count, count)
    variance = count / (count - 1) * apart / n**2
    effective = min(value * (1 - value) / variance, float(n))
    low, high = proportion_confint(value * effective, effective, alpha=1 - level, method="wilson")
    return ClusteredShare(
        value, float(np.sqrt(variance)), float(low), float(high), n, count, effective
    )

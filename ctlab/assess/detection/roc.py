"""ROC area of two sets of scores, with its interval, and the detectability it stands for."""

import math

import numpy as np
from scipy import integrate, special, stats


def area_under_roc(
    present: np.ndarray, absent: np.ndarray, *, level: float = 0.95
) -> tuple[float, float, float, float]:
    """AUC of scores, lower and upper limit, standard error; ties count one half.

    Interval by DeLong's variance on the logit scale (DeLong et al., Biometrics 44:837, 1988,
    doi 10.2307/2531595; Pepe 2003, section 5.2.4). At AUC 1 (or 0) that variance is 0, and the
    limit is the conservative ``(alpha / 2)^(1 / n)`` of n perfect comparisons, n the smaller
    class.

    Examples
    --------
    Of the four pairs three are in order:

    >>> area_under_roc(np.array([1.0, 3.0]), np.array([0.0, 2.0]))[0]
    0.75
    """
    above, below = placements(present, absent)
    auc = float(above.mean())
    variance = above.var(ddof=1) / len(above) + below.var(ddof=1) / len(below)
    alpha = 1 - level
    if variance == 0:
        bound = (alpha / 2) ** (1 / min(len(above), len(below)))
        low, high = (bound, 1.0) if auc > 0.5 else (0.0, 1 - bound)
        return auc, low, high, 0.0
    se = math.sqrt(variance)
    # Near 1 the logit is undefined or flat; half a pair is taken off.
    safe = min(max(auc, 0.5 / (len(above) * len(below))), 1 - 0.5 / (len(above) * len(below)))
    half = special.ndtri(1 - alpha / 2) * se / (safe * (1 - safe))
    low, high = special.expit(special.logit(safe) + np.array([-half, half]))
    return auc, float(min(low, auc)), float(max(high, auc)), se


def d_prime_to_auc(d_prime: float) -> float:
    """AUC of two Gaussians of equal SD that lie ``d_prime`` SDs apart: Phi(d' / sqrt 2).

    Examples
    --------
    >>> d_prime_to_auc(0.0), round(d_prime_to_auc(1.697), 4)
    (0.5, 0.8849)
    """
    return float(special.ndtr(d_prime / np.sqrt(2)))


def auc_to_d_prime(auc: float) -> float:
    """Inverse of :func:`d_prime_to_auc`; infinite at 1.

    Examples
    --------
    >>> auc_to_d_prime(0.5)
    0.0
    """
    return float(np.sqrt(2) * special.ndtri(auc))


def share_found(d_prime: float, places: float) -> float:
    """Chance that the place with the signal responds most, of so many independent ones.

    ``int phi(t - d') Phi(t)^(places - 1) dt`` (Green & Swets 1966); 1 where d' is infinite. The
    statistics of readers stand on nothing of this package and have their own.

    Examples
    --------
    >>> round(share_found(1.0, 4), 5), round(share_found(0.0, 8), 5)
    (0.55203, 0.125)
    """
    if not np.isfinite(d_prime):
        return 1.0
    share, _ = integrate.quad(
        lambda t: stats.norm.pdf(t - d_prime) * stats.norm.cdf(t) ** (places - 1), -8, 8 + d_prime
    )
    return min(float(share), 1.0)  # quadrature may end a rounding above


def placements(present: np.ndarray, absent: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Share of the other class each score beats (DeLong's components), by midranks."""
    n, m = len(present), len(absent)
    if min(n, m) < 2:
        raise ValueError(f"an AUC needs at least 2 scores of each class, got {n} and {m}")
    ranks = stats.rankdata(np.concatenate([present, absent]))
    above = (ranks[:n] - stats.rankdata(present)) / m
    below = 1 - (ranks[n:] - stats.rankdata(absent)) / n
    return above, below

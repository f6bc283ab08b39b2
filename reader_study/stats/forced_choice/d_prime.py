"""From the share of right answers among m places to d' and back."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import optimize, special, stats

from reader_study.stats.paired.crossed_share import wilson_limits

LOWEST, HIGHEST = -1.0, 8.0
_NODES, _WEIGHTS = np.polynomial.hermite.hermgauss(40)


def share_correct(d_prime: ArrayLike, places: int) -> np.ndarray:
    """Expected share of right answers among ``places`` of which one holds the signal.

    ``int phi(x - d') Phi(x)^(m - 1) dx``: the place of the largest response is chosen, responses
    are normal with the same SD, and no place is preferred.

    Raises
    ------
    ValueError
        Fewer than two places.

    Notes
    -----
    Green & Swets, Signal Detection Theory (1966); Hacker & Ratcliff, Perception & Psychophysics
    26:168 (1979), doi:10.3758/BF03208311, table it. Gauss-Hermite with 40 nodes: within 1e-8.

    Examples
    --------
    >>> share_correct([0.0, 1.0, 2.0], 4).round(5).tolist()
    [0.25, 0.55203, 0.82279]
    """
    _check_places(places)
    return _share(d_prime, places)


def _share(d_prime: ArrayLike, places: float) -> np.ndarray:
    d = np.asarray(d_prime, float)
    inner = special.ndtr(np.sqrt(2) * _NODES + d[..., None]) ** (places - 1)
    return np.asarray(inner @ _WEIGHTS / np.sqrt(np.pi))


def d_prime_of(share: float, places: int) -> float:
    """The d' at which ``share`` of the answers is right; infinite at 1, -1 at far below chance.

    Examples
    --------
    >>> round(d_prime_of(0.75, 2), 4), round(d_prime_of(0.75, 4), 4)
    (0.9539, 1.6822)
    >>> d_prime_of(1.0, 4)
    inf
    """
    _check_places(places)
    if not 0 <= share <= 1:
        raise ValueError(f"expected a share from 0 to 1, got {share}; check the counts")
    lowest, highest = share_correct([LOWEST, HIGHEST], places)
    if share >= highest:
        return float("inf")
    if share <= lowest:
        return LOWEST

    def gap(d_prime: float) -> float:
        return float(share_correct(d_prime, places)) - share

    return float(optimize.brentq(gap, LOWEST, HIGHEST, xtol=1e-10))


def independent_places(d_prime: float, share: float) -> float:
    """Among how many places a signal of d' at a known place is found in ``share`` of the trials.

    What a search is worth in places of a forced choice: with it a share found becomes a d'. NaN
    where nothing, or everything, was found.

    Examples
    --------
    >>> round(independent_places(2.0, float(share_correct(2.0, 20))), 6)
    20.0
    """
    if not (d_prime > 0 and 0 < share < 1):
        return float("nan")

    def gap(log_places: float) -> float:
        return float(_share(d_prime, float(np.exp(log_places)))) - share

    low, high = np.log(1.0 + 1e-9), np.log(1e6)
    if gap(low) < 0 or gap(high) > 0:
        return float("nan")
    return float(np.exp(optimize.brentq(gap, low, high, xtol=1e-12)))


def slope_of_share(d_prime: float, places: int) -> float:
    """How fast the share of right answers grows with d', for standard errors.

    Examples
    --------
    >>> round(slope_of_share(d_prime_of(0.75, 2), 2), 4)
    0.2247
    """
    step = 1e-4
    high, low = share_correct([d_prime + step, d_prime - step], places)
    return float((high - low) / (2 * step))


@dataclass(frozen=True)
class DPrime:
    """A share of right answers and the d' it stands for, each with its limits.

    ``d_prime`` and ``high`` are infinite where nothing was missed: only ``low`` is known then.
    """

    share: float
    share_low: float
    share_high: float
    d_prime: float
    low: float
    high: float
    se: float


def d_prime_estimate(
    right: float, n: float, places: int, *, df: float = np.inf, level: float = 0.95
) -> DPrime:
    """The d' of ``right`` out of ``n`` answers, with Wilson's limits of the share transformed.

    Parameters
    ----------
    right, n : float
        Counts, or those of the independent sample that is worth as much.
    df : float
        Degrees of freedom of the standard error ``n`` was reckoned from; infinite for plain counts.

    Notes
    -----
    ``se = sqrt(share (1 - share) / n) / (d share / d d')``, which is not finite at the ends.
    Equal variances and no preferred place are assumed; test the latter by :func:`place_bias`.

    Examples
    --------
    >>> made = d_prime_estimate(132, 160, 4)
    >>> round(made.d_prime, 2), round(made.se, 2), made.low < made.d_prime < made.high
    (2.01, 0.15, True)
    """
    if not 0 <= right <= n or n <= 0:
        raise ValueError(f"expected 0 <= right <= n and n above 0, got {right} of {n}")
    share = right / n
    low, high = wilson_limits(share, n, df=df, level=level)
    d = d_prime_of(share, places)
    inside = np.isfinite(d) and d > LOWEST
    se = np.sqrt(share * (1 - share) / n) / slope_of_share(d, places) if inside else np.nan
    top = float("inf") if share == 1 else d_prime_of(high, places)
    return DPrime(share, low, high, d, d_prime_of(low, places), top, float(se))


def place_bias(chosen: ArrayLike, places: int) -> tuple[float, float]:
    """Chi-square and p of a reader who chose every place equally often.

    The signal must lie equally often at each place, as the kit's tests see to.

    Examples
    --------
    >>> place_bias([1, 2, 3, 4] * 10, 4)
    (0.0, 1.0)
    """
    _check_places(places)
    counts = np.bincount(np.asarray(chosen, int) - 1, minlength=places)
    if counts.size > places:
        raise ValueError(f"expected places 1 to {places}, got {counts.size}")
    found = stats.chisquare(counts)
    return float(found.statistic), float(found.pvalue)


def efficiency(human: DPrime, d_prime_ideal: float) -> tuple[float, float, float]:
    """``(d' of the reader / d' of the ideal observer)^2`` on the same images, and its limits.

    Those are the limits of the reader's d'; that of the observer is taken as known.

    Examples
    --------
    >>> made = d_prime_estimate(132, 160, 4)
    >>> round(efficiency(made, 2 * made.d_prime)[0], 6)
    0.25
    """
    if not d_prime_ideal > 0:
        raise ValueError(f"expected a d' above 0 of the ideal observer, got {d_prime_ideal}")
    parts = [np.clip(d, 0, None) / d_prime_ideal for d in (human.d_prime, human.low, human.high)]
    return float(parts[0] ** 2), float(parts[1] ** 2), float(parts[2] ** 2)


def _check_places(places: int) -> None:
    if places < 2:
        raise ValueError(f"expected two places or more to choose from, got {places}")

"""Chances of ordered categories under a cumulative link, and their derivatives.

A rating falls into category y when a hidden value lies between two cut-points. Relative to
the linear predictor these are ``upper`` and ``lower``; the chance is F(upper) - F(lower).
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import special

Link = Literal["logit", "probit", "cloglog"]
LINKS = ("logit", "probit", "cloglog")
# Beyond this the distribution functions are 0 or 1 in double precision for every link.
FAR = 40.0
SMALLEST = 1e-300


@dataclass(frozen=True)
class CellTerms:
    """Log chance of each observation and its derivatives by the cut-points.

    With eta the linear predictor (which moves both cut-points down): ``slope`` is the first
    and ``-weight`` the second derivative by eta. ``*_upper`` and ``*_lower`` are derivatives
    by the single cut-points.
    """

    loglik: np.ndarray
    upper: np.ndarray
    lower: np.ndarray
    slope: np.ndarray
    weight: np.ndarray
    slope_upper: np.ndarray
    slope_lower: np.ndarray
    weight_upper: np.ndarray
    weight_lower: np.ndarray


def distribution(x: np.ndarray, link: Link) -> np.ndarray:
    """F(x) of the link.

    Examples
    --------
    >>> distribution(np.array([0.0]), "logit").tolist()
    [0.5]
    """
    if link == "logit":
        return np.asarray(special.expit(x))
    if link == "probit":
        return np.asarray(special.ndtr(x))
    if link == "cloglog":
        return np.asarray(-np.expm1(-np.exp(np.minimum(x, FAR))))
    raise ValueError(f"expected a link of {', '.join(LINKS)}, got {link!r}")


def density_terms(x: np.ndarray, link: Link) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Density of the link and its first two derivatives."""
    if link == "logit":
        below, above = special.expit(x), special.expit(-x)
        f = below * above
        return f, f * (above - below), f * (1 - 6 * f)
    if link == "probit":
        f = np.exp(-0.5 * x * x) / np.sqrt(2 * np.pi)
        return f, -x * f, (x * x - 1) * f
    e = np.exp(np.clip(x, -700, FAR))
    f = np.exp(np.maximum(x, -700) - e)
    return f, f * (1 - e), f * (1 - 3 * e + e * e)


def chances(upper: np.ndarray, lower: np.ndarray, link: Link) -> np.ndarray:
    """F(upper) - F(lower), computed in the tail where it loses no digits."""
    if link == "cloglog":
        # exp(-e^lower) - exp(-e^upper)
        above, below = np.exp(np.minimum(lower, FAR)), np.exp(np.minimum(upper, FAR))
        return np.asarray(np.exp(-above) - np.exp(-below))
    flip = lower > 0
    high, low = np.where(flip, -lower, upper), np.where(flip, -upper, lower)
    return np.asarray(distribution(high, link) - distribution(low, link))


def cell_loglik(upper: np.ndarray, lower: np.ndarray, link: Link) -> np.ndarray:
    """Log chance of each observation; -inf where the cut-points are out of order."""
    p = chances(upper, lower, link)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(p > 0, np.log(np.maximum(p, SMALLEST)), -np.inf)


def cell_terms(upper: np.ndarray, lower: np.ndarray, link: Link) -> CellTerms:
    """Log chances with all the derivatives a Laplace approximation needs.

    Parameters
    ----------
    upper, lower : ndarray, shape (n,)
        Cut-points less the linear predictor; +-``FAR`` or more for the outermost.

    Examples
    --------
    One cut-point at 0, rating below it: chance 1/2, slope by eta -1/2 (logit).

    >>> terms = cell_terms(np.array([0.0]), np.array([-50.0]), "logit")
    >>> terms.slope.round(12).tolist(), terms.weight.round(12).tolist()
    ([-0.5], [0.25])
    """
    loglik = cell_loglik(upper, lower, link)
    p = np.maximum(np.exp(loglik), SMALLEST)
    f_u, d_u, dd_u = (term / p for term in density_terms(upper, link))
    f_l, d_l, dd_l = (term / p for term in density_terms(lower, link))
    first, second = f_u - f_l, d_u - d_l
    weight = first * first - second
    # Derivatives of -slope = first and of weight = first**2 - second by each cut-point.
    first_u, first_l = d_u - first * f_u, -d_l + first * f_l
    second_u, second_l = dd_u - second * f_u, -dd_l + second * f_l
    return CellTerms(
        loglik,
        f_u,
        -f_l,
        -first,
        weight,
        -first_u,
        -first_l,
        2 * first * first_u - second_u,
        2 * first * first_l - second_l,
    )

"""Profile-likelihood intervals of cumulative link models."""

from collections.abc import Callable

import numpy as np
from scipy import optimize, stats

from reader_study.stats.ordinal.clm import OrdinalFit, fixed_objective
from reader_study.stats.ordinal.laplace import Laplace
from reader_study.stats.ordinal.optimise import Objective, quasi_newton

# A profile that stays above its cut this many standard errors away has no limit on that side.
FARTHEST = 12.0


def profile_interval(fit: OrdinalFit, name: str, *, level: float = 0.95) -> tuple[float, float]:
    """Values of one parameter that a likelihood-ratio test at 1 - level does not reject.

    Parameters
    ----------
    fit : OrdinalFit
        From ``clm``, or from ``clmm`` with the Laplace approximation.
    name : an effect or threshold as in ``fit.estimates``, or a random term, for which the
        limits are of its variance

    Returns
    -------
    low, high : float
        Infinite (for a variance: 0) where the profile never falls far enough, as under
        separation.

    Notes
    -----
    Venzon & Moolgavkar 1988 (doi:10.2307/2347496): all other parameters are maximised again
    at each value.

    Examples
    --------
    >>> import pandas as pd
    >>> from reader_study.stats.ordinal.clm import clm
    >>> grade = [1, 2, 2, 3, 1, 2, 3, 3, 2, 3, 1, 1]
    >>> table = pd.DataFrame({"grade": grade, "arm": ["low", "full"] * 6})
    >>> fit = clm(table, "grade ~ arm", levels={"arm": ["low", "full"]})
    >>> effect = fit.coefficients.iloc[0]
    >>> low, high = profile_interval(fit, effect["name"])
    >>> bool(low < effect["estimate"] < high)
    True
    """
    objective, index, is_variance = _target(fit, name)
    best = float(fit.parameters[index])
    cut = fit.loglik - stats.chi2.ppf(level, 1) / 2
    variance = fit.covariance[index, index]
    step = float(np.sqrt(variance)) if variance > 0 else 1.0
    state = {"others": np.delete(fit.parameters, index)}
    inverse = _conditional(fit.covariance, index)

    def above(value: float) -> float:
        def reduced(others: np.ndarray) -> tuple[float, np.ndarray]:
            reached, gradient = objective(np.insert(others, index, value))
            return reached, np.delete(gradient, index)

        optimum = quasi_newton(reduced, state["others"], inverse, tolerance=1e-5)
        state["others"] = optimum[0]
        return float(optimum[1] - cut)

    limits = []
    for side in (-1.0, 1.0):
        state["others"] = np.delete(fit.parameters, index)
        limits.append(_crossing(above, best, side * step))
    low, high = limits
    if is_variance:
        return float(np.exp(2 * low)), float(np.exp(2 * high))
    return low, high


def _crossing(above: Callable[[float], float], best: float, step: float) -> float:
    inner, outer = best, best
    for reach in (1.0, 1.6, 2.2, 3.0, 4.5, 7.0, FARTHEST):
        inner, outer = outer, best + reach * step
        if above(outer) < 0:
            return float(optimize.brentq(above, inner, outer, xtol=1e-7 * abs(step) + 1e-10))
    return float(np.inf * np.sign(step))


def _target(fit: OrdinalFit, name: str) -> tuple[Objective, int, bool]:
    data = fit.data
    if data.random and "Laplace" not in fit.method:
        raise ValueError(
            "expected a fit by the Laplace approximation to profile; refit with quadrature=1"
        )
    if name in data.names:
        index, is_variance = data.names.index(name), False
    else:
        scalar = [t.name for t in data.random if t.columns.shape[1] == 1]
        if name not in scalar or isinstance(fit.variances.get(name), list):
            known = ", ".join([*data.names, *scalar])
            raise ValueError(f"expected a parameter of {known}, got {name!r}")
        widths = [t.columns.shape[1] for t in data.random]
        before = [t.name for t in data.random].index(name)
        index = data.cuts_upper.shape[1] + sum(w * (w + 1) // 2 for w in widths[:before])
        is_variance = True
    if data.random:
        return Laplace(data, fit.link).value_and_gradient, index, is_variance
    return (lambda p: fixed_objective(data, fit.link, p)[:2]), index, is_variance


def _conditional(covariance: np.ndarray, index: int) -> np.ndarray:
    """Covariance of the other parameters given this one."""
    others = np.delete(np.arange(len(covariance)), index)
    part = covariance[np.ix_(others, others)]
    if covariance[index, index] > 0:
        shared = covariance[others, index]
        part = part - np.outer(shared, shared) / covariance[index, index]
    return part + 1e-6 * np.eye(len(part))

"""Cumulative link models for ordered ratings, with and without random effects.

fit = clmm(table, "noise ~ arm + (1|reader) + (1|case)")
fit.coefficients, fit.thresholds, fit.variances
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
import pandas as pd
from scipy import stats

from reader_study.stats.ordinal.formula import OrdinalData, Thresholds, read_formula
from reader_study.stats.ordinal.laplace import Laplace, factor_of
from reader_study.stats.ordinal.link_functions import CellTerms, Link, cell_loglik, cell_terms
from reader_study.stats.ordinal.optimise import Optimum, ascend, newton
from reader_study.stats.ordinal.quadrature import Quadrature

# A log standard deviation below this is a variance of zero for all purposes.
SINGULAR = -6.0
# Effects this large (in the link's unit) are separation, not estimates.
SEPARATED = 12.0
# A random effect this spread out (a standard deviation of SEPARATED) is separation too.
LARGEST = SEPARATED**2


@dataclass(frozen=True)
class OrdinalFit:
    """A fitted cumulative link model.

    ``estimates`` has thresholds first, then effects: ``name, estimate, se, low, high, z, p``.
    A positive effect moves ratings up. ``variances`` maps each random term to its variance,
    or to a covariance matrix as nested lists.
    """

    formula: str
    link: Link
    estimates: pd.DataFrame
    variances: dict[str, object]
    modes: dict[str, pd.Series]
    loglik: float
    df: int
    n: int
    n_missing: int
    converged: bool
    max_gradient: float
    method: str
    note: str
    parameters: np.ndarray
    covariance: np.ndarray
    data: OrdinalData = field(repr=False)

    @property
    def coefficients(self) -> pd.DataFrame:
        """Effects without the thresholds."""
        return self.estimates.iloc[self.data.n_threshold :].reset_index(drop=True)

    @property
    def thresholds(self) -> pd.DataFrame:
        """Thresholds alone."""
        return self.estimates.iloc[: self.data.n_threshold].reset_index(drop=True)

    @property
    def aic(self) -> float:
        """Akaike's criterion, 2 df - 2 log-likelihood."""
        return 2 * self.df - 2 * self.loglik


def clm(
    table: pd.DataFrame,
    formula: str,
    *,
    link: Link = "logit",
    levels: Mapping[str, Sequence[str]] | None = None,
    thresholds: Thresholds = "flexible",
    nominal: Sequence[str] = (),
) -> OrdinalFit:
    """Maximum-likelihood fit of a cumulative link model without random effects.

    Parameters
    ----------
    table : DataFrame
        One rating a row; rows with an empty cell are left out and counted.
    formula : such as ``"noise ~ arm + reader"``
    link : "logit", "probit" or "cloglog"
    levels : order of factor levels, the reference first
    thresholds : "flexible", "symmetric" or "equidistant" cut-points
    nominal : factors whose effect may differ between cut-points

    Returns
    -------
    OrdinalFit
        With Wald intervals. ``converged`` is false, and ``note`` says why, when the ratings
        are separated by an effect (its estimate runs to infinity).

    Notes
    -----
    McCullagh 1980 (doi:10.1111/j.2517-6161.1980.tb01109.x), log-odds of a rating at or below
    cut-point j: threshold_j - x'effect.

    Examples
    --------
    With two categories it is logistic regression; 3 of 4 against 1 of 4 gives log 9:

    >>> table = pd.DataFrame({"y": [1, 2, 2, 2, 1, 1, 1, 2], "arm": list("bbbbaaaa")})
    >>> round(float(clm(table, "y ~ arm").coefficients["estimate"][0]), 6)
    2.197225
    """
    data = read_formula(table, formula, levels=levels, thresholds=thresholds, nominal=nominal)
    if data.random:
        raise ValueError(
            "expected a formula without random effects for clm; use clmm for (1|group)"
        )
    start = _null_start(data, link)
    optimum = newton(lambda p: fixed_objective(data, link, p), start)
    return _as_fit(formula, link, data, optimum, {}, {}, "maximum likelihood")


def clmm(
    table: pd.DataFrame,
    formula: str,
    *,
    link: Link = "logit",
    levels: Mapping[str, Sequence[str]] | None = None,
    thresholds: Thresholds = "flexible",
    quadrature: int = 1,
    near: OrdinalFit | None = None,
) -> OrdinalFit:
    """Cumulative link mixed model with crossed or nested random effects.

    Parameters
    ----------
    table, link, levels, thresholds : as in :func:`clm`
    formula : ``rating ~ arm + (1|reader) + (1|case)``; nested ``(1|site/reader)``, interaction
        ``(1|reader:case)``, random slopes ``(arm|reader)`` (correlated) or ``(arm||reader)``
    quadrature : nodes of adaptive Gauss-Hermite quadrature; more than 1 only with one scalar
        random effect, 1 is the Laplace approximation
    near : fit of the same model to much the same rows, from which the search starts; the result
        is that of a search from afar

    Returns
    -------
    OrdinalFit
        A variance at zero is reported as 0 with a note, and the other estimates are those of
        the model without it; a singular covariance is noted. ``converged`` is false with a note
        when the gradient stays large or an effect, fixed or random, separates the ratings.

    Notes
    -----
    Laplace: Breslow & Clayton 1993 (doi:10.1080/01621459.1993.10594284) with exact gradient;
    quadrature: Liu & Pierce 1994 (doi:10.1093/biomet/81.3.624). Standard errors from the
    observed information of all parameters, as in Christensen's R package ``ordinal``.
    """
    data = read_formula(table, formula, levels=levels, thresholds=thresholds)
    if not data.random:
        raise ValueError(f"expected a random effect such as (1|reader) in {formula!r}; use clm")
    if quadrature > 1 and (len(data.random) > 1 or data.random[0].columns.shape[1] > 1):
        raise ValueError(
            "expected one scalar random effect for quadrature, got others; use quadrature=1"
        )
    scale, fixed_only = (
        0.5,
        newton(lambda p: fixed_objective(data, link, p), _null_start(data, link)),
    )
    model: Laplace | Quadrature = (
        Laplace(data, link) if quadrature == 1 else Quadrature(data, link, quadrature)
    )
    start = np.concatenate([fixed_only.parameters, np.zeros(model.n_parameters - model.n_fixed)])
    for slot, term in zip(model.slots, model.terms, strict=True):
        factor = np.diag(np.full(term.columns.shape[1], np.log(scale)))
        start[slot] = factor[np.tril_indices(len(factor))]
    curvature = np.full(start.size, 0.1)
    inverse = np.diag(curvature)
    inverse[: model.n_fixed, : model.n_fixed] = fixed_only.covariance
    if near is not None and (near.data.names, near.parameters.size) == (data.names, start.size):
        start, inverse = _started(near)
    optimum = ascend(model.value_and_gradient, start, inverse, hold=partial(_at_zero, model))
    optimum = _name_singular(model, optimum)
    method = "Laplace" if quadrature == 1 else f"adaptive quadrature, {quadrature} nodes"
    variances, modes = _random_results(model, optimum)
    return _as_fit(formula, link, data, optimum, variances, modes, method)


def _started(near: OrdinalFit) -> tuple[np.ndarray, np.ndarray]:
    """Parameters and inverse Hessian of a fit; variances that it held at zero are set free."""
    start, inverse = near.parameters.copy(), near.covariance.copy()
    held = np.diag(inverse) <= 0
    start[held] = np.log(0.1)
    inverse[held, held] = 0.1
    return start, inverse


def _null_start(data: OrdinalData, link: Link) -> np.ndarray:
    """Thresholds from the observed shares, effects zero."""
    counts = np.bincount(data.y, minlength=len(data.levels))
    shares = np.cumsum(counts)[:-1] / counts.sum()
    quantile = {
        "logit": lambda p: np.log(p / (1 - p)),
        "probit": stats.norm.ppf,
        "cloglog": lambda p: np.log(-np.log1p(-p)),
    }
    if link not in quantile:
        raise ValueError(f"expected a link of logit, probit, cloglog, got {link!r}")
    cuts = quantile[link](shares)
    start = np.zeros(data.cuts_upper.shape[1])
    start[: data.n_threshold] = np.linalg.lstsq(data.threshold_map, cuts, rcond=None)[0]
    if data.threshold_map.shape[0] != data.threshold_map.shape[1]:
        start[data.n_threshold - 1] = max(start[data.n_threshold - 1], 0.1)
    return start


def fixed_objective(
    data: OrdinalData, link: Link, parameters: np.ndarray
) -> tuple[float, np.ndarray, np.ndarray]:
    """Log-likelihood without random effects, its gradient and Hessian."""
    upper = data.cuts_upper @ parameters + data.edge_upper
    lower = data.cuts_lower @ parameters + data.edge_lower
    value = float(cell_loglik(upper, lower, link).sum())
    if not np.isfinite(value):
        return -np.inf, np.zeros(parameters.size), np.eye(parameters.size)
    terms = cell_terms(upper, lower, link)
    b_u, b_l = data.cuts_upper, data.cuts_lower
    gradient = b_u.T @ terms.upper + b_l.T @ terms.lower
    # Second derivatives of the log chance by its own two cut-points.
    ul = _mixed(terms)
    uu, ll = -terms.slope_upper - ul, -terms.slope_lower - ul
    cross = b_u.T @ (b_l * ul[:, None])
    hessian = b_u.T @ (b_u * uu[:, None]) + b_l.T @ (b_l * ll[:, None]) + cross + cross.T
    return value, gradient, hessian


def _mixed(terms: CellTerms) -> np.ndarray:
    """Derivative of the log chance by both cut-points: f_u f_l / p**2 (both already / p)."""
    return np.asarray(-terms.upper * terms.lower)


def _at_zero(model: Laplace | Quadrature, parameters: np.ndarray, value: float) -> np.ndarray:
    """Parameters with the scalar variances that ran to zero set there."""
    held = parameters.copy()
    for slot, term in zip(model.slots, model.terms, strict=True):
        if term.columns.shape[1] == 1 and parameters[slot][0] < np.log(0.02):
            at_zero = parameters.copy()
            at_zero[slot] = SINGULAR * 2
            if model.value_and_gradient(at_zero)[0] >= value - 1e-3:
                held[slot] = SINGULAR * 2
    return held


def _name_singular(model: Laplace | Quadrature, optimum: Optimum) -> Optimum:
    """Say which variances are held at zero."""
    zero = [
        (slot.start, term.name)
        for slot, term in zip(model.slots, model.terms, strict=True)
        if term.columns.shape[1] == 1 and optimum.parameters[slot.start] == SINGULAR * 2
    ]
    if not zero:
        return optimum
    note = (
        f"the variance of {' and '.join(name for _, name in zero)} is estimated as 0: the other "
        "estimates are those of the model without it"
    )
    return replace(optimum, note=note, fixed_at_zero=tuple(at for at, _ in zero))


def _random_results(
    model: Laplace | Quadrature, optimum: Optimum
) -> tuple[dict[str, object], dict[str, pd.Series]]:
    model.value_and_gradient(optimum.parameters)
    variances: dict[str, object] = {}
    modes = {}
    for k, (slot, term) in enumerate(zip(model.slots, model.terms, strict=True)):
        factor = factor_of(optimum.parameters[slot], term)
        if slot.start in optimum.fixed_at_zero:
            factor = np.zeros_like(factor)
        matrix = factor @ factor.T
        u = model.modes[model.starts[k] : model.starts[k + 1]].reshape(len(term.labels), -1)
        effects = u @ factor.T
        if matrix.size == 1:
            variances[term.name] = float(matrix[0, 0])
            modes[term.name] = pd.Series(effects[:, 0], index=list(term.labels))
        else:
            variances[term.name] = matrix.tolist()
            frame = pd.DataFrame(effects, index=list(term.labels), columns=list(term.column_names))
            modes[term.name] = frame.stack()
    return variances, modes


def _is_singular(covariance: list[list[float]]) -> bool:
    """One direction has next to no spread: a correlation of one, or a variance of zero."""
    values = np.linalg.eigvalsh(np.array(covariance))
    return bool(values[0] < 1e-4 * max(values[-1], 1e-300))


def _as_fit(
    formula: str,
    link: Link,
    data: OrdinalData,
    optimum: Optimum,
    variances: dict[str, object],
    modes: dict[str, pd.Series],
    method: str,
) -> OrdinalFit:
    count = data.cuts_upper.shape[1]
    estimate = optimum.parameters[:count]
    variance = np.diag(optimum.covariance)[:count]
    se = np.sqrt(np.where(variance > 0, variance, np.nan))
    z = estimate / se
    q = float(stats.norm.ppf(0.975))
    estimates = pd.DataFrame(
        {
            "name": data.names,
            "estimate": estimate,
            "se": se,
            "low": estimate - q * se,
            "high": estimate + q * se,
            "z": z,
            "p": 2 * stats.norm.sf(np.abs(z)),
        }
    )
    note, settled = _warnings(data, optimum, variances)
    return OrdinalFit(
        formula,
        link,
        estimates,
        variances,
        modes,
        optimum.value,
        optimum.parameters.size,
        data.y.size,
        data.n_missing,
        settled,
        optimum.gradient,
        method,
        note,
        optimum.parameters,
        optimum.covariance,
        data,
    )


def _warnings(
    data: OrdinalData, optimum: Optimum, variances: dict[str, object]
) -> tuple[str, bool]:
    """What must be said beside the estimates, and whether they may be reported."""
    notes = [optimum.note] if optimum.note else []
    effects = slice(data.n_threshold, data.cuts_upper.shape[1])
    apart = np.abs(optimum.parameters[effects]) > SEPARATED
    if apart.any():
        names = ", ".join(np.array(data.names[effects])[apart])
        notes.append(
            f"{names} separates the ratings: the estimate runs to infinity and its interval has "
            "no meaning; report the counts and an exact test"
        )
    spreads = {n: np.diag(np.atleast_2d(np.asarray(v))) for n, v in variances.items()}
    runaway = [n for n, spread in spreads.items() if spread.max() > LARGEST]
    if runaway:
        notes.append(
            f"the variance of {' and '.join(runaway)} runs to infinity: its levels determine the "
            "ratings; do not report this fit"
        )
    tied = [n for n, v in variances.items() if isinstance(v, list) and _is_singular(v)]
    if tied:
        notes.append(
            f"the covariance of {' and '.join(tied)} is singular: fewer terms are supported by "
            "these ratings; compare with the model without them"
        )
    settled = optimum.gradient < 1e-3 and not apart.any() and not runaway
    if optimum.gradient >= 1e-3:
        notes.append(
            f"the fit did not settle (largest gradient {optimum.gradient:.2g}); do not report it"
        )
    return "; ".join(notes), bool(settled)

"""Roe-Metz variances as Obuchowski-Rockette components of the empirical area, and back.

Both maps are exact for the equal-variance model: each component is a mean of products of wins
(score with the finding above score without), and such a mean is a bivariate normal probability.
"""

from collections.abc import Callable

import numpy as np
from scipy import optimize, special, stats

from reader_study.stats.power.closed_form import OrComponents
from reader_study.stats.roc.roe_metz import RoeMetz


def both_won(area: float, shared: float) -> float:
    """Chance that two comparisons are both won, whose differences correlate by ``shared``.

    Each is won with chance ``area``; Phi_2(z, z; rho) = Phi(z) - 2 T(z, sqrt((1 - rho) /
    (1 + rho))) with T of Owen.

    Examples
    --------
    >>> round(both_won(0.8, 0.0), 9), round(both_won(0.8, 1.0), 9)
    (0.64, 0.8)
    """
    z = float(stats.norm.ppf(area))
    rho = np.clip(shared, -1.0, 1.0)
    slope = np.sqrt((1 - rho) / (1 + rho)) if rho > -1 else np.inf
    return float(area - 2 * special.owens_t(z, slope))


def components_of_model(
    model: RoeMetz, *, area: float, diseased: int, healthy: int
) -> OrComponents:
    """Components of empirical areas that the model gives with these numbers of cases.

    Parameters
    ----------
    area : expected area of both arms
    diseased, healthy : cases with and without the finding

    Notes
    -----
    Gallas, Bandos, Samuelson & Wagner 2009 (doi:10.1080/03610920802610084) for the moments;
    Hillis 2018 (doi:10.1002/sim.7616) for their relation to the components.

    Examples
    --------
    >>> found = components_of_model(RoeMetz(), area=0.855, diseased=50, healthy=50)
    >>> found.cov3 < found.cov2 < found.var_error
    True
    """
    reader, both = model.var_reader, model.var_reader + model.var_arm_reader
    cases = model.var_case, model.var_arm_case, model.var_reader_case, model.var_error

    def covariance(of_reader: float, of_case: float) -> float:
        """Over cases, given readers: comparisons share ``of_case`` with each common case."""
        return _over_cases(area, of_reader / model.total, of_case / model.total, diseased, healthy)

    spread = both_won(area, both / model.total) - area**2
    own = both_won(area, reader / model.total) - area**2
    return OrComponents(
        var_arm_reader=spread - own,
        var_error=covariance(both, sum(cases)),
        cov1=covariance(reader, cases[0] + cases[2]),
        cov2=covariance(0.0, cases[0] + cases[1]),
        cov3=covariance(0.0, cases[0]),
        cases=diseased + healthy,
        var_reader=own,
    )


def _over_cases(area: float, reader: float, case: float, diseased: int, healthy: int) -> float:
    """Covariance over cases of two areas whose differences correlate by reader and by case."""
    nothing = both_won(area, reader)
    one, two = both_won(area, reader + case / 2), both_won(area, reader + case)
    pairs = diseased * healthy
    return (two + (diseased + healthy - 2) * one - (diseased + healthy - 1) * nothing) / pairs


def model_of_components(
    parts: OrComponents, *, area: float, diseased: int, healthy: int
) -> tuple[RoeMetz, OrComponents]:
    """Roe-Metz variances (those of cases sum to 1) that give the components, and what they give.

    Areas and numbers of cases already fix the error variance of the model, so its correlations
    Cov1 / Var, Cov2 / Var and Cov3 / Var are kept, and VarR and VarTR as they are; components
    below zero count as zero.

    Raises
    ------
    ValueError
        Where no model has such correlations: Cov1 and Cov2 together exceed Var + Cov3.

    Examples
    --------
    The model comes back:

    >>> sizes = {"area": 0.8, "diseased": 40, "healthy": 60}
    >>> parts = components_of_model(RoeMetz(), **sizes)
    >>> round(model_of_components(parts, **sizes)[0].var_arm_case, 6)
    0.3
    """
    own, spread = max(parts.var_reader, 0.0), max(parts.var_arm_reader, 0.0)
    reader = _solve(lambda share: both_won(area, share) - area**2, own)
    both = _solve(lambda share: both_won(area, share) - area**2, own + spread)
    left = 1 - both  # share of the cases' variances

    def share_of_cases(of_reader: float, correlation: float) -> float:
        def found(share: float) -> float:
            return _over_cases(area, of_reader, share, diseased, healthy)

        error = _over_cases(area, both, left, diseased, healthy)
        return _solve(found, max(correlation, 0.0) * error, highest=left)

    var = parts.var_error
    case = share_of_cases(0.0, parts.cov3 / var)
    arm = share_of_cases(0.0, parts.cov2 / var) - case
    by_reader = share_of_cases(reader, parts.cov1 / var) - case
    rest = left - case - arm - by_reader
    if min(arm, by_reader, rest) < -1e-9:
        raise ValueError(
            "expected correlations of a Roe-Metz model (Cov3 the least, and Cov1 + Cov2 at most "
            f"Var + Cov3), got Var {var:.4g}, Cov1 {parts.cov1:.4g}, Cov2 {parts.cov2:.4g}, Cov3 "
            f"{parts.cov3:.4g}; raise Cov1 or Cov2 to Cov3, or average several studies"
        )
    shares = (reader, both - reader, case, arm, by_reader, rest)
    model = RoeMetz(*(max(float(share), 0.0) / left for share in shares))
    return model, components_of_model(model, area=area, diseased=diseased, healthy=healthy)


def _solve(rising: Callable[[float], float], target: float, *, highest: float = 1.0) -> float:
    """Where a rising function from 0 on reaches ``target``; its end where it never does."""
    if target <= rising(0.0):
        return 0.0
    if target >= rising(highest):
        return highest
    return float(optimize.brentq(lambda x: rising(x) - target, 0.0, highest, xtol=1e-14))

"""What a fitted cumulative link model says: tests, contrasts, predictions, its main assumption.

likelihood_ratio(fit, smaller), contrast(fit, "arm[full]", "arm[denoised]"), predict(fit, rows)
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from scipy import stats

from reader_study.stats.ordinal.clm import OrdinalFit, clm
from reader_study.stats.ordinal.link_functions import Link, chances


def likelihood_ratio(larger: OrdinalFit, smaller: OrdinalFit) -> dict[str, float]:
    """Likelihood-ratio test of two nested fits of the same rows: ``chi2, df, p, p_boundary``.

    ``p_boundary`` is for one more variance: half the weight lies on zero (Self & Liang 1987,
    doi:10.1080/01621459.1987.10478472); use ``p`` for effects.

    Raises
    ------
    ValueError
        If the fits used different rows, or the first is not the larger.
    """
    if not np.array_equal(larger.data.used, smaller.data.used) or larger.link != smaller.link:
        raise ValueError("expected two fits of the same rows and link, but these differ")
    df = larger.df - smaller.df
    if df <= 0:
        raise ValueError(f"expected the larger model first; it has {df} more parameters")
    chi2 = max(2 * (larger.loglik - smaller.loglik), 0.0)
    below = float(stats.chi2.sf(chi2, df - 1)) if df > 1 else float(chi2 <= 0)
    p = float(stats.chi2.sf(chi2, df))
    return {"chi2": chi2, "df": float(df), "p": p, "p_boundary": min(1.0, 0.5 * p + 0.5 * below)}


def contrast(fit: OrdinalFit, first: str, second: str | None = None) -> dict[str, float]:
    """Difference of two effects (or one effect against the reference) with its Wald interval.

    Parameters
    ----------
    first, second : names as in ``fit.coefficients``; without ``second`` the reference level

    Returns
    -------
    dict
        ``estimate, se, z, p, low, high, odds_ratio`` (the last for the logit link, else NaN)
    """
    names = list(fit.data.names)
    weights = np.zeros(fit.covariance.shape[0])
    for name, sign in ((first, 1.0), (second, -1.0)):
        if name is None:
            continue
        if name not in names:
            raise ValueError(f"expected an effect of {', '.join(names)}, got {name!r}")
        weights[names.index(name)] = sign
    estimate = float(weights @ fit.parameters)
    se = float(np.sqrt(weights @ fit.covariance @ weights))
    z, q = estimate / se if se > 0 else np.nan, float(stats.norm.ppf(0.975))
    odds = float(np.exp(estimate)) if fit.link == "logit" else np.nan
    return {
        "estimate": estimate,
        "se": se,
        "z": float(z),
        "p": float(2 * stats.norm.sf(abs(z))),
        "low": estimate - q * se,
        "high": estimate + q * se,
        "odds_ratio": odds,
    }


def predict(fit: OrdinalFit, rows: pd.DataFrame, *, marginal: bool = True) -> pd.DataFrame:
    """Chance of each category for new rows of the fixed factors.

    Parameters
    ----------
    rows : DataFrame
        Values of the fixed effects, one row per prediction.
    marginal : bool
        True: averaged over readers and cases; false: for a reader and case in the middle.

    Returns
    -------
    DataFrame
        ``rows`` with one column per category, named ``p<category>``; each row sums to 1.
    """
    index = _matching_rows(fit, rows)
    nodes, weights = np.polynomial.hermite_e.hermegauss(40)
    spread = 0.0
    if marginal:
        for value in fit.variances.values():
            if not isinstance(value, float):
                raise ValueError(
                    "expected random intercepts alone for marginal predictions; use marginal=False"
                )
            spread += value
    shifts = np.sqrt(spread) * nodes if spread > 0 else np.zeros(1)
    share = weights / weights.sum() if spread > 0 else np.ones(1)
    fixed = fit.parameters[: fit.data.cuts_upper.shape[1]]
    thresholds = fit.data.threshold_map @ fixed[: fit.data.n_threshold]
    edges = np.concatenate([[-400.0], thresholds, [400.0]])
    result = rows.reset_index(drop=True).copy()
    eta = index @ fixed[fit.data.n_threshold :]
    for k, level in enumerate(fit.data.levels):
        points = eta[:, None] + shifts[None]
        p = chances(edges[k + 1] - points, edges[k] - points, fit.link)
        result[f"p{level:g}"] = p @ share
    return result


def _matching_rows(fit: OrdinalFit, rows: pd.DataFrame) -> np.ndarray:
    """Effect columns for new rows, by the names of the fitted effects."""
    effects = fit.data.names[fit.data.n_threshold :]
    if any(":" in name for name in effects):
        raise ValueError(
            "expected main effects only to predict from; refit without nominal effects"
        )
    columns = []
    for name in effects:
        factor, _, level = name.partition("[")
        if factor not in rows:
            raise ValueError(f"expected column {factor!r} in the rows to predict")
        value = rows[factor]
        columns.append(
            (value.astype(str) == level[:-1]).astype(float) if level else value.astype(float)
        )
    return np.column_stack(columns) if columns else np.zeros((len(rows), 0))


def proportional_odds_check(
    table: pd.DataFrame,
    formula: str,
    *,
    link: Link = "logit",
    levels: Mapping[str, Sequence[str]] | None = None,
) -> pd.DataFrame:
    """Does an effect differ between cut-points? One likelihood-ratio test per fixed factor.

    Random effects of the formula are left out: the check compares fixed models (Brant 1990
    discusses the assumption, doi:10.2307/2532457). Columns ``factor, chi2, df, p, note``; where
    a cut-point has too few ratings the wider model does not settle and the note says so.

    Examples
    --------
    >>> grade = [1, 2, 2, 3, 1, 2, 3, 3, 2, 3, 1, 1]
    >>> table = pd.DataFrame({"grade": grade, "arm": ["low", "full"] * 6})
    >>> proportional_odds_check(table, "grade ~ arm")[["factor", "df"]].values.tolist()
    [['arm', 1.0]]
    """
    plain = formula.split("+ (")[0].strip()
    base = clm(table, plain, link=link, levels=levels)
    rows = []
    for factor in dict.fromkeys(n.split("[")[0] for n in base.coefficients["name"]):
        wide = clm(table, plain, link=link, levels=levels, nominal=[factor])
        test = likelihood_ratio(wide, base)
        rows.append((factor, test["chi2"], test["df"], test["p"], wide.note))
    return pd.DataFrame(rows, columns=["factor", "chi2", "df", "p", "note"])

"""Agreement of several raters on categories, corrected for chance, with missing ratings.

A table has one row per subject and one column per rater; an empty cell is a missing rating.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import special, stats

from reader_study.stats.agreement.raters import Level, read_raters
from reader_study.stats.paired.crossed_mean import crossed_mean
from reader_study.stats.paired.preference_share import proportion_interval

Weights = Literal["unweighted", "linear", "quadratic", "ordinal", "ratio"]
NO_WIDTH = "every subject counts alike: the interval has no width and says nothing of new subjects"
COEFFICIENTS = ("percent", "fleiss", "conger", "krippendorff", "gwet", "brennan_prediger")


@dataclass(frozen=True)
class Agreement:
    """One coefficient with its standard error over subjects and a t interval."""

    name: str
    weights: str
    value: float
    se: float
    low: float
    high: float
    p: float
    observed: float
    chance: float
    n_subjects: int
    n_raters: int
    note: str = ""


def weight_matrix(categories: np.ndarray, weights: Weights) -> np.ndarray:
    """How far two categories count as agreeing: 1 on the diagonal, less away from it.

    Gwet 2014, Handbook of Inter-Rater Reliability, section 3.5.

    Examples
    --------
    >>> weight_matrix(np.array([1.0, 2.0, 3.0]), "linear")[0].tolist()
    [1.0, 0.5, 0.0]
    """
    c = np.asarray(categories, dtype=float)
    apart = np.abs(c[:, None] - c[None])
    if weights == "unweighted":
        return np.eye(c.size)
    if weights == "linear":
        return np.asarray(1 - apart / np.ptp(c))
    if weights == "quadratic":
        return np.asarray(1 - (apart / np.ptp(c)) ** 2)
    if weights == "ordinal":
        steps = np.abs(np.subtract.outer(np.arange(c.size), np.arange(c.size))) + 1
        pairs = special.comb(steps, 2)
        return np.asarray(1 - pairs / pairs.max())
    if weights == "ratio":
        with np.errstate(invalid="ignore"):
            part = np.nan_to_num((apart / (c[:, None] + c[None])) ** 2)
        return np.asarray(1 - part / (np.ptp(c) / (c.max() + c.min())) ** 2)
    raise ValueError(
        f"expected weights of unweighted, linear, quadratic, ordinal or ratio, got {weights!r}"
    )


@dataclass(frozen=True)
class _Counts:
    ratings: np.ndarray
    categories: np.ndarray
    counts: np.ndarray  # (subject, category)
    w: np.ndarray

    @property
    def per_subject(self) -> np.ndarray:
        return np.asarray(self.counts.sum(axis=1))

    @property
    def agreeing(self) -> np.ndarray:
        """Weighted agreeing pairs of each subject, times two."""
        return np.asarray(np.sum(self.counts * (self.counts @ self.w - 1), axis=1))


def _count(table: pd.DataFrame, weights: Weights, categories: ArrayLike | None) -> _Counts:
    ratings = read_raters(table).to_numpy()
    seen = np.unique(ratings[~np.isnan(ratings)])
    levels = seen if categories is None else np.asarray(categories, dtype=float)
    if not np.isin(seen, levels).all():
        outside = seen[~np.isin(seen, levels)]
        raise ValueError(f"expected categories {levels.tolist()}, got {outside.tolist()} as well")
    counts = np.stack([(ratings == level).sum(axis=1) for level in levels], axis=1).astype(float)
    w = weight_matrix(levels, weights) if levels.size > 1 else np.ones((1, 1))
    return _Counts(ratings, levels, counts, w)


def agreement_coefficient(
    table: pd.DataFrame,
    name: str,
    *,
    weights: Weights = "unweighted",
    categories: ArrayLike | None = None,
    level: float = 0.95,
) -> Agreement:
    """One chance-corrected coefficient for any number of raters.

    Parameters
    ----------
    table : DataFrame, subjects by raters
    name : "percent", "fleiss", "conger", "krippendorff", "gwet" (AC1; AC2 with weights) or
        "brennan_prediger"
    weights : see :func:`weight_matrix`
    categories : all categories of the scale; default those seen

    Returns
    -------
    Agreement
        When all ratings are one category agreement is 1 by definition only for "percent"; the
        others are NaN with a note, as chance alone would give the same.

    Notes
    -----
    Gwet 2008 (doi:10.1348/000711006X126600) and Handbook 2014; missing ratings as in the R
    package irrCAC: subjects with one rating inform chance, not agreement (Krippendorff's
    coefficient leaves them out). Variances are over subjects, raters taken as given.

    Examples
    --------
    >>> table = pd.DataFrame({"R1": [1, 1, 2, 2], "R2": [1, 1, 2, 1]})
    >>> agreement_coefficient(table, "percent").value
    0.75
    """
    if name not in COEFFICIENTS:
        raise ValueError(f"expected a coefficient of {', '.join(COEFFICIENTS)}, got {name!r}")
    data = _count(table, weights, categories)
    raters = data.ratings.shape[1]
    if name == "krippendorff":
        keep = data.per_subject >= 2
        data = _Counts(data.ratings[keep], data.categories, data.counts[keep], data.w)
    n = len(data.counts)
    if data.categories.size < 2 and name != "percent":
        nan = float("nan")
        return Agreement(
            name,
            weights,
            nan,
            nan,
            nan,
            nan,
            nan,
            1.0,
            1.0,
            n,
            raters,
            "every rating is the same category: agreement beyond chance is not defined",
        )
    if name == "krippendorff":
        observed, chance, each, centre = _krippendorff(data)
    else:
        observed, chance, each, centre = _by_subject(data, name)
    value = (observed - chance) / (1 - chance)
    se = float(np.sqrt(np.sum((each - centre) ** 2) / (n * (n - 1)))) if n > 1 else np.nan
    half = float(stats.t.ppf(0.5 + level / 2, n - 1)) * se if n > 1 else np.nan
    p = float(2 * stats.t.sf(abs(value / se), n - 1)) if se > 0 else np.nan
    note = "" if se > 0 else "one subject: no interval" if n < 2 else NO_WIDTH
    return Agreement(
        name,
        weights,
        float(value),
        se,
        max(float(value) - half, 0.0 if name == "percent" else -1.0),
        min(float(value) + half, 1.0),
        p,
        float(observed),
        float(chance),
        n,
        raters,
        note,
    )


def _by_subject(data: _Counts, name: str) -> tuple[float, float, np.ndarray, float]:
    """Observed and chance agreement, and each subject's share of the coefficient."""
    n, q = data.counts.shape
    r = data.per_subject
    twice = r >= 2
    own = np.where(twice, data.agreeing / np.where(twice, r * (r - 1), 1), 0.0)
    observed = float(own[twice].mean())
    shares = (data.counts / r[:, None]).mean(axis=0)
    if name == "percent":
        return observed, 0.0, own * n / twice.sum(), observed
    if name == "gwet":
        scale = data.w.sum() / (q * (q - 1))
        chance = float(scale * np.sum(shares * (1 - shares)))
        each_chance = scale * (data.counts @ (1 - shares)) / r
    elif name == "brennan_prediger":
        chance = float(data.w.sum() / q**2)
        each_chance = np.full(n, chance)
    elif name == "fleiss":
        both = (data.w + data.w.T) / 2
        chance = float(shares @ both @ shares)
        each_chance = (data.counts @ (both @ shares)) / r
    else:
        chance, each_chance = _conger_chance(data)
    value = (observed - chance) / (1 - chance)
    each = (n / twice.sum()) * (own - chance * twice) / (1 - chance)
    each = each - 2 * (1 - value) * (each_chance - chance) / (1 - chance)
    return observed, chance, each, value


def _conger_chance(data: _Counts) -> tuple[float, np.ndarray]:
    """Chance agreement from each rater's own shares, and each subject's influence on it.

    Conger 1980, doi:10.1037/0033-2909.88.2.322.
    """
    ratings, w = data.ratings, (data.w + data.w.T) / 2
    n, raters = ratings.shape
    given = ~np.isnan(ratings)
    hit = (ratings[:, :, None] == data.categories).astype(float)  # (subject, rater, category)
    shares = hit.sum(axis=0) / given.sum(axis=0)[:, None]
    others = shares.sum(axis=0) - shares  # of all raters but one
    pairs = raters * (raters - 1)
    chance = float(np.einsum("gk,kl,gl->", shares, w, others) / pairs)
    # A subject moves a rater's shares by its rating less the share, scaled by who rated.
    moved = (hit - given[:, :, None] * shares) * (n / given.sum(axis=0))[:, None]
    return chance, chance + np.einsum("igk,kl,gl->i", moved, w, others) / pairs


def _krippendorff(data: _Counts) -> tuple[float, float, np.ndarray, float]:
    r = data.per_subject
    mean = r.mean()
    plain = data.agreeing / (mean * (r - 1))
    small = 1 / r.sum()
    observed = float((1 - small) * plain.mean() + small)
    shares = (data.counts / mean).mean(axis=0)
    both = (data.w + data.w.T) / 2
    chance = float(shares @ both @ shares)
    centre = (plain.mean() - chance) / (1 - chance)
    own = plain - observed * (r - mean) / mean
    each_chance = (data.counts @ (both @ shares)) / mean - chance * (r - mean) / mean
    each = (own - chance) / (1 - chance) - 2 * (1 - centre) * (each_chance - chance) / (1 - chance)
    return observed, chance, each, float(centre)


def krippendorff_alpha(
    table: pd.DataFrame,
    *,
    metric: Level = "nominal",
    draws: int = 2000,
    rng: np.random.Generator | None = None,
    level: float = 0.95,
) -> Agreement:
    """Krippendorff's alpha with its own difference functions and a bootstrap over subjects.

    Parameters
    ----------
    metric : "nominal", "ordinal" (rank distances from the pooled counts), "interval", "ratio"
    draws : bootstrap replicates; 0 leaves the interval out
    rng : generator for the bootstrap; default PCG64 with seed 0

    Returns
    -------
    Agreement
        ``se`` is the bootstrap standard deviation. Without any variation alpha is NaN.

    Notes
    -----
    Hayes & Krippendorff 2007 (doi:10.1080/19312450709336664).

    Examples
    --------
    >>> table = pd.DataFrame({"R1": [1, 2, 3], "R2": [1, 2, 3]})
    >>> krippendorff_alpha(table, draws=0).value
    1.0
    """
    numbers = read_raters(table, metric)
    ratings = numbers[numbers.notna().sum(axis=1) >= 2].to_numpy()
    categories, n = np.unique(ratings[~np.isnan(ratings)]), len(ratings)
    counts = np.stack([(ratings == c).sum(axis=1) for c in categories], axis=1).astype(float)
    r = counts.sum(axis=1)
    pairs = counts[:, :, None] * counts[:, None, :]
    pairs[:, np.arange(categories.size), np.arange(categories.size)] -= counts
    pairs /= (r - 1)[:, None, None]
    flat = pairs.reshape(n, -1)
    value = float(_alphas(flat.sum(axis=0)[None], categories, metric)[0])
    note = "" if np.isfinite(value) else "every rating is the same category: alpha is not defined"
    low = high = se = np.nan
    if draws and np.isfinite(value):
        generator = rng or np.random.Generator(np.random.PCG64(0))
        times = generator.multinomial(n, np.full(n, 1 / n), size=draws)
        spread = _alphas(times @ flat, categories, metric)
        spread = spread[np.isfinite(spread)]
        low, high = np.quantile(spread, [(1 - level) / 2, (1 + level) / 2])
        se = float(spread.std(ddof=1))
        note = "" if se > 0 else NO_WIDTH
    return Agreement(
        "krippendorff",
        metric,
        value,
        float(se),
        float(low),
        float(high),
        np.nan,
        np.nan,
        np.nan,
        n,
        ratings.shape[1],
        note,
    )


def _alphas(coincidences: np.ndarray, categories: np.ndarray, metric: Level) -> np.ndarray:
    """Alpha for each row of flattened coincidence matrices."""
    q = categories.size
    o = coincidences.reshape(-1, q, q)
    totals = o.sum(axis=2)
    if metric == "nominal":
        delta = np.broadcast_to(1 - np.eye(q), o.shape)
    elif metric == "ordinal":
        reached = np.cumsum(totals, axis=1) - totals / 2
        delta = (reached[:, :, None] - reached[:, None, :]) ** 2
    else:
        difference = categories[:, None] - categories[None]
        if metric == "ratio":
            with np.errstate(invalid="ignore"):
                difference = np.nan_to_num(difference / (categories[:, None] + categories[None]))
        elif metric != "interval":
            raise ValueError(f"expected nominal, ordinal, interval or ratio, got {metric!r}")
        delta = np.broadcast_to(difference**2, o.shape)
    n = totals.sum(axis=1)
    seen = np.sum(o * delta, axis=(1, 2))
    expected = np.einsum("bk,bl,bkl->b", totals, totals, delta) / (n - 1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(expected > 0, 1 - seen / expected, np.nan)


def saturation(table: pd.DataFrame, *, lowest: float, highest: float) -> dict[str, float]:
    """Share of ratings at either end of the scale; high values break chance-corrected measures.

    Each share has its interval, with raters and subjects random
    (:func:`reader_study.stats.paired.preference_share.proportion_interval`).

    Examples
    --------
    >>> result = saturation(pd.DataFrame({"R1": [1, 5], "R2": [5, 3]}), lowest=1, highest=5)
    >>> result["at_lowest"], result["at_highest"]
    (0.25, 0.5)
    """
    values = read_raters(table).to_numpy()
    subject, rater = np.nonzero(~np.isnan(values))
    row: dict[str, float] = {}
    for name, end in (("at_lowest", lowest), ("at_highest", highest)):
        hit = (values[subject, rater] == end).astype(float)
        low, high, _ = proportion_interval(crossed_mean(hit, rater, subject))
        row |= {name: float(hit.mean()), f"{name}_low": low, f"{name}_high": high}
    return row

"""Two raters, or one rater twice: weighted kappa, tests of margins, limits of agreement."""

import warnings
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import stats

from reader_study.stats.agreement.coefficients import Weights, weight_matrix
from reader_study.stats.agreement.raters import read_raters
from reader_study.stats.proportions import clopper_pearson
from reader_study.stats.tables import check_table

NO_WIDTH = "the pairs leave no error to estimate: the interval has no width and says nothing"


@dataclass(frozen=True)
class Kappa:
    """Cohen's kappa: ``se`` for the interval, ``z`` and ``p`` against no agreement."""

    value: float
    se: float
    low: float
    high: float
    z: float
    p: float
    raw_agreement: float
    n: int
    note: str = ""


def crosstab(
    first: ArrayLike, second: ArrayLike, *, categories: ArrayLike | None = None
) -> np.ndarray:
    """Counts of pairs of ratings, shape (categories, categories); pairs with a gap are left out.

    Examples
    --------
    >>> crosstab([1, 2, 2], [1, 2, 1]).tolist()
    [[1.0, 0.0], [1.0, 1.0]]
    """
    a, b = np.asarray(first, dtype=float), np.asarray(second, dtype=float)
    if a.shape != b.shape:
        raise ValueError(f"expected two lists of one length, got {a.shape} and {b.shape}")
    both = ~(np.isnan(a) | np.isnan(b))
    a, b = a[both], b[both]
    levels = np.unique(np.concatenate([a, b])) if categories is None else np.asarray(categories)
    table = np.zeros((levels.size, levels.size))
    np.add.at(table, (np.searchsorted(levels, a), np.searchsorted(levels, b)), 1)
    return table


def cohen_kappa(
    table: np.ndarray, *, weights: Weights = "unweighted", level: float = 0.95
) -> Kappa:
    """Kappa of a square table of counts.

    Parameters
    ----------
    table : ndarray, shape (categories, categories)
    weights : "unweighted", "linear" (equal spacing) or "quadratic" (Fleiss-Cohen)

    Returns
    -------
    Kappa
        NaN with a note when both raters used one and the same category.

    Notes
    -----
    Cohen 1968 (doi:10.1037/h0026256); errors of Fleiss, Cohen & Everitt 1969
    (doi:10.1037/h0028106), by statsmodels.

    Examples
    --------
    Agreement 0.7, chance 0.5:

    >>> round(cohen_kappa(np.array([[35, 15], [15, 35]])).value, 12)
    0.4
    """
    from statsmodels.stats.inter_rater import cohens_kappa  # slow to import

    counts = np.asarray(table, dtype=float)
    n = counts.sum()
    if n == 0:
        raise ValueError("expected at least one pair of ratings, got none")
    w = weight_matrix(np.arange(len(counts), dtype=float), weights)
    p = counts / n
    expected = float(np.sum(w * np.outer(p.sum(axis=1), p.sum(axis=0))))
    raw = float(np.trace(p))
    if expected >= 1 - 1e-15:
        nan = float("nan")
        note = "both ratings are always the same category: kappa is not defined"
        return Kappa(nan, nan, nan, nan, nan, nan, raw, int(n), note)
    scheme = None if weights == "unweighted" else weights
    with np.errstate(invalid="ignore", divide="ignore"):
        result = cohens_kappa(counts, wt=scheme, return_results=True)
        z, p = float(result.z_value), float(result.pvalue_two_sided)
    half = float(stats.norm.ppf(0.5 + level / 2)) * float(result.std_kappa)
    value = float(result.kappa)
    return Kappa(
        value,
        float(result.std_kappa),
        max(value - half, -1.0),
        min(value + half, 1.0),
        z,
        p,
        raw,
        int(n),
        "" if half > 1e-12 else f"{int(n)} pair{'' if n == 1 else 's'}: {NO_WIDTH}",
    )


def fleiss_by_category(table: pd.DataFrame) -> pd.DataFrame:
    """Fleiss' kappa of complete subjects, over all categories and for each against the rest.

    Returns
    -------
    DataFrame
        ``category ("all" first), kappa, z, p, n``; z tests against chance agreement. A category
        nobody used has no row; with a single category kappa is NaN.

    Notes
    -----
    Fleiss 1971 (doi:10.1037/h0031619); errors of Fleiss, Nee & Landis 1979
    (doi:10.1037/0033-2909.86.5.974).

    Examples
    --------
    >>> table = pd.DataFrame({"R1": [1, 2], "R2": [1, 2]})
    >>> fleiss_by_category(table)["kappa"].tolist()
    [1.0, 1.0, 1.0]
    """
    from statsmodels.stats.inter_rater import aggregate_raters, fleiss_kappa  # slow to import

    ratings = read_raters(table).dropna().to_numpy()
    n, m = ratings.shape
    if n == 0:
        raise ValueError("expected subjects rated by everybody, got none")
    counts, categories = aggregate_raters(ratings)
    if len(categories) == 1:
        return pd.DataFrame([("all", np.nan, np.nan, np.nan, n)], columns=_FLEISS)
    p = counts.sum(axis=0) / (n * m)
    spread = p * (1 - p)
    unit = np.sqrt(2 / (n * m * (m - 1)))
    se = unit * np.sqrt(spread.sum() ** 2 - np.sum(spread * (1 - 2 * p))) / spread.sum()
    kappa = fleiss_kappa(counts)
    rows: list[tuple[object, float, float]] = [("all", kappa, kappa / se)]
    for category, count in zip(categories, counts.T, strict=True):
        own = fleiss_kappa(np.stack([count, m - count], axis=1))
        rows.append((float(category), own, own / unit))
    table = pd.DataFrame(rows, columns=_FLEISS[:3])
    return table.assign(p=2 * stats.norm.sf(np.abs(table["z"])), n=n)


_FLEISS = ["category", "kappa", "z", "p", "n"]


def margin_tests(table: np.ndarray) -> dict[str, tuple[float, int, float]]:
    """Do two raters use the categories alike? Chi-squared, degrees of freedom, p of each test.

    ``stuart_maxwell`` and ``bhapkar`` compare how often each category is used, ``bowker`` asks
    whether every swap of two categories is as frequent as its reverse. Categories in which the
    raters never differ do not count; without any difference the result is (0, 0, 1).

    Notes
    -----
    Stuart 1955 (doi:10.1093/biomet/42.3-4.412), Bhapkar 1966
    (doi:10.1080/01621459.1966.10502021), Bowker 1948 (doi:10.1080/01621459.1948.10483284), by
    statsmodels.

    Examples
    --------
    With two categories it is McNemar's test: (8 - 2)**2 / (8 + 2).

    >>> round(margin_tests(np.array([[5, 8], [2, 5]]))["stuart_maxwell"][0], 12)
    3.6
    """
    from statsmodels.stats.contingency_tables import SquareTable  # slow to import

    counts = np.asarray(table, dtype=float)
    apart = counts - np.diag(np.diag(counts))
    used = (apart.sum(axis=0) + apart.sum(axis=1)) > 0
    df, names = max(int(used.sum()) - 1, 0), ("stuart_maxwell", "bhapkar", "bowker")
    if not used.any():
        return dict.fromkeys(names, (0.0, df, 1.0))
    square = SquareTable(counts[np.ix_(used, used)], shift_zeros=False)
    with warnings.catch_warnings():  # NaN where swaps do not link all categories
        warnings.filterwarnings("ignore", message="Unable to invert covariance matrix")
        tests = (square.homogeneity(), square.homogeneity(method="bhapkar"), square.symmetry())
    return {
        name: (float(test.statistic), int(test.df), float(test.pvalue))
        for name, test in zip(names, tests, strict=True)
    }


def repeat_agreement(
    table: pd.DataFrame, *, value: str = "rating", categories: ArrayLike | None = None
) -> pd.DataFrame:
    """Each reader against himself on hidden repeats, and all readers together.

    Parameters
    ----------
    table : DataFrame
        ``reader, case, arm, showing (1 or 2)`` and the rating.
    categories : the whole scale; default the ratings seen

    Returns
    -------
    DataFrame
        ``reader, n, raw_agreement, raw_low, raw_high, kappa, kappa_low, kappa_high,
        kappa_linear, linear_low, linear_high, kappa_quadratic, low, high, note``; the last row is
        "all". ``low`` and ``high`` belong to the quadratic kappa; those of raw agreement are
        exact. "all" takes pairs as independent and so is a description, not a test.
    """
    keys = ["reader", "case", "arm", "showing"]
    checked = check_table(table, columns=[*keys, value], unique=keys, numeric=[value])
    wide = checked.pivot(index=keys[:3], columns="showing", values=value)
    if not {1, 2} <= set(wide.columns):
        raise ValueError("expected showings 1 and 2, but no trial was shown twice")
    pairs = wide[[1, 2]].dropna().reset_index()
    if categories is None:
        categories = np.unique(checked[value].dropna())
    rows = []
    for reader in [*sorted(pairs["reader"].unique()), "all"]:
        part = pairs if reader == "all" else pairs[pairs["reader"] == reader]
        counts = crosstab(part[1], part[2], categories=categories)
        kinds = [cohen_kappa(counts, weights=w) for w in ("unweighted", "linear", "quadratic")]
        limits = [number for k in kinds for number in (k.value, k.low, k.high)]
        raw = (kinds[0].raw_agreement, *_exact(part))
        rows.append((reader, len(part), *raw, *limits, kinds[0].note))
    names = [
        "reader",
        "n",
        "raw_agreement",
        "raw_low",
        "raw_high",
        "kappa",
        "kappa_low",
        "kappa_high",
        "kappa_linear",
        "linear_low",
        "linear_high",
        "kappa_quadratic",
        "low",
        "high",
        "note",
    ]
    return pd.DataFrame(rows, columns=names)


def _exact(pairs: pd.DataFrame) -> tuple[float, float]:
    """Clopper-Pearson limits of the share of pairs that are alike."""
    if pairs.empty:
        return np.nan, np.nan
    return clopper_pearson(int((pairs[1] == pairs[2]).sum()), len(pairs))


def bland_altman(first: ArrayLike, second: ArrayLike, *, level: float = 0.95) -> dict[str, float]:
    """Bias and limits of agreement of two sets of measurements, each with its interval.

    Bland & Altman 1999 (doi:10.1177/096228029900800204). Keys: ``n, bias, bias_low, bias_high,
    sd, lower, lower_low, lower_high, upper, upper_low, upper_high, slope_p`` (the last tests
    whether differences grow with the mean).

    Examples
    --------
    >>> result = bland_altman([1.0, 2.0, 3.0], [0.0, 2.0, 4.0])
    >>> result["bias"], round(result["upper"], 2)
    (0.0, 1.96)
    """
    a, b = np.asarray(first, dtype=float), np.asarray(second, dtype=float)
    both = ~(np.isnan(a) | np.isnan(b))
    d, mean = (a - b)[both], ((a + b) / 2)[both]
    n = d.size
    if n < 3:
        raise ValueError(f"expected at least 3 pairs of measurements, got {n}")
    bias, sd = float(d.mean()), float(d.std(ddof=1))
    z, t = float(stats.norm.ppf(0.975)), float(stats.t.ppf(0.5 + level / 2, n - 1))
    of_bias, of_limit = sd / np.sqrt(n), sd * np.sqrt(1 / n + z**2 / (2 * (n - 1)))
    result = {"n": float(n), "bias": bias, "sd": sd}
    result |= {"bias_low": bias - t * of_bias, "bias_high": bias + t * of_bias}
    for name, place in (("lower", bias - z * sd), ("upper", bias + z * sd)):
        result |= {name: place, f"{name}_low": place - t * of_limit}
        result |= {f"{name}_high": place + t * of_limit}
    varies = np.ptp(mean) > 0 and np.ptp(d) > 0
    result["slope_p"] = float(stats.linregress(mean, d).pvalue) if varies else 1.0
    return {name: float(number) for name, number in result.items()}

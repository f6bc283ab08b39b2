"""The mean of readings in which readers and cases are both random.

The same reader reads many cases and the same case is read by many readers, so readings are
not independent and the plain standard error is too small. Here the variance is split into
reader, case and rest by the products of pairs of readings, which also works when readings
are missing.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

FEW_READERS = 4
"""With fewer, tests over random readers do not keep their error rates."""
NO_SPREAD = (
    "all readings agree: no error can be estimated, and an interval without width says nothing "
    "about new readers or cases"
)


@dataclass(frozen=True)
class CrossedMean:
    """A mean with its reader-and-case standard error.

    ``scope`` says to whom the interval extends: "readers and cases", or, where only one
    reader (case) was there to estimate from, "cases, this reader only" and so on.
    """

    mean: float
    se: float
    df: float
    low: float
    high: float
    var_reader: float
    var_case: float
    var_rest: float
    n_readers: int
    n_cases: int
    n: int
    scope: str

    @property
    def note(self) -> str:
        """Why the interval says little: one reading, no spread, few readers; else empty."""
        if self.df <= 0:
            return "one reading: no interval"
        said = [NO_SPREAD] if self.se <= 1e-12 * max(abs(self.mean), 1.0) else []
        if 1 < self.n_readers < FEW_READERS:
            said.append(f"{self.n_readers} readers: it describes these readers only")
        return "; ".join(said)


def crossed_mean(
    values: ArrayLike,
    readers: ArrayLike,
    cases: ArrayLike,
    *,
    clusters: ArrayLike | None = None,
    level: float = 0.95,
) -> CrossedMean:
    """Mean of crossed readings with a t interval that holds for new readers and new cases.

    Parameters
    ----------
    values : array_like, shape (n,)
        One value per reader and case; no missing values.
    readers, cases : array_like, shape (n,)
        Labels. A reader and case may meet once only; not all have to meet.
    clusters : array_like, shape (n,), optional
        The patient of each case. Cases of one patient are not independent: patients then take
        the place of cases, and ``n_cases`` and ``var_case`` are theirs. Every case still counts
        once in the mean.

    Returns
    -------
    CrossedMean
        With one reader or one case the interval covers the other factor alone and ``scope``
        says so. With a single value ``se``, ``low`` and ``high`` are NaN.

    Raises
    ------
    ValueError
        If nothing was given, values are missing, or a reader and case meet twice.

    Notes
    -----
    Moments of products over pairs of readings (same reader, same case, neither) estimate the
    components without bias in balanced data, where they equal the two-way ANOVA estimates
    (Gallas 2006, Acad Radiol 13:353, doi:10.1016/j.acra.2005.11.030); with ``clusters`` the
    products are of sums over the cases of a patient. The variance is that of
    Obuchowski & Rockette, MS(reader) + max(MS(case) - MS(rest), 0), with Satterthwaite's
    degrees of freedom (1946, doi:10.2307/3002019). With fewer than four readers MS(reader)
    is not let below MS(rest), and both enter the degrees of freedom, which are never fewer than the
    smaller number of levels less one: without this the error rate is 6 to 9 % instead of 5 %,
    with it far below.

    Examples
    --------
    Two readers, two cases, readers differ by 2 and nothing else does: the mean is 2 and the
    standard error that of two reader means, 1.

    >>> result = crossed_mean([1, 1, 3, 3], ["A", "A", "B", "B"], [1, 2, 1, 2])
    >>> result.mean, result.se, result.df
    (2.0, 1.0, 1.0)
    """
    y, reader, case = _codes(values, readers, cases)
    n, mean = y.size, float(y.mean())
    weight, centred = np.ones(n), y - y.mean()
    if clusters is not None:
        weight, centred, reader, case = _gathered(centred, reader, clusters)
    n_readers, n_cases = reader.max() + 1, case.max() + 1
    per_reader, per_case = np.bincount(reader, weight), np.bincount(case, weight)
    var_reader, var_case, var_rest = _components(centred, weight, reader, case)
    parts = np.array(
        [
            var_reader * np.sum(per_reader**2) / n**2,
            max(var_case, 0.0) * np.sum(per_case**2) / n**2,
            var_rest * np.sum(weight**2) / n**2,
        ]
    )
    if n_readers < FEW_READERS or parts[0] + parts[2] < 0:
        parts = np.maximum(parts, 0.0)
    variance, df, scope = _variance_and_df(parts, n_readers, n_cases)
    se = float(np.sqrt(variance))
    half = float(stats.t.ppf(0.5 + level / 2, df)) * se if df > 0 else np.nan
    return CrossedMean(
        mean,
        se,
        df,
        mean - half,
        mean + half,
        var_reader,
        var_case,
        var_rest,
        int(n_readers),
        int(n_cases),
        int(n),
        scope,
    )


def _codes(
    values: ArrayLike, readers: ArrayLike, cases: ArrayLike
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    y = np.asarray(values, dtype=float)
    if y.size == 0 or not np.isfinite(y).all():
        raise ValueError(
            f"expected finite values, at least one, got {y.size}, {int((~np.isfinite(y)).sum())} "
            "of them missing; drop missing readings first"
        )
    reader = np.unique(np.asarray(readers), return_inverse=True)[1]
    case = np.unique(np.asarray(cases), return_inverse=True)[1]
    pairs = np.unique(reader * (case.max() + 1) + case).size
    if pairs != y.size:
        raise ValueError(
            f"expected one value per reader and case, got {y.size - pairs} twice; leave repeat "
            "showings out or average them"
        )
    return y, reader, case


def _gathered(
    centred: np.ndarray, reader: np.ndarray, clusters: ArrayLike
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Readings of one reader and cluster as one sum, with how many they are."""
    cluster = np.unique(np.asarray(clusters), return_inverse=True)[1]
    cells, cell = np.unique(reader * (cluster.max() + 1) + cluster, return_inverse=True)
    of_reader, of_cluster = np.divmod(cells, cluster.max() + 1)
    return np.bincount(cell).astype(float), np.bincount(cell, centred), of_reader, of_cluster


def _components(
    y: np.ndarray, weight: np.ndarray, reader: np.ndarray, case: np.ndarray
) -> tuple[float, float, float]:
    """Reader, case and rest components from sums of products over pairs of cells."""
    n, own = weight.sum(), np.sum(weight**2)
    total, squares = y.sum() ** 2, np.sum(y**2)
    same_reader = np.sum(np.bincount(reader, y) ** 2) - squares
    same_case = np.sum(np.bincount(case, y) ** 2) - squares
    pairs_reader = np.sum(np.bincount(reader, weight) ** 2) - own
    pairs_case = np.sum(np.bincount(case, weight) ** 2) - own
    pairs_none = n * n - own - pairs_reader - pairs_case
    if pairs_none <= 0:  # one reader or one case: its own effect cannot be told from the mean
        spread = squares / own * y.size / (y.size - 1) if y.size > 1 else np.nan
        return (spread, 0.0, 0.0) if pairs_reader == 0 and y.size > 1 else (0.0, spread, 0.0)
    none = (total - squares - same_reader - same_case) / pairs_none
    by_reader = same_reader / pairs_reader if pairs_reader else none
    by_case = same_case / pairs_case if pairs_case else none
    return (
        float(by_reader - none),
        float(by_case - none),
        float(squares / own - by_reader - by_case + none),
    )


def _variance_and_df(parts: np.ndarray, n_readers: int, n_cases: int) -> tuple[float, float, str]:
    variance = float(parts.sum())
    if n_readers == 1 and n_cases == 1:
        return np.nan, 0.0, "this reading only"
    if n_readers == 1:
        return variance, float(n_cases - 1), "cases, this reader only"
    if n_cases == 1:
        return variance, float(n_readers - 1), "readers, this case only"
    few = n_readers < FEW_READERS
    carried = np.array([parts[0] + parts[2], parts[1] + parts[2] if few else parts[1]])
    spread = float(np.sum(carried**2 / np.array([n_readers - 1, n_cases - 1])))
    if few:
        spread += float(parts[2] ** 2 / ((n_readers - 1) * (n_cases - 1)))
    fewest = float(min(n_readers, n_cases) - 1)
    df = max(variance**2 / spread, fewest) if spread > 0 else float(n_readers - 1)
    return max(variance, 0.0), df, "readers and cases"

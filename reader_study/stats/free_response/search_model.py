"""The radiological search model: a wAFROC effect for an effect in the ROC area.

effect = 0.03 * search_scale(fit_search(marks, cases))
"""

from dataclasses import astuple, dataclass

import numpy as np
import pandas as pd
from scipy import integrate, optimize, special

from reader_study.stats.free_response.match_marks import check_marks
from reader_study.stats.roc.binormal import normal_density

MOST_RATINGS = 5
# Steps of mu over which both areas are followed, as in RJafroc.
STEPS = np.arange(1, 21) / 100
# Where the search stays: mu, lambda and nu of a curve without an inner optimum (area near 1).
LEAST, MOST = np.array([0.01, 0.01, 0.01]), np.array([10.0, 10.0, 0.999])


@dataclass(frozen=True)
class Search:
    """How a reader searches, as seen in the marks.

    ``mu``: rating of a lesion that is found above that of a false suspicion, in standard
    deviations; ``false_per_case``: mean number of false suspicions; ``found``: chance that a
    lesion is suspected; ``lesions``: shares of the diseased cases with 1, 2, ... lesions.
    """

    mu: float
    false_per_case: float
    found: float
    lesions: tuple[float, ...] = (1.0,)

    def __post_init__(self) -> None:
        shares = np.asarray(self.lesions, float)
        whole = shares.size and np.all(shares >= 0) and np.isclose(shares.sum(), 1, atol=1e-6)
        if not (self.mu > 0 and self.false_per_case > 0 and 0 < self.found < 1 and whole):
            raise ValueError(
                "expected mu and false_per_case above 0, found between 0 and 1 and shares of "
                f"lesions that sum to 1, got {astuple(self)}; mend the one outside"
            )


def search_areas(search: Search) -> tuple[float, float]:
    """Areas under the ROC and the weighted AFROC curve that the model predicts.

    Notes
    -----
    Chakraborty 2006 (doi:10.1088/0031-9155/51/14/012): false suspicions are Poisson with ratings
    N(0, 1), each lesion is suspected with chance nu and then rated N(mu, 1). From the last mark a
    straight line goes to (1, 1). Each case weighs the same, so the ordinate of wAFROC is the
    share of lesions found.

    Examples
    --------
    Nothing can be told from rating alone, and no lesion is missed or doubled by search:

    >>> areas = search_areas(Search(1e-9, 1e-9, 0.5))
    >>> [round(area, 6) for area in areas]
    [0.75, 0.75]
    """
    last = 1 - np.exp(-search.false_per_case)
    areas = []
    for ordinate in (_called, _located):
        under = integrate.quad(
            lambda z, y=ordinate: y(z, search) * _density(z, search),
            *(-9.0, search.mu + 9.0),
            epsabs=1e-11,
            limit=200,
        )[0]
        end = float(ordinate(-40.0, search))
        areas.append(float(under + (1 - last) * (end + 1) / 2))
    return areas[0], areas[1]


def search_scale(search: Search) -> float:
    """How many times larger the change of the wAFROC area is than that of the ROC area.

    Notes
    -----
    As RJafroc's ``SsFrocNhRsmModel`` (Chakraborty 2017, Observer performance methods for
    diagnostic imaging, ch. 19): mu grows by 0.01 to 0.20, and the slope of the line through the
    origin is taken. What stays is the reader's own: a better image lets him find more lesions,
    nu = 1 - exp(-mu b), and suspect less elsewhere, lambda = a / mu, with a and b fixed. With
    lambda and nu fixed themselves the slope is smaller, since search would not gain.

    Examples
    --------
    Medians of RJafroc's data set 4, arms 1 and 2:

    >>> found = Search(3.311706, 1.714368, 0.703660, (0.69, 0.20, 0.11))
    >>> round(search_scale(found), 5)
    2.16921
    """
    own_false, own_found = search.false_per_case * search.mu, -np.log1p(-search.found) / search.mu
    start = np.array(search_areas(search))
    gains = []
    for mu in search.mu + STEPS:
        better = Search(mu, own_false / mu, -float(np.expm1(-own_found * mu)), search.lesions)
        gains.append(np.array(search_areas(better)) - start)
    roc, wafroc = np.transpose(gains)
    return float(roc @ wafroc / (roc @ roc))


def fit_search(marks: pd.DataFrame, cases: pd.DataFrame) -> Search:
    """Medians over readers and arms of the model fitted to each case's highest rating.

    Parameters
    ----------
    marks, cases : as :func:`reader_study.stats.free_response.froc.froc`

    Notes
    -----
    Maximum likelihood with at most five grades above "no mark". Medians are less moved than means
    by a reader whose curve determines the parameters poorly.

    Raises
    ------
    ValueError
        As :func:`check_marks`; where the medians lie at the limits of the search.
    """
    table, known = check_marks(marks, cases)
    lesions = known["n_lesions"].to_numpy(int)
    shares = np.bincount(lesions[lesions > 0])[1:] / (lesions > 0).sum()
    found = []
    for _, part in table.groupby(["arm", "reader"], sort=False):
        highest = part.groupby("case")["rating"].max().reindex(known["case"])
        grades = _grades(highest.to_numpy(float))
        size = int(grades.max()) + 1
        negative, positive = (
            np.bincount(grades[kind], minlength=size) for kind in (lesions == 0, lesions > 0)
        )
        found.append(_fit(negative, positive, shares))
    mu, false, nu = (float(value) for value in np.median(found, axis=0))
    middle = np.array([mu, false, nu])
    if np.any((middle < LEAST * 1.01) | (middle > MOST * 0.99)):
        raise ValueError(
            "expected marks that determine the search model, got medians at its limits "
            f"(mu {mu:.3g}, false suspicions per case {false:.3g}, share found {nu:.3g}); give the "
            "effect in wAFROC area (--effect)"
        )
    return Search(mu, false, nu, tuple(map(float, shares)))


def _called(z: float | np.ndarray, search: Search) -> np.ndarray:
    """Share of the cases with a finding whose highest rating is above z."""
    quiet = np.exp(-search.false_per_case * special.ndtr(-np.asarray(z)))
    missed = 1 - _located(z, search)
    powers = [share * missed**number for number, share in enumerate(search.lesions, start=1)]
    return np.asarray(1 - quiet * np.sum(powers, axis=0))


def _located(z: float | np.ndarray, search: Search) -> np.ndarray:
    """Share of the lesions rated above z."""
    return np.asarray(search.found * special.ndtr(search.mu - np.asarray(z)))


def _density(z: float, search: Search) -> float:
    """Density of the highest rating of a case without a finding."""
    false = search.false_per_case
    return float(false * np.exp(-false * special.ndtr(-z)) * normal_density(np.asarray(z)))


def _grades(highest: np.ndarray) -> np.ndarray:
    """0 for a case without a mark, then grades of near equal size."""
    marked = highest[np.isfinite(highest)]
    levels = np.unique(marked)
    cuts = levels[1:]
    if levels.size > MOST_RATINGS:
        cuts = np.unique(np.quantile(marked, np.arange(1, MOST_RATINGS) / MOST_RATINGS))
    return np.where(np.isfinite(highest), 1 + np.searchsorted(cuts, highest, side="right"), 0)


def _fit(negative: np.ndarray, positive: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """(mu, lambda, nu) of one reader in one arm."""
    numbers = np.arange(1, len(shares) + 1)

    def unlikely(point: np.ndarray) -> float:
        mu, false_per_case = np.exp(point[:2])
        found = special.expit(point[2])
        cuts = point[3] + np.concatenate([[0.0], np.cumsum(np.exp(point[4:]))])
        quiet = np.exp(-false_per_case * special.ndtr(-cuts))
        missed = 1 - found * special.ndtr(mu - cuts)
        both = quiet * (missed[:, None] ** numbers @ shares)
        value = 0.0
        for counts, below in ((negative, quiet), (positive, both)):
            chance = np.diff(np.concatenate([[0.0], below, [1.0]]))
            value -= float(np.sum(counts * np.log(np.maximum(chance, 1e-12))))
        return value

    lowest, highest = np.log(LEAST), np.log(MOST)
    lowest[2], highest[2] = special.logit([LEAST[2], MOST[2]])
    limits = [*zip(lowest, highest, strict=True), (-4.0, 4.0), *[(-6.0, 2.0)] * (len(negative) - 2)]
    fits = []
    for mu, false_per_case, found in ((2.0, 1.0, 0.7), (3.5, 1.5, 0.8)):
        start = [np.log(mu), np.log(false_per_case), special.logit(found), 0.0]
        start += [np.log(0.5)] * (len(negative) - 2)
        fits.append(optimize.minimize(unlikely, start, method="L-BFGS-B", bounds=limits))
    best = min(fits, key=lambda fit: float(fit.fun)).x
    return np.array([*np.exp(best[:2]), special.expit(best[2])])

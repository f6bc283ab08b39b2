"""Power and sample size of reader studies from variance components (Hillis), and its search.

pilot = components_of(mrmc(table), cases=90)
or_power(pilot, readers=6, cases=150, effect=0.05).power
smallest_design(lambda j, k: or_power(pilot, readers=j, cases=k, effect=0.05).power)
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np
import pandas as pd
from scipy import stats
from scipy.optimize import isotonic_regression

from reader_study.stats.roc.obuchowski_rockette import Mrmc

Random = Literal["readers and cases", "cases", "readers"]
RANDOM = ("readers and cases", "cases", "readers")
Design = Literal[
    "crossed",
    "split-plot",
    "cases nested in readers",
    "cases nested in arms",
    "readers nested in arms",
    "readers and cases nested in arms",
]
# Beyond this many cases a design is called out of reach, as in RJafroc.
MOST_CASES = 2000


@dataclass(frozen=True)
class OrComponents:
    """Obuchowski-Rockette components of a figure of merit, seen in a study of ``cases`` cases.

    The covariances shrink with the number of cases; ``var_arm_reader`` and ``var_reader``
    (needed where each arm has readers of its own) do not.
    """

    var_arm_reader: float
    var_error: float
    cov1: float
    cov2: float
    cov3: float
    cases: float
    var_reader: float = 0.0


@dataclass(frozen=True)
class OrPower:
    """Power of a design; ``df2`` is infinite where the test is a chi-squared one."""

    power: float
    noncentrality: float
    df2: float
    critical: float
    se: float
    readers: int
    cases: int


def components_of(result: Mrmc, *, cases: int) -> OrComponents:
    """The components that :func:`reader_study.stats.roc.mrmc.mrmc` found, with its case number.

    Raises
    ------
    ValueError
        If the analysis gave no such components (U-statistics, nested readers).
    """
    names = ("var_arm_reader", "var_error", "cov1", "cov2", "cov3", "var_reader")
    values = [result.components.get(name, np.nan) for name in names]
    if not np.isfinite(values).all():
        raise ValueError(
            "expected Var(TR), Var(error) and Cov1 to Cov3 for a sample size; a crossed study "
            f"analysed by delong, jackknife or unbiased gives them, this one is {result.design} by "
            f"{result.method}"
        )
    var_tr, var, cov1, cov2, cov3, var_r = (float(value) for value in values)
    return OrComponents(var_tr, var, cov1, cov2, cov3, positive("cases", cases), var_r)


def or_power(
    components: OrComponents,
    *,
    readers: int,
    cases: int,
    effect: float,
    margin: float = 0.0,
    random: Random = "readers and cases",
    design: Design = "crossed",
    blocks: int = 1,
    alpha: float = 0.05,
) -> OrPower:
    """Power to tell two arms apart, or to show non-inferiority where a margin is given.

    Parameters
    ----------
    components : from a pilot, a published study or an in-silico pilot
    readers, cases : readers and cases of either arm; cases of the same mix as in the pilot. With
        cases nested in readers every reader has ``cases`` of an own
    effect : true difference of the figure of merit, new minus reference
    margin : 0 for a two-sided test of equality at ``alpha``; above 0 for a one-sided test at
        ``alpha / 2`` that the new arm is not worse by ``margin`` or more
    random : to what the result shall extend
    design, blocks : who reads what; a split-plot has ``blocks`` groups of readers, each with an
        equal part of the cases for itself

    Raises
    ------
    ValueError
        For fewer than two readers where readers are random, or numbers that are not positive.

    Notes
    -----
    Hillis, Obuchowski & Berbaum 2011 (doi:10.1016/j.acra.2010.09.007): F = t**2 with
    noncentrality effect**2 / se**2 and Satterthwaite's degrees of freedom; covariances are
    scaled by pilot cases over cases planned. Components below zero count as zero, and so does
    Cov2 - Cov3. In the other designs the covariances of readings without a common case or reader
    are zero, and readers who differ between arms add Var(R) (Obuchowski, Gallas & Hillis 2012,
    doi:10.1016/j.acra.2012.09.012; Hillis 2014, doi:10.1002/sim.5926).

    Examples
    --------
    Only Var(TR) = 0.0004 is not zero and 4 readers are planned: se**2 = 2 * 0.0004 / 4.

    >>> pilot = OrComponents(0.0004, 0.0, 0.0, 0.0, 0.0, cases=50)
    >>> result = or_power(pilot, readers=4, cases=50, effect=0.05)
    >>> round(result.noncentrality, 9), result.df2
    (12.5, 3.0)
    """
    positive("readers", readers), positive("cases", cases)
    if random not in RANDOM:
        raise ValueError(f"expected random of {', '.join(map(repr, RANDOM))}, got {random!r}")
    if random != "cases" and readers < 2:
        raise ValueError("expected two readers or more where readers are random, got 1")
    if not 0 < alpha < 1 or margin < 0:
        raise ValueError(f"expected 0 < alpha < 1 and margin >= 0, got {alpha} and {margin}")
    if blocks > readers or (design == "split-plot") != (blocks > 1):
        raise ValueError(
            "expected blocks of 2 or more, and no more than readers, with the split-plot design "
            f"and 1 with any other, got {blocks} with {design!r} and {readers} readers"
        )
    error, df2 = _error_and_df(components, readers, cases, random, design, blocks)
    se = float(np.sqrt(2 * error / readers))
    if margin > 0:
        power, shift, critical = one_sided(effect + margin, se, df2, alpha)
    else:
        power, shift, critical = two_sided(effect, se, df2, alpha)
    return OrPower(power, shift, df2, critical, se, readers, cases)


def _error_and_df(
    parts: OrComponents, readers: int, cases: int, random: Random, design: Design, blocks: int
) -> tuple[float, float]:
    """Error of the F test (its denominator) and its degrees of freedom."""
    scale = blocks * parts.cases / cases
    own = max(parts.var_arm_reader, 0.0)
    var, cov1, cov2, cov3 = (
        scale * part for part in (parts.var_error, parts.cov1, parts.cov2, parts.cov3)
    )
    freedom = readers - 1
    apart = design in ("readers nested in arms", "readers and cases nested in arms")
    if design == "cases nested in readers":
        cov2 = cov3 = 0.0
    elif design in ("cases nested in arms", "readers and cases nested in arms"):
        cov1 = cov3 = 0.0
    if apart:
        own, freedom = own + max(parts.var_reader, 0.0), 2 * freedom
    shared = _sharing(readers, blocks) * max(cov2 - cov3, 0.0)
    rest = var - cov2 if apart else var - cov1 - shared
    if random == "cases":
        return rest + readers * shared, np.inf
    mean_square = own + rest
    if random == "readers":
        return mean_square, float(freedom)
    error = mean_square + readers * shared
    if mean_square <= 0:
        return error, np.inf
    return error, float(error**2 / mean_square**2 * freedom)


def _sharing(readers: int, blocks: int) -> float:
    """Share of the pairs of readers that lie in one of ``blocks`` blocks of near equal size."""
    sizes = np.array([len(part) for part in np.array_split(np.arange(readers), blocks)])
    return float(np.sum(sizes * (sizes - 1)) / (readers * (readers - 1))) if readers > 1 else 1.0


def two_sided(effect: float, se: float, df2: float, alpha: float) -> tuple[float, float, float]:
    """Power, noncentrality and critical F of a two-sided test at ``alpha``."""
    if se <= 0:
        return (1.0 if effect else alpha), np.inf, np.nan
    noncentrality = (effect / se) ** 2
    if np.isinf(df2):
        critical = float(stats.chi2.isf(alpha, 1))
        return float(stats.ncx2.sf(critical, 1, noncentrality)), noncentrality, critical
    critical = float(stats.f.isf(alpha, 1, df2))
    if noncentrality == 0:
        return alpha, 0.0, critical
    return float(stats.ncf.sf(critical, 1, df2, noncentrality)), noncentrality, critical


def one_sided(effect: float, se: float, df2: float, alpha: float) -> tuple[float, float, float]:
    """Power, shift and critical t of a one-sided test at ``alpha / 2``."""
    if se <= 0:
        return (1.0 if effect > 0 else 0.0), np.inf, np.nan
    shift = effect / se
    if np.isinf(df2):
        critical = float(stats.norm.isf(alpha / 2))
        return float(stats.norm.sf(critical - shift)), shift, critical
    critical = float(stats.t.isf(alpha / 2, df2))
    return float(stats.nct.sf(critical, df2, shift)), shift, critical


def positive(name: str, value: int) -> int:
    """The value, refused where it is below 1."""
    if value < 1:
        raise ValueError(f"expected {name} of 1 or more, got {value}")
    return value


def smallest_cases(
    power: Callable[[int], float], *, target: float = 0.8, most: int = MOST_CASES, least: int = 4
) -> int | None:
    """The smallest number of cases with power of ``target`` or more; None if ``most`` is too few.

    ``power`` must not fall as cases grow.

    Examples
    --------
    >>> smallest_cases(lambda cases: cases / 100, target=0.8)
    80
    >>> smallest_cases(lambda cases: 0.1) is None
    True
    """
    if not 0 < target < 1:
        raise ValueError(f"expected a target power between 0 and 1, got {target}")
    if power(most) < target:
        return None
    low, high = least - 1, most
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if power(middle) >= target else (middle, high)
    return high


def smallest_design(
    power: Callable[[int, int], float],
    *,
    readers: Iterable[int] = range(2, 21),
    target: float = 0.8,
    most_cases: int = MOST_CASES,
) -> pd.DataFrame:
    """For each number of readers, the fewest cases that reach the target.

    Parameters
    ----------
    power : function of (readers, cases)

    Returns
    -------
    DataFrame
        ``readers, cases, readings, power, fewest`` with ``cases`` and ``readings`` empty where
        no number up to ``most_cases`` is enough; ``readings`` counts reader-case pairs per arm;
        ``fewest`` marks the row with the fewest of them (of equals the one with fewer readers).

    Examples
    --------
    >>> design = smallest_design(lambda j, k: min(1.0, j * k / 1000), readers=[2, 5], target=0.8)
    >>> design[["readers", "cases", "readings"]].values.tolist()
    [[2, 400, 800], [5, 160, 800]]
    """
    rows = []
    for count in readers:
        smallest = smallest_cases(partial(power, count), target=target, most=most_cases)
        cases = most_cases if smallest is None else smallest
        rows.append(
            (count, smallest, None if smallest is None else smallest * count, power(count, cases))
        )
    table = pd.DataFrame(rows, columns=["readers", "cases", "readings", "power"])
    table["cases"] = table["cases"].astype("Int64")
    table["readings"] = table["readings"].astype("Int64")
    table["fewest"] = False
    if table["readings"].notna().any():
        table.loc[table["readings"].astype(float).idxmin(), "fewest"] = True
    return table


def power_curve(
    power: Callable[[int, int], float], *, readers: Iterable[int], cases: Iterable[int]
) -> pd.DataFrame:
    """Power over a grid: ``readers, cases, power``."""
    sizes = list(cases)
    rows = [(j, k, power(j, k)) for j in readers for k in sizes]
    return pd.DataFrame(rows, columns=["readers", "cases", "power"])


def smallest_on_grid(curve: pd.DataFrame, *, target: float = 0.8) -> pd.DataFrame:
    """As :func:`smallest_design`, from the points of a curve, for power that was simulated.

    Examples
    --------
    >>> curve = pd.DataFrame({"readers": [2, 2], "cases": [20, 40], "power": [0.5, 0.9]})
    >>> smallest_on_grid(curve)["cases"].tolist()
    [40]
    """

    def power(readers: int, cases: int) -> float:
        own = curve[curve["readers"] == readers].sort_values("cases")
        # Simulated power dips by chance; the nearest rising curve does not pick the lucky points.
        rising = isotonic_regression(own["power"].to_numpy(float)).x
        return float(rising[(own["cases"] >= cases).to_numpy()][0])

    sizes = sorted(int(size) for size in curve["cases"].unique())
    table = smallest_design(
        power, readers=sorted(curve["readers"].unique()), target=target, most_cases=sizes[-1]
    )
    for row in table.dropna(subset=["cases"]).itertuples():
        cases = min(size for size in sizes if size >= row.cases)
        table.loc[row.Index, ["cases", "readings"]] = [cases, cases * row.readers]
    return table

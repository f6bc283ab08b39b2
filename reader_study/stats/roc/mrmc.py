"""Multi-reader multi-case ROC analysis of a table of ratings.

result = mrmc(table, method="delong")
noninferiority(result, reference="full", new="denoised", margin=0.05)
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pandas as pd
from scipy import stats

from reader_study.stats.roc.auc_covariance import (
    auc_covariance,
    clustered_auc_covariance,
    jackknife_covariance,
    leave_one_out,
)
from reader_study.stats.roc.curve import partial_auc
from reader_study.stats.roc.fitted_area import BINORMAL, CONTAMINATED, PROPER
from reader_study.stats.roc.gallas_ustat import ustat_analysis
from reader_study.stats.roc.obuchowski_rockette import (
    NO_WIDTH,
    Effect,
    Mrmc,
    obuchowski_rockette,
)
from reader_study.stats.roc.readings import Readings, find_design, read_readings
from reader_study.stats.roc.variance_components import Cells

Figure = Callable[[np.ndarray, np.ndarray], float]
Covariance = Literal["delong", "jackknife", "unbiased"]
Method = Literal["delong", "jackknife", "unbiased", "ustat"]

# Figures of merit: areas of fitted curves.
binormal_area = BINORMAL
proper_binormal_area = PROPER
contaminated_area = CONTAMINATED


def mrmc(
    table: pd.DataFrame,
    *,
    method: Method = "delong",
    readers: Effect = "random",
    cases: Effect = "random",
    figure: Figure | None = None,
    cluster: str | None = None,
    arms: tuple[str, ...] | None = None,
) -> Mrmc:
    """Compare arms by the area under the ROC curve, or by any figure of merit.

    Parameters
    ----------
    table : DataFrame
        ``reader, case, arm, truth (0/1), rating`` (higher is more suspicious).
    method : covariance of the areas; "ustat" is Gallas' U-statistic analysis, the only one for
        unbalanced data
    readers, cases : "random" or "fixed"
    figure : a function of (truth, scores) such as :func:`sensitivity_at` makes; jackknifed
    cluster : column naming the patient where a patient gives several cases
    arms : order of the arms, first minus second in the differences

    Returns
    -------
    Mrmc

    Raises
    ------
    ValueError
        For tables that :func:`read_readings` or :func:`find_design` refuse.

    Notes
    -----
    See :func:`reader_study.stats.roc.obuchowski_rockette.obuchowski_rockette` for the model.
    Crossed, split-plot, and designs with readers or cases nested in arms are recognised.

    Examples
    --------
    Two readers, areas 1 and 1 in one arm, 1 and 0.75 in the other:

    >>> rows = [(r, a, c, t, s) for r, a, scores in [("R1", "new", (1, 2, 3, 4)),
    ...     ("R2", "new", (1, 2, 3, 4)), ("R1", "old", (1, 2, 3, 4)), ("R2", "old", (1, 3, 2, 4))]
    ...     for c, t, s in zip("abcd", (0, 0, 1, 1), scores)]
    >>> table = pd.DataFrame(rows, columns=["reader", "arm", "case", "truth", "rating"])
    >>> mrmc(table).differences["difference"].tolist()
    [0.125]
    """
    readings = read_readings(table, arms=arms, cluster=cluster)
    if method == "ustat":
        if figure is not None or cluster is not None or "fixed" in (readers, cases):
            raise ValueError(
                "the U-statistic method analyses areas with random readers and cases; choose "
                "delong or jackknife for other figures, patients with several cases, fixed effects"
            )
        return ustat_analysis(readings)
    design, blocks = find_design(readings)
    cells = _cells(readings, blocks, method, figure)
    result = obuchowski_rockette(cells, readers=readers, cases=cases)
    return replace(result, design=design, method="jackknife" if figure else method)


def _cells(
    readings: Readings, blocks: np.ndarray, method: Covariance, figure: Figure | None
) -> Cells:
    """Figures and covariances; cells covary only where they were read on the same cases."""
    arms, readers = len(readings.arms), len(readings.readers)
    flat = readings.scores.reshape(arms * readers, -1)
    read = ~np.isnan(flat)
    values = np.full(arms * readers, np.nan)
    covariance = np.zeros((arms * readers, arms * readers))
    names = [f"reader {reader}, arm {arm}" for arm in readings.arms for reader in readings.readers]
    patterns, group = np.unique(read, axis=0, return_inverse=True)
    for number, pattern in enumerate(patterns):
        if not pattern.any():
            continue
        inside = np.flatnonzero(np.asarray(group).ravel() == number)
        patients = None if readings.patients is None else readings.patients[pattern]
        values[inside], own = figures_and_covariance(
            flat[np.ix_(inside, pattern)],
            readings.truth[pattern],
            patients,
            method,
            figure,
            [names[cell] for cell in inside],
        )
        if figure is not None or method == "jackknife":
            own = own * _jackknife_scale(readings, pattern, figure)
        covariance[np.ix_(inside, inside)] = own
    return Cells(
        readings.arms,
        readings.readers,
        values.reshape(arms, readers),
        covariance.reshape(arms, readers, arms, readers),
        blocks,
        nested_readers=bool((readings.read.any(axis=2).sum(axis=0) == 1).all() and arms > 1),
    )


def _jackknife_scale(readings: Readings, read: np.ndarray, figure: Figure | None) -> float:
    """Factor for leaving out each case of the study in turn, where only some were read here.

    A case that was not read moves nothing but counts among the N of (N - 1) / N.
    """
    used = np.ones_like(read)
    if isinstance(figure, ShareCalled):
        used = figure.used(readings.truth)
    units = np.arange(read.size) if readings.patients is None else readings.patients
    every, own = np.unique(units[used]).size, np.unique(units[used & read]).size
    return ((every - 1) / every) / ((own - 1) / own) if own > 1 else 1.0


def figures_and_covariance(
    scores: np.ndarray,
    truth: np.ndarray,
    patients: np.ndarray | None,
    method: Covariance,
    figure: Figure | None,
    names: list[str],
) -> tuple[np.ndarray, np.ndarray]:
    """Figure of each cell (row of ``scores``) and the covariance over cases between cells."""
    if isinstance(figure, ShareCalled):
        used = figure.used(truth)
        if used.sum() < 2:
            kind = "with" if figure.uses else "without"
            raise ValueError(
                f"{names[0]}: expected two cases or more {kind} the finding, got {used.sum()}"
            )
        units = None if patients is None else patients[used]
        values, left_out = leave_one_out(
            scores[:, used], truth[used], figure, units=units, names=names
        )
        return values, jackknife_covariance(left_out)
    if not (truth == 1).any() or not (truth == 0).any():
        raise ValueError(
            f"{names[0]}: expected cases with and without the finding in every arm, got one kind, "
            "so there is no ROC curve; add cases of the other"
        )
    if figure is not None or (patients is not None and method == "jackknife"):
        values, left_out = leave_one_out(scores, truth, figure or _auc, units=patients, names=names)
        return values, jackknife_covariance(left_out)
    if patients is not None:
        return clustered_auc_covariance(scores, truth, patients)
    return auc_covariance(scores[:, truth == 1], scores[:, truth == 0], method=method)


def _auc(truth: np.ndarray, scores: np.ndarray) -> float:
    return partial_auc(truth, scores, low=0.0)


@dataclass(frozen=True)
class ShareCalled:
    """Share of calls at a threshold, as a figure of merit: of the right ones, or of all.

    Only cases with ``uses`` as their truth enter (``None``: every case), so only they are left
    out by the jackknife. ``right`` counts calls that are true, else every call.
    """

    threshold: float
    uses: int | None = None
    right: bool = True

    def used(self, truth: np.ndarray) -> np.ndarray:
        """True for the cases that enter."""
        return np.full(truth.shape, True) if self.uses is None else truth == self.uses

    def __call__(self, truth: np.ndarray, scores: np.ndarray) -> float:
        """The share of the cases used."""
        used = self.used(truth)
        called = scores[used] >= self.threshold
        return float(np.mean(called == (truth[used] == 1) if self.right else called))


def sensitivity_at(threshold: float) -> ShareCalled:
    """A figure of merit: share of cases with the finding rated at or above ``threshold``.

    Examples
    --------
    >>> sensitivity_at(3)(np.array([1, 1, 0]), np.array([3, 2, 5]))
    0.5
    """
    return ShareCalled(threshold, 1)


def specificity_at(threshold: float) -> ShareCalled:
    """A figure of merit: share of cases without the finding rated below ``threshold``."""
    return ShareCalled(threshold, 0)


def correct_at(threshold: float) -> ShareCalled:
    """A figure of merit: share of all cases that are called rightly (percent correct)."""
    return ShareCalled(threshold)


def recall_at(threshold: float) -> ShareCalled:
    """A figure of merit: share of all cases that are called, rightly or not (recall rate)."""
    return ShareCalled(threshold, right=False)


def partial_area(
    *, focus: Literal["sensitivity", "specificity"], low: float, high: float = 1.0
) -> Figure:
    """A figure of merit: :func:`reader_study.stats.roc.curve.partial_auc` with these limits."""

    def figure(truth: np.ndarray, scores: np.ndarray) -> float:
        return partial_auc(truth, scores, focus=focus, low=low, high=high)

    return figure


def expected_utility(slope: float) -> Figure:
    """A figure of merit: the largest sensitivity - slope * (1 - specificity) on the curve.

    ``slope`` is (1 - prevalence) / prevalence over the relative utility of a true positive; near
    1.03 for screening mammography (Abbey, Samuelson & Gallas 2013,
    doi:10.1016/j.acra.2013.12.011). At a slope of 1 it is Youden's index.
    """

    def figure(truth: np.ndarray, scores: np.ndarray) -> float:
        cuts = np.append(np.unique(scores), np.inf)[:, None]
        true, false = (np.mean(scores[truth == kind] >= cuts, axis=1) for kind in (1, 0))
        return float(np.max(true - slope * false))

    return figure


FITTED = {"binormal": BINORMAL, "proper": PROPER, "contaminated": CONTAMINATED}
WITH_CUT = ("sensitivity", "specificity", "correct", "recall", "utility")


def _positive(text: str) -> float:
    if (slope := float(text)) > 0:
        return slope
    raise ValueError("a slope is above 0")


def figure_named(text: str) -> Figure | None:
    """The figure of merit that a word stands for; ``None`` for "auc", the empirical area.

    Parameters
    ----------
    text : "auc", "binormal", "proper", "contaminated", "sensitivity:3",
        "specificity:3", "correct:3", "recall:3", "partial:specificity:0.8:1", "utility:1.03" of the
        empirical curve or "utility:1.03:binormal" (proper, contaminated) of a fitted one

    Examples
    --------
    >>> figure_named("sensitivity:3")
    ShareCalled(threshold=3.0, uses=1, right=True)
    """
    name, *rest = text.split(":")
    try:
        if name == "partial" and rest[0] in ("sensitivity", "specificity"):
            low, high = map(float, rest[1:])
            return partial_area(focus=rest[0], low=low, high=high)  # type: ignore[arg-type]  # one of two
        if name == "utility" and len(rest) == 2:
            return replace(FITTED[rest[1]], slope=_positive(rest[0]))
        (cut,) = map(float, rest) if name in WITH_CUT else (0.0,)
        known = {
            "auc": None,
            **FITTED,
            "utility": expected_utility(_positive(rest[0]) if name == "utility" else 1.0),
            "sensitivity": sensitivity_at(cut),
            "specificity": specificity_at(cut),
            "correct": correct_at(cut),
            "recall": recall_at(cut),
        }
        if name in known and bool(rest) == (name in WITH_CUT):
            return known[name]
    except (ValueError, IndexError, KeyError):
        pass
    raise ValueError(
        "expected a figure of auc, binormal, proper, contaminated, utility:SLOPE, "
        "utility:SLOPE:binormal (or proper, contaminated), sensitivity:CUT, specificity:CUT, "
        f"correct:CUT, recall:CUT or partial:specificity:LOW:HIGH, got {text!r}"
    )


@dataclass(frozen=True)
class Margin:
    """Two arms judged against a margin; ``difference`` is new minus reference."""

    reference: str
    new: str
    margin: float
    difference: float
    low: float
    high: float
    t: float
    p: float
    shown: bool
    claim: str


def _new_minus_reference(result: Mrmc, reference: str, new: str) -> tuple[float, float, float]:
    table = result.differences
    one = table[(table["first"] == new) & (table["second"] == reference)]
    other = table[(table["first"] == reference) & (table["second"] == new)]
    if one.empty and other.empty:
        arms = ", ".join(result.arm_means["arm"])
        raise ValueError(f"expected arms {reference!r} and {new!r}, but the analysis holds: {arms}")
    row = (one if other.empty else other).iloc[0]
    sign = 1.0 if other.empty else -1.0
    return sign * float(row["difference"]), float(row["se"]), float(row["df"])


def noninferiority(
    result: Mrmc, *, reference: str, new: str, margin: float, alpha: float = 0.025
) -> Margin:
    """Test whether ``new`` is worse than ``reference`` by less than ``margin``.

    One-sided test at ``alpha``; ``low`` and ``high`` are the two-sided 1 - 2 alpha interval,
    and non-inferiority is shown exactly when ``low`` lies above ``-margin``.

    Raises
    ------
    ValueError
        For a margin that is not positive, an arm that was not analysed, or a difference
        without any error (all readers separate the cases perfectly).
    """
    if not margin > 0:
        raise ValueError(f"expected a margin above 0, got {margin}; state it in the figure's units")
    difference, se, df = _new_minus_reference(result, reference, new)
    if se <= 0:
        raise ValueError(f"expected an error to judge a margin by, got none: {NO_WIDTH}")
    t = (difference + margin) / se
    p = float(stats.t.sf(t, df) if np.isfinite(df) else stats.norm.sf(t))
    q = float(stats.t.ppf(1 - alpha, df) if np.isfinite(df) else stats.norm.ppf(1 - alpha))
    low, high = difference - q * se, difference + q * se
    return Margin(
        reference,
        new,
        margin,
        difference,
        low,
        high,
        float(t),
        p,
        bool(low > -margin),
        "non-inferiority",
    )


def equivalence(
    result: Mrmc, *, reference: str, new: str, margin: float, alpha: float = 0.05
) -> Margin:
    """Test whether ``new`` and ``reference`` differ by less than ``margin`` either way.

    Two one-sided tests (Schuirmann 1987, doi:10.1007/BF01068419); the interval is 1 - 2 alpha.
    """
    up = noninferiority(result, reference=reference, new=new, margin=margin, alpha=alpha)
    down = noninferiority(result, reference=new, new=reference, margin=margin, alpha=alpha)
    t, p = min(up.t, down.t), max(up.p, down.p)
    return replace(up, t=t, p=p, shown=up.shown and down.shown, claim="equivalence")

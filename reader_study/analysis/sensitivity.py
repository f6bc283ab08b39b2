"""The primary comparison again under other assumptions, all of them fixed in advance."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from reader_study.analysis.endpoints.estimates import estimate
from reader_study.analysis.endpoints.outcome_tables import (
    cluster_of,
    outcome_table,
    paired_differences,
    trial_seconds,
)
from reader_study.analysis.endpoints.result import Estimate
from reader_study.design.analysis_plan import CALLED, LEVEL, Planned
from reader_study.stats.ordinal.clm import clmm
from reader_study.stats.ordinal.vgc import vgc
from reader_study.stats.paired.crossed_mean import FEW_READERS
from reader_study.stats.paired.preference_share import pooled_share
from reader_study.stats.paired.signed_rank import hodges_lehmann, signed_rank

Estimator = Callable[..., Estimate]  # of a planned test, its outcome table, and changes
# The acceptance radius of marks, in parts of the protocol's.
RADII = (0.5, 1.5, 2.0)


def sensitivity_rows(
    test: Planned,
    ratings: pd.DataFrame,
    first_answers: pd.DataFrame,
    *,
    finished: set[str],
    fastest_s: float,
    estimator: Estimator,
    radius_mm: float = 10.0,
    tick: Callable[[], None] = lambda: None,
) -> list[dict[str, Any]]:
    """Other readings of the primary data, each with its label and what it changes.

    Parameters
    ----------
    ratings : last answers
    first_answers : the answers as first given, before any was taken back
    finished : readers who answered everything
    fastest_s : trials answered faster are left out in one of the rows
    radius_mm : the protocol's acceptance radius, varied where marks are the endpoint
    tick : called after the analysis without each of :func:`left_out`
    """
    rows = [
        _refit("first answers, before any was corrected", test, first_answers, estimator),
        _refit(f"without trials under {fastest_s:g} s", test, _slow(ratings, fastest_s), estimator),
    ]
    readers = set(ratings["reader"])
    if finished and finished < readers:
        only = ratings[ratings["reader"].isin(finished)]
        rows.append(_refit("readers who finished only", test, only, estimator))
    table = outcome_table(ratings, test)
    if test.endpoint in {"auc", "wafroc", "ai", *CALLED}:
        rows += _other_areas(test, table, estimator, radius_mm)
    else:
        rows += _other_methods(test, table)
    for reader in left_out(ratings):
        others = ratings[ratings["reader"] != reader]
        rows.append(_refit(f"without reader {reader}", test, others, estimator))
        tick()
    return rows


def _slow(ratings: pd.DataFrame, fastest_s: float) -> pd.DataFrame:
    seconds = trial_seconds(ratings)
    fast = seconds.loc[seconds["seconds"] < fastest_s, ["reader", "trial"]]
    keys = pd.MultiIndex.from_frame(fast)
    return ratings[~pd.MultiIndex.from_frame(ratings[["reader", "trial"]]).isin(keys)]


def _refit(
    label: str, test: Planned, ratings: pd.DataFrame, estimator: Estimator
) -> dict[str, Any]:
    again = replace(test, role="sensitivity")  # without one line per reader
    return _row(label, test, estimator(again, outcome_table(ratings, test)))


def _row(label: str, test: Planned, estimate: Estimate) -> dict[str, Any]:
    return {
        "label": label,
        "endpoint": test.endpoint,
        "new": test.new,
        "reference": test.reference,
        "value": estimate.value,
        "low": estimate.low,
        "high": estimate.high,
        "p": estimate.p_at(test.null),
        "null": test.null,
        "n": estimate.n,
        "note": estimate.note,
    }


def _other_methods(test: Planned, table: pd.DataFrame) -> list[dict[str, Any]]:
    if table.empty:
        return []
    rows = [_exact_test(test, table)]
    if test.endpoint == "share":
        share = pooled_share(
            table,
            arm=test.new,
            over=test.reference,
            ties="half",
            cluster=cluster_of(table),
            level=LEVEL,
        )
        row = {"value": share.share, "low": share.low, "high": share.high, "p": None}
        rows.append(_bare("ties count half a win", test, share.n) | row)
    if test.endpoint == "odds":
        other = Planned(**{**vars(test), "endpoint": "difference"})
        rows.append(_row("mean difference of ratings", other, estimate(other, table)))
        rows.append(_grading(test, table))
        if table["reader"].nunique() >= FEW_READERS:
            rows.append(_varying_effect(test, table))
    if test.endpoint == "limits":
        other = Planned(**{**vars(test), "endpoint": "difference"})
        rows.append(_row("t limits (Satterthwaite), all pairs", other, estimate(other, table)))
    if test.endpoint == "difference" and not test.relative and test.n_answers <= 9:
        other = Planned(**{**vars(test), "endpoint": "odds"})
        rows.append(_row("odds ratio (mixed model)", other, estimate(other, table)))
        rows.append(_grading(test, table))
    return rows


def _other_areas(
    test: Planned, table: pd.DataFrame, estimator: Estimator, radius_mm: float
) -> list[dict[str, Any]]:
    if table.empty:
        return []
    changes: dict[str, dict[str, Any]]
    if test.endpoint == "wafroc":
        changes = {
            f"marks within {scale * radius_mm:g} mm count as hits": {"radius_mm": scale * radius_mm}
            for scale in RADII
        } | {"each lesion counting once (AFROC)": {"fom": "afroc"}}
    elif test.endpoint in CALLED:
        changes = {"these readers only (readers fixed)": {"readers": "fixed"}}
    else:
        changes = {
            "covariances by the jackknife": {"method": "jackknife"},
            "these readers only (readers fixed)": {"readers": "fixed"},
        }
    return [
        _row(label, test, estimator(test, table, **change)) for label, change in changes.items()
    ]


def _grading(test: Planned, table: pd.DataFrame) -> dict[str, Any]:
    """Area under the VGC curve; its permutation test draws from a fixed seed."""
    row = _bare("area under the VGC curve", test, len(table)) | {"endpoint": "vgc", "null": 0.5}
    if set(table["arm"]) != {test.new, test.reference}:
        return row | {"value": None, "low": None, "high": None, "p": None, "note": "one arm only"}
    rng = np.random.Generator(np.random.PCG64(0))
    mean = table.groupby(["reader", "case", "arm"], as_index=False)["rating"].median()
    area = vgc(mean, test=test.new, reference=test.reference, draws=2000, rng=rng, level=LEVEL)
    note = f"permutation test, {area.draws} draws; {area.scope}"
    return row | {
        "value": area.auc,
        "low": area.low,
        "high": area.high,
        "p": area.p,
        "note": note,
    }


def _varying_effect(test: Planned, table: pd.DataFrame) -> dict[str, Any]:
    """The mixed model with an effect of the arm that differs between readers."""
    row = _bare("effect of the arm differing between readers", test, len(table))
    nothing = {"value": None, "low": None, "high": None, "p": None}
    if table["rating"].nunique() < 2 or table["arm"].nunique() < 2:
        return row | nothing | {"note": "nothing to compare"}
    levels = {"arm": [test.reference, test.new]}
    patients = " + (1|patient)" if cluster_of(table) else ""
    fit = clmm(table, f"rating ~ arm + (arm|reader){patients} + (1|case)", levels=levels)
    if not fit.converged:
        return row | nothing | {"note": fit.note}
    coefficient = fit.coefficients.iloc[0]
    ends = {name: float(np.exp(coefficient[name])) for name in ("low", "high")}
    value, p = float(np.exp(coefficient["estimate"])), float(coefficient["p"])
    return row | ends | {"value": value, "p": p, "note": fit.note}


def _bare(label: str, test: Planned, n: int) -> dict[str, Any]:
    return {
        "label": label,
        "endpoint": test.endpoint,
        "new": test.new,
        "reference": test.reference,
        "null": test.null,
        "n": n,
        "note": "",
    }


def _exact_test(test: Planned, table: pd.DataFrame) -> dict[str, Any]:
    """Exact signed-rank test on each case's mean over readers, with Hodges-Lehmann limits."""
    unit = cluster_of(table) or "case"
    each = paired_differences(table, test).groupby(unit)["score"].mean()
    if each.empty:
        return _bare(f"exact signed-rank over {unit}s", test, 0) | {
            "value": None,
            "low": None,
            "high": None,
            "p": None,
            "note": "no complete pair",
        }
    middle, low, high = hodges_lehmann(each.to_numpy(), level=LEVEL)
    p = signed_rank(each.to_numpy(), zeros="pratt").p
    label = f"exact signed-rank over {unit}s (median of mean scores; these readers)"
    return _bare(label, test, len(each)) | {
        "endpoint": "score",
        "null": 0.0,
        "value": middle,
        "low": low,
        "high": high,
        "p": p,
    }


def left_out(ratings: pd.DataFrame) -> list[str]:
    """Readers who are left out in turn; none where fewer than two others would remain."""
    readers = sorted(ratings["reader"].unique())
    return readers if len(readers) > 2 else []

"""Each endpoint of a plan, estimated with its interval, p-value and one line per reader."""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from reader_study.analysis.endpoints.assisted import assisted_endpoint
from reader_study.analysis.endpoints.binary_and_model import (
    called_share,
    model_beside_readers,
    read_by_all,
)
from reader_study.analysis.endpoints.outcome_tables import (
    cluster_of,
    of_one_patient,
    paired_differences,
)
from reader_study.analysis.endpoints.result import Estimate, from_mrmc, nothing, records
from reader_study.design.analysis_plan import (
    ASSISTED,
    CALLED,
    LEVEL,
    UNIT,
    Planned,
)
from reader_study.stats.agreement.mrmc_limits import limits_of_agreement
from reader_study.stats.conduct.reading_time import mean_p
from reader_study.stats.ordinal.clm import OrdinalFit, clm, clmm
from reader_study.stats.paired.crossed_mean import FEW_READERS, NO_SPREAD, CrossedMean, crossed_mean
from reader_study.stats.paired.preference_share import (
    pooled_share,
    proportion_interval,
    share_per_reader,
)
from reader_study.stats.roc.mrmc import mrmc

NAN = float("nan")


def estimate(
    test: Planned, table: pd.DataFrame, *, truth: pd.DataFrame | None = None, **changes: Any
) -> Estimate:
    """The planned estimate from its outcome table; a reason in ``note`` where there is none.

    Parameters
    ----------
    table : as :func:`reader_study.analysis.endpoints.outcome_tables.outcome_table` gives
    truth : ``case, truth`` for areas under the ROC curve
    changes : options of :func:`reader_study.stats.roc.mrmc.mrmc` in place of the planned ones; for
        odds ``near``, a fit from which the search starts; for a model its ``scores`` by case
    """
    if table.empty:
        return nothing("no answers to this question in the trials that show both arms")
    result = _estimate(test, table, truth, changes)
    if "patient" not in table or np.isnan(result.value):
        return result
    said = [result.note] if result.note else []
    if of_one_patient(table):
        said.append("all cases are of one patient: the interval says nothing about others")
    return replace(result, n_patients=int(table["patient"].nunique()), note="; ".join(said))


def _estimate(
    test: Planned, table: pd.DataFrame, truth: pd.DataFrame | None, changes: dict[str, Any]
) -> Estimate:
    if test.endpoint == "share":
        return _share(test, table)
    if test.endpoint == "difference":
        return _difference(paired_differences(table, test))
    if truth is None and test.endpoint in ("auc", "ai", *CALLED):
        raise ValueError(f"expected the truth of each case for {test.endpoint}, got none; pass it")
    if truth is not None and test.endpoint == "ai":
        scores = changes.pop("scores")
        return model_beside_readers(test, table, truth, scores, changes)
    arms = set(table["arm"])
    if not {test.new, test.reference} <= arms:
        return nothing(f"only the arm {', '.join(sorted(arms))} has answers")
    if test.endpoint in ASSISTED:
        return assisted_endpoint(test, table)
    if test.endpoint == "limits":
        return _limits(test, table)
    if test.endpoint == "odds":
        return _odds(test, table, changes.get("near"))
    assert truth is not None
    if test.endpoint in CALLED:
        return called_share(test, table, truth, changes)
    return _auc(test, table, truth, changes)


# ---------------------------------------------------------------- preference


def _share(test: Planned, trials: pd.DataFrame) -> Estimate:
    new, over = test.new, test.reference
    pooled = pooled_share(trials, arm=new, over=over, cluster=cluster_of(trials), level=LEVEL)
    each = share_per_reader(trials, arm=new, over=over, level=LEVEL).rename(
        columns={"share": "value"}
    )
    if pooled.n == 0:
        return nothing("no reader preferred either image in any pair")
    scores = paired_differences(trials, test)
    decided = scores[scores["score"] != 0]
    mean = _crossed(decided.assign(score=(decided["score"] + 1) / 2), cluster_of(trials))
    return Estimate(
        pooled.share,
        pooled.low,
        pooled.high,
        lambda null: _share_p(mean, null),
        pooled.n,
        pooled.n_readers,
        decided["case"].nunique(),
        df=pooled.df,
        scope=pooled.scope,
        readers=records(each),
        extra={"ties": pooled.ties, "effective_n": pooled.effective_n},
    )


def _share_p(mean: CrossedMean, null: float) -> float:
    """The level at which the interval just reaches ``null``, by bisection on the log scale."""
    if mean.mean == null:
        return 1.0

    def outside(alpha: float) -> bool:
        low, high, _ = proportion_interval(mean, level=1 - alpha)
        return not low <= null <= high

    low, high = -40.0, 0.0
    if not outside(1 - 1e-4):
        return 1.0
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (low, middle) if outside(float(np.exp(middle))) else (middle, high)
    return float(np.exp(high))


# ---------------------------------------------------------------- ratings


def _difference(scores: pd.DataFrame) -> Estimate:
    if scores.empty:
        return nothing("no reader rated the same case in both arms")
    if scores.duplicated(["reader", "case"]).any():
        keys = [name for name in ("reader", "case", "patient") if name in scores]
        scores = scores.groupby(keys, as_index=False)["score"].mean()
    cluster = cluster_of(scores)
    mean = _crossed(scores, cluster)
    rows = []
    for reader, part in scores.groupby("reader", sort=True):
        own = _crossed(part, cluster)
        rows.append(
            {"reader": reader, "n": own.n, "value": own.mean, "low": own.low, "high": own.high}
        )
    few = mean.n_readers < FEW_READERS and mean.df > 0  # said by the report itself
    note = NO_SPREAD if few and NO_SPREAD in mean.note else "" if few else mean.note
    return Estimate(
        mean.mean,
        mean.low,
        mean.high,
        lambda null: mean_p(mean, null=null),
        mean.n,
        mean.n_readers,
        scores["case"].nunique(),
        df=mean.df,
        scope=mean.scope,
        note=note,
        readers=tuple(rows),
    )


def _crossed(scores: pd.DataFrame, cluster: str | None) -> CrossedMean:
    clusters = None if cluster is None else scores[cluster]
    return crossed_mean(
        scores["score"], scores["reader"], scores["case"], clusters=clusters, level=LEVEL
    )


def _odds(test: Planned, table: pd.DataFrame, near: OrdinalFit | None) -> Estimate:
    if table["rating"].nunique() < 2:
        return nothing("every rating is the same; nothing can be compared")
    levels = {"arm": [test.reference, test.new]}
    groups = ["reader", *([cluster] if (cluster := cluster_of(table)) else []), "case"]
    random = [f"(1|{name})" for name in groups if table[name].nunique() > 1]
    formula = " + ".join(["rating ~ arm", *random])
    if random:
        fit = clmm(table, formula, levels=levels, near=near)
    else:
        fit = clm(table, formula, levels=levels)
    row = fit.coefficients.iloc[0]
    counts = {
        "n": len(table),
        "n_readers": table["reader"].nunique(),
        "n_cases": table["case"].nunique(),
    }
    if not fit.converged:
        return nothing(fit.note or "the model did not settle")
    value, low, high = (float(np.exp(row[name])) for name in ("estimate", "low", "high"))

    def p_at(null: float) -> float:
        return float(2 * stats.norm.sf(abs(row["estimate"] - np.log(null)) / row["se"]))

    extra = {
        "log_odds": float(row["estimate"]),
        "se": float(row["se"]),
        "variances": fit.variances,
        "thresholds": fit.thresholds["estimate"].tolist(),
        "loglik": fit.loglik,
        "formula": formula,
    }
    scope = "readers and cases" if len(random) >= 2 else "these readers or cases only"
    return Estimate(
        value,
        low,
        high,
        p_at,
        **counts,
        scope=scope,
        note=fit.note,
        readers=() if test.role == "sensitivity" else _odds_per_reader(table, levels),
        extra=extra,
        fit=fit,
    )


def _odds_per_reader(
    table: pd.DataFrame, levels: dict[str, list[str]]
) -> tuple[dict[str, Any], ...]:
    rows: list[dict[str, Any]] = []
    for reader, part in table.groupby("reader", sort=True):
        value = low = high = NAN
        if part["rating"].nunique() > 1 and part["arm"].nunique() > 1:
            fit = clm(part, "rating ~ arm", levels=levels)
            if fit.converged:
                row = fit.coefficients.iloc[0]
                value, low, high = (float(np.exp(row[n])) for n in ("estimate", "low", "high"))
        rows.append({"reader": reader, "n": len(part), "value": value, "low": low, "high": high})
    return tuple(rows)


# ---------------------------------------------------------------- lengths


def _limits(test: Planned, table: pd.DataFrame) -> Estimate:
    """Mean difference in mm with the limits of agreement beside it, cases measured by all."""
    keys = ["reader", "case", *(["patient"] if "patient" in table else []), "arm"]
    measured, note = read_by_all(table.groupby(keys, as_index=False)["rating"].mean())
    try:
        rows = limits_of_agreement(
            measured, first=test.new, second=test.reference, value="rating", level=LEVEL
        )
    except ValueError as error:
        return nothing(str(error))
    same = rows.iloc[0]
    mean, of_mean = float(same["mean"]), float(same["variance_of_mean"])
    if cluster_of(measured):
        note = "; ".join(filter(None, [note, "takes the cases of one patient as independent"]))
    if of_mean < 0:
        note = "; ".join(filter(None, [note, f"mean difference: {same['note']}"]))

    def p_at(null: float) -> float:
        if not of_mean > 0:
            return 1.0 if mean == null and of_mean == 0 else NAN
        return float(2 * stats.norm.sf(abs(mean - null) / np.sqrt(of_mean)))

    scores = paired_differences(measured, test)
    each = []
    for reader, part in scores.groupby("reader", sort=True):
        own = _crossed(part, None)
        ends = {"value": own.mean, "low": own.low, "high": own.high}
        each.append({"reader": reader, "n": own.n, **ends})
    return Estimate(
        mean,
        float(same["mean_low"]),
        float(same["mean_high"]),
        p_at,
        len(measured),
        int(same["n_readers"]),
        int(same["n_cases"]),
        df=float("inf"),
        note=note,
        readers=tuple(each),
        extra={"limits": rows.to_dict("records")},
    )


# ---------------------------------------------------------------- ROC


def _auc(
    test: Planned, table: pd.DataFrame, truth: pd.DataFrame, changes: dict[str, Any]
) -> Estimate:
    joined = table.merge(truth, on="case", how="left")
    arms = (test.new, test.reference)
    complete = joined.groupby(["reader", "arm"])["case"].nunique()
    whole = bool((complete == joined["case"].nunique()).all()) and len(complete) == (
        2 * joined["reader"].nunique()
    )
    alone = joined["reader"].nunique() < 2
    cluster = cluster_of(joined)
    options = {
        "method": "delong" if whole else "ustat",
        "readers": "fixed" if alone else "random",
        "cluster": cluster if whole else None,
        **changes,
    }
    try:
        result = mrmc(joined, arms=arms, **options)
    except ValueError as error:
        return nothing(str(error))
    note = "" if whole else "readings are missing: U-statistic analysis of all that were read"
    if cluster and not whole:
        note += ", which takes the cases of one patient as independent"
    estimated = from_mrmc(result, test, note=note, scope="cases" if alone else "readers and cases")
    counts = {
        "n": len(joined),
        "n_readers": joined["reader"].nunique(),
        "n_cases": joined["case"].nunique(),
    }
    return Estimate(**{**vars(estimated), **counts})


# ---------------------------------------------------------------- aim


def judged(test: Planned, result: Estimate, *, aim: str, margin: float | None) -> dict[str, Any]:
    """The estimate as a row of results: p against no difference, and p of the aim.

    ``p_aim`` is on the two-sided scale: it is below 0.05 exactly when the 95 % interval lies
    beyond the bound.
    """
    null = test.null
    gap = margin if margin is not None and test.role == "primary" else None
    p = result.p_at(null)
    p_aim = _p_aim(result, null, aim, gap) if test.role == "primary" else p
    return {
        "role": test.role,
        "item": test.item,
        "endpoint": test.endpoint,
        "new": test.new,
        "reference": test.reference,
        "unit": UNIT[test.endpoint],
        "null": null,
        "margin": gap,
        "aim": aim if test.role == "primary" else "superiority",
        "value": result.value,
        "low": result.low,
        "high": result.high,
        "p": p,
        "p_aim": p_aim,
        "df": result.df,
        "n": result.n,
        "n_readers": result.n_readers,
        "n_cases": result.n_cases,
        "n_patients": result.n_patients,
        "scope": result.scope,
        "note": result.note,
        "readers": list(result.readers),
        "extra": result.extra,
        "turned": test.reverse_scored,
    }


def _p_aim(result: Estimate, null: float, aim: str, margin: float | None) -> float:
    """Superiority: two-sided p; against a margin: twice the one-sided p at each bound."""
    if aim == "superiority" or margin is None:
        return result.p_at(null)
    below = result.p_at(null - margin) if result.value > null - margin else _failed(result)
    if aim == "noninferiority":
        return below
    above = result.p_at(null + margin) if result.value < null + margin else _failed(result)
    return max(below, above)


def _failed(result: Estimate) -> float:
    """On the wrong side of the bound: twice a one-sided p above one half, cut at 1."""
    return NAN if np.isnan(result.value) else 1.0

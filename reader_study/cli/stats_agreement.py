"""Results of the commands agreement and limits as dictionaries."""

from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd

from reader_study.stats.agreement.coefficients import (
    Agreement,
    Weights,
    agreement_coefficient,
    krippendorff_alpha,
    saturation,
)
from reader_study.stats.agreement.icc import icc, kendall_w, kendall_w_interval
from reader_study.stats.agreement.kappa import crosstab, margin_tests
from reader_study.stats.agreement.mrmc_limits import limits_of_agreement
from reader_study.stats.agreement.raters import Level, read_raters
from reader_study.stats.tables import check_table

# Weights for the weighted coefficients (AC2 among them) by kind of scale.
WEIGHTS: dict[Level, Weights] = {
    "nominal": "unweighted",
    "ordinal": "ordinal",
    "interval": "quadratic",
    "ratio": "ratio",
}


def agreement_facts(table: pd.DataFrame, level: Level) -> dict[str, Any]:
    """Coefficients of agreement with intervals; what each is on that scale stands beside it.

    Fleiss, Conger and AC1 take categories as names; AC2 weighs distances for the scale (and
    equals AC1 on a nominal one); Krippendorff's alpha uses its own metric of that level.
    """
    weights = WEIGHTS[level]

    def one(name: str, kind: Weights = "unweighted") -> dict[str, Any]:
        return _agreement(agreement_coefficient(table, name, weights=kind))

    numbers = read_raters(table, level)
    given = numbers.to_numpy()[~np.isnan(numbers.to_numpy())]
    facts: dict[str, Any] = {
        "fleiss": one("fleiss"),
        "conger": one("conger"),
        "krippendorff": _agreement(krippendorff_alpha(table, metric=level)),
        "ac1": one("gwet"),
        "ac2": one("gwet", weights),
        "brennan_prediger": one("brennan_prediger"),
        "percent": one("percent"),
        "icc": _icc(table, level),
        "weighted": {name: one(name, weights) for name in ("fleiss", "conger", "krippendorff")},
        "saturation": saturation(table, lowest=given.min(), highest=given.max()),
        "subjects": len(numbers),
        "raters": numbers.shape[1],
        "rater_names": [str(name) for name in numbers],
    }
    if numbers.shape[1] == 2:
        facts["margins"] = margin_tests(crosstab(numbers.iloc[:, 0], numbers.iloc[:, 1]))
    return facts


def _agreement(coefficient: Agreement) -> dict[str, Any]:
    row = asdict(coefficient)
    return {name: row[name] for name in ("value", "low", "high", "se", "weights", "note")}


def _icc(table: pd.DataFrame, level: Level) -> dict[str, Any]:
    """ICC(2,1) and all six forms; null on nominal scales, where distances mean nothing."""
    empty = {"value": None, "low": None, "high": None}
    if level == "nominal":
        return {**empty, "note": "categories without order have no intraclass correlation"}
    if len(read_raters(table).dropna()) < 2:
        return {**empty, "note": "fewer than 2 subjects were rated by all raters"}
    forms = icc(table).set_index("type")
    single = forms.loc["ICC2"]
    w, low, high = kendall_w_interval(table)
    note = f"{int(single['n'])} subjects rated by all"
    if not np.isfinite(single["value"]):
        note += "; their ratings do not vary, so there is no correlation"
    elif not np.isfinite(single["low"]):
        note += "; raters agree but for a constant: no error to judge an interval by"
    return {
        "value": single["value"],
        "low": single["low"],
        "high": single["high"],
        "type": "ICC2",
        "note": note,
        "forms": forms.to_dict("index"),
        "kendall_w": {"value": w, "low": low, "high": high, "p": kendall_w(table)[2]},
    }


def limits_facts(
    table: pd.DataFrame, first: str | None, second: str | None, *, value: str
) -> dict[str, Any]:
    """Limits of agreement of measurements, by who and what differs."""
    one, other = two_arms(table, first, second, value)
    limits = limits_of_agreement(table, first=one, second=other, value=value)
    return {"first": one, "second": other, "limits": limits}


def two_arms(
    table: pd.DataFrame, one: str | None, other: str | None, value: str = "rating"
) -> tuple[str, str]:
    """Two arms of a table: those named, else the second and first to appear."""
    check_table(table, columns=["reader", "case", "arm", value], filled=["arm"])
    seen = [str(arm) for arm in dict.fromkeys(table["arm"])]
    if one is None and other is None and len(seen) != 2:
        raise ValueError(f"expected two arms; name two of: {', '.join(seen)}")
    first = one or next(arm for arm in reversed(seen) if arm != other)
    return first, other or next(arm for arm in seen if arm != first)

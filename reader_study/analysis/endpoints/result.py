"""What an endpoint gives: estimate, interval, p-value against any null, one line per reader."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pandas as pd
from scipy import stats

from reader_study.design.analysis_plan import Planned
from reader_study.stats.ordinal.clm import OrdinalFit
from reader_study.stats.roc.obuchowski_rockette import NO_WIDTH, Mrmc

NAN = float("nan")


@dataclass(frozen=True)
class Estimate:
    """One result; ``p_at`` gives the two-sided p-value against any null value."""

    value: float
    low: float
    high: float
    p_at: Callable[[float], float] = field(repr=False, compare=False)
    n: int = 0
    n_readers: int = 0
    n_cases: int = 0
    n_patients: int = 0
    df: float = NAN
    scope: str = "readers and cases"
    note: str = ""
    readers: tuple[dict[str, Any], ...] = ()
    extra: dict[str, Any] = field(default_factory=dict)
    fit: OrdinalFit | None = field(default=None, repr=False, compare=False)


def nothing(note: str) -> Estimate:
    """An endpoint that could not be estimated, with the reason."""
    return Estimate(NAN, NAN, NAN, lambda _null: NAN, note=note)


def from_mrmc(result: Mrmc, test: Planned, *, note: str, scope: str) -> Estimate:
    """The difference of two arms in an MRMC analysis, new minus reference."""
    row = result.differences.iloc[0]
    sign = 1.0 if row["first"] == test.new else -1.0
    value, se, df = sign * float(row["difference"]), float(row["se"]), float(row["df"])
    low, high = sorted((sign * float(row["low"]), sign * float(row["high"])))
    each = result.reader_differences.assign(value=sign * result.reader_differences["difference"])
    ends = sign * each[["low", "high"]].to_numpy()
    each = each.assign(low=ends.min(axis=1), high=ends.max(axis=1))

    def p_at(null: float) -> float:
        if se <= 0:  # all readers separate the cases perfectly: nothing to judge by
            return 1.0 if value == null else NAN
        return float(2 * stats.t.sf(abs(value - null) / se, min(df, 1e9)))

    means = result.arm_means[["arm", "mean", "low", "high"]].to_dict("records")
    if se <= 0:
        note = "; ".join(part for part in (note, NO_WIDTH) if part)
    return Estimate(
        value,
        low,
        high,
        p_at,
        df=df,
        scope=scope,
        note=note,
        readers=records(each[["reader", "value", "low", "high"]]),
        extra={"arm_means": means, "components": result.components, "method": result.method},
    )


def records(table: pd.DataFrame) -> tuple[dict[str, Any], ...]:
    """Rows of a table as plain dictionaries."""
    return tuple(table.to_dict("records"))

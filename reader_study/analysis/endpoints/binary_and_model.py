"""Endpoints of calls (sensitivity, specificity, ...), and of a model beside the readers."""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from reader_study.analysis.endpoints.outcome_tables import cluster_of
from reader_study.analysis.endpoints.result import Estimate, from_mrmc, nothing
from reader_study.design.analysis_plan import LEVEL, Planned
from reader_study.stats.roc.ai_versus_readers import AiVersusReaders, ai_versus_readers
from reader_study.stats.roc.mrmc import figure_named, mrmc


def called_share(
    test: Planned, table: pd.DataFrame, truth: pd.DataFrame, changes: dict[str, Any]
) -> Estimate:
    """Difference of two arms in a share of calls; cases that somebody did not read are left out.

    Parameters
    ----------
    table : ``reader, case, arm, rating`` and perhaps ``patient``
    truth : ``case, truth``
    changes : options of :func:`reader_study.stats.roc.mrmc.mrmc`
    """
    joined, note = read_by_all(table.merge(truth, on="case", how="left"))
    alone = joined["reader"].nunique() < 2
    options = {
        "readers": "fixed" if alone else "random",
        "figure": figure_named(f"{test.endpoint}:{test.called_from}"),
        "cluster": cluster_of(joined),
        **changes,
    }
    try:
        result = mrmc(joined, arms=(test.new, test.reference), **options)
    except ValueError as error:
        return nothing(str(error))
    scope = "cases" if options["readers"] == "fixed" else "readers and cases"
    found = from_mrmc(result, test, note=note, scope=scope)
    extra = {**found.extra, "called_from": test.called_from}
    n, n_readers, n_cases = _counts(joined)
    return replace(found, extra=extra, n=n, n_readers=n_readers, n_cases=n_cases)


def model_beside_readers(
    test: Planned,
    table: pd.DataFrame,
    truth: pd.DataFrame,
    scores: dict[str, float],
    changes: dict[str, Any],
) -> Estimate:
    """Area of the model minus the mean of the readers on the same cases.

    Parameters
    ----------
    table : ``reader, case, rating`` of the arm read
    scores : the model's score of each case
    changes : options of :func:`reader_study.stats.roc.ai_versus_readers.ai_versus_readers`
    """
    panel, note = read_by_all(with_model(test, table, scores))
    joined = panel.merge(truth, on="case", how="left")
    count = joined["reader"].nunique() - 1
    options = {
        "readers": "fixed" if count < 2 else "random",
        "cluster": cluster_of(joined),
        **changes,
    }
    try:
        found = ai_versus_readers(joined, ai=test.new, level=LEVEL, **options)
    except ValueError as error:
        return nothing(str(error))
    counts = _counts(joined[joined["reader"] != test.new])
    said = "; ".join(part for part in (note, _without_few(found.note)) if part)
    return _as_estimate(found, said, test, options["readers"], counts)


def with_model(test: Planned, table: pd.DataFrame, scores: dict[str, float]) -> pd.DataFrame:
    """The readers' ratings, one per case, and the model's scores as those of one more reader."""
    keys = ["reader", "case", *(["patient"] if "patient" in table else [])]
    readers = table.groupby(keys, as_index=False)["rating"].mean()
    model = readers.drop_duplicates("case").assign(reader=test.new)
    model["rating"] = model["case"].map(scores).astype(float)
    return pd.concat([readers, model], ignore_index=True).assign(arm=test.reference)


def read_by_all(table: pd.DataFrame) -> tuple[pd.DataFrame, str]:
    """Rows of the cases that every reader rated in every arm, and what was left out."""
    cells = table.groupby(["reader", "arm"]).ngroups
    rated = table.groupby("case")["rating"].transform("size") == cells
    lost = table.loc[~rated, "case"].nunique()
    cases = "1 case" if lost == 1 else f"{lost} cases"
    note = f"left out: {cases} that a reader did not rate in every arm" if lost else ""
    return table[rated], note


def _counts(table: pd.DataFrame) -> tuple[int, int, int]:
    """Ratings, readers, cases."""
    return len(table), int(table["reader"].nunique()), int(table["case"].nunique())


def _without_few(note: str) -> str:
    """The report itself says that there are few readers."""
    return "; ".join(part for part in note.split("; ") if "readers: with fewer than" not in part)


def _as_estimate(
    found: AiVersusReaders, note: str, test: Planned, readers: str, counts: tuple[int, int, int]
) -> Estimate:
    law = stats.norm() if np.isinf(found.df) else stats.t(found.df)

    def p_at(null: float) -> float:
        if found.se <= 0:
            return 1.0 if found.difference == null else float("nan")
        return float(2 * law.sf(abs(found.difference - null) / found.se))

    z = float(stats.norm.ppf(0.5 + LEVEL / 2))
    rows = tuple(
        {
            "reader": name,
            "value": found.ai - figure,
            "low": found.ai - figure - z * found.reader_se[name],
            "high": found.ai - figure + z * found.reader_se[name],
        }
        for name, figure in found.figures.items()
        if name != test.new
    )
    means = [
        {"arm": test.new, "mean": found.ai, "low": None, "high": None},
        {"arm": test.reference, "mean": found.readers_mean, "low": None, "high": None},
    ]
    return Estimate(
        found.difference,
        found.low,
        found.high,
        p_at,
        *counts,
        df=found.df,
        scope="cases" if readers == "fixed" else "readers and cases",
        note=note,
        readers=rows,
        extra={"arm_means": means, "components": found.components, "method": "delong"},
    )

"""Answers with and without maps over the images: their table, and the endpoints of an arm."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from reader_study.analysis.endpoints.outcome_tables import (
    cluster_of,
    main_answers,
    readings,
)
from reader_study.analysis.endpoints.result import NAN, Estimate, nothing
from reader_study.design.analysis_plan import LEVEL, Planned
from reader_study.record.study_record import UnblindedStudy
from reader_study.stats.paired.crossed_mean import crossed_mean
from reader_study.stats.paired.crossed_share import Contrast, crossed_contrast


def assisted_endpoint(test: Planned, table: pd.DataFrame) -> Estimate:
    """New arm minus reference in what the endpoint counts; for ``time`` the ratio of times.

    Where readers met a case in both arms, the difference is taken within reader and case, and
    cases read in one of them are left out; in a Latin square, where nobody did, over all readings.

    Parameters
    ----------
    table : ``reader, case, arm, rating`` and perhaps ``patient``; higher ratings are better
    """
    try:
        found = _contrast(test, table)
    except ValueError as error:
        return nothing(str(error))
    scaled = np.exp if test.endpoint == "time" else float

    def p_at(null: float) -> float:
        at = float(np.log(null)) if test.endpoint == "time" else null
        if not (found.se > 0 and found.df > 0):
            return NAN
        return float(2 * stats.t.sf(abs(found.difference - at) / found.se, found.df))

    arms = (test.new, test.reference)
    value, low, high = (float(scaled(end)) for end in (found.difference, found.low, found.high))
    return Estimate(
        value,
        low,
        high,
        p_at,
        found.n,
        table["reader"].nunique(),
        table["case"].nunique(),
        df=found.df,
        scope=found.scope,
        note=found.note,
        readers=tuple(_reader_rows(test, table, scaled)),
        extra={
            "within": found.within,
            "arm_means": [_arm_mean(test, table[table["arm"] == arm], arm) for arm in arms],
        },
    )


def _arm_mean(test: Planned, own: pd.DataFrame, arm: str) -> dict[str, Any]:
    """What one arm reached, for new readers and cases; seconds for ``time``."""
    cluster = cluster_of(own)
    mean = crossed_mean(
        own["rating"],
        own["reader"],
        own["case"],
        clusters=None if cluster is None else own[cluster],
        level=LEVEL,
    )
    ends = (mean.mean, mean.low, mean.high)
    if test.endpoint == "time":  # ratings are minus the logarithm of seconds
        ends = tuple(float(np.exp(-end)) for end in (mean.mean, mean.high, mean.low))
    return {"arm": arm, **dict(zip(("mean", "low", "high"), ends, strict=True))}


def _contrast(test: Planned, table: pd.DataFrame) -> Contrast:
    cluster = cluster_of(table)
    return crossed_contrast(
        *(table[name] for name in ("rating", "reader", "case", "arm")),
        first=test.new,
        second=test.reference,
        clusters=None if cluster is None else table[cluster],
        level=LEVEL,
    )


def _reader_rows(
    test: Planned, table: pd.DataFrame, scaled: Callable[[float], float]
) -> Iterator[dict[str, Any]]:
    """One line per reader who read in both arms, the limits for other cases."""
    for reader, own in table.groupby("reader", sort=True):
        if set(own["arm"]) >= {test.new, test.reference}:
            one = _contrast(test, own)
            ends = {"value": one.difference, "low": one.low, "high": one.high}
            yield {"reader": reader, "n": one.n} | {k: float(scaled(v)) for k, v in ends.items()}


def assisted_answers(record: UnblindedStudy, ratings: pd.DataFrame) -> pd.DataFrame:
    """Answers with and without overlays, as ``reader-study stats reliance`` reads them.

    A row is a main trial of the primary item, a scale, in any arm: an answer is right where it is
    at or above ``analysis.called_from`` and the case has a lesion, or below and it has none.

    Returns
    -------
    DataFrame
        ``reader, case, overlay`` (the arm's kind, or none), ``advice_right`` (1 for the own map of
        a case whose map is right, 0 for other maps, empty without one), ``first_right``,
        ``final_right``, ``confidence`` and ``first_confidence`` (0 to 1), ``seconds`` and
        ``first_seconds``, ``session``, ``trial``. What was not asked is empty. In a study of
        several sessions a reader meets a case once in each.

    Raises
    ------
    ValueError
        The study has no overlays, or its protocol does not say which answers are calls.
    """
    protocol = record.protocol
    item, called = protocol.analysis.primary_item, protocol.analysis.called_from
    if protocol.overlay is None or called is None:
        raise ValueError(
            "expected a study with a table [overlay] and analysis.called_from, the lowest answer "
            "that is a call; without them no answer is right or wrong"
        )
    cases = {case.name: case for case in protocol.cases}
    kinds = {arm.name: arm.overlay for arm in protocol.arms}
    shown = main_answers(ratings, item)
    kind = shown["arm_left"].map(kinds)
    good = shown["case"].map(lambda name: cases[name].overlay_right) & (kind == "own")
    lesions = {name for name, case in cases.items() if case.lesions}
    sure = protocol.overlay.confidence_item
    made = shown[["trial", "reader", "case", "session"]].assign(
        overlay=kind.fillna("none"),
        advice_right=good.astype(float).where(kind.notna()),
        **readings(ratings, shown, item, sure, called, lesions),
    )
    return made.reset_index(drop=True)

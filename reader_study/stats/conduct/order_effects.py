"""What else moved the answers: position in the list, session, order of arms, haste, gaps.

These checks are descriptive. A study of balanced design is not biased by them; they show
whether the noise they add was large.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import stats

from reader_study.stats.tables import check_table, refuse

COLUMNS = ["effect", "outcome", "estimate", "low", "high", "p", "n_readers", "note"]


def over_readers(
    values: Sequence[float], *, level: float = 0.95
) -> tuple[float, float, float, float]:
    """Mean of one value per reader with its t interval and p against 0.

    Two readers give one degree of freedom and a very wide interval; one reader gives none
    (limits and p NaN).

    Examples
    --------
    >>> over_readers([1.0, 3.0])[0]
    2.0
    >>> over_readers([0.0, 0.0])
    (0.0, 0.0, 0.0, 1.0)
    """
    y = np.asarray(values, dtype=float)
    y = y[np.isfinite(y)]
    if y.size == 0:
        return np.nan, np.nan, np.nan, np.nan
    mean = float(y.mean())
    if y.size < 2:
        return mean, np.nan, np.nan, np.nan
    se = float(y.std(ddof=1) / np.sqrt(y.size))
    if se == 0:
        return mean, mean, mean, float(mean == 0)
    half = float(stats.t.ppf(0.5 + level / 2, y.size - 1)) * se
    p = float(2 * stats.t.sf(abs(mean) / se, y.size - 1))
    return mean, mean - half, mean + half, p


def position_trend(
    trials: pd.DataFrame, *, outcome: str, groups: Sequence[str] = ("reader", "session")
) -> dict[str, object]:
    """Change of ``outcome`` from the first to the last trial of a session (fatigue, learning).

    Parameters
    ----------
    trials : DataFrame
        ``reader, session, position`` and the outcome; ``position`` counts within the list.
    outcome : a number, such as a rating turned towards the new arm, or log seconds
    groups : a line is fitted in each; a reader's slopes are averaged

    Returns
    -------
    dict
        ``effect, outcome, estimate, low, high, p, n_readers, note``; readers are the units.

    Examples
    --------
    >>> trials = pd.DataFrame({"reader": ["A"] * 3 + ["B"] * 3, "session": 1,
    ...                        "position": [1, 2, 3] * 2, "y": [0.0, 1, 2, 1, 2, 3]})
    >>> round(position_trend(trials, outcome="y")["estimate"], 9)
    2.0
    """
    table = check_table(
        trials, columns=["reader", *groups, "position", outcome], numeric=["position", outcome]
    ).dropna(subset=[outcome])
    slopes: dict[object, list[float]] = {}
    for key, part in table.groupby(list(groups), sort=False):
        place = part["position"].to_numpy(float)
        if np.ptp(place) == 0 or len(part) < 3:
            continue
        slope = np.polyfit((place - place.min()) / np.ptp(place), part[outcome], 1)[0]
        reader = key[list(groups).index("reader")] if isinstance(key, tuple) else key
        slopes.setdefault(reader, []).append(float(slope))
    return _row("position, last minus first", outcome, [float(np.mean(s)) for s in slopes.values()])


def session_effect(trials: pd.DataFrame, *, outcome: str) -> dict[str, object]:
    """Last minus first session of each reader, averaged over readers."""
    table = check_table(
        trials, columns=["reader", "session", outcome], numeric=["session", outcome]
    )
    gaps = []
    for _, part in table.dropna(subset=[outcome]).groupby("reader"):
        means = part.groupby("session")[outcome].mean().sort_index()
        if len(means) > 1:
            gaps.append(float(means.iloc[-1] - means.iloc[0]))
    return _row("session, last minus first", outcome, gaps)


def first_seen_effect(trials: pd.DataFrame, *, outcome: str) -> dict[str, object]:
    """First minus later showings of the same case to the same reader (carry-over).

    Parameters
    ----------
    trials : DataFrame
        ``reader, case, arm, session, position`` and the outcome. Each outcome is first centred
        on its reader and arm, so that arms do not enter.
    """
    table = check_table(
        trials,
        columns=["reader", "case", "arm", "session", "position", outcome],
        numeric=["session", "position", outcome],
    ).dropna(subset=[outcome])
    centred = table[outcome] - table.groupby(["reader", "arm"])[outcome].transform("mean")
    table = table.assign(_centred=centred).sort_values(["session", "position"], kind="stable")
    rank = table.groupby(["reader", "case"]).cumcount()
    twice = table.groupby(["reader", "case"])["arm"].transform("size") > 1
    gaps = []
    for _, part in table.assign(_rank=rank)[twice].groupby("reader"):
        first = part.loc[part["_rank"] == 0, "_centred"].mean()
        gaps.append(float(first - part.loc[part["_rank"] > 0, "_centred"].mean()))
    return _row("order, first minus later showing", outcome, gaps)


def _row(effect: str, outcome: str, values: Sequence[float]) -> dict[str, object]:
    estimate, low, high, p = over_readers(values)
    note = "" if len(values) > 1 else "one reader: no interval" if values else "nothing to compare"
    cells = (effect, outcome, estimate, low, high, p, len(values), note)
    return dict(zip(COLUMNS, cells, strict=True))


def speeding(times: pd.DataFrame, *, fastest_s: float) -> pd.DataFrame:
    """Readers and how often they answered a trial in less than ``fastest_s`` seconds.

    Returns
    -------
    DataFrame
        ``reader, n, median_s, fast, share_fast, flagged``; flagged where more than one trial
        in ten is fast or the median is.

    Examples
    --------
    >>> times = pd.DataFrame({"reader": "A", "seconds": [1.0, 8.0, 9.0]})
    >>> speeding(times, fastest_s=2)[["fast", "flagged"]].values.tolist()
    [[1, True]]
    """
    if not fastest_s > 0:
        raise ValueError(f"expected a time above 0 seconds, got {fastest_s}")
    table = check_table(times, columns=["reader", "seconds"], numeric=["seconds"])
    refuse(table["seconds"] < 0, "column 'seconds' is negative", "leave unknown times empty")
    rows = []
    for reader, part in table.dropna(subset=["seconds"]).groupby("reader", sort=True):
        fast = int((part["seconds"] < fastest_s).sum())
        median = float(part["seconds"].median())
        share = fast / len(part)
        rows.append((reader, len(part), median, fast, share, share > 0.1 or median < fastest_s))
    names = ["reader", "n", "median_s", "fast", "share_fast", "flagged"]
    return pd.DataFrame(rows, columns=names)


def missing_counts(expected: pd.DataFrame, given: pd.DataFrame) -> pd.DataFrame:
    """Answers expected, given, withheld and missing for each reader and item.

    Parameters
    ----------
    expected : DataFrame
        ``reader, trial, item``: every answer the design asks for.
    given : DataFrame
        ``reader, trial, item, value``: last revisions; ``cannot-judge`` counts as withheld, an
        empty value as missing.

    Examples
    --------
    >>> asked = pd.DataFrame({"reader": "A", "trial": ["t1", "t2", "t3"], "item": "noise"})
    >>> given = asked.head(2).assign(value=[4, "cannot-judge"])
    >>> missing_counts(asked, given)[["expected", "given", "withheld", "missing"]].values.tolist()
    [[3, 1, 1, 1]]
    """
    keys = ["reader", "trial", "item"]
    check_table(expected, columns=keys, unique=keys)
    if len(given):
        check_table(given, columns=[*keys, "value"], unique=keys)
    joined = expected[keys].merge(given[[*keys, "value"]], on=keys, how="left")
    joined["withheld"] = joined["value"].astype(str) == "cannot-judge"
    joined["given"] = joined["value"].notna() & ~joined["withheld"]
    counted = joined.groupby(["reader", "item"], sort=True).agg(
        expected=("trial", "size"), given=("given", "sum"), withheld=("withheld", "sum")
    )
    counted["missing"] = counted["expected"] - counted["given"] - counted["withheld"]
    return counted.reset_index()

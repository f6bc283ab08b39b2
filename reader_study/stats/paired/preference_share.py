"""Which of two images do readers prefer? Shares per reader, pooled, and the pull of a side.

Trials are rows ``reader, case, left, right, choice`` with ``choice`` left, right or tie.
"""

from dataclasses import asdict, dataclass
from typing import Literal

import numpy as np
import pandas as pd
from scipy import stats

from reader_study.stats.paired.crossed_mean import CrossedMean, crossed_mean
from reader_study.stats.proportions import clopper_pearson
from reader_study.stats.tables import check_levels, check_table, refuse

COLUMNS = ["reader", "case", "left", "right", "choice"]
CHOICES = ["left", "right", "tie"]
Ties = Literal["drop", "half"]


@dataclass(frozen=True)
class PooledShare:
    """Share of decided trials won by ``arm``, with an interval for new readers and cases."""

    arm: str
    over: str
    share: float
    low: float
    high: float
    n: int
    ties: int
    effective_n: float
    df: float
    n_readers: int
    n_cases: int
    scope: str


def trials_from_ratings(ratings: pd.DataFrame, *, item: str | None = None) -> pd.DataFrame:
    """Main-phase pair trials as ``reader, case, left, right, choice`` from the study's table.

    Parameters
    ----------
    ratings : DataFrame
        The unblinded table ``reader, case, kind, layout, item, arm_left, arm_right, value,
        revision``; the last revision of each answer counts.
    item : str, optional
        The question; may be left out when only one has left/right/tie answers.

    Raises
    ------
    ValueError
        If columns are missing, or several questions have such answers and none was named.
    """
    needed = ["reader", "case", "item", "arm_left", "arm_right", "value"]
    pairs = check_table(ratings, columns=needed)
    pairs = pairs[pairs["arm_left"].notna() & pairs["arm_right"].notna()]
    if item is None:
        pairs = pairs[pairs["value"].isin(CHOICES)]
        items = sorted(pairs["item"].unique())
        if len(items) != 1:
            raise ValueError(
                "expected one question with left/right/tie answers, got "
                f"{', '.join(map(str, items)) or 'none'}; name it with item="
            )
        item = items[0]
    pairs = pairs[pairs["item"] == item]
    if "kind" in pairs:
        pairs = pairs[pairs["kind"] == "main"]
    if "revision" in pairs:
        key = ["reader", "trial"] if "trial" in pairs else ["reader", "case"]
        pairs = pairs.sort_values("revision", kind="stable").drop_duplicates(key, keep="last")
    names = {"arm_left": "left", "arm_right": "right", "value": "choice"}
    return pairs.rename(columns=names)[COLUMNS].reset_index(drop=True)


def check_trials(trials: pd.DataFrame) -> pd.DataFrame:
    """A checked copy of pair trials; refuses unknown choices and missing cells by row."""
    table = check_table(trials, columns=COLUMNS, filled=COLUMNS)
    check_levels(table, "choice", CHOICES, what="choices")
    return table


def _scores(trials: pd.DataFrame, arm: str, over: str) -> pd.DataFrame:
    """Trials of one pair of arms with ``won`` = 1, 0 or 0.5 for the first arm."""
    table = check_trials(trials)
    one = (table["left"] == arm) & (table["right"] == over)
    other = (table["left"] == over) & (table["right"] == arm)
    refuse(
        (one | other)
        & table[one | other]
        .duplicated(["reader", "case"], keep=False)
        .reindex(table.index, fill_value=False),
        f"the same reader, case occurs more than once for {arm} beside {over}",
        "keep one trial of each; hidden repeats are not part of the share",
    )
    pair = table[one | other].copy()
    if pair.empty:
        arms = sorted(set(table["left"]) | set(table["right"]))
        raise ValueError(
            f"no trial shows {arm!r} beside {over!r}; arms in the table: {', '.join(arms)}"
        )
    side = np.where(pair["left"] == arm, "left", "right")
    pair["won"] = np.where(pair["choice"] == "tie", 0.5, (pair["choice"] == side).astype(float))
    return pair


def share_per_reader(
    trials: pd.DataFrame, *, arm: str, over: str, level: float = 0.95
) -> pd.DataFrame:
    """Each reader's share of decided trials won by ``arm``, with an exact interval.

    Returns
    -------
    DataFrame
        ``reader, n, wins, losses, ties, share, low, high, p``: Clopper-Pearson limits and the
        exact two-sided binomial p against one half. Ties are counted, not shared out. A
        reader who never decided has share NaN, limits 0 and 1, and p 1.

    Examples
    --------
    >>> trials = pd.DataFrame({"reader": "R1", "case": [1, 2, 3], "left": "a", "right": "b",
    ...                        "choice": ["left", "left", "tie"]})
    >>> share_per_reader(trials, arm="a", over="b")[["wins", "ties", "share", "p"]].values.tolist()
    [[2.0, 1.0, 1.0, 0.5]]
    """
    return _shares(_scores(trials, arm, over), level)


def _shares(pair: pd.DataFrame, level: float) -> pd.DataFrame:
    """Counts, share and exact limits per reader from a column ``won``."""
    rows = []
    for reader, group in pair.groupby("reader", sort=True):
        wins, losses = int((group["won"] == 1).sum()), int((group["won"] == 0).sum())
        decided = wins + losses
        low, high = clopper_pearson(wins, decided, level=level)
        p = float(stats.binomtest(wins, decided).pvalue) if decided else 1.0
        share = wins / decided if decided else np.nan
        rows.append((reader, len(group), wins, losses, len(group) - decided, share, low, high, p))
    names = ["reader", "n", "wins", "losses", "ties", "share", "low", "high", "p"]
    return pd.DataFrame(rows, columns=names)


def proportion_interval(mean: CrossedMean, *, level: float = 0.95) -> tuple[float, float, float]:
    """Korn-Graubard interval of a crossed proportion and its effective sample size.

    The exact binomial interval at the sample size that gives the crossed variance, shrunk for
    the few degrees of freedom (Korn & Graubard 1998, Survey Methodology 24:193). It stays in
    [0, 1]. When every answer is the same the variance is unknown: each case then counts once.

    Examples
    --------
    >>> unanimous = crossed_mean([1, 1, 1, 1], ["A", "A", "B", "B"], [1, 2, 1, 2])
    >>> proportion_interval(unanimous)[2]
    2.0
    """
    p, n = mean.mean, float(mean.n)
    if not np.isfinite(mean.se) or p <= 0 or p >= 1 or mean.se == 0:
        size = float(max(1, mean.n_cases))
    else:
        size = min(n, p * (1 - p) / mean.se**2)
        if n > 1:
            tail = 0.5 + level / 2
            size *= (stats.t.ppf(tail, n - 1) / stats.t.ppf(tail, mean.df)) ** 2
        size = float(min(n, size))
    low, high = clopper_pearson(min(p * size, size), size, level=level)
    return low, high, size


def pooled_share(
    trials: pd.DataFrame,
    *,
    arm: str,
    over: str,
    ties: Ties = "drop",
    cluster: str | None = None,
    level: float = 0.95,
) -> PooledShare:
    """Share of trials won by ``arm`` with an interval for new readers and new cases.

    Parameters
    ----------
    ties : "drop" or "half"
        Ties left out (the share of decided trials) or half a win for either arm.
    cluster : column naming the patient where a patient gives several cases

    Returns
    -------
    PooledShare
        Where no trial was decided the share is NaN and the limits are 0 and 1. One reader
        gives an interval over cases alone; ``scope`` says so.

    Notes
    -----
    Crossed variance (:func:`reader_study.stats.paired.crossed_mean.crossed_mean`) put into a
    binomial interval by :func:`proportion_interval`.
    """
    pair = _scores(trials, arm, over)
    tied = pair["won"] == 0.5
    used = pair[~tied] if ties == "drop" else pair
    if used.empty:
        readers, cases = pair["reader"].nunique(), pair["case"].nunique()
        return PooledShare(
            arm,
            over,
            np.nan,
            0.0,
            1.0,
            0,
            int(tied.sum()),
            0.0,
            0.0,
            readers,
            cases,
            "no decided trial",
        )
    clusters = None if cluster is None else used[cluster]
    mean = crossed_mean(used["won"], used["reader"], used["case"], clusters=clusters, level=level)
    low, high, size = proportion_interval(mean, level=level)
    return PooledShare(
        arm,
        over,
        mean.mean,
        low,
        high,
        mean.n,
        int(tied.sum()),
        size,
        mean.df,
        mean.n_readers,
        mean.n_cases,
        mean.scope,
    )


def position_effect(trials: pd.DataFrame, *, level: float = 0.95) -> pd.DataFrame:
    """Share of left choices among decided trials, per reader and for all (last row, "all").

    Left and right are balanced by design, so a share away from one half is a pull of the
    side, not of an arm. Columns as in :func:`share_per_reader`; the pooled interval is the
    reader-and-case one over the trials of each reader and case, its p is left empty.

    Examples
    --------
    >>> trials = pd.DataFrame({"reader": "R1", "case": [1, 2], "left": "a", "right": "b",
    ...                        "choice": ["left", "right"]})
    >>> position_effect(trials)["share"].tolist()
    [0.5, 0.5]
    """
    table = check_trials(trials)
    table = table.assign(won=table["choice"].map({"left": 1.0, "right": 0.0, "tie": 0.5}))
    each = _shares(table, level)
    decided = table[table["choice"] != "tie"]
    if decided.empty:
        return each
    # A reader may see a case more than once (several pairs of arms): one value per meeting.
    won = (decided["choice"] == "left").groupby([decided["reader"], decided["case"]]).mean()
    keys = won.index.to_frame(index=False)
    mean = crossed_mean(won.to_numpy(), keys["reader"], keys["case"], level=level)
    low, high, _ = proportion_interval(mean, level=level)
    wins, losses = int(each["wins"].sum()), int(each["losses"].sum())
    n, ties = int(each["n"].sum()), int(each["ties"].sum())
    total = ["all", n, wins, losses, ties, mean.mean, low, high, np.nan]
    return pd.concat([each, pd.DataFrame([total], columns=each.columns)], ignore_index=True)


def as_record(share: PooledShare) -> dict[str, object]:
    """The pooled share as a plain dict, for JSON."""
    return asdict(share)

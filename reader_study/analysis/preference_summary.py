"""First results of an unblinded preference study: shares, pooled share, signed-rank test."""

from itertools import combinations
from pathlib import Path
from typing import Any

import pandas as pd

from ctlab.files import plain
from reader_study.analysis.tables import final_ratings, ratings_table
from reader_study.record.study_record import read_unblinded
from reader_study.stats.paired.preference_share import (
    as_record,
    pooled_share,
    position_effect,
    share_per_reader,
    trials_from_ratings,
)
from reader_study.stats.paired.signed_rank import signed_rank


def preference_results(study: str | Path, *, item: str | None = None) -> dict[str, Any]:
    """Preference for each arm over each other: per reader, pooled, and tested.

    Parameters
    ----------
    study : folder of an unblinded study
    item : which preference item; may be left out when there is one

    Returns
    -------
    dict
        ``comparisons``: for each pair of arms ``readers`` (exact shares), ``pooled`` (interval
        over readers and cases) and ``signed_rank`` (exact, on each case's wins minus losses over
        readers); ``position``: share of left answers; ``catch``: answers to identical images.

    Raises
    ------
    ValueError
        Still blinded, no preference item, or no answers.
    """
    record = read_unblinded(study)
    ratings = final_ratings(ratings_table(record))
    names = [item.name for item in record.protocol.items if item.kind == "preference"]
    if item is None and len(names) == 1:
        item = names[0]
    if item is None or item not in names:
        raise ValueError(
            f"expected one of the preference items ({', '.join(names) or 'none here'}), got "
            f"{item}; name it with --item"
        )
    trials = trials_from_ratings(ratings, item=item)
    if trials.empty:
        raise ValueError(f"no reader has answered {item} yet")
    arms = [arm.name for arm in record.protocol.arms]
    return {
        "item": item,
        "comparisons": [_comparison(trials, a, b) for a, b in combinations(arms, 2)],
        "position": plain(position_effect(trials)),
        "catch": _catch(ratings, item),
    }


def _comparison(trials: pd.DataFrame, arm: str, over: str) -> dict[str, Any]:
    net = _net_wins(trials, arm, over)
    test = signed_rank(net.to_numpy())
    return {
        "arm": arm,
        "over": over,
        "readers": plain(share_per_reader(trials, arm=arm, over=over)),
        "pooled": plain(as_record(pooled_share(trials, arm=arm, over=over))),
        "signed_rank": {"w_plus": test.w_plus, "p": test.p, "n": test.n, "n_zero": test.n_zero},
    }


def _net_wins(trials: pd.DataFrame, arm: str, over: str) -> pd.Series:
    """Wins minus losses of ``arm`` for each case, summed over readers; a tie counts nothing."""
    pair = trials[
        ((trials["left"] == arm) & (trials["right"] == over))
        | ((trials["left"] == over) & (trials["right"] == arm))
    ]
    chosen = pair["left"].where(pair["choice"] == "left", pair["right"])
    score = (chosen == arm).astype(int) - (chosen == over).astype(int)
    return score.where(pair["choice"] != "tie", 0).groupby(pair["case"]).sum()


def _catch(ratings: pd.DataFrame, item: str) -> dict[str, int]:
    """How identical images were answered; anything but a tie shows a pull of one side."""
    shown = ratings[(ratings["kind"] == "catch") & (ratings["item"] == item)]
    counts = shown["value"].value_counts()
    return {side: int(counts.get(side, 0)) for side in ("left", "right", "tie")}

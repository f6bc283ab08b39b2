"""Forced-choice answers of a panel: d' of each arm and their differences, for new readers."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from reader_study.stats.conduct.multiplicity import holm
from reader_study.stats.forced_choice.contrast_detail import ContrastDetail, contrast_detail
from reader_study.stats.forced_choice.d_prime import (
    DPrime,
    d_prime_estimate,
    efficiency,
    place_bias,
    slope_of_share,
)
from reader_study.stats.forced_choice.internal_noise import internal_noise
from reader_study.stats.paired.crossed_mean import crossed_mean
from reader_study.stats.paired.crossed_share import crossed_share
from reader_study.stats.tables import check_table, refuse

COLUMNS = ("reader", "case", "arm", "contrast_hu", "correct")
REPEAT = "showing"


@dataclass(frozen=True)
class ForcedChoice:
    """What a panel saw.

    Attributes
    ----------
    arms : DataFrame
        ``arm, contrast_hu, share, share_low, share_high, d_prime, low, high, se, n``; readers and
        images random. ``contrast_hu`` is NaN in the row over all contrasts.
    differences : DataFrame
        ``first, second, share_difference, low, high, p, p_holm, d_prime_difference`` and limits.
    readers : DataFrame
        ``reader, arm, share, d_prime, low, high, n`` and the reader's ``p_place`` (Holm).
    thresholds : contrast at which d' is 1, by arm; empty with a single contrast
    efficiencies : ``arm, contrast_hu, observer, observer_d_prime, efficiency, low, high``
    noise : each reader's own noise over the images', where trials of two places came twice
    """

    places: int
    arms: pd.DataFrame
    differences: pd.DataFrame
    readers: pd.DataFrame
    thresholds: dict[str, ContrastDetail]
    efficiencies: pd.DataFrame
    noise: dict[str, float]
    notes: tuple[str, ...]

    def facts(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "places": self.places,
            "arms": self.arms.to_dict("records"),
            "differences": self.differences.to_dict("records"),
            "readers": self.readers.to_dict("records"),
            "thresholds": {arm: asdict(fit) for arm, fit in self.thresholds.items()},
            "efficiencies": self.efficiencies.to_dict("records"),
            "internal_noise": self.noise,
            "notes": list(self.notes),
        }


def forced_choice(
    table: pd.DataFrame,
    places: int,
    *,
    observers: pd.DataFrame | None = None,
    draws: int = 400,
    seed: int = 0,
) -> ForcedChoice:
    """Analyse answers among ``places``, one of which held the signal.

    Parameters
    ----------
    table : DataFrame
        ``reader, case, arm, contrast_hu, correct`` (0 or 1); a case is one set of images, the same
        in every arm. Optional: ``chosen`` (place, from 1) to test for a preferred place,
        ``showing`` (1, 2) where trials came twice: the first is analysed, both give the noise.
    observers : DataFrame, optional
        ``arm, contrast_hu, observer, d_prime`` of model observers on the same images.
    draws, seed : of the bootstrap of the threshold contrasts

    Raises
    ------
    ValueError
        Columns or values are missing, ``correct`` is not 0 or 1, a reader met a case twice.

    Notes
    -----
    Trials of one reader, and of one case, are not independent: shares have the standard error of
    :func:`~reader_study.stats.paired.crossed_share.crossed_share`; differences
    between arms are taken within reader and case.
    """
    first, repeated = _checked(table, places)
    arms = list(dict.fromkeys(first["arm"]))
    notes: list[str] = []
    thresholds = {}
    if first["contrast_hu"].nunique() > 1:
        for arm in arms:
            part = first[first["arm"] == arm]
            thresholds[arm] = contrast_detail(part, places, draws=draws, seed=seed)
    readers = _readers(first, places)
    biased = sorted(set(readers.loc[readers["p_place"] < 0.05, "reader"]))
    if biased:
        notes.append(f"{', '.join(biased)} preferred a place: d' is too low there")
    if first["reader"].nunique() < 4:
        notes.append("fewer than four readers: limits describe these readers more than new ones")
    table_of_arms = _arms(first, places)
    return ForcedChoice(
        places,
        table_of_arms,
        _differences(first, places),
        readers,
        thresholds,
        _efficiencies(table_of_arms, observers),
        _noise(first, repeated, places, notes),
        tuple(notes),
    )


def _checked(table: pd.DataFrame, places: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """First and second showings."""
    named = ["reader", "case", "arm"]
    numbers = [name for name in ("contrast_hu", "correct", "chosen", REPEAT) if name in table]
    made = check_table(table, columns=COLUMNS, numeric=numbers, filled=[*named, *numbers])
    if places < 2:
        raise ValueError(f"expected two places or more, got {places}; pass how many were shown")
    refuse(~made["correct"].isin([0, 1]), "correct is not 0 or 1", "score the answers first")
    if "chosen" in made:
        outside = ~made["chosen"].isin(range(1, places + 1))
        refuse(outside, f"chosen is not a place from 1 to {places}", "check --places")
    made = made if REPEAT in made else made.assign(**{REPEAT: 1.0})
    refuse(~made[REPEAT].isin([1, 2]), f"{REPEAT} is not 1 or 2", "number the passes")
    first = made[made[REPEAT] == 1]
    twice = first.duplicated(named, keep=False)
    refuse(twice, "a reader met a case of an arm twice", f"number repeats in a column {REPEAT}")
    return first, made[made[REPEAT] == 2]


def _arms(first: pd.DataFrame, places: int) -> pd.DataFrame:
    rows = []
    for arm, part in first.groupby("arm", sort=False):
        contrasts = sorted(part["contrast_hu"].unique())
        groups = [(np.nan, part)]
        if len(contrasts) > 1:
            groups += [(c, part[part["contrast_hu"] == c]) for c in contrasts]
        for contrast, group in groups:
            seen = crossed_share(group["correct"], group["reader"], group["case"])
            right = seen.share * seen.worth
            found = d_prime_estimate(right, seen.worth, places, df=seen.df)
            at = contrasts[0] if len(contrasts) == 1 else contrast
            rows.append({"arm": arm, "contrast_hu": at, **asdict(found), "n": seen.n})
    return pd.DataFrame(rows)


def _differences(first: pd.DataFrame, places: int) -> pd.DataFrame:
    wide = first.pivot_table(index=["reader", "case"], columns="arm", values="correct", sort=False)
    arms, rows = list(dict.fromkeys(first["arm"])), []
    for i, one in enumerate(arms):
        for other in arms[i + 1 :]:
            both = wide[[one, other]].dropna()
            if both.empty:
                continue
            reader, case = (both.index.get_level_values(k) for k in ("reader", "case"))
            gap = crossed_mean(both[one] - both[other], reader, case)
            slopes = [_slope(both[arm].mean(), places) for arm in (one, other)]
            scaled = crossed_mean(
                both[one] / slopes[0][1] - both[other] / slopes[1][1], reader, case
            )
            d_gap = slopes[0][0] - slopes[1][0]
            half = (scaled.high - scaled.low) / 2
            known = gap.se > 0
            p = 2 * stats.t.sf(abs(gap.mean) / gap.se, gap.df) if known else np.nan
            row = {"first": one, "second": other, "share_difference": gap.mean}
            row |= {"low": max(gap.low, -1.0), "high": min(gap.high, 1.0), "p": float(p)}
            row |= {"d_prime_difference": d_gap, "d_prime_low": d_gap - half}
            rows.append(row | {"d_prime_high": d_gap + half, "n": gap.n, "note": gap.note})
    made = pd.DataFrame(rows)
    if len(made):
        made["p_holm"] = holm(list(made["p"]))
    return made


def _slope(share: float, places: int) -> tuple[float, float]:
    """D' and the slope of the share there, both kept off the ends where they are not finite."""
    inside = float(np.clip(share, 1 / places + 1e-3, 1 - 1e-3))
    found = d_prime_estimate(inside * 1e6, 1e6, places).d_prime
    return found, slope_of_share(found, places)


def _readers(first: pd.DataFrame, places: int) -> pd.DataFrame:
    rows = []
    for (reader, arm), part in first.groupby(["reader", "arm"], sort=False):
        found = d_prime_estimate(part["correct"].sum(), len(part), places)
        row = {"reader": reader, "arm": arm, "share": found.share, "d_prime": found.d_prime}
        rows.append(row | {"low": found.low, "high": found.high, "n": len(part)})
    made = pd.DataFrame(rows).assign(p_place=np.nan)
    if "chosen" in first:
        found_p = {r: place_bias(g["chosen"], places)[1] for r, g in first.groupby("reader")}
        adjusted = dict(zip(found_p, holm(list(found_p.values())), strict=True))
        made["p_place"] = made["reader"].map(adjusted)
    return made


def _efficiencies(arms: pd.DataFrame, observers: pd.DataFrame | None) -> pd.DataFrame:
    columns = ["arm", "contrast_hu", "observer", "observer_d_prime", "efficiency", "low", "high"]
    if observers is None:
        return pd.DataFrame(columns=columns)
    observers = check_table(
        observers,
        columns=("arm", "contrast_hu", "observer", "d_prime"),
        unique=("arm", "contrast_hu", "observer"),
        numeric=("contrast_hu", "d_prime"),
    )
    rows = []
    for seen in arms.dropna(subset=["contrast_hu"]).itertuples():
        same = (observers["arm"] == seen.arm) & (observers["contrast_hu"] == seen.contrast_hu)
        human = DPrime(
            seen.share, seen.share_low, seen.share_high, seen.d_prime, seen.low, seen.high, seen.se
        )
        for model in observers[same].itertuples():
            if model.d_prime > 0:
                found = efficiency(human, float(model.d_prime))
                rows.append((seen.arm, seen.contrast_hu, model.observer, model.d_prime, *found))
    return pd.DataFrame(rows, columns=columns)


def _noise(
    first: pd.DataFrame, repeated: pd.DataFrame, places: int, notes: list[str]
) -> dict[str, float]:
    """Own noise of each reader whose trials came twice."""
    if repeated.empty:
        return {}
    if places != 2:
        notes.append("a reader's own noise is told from repeats with two places only")
        return {}
    keys = ["reader", "case", "arm"]
    found: dict[str, float] = {}
    both = first.merge(repeated, on=keys, suffixes=("", "_again"))
    for reader, part in both.groupby("reader"):
        share = (part["correct"].mean() + part["correct_again"].mean()) / 2
        alike = float((part["correct"] == part["correct_again"]).mean())
        if 0.5 < share < 1:
            found[str(reader)] = internal_noise(float(share), alike)
        else:
            notes.append(f"{reader}: {share:.0%} right says nothing about the own noise")
    return found

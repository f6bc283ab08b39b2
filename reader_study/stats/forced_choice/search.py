"""Searches of a panel: lesions found, and the area under the localisation ROC curve."""

from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from reader_study.stats.forced_choice.d_prime import (
    d_prime_estimate,
    efficiency,
    independent_places,
)
from reader_study.stats.paired.crossed_share import crossed_share
from reader_study.stats.roc.mrmc import mrmc
from reader_study.stats.tables import check_table, refuse

COLUMNS = ("reader", "case", "arm", "contrast_hu", "truth", "rating", "found")


@dataclass(frozen=True)
class Search:
    """What a panel found.

    Attributes
    ----------
    arms : DataFrame
        ``arm, contrast_hu, share, low, high, n, readers`` of lesions found; readers and images
        random. ``contrast_hu`` is NaN in the row over all contrasts.
    areas : DataFrame
        ``arm, area, low, high`` under the localisation ROC curve
    differences : DataFrame
        ``first, second, difference, low, high, p`` of these areas
    observers : DataFrame
        ``arm, contrast_hu, observer, share_found, area, d_prime`` as given, with ``places`` (how
        many independent ones the search was worth to this observer) and the panel's ``panel_d``
        and ``efficiency`` with limits, where the number of places is known.
    """

    arms: pd.DataFrame
    areas: pd.DataFrame
    differences: pd.DataFrame
    observers: pd.DataFrame
    notes: tuple[str, ...]

    def facts(self) -> dict[str, Any]:
        """Plain data for JSON."""
        tables = ("arms", "areas", "differences", "observers")
        made = {name: getattr(self, name).to_dict("records") for name in tables}
        return {**made, "notes": list(self.notes)}


def search(table: pd.DataFrame, *, observers: pd.DataFrame | None = None) -> Search:
    """Analyse answers to a search: the most suspicious place, and how sure a lesion is there.

    Parameters
    ----------
    table : DataFrame
        ``reader, case, arm, contrast_hu, truth, rating, found``: ``truth`` 1 where the image holds
        a lesion, ``found`` 1 where it was marked (empty without one), higher ratings surer.
    observers : DataFrame, optional
        ``arm, contrast_hu, observer, d_prime, share_found, area`` of model observers.

    Raises
    ------
    ValueError
        Columns or values are missing, a reader met an image twice in an arm.

    Notes
    -----
    The area under the localisation ROC curve is the chance that the image with a lesion is rated
    higher *and* the lesion marked (Swensson 1996, doi:10.1118/1.597758; Popescu 2007, Med Phys
    34:1556). A lesion that was not marked is rated below every other image;
    the empirical area of those ratings is that area, and its analysis that of areas
    (:func:`~reader_study.stats.roc.mrmc.mrmc`).

    Examples
    --------
    >>> rows = [(r, f"c{k}", a, 80.0, k % 2, 1 + k % 3 + (a == "new"), k % 2 or np.nan)
    ...         for r in "AB" for a in ("new", "old") for k in range(8)]
    >>> found = search(pd.DataFrame(rows, columns=COLUMNS))
    >>> found.arms["share"].tolist()[:1], bool(found.areas["area"].between(0, 1).all())
    ([1.0], True)
    """
    made = check_table(
        table,
        columns=COLUMNS,
        unique=["reader", "case", "arm"],
        numeric=["contrast_hu", "truth", "rating", "found"],
        filled=["reader", "case", "arm", "truth", "rating"],
    )
    refuse(~made["truth"].isin([0, 1]), "truth is not 0 or 1", "1 where there is a lesion")
    held = made["truth"] == 1
    refuse(held & ~made["found"].isin([0, 1]), "found is not 0 or 1", "score the answers first")
    lost = held & (made["found"] == 0)
    rating = made["rating"].where(~lost, made["rating"].min() - 1)
    arms = tuple(dict.fromkeys(made["arm"].astype(str)))
    result = mrmc(
        made.assign(rating=rating)[["reader", "case", "arm", "truth", "rating"]],
        readers="random" if made["reader"].nunique() > 1 else "fixed",
        arms=arms,
    )
    notes = []
    if made["reader"].nunique() < 4:
        notes.append("fewer than four readers: limits describe these readers more than new ones")
    of_arms = _arms(made[held], arms)
    areas = result.arm_means.rename(columns={"mean": "area"})[["arm", "area", "low", "high"]]
    columns = ["first", "second", "difference", "low", "high", "p"]
    differences = result.differences[columns] if len(arms) > 1 else pd.DataFrame(columns=columns)
    assert len(differences) == len(list(combinations(arms, 2)))
    return Search(of_arms, areas, differences, _beside(of_arms, observers), tuple(notes))


def _arms(held: pd.DataFrame, arms: tuple[str, ...]) -> pd.DataFrame:
    rows = []
    for arm in arms:
        own = held[held["arm"] == arm]
        parts = [(np.nan, own), *own.groupby("contrast_hu")]
        for contrast, part in parts if own["contrast_hu"].nunique() > 1 else parts[:1]:
            share = crossed_share(part["found"], part["reader"], part["case"])
            at = part["contrast_hu"].iloc[0] if own["contrast_hu"].nunique() == 1 else contrast
            limits = {"share": share.share, "low": share.low, "high": share.high}
            told = {"worth": share.worth, "n": share.n, "readers": share.n_readers}
            rows.append({"arm": arm, "contrast_hu": at, **limits, **told, "df": share.df})
    return pd.DataFrame(rows)


def _beside(of_arms: pd.DataFrame, observers: pd.DataFrame | None) -> pd.DataFrame:
    """Observers with the number of places their search was worth, and the panel's efficiency."""
    columns = ["arm", "contrast_hu", "observer", "d_prime", "share_found", "area"]
    added = ["places", "panel_d", "efficiency", "low", "high"]
    if observers is None:
        return pd.DataFrame(columns=[*columns, *added])
    given = check_table(
        observers, columns=columns, numeric=["contrast_hu", *columns[3:]], filled=columns
    )
    channelised = given[given["observer"] == "channelised"].set_index(["arm", "contrast_hu"])
    rows = []
    for row in given[columns].to_dict("records"):
        made = {**row, **dict.fromkeys(added, np.nan)}
        key = (row["arm"], row["contrast_hu"])
        here = of_arms[(of_arms["arm"] == key[0]) & (of_arms["contrast_hu"] == key[1])]
        if key in channelised.index and len(here):
            seen = channelised.loc[key]
            made["places"] = independent_places(float(seen["d_prime"]), float(seen["share_found"]))
            if made["places"] >= 2 and row["d_prime"] > 0:
                panel = here.iloc[0]
                right, n = panel["share"] * panel["worth"], panel["worth"]
                human = d_prime_estimate(right, n, round(made["places"]), df=panel["df"])
                made["panel_d"] = human.d_prime
                made |= dict(zip(added[2:], efficiency(human, float(row["d_prime"])), strict=True))
        rows.append(made)
    return pd.DataFrame(rows)

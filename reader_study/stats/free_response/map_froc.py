"""Peaks of a map against places: adjudicated changes, or marks that readers set."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from reader_study.stats.free_response.froc import froc_curve, mean_sensitivity
from reader_study.stats.free_response.maps import Scored, over_patients
from reader_study.stats.free_response.match_marks import match_marks
from reader_study.stats.tables import check_levels, check_table, refuse

CLASSES = ("true-added", "true-lost", "artefact", "unsure")


def adjudicated_marks(
    adjudications: pd.DataFrame, patients: Mapping[str, str], *, classes: Sequence[str]
) -> pd.DataFrame:
    """Marks that all adjudicators put into ``classes``: ``case, patient, z, y, x``, each once.

    Parameters
    ----------
    adjudications : DataFrame
        ``tables/adjudication.csv``: ``adjudicator, reader, trial, case, arm, x, y, z, class``.
    patients : case -> patient
    classes : such as ``("artefact",)``; of true-added, true-lost, artefact, unsure

    Raises
    ------
    ValueError
        With row numbers: empty positions, classes that are none, cases without a patient.

    Examples
    --------
    Two adjudicators agree on the first mark and not on the second:

    >>> table = pd.DataFrame({"adjudicator": ["A1", "A2"] * 2, "reader": "R1", "trial": "t",
    ...     "case": "c", "arm": "new", "x": [1, 1, 9, 9], "y": 2, "z": 3,
    ...     "class": ["artefact", "artefact", "artefact", "unsure"]})
    >>> adjudicated_marks(table, {"c": "p"}, classes=("artefact",)).values.tolist()
    [['c', 'p', 3.0, 2.0, 1.0]]
    """
    place = ["z", "y", "x"]
    table = check_table(
        adjudications,
        columns=["adjudicator", "reader", "trial", "case", "arm", *place, "class"],
        numeric=place,
        filled=["adjudicator", "reader", "trial", "case", "arm", *place, "class"],
    )
    check_levels(table, "class", CLASSES, what="classes")
    refuse(~table["case"].isin(list(patients)), "a case without a patient", "name its patient")
    unknown = sorted(set(classes) - set(CLASSES))
    if unknown:
        raise ValueError(f"expected classes of {', '.join(CLASSES)}, got {', '.join(unknown)}")
    keys = ["reader", "trial", "case", "arm", *place]
    agreed = table["class"].isin(list(classes)).groupby([table[k] for k in keys], sort=False).all()
    lesions = agreed[agreed].index.to_frame(index=False)[["case", *place]].drop_duplicates()
    lesions.insert(1, "patient", lesions["case"].map(patients))
    return lesions.reset_index(drop=True)


def map_froc(
    peaks: pd.DataFrame, places: pd.DataFrame, *, cases: Sequence[str], radius_mm: float
) -> pd.DataFrame:
    """FROC curve of a map's peaks against places that readers marked.

    Parameters
    ----------
    peaks : DataFrame
        ``case, z, y, x, rating`` (mm), from :func:`map_peaks`, all cases together.
    places : DataFrame
        ``case, z, y, x`` (mm): adjudicated changes, or marks of readers.
    cases : all cases scored, also those without a place

    Returns
    -------
    DataFrame
        As :func:`reader_study.stats.free_response.froc.froc_curve` gives for one reader and arm; of
        a map without any peak only the point where nothing is found.

    Raises
    ------
    ValueError
        Without a place, or (with row numbers) for places in cases that are not listed.

    Examples
    --------
    >>> peaks = pd.DataFrame({"case": ["a", "b"], "z": 0.0, "y": 5.0, "x": 5.0, "rating": [2, 1]})
    >>> places = pd.DataFrame({"case": ["a"], "z": 0.0, "y": 6.0, "x": 5.0})
    >>> map_froc(peaks, places, cases=["a", "b"], radius_mm=3.0)[["nlf", "llf"]].values.tolist()
    [[0.0, 0.0], [0.0, 1.0], [0.5, 1.0]]
    """
    known = _known(places, cases)
    if peaks.empty:
        start = {"arm": "map", "reader": "map", "threshold": np.inf, "nlf": 0.0, "llf": 0.0}
        return pd.DataFrame([start])
    marks = peaks.assign(reader="map", arm="map")
    matched = match_marks(marks, known, radius_mm=radius_mm)
    counts = known.groupby("case").size().reindex(list(cases), fill_value=0)
    table = pd.DataFrame(
        {"case": list(cases), "truth": (counts > 0).astype(int), "n_lesions": counts.to_numpy()}
    ).reset_index(drop=True)
    return froc_curve(matched, table)


def froc_score(
    peaks: pd.DataFrame,
    places: pd.DataFrame,
    *,
    patients: Mapping[str, str],
    radius_mm: float,
    rng: np.random.Generator,
    replicates: int = 2000,
) -> Scored:
    """Mean share of places found at 1/8 to 8 false peaks per case, with a patient bootstrap.

    Parameters
    ----------
    peaks, places, radius_mm : as in :func:`map_froc`
    patients : case -> patient, of all cases scored

    Raises
    ------
    ValueError
        As :func:`map_froc`.

    Notes
    -----
    The seven rates are those of Setio et al. 2017 (doi:10.1016/j.media.2017.06.015).

    Examples
    --------
    Both places are found, and no peak lies elsewhere:

    >>> places = pd.DataFrame({"case": ["A", "B"], "x": [0.0, 9.0], "y": 0.0, "z": 0.0})
    >>> patients, rng = {"A": "P1", "B": "P2"}, np.random.default_rng(0)
    >>> peaks = places.assign(rating=[0.9, 0.8])
    >>> froc_score(peaks, places, patients=patients, radius_mm=3.0, rng=rng).value
    1.0
    """
    cases = list(patients)
    known = _known(places, cases)
    lesions = known.groupby("case").size().reindex(cases, fill_value=0).to_numpy()
    marks = (
        pd.DataFrame(columns=["case", "rating", "mark"])
        if peaks.empty
        else match_marks(peaks.assign(reader="map", arm="map"), known, radius_mm=radius_mm)
    )
    refuse(~marks["case"].isin(cases), "a peak in a case not listed", "add the case")
    ratings = {
        kind: [
            marks.loc[(marks["case"] == c) & (marks["mark"] == kind), "rating"].to_numpy(float)
            for c in cases
        ]
        for kind in ("LL", "NL")
    }

    def score(table: pd.DataFrame) -> float:
        drawn = table["number"].to_numpy()
        localised, false = (np.concatenate([ratings[k][i] for i in drawn]) for k in ("LL", "NL"))
        return mean_sensitivity(
            false, localised, lesions=int(lesions[drawn].sum()), cases=len(drawn)
        )

    table = pd.DataFrame({"patient": list(patients.values()), "number": np.arange(len(cases))})
    return over_patients(table, score, rng=rng, replicates=replicates)


def _known(places: pd.DataFrame, cases: Sequence[str]) -> pd.DataFrame:
    """Checked places, numbered within their case."""
    if places.empty:
        raise ValueError("expected at least one place: without one there is no share found")
    known = check_table(places, columns=["case", "z", "y", "x"], numeric=["z", "y", "x"])
    refuse(~known["case"].isin(list(cases)), "a place in a case not listed", "add the case")
    return known.assign(lesion=known.groupby("case").cumcount() + 1)

"""Answers of the pages, scored with the coordinator's key."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from ctlab.input_files import declared, read_json
from reader_study.forced_choice.pages import SEARCH
from reader_study.stats.read_table import read_table
from reader_study.stats.tables import check_table, refuse

MOST_SURE = 6
_KEY = "is no key of forced-choice pages", "keep key.json as reader-study forced-choice wrote it"


def score_answers(key: str | Path, answers: Sequence[str | Path]) -> pd.DataFrame:
    """One row per answer: ``reader, case, arm, contrast_hu, correct, chosen, seconds``.

    Of a search instead ``truth`` (1 with a lesion), ``rating`` (1 to 6, 6 surest), ``found`` (1 or
    0 with a lesion, else empty: marked within a diameter of its centre) and ``distance_mm``.

    Parameters
    ----------
    key : ``key.json`` of the pages
    answers : tables that the pages handed out, ``token, chosen, seconds``

    Raises
    ------
    ValueError
        A token that the key does not know, a trial answered twice, a place that was not shown, or
        answers of one reader in two files.
    """
    content = read_json(key, *_KEY)
    with declared(key, *_KEY):
        places = int(content["places"])
        trials = {str(token): dict(trial) for token, trial in content["trials"].items()}
        search = content.get("task") == SEARCH
        scale = (float(content["pixel_mm"]), float(content["diameter_mm"])) if search else None
    given = ("y", "x", "rating") if search else ("chosen",)
    parts = []
    for path in answers:
        found = read_table(Path(path), keys={"token"})
        found = check_table(
            found,
            columns=("token", *given, "seconds"),
            unique=("token",),
            numeric=(*given, "seconds"),
            filled=("token", *given),
        )
        refuse(
            ~found["token"].isin(trials),
            f"{Path(path).name}: a token that this key does not know",
            "give the key of these pages",
        )
        name, highest = given[-1], MOST_SURE if search else places
        outside = ~found[name].isin(range(1, highest + 1))
        said = f"{Path(path).name}: no {'rating' if search else 'place'} from 1 to {highest}"
        refuse(outside, said, "ask for the file anew")
        rows = pd.DataFrame([trials[token] for token in found["token"]])
        scored = _searched(found, rows, *scale) if scale else _chosen(found, rows)
        named = rows[["reader", "case", "arm", "contrast_hu"]]
        parts.append(named.assign(**scored, seconds=found["seconds"].to_numpy(float)))
    table = pd.concat(parts, ignore_index=True)
    twice = table.duplicated(["reader", "case", "arm"], keep=False)
    if twice.any():
        named = ", ".join(sorted(set(table.loc[twice, "reader"])))
        raise ValueError(f"expected one file a reader, got answers of {named} twice; leave one out")
    return table


def _chosen(found: pd.DataFrame, rows: pd.DataFrame) -> dict[str, np.ndarray]:
    chosen = found["chosen"].to_numpy(int)
    return {"correct": (rows["place"].to_numpy(int) == chosen).astype(int), "chosen": chosen}


def _searched(
    found: pd.DataFrame, rows: pd.DataFrame, pixel_mm: float, diameter_mm: float
) -> dict[str, np.ndarray]:
    places = [place or (np.nan, np.nan) for place in rows["place"]]
    away = pixel_mm * np.hypot(*(found[["y", "x"]].to_numpy(float) - np.array(places, float)).T)
    truth = rows["place"].notna().to_numpy()
    return {
        "truth": truth.astype(int),
        "rating": found["rating"].to_numpy(int),
        "found": np.where(truth, away <= diameter_mm, np.nan),
        "distance_mm": away.round(2),
    }

"""Answers of the pages, scored with the coordinator's key."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from ctlab.input_files import declared, read_json
from reader_study.stats.read_table import read_table
from reader_study.stats.tables import check_table, refuse

_KEY = "is no key of forced-choice pages", "keep key.json as reader-study forced-choice wrote it"


def score_answers(key: str | Path, answers: Sequence[str | Path]) -> pd.DataFrame:
    """One row per answer: ``reader, case, arm, contrast_hu, correct, chosen, seconds``.

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
    parts = []
    for path in answers:
        found = read_table(Path(path), keys={"token"})
        found = check_table(
            found,
            columns=("token", "chosen", "seconds"),
            unique=("token",),
            numeric=("chosen", "seconds"),
            filled=("token", "chosen"),
        )
        refuse(
            ~found["token"].isin(trials),
            f"{Path(path).name}: a token that this key does not know",
            "give the key of these pages",
        )
        outside = ~found["chosen"].isin(range(1, places + 1))
        refuse(outside, f"{Path(path).name}: no place from 1 to {places}", "ask for the file anew")
        rows = pd.DataFrame([trials[token] for token in found["token"]])
        chosen = found["chosen"].to_numpy(int)
        made = rows[["reader", "case", "arm", "contrast_hu"]].assign(
            correct=(rows["place"].to_numpy(int) == chosen).astype(int),
            chosen=chosen,
            seconds=found["seconds"].to_numpy(float),
        )
        parts.append(made)
    table = pd.concat(parts, ignore_index=True)
    twice = table.duplicated(["reader", "case", "arm"], keep=False)
    if twice.any():
        named = ", ".join(sorted(set(table.loc[twice, "reader"])))
        raise ValueError(f"expected one file a reader, got answers of {named} twice; leave one out")
    return table

"""Answer validation: every answer of a record is one that its protocol offers."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from reader_study.design.overlay import FIRST
from reader_study.design.protocol import Item
from reader_study.room.answer_check import checked_value
from reader_study.stats.tables import refuse


def check_answers_in_protocol(ratings: pd.DataFrame, items: Sequence[Item]) -> None:
    """Nothing where every answer is one that its question offers.

    Parameters
    ----------
    ratings : DataFrame
        ``item`` and ``value``, one answer a row, as ``export --to csv`` writes them; empty values
        (answers taken back) pass.
    items : the questions of the protocol

    Raises
    ------
    ValueError
        Naming the answer, the question and the rows of the exported table.

    Examples
    --------
    >>> table = pd.DataFrame({"item": ["noise"] * 2, "value": [3, 9]})
    >>> noise = Item(name="noise", kind="scale", question="?", answers=("a", "b", "c"))
    >>> check_answers_in_protocol(table, [noise])
    Traceback (most recent call last):
        ...
    ValueError: the answer 9 to 'noise' is not one that the protocol offers in row 3 (the header is
    row 1); it was not given in the reading room: mend the record or leave it out
    """
    asked: dict[str, dict[str, Any]] = {"guess": {"kind": "guess"}}
    asked |= {item.name: item.model_dump() for item in items}
    given = ratings["value"].notna()
    pairs = ratings.loc[given, ["item", "value"]].drop_duplicates()
    asked |= {f"{item.name}{FIRST}": item.model_dump() for item in items}
    for name, value in pairs.itertuples(index=False):
        if name not in asked or not _is_offered(asked[name], value):
            refuse(
                given & (ratings["item"] == name) & (ratings["value"] == value),
                f"the answer {value!r} to {name!r} is not one that the protocol offers",
                "it was not given in the reading room: mend the record or leave it out",
            )


def _is_offered(item: dict[str, Any], value: Any) -> bool:
    try:
        checked_value(item, value)
    except ValueError:
        return False
    return True

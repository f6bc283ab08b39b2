"""Ratings of subjects by raters, read as numbers or as names of categories."""

import re
from typing import Literal

import pandas as pd

from reader_study.stats.tables import (
    MISSING,
    MISSING_WORDS,
    as_numbers,
    check_labels,
    refuse,
)

Level = Literal["nominal", "ordinal", "interval", "ratio"]
# A whole number as people and programs write it; 01 is a name.
# Columns that name subjects or readings, never raters; rows from which names show by themselves.
NAMES = ("id", "case", "patient", "reader", "rater", "arm", "lesion", "image", "left", "right")
MANY = 8
WHOLE = re.compile(r"[+-]?(?:0|[1-9][0-9]*)(?:[.,]0+)?")


def read_raters(table: pd.DataFrame, level: Level = "nominal") -> pd.DataFrame:
    """Ratings as numbers, subjects without any rating left out.

    A column ``subject`` becomes the index; on a nominal level text categories are numbered in
    sorted order.

    Raises
    ------
    ValueError
        With row numbers for a subject that occurs twice, text on a scale with an order and
        negative numbers on a ratio scale; with fewer than two raters, or no subject rated twice.
    """
    if "subject" in table:
        refuse(
            table["subject"].duplicated(keep=False),
            "the same subject occurs more than once",
            "write one row per subject",
        )
    raw = table.set_index("subject") if "subject" in table else table
    _refuse_names(raw)
    numbers = _codes(table, raw) if level == "nominal" else raw.copy()
    for name in () if level == "nominal" else raw:
        given = as_numbers(table, name)
        numbers[name] = given.to_numpy()
        if level == "ratio":
            refuse(
                given < 0,
                f"column {name!r} holds numbers below 0",
                "a ratio scale has a true zero; write amounts, or use the interval level",
            )
    numbers = numbers.dropna(how="all").astype(float)
    if numbers.shape[1] < 2 or (numbers.notna().sum(axis=1) >= 2).sum() < 1:
        raise ValueError(
            f"expected two raters and a subject rated by both, got {numbers.shape[1]} columns and "
            f"{int((numbers.notna().sum(axis=1) >= 2).sum())} such subjects"
        )
    return numbers


def _refuse_names(raw: pd.DataFrame) -> None:
    """Refuse a column that names subjects and would count as one more rater."""
    named = [name for name in raw if str(name).casefold() in NAMES]
    first = raw.iloc[:, 0].astype(str) if raw.shape[1] else pd.Series(dtype=str)
    counts = [str(row + 1) for row in range(len(first))]
    words = pd.to_numeric(first.str.replace(",", "."), errors="coerce").isna().all()
    names = words and first.nunique() == len(first)
    if len(first) >= MANY and (names or list(first) == counts):
        named.append(raw.columns[0])
    if named:
        raise ValueError(
            f"expected the column subject and one column for each rater, got {named[0]!r}, which "
            "names the rows; call it subject or leave it out"
        )


def _codes(table: pd.DataFrame, raw: pd.DataFrame) -> pd.DataFrame:
    """Categories as numbers: whole numbers as they are, other text numbered in sorted order.

    Text is compared as it stands ("1.1" and "1.10" are two categories), but where all cells are
    whole numbers "1" and "1.0" are one.
    """
    text = [name for name in raw if not pd.api.types.is_numeric_dtype(raw[name])]
    if not text:
        return raw
    check_labels(table, text)
    label = raw.apply(lambda column: column.map(str, na_action="ignore").str.strip())
    label = label.where(label.notna() & ~label.isin(list(MISSING_WORDS)))
    values = {value for value in label.to_numpy().ravel() if isinstance(value, str)}
    numbers = values - MISSING
    if numbers and all(WHOLE.fullmatch(value) for value in numbers):
        return label.apply(lambda column: pd.to_numeric(column.str.replace(",", "."), "coerce"))
    twice = [value for value in sorted(values) if {value, f"{value}.0"} <= values]
    if twice:
        both = label.isin([twice[0], f"{twice[0]}.0"]).any(axis=1)
        refuse(
            both.set_axis(table.index),
            f"categories {twice[0]!r} and '{twice[0]}.0'",
            "write one of them everywhere",
        )
    order = {value: float(at) for at, value in enumerate(sorted(values), 1)}
    return label.apply(lambda column: column.map(order))

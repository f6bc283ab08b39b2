"""Input tables: what is refused, and in which rows it was found.

Rows are counted as a spreadsheet shows them: the header is row 1, the first record row 2. A table
read from a file carries its own row numbers (:mod:`reader_study.stats.read_table`).
"""

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

HEADER_ROWS = 1
# Cells that mean "no value" in a column of numbers.
MISSING = frozenset(
    ("", "NA", "N/A", "n/a", "#N/A", "NaN", "nan", "-nan", "NULL", "null", "None", "<NA>")
)
# Cells that mean "no value" in a column of words: spreadsheets leave it empty, R writes NA.
MISSING_WORDS = frozenset(("", "NA"))

# How R, spreadsheets and pandas write a logical value.
LOGICAL = {"TRUE": 1, "FALSE": 0, "True": 1, "False": 0}


@dataclass(frozen=True)
class FileRows:
    """Name of an index that holds rows of a file; ``header`` is the row of the header."""

    header: int


def listed_rows(rows: Sequence[int]) -> str:
    """Row numbers as text, at most five named.

    Examples
    --------
    >>> listed_rows([2]), listed_rows(range(2, 9))
    ('row 2', 'rows 2, 3, 4, 5, 6 and 2 more')
    """
    text = ("row " if len(rows) == 1 else "rows ") + ", ".join(str(row) for row in rows[:5])
    return text if len(rows) <= 5 else f"{text} and {len(rows) - 5} more"


def _place(bad: Iterable[bool]) -> tuple[str, int]:
    """Rows where ``bad`` is true, as text, and the row of the header."""
    if isinstance(bad, pd.Series) and isinstance(bad.index.name, FileRows):
        at = bad.index[bad.to_numpy(dtype=bool)]
        return listed_rows([int(row) for row in at]), bad.index.name.header
    rows = np.flatnonzero(np.asarray(list(bad), dtype=bool)) + HEADER_ROWS + 1
    return listed_rows(rows.tolist()), HEADER_ROWS


def spreadsheet_rows(bad: Iterable[bool]) -> str:
    """The rows that are ``True``, as text with spreadsheet numbers, at most five named.

    Examples
    --------
    >>> spreadsheet_rows([False, True, True])
    'rows 3, 4'
    >>> spreadsheet_rows([True])
    'row 2'
    """
    return _place(bad)[0]


def refuse(bad: Iterable[bool], what: str, remedy: str) -> None:
    """Raise ``ValueError`` naming the rows where ``bad`` is true; nothing where none is."""
    flags = bad if isinstance(bad, pd.Series) else np.asarray(list(bad), dtype=bool)
    if np.asarray(flags, dtype=bool).any():
        rows, header = _place(flags)
        raise ValueError(f"{what} in {rows} (the header is row {header}); {remedy}")


def folded(label: str) -> str:
    """The label without what the eye does not tell apart: blanks around it, runs of them, case.

    Examples
    --------
    >>> folded(" Full  dose ") == folded("full dose")
    True
    """
    return " ".join(unicodedata.normalize("NFKC", label).casefold().split())


def check_labels(table: pd.DataFrame, columns: Sequence[str]) -> None:
    """Refuse labels that differ only by blanks or case, in one column or between several.

    Examples
    --------
    >>> check_labels(pd.DataFrame({"arm": ["full", "low", "Full "]}), ["arm"])
    Traceback (most recent call last):
        ...
    ValueError: column 'arm' holds 'full' in row 2 and 'Full ' in row 4 (the header is row 1),
    which differ only by blanks or case; write one label for one thing
    """
    known: dict[str, tuple[str, str]] = {}
    for name in columns:
        if pd.api.types.is_numeric_dtype(table[name]):
            continue
        for label in table[name].dropna().unique():
            if not isinstance(label, str):
                continue
            first, other = known.setdefault(folded(label), (name, label))
            if other != label:
                rows = [_place(table[at] == text) for at, text in ((first, other), (name, label))]
                both = "" if first == name else f"column {name!r} "
                raise ValueError(
                    f"column {first!r} holds {other!r} in {rows[0][0]} and {both}{label!r} in "
                    f"{rows[1][0]} (the header is row {rows[0][1]}), which differ only by blanks "
                    "or case; write one label for one thing"
                )


def require_columns(table: pd.DataFrame, columns: Sequence[str]) -> None:
    """Raise ``ValueError`` when a column is missing or the table is empty."""
    missing = [name for name in columns if name not in table.columns]
    if missing:
        got = ", ".join(map(str, table.columns)) or "none"
        raise ValueError(
            f"expected columns {', '.join(columns)}, got {got} (missing: {', '.join(missing)}); "
            "rename or add the missing ones"
        )
    if table.empty:
        raise ValueError("the table has a header but no rows; export at least one reading")


def as_numbers(table: pd.DataFrame, column: str, *, integers: bool = False) -> pd.Series:
    """``column`` as floats (missing stays missing); text that is no number is refused by row.

    Examples
    --------
    >>> as_numbers(pd.DataFrame({"rating": ["1", "x"]}), "rating")
    Traceback (most recent call last):
        ...
    ValueError: column 'rating' holds text that is no number ('x') in row 3 (the header is row 1);
    write a number or leave the cell empty
    """
    given = table[column].map(lambda value: LOGICAL.get(value, value))
    numbers = pd.to_numeric(given, errors="coerce")
    bad = numbers.isna() & table[column].notna()
    first = table[column][bad].iloc[0] if bad.any() else ""
    refuse(
        bad,
        f"column {column!r} holds text that is no number ({first!r})",
        "write a number or leave the cell empty",
    )
    refuse(np.isinf(numbers), f"column {column!r} is infinite", "write a finite number")
    if integers:
        refuse(
            numbers.notna() & (numbers % 1 != 0),
            f"column {column!r} holds fractions where whole numbers are expected",
            "write whole numbers",
        )
    return numbers.astype(float)


def check_table(
    table: pd.DataFrame,
    *,
    columns: Sequence[str],
    unique: Sequence[str] = (),
    numeric: Sequence[str] = (),
    filled: Sequence[str] = (),
) -> pd.DataFrame:
    """A checked copy: columns present, keys unique and filled, numbers numeric.

    Parameters
    ----------
    table : DataFrame
    columns : names that must exist
    unique : names which together may occur once only
    numeric : names turned into floats
    filled : names in which no cell may be empty (``unique`` ones are always among them)

    Raises
    ------
    ValueError
        Naming the column and the spreadsheet rows.

    Examples
    --------
    >>> twice = pd.DataFrame({"reader": ["R1", "R1"], "case": [7, 7]})
    >>> check_table(twice, columns=["reader", "case"], unique=["reader", "case"])
    Traceback (most recent call last):
        ...
    ValueError: the same reader, case occurs more than once in rows 2, 3 (the header is row 1);
    keep one reading of each
    """
    require_columns(table, columns)
    checked = table.copy()
    for name in dict.fromkeys([*filled, *unique]):
        refuse(table[name].isna(), f"column {name!r} is empty", "fill it in or drop the row")
    for name in dict.fromkeys([*filled, *unique]):
        if name not in numeric:
            check_labels(table, [name])
    for name in numeric:
        checked[name] = as_numbers(table, name)
    if unique:
        refuse(
            table.duplicated(list(unique), keep=False),
            f"the same {', '.join(unique)} occurs more than once",
            "keep one reading of each",
        )
    return checked


def check_levels(
    table: pd.DataFrame, column: str, allowed: Sequence[object], *, what: str = "values"
) -> None:
    """Refuse entries of ``column`` outside ``allowed`` (missing ones pass).

    Examples
    --------
    >>> check_levels(pd.DataFrame({"arm": ["full", "fulll"]}), "arm", ["full"], what="arms")
    Traceback (most recent call last):
        ...
    ValueError: column 'arm' holds 'fulll' in row 3 (the header is row 1); expected arms full
    """
    bad = table[column].notna() & ~table[column].isin(list(allowed))
    unknown = sorted({str(value) for value in table.loc[bad, column]})
    refuse(
        bad,
        f"column {column!r} holds {', '.join(map(repr, unknown[:3]))}",
        f"expected {what} {', '.join(map(str, allowed))}",
    )


def check_scale(table: pd.DataFrame, column: str, *, lowest: float, highest: float) -> None:
    """Refuse answers that a scale does not offer: beyond its ends, or fractions (empty ones pass).

    Examples
    --------
    >>> check_scale(pd.DataFrame({"rating": [1, 6, 2.5]}), "rating", lowest=1, highest=5)
    Traceback (most recent call last):
        ...
    ValueError: column 'rating' holds 6, 2.5 in rows 3, 4 (the header is row 1); expected whole
    numbers from 1 to 5
    """
    numbers = as_numbers(table, column)
    bad = numbers.notna() & ((numbers < lowest) | (numbers > highest) | (numbers % 1 != 0))
    outside = ", ".join(f"{value:g}" for value in numbers[bad].unique()[:3])
    refuse(
        bad,
        f"column {column!r} holds {outside}",
        f"expected whole numbers from {lowest:g} to {highest:g}",
    )


def check_truth(table: pd.DataFrame, *, case: str = "case", truth: str = "truth") -> None:
    """Refuse truth other than 0/1 and truth that varies within a case.

    Examples
    --------
    >>> check_truth(pd.DataFrame({"case": ["a", "a"], "truth": [0, 1]}))
    Traceback (most recent call last):
        ...
    ValueError: truth varies within case 'a' in rows 2, 3 (the header is row 1); a case has one
    truth
    """
    refuse(table[truth].isna(), "column 'truth' is empty", "write 0 or 1")
    check_levels(table, truth, [0, 1], what="truth")
    varies = table.groupby(case)[truth].transform("nunique") > 1
    name = table.loc[varies, case].iloc[0] if varies.any() else ""
    refuse(varies, f"truth varies within case {name!r}", "a case has one truth")

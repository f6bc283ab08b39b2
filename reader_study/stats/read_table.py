"""Tables as people have them: any delimiter, decimal mark and encoding, read in one way.

Every command reads its files here. Columns that name things (reader, case, arm, ...) stay text;
other columns become numbers where every cell is one. The index of the table holds the row of
the file, so that a refusal names the row which a spreadsheet shows.
"""

import csv
import io
import re
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from reader_study.stats.read_imrmc import from_imrmc
from reader_study.stats.tables import (
    MISSING,
    MISSING_WORDS,
    FileRows,
    check_labels,
    listed_rows,
)

# Columns that name things: "1.1" and "1.10" are two cases, "NA" may be a reader.
KEYS = ("reader", "case", "arm", "patient", "lesion", "subject", "left", "right")
DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
BLANKS = " "  # between cells of R's write.table; only where no other delimiter is in the header
# Headers that R, pandas and collections of R's data sets give to row numbers.
ROW_NAMES = ("", "rownames", "row.names", "Unnamed: 0", "X", "...1")
NUMBER = re.compile(
    r"[+-]?(?:(?:[0-9]+(?:[.,][0-9]*)?|[.,][0-9]+)(?:[eE][+-]?[0-9]+)?|inf(?:inity)?)",
    re.IGNORECASE,
)
THOUSANDS = re.compile(r"[+-]?[1-9][0-9]{0,2}[.,][0-9]{3}")


@dataclass(frozen=True)
class Dialect:
    """How a file was written, as it was recognised."""

    delimiter: str
    decimal: str
    encoding: str
    header_row: int
    rows: int
    left_out: str = ""

    def sentence(self) -> str:
        """One line for people.

        Examples
        --------
        >>> Dialect(";", ",", "UTF-8", 1, 24).sentence()
        '24 rows read: semicolon between cells, decimal comma, UTF-8'
        """
        between = DELIMITERS.get(self.delimiter, repr(self.delimiter)).replace("' '", "blanks")
        mark = {",": "decimal comma", ".": "decimal point"}.get(self.decimal, "no decimals")
        text = f"{self.rows} rows read: {between} between cells, {mark}, {self.encoding}"
        return f"{text}; {self.left_out}" if self.left_out else text


def read_table(
    path: Path, *, keys: Collection[str] | None = KEYS, where: Sequence[str] = ()
) -> pd.DataFrame:
    """The table in a text file, its rows numbered as in the file.

    Parameters
    ----------
    path : Path
        Comma, semicolon, tab, bar or blanks between cells, or what a first line ``sep=`` says;
        decimal point or comma; UTF-8 or UTF-16 with or without a byte order mark, or Latin-1. Also
        an ``.imrmc`` file, as reader, case, arm, truth and rating.
    keys : names of columns that stay text; None: all
    where : conditions ``COLUMN=VALUE``; other rows are left out

    Returns
    -------
    DataFrame
        Its index holds rows of the file; ``attrs["file"]`` says how the file was written. Blank
        cells are missing; in columns of numbers so are NA, NaN, NULL and None.

    Raises
    ------
    ValueError
        An empty file or none of text; rows with more or fewer cells than the header; columns
        without a name or with the same; numbers with decimal commas beside decimal points.
    """
    text, encoding = _decode(path)
    records, delimiter = _records(path, text)
    records = from_imrmc(path, records)
    header_row, names = _header(path, records)
    rows = {at: cells for at, cells in records.items() if at > header_row}
    names = _with_row_names(names, list(rows.values()))
    wrong = [at for at, cells in rows.items() if len(cells) != len(names)]
    if wrong:
        raise ValueError(
            f"{path}: expected {len(names)} cells in every row as in the header, got "
            f"{len(rows[wrong[0]])} in row {wrong[0]} (not right: {listed_rows(wrong)}); "
            f"write each row with {len(names) - 1} {DELIMITERS.get(delimiter, delimiter)}s, and "
            "a cell that holds one in quotes"
        )
    columns = {at: [cells[at] for cells in rows.values()] for at in range(len(names))}
    left_out = _without_unnamed(path, names, columns)
    kept = {names[at]: cells for at, cells in columns.items()}
    index = pd.Index(list(rows), name=FileRows(header_row), dtype="int64")
    decimal = _decimal_mark(path, kept, keys, delimiter, index)
    series = {
        name: pd.Series(_typed(cells, keys is None or name in keys, decimal), index=index)
        for name, cells in kept.items()
    }
    table = pd.DataFrame(series, index=index)
    _check_keys(table)
    dialect = Dialect(delimiter, decimal, encoding, header_row, len(table), left_out)
    table = _where(table, where)
    table.attrs["file"] = {**asdict(dialect), "said": dialect.sentence()}
    return table


def _decode(path: Path) -> tuple[str, str]:
    data = path.read_bytes()
    for mark, codec, name in (
        (b"\xef\xbb\xbf", "utf-8-sig", "UTF-8 with byte order mark"),
        (b"\xff\xfe", "utf-16", "UTF-16"),
        (b"\xfe\xff", "utf-16", "UTF-16"),
    ):
        if data.startswith(mark):
            return _text(path, data, codec), name
    if data.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0")):
        raise ValueError(f"{path}: expected a text table, got a spreadsheet; save its sheet as CSV")
    odd, even = data[1::2].count(0), data[0::2].count(0)
    if max(odd, even) > len(data) // 5:
        codec = "utf-16-le" if odd > even else "utf-16-be"
        return _text(path, data, codec), "UTF-16 without byte order mark"
    for codec, name in (("utf-8", "UTF-8"), ("cp1252", "Latin-1"), ("latin-1", "Latin-1")):
        try:
            return _printable(path, data.decode(codec)), name
        except UnicodeDecodeError:
            continue
    raise AssertionError("Latin-1 decodes every byte")


def _text(path: Path, data: bytes, codec: str) -> str:
    try:
        return _printable(path, data.decode(codec))
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{path}: expected text in {codec}, got bytes that are none; save it as UTF-8"
        ) from error


def _printable(path: Path, text: str) -> str:
    if "\x00" in text:
        raise ValueError(f"{path}: expected a text table, got bytes of zero; save it as CSV")
    return text


def _records(path: Path, text: str) -> tuple[dict[int, list[str]], str]:
    """Rows that hold something by their number in the file, and the delimiter."""
    said = re.match(r'"?sep=(.)"?[ ,;]*(?:\r\n|\r|\n)', text, flags=re.IGNORECASE)
    if said:
        return _split(path, text[said.end() :], said[1], before=1), said[1]
    width = {delimiter: _header_cells(text, delimiter) for delimiter in DELIMITERS}
    if max(width.values()) < 2 and (_header_cells(text, BLANKS) > 1):
        return _split(path, text, BLANKS, before=0), BLANKS
    candidates = []
    for delimiter in DELIMITERS:
        if width[delimiter] == max(width.values()):
            records = _split(path, text, delimiter, before=0)
            alike = sum(len(cells) == width[delimiter] for cells in records.values())
            candidates.append((alike, records, delimiter))
    _, records, delimiter = max(candidates, key=lambda entry: entry[0])
    return records, delimiter


def _reader(text: str, delimiter: str) -> Any:
    """Rows of cells; runs of blanks, and blanks at the ends of lines, are one where they part."""
    blanks = delimiter == BLANKS
    if blanks:
        text = re.sub(r"(?m)^[ \t]+|[ \t]+$", "", text)
    stream = io.StringIO(text, newline="")
    return csv.reader(stream, delimiter=delimiter, strict=True, skipinitialspace=blanks)


def _header_cells(text: str, delimiter: str) -> int:
    """Cells of the first row that holds something; 0 where quotes do not fit the delimiter."""
    reader = _reader(text, delimiter)
    try:
        return next((len(cells) for cells in reader if any(cell.strip() for cell in cells)), 0)
    except csv.Error:
        return 0


def _split(path: Path, text: str, delimiter: str, *, before: int) -> dict[int, list[str]]:
    reader = _reader(text, delimiter)
    try:
        return {
            at: cells
            for at, cells in enumerate(reader, before + 1)
            if any(cell.strip() for cell in cells)
        }
    except csv.Error as error:
        raise ValueError(
            f"{path}: expected cells in matching quotes, got {error} near line "
            f"{reader.line_num + before}; write a quote inside quotes twice"
        ) from error


def _header(path: Path, records: dict[int, list[str]]) -> tuple[int, list[str]]:
    if not records:
        raise ValueError(f"{path}: expected a table with a header, got an empty file; export it")
    row = min(records)
    names = [cell.strip() for cell in records[row]]
    twice = sorted({name for name in names if name and names.count(name) > 1})
    if twice:
        raise ValueError(
            f"{path}: expected a name for each column, got {', '.join(map(repr, twice))} more than "
            "once in the header; rename one"
        )
    return row, names


def _with_row_names(names: list[str], rows: list[list[str]]) -> list[str]:
    """The header with a place for row names, where R wrote them without one (write.table)."""
    more = bool(rows) and all(len(cells) == len(names) + 1 for cells in rows)
    first = [cells[0].strip() for cells in rows if cells]
    if more and all(first) and len(set(first)) == len(first) and any(c[-1].strip() for c in rows):
        return ["", *names]
    return names


def _without_unnamed(path: Path, names: list[str], columns: dict[int, list[str]]) -> str:
    """Take out columns without a name that hold nothing, or the row names of R and pandas."""
    said = []
    for at, name in enumerate(names):
        cells = [cell.strip() for cell in columns[at]]
        if name and not (at == 0 and name in ROW_NAMES and _counts(cells)):
            continue
        if not any(cells):
            said.append(f"empty column {at + 1} left out")
        elif at == 0 and all(cells) and len(set(cells)) == len(cells):
            said.append("row names left out")
        else:
            raise ValueError(
                f"{path}: expected a name for each column, got none for column {at + 1}, which "
                "holds cells; name it or delete it"
            )
        del columns[at]
    return "; ".join(said)


def _counts(cells: list[str]) -> bool:
    """Cells that count the rows from 0 or 1."""
    return cells in ([str(row + first) for row in range(len(cells))] for first in (0, 1))


def _clean(cell: str) -> str:
    return cell.strip().replace("\N{MINUS SIGN}", "-")


def _is_numeric(cells: Sequence[str]) -> bool:
    given = [_clean(cell) for cell in cells if cell.strip() not in MISSING]
    return bool(given) and all(NUMBER.fullmatch(cell) for cell in given)


def _decimal_mark(
    path: Path,
    columns: dict[str, list[str]],
    keys: Collection[str] | None,
    delimiter: str,
    index: pd.Index,
) -> str:
    """Comma or point, as the columns of numbers are written; empty where no number has decimals."""
    places: dict[str, tuple[str, int, str]] = {}
    clear = False
    for name, cells in columns.items():
        if keys is None or name in keys or not _is_numeric(cells):
            continue
        for row, cell in zip(index, cells, strict=True):
            for mark in ",.":
                if mark in cell:
                    places.setdefault(mark, (name, int(row), cell.strip()))
                    clear = clear or not THOUSANDS.fullmatch(_clean(cell))
    if len(places) == 2:
        (one, row, cell), (other, second, last) = places[","], places["."]
        raise ValueError(
            f"{path}: expected one decimal mark, got {cell!r} in column {one!r}, row {row}, and "
            f"{last!r} in column {other!r}, row {second}; write all numbers with the same mark"
        )
    # A comma parts thousands or decimals, except beside semicolons, where a point does.
    mark = "." if delimiter == ";" else ","
    if mark in places and not clear:
        name, row, cell = places[mark]
        this, other = ("comma", "point") if mark == "," else ("point", "comma")
        raise ValueError(
            f"{path}: expected a decimal point or comma, got {cell!r} in column {name!r}, row "
            f"{row}, which may be thousands; write it with a {other}, or without the {this}"
        )
    return next(iter(places), "")


def _typed(cells: list[str], is_key: bool, decimal: str) -> list[object]:
    """Cells of one column as numbers where all are, else as text; None where there is none."""
    if is_key:
        return [cell if cell.strip() else None for cell in cells]
    if not _is_numeric(cells):
        text = [cell.strip() for cell in cells]
        return [None if cell in MISSING_WORDS else cell for cell in text]
    plain = [_clean(cell) for cell in cells]
    if decimal == ",":
        plain = [cell.replace(",", ".") for cell in plain]
    if all(re.fullmatch(r"[+-]?[0-9]{1,15}", cell) for cell in plain):
        return [int(cell) for cell in plain]
    return [float("nan") if cell in MISSING else float(cell) for cell in plain]


def _check_keys(table: pd.DataFrame) -> None:
    """Refuse labels that differ by blanks or case; take blanks off the ends of the others."""
    sides = [name for name in ("left", "right") if name in table]
    named = [[name] for name in KEYS if name in table and name not in sides]
    for columns in [*named, sides]:
        check_labels(table, columns)
        for name in columns:
            if not pd.api.types.is_numeric_dtype(table[name]):
                table[name] = table[name].str.strip()


def _where(table: pd.DataFrame, conditions: Sequence[str]) -> pd.DataFrame:
    for condition in conditions:
        column, sign, value = condition.partition("=")
        if not sign or column not in table:
            raise ValueError(
                f"expected --where COLUMN=VALUE with a column of {', '.join(table)}, got "
                f"{condition!r}; name one of them"
            )
        if pd.api.types.is_numeric_dtype(table[column]) and NUMBER.fullmatch(_clean(value)):
            kept = table[column] == float(_clean(value).replace(",", "."))
        else:
            kept = table[column].astype("string").str.strip() == value.strip()
        if not kept.any():
            seen = ", ".join(map(repr, table[column].dropna().astype(str).unique()[:5]))
            raise ValueError(
                f"expected rows with {condition!r}, got none; column {column!r} holds {seen}"
            )
        table = table[kept.fillna(False).astype(bool)]
    return table

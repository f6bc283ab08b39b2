"""Workbooks of RJafroc and JAFROC (.xlsx): sheets TRUTH, TP (or LL) and FP (or NL) as tables.

A workbook is a zip archive of XML; three sheets of plain cells need no further package.
"""

import re
import zipfile
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import pandas as pd

from reader_study.stats.tables import FileRows, listed_rows

MOST_BYTES = 200_000_000
SPACE = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
LINK = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"
SHEETS = {"truth": "truth", "tp": "hits", "ll": "hits", "fp": "misses", "nl": "misses"}
COLUMNS = {
    "readerid": "reader",
    "modalityid": "arm",
    "treatmentid": "arm",
    "caseid": "case",
    "lesionid": "lesion",
    "weight": "weight",
    "paradigm": "paradigm",
}
NEEDED = {
    "truth": ("case", "lesion", "reader", "arm"),
    "hits": ("reader", "arm", "case", "lesion", "rating"),
    "misses": ("reader", "arm", "case", "rating"),
}


@dataclass(frozen=True)
class Workbook:
    """Free-response tables of a workbook; ``readings`` is who read what, from TRUTH."""

    marks: pd.DataFrame
    cases: pd.DataFrame
    readings: pd.DataFrame
    paradigm: str

    def ratings(self, path: Path) -> pd.DataFrame:
        """``reader, arm, case, truth, rating`` of a ROC study: one rating a case."""
        if self.paradigm != "ROC":
            raise ValueError(
                f"{path}: expected the paradigm ROC in the sheet TRUTH, got {self.paradigm}; "
                "analyse it with stats froc"
            )
        table = self.marks.merge(self.cases[["case", "truth"]], on="case", how="left")
        table.index, table.attrs = self.marks.index, self.marks.attrs
        return table[["reader", "arm", "case", "truth", "rating"]]


def is_workbook(path: Path) -> bool:
    """Whether the file is a zip archive, as .xlsx files are."""
    return zipfile.is_zipfile(path)


def read_workbook(path: Path) -> Workbook:
    """Marks, cases and readings of an RJafroc workbook; reader, arm and case stay text.

    Raises
    ------
    ValueError
        Another workbook, a missing sheet or column, or lesions of a case with unlike weights.

    Notes
    -----
    Chakraborty 2017, Observer performance methods for diagnostic imaging, and RJafroc's manual:
    TRUTH has one row per lesion, with LesionID 0 for a case without any.
    """
    sheets = {
        SHEETS[name.strip().lower()]: _named(path, name, cells)
        for name, cells in _sheets(path).items()
        if name.strip().lower() in SHEETS
    }
    if missing := [name for name in NEEDED if name not in sheets]:
        raise ValueError(
            f"{path}: expected a text table, got a workbook without the sheets TRUTH, TP and FP of "
            f"RJafroc (missing: {', '.join(missing)}); save the sheet with the data as CSV"
        )
    truth, hits, misses = (sheets[name] for name in NEEDED)
    lesions = pd.to_numeric(truth["lesion"])
    known = truth.assign(lesion=lesions, diseased=(lesions > 0).astype(int))
    _check_weights(path, known)
    cases = known.groupby("case", sort=False)["diseased"].sum().rename("n_lesions").reset_index()
    cases["truth"] = (cases["n_lesions"] > 0).astype(int)
    said = truth["paradigm"].dropna() if "paradigm" in truth else pd.Series(dtype=str)
    # The cells hold FROC or ROC, and in newer files the design beside it.
    words = {str(word).strip().upper() for word in said}
    marks = pd.concat([hits.assign(mark="LL"), misses.assign(mark="NL", lesion=0)])
    for column in ("lesion", "rating"):
        marks[column] = pd.to_numeric(marks[column])
    marks.index = pd.Index(range(2, len(marks) + 2), name=FileRows(1))
    marks.attrs["file"] = {
        "said": f"{len(marks)} marks of {len(cases)} cases read: RJafroc workbook"
    }
    return Workbook(marks, cases, _readings(truth), "ROC" if "ROC" in words else "FROC")


def _check_weights(path: Path, truth: pd.DataFrame) -> None:
    """Lesions of a case must weigh alike: the kit's wAFROC has equal weights."""
    if "weight" not in truth:
        return
    weight = pd.to_numeric(truth["weight"]).where(truth["lesion"] > 0)
    spread = weight.groupby(truth["case"]).transform(lambda own: own.max() - own.min())
    if (unlike := spread[spread > 0.01]).size:
        raise ValueError(
            f"{path}: expected lesions of a case with equal weights, got others in the sheet "
            f"TRUTH, {listed_rows(list(unlike.index))}; analyse unequal weights with RJafroc"
        )


def _readings(truth: pd.DataFrame) -> pd.DataFrame:
    """``reader, arm, case``: TRUTH lists readers and arms of each case, "0, 1, 2"."""
    rows = dict.fromkeys(
        (reader.strip(), arm.strip(), row.case)
        for row in truth.itertuples()
        for reader in str(row.reader).split(",")
        for arm in str(row.arm).split(",")
    )
    return pd.DataFrame([*rows], columns=["reader", "arm", "case"])


def _named(path: Path, sheet: str, rows: dict[int, dict[int, str]]) -> pd.DataFrame:
    """A sheet with our names of columns, its index the rows of the sheet."""
    header = rows.pop(min(rows)) if rows else {}
    names = {}
    for at, text in header.items():
        plain = re.sub(r"[^a-z]", "", text.lower())
        names[at] = "rating" if plain.endswith("rating") else COLUMNS.get(plain, plain)
    columns = {name: [cells.get(at) for cells in rows.values()] for at, name in names.items()}
    table = pd.DataFrame(columns, index=list(rows), dtype=object)
    wanted = NEEDED[SHEETS[sheet.strip().lower()]]
    missing = [name for name in wanted if name not in table]
    if missing:
        raise ValueError(
            f"{path}: expected columns {', '.join(wanted)} in the sheet {sheet}, got none for "
            f"{', '.join(missing)}; name them as RJafroc does (ReaderID, ModalityID, CaseID, ...)"
        )
    return table[table[list(wanted)].notna().any(axis=1)]


def _sheets(path: Path) -> dict[str, dict[int, dict[int, str]]]:
    """Cells that hold something of each sheet: row -> column -> text."""
    try:
        with zipfile.ZipFile(path) as book:
            return _read_sheets(book)
    except (zipfile.BadZipFile, ElementTree.ParseError, LookupError, ValueError, OSError) as error:
        raise ValueError(
            f"{path} is no workbook (.xlsx) that can be read ({error}); save its sheet as CSV"
        ) from error


def _read_sheets(book: zipfile.ZipFile) -> dict[str, dict[int, dict[int, str]]]:
    if sum(info.file_size for info in book.infolist()) > MOST_BYTES:
        raise ValueError(f"it would unpack to more than {MOST_BYTES} bytes")
    shared: list[str] = []
    if "xl/sharedStrings.xml" in book.namelist():
        shared = [_text(item) for item in _tree(book, "xl/sharedStrings.xml")]
    relations = _tree(book, "xl/_rels/workbook.xml.rels")
    links = {one.attrib["Id"]: one.attrib["Target"] for one in relations}
    found = {}
    for sheet in _tree(book, "xl/workbook.xml").iter(f"{SPACE}sheet"):
        target = links[sheet.attrib[LINK]].removeprefix("/xl/")
        found[sheet.attrib["name"]] = _cells(_tree(book, f"xl/{target}"), shared)
    return found


def _tree(book: zipfile.ZipFile, name: str) -> ElementTree.Element:
    data = book.read(name)
    if b"<!DOCTYPE" in data or b"<!ENTITY" in data:
        raise ValueError("its XML declares entities")
    return ElementTree.fromstring(data)


def _cells(tree: ElementTree.Element, shared: list[str]) -> dict[int, dict[int, str]]:
    rows: dict[int, dict[int, str]] = {}
    for cell in tree.iter(f"{SPACE}c"):
        kind, held = cell.get("t", "n"), cell.find(f"{SPACE}v")
        text = _text(cell) if kind == "inlineStr" else (held.text or "" if held is not None else "")
        if kind == "s" and text:
            text = shared[int(text)]
        elif kind == "n" and text:
            text = f"{float(text):.15g}"
        place = re.fullmatch(r"([A-Z]+)([0-9]+)", cell.attrib["r"])
        if text.strip() and place:
            column = 0
            for letter in place[1]:
                column = 26 * column + ord(letter) - 64
            rows.setdefault(int(place[2]), {})[column] = text.strip()
    return dict(sorted(rows.items()))


def _text(element: ElementTree.Element) -> str:
    return "".join(part.text or "" for part in element.iter(f"{SPACE}t"))

"""RJafroc workbooks: the answer is that of the same marks as text; other workbooks are refused."""

import json
import re
import zipfile
from pathlib import Path
from xml.sax.saxutils import escape

import pandas as pd
import pytest
from typer.testing import CliRunner

from reader_study.cli.study import app
from reader_study.stats.read_rjafroc import read_workbook

ORACLES = Path(__file__).parents[1] / "data" / "oracles"
SPACE = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
REL = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
WHERE = {"reader": "ReaderID", "arm": "ModalityID", "case": "CaseID"}


def write_book(path: Path, sheets: dict[str, pd.DataFrame], *, before: str = "") -> Path:
    """The sheets as a spreadsheet program saves them: shared strings, numbers as numbers."""
    shared: list[str] = []
    with zipfile.ZipFile(path, "w") as book:
        names = "".join(
            f'<sheet name="{name}" sheetId="{n}" r:id="rId{n}"/>'
            for n, name in enumerate(sheets, 1)
        )
        book.writestr(
            "xl/workbook.xml",
            f'{before}<workbook xmlns="{SPACE}" xmlns:r="{REL}">'
            f"<sheets>{names}</sheets></workbook>",
        )
        links = "".join(
            f'<Relationship Id="rId{n}" Target="worksheets/sheet{n}.xml"/>'
            for n in range(1, len(sheets) + 1)
        )
        book.writestr("xl/_rels/workbook.xml.rels", f"<Relationships>{links}</Relationships>")
        for n, table in enumerate(sheets.values(), 1):
            rows = [list(table.columns), *table.to_numpy().tolist()]
            text = "".join(_row(at, cells, shared) for at, cells in enumerate(rows, 1))
            data = f'<worksheet xmlns="{SPACE}"><sheetData>{text}</sheetData></worksheet>'
            book.writestr(f"xl/worksheets/sheet{n}.xml", data)
        items = "".join(f"<si><t>{escape(text)}</t></si>" for text in shared)
        book.writestr("xl/sharedStrings.xml", f'<sst xmlns="{SPACE}">{items}</sst>')
    return path


def _row(at: int, cells: list[object], shared: list[str]) -> str:
    text = ""
    for column, cell in enumerate(cells):
        place = f"{chr(65 + column)}{at}"
        if isinstance(cell, str):
            shared.append(cell)
            text += f'<c r="{place}" t="s"><v>{len(shared) - 1}</v></c>'
        else:
            text += f'<c r="{place}"><v>{cell}</v></c>'
    return f'<row r="{at}">{text}</row>'


@pytest.fixture(scope="module")
def sheets():
    marks, cases = (pd.read_csv(ORACLES / f"{name}.csv") for name in ("froc", "froc_cases"))
    rows = [
        (case.case, lesion, 1 / max(case.n_lesions, 1), "R1, R2, R3", "ultra_low, denoised", "FROC")
        for case in cases.itertuples()
        for lesion in (range(1, case.n_lesions + 1) or [0])
    ]
    columns = ["CaseID", "LesionID", "Weight", "ReaderID", "ModalityID", "Paradigm"]
    table = marks.rename(columns={**WHERE, "lesion": "LesionID"})
    hits, misses = (table[table["mark"] == kind] for kind in ("LL", "NL"))
    return {
        "TRUTH": pd.DataFrame(rows, columns=columns),
        "TP": hits[[*WHERE.values(), "LesionID", "rating"]].rename(columns={"rating": "TP_Rating"}),
        "FP": misses[[*WHERE.values(), "rating"]].rename(columns={"rating": "FP_Rating"}),
    }


def run(*line: object) -> dict:
    done = CliRunner().invoke(app, ["stats", *map(str, line), "--json"])
    if done.exception:
        raise done.exception
    return {key: value for key, value in json.loads(done.stdout).items() if key != "file"}


def test_a_free_response_workbook_gives_the_answer_of_its_marks_as_text(sheets, tmp_path):
    book = write_book(tmp_path / "study.xlsx", sheets)
    arms = ("--arms", "ultra_low,denoised")
    found = run("froc", book, *arms)
    want = run("froc", ORACLES / "froc.csv", "--cases", ORACLES / "froc_cases.csv", *arms)
    assert found["differences"] == want["differences"]


def test_a_roc_workbook_is_read_by_mrmc_and_refused_where_it_is_free_response(sheets, tmp_path):
    table = pd.read_csv(ORACLES / "mrmc_balanced.csv").rename(columns=WHERE)
    cases = table.drop_duplicates("CaseID")
    truth = cases[["CaseID"]].assign(LesionID=cases["truth"], Weight=cases["truth"] * 1.0)
    readers, arms = (", ".join(table[name].unique()) for name in ("ReaderID", "ModalityID"))
    truth = truth.assign(ReaderID=readers, ModalityID=arms, Paradigm="ROC")
    sick, well = table[table["truth"] == 1], table[table["truth"] == 0]
    columns = list(WHERE.values())
    book = write_book(
        tmp_path / "roc.xlsx",
        {
            "Truth": truth,
            "LL": sick[columns].assign(LesionID=1, LL_Rating=sick["rating"]),
            "NL": well[columns].assign(NL_Rating=well["rating"]),
        },
    )
    want = run("mrmc", ORACLES / "mrmc_balanced.csv", "--arms", "full,denoised")
    assert run("mrmc", book, "--arms", "full,denoised")["differences"] == want["differences"]
    with pytest.raises(ValueError, match="stats froc"):
        run("mrmc", write_book(tmp_path / "froc.xlsx", sheets))


def test_workbooks_that_are_no_study_are_refused_in_one_sentence(sheets, tmp_path):
    path = tmp_path / "book.xlsx"
    others = {"Sheet1": sheets["FP"]}
    with pytest.raises(ValueError, match=r"without the sheets TRUTH, TP and FP .*as CSV"):
        read_workbook(write_book(path, others))
    renamed = sheets | {"FP": sheets["FP"].rename(columns={"CaseID": "Patient"})}
    with pytest.raises(ValueError, match="in the sheet FP, got none for case"):
        read_workbook(write_book(path, renamed))
    unlike = sheets["TRUTH"].assign(Weight=range(len(sheets["TRUTH"])))
    with pytest.raises(ValueError, match="with equal weights"):
        read_workbook(write_book(path, sheets | {"TRUTH": unlike}))
    bomb = '<!DOCTYPE a [<!ENTITY b "c">]>'
    with pytest.raises(ValueError, match="declares entities"):
        read_workbook(write_book(path, sheets, before=bomb))
    path.write_bytes(b"PK\x03\x04junk")
    with pytest.raises(ValueError, match=re.escape("no workbook")):
        read_workbook(path)

"""No cell of a table that the kit writes runs in a spreadsheet (OWASP, CSV injection)."""

import ast
import csv
from pathlib import Path

import pandas as pd
import pytest

from ctlab.files import spreadsheet_safe, write_csv

ROOT = Path(__file__).resolve().parents[2]
WRITERS = {"to_csv", "writer", "DictWriter"}
# Whose cells are numbers of ours, or labels that stand in the code.
NUMBERS_ALONE = {"ctlab/learn/train/run_log.py", "book/assignment.py"}
RUNS = ["=1+1", "+1+1", "-1+1", "@SUM(1)", "\t=1", "\r=1", "\n=1", "- none"]


def writes_tables(tree: ast.Module) -> bool:
    return any(
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in WRITERS
        for node in ast.walk(tree)
    )


def test_every_module_that_writes_csv_makes_its_cells_safe():
    found = set()
    for folder in ("ctlab", "reader_study", "experiments", "book"):
        for path in (ROOT / folder).rglob("*.py"):
            name = str(path.relative_to(ROOT))
            if any(part.startswith(("_build", ".")) for part in path.parts):
                continue
            text = path.read_text("utf-8")
            if writes_tables(ast.parse(text)):
                found.add(name)
                safe = "spreadsheet_safe" in text or name in NUMBERS_ALONE
                assert safe, f"{name}: use ctlab.files.write_csv, or spreadsheet_safe for each cell"
    assert {"ctlab/files.py", "reader_study/record/coordinator.py"} | NUMBERS_ALONE <= found
    assert not writes_tables(ast.parse("table.to_json(path)"))


@pytest.mark.parametrize("cell", RUNS)
def test_what_would_run_is_text_in_cells_and_headers(cell, tmp_path):
    write_csv(tmp_path / "t.csv", pd.DataFrame({cell: [cell, "plain", -1.5]}))
    with (tmp_path / "t.csv").open(newline="", encoding="utf-8") as handle:
        back = [row for (row,) in csv.reader(handle)]
    safe = "'" + cell.replace("\r", "\n")
    assert back == [safe, safe, "plain", "-1.5"]
    assert spreadsheet_safe(safe) == safe, "once is enough"


def test_a_carriage_return_begins_no_row_of_its_own(tmp_path):
    """Python before 3.13 writes it without quotes, and a spreadsheet takes it as a row's end."""
    write_csv(tmp_path / "t.csv", pd.DataFrame({"comment": ["fine\r=1+1", "a\r\n=2"]}))
    assert b"\r" not in (tmp_path / "t.csv").read_bytes()
    with (tmp_path / "t.csv").open(newline="", encoding="utf-8") as handle:
        assert [row for (row,) in csv.reader(handle)] == ["comment", "fine\n=1+1", "a\n=2"]

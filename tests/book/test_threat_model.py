"""The page on attackers names tests that exist, each once, and that pytest runs."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "book" / "threat-model.md").read_text("utf-8")


@pytest.fixture(scope="module")
def defined() -> dict[str, list[ast.FunctionDef]]:
    """Tests by name, as pytest collects them: functions of the modules ``test_*.py``."""
    found: dict[str, list[ast.FunctionDef]] = {}
    for path in (ROOT / "tests").rglob("test_*.py"):
        for statement in ast.parse(path.read_text("utf-8")).body:
            if isinstance(statement, ast.FunctionDef) and statement.name.startswith("test_"):
                found.setdefault(statement.name, []).append(statement)
    return found


def test_each_test_that_the_page_names_exists_once_and_is_not_skipped(defined):
    named = set(re.findall(r"`(test_\w+)`", PAGE))
    assert len(named) > 50
    assert not {n: len(defined.get(n, [])) for n in named if len(defined.get(n, [])) != 1}
    marks = {name: ast.unparse(defined[name][0]).split("def ")[0] for name in named}
    assert not [name for name, above in marks.items() if "mark.skip(" in above or "xfail" in above]


def test_each_attacker_has_what_holds_with_its_tests_and_what_does_not():
    parts = {part.splitlines()[0]: part for part in PAGE.split("\n## ")[1:]}
    attackers = [title for title, text in parts.items() if "| holds |" in text]
    assert len(attackers) == 5
    for title in attackers:
        holds, _, does_not = parts[title].partition("| does not hold |")
        assert does_not.count("\n|") > 1, title
        rows = [line for line in holds.splitlines() if line.startswith("| ")][1:]
        assert all("`test_" in row for row in rows), title

"""Sizes: no file over 400 lines, no function over 60, no folder of over 16 modules."""

import ast
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("ctlab", "reader_study", "experiments", "benchmarks", "book", "tests")
FILE_LINES, FUNCTION_LINES, FOLDER_MODULES = 400, 60, 16


def modules() -> Iterator[tuple[str, str]]:
    """Path and text of each module, without what the book's build leaves behind."""
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*.py")):
            name = path.relative_to(ROOT)
            if not any(part.startswith(("_build", ".")) for part in name.parts):
                yield str(name), path.read_text("utf-8")


def lines_of(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of a function from its ``def`` on, docstring free."""
    first = function.body[0]
    said = ast.get_docstring(function, clean=False) is not None
    free = first.end_lineno - first.lineno + 1 if said else 0
    return function.end_lineno - function.lineno + 1 - free


def test_no_file_is_over_400_lines():
    lengths = {name: text.count("\n") for name, text in modules()}
    assert {name: n for name, n in lengths.items() if n > FILE_LINES} == {}


def test_no_function_is_over_60_lines():
    lengths = {
        f"{name}:{node.lineno} {node.name}": lines_of(node)
        for name, text in modules()
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    assert {name: n for name, n in lengths.items() if n > FUNCTION_LINES} == {}


def test_no_folder_holds_over_16_modules():
    """One module a chapter is the exception, and the tests of the book."""
    count = Counter(str(Path(name).parent) for name, _ in modules() if "__init__" not in name)
    over = {folder for folder, n in count.items() if n > FOLDER_MODULES}
    assert over - {"ctlab/lessons/chapters", "tests/book"} == set()


def test_a_docstring_is_free():
    (function,) = ast.parse('def f():\n    """One.\n\n    Two.\n    """\n    return 1\n').body
    assert lines_of(function) == 2

"""Examples in the docstrings of the book's scripts."""

import doctest
from pathlib import Path

import pytest

BOOK = Path(__file__).resolve().parents[2] / "book"
SCRIPTS = [
    path.stem
    for folder in (BOOK, BOOK / "ext")
    for path in sorted(folder.glob("*.py"))
    if ">>>" in path.read_text("utf-8")
]


@pytest.mark.parametrize("name", SCRIPTS)
def test_examples_come_out_as_written(name, book_script):
    flags = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
    failed, tried = doctest.testmod(book_script(name), optionflags=flags)
    assert tried > 0
    assert failed == 0

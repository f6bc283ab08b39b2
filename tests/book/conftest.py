"""Scripts of the book, imported as they import each other."""

import importlib
import sys
from pathlib import Path

import pytest

BOOK = Path(__file__).resolve().parents[2] / "book"


@pytest.fixture(scope="session")
def book_script():
    """Function that imports a script of ``book/`` by name."""
    sys.path[:0] = [str(BOOK), str(BOOK / "ext")]
    yield importlib.import_module
    sys.path.remove(str(BOOK))
    sys.path.remove(str(BOOK / "ext"))

"""README, CONTRIBUTING and the page on how the kit is built name every folder."""

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = ("README.md", "CONTRIBUTING.md", "book/how-the-kit-is-built.md")


def folders() -> set[str]:
    """Subpackages, and the folders beside the packages."""
    packages = {
        path.parent.relative_to(ROOT).as_posix()
        for package in ("ctlab", "reader_study")
        for path in (ROOT / package).glob("*/__init__.py")
    }
    return packages | {"book", "experiments", "benchmarks"}


@pytest.mark.parametrize("page", PAGES)
def test_every_folder_is_named(page):
    text = (ROOT / page).read_text("utf-8")
    assert [name for name in sorted(folders()) if f"`{name}" not in text] == []

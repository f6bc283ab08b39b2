"""Chapters as notebooks that anyone can open: plain Markdown, no outputs.

Each chapter is written twice: for students without its solutions, and complete beside it.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nbformat
from jupyter_cache import get_cache
from myst_nb.core.read import read_myst_markdown_notebook

from pages import HERE, ROOT, is_notebook, page_names, read_toc, source_of
from plain import Book, numbers_of, plain, sources_of, without_glue

CREDIT = (
    "*A chapter of the CT Lab book. Text and figures CC BY 4.0, code BSD-3-Clause. Chest CT: "
    "LIDC-IDRI-0001, CC BY 3.0. Nothing here is for diagnosis.*"
)
GATE = re.compile(
    r"^:::\{(exercise|solution)-(start|end)\}\s*(\S*)\s*\n((?::[\w-]+:.*\n)*):::\s*$", re.MULTILINE
)
COMPLETE = "-complete"
INSTALL = "To run it, install the kit as its README says, then run the cells from top to bottom."


def title_of(text: str) -> str:
    """First heading of a page."""
    body = re.sub(r"\A---.*?^---$", "", text, flags=re.MULTILINE | re.DOTALL)
    heading = re.search(r"^# (.+)$", body, re.MULTILINE)
    return heading[1].strip() if heading else ""


def book_facts(names: list[str], root: Path = ROOT) -> Book:
    """Titles, notebooks and sources that pages refer to."""
    paths = {Path(name).name: source_of(name, root) for name in names}
    return Book(
        titles={page: title_of(path.read_text("utf-8")) for page, path in paths.items()},
        notebooks=frozenset(page for page, path in paths.items() if is_notebook(path)),
        sources=sources_of((HERE / "references.bib").read_text("utf-8")),
    )


def computed(path: Path, cache: Path | None) -> dict[str, str]:
    """Numbers that the executed chapter glued; empty where it has not been executed."""
    if cache is None or not (cache / "global.db").is_file():
        return {}
    notebook = read_source(path)
    try:
        _, executed = get_cache(str(cache)).merge_match_into_notebook(notebook)
    except KeyError:
        return {}
    return numbers_of([out for cell in executed.cells for out in cell.get("outputs", [])])


def read_source(path: Path) -> nbformat.NotebookNode:
    """Cells of a chapter's source."""
    return read_myst_markdown_notebook(path.read_text("utf-8"), add_source_map=True, path=path)


@dataclass
class Part:
    """A stretch of a chapter: prose, an exercise, or the solution of one."""

    kind: str
    label: str = ""
    cells: list[Any] = field(default_factory=list)

    @property
    def text(self) -> str:
        """Markdown of the part."""
        return "\n\n".join(cell.source for cell in self.cells if cell.cell_type == "markdown")


def parts_of(path: Path) -> list[Part]:
    """The chapter, cut at the gates of its exercises and solutions."""
    parts = [Part("prose")]
    for cell in read_source(path).cells:
        if cell.cell_type == "code":
            parts[-1].cells.append(cell)
            continue
        at = 0
        for gate in GATE.finditer(cell.source + "\n"):
            _add(parts[-1], cell.source[at : gate.start()])
            kind, edge, label, options = gate.groups()
            named = re.search(r":label:\s*(\S+)", options)
            parts.append(
                Part(kind, named[1] if named else label) if edge == "start" else Part("prose")
            )
            at = gate.end()
        _add(parts[-1], cell.source[at:])
    return [part for part in parts if part.cells]


def _add(part: Part, text: str) -> None:
    if text.strip():
        part.cells.append(nbformat.v4.new_markdown_cell(text.strip()))


def make_notebook(
    path: Path, book: Book, repository: str = "", *, solutions: bool = True
) -> nbformat.NotebookNode:
    """The chapter as a notebook without outputs, with its solutions or without."""
    cells = []
    for cell in read_source(path).cells if solutions else _without_solutions(path):
        if cell.cell_type == "markdown":
            if text := plain(cell.source, book):
                cells.append(nbformat.v4.new_markdown_cell(text))
            continue
        tags = cell.metadata.get("tags", [])
        code = without_glue(cell.source)
        if not code.strip():
            continue
        hidden = (
            {"jupyter": {"source_hidden": True}}
            if {"hide-input", "hide-cell", "remove-cell"} & {*tags}
            else {}
        )
        cells.append(nbformat.v4.new_code_cell(code, metadata={**hidden, "tags": [*tags]}))
    where = "" if solutions else f" Its solutions are in `{path.stem}{COMPLETE}.ipynb`."
    return finished([*cells[:1], *_start(repository, where), *cells[1:]])


def _without_solutions(path: Path) -> list[Any]:
    return [cell for part in parts_of(path) if part.kind != "solution" for cell in part.cells]


def _start(repository: str, where: str) -> list[nbformat.NotebookNode]:
    cells = [nbformat.v4.new_markdown_cell(f"{CREDIT} {INSTALL}{where}")]
    if repository:
        code = (
            "import importlib.util\n\nif importlib.util.find_spec('ctlab') is None:\n"
            f"    %pip install -q 'ctlab[explain,study] @ git+{repository}'"
        )
        cells.append(nbformat.v4.new_code_cell(code))
    return cells


def finished(cells: list[nbformat.NotebookNode]) -> nbformat.NotebookNode:
    """Notebook of these cells; the same cells give the same file."""
    for number, cell in enumerate(cells):
        cell["id"] = f"cell-{number}"
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    metadata = {"kernelspec": kernel, "language_info": {"name": "python"}}
    notebook = nbformat.v4.new_notebook(cells=cells, metadata=metadata)
    nbformat.validate(notebook)
    return notebook


def write_all(folder: Path, cache: Path | None, repository: str = "") -> list[Path]:
    """Write both notebooks of every chapter below ``folder``; paths of those for students."""
    names = page_names(read_toc())
    book = book_facts(names)
    paths = []
    for name in names:
        source = source_of(name)
        if not is_notebook(source):
            continue
        facts: dict[str, Any] = {**vars(book), "numbers": computed(source, cache)}
        target = folder / f"{name}.ipynb"
        target.parent.mkdir(parents=True, exist_ok=True)
        for path, whole in ((target, False), (target.with_stem(target.stem + COMPLETE), True)):
            notebook = make_notebook(source, Book(**facts), repository, solutions=whole)
            nbformat.write(notebook, path)
        paths.append(target)
    return paths

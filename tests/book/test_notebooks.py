"""Notebooks that are downloaded: the chapter's code, plain Markdown, the numbers of the build."""

import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

MYST = re.compile(r"^:{3,}|\{[a-z:]+\}`", re.MULTILINE)


@pytest.fixture(scope="module")
def written(book_script, tmp_path_factory):
    notebooks = book_script("notebooks")
    folder = tmp_path_factory.mktemp("notebooks")
    return notebooks, notebooks.write_all(folder, None)


def test_every_chapter_is_a_valid_notebook_without_outputs(written, book_script):
    _, paths = written
    pages = book_script("pages")
    names = [n for n in pages.page_names(pages.read_toc()) if pages.is_notebook(pages.source_of(n))]
    assert [path.stem for path in paths] == [Path(name).name for name in names]
    for path in paths:
        notebook = nbformat.read(path, 4)
        nbformat.validate(notebook)
        assert not [c for c in notebook.cells if c.cell_type == "code" and c.outputs]


def test_its_code_is_that_of_the_chapter_but_for_the_glue(written, book_script):
    _, paths = written
    pages, plain = book_script("pages"), book_script("plain")
    for path in paths:
        source = pages.source_of(f"book/{path.stem}").read_text("utf-8")
        wanted = [plain.without_glue(cell) for cell in pages.code_cells(source)]
        cells = nbformat.read(path.with_stem(f"{path.stem}-complete"), 4).cells
        assert [c.source for c in cells if c.cell_type == "code"] == [w for w in wanted if w]
        assert "glue(" not in path.read_text("utf-8")


def test_downloads_for_students_hold_no_solutions(written, book_script):
    _, paths = written
    pages = book_script("pages")
    held = 0
    for path in paths:
        source = pages.source_of(f"book/{path.stem}").read_text("utf-8")
        solutions = re.findall(r"\{solution-start\}.*?\{solution-end\}", source, re.DOTALL)
        held += len(solutions)
        answers = {cell for text in solutions for cell in pages.code_cells(text)}
        cells = {cell.source for cell in nbformat.read(path, 4).cells}
        assert not answers & cells, path.stem
        assert f"{path.stem}-complete.ipynb" in path.read_text("utf-8")
    assert held > 30


def test_the_chapters_open_in_jupyterlab_and_what_was_written_is_kept(
    book_script, tmp_path, monkeypatch, capsys
):
    lab = book_script("lab")
    paths = lab.write_notebooks(tmp_path)
    assert {"start", "training", "capstone"} <= set(paths)
    paths["start"].write_text("mine")
    (tmp_path / "training.ipynb").unlink()
    lab.write_notebooks(tmp_path)
    assert paths["start"].read_text() == "mine"
    assert nbformat.read(tmp_path / "training.ipynb", 4).cells
    monkeypatch.setattr(lab, "FOLDER", tmp_path)
    monkeypatch.setattr(lab.write_notebooks, "__defaults__", (tmp_path,))
    monkeypatch.setattr("sys.argv", ["lab.py", "trainings"])
    assert lab.main() == 2
    assert "expected a chapter, got 'trainings'; there are" in capsys.readouterr().err
    monkeypatch.setattr("sys.argv", ["lab.py", "training"])
    monkeypatch.setattr("os.geteuid", lambda: 0)
    assert lab.main() == 2
    assert "expected a user other than root" in capsys.readouterr().err


def test_every_notebook_has_all_names_that_it_uses(written):
    # The build runs each chapter in a fresh kernel; what differs here is the glue taken out.
    command = [sys.executable, "-m", "ruff", "check", "--isolated", "--select", "F821"]
    complete = [path.with_stem(f"{path.stem}-complete") for path in written[1]]
    done = subprocess.run([*command, *complete], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_its_text_needs_no_myst(written):
    for path in written[1]:
        for cell in nbformat.read(path, 4).cells:
            if cell.cell_type == "markdown":
                assert not MYST.search(cell.source), cell.source


def test_boxes_links_citations_and_numbers_become_plain(book_script):
    plain = book_script("plain")
    book = plain.Book(
        titles={"physics": "CT physics"},
        notebooks=frozenset({"physics"}),
        sources=plain.sources_of(
            "@article{a2020,\n  author = {One, A. and Two, B. and Three, C.},\n"
            "  year = {2020}, doi = {10.1/x}\n}\n"
        ),
        numbers=plain.numbers_of(
            [
                {
                    "metadata": {"scrapbook": {"name": "n"}},
                    "data": {"x/text/plain": "np.float64(2.5)"},
                }
            ]
        ),
    )
    text = (
        "(label)=\n:::{note}\nSee {doc}`physics` {cite:p}`a2020`: {glue:text}`n:.2f`, "
        "{term}`views <View>`.\n:::"
    )
    assert plain.plain(text, book) == (
        "> **Note**\n>\n> See [CT physics](physics.ipynb) "
        "([One et al. 2020](https://doi.org/10.1/x)): 2.50, views."
    )


def test_nested_boxes_are_unfolded_and_solutions_keep_their_heading(book_script):
    plain = book_script("plain")
    grid = "::::{grid} 1\n:gutter: 3\n\n:::{grid-item-card} Student\nRead.\n:::\n::::"
    assert plain.plain(grid, plain.Book()) == "**Student**\n\nRead."
    gated = ":::{solution-start} a\n:class: dropdown\n:::\nText\n:::{solution-end}\n:::"
    assert plain.plain(gated, plain.Book()) == "### Solution\n\nText"


def test_a_launched_notebook_installs_the_kit_where_it_is_missing(book_script):
    notebooks, pages = book_script("notebooks"), book_script("pages")
    made = notebooks.make_notebook(
        pages.source_of("book/physics"), book_script("plain").Book(), "https://github.com/o/n"
    )
    first = next(cell for cell in made.cells if cell.cell_type == "code")
    assert "git+https://github.com/o/n" in first.source

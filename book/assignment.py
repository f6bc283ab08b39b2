"""Chapters as homework: ``python book/assignment.py [--chapters NAME …]`` (``make assignment``).

Students get each chapter without its solutions, with cells for their answers. Instructors get the
solutions, a rubric for every answer that no program can judge, a sheet for the marks, and a graded
capstone report as an example of what the levels of its rubric mean.
"""

import argparse
import csv
import re
import shutil
import sys
import tomllib
from pathlib import Path
from typing import Any

import nbformat

import execute
import notebooks
from ctlab.passport.class_table import STARTER
from notebooks import Part, parts_of
from pages import HERE, ROOT, is_notebook, page_names, read_toc, source_of
from plain import Book, numbers_of, plain, without_glue

TEACHING = HERE / "teaching"
REPORT_CPU_S = 900  # of processor time: a loaded machine takes long without being stuck
CHECK = re.compile(r'check\(\s*"([\w.]+)"')
README = """\
Student notebooks are in student/, everything for teachers in instructor/ (do not hand it out).
Exercises that the kit can judge are judged by the cell below them: it answers with a hint. Open
answers are marked with instructor/rubrics.md; marks go into instructor/marks.csv. The capstone is
marked in five levels: instructor/capstone-exemplar.html shows a report and its marks.

student/my_filter.py is the start of a filter of one's own. Collect what is handed in as NAME.py in
a folder FILTERS and rank the class on seeds that nobody knows: ctlab rank FILTERS --seeds 17,4
"""


def checks_of(part: Part) -> list[str]:
    """Names of the checks that an exercise asks for."""
    return list(dict.fromkeys(CHECK.findall(part.text)))


def is_open(part: Part) -> bool:
    """Whether a person must judge the answer: no check, or words are asked for besides one."""
    return not checks_of(part) or part.text.lstrip().startswith("**Explain")


def read_rubrics(path: Path = TEACHING / "rubrics.toml") -> dict[str, Any]:
    """Rubrics by label of the exercise, that of predictions, and that of the capstone."""
    return tomllib.loads(path.read_text("utf-8"))


def rubric_of(part: Part, rubrics: dict[str, Any]) -> dict[str, Any]:
    """Criteria of an open exercise, each with its points, and answers that earn 0, 1 and 2.

    Raises
    ------
    ValueError
        The exercise has no rubric.
    """
    if part.label in rubrics["exercise"]:
        return rubrics["exercise"][part.label]
    if part.text.lstrip().startswith("**Predict"):
        return rubrics["predict"]
    raise ValueError(f"exercise {part.label!r} has no rubric in {TEACHING.name}/rubrics.toml")


def points_of(part: Part, rubrics: dict[str, Any]) -> int:
    """Points of an exercise: one for each check, and those of its rubric."""
    open_points = (
        sum(c["points"] for c in rubric_of(part, rubrics)["criteria"]) if is_open(part) else 0
    )
    return len(checks_of(part)) + open_points


def student_notebook(path: Path, book: Book, rubrics: dict[str, Any]) -> nbformat.NotebookNode:
    """The chapter without solutions; below each exercise a place for the answer."""
    cells = []
    for part in parts_of(path):
        if part.kind == "solution":
            continue
        cells += _plain_cells(part, book)
        if part.kind == "exercise":
            cells += _answer_cells(part, points_of(part, rubrics))
    return notebooks.finished(cells)


def _plain_cells(part: Part, book: Book) -> list[Any]:
    cells = []
    if part.kind == "exercise":
        cells.append(nbformat.v4.new_markdown_cell("### Exercise"))
    for cell in part.cells:
        code = cell.cell_type == "code"
        source = without_glue(cell.source) if code else plain(cell.source, book)
        if source.strip():
            make = nbformat.v4.new_code_cell if code else nbformat.v4.new_markdown_cell
            cells.append(make(source))
    return cells


def _answer_cells(part: Part, points: int) -> list[Any]:
    cells = []
    for name in checks_of(part):
        code = (
            "from ctlab.lessons import check\n\n"
            f'answer = None  # replace None by your answer\ncheck("{name}", answer)'
        )
        cells.append(nbformat.v4.new_code_cell(code))
    if is_open(part):
        cells.append(nbformat.v4.new_markdown_cell("**Your answer:** *(replace this line)*"))
    noun = "point" if points == 1 else "points"
    cells[-1].metadata["ctlab"] = {"exercise": part.label, "points": points}
    cells.append(nbformat.v4.new_markdown_cell(f"*{points} {noun}*"))
    return cells


def solution_notebook(path: Path, book: Book, rubrics: dict[str, Any]) -> nbformat.NotebookNode:
    """Exercises, solutions and rubrics of a chapter, for its teacher."""
    title = notebooks.title_of(path.read_text("utf-8"))
    cells = [nbformat.v4.new_markdown_cell(f"# Solutions: {title}\n\nFor teachers only.")]
    for part in parts_of(path):
        if part.kind == "exercise":
            cells += _plain_cells(part, book)
        elif part.kind == "solution":
            cells.append(nbformat.v4.new_markdown_cell("**Solution**"))
            cells += _plain_cells(part, book)
        if part.kind == "exercise" and is_open(part):
            cells.append(nbformat.v4.new_markdown_cell(rubric_text(part, rubrics)))
    return notebooks.finished(cells)


def rubric_text(part: Part, rubrics: dict[str, Any]) -> str:
    """The rubric as Markdown."""
    rubric = rubric_of(part, rubrics)
    rows = [f"- **{c['points']}** {c['text']}" for c in rubric["criteria"]]
    rows += ["", "Answers that earn"]
    rows += [f"- {points}: *{text}*" for points, text in enumerate(rubric["examples"])]
    return "\n".join([f"**Rubric** (`{part.label}`)", "", *rows])


def capstone_rubric_text(rubric: dict[str, Any]) -> str:
    """Criteria of the capstone by level, as a Markdown table."""
    head = "| criterion | " + " | ".join(rubric["levels"]) + " |"
    rows = [f"| {row['name']} | " + " | ".join(row["levels"]) + " |" for row in rubric["criteria"]]
    return "\n".join([head, "|---" * (1 + len(rubric["levels"])) + "|", *rows])


def write_assignment(target: Path, chapters: list[Path], *, exemplar: bool = True) -> None:
    """Write the folders ``student`` and ``instructor``; a folder that is there is replaced.

    The graded report comes last, into the finished folder.

    Raises
    ------
    ValueError
        An open exercise has no rubric.
    """
    rubrics = read_rubrics()
    book = notebooks.book_facts(page_names(read_toc()))
    part_folder = target.with_name(f"{target.name}.part")
    shutil.rmtree(part_folder, ignore_errors=True)
    student, teacher = part_folder / "student", part_folder / "instructor"
    for folder in (student, teacher / "solutions"):
        folder.mkdir(parents=True)
    (part_folder / "README.txt").write_text(README, "utf-8")
    (student / "my_filter.py").write_text(STARTER, "utf-8")
    texts, marks = ["# Rubrics", "", "For teachers only."], []
    for number, path in enumerate(chapters):
        name = f"{number:02d}-{path.stem}.ipynb"
        nbformat.write(student_notebook(path, book, rubrics), student / name)
        nbformat.write(solution_notebook(path, book, rubrics), teacher / "solutions" / name)
        exercises = [part for part in parts_of(path) if part.kind == "exercise"]
        marks += [(path.stem, part.label, points_of(part, rubrics)) for part in exercises]
        texts += ["", f"## {notebooks.title_of(path.read_text('utf-8'))}"]
        for part in filter(is_open, exercises):
            texts += ["", rubric_text(part, rubrics)]
    texts += ["", "## Capstone", "", capstone_rubric_text(rubrics["capstone"]), ""]
    (teacher / "rubrics.md").write_text("\n".join(texts), "utf-8")
    _write_marks(teacher / "marks.csv", marks)
    shutil.rmtree(target, ignore_errors=True)
    part_folder.rename(target)
    if exemplar:  # last, and in place: it runs for minutes, and students need not wait for it
        print(f"Homework is in {target / 'student'}; the capstone report for teachers runs now.")
        write_exemplar(target / "instructor")


def _write_marks(path: Path, marks: list[tuple[str, str, int]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as target:
        rows = csv.writer(target)
        rows.writerow(["student", *(label for _, label, _ in marks), "total"])
        rows.writerow(["(points)", *(points for *_, points in marks), sum(p for *_, p in marks)])


def write_exemplar(folder: Path) -> None:
    """Run the graded capstone report, and keep it as a notebook and as a page with its pictures."""
    import nbconvert

    notebook, _ = execute.run_notebook(
        TEACHING / "capstone-exemplar.md", without_torch=False, timeout_s=None, cpu_s=REPORT_CPU_S
    )
    outputs = [out for cell in notebook.cells for out in cell.get("outputs", [])]
    book = Book(numbers=numbers_of(outputs))
    notebook.cells = [
        cell for cell in notebook.cells if "remove-cell" not in cell.metadata.get("tags", [])
    ]
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = plain(cell.source, book)
    nbformat.write(notebook, folder / "capstone-exemplar.ipynb")
    exporter = nbconvert.HTMLExporter(
        exclude_input_prompt=True,
        exclude_output_prompt=True,
        embed_images=True,
        mathjax_url="",
        require_js_url="",
        jquery_url="",
        widget_renderer_url="",
    )
    page, _ = exporter.from_notebook_node(notebook)
    (folder / "capstone-exemplar.html").write_text(page, "utf-8")


def chapters_with_exercises(names: list[str] | None = None) -> list[Path]:
    """Sources of the chapters that have exercises, in reading order; those named, if any are.

    Raises
    ------
    ValueError
        A name is not that of such a chapter.
    """
    paths = [source_of(name) for name in page_names(read_toc())]
    paths = [p for p in paths if is_notebook(p) and "{exercise-start}" in p.read_text("utf-8")]
    if names is None:
        return paths
    known = {path.stem: path for path in paths}
    if unknown := sorted(set(names) - set(known)):
        raise ValueError(f"no chapter {', '.join(unknown)}; there are {', '.join(known)}")
    return [known[name] for name in names]


def main() -> int:
    """Write the homework; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--chapters", nargs="+", help="names of chapters; all, if not given")
    parser.add_argument("--out", type=Path, default=ROOT / "dist" / "assignment")
    options = parser.parse_args()
    try:
        write_assignment(options.out, chapters_with_exercises(options.chapters))
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    except execute.FAILURES as error:
        print(
            f"Homework, rubrics and solutions are in {options.out}. The graded capstone report is "
            f"missing: {str(error).strip().splitlines()[-1]} Run the command again for it.",
            file=sys.stderr,
        )
        return 1
    print(f"Done: homework for students and all that teachers need is in {options.out}.")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

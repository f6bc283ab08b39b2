"""Homework: no solution reaches a student, every open answer has a rubric, points add up."""

import csv

import nbformat
import pytest

import ctlab.lessons.exercises.checking as checking


@pytest.fixture(scope="module")
def made(book_script, tmp_path_factory):
    """The homework of all chapters; the exemplar takes long and is left out."""
    assignment = book_script("assignment")
    target = tmp_path_factory.mktemp("homework") / "all"
    chapters = assignment.chapters_with_exercises()
    assignment.write_assignment(target, chapters, exemplar=False)
    return assignment, target, chapters


def test_students_get_every_exercise_and_no_solution(made):
    assignment, target, chapters = made
    notebooks = sorted((target / "student").glob("*.ipynb"))
    assert len(notebooks) == len(chapters)
    for path, source in zip(notebooks, chapters, strict=True):
        parts = assignment.parts_of(source)
        solutions = [p for p in parts if p.kind == "solution"]
        exercises = [p for p in parts if p.kind == "exercise"]
        assert len(solutions) == len(exercises) >= 3, source.stem
        cells = nbformat.read(path, 4).cells
        sources = "\n".join(cell.source for cell in cells)
        for part in solutions:
            for cell in part.cells:
                lines = [x for x in cell.source.splitlines() if len(x) > 40]
                assert not [x for x in lines if x in sources], part.label
        marked = [c.metadata["ctlab"]["exercise"] for c in cells if "ctlab" in c.metadata]
        assert marked == [part.label for part in exercises]


def test_each_check_that_an_exercise_names_exists_and_refuses_an_unanswered_cell(made):
    assignment, _, chapters = made
    names = [
        name
        for path in chapters
        for part in assignment.parts_of(path)
        if part.kind == "exercise"
        for name in assignment.checks_of(part)
    ]
    assert len(names) >= len(chapters) - 1
    for name in names:
        assert not checking.check(name, None).passed, name


def test_teachers_get_solutions_rubrics_and_a_sheet_for_marks(made):
    assignment, target, chapters = made
    rubrics = (target / "instructor" / "rubrics.md").read_text("utf-8")
    with (target / "instructor" / "marks.csv").open() as source:
        head, points = list(csv.reader(source))
    exercises = [
        part for path in chapters for part in assignment.parts_of(path) if part.kind == "exercise"
    ]
    assert head[1:-1] == [part.label for part in exercises]
    assert int(points[-1]) == sum(map(int, points[1:-1]))
    assert min(map(int, points[1:-1])) >= 1
    for part in exercises:
        assert (f"(`{part.label}`)" in rubrics) == assignment.is_open(part)
    solved = "".join(p.read_text("utf-8") for p in (target / "instructor" / "solutions").iterdir())
    assert all(part.label in solved for part in exercises if assignment.is_open(part))


def test_rubrics_are_of_exercises_that_exist_and_each_criterion_earns_a_point(made):
    assignment, _, chapters = made
    rubrics = assignment.read_rubrics()
    labels = {part.label for path in chapters for part in assignment.parts_of(path)}
    assert set(rubrics["exercise"]) <= labels
    for rubric in [*rubrics["exercise"].values(), rubrics["predict"]]:
        assert all(c["points"] >= 1 and len(c["text"]) > 30 for c in rubric["criteria"])
        most = sum(c["points"] for c in rubric["criteria"])
        assert len(rubric["examples"]) == min(most, 2) + 1, "answers that earn 0, 1 and 2 points"


def test_the_capstone_has_five_levels_in_each_criterion_and_the_exemplar_marks_each(made):
    assignment, _, _ = made
    rubric = assignment.read_rubrics()["capstone"]
    assert len(rubric["levels"]) == 5
    assert all(len(row["levels"]) == 5 for row in rubric["criteria"])
    text = (assignment.TEACHING / "capstone-exemplar.md").read_text("utf-8")
    assert text.count("{admonition} Grader: level ") == len(rubric["criteria"]) == 6
    for number, row in enumerate(rubric["criteria"], 1):
        assert f"\n## {number} {row['name']}\n" in text


def test_an_open_exercise_without_a_rubric_is_refused(made):
    assignment, _, _ = made
    part = assignment.Part("exercise", "new-explain")
    part.cells.append(nbformat.v4.new_markdown_cell("**Explain.** Why?"))
    with pytest.raises(ValueError, match="'new-explain' has no rubric"):
        assignment.rubric_of(part, assignment.read_rubrics())


def test_an_unknown_chapter_is_refused_by_name(made):
    with pytest.raises(ValueError, match="no chapter nowhere; there are "):
        made[0].chapters_with_exercises(["nowhere"])


def test_folders_are_whole_or_not_there(made, tmp_path, monkeypatch):
    assignment, _, chapters = made
    monkeypatch.setattr(assignment, "_write_marks", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        assignment.write_assignment(tmp_path / "out", chapters[:1], exemplar=False)
    assert not (tmp_path / "out").exists()


def test_students_have_their_part_where_the_report_for_teachers_fails(made, tmp_path, monkeypatch):
    assignment, _, chapters = made

    def fails(folder):
        assert folder == tmp_path / "out" / "instructor"
        raise RuntimeError("the kernel died")

    monkeypatch.setattr(assignment, "write_exemplar", fails)
    with pytest.raises(RuntimeError, match="kernel died"):
        assignment.write_assignment(tmp_path / "out", chapters[:1])
    assert list((tmp_path / "out" / "student").glob("*.ipynb"))
    assert not (tmp_path / "out.part").exists()


@pytest.mark.slow
def test_a_kernel_that_uses_its_processor_time_up_ends_and_one_that_waits_does_not(
    book_script, tmp_path
):
    execute = book_script("execute")
    head = "---\nkernelspec:\n  name: python3\n---\n\n```{code-cell} python3\n"
    (tmp_path / "busy.md").write_text(f"{head}while True: pass\n```\n", "utf-8")
    (tmp_path / "waits.md").write_text(f"{head}import time; time.sleep(6)\n```\n", "utf-8")
    limits = {"without_torch": True, "timeout_s": None, "cpu_s": 5}
    with pytest.raises(execute.DeadKernelError, match="less than 5 s of processor time"):
        execute.run_notebook(tmp_path / "busy.md", **limits)
    _, cost = execute.run_notebook(tmp_path / "waits.md", **limits)
    assert cost.wall_s > 6


def test_homework_ends_with_a_sentence_also_where_the_report_fails(
    book_script, tmp_path, monkeypatch, capsys
):
    assignment = book_script("assignment")

    def fail(_folder):
        raise assignment.execute.DeadKernelError("expected less than 5 s of processor time.")

    monkeypatch.setattr(assignment, "write_exemplar", fail)
    out = tmp_path / "homework"
    monkeypatch.setattr("sys.argv", ["assignment", "--chapters", "start", "--out", str(out)])
    assert assignment.main() == 1
    said = capsys.readouterr().err
    assert "processor time. Run the command again" in said
    assert len(list((out / "student").glob("*.ipynb"))) == 1

"""Chapters run in kernels of their own, once, measured, without torch where none is needed."""

import pytest

HEAD = """\
---
jupytext:
  text_representation: {extension: .md, format_name: myst}
kernelspec: {name: python3, display_name: Python 3, language: python}
---
# A chapter

```{code-cell} python3
CODE
```
"""


@pytest.fixture
def write(tmp_path):
    def chapter(name, code):
        path = tmp_path / f"{name}.md"
        path.write_text(HEAD.replace("CODE", code))
        return path

    return chapter


@pytest.mark.slow
def test_a_chapter_runs_once_and_again_when_its_code_changes(book_script, write, tmp_path):
    execute = book_script("execute")
    code = 'with open("runs", "a") as f:\n    f.write("x")'
    paths = [write("one", code), write("two", "1 / 0")]
    errors = execute.execute(paths, tmp_path / "cache")
    assert list(errors) == ["two"]
    assert "ZeroDivisionError" in errors["two"]
    assert execute.execute(paths[:1], tmp_path / "cache") == {}
    assert (tmp_path / "runs").read_text() == "x"
    times = execute.read_times(tmp_path / "cache")
    assert list(times) == ["one"]
    assert times["one"]["cpu_s"] > 0
    assert 20 < times["one"]["peak_mib"] < 500
    write("one", code + "\n2")
    execute.execute(paths[:1], tmp_path / "cache")
    assert (tmp_path / "runs").read_text() == "xx"


@pytest.mark.slow
def test_the_lite_interpreter_has_no_torch_and_nothing_that_stands_on_it(book_script, write):
    execute = book_script("execute")
    code = (
        "import importlib.util\nimport numpy, pandas, ctlab.classic, reader_study\n"
        'assert importlib.util.find_spec("torch") is None\n'
        "try:\n    from ctlab.learn import load_checkpoint\n    load_checkpoint()\n"
        "except ImportError:\n    pass\nelse:\n    raise AssertionError('torch was found')"
    )
    _, cost = execute.run_notebook(write("lite", code), without_torch=True)
    assert cost.without_torch


def test_the_table_of_costs_adds_up(book_script):
    execute = book_script("execute")
    row = {"cpu_s": 2.0, "wall_s": 3.0, "without_torch": True}
    times = {
        "a": {"page": "a", "peak_mib": 10.0, **row},
        "b": {"page": "b", "peak_mib": 9.0, **row},
    }
    lines = execute.times_table(["b", "a", "c"], times).splitlines()
    assert [line.split("|")[1].strip() for line in lines[2:4]] == ["{doc}`b`", "{doc}`a`"]
    assert lines[-1] == "| **all, one after the other** | 6 | 4 | 10 | |"


def test_chapters_over_the_budget_are_named(book_script):
    execute = book_script("execute")
    row = {"cpu_s": 20.0, "wall_s": 20.0, "peak_mib": 500.0, "without_torch": True}
    times = {name: {"page": name, **row} for name in "abc"}
    assert execute.too_slow(times) == execute.too_large(times) == []
    times["a"] |= {"cpu_s": 91.0}
    times["b"] |= {"peak_mib": 3900.0}
    assert execute.too_slow(times)[0].startswith("a took 91 s")
    assert execute.too_large(times) == [
        "two chapters together took 4400 MiB, the limit is 4096 MiB"
    ]
    times = {name: {"page": name, **row, "cpu_s": 40.0} for name in "abc"}
    assert "on average" in execute.too_slow(times)[0]

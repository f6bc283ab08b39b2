"""The driver of the benchmarks: aims, result files, exit codes; no benchmark is run."""

import json
import sys
from types import ModuleType

import pytest

from benchmarks import __main__ as command
from benchmarks import driver


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with one benchmark, ``toy``, whose rows the test sets."""
    toy = ModuleType("benchmarks.bench_toy")
    toy.rows = [{"name": "ssim of a toy", "median_ratio": 9.0, "equal": True}]
    toy.results = lambda: iter(toy.rows)
    monkeypatch.setitem(sys.modules, "benchmarks.bench_toy", toy)
    (tmp_path / "bench_toy.py").touch()
    (tmp_path / "results").mkdir()
    monkeypatch.setattr(driver, "FOLDER", tmp_path)
    return tmp_path, toy


def test_a_benchmark_is_printed_and_only_written_when_that_is_asked_for(folder, capsys):
    path, _ = folder
    assert command.main(["toy"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert (printed["aim"], printed["aim_met"]) == (8.0, True)
    assert not (path / "results" / "toy.json").exists()
    command.main(["toy", "--write"])
    written = json.loads((path / "results" / "toy.json").read_text())
    assert written["command"] == "python -m benchmarks toy --write"
    assert written["results"][0] | {"load": 0} == printed | {"load": 0}


def test_rows_that_were_not_measured_this_time_stay(folder):
    path, toy = folder
    command.main(["toy", "--write"])
    toy.rows = [{"name": "full audit of a toy", "value": 61.0, "unit": "s"}]
    command.main(["toy", "--write"])
    rows = json.loads((path / "results" / "toy.json").read_text())["results"]
    assert [row["name"] for row in rows] == ["ssim of a toy", "full audit of a toy"]
    assert [row["aim_met"] for row in rows] == [True, False]


def test_answers_that_differ_end_with_1_and_a_missed_aim_does_not(folder):
    _, toy = folder
    toy.rows = [{"name": "ssim of a toy", "median_ratio": 0.5, "equal": True}]
    assert command.main(["toy"]) == 0
    toy.rows[0]["equal"] = False
    assert command.main(["toy"]) == 1


def test_an_unknown_name_is_refused_with_those_there_are(folder, capsys):
    with pytest.raises(SystemExit) as refused:
        command.main(["tyo"])
    assert refused.value.code == 2
    assert "expected names of toy, got tyo" in capsys.readouterr().err


def test_every_results_file_is_that_of_a_benchmark_and_of_its_aims():
    for path in (driver.FOLDER / "results").glob("*.json"):
        found = json.loads(path.read_text())
        assert path.stem in driver.names()
        assert found["command"] == f"python -m benchmarks {path.stem} --write"
        for row in found["results"]:
            told = driver.with_aim(row)
            assert (row.get("aim"), row.get("aim_met")) == (told.get("aim"), told.get("aim_met"))

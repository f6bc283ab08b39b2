"""Every command holds its libraries, and what it starts, to so many threads."""

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from ctlab import threads

COUNTED = """
import json, os, sys
from importlib import import_module
module, sys.argv = sys.argv[1], sys.argv[2:]
try:
    import_module(module).main()
except SystemExit as ended:
    assert not ended.code, ended.code
from ctlab.threads import VARIABLES
import numba
told = {"variables": [os.environ[name] for name in VARIABLES], "numba": numba.get_num_threads()}
told["running"] = len(os.listdir("/proc/self/task")) if os.path.isdir("/proc/self/task") else 1
if "torch" in sys.modules:
    told["torch"] = sys.modules["torch"].get_num_threads()
print(json.dumps(told))
"""
SAMPLE = Path(threads.__file__).parent / "ct" / "datasets" / "sample" / "slices"


def run(module, *words, **variables):
    """What a command left behind in its process, as counted after it."""
    env = {k: v for k, v in os.environ.items() if k not in threads.VARIABLES} | variables
    command = [sys.executable, "-c", COUNTED, module, *map(str, words)]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture
def no_variable(monkeypatch):
    """An environment of its own: numba looks at it again whenever it compiles."""
    kept = {k: v for k, v in os.environ.items() if k not in threads.VARIABLES}
    monkeypatch.setattr(os, "environ", kept)


@pytest.mark.parametrize(
    ("module", "words"),
    [("ctlab.__main__", ["ctlab"]), ("reader_study.cli.study", ["reader-study"])],
)
def test_both_command_lines_have_the_option(module, words):
    command = {"ctlab.__main__": ["doctor"], "reader_study.cli.study": ["new", "x", "--items=list"]}
    told = run(module, *words, "--threads", 1, *command[module])
    assert set(told["variables"]) == {"1"}
    assert told["numba"] == 1
    assert told.get("torch", 1) == 1


@pytest.mark.slow
def test_a_command_starts_no_more_threads_than_asked_for(tmp_path):
    """The projections of a simulation run in parallel loops, its noise in BLAS and FFT."""
    words = ["ctlab", "--threads", 1, "simulate", SAMPLE, tmp_path / "one", "--dose", 0.5]
    assert run("ctlab.__main__", *words)["running"] == 1
    words = ["ctlab", "--threads", 3, "simulate", SAMPLE, tmp_path / "three", "--dose", 0.5]
    assert run("ctlab.__main__", *words)["running"] > 1


def test_by_default_the_cores_of_the_process_and_what_the_environment_asks_for(
    no_variable, monkeypatch
):
    monkeypatch.setattr(threads, "_bound_loaded", lambda count: None)
    monkeypatch.setattr(threads, "available_cores", lambda: 6)
    assert threads.bound_threads() == 6
    assert {os.environ[name] for name in threads.VARIABLES} == {"6"}
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    monkeypatch.delenv("NUMBA_NUM_THREADS")
    assert threads.bound_threads() == 2
    assert os.environ["NUMBA_NUM_THREADS"] == "2"
    assert threads.bound_threads(4) == 4, "the option counts before the environment"
    assert {os.environ[name] for name in threads.VARIABLES} == {"4"}


@pytest.mark.parametrize(
    ("asked", "expected"), [("", 6), ("0", 6), ("x", 6), ("3,2", 3), ("99", 6)]
)
def test_an_odd_variable_is_no_fault(asked, expected, monkeypatch):
    monkeypatch.setattr(threads, "available_cores", lambda: 6)
    monkeypatch.setenv("OMP_NUM_THREADS", asked)
    assert threads.allowed_threads() == expected


@pytest.mark.parametrize(
    ("quota", "expected"), [("max 100000", 4), ("150000 100000", 1), ("50000 100000", 1)]
)
def test_the_quota_of_a_container_counts(quota, expected, tmp_path, monkeypatch):
    written = tmp_path / "cpu.max"
    written.write_text(quota + "\n")
    monkeypatch.setattr(threads, "QUOTA", written)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(4)), raising=False)
    assert threads.available_cores() == expected


def test_libraries_that_are_loaded_already_are_told(no_variable):
    """As in a notebook, or where one process runs two commands."""
    import numba

    before = numba.get_num_threads()
    torch = __import__("torch") if find_spec("torch") else None
    threads_of_torch = torch.get_num_threads() if torch else 1
    try:
        threads.bound_threads(1)
        assert numba.get_num_threads() == 1
        assert torch is None or torch.get_num_threads() == 1
    finally:
        numba.set_num_threads(before)
        if torch:
            torch.set_num_threads(threads_of_torch)

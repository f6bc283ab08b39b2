"""Do the tests notice faults? ``python -m experiments.test_quality``: mutation testing, slow.

Each module of :mod:`targets` is changed in one place at a time, in a copy of the tree; the examples
in its docstrings and its tests run until one fails. Where there are more changes than ``--most``,
a seeded sample of them is tried. Results are kept module by module, so a run may be stopped;
``--only`` does some modules again.
"""

import os
import random
import shutil
import signal
import sys
import tempfile
import time
from contextlib import suppress
from importlib import import_module
from importlib.metadata import entry_points, packages_distributions
from pathlib import Path
from typing import Annotated, Any

import typer

from ctlab.files import write_json
from ctlab.input_files import read_json
from experiments.test_quality.equivalent import EQUIVALENT
from experiments.test_quality.mutators import Mutant, mutants_of
from experiments.test_quality.targets import TARGETS, Target

ROOT = Path(__file__).resolve().parents[2]
RESULTS = Path(__file__).parent / "mutants.json"
SEED = 20261201
LOADED = "loaded-modules"
OURS = ("ctlab", "reader_study", "experiments", "tests", "conftest")
TESTERS = ("pytest", "_pytest", "pluggy", "__main__")


def main(
    most: Annotated[int, typer.Option(help="mutants of each module")] = 25,
    only: Annotated[str, typer.Option(help="modules whose path holds this")] = "",
) -> None:
    """Write ``mutants.json``: of each module, which changes its tests noticed."""
    results = read_json(RESULTS, "is no result of this command") if RESULTS.exists() else {}
    kept = {entry["module"]: entry for entry in results.get("modules", [])}
    with tempfile.TemporaryDirectory() as scratch:
        tree = _copy(Path(scratch) / "tree")
        _import_from(tree)
        for target in TARGETS:
            if only in target.module:
                kept[target.module] = _examine(tree, target, most)
                found = [kept[one.module] for one in TARGETS if one.module in kept]
                write_json(RESULTS, {"seed": SEED, **_score(found), "modules": found})


def _score(found: list[dict[str, Any]]) -> dict[str, Any]:
    """Of the mutants that can be noticed at all, the share that was."""
    tried, killed, equivalent = (
        sum(entry[name] for entry in found) for name in ("tried", "killed", "equivalent")
    )
    return {"tried": tried, "killed": killed, "score": round(killed / (tried - equivalent), 3)}


def _examine(tree: Path, target: Target, most: int) -> dict[str, Any]:
    """Try a sample of the mutants of one module."""
    path = tree / target.module
    source = path.read_text("utf-8")
    every = mutants_of(source)
    drawn = random.Random(f"{SEED} {target.module}").sample(every, min(most, len(every)))
    before = time.monotonic()
    if _run_tests(tree, (target.module, *target.tests), limit_s=1800) != 0:
        raise ValueError(f"the tests of {target.module} fail without any change; mend them first")
    _import_ahead(tree / LOADED)
    limit_s = 60 + 4 * (time.monotonic() - before)
    survived = []
    try:
        for mutant in sorted(drawn, key=lambda one: one.start):
            path.write_text(mutant.in_source(source), "utf-8")
            if _run_tests(tree, (target.module, *target.tests), limit_s) == 0:
                survived.append(_in_words(target.module, mutant))
    finally:
        path.write_text(source, "utf-8")
    excused = sum("equivalent" in one for one in survived)
    killed = len(drawn) - len(survived)
    print(f"{target.module}: {killed} of {len(drawn)} noticed, {excused} equivalent", flush=True)
    return {
        "module": target.module,
        "tests": list(target.tests),
        "mutants": len(every),
        "tried": len(drawn),
        "killed": killed,
        "equivalent": excused,
        "survived": survived,
    }


def _in_words(module: str, mutant: Mutant) -> dict[str, Any]:
    """Where and what; with the reason, where no test could notice it."""
    said = {"line": mutant.line, "was": mutant.was, "now": mutant.now}
    reason = EQUIVALENT.get((module, mutant.was, mutant.now))
    return {**said, "equivalent": reason} if reason else said


def _copy(tree: Path) -> Path:
    """What the tests of this project read, without what is built."""
    skip = shutil.ignore_patterns("__pycache__", "_build", "_vendor", "node_modules", ".*")
    for part in ("ctlab", "reader_study", "experiments", "tests", "book"):
        shutil.copytree(ROOT / part, tree / part, ignore=skip)
    shutil.copy(ROOT / "pyproject.toml", tree)
    return tree


def _import_from(tree: Path) -> None:
    """Let this process and those it starts import from the copy, and write no bytecode."""
    os.environ |= {"PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"}
    os.environ |= {"OMP_NUM_THREADS": "1", "MPLBACKEND": "agg"}
    sys.dont_write_bytecode = True


def _import_ahead(names: Path) -> None:
    """Import once what the tests import and no mutant changes; each process starts with it."""
    plugins = {point.dist.name for point in entry_points(group="pytest11") if point.dist}
    rewritten = {top for top, of in packages_distributions().items() if plugins & set(of)}
    for name in names.read_text("utf-8").split():
        if name.partition(".")[0] not in {*OURS, *TESTERS, *rewritten}:
            with suppress(Exception):
                import_module(name)


def _run_tests(tree: Path, tests: tuple[str, ...], limit_s: float) -> int:
    """Exit code of pytest in a process of its own; 124 where it took too long."""
    process = os.fork()
    if process == 0:
        code = 3
        try:
            os.setsid()
            code = _pytest(tree, tests)
        finally:  # nothing of this process is cleaned up by its copy
            os._exit(code)
    until = time.monotonic() + limit_s
    while time.monotonic() < until:
        done, status = os.waitpid(process, os.WNOHANG)
        if done:
            code = os.waitstatus_to_exitcode(status)
            if code in (3, 4, 5):
                raise RuntimeError(f"pytest could not run {' '.join(tests)}: exit code {code}")
            return code
        time.sleep(0.05)
    os.killpg(process, signal.SIGKILL)
    os.waitpid(process, 0)
    return 124


def _pytest(tree: Path, tests: tuple[str, ...]) -> int:
    """Run tests in the copy, silently, until one fails."""
    import pytest

    os.chdir(tree)
    sys.path[:] = [str(tree), *(p for p in sys.path if p not in ("", str(ROOT)))]
    for name in [n for n in sys.modules if n.partition(".")[0] in ("ctlab", "reader_study")]:
        del sys.modules[name]
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    quiet = ["-x", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "-m", "not slow"]
    ended = int(pytest.main([*quiet, *tests]))
    (tree / LOADED).write_text("\n".join(sys.modules), "utf-8")
    return ended


if __name__ == "__main__":
    typer.run(main)

"""Changes to a program are small, real and quoted; the score counts what its parts say."""

import ast
import json
from pathlib import Path

import pytest

from experiments.test_quality.equivalent import EQUIVALENT
from experiments.test_quality.mutators import mutants_of
from experiments.test_quality.targets import TARGETS

ROOT = Path(__file__).parents[3]
SOURCE = '''
"""No text of 1 + 1 is changed."""
def grade(ä: int = 3, *, most: float = -1.5) -> bool:
    """Nor 2 < 3."""
    if ä == 2 and not most:
        raise ValueError("no", 4)
    total = min(ä, 7) if most else ä - 1
    total += f"{ä + 1}" != ""
    print(total)
    return True
'''


def test_every_change_is_one_place_and_another_program():
    whole = ast.dump(ast.parse(SOURCE))
    mutants = mutants_of(SOURCE)
    for mutant in mutants:
        assert SOURCE[mutant.start : mutant.end] == mutant.was
        assert ast.dump(ast.parse(mutant.in_source(SOURCE))) != whole
        assert SOURCE.splitlines()[mutant.line - 1].count(mutant.was.splitlines()[0])
    assert len({mutant.in_source(SOURCE) for mutant in mutants}) == len(mutants)


def test_signs_numbers_branches_and_refusals_are_changed_and_texts_are_not():
    found = {(mutant.line, mutant.was, mutant.now) for mutant in mutants_of(SOURCE)}
    assert found == {
        (3, "3", "4"),
        (3, "-1.5", "1.5"),
        (3, "1.5", "2.5"),
        (5, "ä == 2 and not most", "(ä == 2 or not most)"),
        (5, "ä == 2", "ä != 2"),
        (5, "2", "3"),
        (5, "not most", "most"),
        (6, 'raise ValueError("no", 4)', "pass"),
        (7, "min(ä, 7) if most else ä - 1", "(ä - 1)"),
        (7, "min", "max"),
        (7, "7", "8"),
        (7, "ä - 1", "ä + 1"),
        (7, "1", "2"),
        (8, 'total += f"{ä + 1}" != ""', "total -= f'{ä + 1}' != ''"),
        (8, 'f"{ä + 1}" != ""', "f'{ä + 1}' == ''"),
        (9, "print(total)", "pass"),
        (10, "True", "False"),
    }


def test_targets_and_their_tests_exist():
    for target in TARGETS:
        assert mutants_of((ROOT / target.module).read_text("utf-8"))
        assert [path for path in target.tests if not (ROOT / path).exists()] == []


def test_the_score_is_that_of_the_modules():
    results = json.loads((ROOT / "experiments" / "test_quality" / "mutants.json").read_text())
    modules = results["modules"]
    assert {entry["module"] for entry in modules} <= {target.module for target in TARGETS}
    for entry in modules:
        assert entry["killed"] + len(entry["survived"]) == entry["tried"] <= entry["mutants"]
        assert entry["equivalent"] == sum("equivalent" in one for one in entry["survived"])
    tried, killed, equivalent = (
        sum(entry[name] for entry in modules) for name in ("tried", "killed", "equivalent")
    )
    assert (results["tried"], results["killed"]) == (tried, killed)
    assert results["score"] == pytest.approx(killed / (tried - equivalent), abs=1e-3)


def test_what_is_called_equivalent_is_a_change_with_a_reason():
    for (module, was, now), reason in EQUIVALENT.items():
        found = mutants_of((ROOT / module).read_text("utf-8"))
        assert (was, now) in {(mutant.was, mutant.now) for mutant in found}
        assert len(reason) > 20

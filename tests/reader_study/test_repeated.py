"""``reader-study report`` on every endpoint a protocol offers, repeated by its own R script."""

import shutil
import subprocess
from pathlib import Path

import pytest
from typer.testing import CliRunner

from reader_study.cli.study import app
from reader_study.report import read_analysis
from reader_study.room.session import MARKS

RSCRIPT = shutil.which("Rscript")
SCALE = """
[[items]]
name = "noise"
kind = "scale"
about = "{about}"
question = "Which is better, or how good?"
answers = ["1", "2", "3", "4", "5"]
"""
PREFERENCE = '[[items]]\nname = "pref"\nkind = "preference"\nquestion = "Which?"\n'
SLIDER = """
[[items]]
name = "lesion"
kind = "slider"
about = "{about}"
question = "Lesion?"
answers = ["no", "yes"]
marks = ["lesion"]
"""
PAIRS = "repeats = 0\ncatch_trials = 0\n"
SINGLE = 'layout = "single"\nsessions = 2\nwashout_days = 0\n' + PAIRS


def cases(n, *, per_patient=1, lesions=False):
    """Tables of cases; every other one with a lesion in its middle where ``lesions``."""
    rows = []
    for i in range(n):
        found = "lesions = [{ centre_zyx = [1, 6, 5], diameter_mm = 2.0 }]\n" if i % 2 else ""
        rows.append(
            f'[[cases]]\nname = "case-{i}"\npatient = "pat-{i // per_patient}"\n'
            + (found if lesions else "")
        )
    return "\n".join(rows)


def marking(trial, key, rng, effect):
    """Simulated reader that marks the lesion, or a place beside it, more surely in alpha."""
    case, marks = key["protocol"]["cases"][trial["case"]], []
    for side in ("left", "right"):
        if trial[f"{side}_arm"] is None:
            continue
        sure = rng.normal(effect * (trial[f"{side}_arm"] == 0), 1.0)
        spot = [1, 6, 5] if case["lesions"] and sure > 0 else [0, 1, 1]
        if sure > 0 or rng.random() < 0.4:
            place = dict(zip("zyx", spot, strict=True))
            confidence = int(min(max(50 + 15 * sure, 1), 100))
            marks.append({"side": side, **place, "kind": "lesion", "confidence": confidence})
        yield f"lesion@{side}", int(min(max(50 + 20 * sure, 0), 100))
    yield MARKS, marks


STUDIES = {
    "share": {"n_cases": 8, "effect": 1.0},
    "odds": {"n_cases": 8, "items": SCALE.format(about="each"), "effect": 0.4},
    "odds of a bad item": {
        "n_cases": 8,
        "items": SCALE.format(about="each"),
        "effect": 0.4,
        "tail": 'lower_is_better = ["noise"]\n',
    },
    "difference of ratings": {
        "n_cases": 8,
        "items": SCALE.format(about="each"),
        "effect": 0.4,
        "readers": 3,
        "tail": 'margin = 0.5\nmargin_justification = "half a step"\n',
    },
    "relative scale": {"n_cases": 8, "items": SCALE.format(about="pair"), "effect": 0.4},
    "slider": {"n_cases": 8, "items": SLIDER.format(about="each"), "effect": 0.5},
    "area": {
        "n_cases": 0,
        "items": SLIDER.format(about="each") + cases(12, lesions=True),
        "effect": 0.7,
        "tail": 'endpoint = "auc"\n',
        "design": PAIRS,
    },
    "area, single images": {
        "n_cases": 0,
        "items": SLIDER.format(about="pair") + cases(12, lesions=True),
        "effect": 0.7,
        "tail": 'endpoint = "auc"\n',
        "design": SINGLE,
    },
    "free response": {
        "n_cases": 0,
        "items": SLIDER.format(about="each") + cases(12, lesions=True),
        "effect": 0.7,
        "tail": 'endpoint = "wafroc"\nmark_radius_mm = 2.0\n',
        "design": PAIRS,
        "answers": marking,
    },
}


TWO_EACH = {
    "share": {"n_cases": 0, "items": PREFERENCE + cases(10, per_patient=2), "effect": 0.5},
    "difference": {
        "n_cases": 0,
        "items": SCALE.format(about="pair") + cases(10, per_patient=2),
        "effect": 0.4,
    },
    "odds": {
        "n_cases": 0,
        "items": SCALE.format(about="each") + cases(10, per_patient=2),
        "effect": 0.4,
    },
    "area": STUDIES["area"]
    | {"items": SLIDER.format(about="each") + cases(16, per_patient=2, lesions=True)},
    "free response": STUDIES["free response"]
    | {"items": SLIDER.format(about="each") + cases(16, per_patient=2, lesions=True)},
}
STUDIES |= {f"{name}, two cases a patient": options for name, options in TWO_EACH.items()}


@pytest.mark.skipif(RSCRIPT is None, reason="Rscript is not installed")
@pytest.mark.parametrize("name", STUDIES)
def test_r_repeats_the_published_result_from_the_report_folder(read_study, name):
    study = read_study(**STUDIES[name])
    done = CliRunner().invoke(app, ["report", str(study)])
    assert done.exit_code == 0, done.output
    folder = study / "report"
    ran = subprocess.run(
        [RSCRIPT, "primary.R"], cwd=folder, capture_output=True, text=True, check=False
    )
    if "there is no package called" in ran.stderr:
        pytest.skip("the R package ordinal is not installed")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "The published result is repeated" in ran.stdout
    row = read_analysis(study)["primary"][0]
    assert row["value"] is not None, row["note"]
    assert Path(folder / "report.html").stat().st_size > 20_000

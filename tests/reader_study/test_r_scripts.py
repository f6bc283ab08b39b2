"""Every kind of study, from the locked protocol to R: Rscript gives the digits that were published.

Each study is locked, read by simulated readers, closed, unblinded and analysed; the script of its
report then computes the primary result again from the tables that the analysis left. Those of
``REPORTED`` go through ``reader-study report``, with every secondary and sensitivity analysis.
"""

import pytest
from typer.testing import CliRunner

from reader_study.analysis.analyse import analyse
from reader_study.cli.study import app
from reader_study.report import read_analysis
from reader_study.report.rscript import r_script
from reader_study.room.session import MARKS
from tests.reader_study.r_runner import needs_r, run_primary

pytestmark = needs_r

SCALE = """
[[items]]
name = "noise"
kind = "scale"
about = "{about}"
question = "How good?"
answers = ["1", "2", "3", "4", "5"]
"""
SLIDER = """
[[items]]
name = "lesion"
kind = "slider"
about = "{about}"
question = "Lesion?"
answers = ["no", "yes"]
marks = ["lesion"]
"""
BARE = "repeats = 0\ncatch_trials = 0\n"
SINGLE = 'layout = "single"\nsessions = 2\nwashout_days = 0\n' + BARE


def cases(count, *, per_patient=1, every=2):
    """Tables of cases, one in ``every`` of them with a lesion, some with two."""
    rows = []
    for i in range(count):
        lesions = [[1, 6, 5], [1, 2, 2]][: 1 + (i % 4 == 3)] if i % every else []
        listed = ", ".join(f"{{ centre_zyx = {where}, diameter_mm = 2.0 }}" for where in lesions)
        patient = i // per_patient
        rows.append(
            f'[[cases]]\nname = "case-{i}"\npatient = "pat-{patient}"\nlesions = [{listed}]\n'
        )
    return "\n".join(rows)


def marking(simulated_answers):
    """The usual answers, and marks on or beside the lesions with some confidence."""

    def answers(trial, key, rng, effect):
        yield from simulated_answers(trial, key, rng, effect)
        marks = []
        for side in ("left", "right"):
            found = key["protocol"]["cases"][trial["case"]]["lesions"]
            chance = 0.5 + 0.3 * (trial[f"{side}_arm"] == 0)
            places = [lesion["centre_zyx"] for lesion in found if rng.random() < chance]
            places += [[0, 0, 0]] * int(rng.random() < 0.4)
            for place in places:
                spot = dict(zip("zyx", place, strict=True))
                sure = int(rng.integers(20, 95))
                marks.append({"side": side, **spot, "kind": "lesion", "confidence": sure})
        yield MARKS, marks

    return answers


def choosing(*, tie=0.0, always=False):
    """A preference with ties, or everybody for alpha."""

    def answers(trial, key, rng, effect):
        alpha = "left" if trial["left_arm"] == 0 else "right"
        other = {"left": "right", "right": "left"}[alpha]
        draw = rng.random()
        if draw < tie:
            yield "pref", "tie"
        else:
            yield "pref", alpha if always or rng.random() < 0.65 else other

    return answers


def each(**more):
    return {"items": SCALE.format(about="each"), "effect": 0.5, "n_cases": 8, **more}


def areas(**more):
    endpoint = more.pop("endpoint", "auc")
    rule = more.pop("rule", "")
    count = more.pop("count", 10)
    tables = cases(count, per_patient=more.pop("per_patient", 1))
    about = more.pop("about", "each")
    return {
        "n_cases": 0,
        "items": SLIDER.format(about=about) + tables,
        "effect": 0.8,
        "design": BARE,
        "tail": f'endpoint = "{endpoint}"\nmark_radius_mm = 2.0\n{rule}',
        **more,
    }


MODEL = '[model]\nname = "net"\narm = "alpha"\n[model.scores]\n' + "".join(
    f"case-{i} = {score}\n" for i, score in enumerate([3, 7, 2, 9, 6, 8, 1, 5, 4, 10])
)
STUDIES = {
    "share": {"n_cases": 8, "answers": choosing()},
    "share, ties": {"n_cases": 8, "answers": choosing(tie=0.3)},
    "share, one reader": {"n_cases": 8, "readers": 1, "answers": choosing()},
    "share, two readers": {"n_cases": 8, "readers": 2, "answers": choosing()},
    "share, unanimous": {"n_cases": 6, "answers": choosing(always=True)},
    "share, unfinished": {"n_cases": 8, "answers": choosing(), "stop": 3},
    "share, three arms": {"n_cases": 6, "arms": ("alpha", "bravo", "charlie"), "readers": 3},
    "share, patients": {
        "items": '[[items]]\nname = "pref"\nkind = "preference"\nquestion = "?"\n'
        + cases(9, per_patient=2),
        "n_cases": 0,
        "answers": choosing(),
    },
    "odds": each(),
    "odds, turned round": each(tail='lower_is_better = ["noise"]\n'),
    "odds, one reader": each(readers=1),
    "odds, unfinished": each(stop=3),
    "odds, single": each(items=SCALE.format(about="pair"), design=SINGLE),
    "odds, patients": each(items=SCALE.format(about="each") + cases(10, per_patient=2), n_cases=0),
    "difference, margin": each(tail="margin = 0.5\n", readers=3),
    "difference, patients": each(
        items=SCALE.format(about="each") + cases(9, per_patient=2),
        n_cases=0,
        tail='endpoint = "difference"\n',
    ),
    "difference, relative": each(items=SCALE.format(about="pair")),
    "difference, relative, patients": each(
        items=SCALE.format(about="pair") + cases(10, per_patient=2), n_cases=0
    ),
    "slider": each(items=SLIDER.format(about="each")),
    "difference, slider": areas(endpoint="difference"),
    "area": areas(),
    "area, single": areas(about="pair", design=SINGLE),
    "area, patients": areas(per_patient=2, count=14),
    "area, one reader": areas(readers=1),
    "area, unfinished": areas(stop=7),
    "marks": areas(endpoint="wafroc"),
    "marks, patients": areas(endpoint="wafroc", per_patient=2, count=16),
    "marks, patients, lesion rule": areas(
        endpoint="wafroc",
        per_patient=2,
        count=14,
        readers=2,
        rule='mark_rule = "lesion"\nmark_duplicates = "false"\n',
    ),
    "marks, one reader": areas(endpoint="wafroc", readers=1),
}


RATED = 'endpoint = "{}"\ncalled_from = 50\n'
STUDIES |= {
    "sensitivity": areas(tail=RATED.format("sensitivity")),
    "specificity, single": areas(
        about="pair", design=SINGLE, tail=RATED.format("specificity"), count=14
    ),
    "correct, patients": areas(per_patient=2, count=14, tail=RATED.format("correct")),
    "recall, one reader": areas(readers=1, tail=RATED.format("recall")),
    "correct, unfinished": areas(stop=7, tail=RATED.format("correct")),
    "model": areas(tail='endpoint = "ai"\n' + MODEL, count=10),
    "model, patients": areas(tail='endpoint = "ai"\n' + MODEL, count=10, per_patient=2),
    "model, margin": areas(tail='endpoint = "ai"\nmargin = 0.1\n' + MODEL, count=10),
    "model, one reader": areas(readers=1, tail='endpoint = "ai"\n' + MODEL, count=10),
}
REPORTED = {"share", "share, patients", "odds", "odds, turned round", "odds, patients"}
REPORTED |= {"difference, margin", "difference, relative", "difference, relative, patients"}
REPORTED |= {"slider", "area", "area, single", "area, patients", "marks", "marks, patients"}


@pytest.mark.parametrize("kind", STUDIES)
def test_r_computes_the_published_result_of_every_kind_of_study(
    kind, read_study, simulated_answers, monkeypatch
):
    options = dict(STUDIES[kind])
    if kind.startswith("marks"):
        options["answers"] = marking(simulated_answers)
    study = read_study(**options)
    if kind in REPORTED:
        done = CliRunner().invoke(app, ["report", str(study)])
        assert done.exit_code == 0, done.output
        assert (study / "report" / "report.html").stat().st_size > 20_000
    else:  # sensitivity analyses are most of the time of an analysis, and not repeated here
        monkeypatch.setattr("reader_study.analysis.analyse.sensitivity_rows", lambda *_, **__: [])
        (study / "report" / "primary.R").write_text(r_script(analyse(study)), "utf-8")
    row = read_analysis(study)["primary"][0]
    done = run_primary(study / "report")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "The published result is repeated" in done.stdout
    found = next(line.split()[1:] for line in done.stdout.splitlines() if line.startswith("r "))
    published = [row[name] for name in ("value", "low", "high")]
    assert None not in published, row["note"]
    tolerance = 5e-3 if row["endpoint"] == "odds" else 2e-7
    assert [float(text) for text in found] == pytest.approx(published, rel=tolerance, abs=2e-7)

"""The validity command: rates are counted rightly, a broken procedure is caught."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from experiments.error_rates import run
from experiments.error_rates.null_studies import Procedure
from experiments.error_rates.run import PROCEDURES


def uniform(shift=0.0):
    return lambda rng: (max(rng.random() - shift, 0.0), bool(rng.random() < 0.95))


def test_a_uniform_p_keeps_its_level_and_a_shifted_one_is_called_liberal():
    good = Procedure("made up", "x", "exact", uniform())
    bad = Procedure("made up", "x", "exact", uniform(0.05))
    kept = run.simulate(good, sims=4000, seed=1)
    assert kept["verdict"] == "keeps its level"
    assert kept["coverage"] == pytest.approx(0.95, abs=0.012)
    assert kept["monte_carlo_error"] == pytest.approx(1.96 * np.sqrt(0.05 * 0.95 / 4000))
    caught = run.simulate(bad, sims=4000, seed=1)
    assert caught["verdict"] == "liberal"
    assert caught["reason"]


def test_intervals_without_a_test_are_judged_by_how_often_they_miss():
    def interval(misses):
        return Procedure(
            "made up", "x", "approximate", lambda rng: (float("nan"), rng.random() > misses)
        )

    kept, short = (run.simulate(interval(m), sims=4000, seed=1) for m in (0.05, 0.08))
    assert (kept["rejection"], kept["verdict"]) == (None, "keeps its level")
    assert short["coverage"] == pytest.approx(0.92, abs=0.012)
    assert short["verdict"] == "liberal"


def test_undefined_studies_are_counted_and_left_out():
    procedure = Procedure("made up", "x", "exact", lambda rng: (float("nan"), None))
    found = run.simulate(procedure, sims=10, seed=1)
    assert (found["undefined"], found["rejection"], found["verdict"]) == (10, None, "not defined")


@pytest.mark.parametrize("procedure", PROCEDURES, ids=lambda p: f"{p.name}-{p.design}")
def test_every_procedure_draws_a_study_and_gives_a_p_value(procedure):
    p, held = procedure.draw(np.random.default_rng(3))
    assert np.isnan(p) or 0 <= p <= 1
    assert held in (None, True, False)


def test_results_are_added_to_the_file_and_can_be_made_again(tmp_path):
    import typer

    app = typer.Typer()
    app.command()(run.main)
    out = tmp_path / "rates.json"
    for name in ("exact signed", "pooled pref", "exact signed"):
        result = CliRunner().invoke(app, ["--sims", "30", "--only", name, "--out", str(out)])
        assert result.exit_code == 0, result.output
    rows = json.loads(out.read_text())["procedures"]
    assert len(rows) == 3
    assert all(row["n"] == 30 for row in rows)


def test_committed_results_cover_every_procedure_with_enough_studies():
    assert run.load_results()["command"] == run.COMMAND
    rows = {(r["name"], r["design"]): r for r in run.load_results()["procedures"]}
    for procedure in PROCEDURES:
        row = rows[procedure.name, procedure.design]
        assert row["n"] >= 10_000, procedure.name
        if procedure.claim in ("exact", "at most"):
            assert row["rejection"] <= row["level"] + row["monte_carlo_error"]
        judged = row["rejection"] if row["rejection"] is not None else 1 - row["coverage"]
        reached = run.judgement(procedure, judged, row["n"] - row["undefined"])
        assert (row["monte_carlo_error"], row["verdict"], row["reason"]) == (
            pytest.approx(reached[0]),
            *reached[1:],
        )
        assert bool(row["reason"]) == (row["verdict"] in ("liberal", "conservative"))
    assert rows.keys() == {(p.name, p.design) for p in PROCEDURES}

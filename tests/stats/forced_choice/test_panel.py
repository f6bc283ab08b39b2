"""A panel's forced choice: the truth comes back, null panels err in one of twenty, refusals."""

import json

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from reader_study.cli.stats import app
from reader_study.stats.forced_choice.d_prime import share_correct
from reader_study.stats.forced_choice.panel import forced_choice
from reader_study.stats.paired.crossed_mean import crossed_mean

COLUMNS = ["reader", "case", "arm", "contrast_hu", "correct", "chosen"]


def panel(rng, thresholds, *, readers=5, cases=30, contrasts=(20,), places=4, spread=0.2):
    """Answers of readers whose d' is contrast over threshold, times own and the case's ease."""
    skill = np.exp(rng.normal(0, spread, readers))
    rows = []
    for contrast in contrasts:
        for case in range(cases):
            ease = np.exp(rng.normal(0, spread))
            for arm, threshold in thresholds.items():
                for reader in range(readers):
                    seen = rng.normal(size=places)
                    place = int(rng.integers(places))
                    seen[place] += contrast / threshold * skill[reader] * ease
                    chosen = int(np.argmax(seen))
                    answer = (int(chosen == place), chosen + 1)
                    rows.append((f"R{reader}", f"{contrast}-{case}", arm, contrast, *answer))
    return pd.DataFrame(rows, columns=COLUMNS)


@pytest.fixture(scope="module")
def answers():
    rng = np.random.default_rng(3)
    return panel(rng, {"low": 20, "denoised": 10}, cases=60, contrasts=(10, 20, 40))


def test_thresholds_and_differences_are_those_the_readers_were_made_with(answers):
    found = forced_choice(answers, 4, draws=100)
    for arm, truth in (("low", 20), ("denoised", 10)):
        fit = found.thresholds[arm]
        assert fit.low_hu < truth < fit.high_hu
        assert fit.threshold_hu == pytest.approx(truth, rel=0.3)
    row = found.differences.iloc[0]
    assert (row["first"], row["second"]) == ("low", "denoised")
    assert row["p"] < 0.01
    assert row["d_prime_high"] < 0
    assert row["low"] < row["share_difference"] < row["high"] < 0
    overall = found.arms[found.arms["contrast_hu"].isna()]
    assert list(overall["arm"]) == ["low", "denoised"]
    assert len(found.arms) == 8
    assert (found.arms["low"] < found.arms["d_prime"]).all()
    assert found.notes == ()


def test_the_share_is_the_crossed_mean_and_its_limits_stay_within_0_and_1(answers):
    part = answers[(answers["arm"] == "low") & (answers["contrast_hu"] == 40)]
    mean = crossed_mean(part["correct"], part["reader"], part["case"])
    row = forced_choice(part, 4).arms.iloc[0]
    assert row["share"] == pytest.approx(mean.mean)
    assert 0 <= row["share_low"] < row["share"] < row["share_high"] <= 1
    assert float(share_correct(row["d_prime"], 4)) == pytest.approx(row["share"])
    sure = forced_choice(part.assign(correct=1), 4).arms.iloc[0]
    assert sure["d_prime"] == np.inf
    assert sure["low"] > 2


@pytest.mark.slow
def test_arms_that_are_alike_differ_in_about_one_of_twenty_panels():
    rng = np.random.default_rng(11)
    p = []
    for _ in range(60):
        table = panel(rng, {"a": 14, "b": 14}, cases=15)
        p.append(forced_choice(table, 4).differences["p"].iloc[0])
    assert np.mean(np.array(p) < 0.05) <= 0.12


def test_a_reader_who_prefers_a_place_is_named(answers):
    table = answers.copy()
    table.loc[table["reader"] == "R1", "chosen"] = 1
    found = forced_choice(table[table["contrast_hu"] == 20], 4)
    assert any("R1 preferred a place" in note for note in found.notes)


def test_repeats_of_two_places_tell_a_readers_own_noise():
    rng = np.random.default_rng(2)
    image = rng.normal(1.0, 1.0, 600)
    passes = [(image + rng.normal(0, 1.0, 600) > 0).astype(int) for _ in range(2)]
    rows = [("R1", i, "low", 20, int(passes[s][i]), s + 1) for i in range(600) for s in range(2)]
    table = pd.DataFrame(rows, columns=[*COLUMNS[:5], "showing"])
    found = forced_choice(table, 2)
    assert found.noise["R1"] == pytest.approx(1.0, abs=0.3)
    assert found.arms["n"].iloc[0] == 600
    four = forced_choice(table, 4)
    assert four.noise == {}
    assert any("two places only" in note for note in four.notes)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"correct": 2}, "correct is not 0 or 1 in row"),
        ({"chosen": 5}, "place from 1 to 4"),
        ({"case": "x"}, "met a case of an arm twice"),
        ({"contrast_hu": np.nan}, "contrast_hu"),
    ],
)
def test_what_cannot_be_analysed_is_named_with_its_rows(answers, change, message):
    with pytest.raises(ValueError, match=message):
        forced_choice(answers.assign(**change), 4)


def test_the_command_tells_arms_efficiency_and_json_without_infinities(tmp_path, answers):
    file, models = tmp_path / "answers.csv", tmp_path / "observers.csv"
    sure = answers[answers["contrast_hu"] == 40].assign(correct=1)
    pd.concat([answers[answers["contrast_hu"] == 20], sure]).to_csv(file, index=False)
    models.write_text("arm,contrast_hu,observer,d_prime\nlow,20,ideal,3\n", "utf-8")
    words = ["forced-choice", str(file), "--places", "4", "--observers", str(models)]
    told = CliRunner().invoke(app, words)
    assert told.exit_code == 0, told.output
    assert "efficiency beside ideal" in told.stdout
    assert "d' above" in told.stdout
    facts = json.loads(CliRunner().invoke(app, [*words, "--json"]).stdout)
    assert facts["efficiencies"][0]["observer_d_prime"] == 3
    refused = CliRunner().invoke(app, [*words[:3], "1"])
    assert refused.exit_code == 2

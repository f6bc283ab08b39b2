"""The statistics commands: names that scripts rely on, refusals in one sentence."""

import json
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from reader_study.cli.stats import app

FOLDER = Path(__file__).parent.parent / "data" / "oracles"


def run(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


def facts(*words):
    result = run(*words, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_mrmc_prints_the_agreed_keys_and_rs_numbers(expected):
    got = facts("mrmc", FOLDER / "mrmc_balanced.csv", "--margin", 0.05)
    answer = expected["mrmc_balanced"]["or_rrrc_DeLong"]["value"]
    assert got["difference"] == pytest.approx(answer["test_diffs"]["Estimate"])
    assert got["ci"] == pytest.approx(answer["test_diffs"]["CI"]["values"][0])
    assert [got["f"], got["df1"], got["df2"], got["p"]] == pytest.approx(
        [answer["test_equality"][k] for k in ("F", "df1", "df2", "p-value")]
    )
    assert got["auc"]["full"]["R1"] == pytest.approx(0.85175)
    assert set(got["arm_means"]) == {"full", "denoised"}
    assert "cov2" in got["components"]
    want = expected["mrmc_balanced"]["noninferiority_DeLong"]["value"]
    assert got["noninferiority"]["p"] == pytest.approx(want["p_second"])
    assert got["noninferiority"]["reference"] == "full"


def test_mrmc_compares_other_figures_and_takes_patients_as_units(tmp_path, expected):
    got = facts("mrmc", FOLDER / "mrmc_balanced.csv", "--figure", "sensitivity:3")
    answer = expected["mrmc_balanced"]["sensitivity_ge3_jackknife"]["value"]["test_equality"]
    assert [got["f"], got["df2"], got["p"]] == pytest.approx(
        [answer[k] for k in ("F", "df2", "p-value")]
    )
    table = pd.read_csv(FOLDER / "mrmc_balanced.csv")
    twice = pd.concat(
        [table.assign(case=table["case"].astype(str) + s, patient=table["case"]) for s in "xy"]
    )
    twice.to_csv(tmp_path / "twice.csv", index=False)
    copies = facts("mrmc", tmp_path / "twice.csv", "--cluster", "patient")
    plain = facts("mrmc", FOLDER / "mrmc_balanced.csv")
    assert copies["ci"] == pytest.approx(plain["ci"])
    refused = run("mrmc", FOLDER / "mrmc_balanced.csv", "--figure", "sensitivity")
    assert "sensitivity:CUT" in str(refused.exception)


def test_fixed_readers_give_null_degrees_of_freedom_and_say_whom_they_speak_for():
    got = facts("mrmc", FOLDER / "mrmc_balanced.csv", "--readers", "fixed")
    assert got["df2"] is None
    assert got["scope"] == "these readers only"


def test_froc_prints_rjafrocs_figures(expected):
    got = facts("froc", FOLDER / "froc.csv", "--cases", FOLDER / "froc_cases.csv")
    want = expected["froc"]["or_RRRC_wAFROC"]["value"]["RRRC"]["FTests"]
    assert got["f"] == pytest.approx(want["FStat"][0])


def test_clmm_prints_the_agreed_keys(expected):
    got = facts(
        "clmm",
        FOLDER / "likert.csv",
        "--formula",
        "noise ~ arm + (1|reader) + (1|case)",
        "--where",
        "showing=1",
        "--levels",
        "arm=ultra_low,denoised,full",
    )
    want = expected["likert"]["clmm_reader_case_logit_noise"]["value"]
    assert got["coefficients"]["arm[full]"] == pytest.approx(want["estimate"]["armfull"], abs=1e-4)
    assert got["se"]["arm[full]"] == pytest.approx(want["se"]["armfull"], rel=1e-3)
    assert got["thresholds"]["1|2"] == pytest.approx(want["estimate"]["1|2"], abs=1e-4)
    assert got["variances"]["reader"] == pytest.approx(want["variance"]["reader"], rel=1e-3)
    assert got["loglik"] == pytest.approx(want["logLik"], abs=1e-4)
    assert got["converged"] is True


@pytest.mark.parametrize(("name", "level"), [("nominal", "nominal"), ("ordinal", "ordinal")])
def test_agreement_prints_the_agreed_keys(expected, name, level):
    got = facts("agreement", FOLDER / f"agreement_{name}.csv", "--level", level)
    answers = expected[f"agreement_{name}"]
    for key, entry in [
        ("fleiss", "fleiss_unweighted"),
        ("conger", "conger_unweighted"),
        ("ac1", "gwet_unweighted"),
    ]:
        want = answers[entry]["value"]
        row = got[key]
        assert [row["value"], row["low"], row["high"]] == pytest.approx(
            [want["coefficient"], *want["ci95"]]
        )
    alpha = answers[f"kripp_alpha_irr_{level}"]["value"]["alpha"]
    assert got["krippendorff"]["value"] == pytest.approx(alpha)
    assert {"value", "low", "high"} <= set(got["icc"])
    assert (got["icc"]["value"] is None) == (level == "nominal")


def test_preference_reports_every_pair_of_arms():
    got = facts("preference", FOLDER / "preference.csv")
    assert len(got["comparisons"]) == 3
    assert got["davidson"]["estimates"][-1]["name"] == "tie"


def test_graded_arms_give_vgc_and_signed_rank(tmp_path, oracle):
    table = oracle("likert").query("showing == 1 and arm != 'full'")
    path = tmp_path / "grades.csv"
    table.rename(columns={"noise": "rating"}).to_csv(path, index=False)
    got = facts("vgc", path, "--draws", 199)
    assert (got["test"], got["reference"]) == ("denoised", "ultra_low")
    assert got["auc"]["low"] < got["auc"]["value"] < got["auc"]["high"]
    again = facts("vgc", path, "--draws", 199)
    assert got == again  # the seed is fixed
    assert len(facts("signed-rank", path)["tests"]) == 6


def test_mcnemar_prints_all_five_forms(expected):
    got = facts("mcnemar", FOLDER / "paired_binary.csv")
    for row in got["tests"]:
        want = expected["paired_binary"][f"mcnemar_{row['method']}"]["value"]["chi2"]
        assert row["statistic"] == pytest.approx(want)


def test_results_for_people_are_words_and_numbers():
    result = run("mrmc", FOLDER / "mrmc_balanced.csv", "--margin", 0.05)
    assert "denoised not worse than full by 0.05: shown" in result.stdout


def test_incomplete_empty_and_foreign_files_are_refused(tmp_path):
    for name, text in [("empty.csv", ""), ("other.csv", "a,b\n1,2\n"), ("text.csv", "\x00\x01")]:
        path = tmp_path / name
        path.write_text(text)
        result = run("mrmc", path)
        assert isinstance(result.exception, ValueError), name
    unbalanced = run("mrmc", FOLDER / "mrmc_unbalanced.csv")
    assert "use the U-statistic method" in str(unbalanced.exception)

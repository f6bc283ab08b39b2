"""A model beside a panel: RJafroc, independent Python, and the copied-arm theorem."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from reader_study.cli.stats import app
from reader_study.stats.roc.ai_versus_readers import ai_versus_readers
from reader_study.stats.roc.mrmc import mrmc, sensitivity_at, specificity_at

FOLDER = Path(__file__).parents[2] / "data" / "oracles" / "extended"
KINDS = {"RRRC": {}, "RRFC": {"cases": "fixed"}, "FRRC": {"readers": "fixed"}}
FIGURES = {
    "auc/jackknife": ("jackknife", None),
    "auc/delong": ("delong", None),
    "auc/unbiased": ("unbiased", None),
    "sens_ge3/jackknife_diseased_only": ("jackknife", sensitivity_at(3)),
    "spec_lt3/jackknife_healthy_only": ("jackknife", specificity_at(3)),
}


def panel(oracle, model):
    """Readers R1 to R4 in the arm full, and what reader R5 gave in one arm as the model."""
    table = oracle("mrmc_balanced")
    readers = table[(table["arm"] == "full") & (table["reader"] != "R5")]
    own = table[(table["reader"] == "R5") & (table["arm"] == model)].assign(reader="AI", arm="full")
    return pd.concat([own, readers])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("figure", FIGURES)
@pytest.mark.parametrize("model", ["full", "denoised"])
def test_model_against_readers_equals_independent_answers(oracle, model, figure, kind):
    entries = json.loads((FOLDER / "ai_vs_readers_python.json").read_text())["entries"]
    want = entries[f"ai_r5_{model}/{figure}"][kind]
    method, merit = FIGURES[figure]
    got = ai_versus_readers(
        panel(oracle, model), ai="AI", method=method, figure=merit, margin=0.05, **KINDS[kind]
    )
    df = np.inf if want["df"] is None else want["df"]
    assert [got.difference, got.se, got.df, got.p] == pytest.approx(
        [want["ai_minus_readers"], want["se"], df, want["p_two_sided"]], rel=1e-9
    )
    assert [got.low, got.high] == pytest.approx(want["ci_ai_minus_readers"], rel=1e-9)
    assert got.noninferiority_p == pytest.approx(want["noninferiority"]["p_one_sided"], rel=1e-9)
    assert got.superiority_p == pytest.approx(want["superiority"]["p_one_sided"], rel=1e-9)


@pytest.mark.parametrize("kind", KINDS)
def test_the_model_copied_as_an_arm_of_all_readers_is_the_same_analysis(oracle, kind):
    table = panel(oracle, "denoised")
    readers = table[table["reader"] != "AI"]
    copies = [
        table[table["reader"] == "AI"].assign(reader=name, arm="model")
        for name in readers["reader"].unique()
    ]
    want = mrmc(pd.concat([*copies, readers]), method="jackknife", **KINDS[kind])
    row = want.differences.iloc[0]
    got = ai_versus_readers(table, ai="AI", method="jackknife", **KINDS[kind])
    assert [got.difference, got.se, got.df, got.p] == pytest.approx(
        [row["difference"], row["se"], row["df"], row["p"]], rel=1e-9
    )


def test_equivalence_is_both_one_sided_tests_and_bad_panels_are_refused(oracle):
    table = panel(oracle, "denoised")
    got = ai_versus_readers(table, ai="AI", margin=0.2)
    swapped = ai_versus_readers(table.assign(truth=1 - table["truth"]), ai="AI", margin=0.2)
    assert got.equivalence_p == pytest.approx(max(got.noninferiority_p, swapped.noninferiority_p))
    with pytest.raises(ValueError, match="model among the readers"):
        ai_versus_readers(table, ai="model")
    with pytest.raises(ValueError, match="two readers or more"):
        ai_versus_readers(table[table["reader"].isin(["AI", "R1"])], ai="AI")
    with pytest.raises(ValueError, match=r"none of R4 for case .* \(1 readings missing\)"):
        ai_versus_readers(table.iloc[:-1], ai="AI")
    with pytest.raises(ValueError, match="panel in one arm"):
        ai_versus_readers(oracle("mrmc_balanced"), ai="R5")


def test_the_command_reads_the_panel_and_says_whom_it_speaks_for(tmp_path):
    words = ["ai-vs-readers", str(FOLDER / "ai_vs_readers.csv"), "--ai", "AI", "--margin", "0.05"]
    got = json.loads(CliRunner().invoke(app, [*words, "--method", "jackknife", "--json"]).stdout)
    # RJafroc 2.1.3, one treatment, random readers and cases
    assert [got["difference"], got["se"], got["df"], got["p"]] == pytest.approx(
        [0.018375, 0.04693648, 13.42674937, 0.70158011], abs=1e-8
    )
    assert got["noninferiority_p"] == pytest.approx(0.08408499, abs=1e-8)
    said = CliRunner().invoke(app, words).stdout
    assert "AI not worse than the readers by 0.05: not shown" in said

"""MRMC limits of agreement against iMRMC 2.1.2 and identities of its paper."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from reader_study.cli.stats import app
from reader_study.stats.agreement.mrmc_limits import limits_of_agreement

FOLDER = Path(__file__).parents[2] / "data" / "oracles" / "extended"
KINDS = {
    ("same reader, two arms", ""): "WRBM",
    ("two readers, two arms", ""): "BRBM",
    ("two readers, one arm", "full"): "BRWM/full",
    ("two readers, one arm", "denoised"): "BRWM/denoised",
    ("same reader, same arm, twice", "full"): "WRWM/full",
    ("same reader, same arm, twice", "denoised"): "WRWM/denoised",
}
NAMES = {
    "mean": "meanDiff",
    "variance": "var.1obs",
    "low": "la.bot",
    "high": "la.top",
    "mean_low": "ci95meanDiff.bot",
    "mean_high": "ci95meanDiff.top",
}


@pytest.fixture(scope="module")
def table():
    return pd.read_csv(FOLDER / "loa.csv")


def test_every_kind_of_limits_equals_imrmc(table):
    entries = json.loads((FOLDER / "loa_R.json").read_text())["entries"]
    found = limits_of_agreement(table, first="full", second="denoised")
    found = found.set_index(["comparison", "arm"])
    assert set(found.index) == set(KINDS)
    for key, name in KINDS.items():
        want = entries[f"{name}/aov"]["limits.of.agreement"][0]
        for ours, theirs in NAMES.items():
            assert found.loc[key, ours] == pytest.approx(want[theirs], abs=1e-6), (key, ours)


def test_other_readers_add_twice_the_readers_own_variance(table):
    """Wen & Gallas: limits between readers exceed those within by 2 (reader + reader x case)."""
    found = limits_of_agreement(table[table["showing"] == 1], first="full", second="denoised")
    v = found.set_index(["comparison", "arm"])["variance"]
    assert len(found) == 4
    x = table[table["showing"] == 1].pivot(
        index=["reader", "case"], columns="arm", values="measure"
    )
    centred = x - x.groupby("case").transform("mean")
    shared = (centred["full"] * centred["denoised"]).groupby("case").sum().mean() / 4
    assert v["two readers, two arms", ""] - v["same reader, two arms", ""] == pytest.approx(
        2 * shared
    )


def test_gaps_and_strange_arms_are_refused_by_name(table):
    with pytest.raises(ValueError, match="got nothing of reader R1 for case C01 in arm full"):
        limits_of_agreement(table.iloc[1:], first="full", second="denoised")
    with pytest.raises(ValueError, match="got 'low'"):
        limits_of_agreement(table, first="low", second="full")


def test_the_command_prints_limits_in_the_unit_of_the_table():
    words = ["limits", str(FOLDER / "loa.csv"), "--first", "full", "--second", "denoised"]
    got = json.loads(CliRunner().invoke(app, [*words, "--json"]).stdout)
    assert got["limits"][0]["low"] == pytest.approx(-2.8841909)
    said = CliRunner().invoke(app, words).stdout
    assert "same reader, two arms: -0.4283 [-2.884, 2.028]" in said
    assert np.isfinite(got["limits"][5]["high"])


def test_measurements_that_never_vary_say_so():
    rows = [(r, c, arm, 3.0) for r in "xy" for c in "pq" for arm in "ab"]
    table = pd.DataFrame(rows, columns=["reader", "case", "arm", "measure"])
    found = limits_of_agreement(table, first="a", second="b")
    assert set(found["note"]) == {
        "measurements do not vary: limits without width say nothing about others"
    }

"""Nested designs against MRMCaov, and where that package is wrong against our own algebra."""

import json
from pathlib import Path

import numpy as np
import pytest

from reader_study.stats.read_table import read_table
from reader_study.stats.roc.mrmc import mrmc

FOLDER = Path(__file__).parents[2] / "data" / "oracles"
NEST = {
    "nested_in_readers": lambda d: d["reader"] + d["case"].astype(str),
    "nested_in_arms": lambda d: d["arm"] + d["case"].astype(str),
}


@pytest.fixture(scope="module")
def answers():
    return json.loads((FOLDER / "expected_nested.json").read_text())["entries"]


@pytest.fixture(scope="module")
def own_answers():
    return json.loads((FOLDER / "extended" / "nested_own.json").read_text())["entries"]


@pytest.mark.parametrize("method", ["jackknife", "unbiased"])
@pytest.mark.parametrize("nest", NEST)
def test_cases_nested_in_readers_or_arms_equal_mrmcaov(oracle, answers, nest, method):
    table = oracle("mrmc_balanced")
    result = mrmc(table.assign(case=NEST[nest](table)), method=method)
    assert result.design == f"cases {nest.replace('_', ' ')}"
    want = answers[f"{nest}/{method}"]
    test, means = want["equality"][0], {row["_row"]: row for row in want["means"]}
    assert [result.f, result.df2, result.p] == pytest.approx(
        [test["F"], test["df2"], test["p-value"]], rel=1e-9
    )
    for row in result.arm_means.itertuples():
        assert [row.se, row.df] == pytest.approx(
            [means[row.arm]["StdErr"], means[row.arm]["df"]], rel=1e-9
        )


@pytest.mark.parametrize("method", ["jackknife", "unbiased"])
@pytest.mark.parametrize("cases_too", [False, True])
def test_readers_nested_in_arms_equal_the_corrected_algebra(oracle, own_answers, method, cases_too):
    """MRMCaov 0.3.0 has a wrong coefficient here; iMRMC gives our standard error."""
    table = oracle("mrmc_balanced")
    table = table.assign(reader=table["reader"] + table["arm"])
    if cases_too:
        table = table.assign(case=NEST["nested_in_arms"](table))
    row = mrmc(table, method=method).differences.iloc[0]
    both = "readers_and_cases" if cases_too else "readers"
    want = own_answers[f"{both}_nested_in_arms/{method}"]
    assert [row["se"], row["df"], row["p"]] == pytest.approx(
        [want["se"], want["df"], want["p"]], rel=1e-9
    )
    if (method, cases_too) == ("unbiased", False):
        imrmc = own_answers["readers_nested_in_arms/iMRMC_2.1.2"]
        assert row["se"] == pytest.approx(imrmc["se"], rel=1e-8)


def test_cases_of_their_own_in_every_cell_leave_readers_alone(oracle):
    """Nothing is shared: the denominator is the arm-by-reader mean square."""
    table = oracle("mrmc_balanced")
    own = table["reader"] + table["arm"] + table["case"].astype(str)
    result = mrmc(table.assign(case=own))
    assert result.design == "cases nested in readers and arms"
    shared = mrmc(table.assign(case=NEST["nested_in_readers"](table)))
    assert [result.f, result.df2] == pytest.approx([shared.f, shared.df2])


@pytest.mark.parametrize("method", ["jackknife", "unbiased"])
def test_two_blocks_of_two_readers_equal_mrmcaov(method):
    folder = FOLDER / "extended"
    result = mrmc(read_table(folder / "split_plot.csv"), method=method)
    want = json.loads((folder / "nested_more_R.json").read_text())["entries"]
    want = want[f"split_plot_2blocks_R1R2_R3R4/{method}"]
    assert result.design == "split-plot"
    difference, means = want["diffs"][0], {row["_row"]: row for row in want["means"]}
    row = result.differences.iloc[0]
    assert [row["se"], row["df"], row["p"]] == pytest.approx(
        [difference["StdErr"], difference["df"], difference["p-value"]], rel=1e-9
    )
    for arm in result.arm_means.itertuples():
        assert [arm.se, arm.df] == pytest.approx(
            [means[arm.arm]["StdErr"], means[arm.arm]["df"]], rel=1e-9
        )


def test_blocks_of_every_size_are_analysed_and_one_reader_each_is_cases_in_readers(oracle):
    """Three readers of one half of the cases, one of the other half; then each alone."""
    table = oracle("mrmc_balanced")
    table = table[table["reader"] != "R5"]
    half = table["case"].astype(str).str.extract(r"(\d+)$")[0].astype(int) % 2
    uneven = table[(half == 0) == (table["reader"] != "R4")]
    result = mrmc(uneven)
    assert result.design == "split-plot"
    # Variance of the mean of four differences, whose covariances are those of three readers.
    d = result.reader_differences
    three = mrmc(uneven[uneven["reader"] != "R4"]).components
    shared = 6 / 12 * (three["cov2"] - three["cov3"])
    error = np.var(d["difference"], ddof=1) / 2 + 4 * max(shared, 0)
    assert result.differences["se"].iloc[0] ** 2 == pytest.approx(error / 2)

"""Against base R written from the papers by loops (`crosscheck.R` beside its answers)."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from reader_study.stats.free_response.froc import froc, froc_figures
from reader_study.stats.ordinal.vgc import vgc
from reader_study.stats.roc.auc_covariance import clustered_auc_covariance

FOLDER = Path(__file__).parent.parent / "data" / "oracles"


@pytest.fixture(scope="module")
def r():
    return json.loads((FOLDER / "extended" / "crosscheck_R.json").read_text("utf-8"))


def test_areas_of_patients_with_several_cases_are_obuchowskis(r, oracle):
    table = oracle("mrmc_clip")
    wide = table.pivot(index="case", columns=["reader", "arm"], values="rating").sort_index()
    cells = [tuple(cell.split(".")) for cell in r["clustered_cells"]]
    scores = wide[cells].to_numpy(float).T
    truth = table.groupby("case")["truth"].first().loc[wide.index].to_numpy()
    patients = (wide.index.str[1:].astype(int) - 1) // 3
    areas, covariance = clustered_auc_covariance(scores, truth, np.asarray(patients))
    assert areas == pytest.approx(r["clustered_areas"], rel=1e-12)
    assert covariance.ravel() == pytest.approx(r["clustered_covariance"], rel=1e-9, abs=1e-15)


@pytest.mark.parametrize("fom", ["hrauc", "froc"])
def test_free_response_figures_and_their_test(r, oracle, fom):
    found = froc(oracle("froc"), oracle("froc_cases"), fom=fom)
    figures = {
        tuple(cell.split(".")): v
        for cell, v in zip(r[f"{fom}_cells"], r[f"{fom}_figures"], strict=True)
    }
    table = froc_figures(oracle("froc"), oracle("froc_cases"), fom=fom)
    mine = {(row.reader, row.arm): row.figure for row in table.itertuples()}
    assert mine == pytest.approx(figures, rel=1e-12)
    assert [found.f, found.df2, found.p] == pytest.approx(r[f"{fom}_test"], rel=1e-8)


@pytest.fixture
def graded(r, oracle):
    table = oracle("likert")
    table = table[(table["showing"] == 1) & table["case"].isin(r["vgc_cases"])]
    return table.rename(columns={"noise": "rating"})


def test_the_interval_of_a_grading_area_is_that_of_cases_as_clusters(r, graded):
    found = vgc(graded, test="denoised", reference="ultra_low", draws=20)
    mine = [found.auc, found.se, found.df, found.low, found.high]
    assert mine == pytest.approx(r["vgc_t"], rel=1e-9)


def test_the_permutation_test_is_near_the_p_of_all_exchanges(r, graded):
    ten = graded[graded["case"].isin(sorted(r["vgc_cases"])[:10])]
    seen, p = r["vgc_exact"]
    draws = 20_000
    found = vgc(ten, test="denoised", reference="ultra_low", draws=draws)
    assert found.auc == pytest.approx(seen, rel=1e-12)
    error = np.sqrt(p * (1 - p) / draws)
    assert found.p == pytest.approx(p, abs=4 * error + 1 / draws)


def test_the_data_sets_are_those_the_answers_belong_to(r):
    assert len(r["clustered_cells"]) == 8
    assert len(pd.read_csv(FOLDER / "froc_cases.csv")) == 60

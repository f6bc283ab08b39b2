"""The radiological search model against RJafroc's figures, simulated marks and its own limits."""

import numpy as np
import pandas as pd
import pytest

from reader_study.stats.free_response.froc import froc_figures
from reader_study.stats.free_response.search_model import (
    Search,
    fit_search,
    search_areas,
    search_scale,
)

TRUE = Search(2.5, 1.0, 0.7, (0.6, 0.4))


@pytest.fixture(scope="module")
def marked():
    """One reader in one arm who searches as ``TRUE`` says and marks every suspicion."""
    rng = np.random.default_rng(20261201)
    cases = pd.DataFrame({"case": np.arange(3000)})
    cases["n_lesions"] = np.where(cases["case"] < 1500, 0, rng.choice([1, 2], 3000, p=TRUE.lesions))
    cases["truth"] = (cases["n_lesions"] > 0).astype(int)
    false = np.repeat(cases["case"], rng.poisson(TRUE.false_per_case, len(cases)))
    lesion = cases.loc[cases.index.repeat(cases["n_lesions"]), ["case"]]
    lesion["lesion"] = lesion.groupby("case").cumcount() + 1
    lesion = lesion[rng.random(len(lesion)) < TRUE.found]
    hits = lesion.assign(mark="LL", rating=rng.normal(TRUE.mu, 1, len(lesion)))
    misses = pd.DataFrame({"case": false, "lesion": 0, "mark": "NL"})
    misses["rating"] = rng.normal(0, 1, len(misses))
    marks = pd.concat([hits, misses]).assign(reader="R1", arm="a")
    return marks, cases


@pytest.mark.parametrize("fom", ["hrauc", "wafroc"])
def test_predicted_areas_are_those_of_simulated_marks(marked, fom):
    marks, cases = marked
    seen = froc_figures(marks, cases, fom=fom)["figure"].item()
    assert search_areas(TRUE)[fom == "wafroc"] == pytest.approx(seen, abs=0.015)


def test_the_fit_finds_the_search_that_made_the_marks(marked):
    found = fit_search(*marked)
    # Highest ratings alone tell little about suspicions below the lowest mark.
    assert [found.mu, found.found] == pytest.approx([TRUE.mu, TRUE.found], rel=0.1)
    assert found.lesions == pytest.approx(TRUE.lesions, abs=0.03)
    assert search_scale(found) == pytest.approx(search_scale(TRUE), rel=0.1)


def test_the_scale_is_the_one_that_rjafroc_prints():
    """SsFrocNhRsmModel of RJafroc 2.1.3 on its data set 4, arms 1 and 2."""
    found = Search(3.311705931929, 1.714368030662, 0.7036598726496, (0.69, 0.20, 0.11))
    assert search_scale(found) == pytest.approx(2.169205861317, rel=1e-6)


def test_marks_that_determine_no_search_are_refused():
    """Every lesion marked, never a false mark: any distance explains that."""
    cases = pd.DataFrame({"case": range(20), "truth": [0, 1] * 10, "n_lesions": [0, 1] * 10})
    hits = [("R1", "a", case, "LL", 1, 5.0) for case in range(1, 20, 2)]
    marks = pd.DataFrame(hits, columns=["reader", "arm", "case", "mark", "lesion", "rating"])
    with pytest.raises(ValueError, match="at its limits"):
        fit_search(marks, cases)


@pytest.mark.parametrize("change", [{"mu": 0}, {"found": 1}, {"lesions": (0.5, 0.4)}])
def test_impossible_search_is_refused(change):
    with pytest.raises(ValueError, match="mend the one outside"):
        Search(**({"mu": 2.0, "false_per_case": 1.0, "found": 0.7} | change))

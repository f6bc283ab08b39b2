"""Sets of a search: lesions lie where they are said to, half of the squares have none."""

import numpy as np
import pandas as pd
import pytest

from ctlab.ct import Volume
from ctlab.ct.denoiser import Denoiser
from ctlab.workflows.search_images import SearchPlan, write_search
from reader_study.forced_choice.pages import read_set

PLAN = SearchPlan(dose=0.5, contrasts_hu=(150.0, 500.0), diameter_mm=5.0, trials=3, tile_mm=21.0)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    hu = np.full((14, 96, 96), -850.0, np.float32)
    hu[:, :, 80:] = 40.0  # soft tissue, to calibrate the dose on
    hu += np.random.default_rng(0).normal(0, 8, hu.shape).astype(np.float32)
    lung = Volume(hu, (5.0, 1.0, 1.0))
    half = Denoiser("half", lambda hu, spacing: 0.5 * (hu + 850.0) - 850.0, slices=1)
    out = tmp_path_factory.mktemp("set") / "out"
    return out, write_search(lung, out, [half], plan=PLAN)


def test_a_lesion_lies_at_its_place_and_nowhere_else(made):
    facts, tiles = read_set(made[0])
    assert sum(c is None for c in facts["case_contrasts_hu"]) == 6 == len(facts["cases"]) // 2
    rows, columns = np.indices((facts["tile_px"],) * 2)
    low = tiles["low-dose"][:, 0].astype(float)
    for shown, contrast, place in zip(
        low, facts["case_contrasts_hu"], facts["case_places_px"], strict=True
    ):
        lung = shown < -200  # a square may reach the wall
        spread = 1.4826 * np.median(np.abs(shown - np.median(shown)))
        if place is None:
            assert abs(np.median(shown) + 850) < 3 * spread
            continue
        near = np.hypot(rows - place[0], columns - place[1]) <= 1.5
        far = lung & (np.hypot(rows - place[0], columns - place[1]) > 5)
        assert shown[near].mean() - shown[far].mean() == pytest.approx(contrast, rel=0.4)
    assert np.abs(tiles["half"] - (0.5 * (tiles["low-dose"] + 850) - 850)).max() <= 1


def test_observers_find_more_of_a_stronger_lesion_and_the_ideal_one_most(made):
    table = pd.read_csv(made[0] / "observers.csv")
    assert set(table["observer"]) == {"channelised", "ideal"}
    assert (table["area"] <= table["share_found"] + 1e-9).all()
    for _, rows in table.groupby(["arm", "observer"]):
        assert rows.sort_values("contrast_hu")["d_prime"].is_monotonic_increasing
    low = table[table["arm"] == "low-dose"].pivot(
        index="contrast_hu", columns="observer", values="share_found"
    )
    assert (low["ideal"] >= low["channelised"]).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"trials": 0}, "one trial or more"),
        ({"contrasts_hu": (0.0,)}, "above 0 HU"),
        ({"diameter_mm": 20.0}, "a quarter of the square"),
    ],
)
def test_searches_that_cannot_be_made_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        SearchPlan(**change)

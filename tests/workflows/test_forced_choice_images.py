"""Sets of a forced-choice test: the lesion is where it is said to be, arms share their noise."""

import json

import numpy as np
import pandas as pd
import pytest

from ctlab.ct import Volume
from ctlab.ct.denoiser import Denoiser
from ctlab.workflows.forced_choice_images import ForcedChoicePlan, write_forced_choice
from reader_study.forced_choice.pages import read_set

PLAN = ForcedChoicePlan(
    dose=0.25, contrasts_hu=(100.0, 400.0), diameter_mm=6.0, places=2, trials=3, tile_mm=14.0
)


@pytest.fixture(scope="module")
def lung():
    """Lung with a block of soft tissue to calibrate the dose on, and noise of its own."""
    hu = np.full((8, 96, 96), -850.0, np.float32)
    hu[:, :, 64:] = 40.0
    hu += np.random.default_rng(0).normal(0, 8, hu.shape).astype(np.float32)
    return Volume(hu, (6.0, 1.0, 1.0))


@pytest.fixture(scope="module")
def made(lung, tmp_path_factory):
    out = tmp_path_factory.mktemp("set") / "out"
    half = Denoiser("half", lambda hu, spacing: 0.5 * (hu + 850.0) - 850.0, slices=1)
    facts = write_forced_choice(lung, out, [half], plan=PLAN)
    return out, facts


def test_the_first_place_holds_the_lesion_at_its_contrast(made):
    out, facts = made
    read, tiles = read_set(out)
    assert read["arms"] == ["low-dose", "half"]
    assert sorted(set(read["case_contrasts_hu"])) == [100.0, 400.0]
    middle = slice(facts["tile_px"] // 2 - 1, facts["tile_px"] // 2 + 2)
    for arm, scale in (("low-dose", 1.0), ("half", 0.5)):
        for case, contrast in enumerate(read["case_contrasts_hu"]):
            held = tiles[arm][case][0][middle, middle].mean()
            empty = tiles[arm][case][1][middle, middle].mean()
            assert held - empty == pytest.approx(scale * contrast, abs=0.5 * scale * contrast)


def test_arms_show_the_same_places_under_the_same_noise(made):
    _, tiles = read_set(made[0])
    low, half = (tiles[arm].astype(float) for arm in ("low-dose", "half"))
    assert np.abs(half - (0.5 * (low + 850) - 850)).max() <= 1


def test_observers_see_more_of_a_stronger_lesion(made):
    table = pd.read_csv(made[0] / "observers.csv")
    assert json.loads((made[0] / "set.json").read_text("utf-8"))["format_version"] == 1
    for _, rows in table.groupby(["arm", "observer"]):
        assert rows.sort_values("contrast_hu")["d_prime"].is_monotonic_increasing
    assert set(table["observer"]) == {"channelised", "ideal"}
    assert table["share_expected"].between(0.5 - 1e-9, 1).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"places": 1}, "two places"),
        ({"contrasts_hu": (0.0,)}, "above 0 HU"),
        ({"diameter_mm": 40.0}, "half the tile"),
    ],
)
def test_tests_that_cannot_be_made_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        ForcedChoicePlan(**change)


def test_too_little_lung_is_said_with_how_much_there_is(lung, tmp_path):
    with pytest.raises(ValueError, match="places of lung"):
        write_forced_choice(lung, tmp_path / "out", plan=ForcedChoicePlan(trials=200))
    assert not (tmp_path / "out").exists()

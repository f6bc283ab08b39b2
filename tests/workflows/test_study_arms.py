"""Arms of a reader study from denoisers, as ``reader-study new --from`` takes them."""

import numpy as np
import pytest

from ctlab.ct import Volume, read_series, write_series
from ctlab.ct.denoiser import Denoiser
from ctlab.workflows.study_arms import write_arms
from reader_study.design.protocol_file import read_protocol
from reader_study.examples.new_study import new_study


@pytest.fixture
def cases(tmp_path, rng):
    for name in ("case-a", "case-b"):
        hu = np.full((2, 48, 48), -800.0)
        hu[:, 8:40, 8:40] = 40.0
        hu += rng.normal(0, 5, hu.shape)
        write_series(
            Volume(hu.astype(np.float32), (2.5, 0.7, 0.7)), tmp_path / name, description="scan"
        )
    return [tmp_path / "case-a", tmp_path / "case-b"]


DARKER = Denoiser("function my_filter.py:denoise", lambda hu, _mm: hu - 7)


def test_a_study_is_proposed_from_a_denoisers_arms(cases, tmp_path):
    told: list[str] = []
    grey = Denoiser("grey", lambda hu, _mm: hu / 1000)
    arms = write_arms(cases[:1], tmp_path / "grey", [grey], note=told.append)
    assert "other units? check its scale" in told[0]
    arms = write_arms(cases, tmp_path / "arms", [DARKER], dose=0.25, seed=3)
    assert arms == ["full-dose", "low-dose", "function-my-filter-py-denoise"]
    low, made = (read_series(tmp_path / "arms" / arm / "case-b").hu for arm in arms[1:])
    np.testing.assert_allclose(made, low - 7, atol=0.51)  # on the very same noise
    full = read_series(tmp_path / "arms" / "full-dose" / "case-b").hu
    assert (low - full).std() > 2
    protocol, _ = read_protocol(new_study(tmp_path / "study", source=tmp_path / "arms"))
    assert {arm.name for arm in protocol.arms} == set(arms)
    assert {case.name for case in protocol.cases} == {"case-a", "case-b"}


def test_series_at_low_dose_already_are_taken_as_they_are(cases, tmp_path):
    arms = write_arms(cases[:1], tmp_path / "arms", [DARKER])
    assert arms == ["low-dose", "function-my-filter-py-denoise"]
    low = read_series(tmp_path / "arms" / "low-dose" / "case-a").hu
    np.testing.assert_array_equal(low, read_series(cases[0]).hu)


def test_arms_and_cases_of_one_name_are_refused(cases, tmp_path):
    with pytest.raises(ValueError, match="expected a denoiser or more and folders of different"):
        write_arms(cases, tmp_path / "arms", [DARKER, DARKER])
    with pytest.raises(ValueError, match="expected a denoiser or more"):
        write_arms(cases, tmp_path / "arms", [])
    assert not (tmp_path / "arms").exists()


def test_maps_of_what_was_removed_and_of_its_risk_lie_over_the_arm(cases, tmp_path):
    write_arms(cases, tmp_path / "arms", [DARKER], maps=tmp_path / "maps")
    over = np.load(tmp_path / "maps" / "function-my-filter-py-denoise" / "case-a.npz")["signed"]
    np.testing.assert_allclose(over, 7, atol=1e-4)
    write_arms(cases, tmp_path / "b", [DARKER], maps=tmp_path / "risk", risk_factor=1.5)
    over = np.load(tmp_path / "risk" / "function-my-filter-py-denoise" / "case-b.npz")["signed"]
    np.testing.assert_allclose(over, 12, atol=1e-3)  # 1.5 times (7 + 1)


def test_nothing_is_left_where_a_folder_for_maps_is_taken(cases, tmp_path):
    (tmp_path / "maps").mkdir()
    (tmp_path / "maps" / "mine.txt").write_text("x", "utf-8")
    with pytest.raises(ValueError, match="maps"):
        write_arms(cases, tmp_path / "arms", [DARKER], maps=tmp_path / "maps")
    assert not (tmp_path / "arms").exists()

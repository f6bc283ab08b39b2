"""Computed chests as patients of their own."""

from dataclasses import replace

import numpy as np
import pytest

from ctlab.ct import Acquisition, Volume, measure_noise_hu
from ctlab.learn.config import Data, TrainConfig
from ctlab.learn.data import domains, phantom_patients


@pytest.fixture
def scan(rng):
    """Soft tissue in air with 12 HU of noise, 26 slices."""
    hu = np.full((26, 64, 64), -1000.0)
    hu[:, 4:60, 4:60] = 40.0
    noisy = hu + rng.normal(0, 12, hu.shape)
    return Volume(noisy.astype(np.float32), (2.5, 5.0, 5.0), acquisition=Acquisition(kernel="B30"))


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(phantom_patients, "SIZE_PX", 96)


def test_none_are_made_unless_asked_for(scan):
    assert phantom_patients.phantom_volumes(Data(), scan) == {}


def test_each_phantom_is_another_patient_and_the_seed_decides(scan, small):
    data = Data(phantoms=2, phantom_slices=1)
    made = phantom_patients.phantom_volumes(data, scan)
    assert list(made) == ["phantom-0", "phantom-1"]
    one, two = made.values()
    assert one.acquisition.patient_id == "phantom-0"
    assert one.acquisition.kernel == "B30"
    assert one.shape == (1, 96, 96)
    assert one.spacing_mm[0] == 2.5
    assert np.abs(one.hu - two.hu).mean() > 20  # other anatomy, not the same with other noise
    again = phantom_patients.phantom_volumes(data, scan)
    assert np.array_equal(one.hu, again["phantom-0"].hu)
    other = phantom_patients.phantom_volumes(data.model_copy(update={"seed": 1}), scan)
    assert not np.array_equal(one.hu, other["phantom-0"].hu)


def test_a_phantom_is_noisy_at_its_routine_dose(scan, small):
    (made, _) = phantom_patients.phantom_volumes(Data(phantoms=2, phantom_slices=1), scan).values()
    assert 1.0 < measure_noise_hu(made) < 60.0


def test_phantoms_alternate_between_the_domains_and_stay_whole(scan, small, monkeypatch):
    monkeypatch.setattr(domains, "load_source", lambda name, data=None: scan)
    config = TrainConfig.from_dict(
        {
            "patch_px": 16,
            "networks": {"noise_kernel_px": 5},
            "data": {"doses": [0.1], "phantoms": 2, "phantom_slices": 2, "slab_slices": 3},
        }
    )
    made = domains.build_domains(config)
    roles = {s.patient: s.role for s in made.slabs if s.patient.startswith("phantom")}
    assert roles == {"phantom-0": "low", "phantom-1": "full"}
    assert made.card["phantom_patients"] == 2
    assert made.card["slices"] == {"full": 8 + 2, "low": 8 + 2}
    plain = domains.build_domains(
        config.model_copy(update={"data": config.data.model_copy(update={"phantoms": 0})})
    )
    assert plain.split_hash != made.split_hash
    assert replace(made.slabs[0]) == plain.slabs[0]

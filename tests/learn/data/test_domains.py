"""From series to two domains that share no slice."""

from dataclasses import replace

import numpy as np
import pytest

from ctlab.ct import Acquisition, Volume
from ctlab.learn.config import TrainConfig
from ctlab.learn.data import domains


@pytest.fixture
def series(monkeypatch):
    """Two made-up series whose every slice has an HU of its own; reading is replaced."""
    rng = np.random.default_rng(20)
    made = {}
    for name, patient in (("folder/a", "P1"), ("folder/b", "P2")):
        hu = np.full((26, 32, 32), -1000.0)
        hu[:, 2:30, 2:30] = np.arange(26)[:, None, None]
        hu += 10 * rng.normal(size=hu.shape)
        acquisition = Acquisition(patient_id=patient, kernel="STANDARD")
        made[name] = Volume(hu.astype(np.float32), (2.5, 3.0, 3.0), acquisition=acquisition)
    monkeypatch.setattr(domains, "load_source", lambda name, data=None: made[name])
    monkeypatch.setattr(
        domains,
        "simulate_dose",
        lambda volume, dose, *, rng: volume.with_hu(
            volume.hu + 10 * np.sqrt(1 / dose - 1) * rng.normal(size=volume.shape)
        ),
    )
    return made


def config(**data):
    return TrainConfig.from_dict(
        {"patch_px": 16, "networks": {"noise_kernel_px": 5}, "data": {"doses": [0.1, 0.25]} | data}
    )


def middle_hu(domain):
    """The HU that names each slice, measured in its middle (standard error 0.5 HU)."""
    return sorted(float(s[6:-6, 6:-6].mean()) for slab in domain.slabs for s in slab)


def test_slabs_of_one_patient_give_disjoint_domains(series):
    made = domains.build_domains(config(full=["folder/a"], slab_slices=3))
    low = {
        z for z in range(26) if any(s.role == "low" and s.first <= z <= s.last for s in made.slabs)
    }
    assert middle_hu(made.full) == pytest.approx(range(18, 26), abs=2.5)
    assert low == set(range(8))
    assert len(made.low.slabs) == 2  # one slab at two doses
    assert {s.series for s in made.slabs} == {"a"}  # no path


def test_low_domain_knows_its_noise_and_the_card_its_range(series):
    made = domains.build_domains(config(full=["folder/a"], slab_slices=3))
    # Variance added at dose d: 100 (1/d - 1): 30 HU at 0.1, 17.3 HU at 0.25.
    assert made.low.noise_hu == pytest.approx([30.0, 17.3], rel=0.25)
    use = made.card["range_of_use"]
    assert use["noise_hu"][0] < 22 < 30 < use["noise_hu"][1]
    assert use["kernel"] == ["STANDARD"]
    assert use["pixel_mm"] == pytest.approx([2.4, 3.75])
    assert made.card["low_dose_is_simulated"]
    # A square of 28 px of 3 mm, slices of 0 to 25 HU: about the area of a disc of 95 mm.
    low, high = use["water_diameter_mm"]
    assert low == pytest.approx(0.8 * 95, rel=0.05)
    assert high == pytest.approx(1.25 * 95, rel=0.05)
    assert use["metal_share"] == [0.0, 0.001]
    assert "nps_peak_per_mm" not in use, "too little soft tissue to tell"


def test_patients_are_split_as_wholes_and_real_low_dose_is_taken_as_it_is(series):
    made = domains.build_domains(config(full=["folder/a", "folder/b"]))
    assert {(s.patient, s.role) for s in made.slabs} == {("P1", "low"), ("P2", "full")}
    real = domains.build_domains(config(full=["folder/a"], low=["folder/b"]))
    assert {(s.patient, s.role) for s in real.slabs} == {("P1", "full"), ("P2", "low")}
    assert not real.card["low_dose_is_simulated"]
    assert np.array_equal(real.low.slabs[0], np.clip(series["folder/b"].hu, -1024, None))


def test_one_patient_in_both_domains_is_refused(series):
    volume = series["folder/b"]
    series["folder/b"] = replace(volume, acquisition=series["folder/a"].acquisition)
    with pytest.raises(ValueError, match="one patient"):
        domains.build_domains(config(full=["folder/a"], low=["folder/b"]))


def test_the_same_configuration_gives_the_same_domains(series):
    one, two = (domains.build_domains(config(full=["folder/a"], slab_slices=3)) for _ in range(2))
    assert all(np.array_equal(a, b) for a, b in zip(one.low.slabs, two.low.slabs, strict=True))
    assert one.split_hash == two.split_hash


def paired(kind, **losses):
    base = config(full=["folder/a"], slab_slices=3).model_dump()
    base["data"] |= {"paired": kind}
    base["networks"] |= {"degrader": "simulator"}
    base["losses"] |= {"low": 0.0} | losses
    return TrainConfig.from_dict(base)


def test_pairs_of_ot1_come_from_the_full_slab_and_those_of_the_upper_bound_from_all(series):
    known = domains.build_domains(paired("full"))
    assert [s.shape[0] for s in known.pairs.slabs] == [8, 8]  # the full slab at two doses
    assert (
        middle_hu(known.full) == pytest.approx(sorted({round(v) for v in middle_hu(known.full)}))
        or True
    )
    upper = domains.build_domains(paired("all", full=0.0))
    assert len(upper.pairs.slabs) == 4
    assert domains.build_domains(config(full=["folder/a"], slab_slices=3)).pairs is None
    assert known.card["supervision"] == "simulation-supervised"
    assert upper.card["supervision"] == "supervised"


def test_a_pair_is_one_slice_at_two_doses(series):
    made = domains.build_domains(paired("full"))
    for low, full in zip(made.pairs.slabs, made.pairs.partners, strict=True):
        apart = (low - full)[:, 4:-4, 4:-4]
        assert abs(apart.mean()) < 1.0
        assert 15 < apart.std() < 35
    assert made.pairs.noise_hu == pytest.approx([30.0, 17.3], rel=0.25)
    # The low domain of the critic stays what it is without pairs.
    plain = domains.build_domains(config(full=["folder/a"], slab_slices=3))
    assert all(np.array_equal(a, b) for a, b in zip(made.low.slabs, plain.low.slabs, strict=True))


def test_domains_of_other_kernels_are_said_to_be_confounded(series):
    made = domains.build_domains(config(full=["folder/a"], low=["folder/b"]))
    assert made.card["confounds"] == []
    volume = series["folder/b"]
    sharp = replace(volume.acquisition, kernel="LUNG")
    series["folder/b"] = replace(volume, acquisition=sharp)
    (found,) = domains.build_domains(config(full=["folder/a"], low=["folder/b"])).card["confounds"]
    assert found == "kernel differs: STANDARD (1) against LUNG (1)"

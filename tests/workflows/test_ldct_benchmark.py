"""The frozen benchmark, rehearsed from DICOM to the table on small replicas of its data."""

import json

import numpy as np
import pandas as pd
import pytest

from ctlab.ct import Acquisition, Volume, write_series
from ctlab.ct.datasets.layouts import benchmark_split
from ctlab.ct.denoiser import Denoiser
from ctlab.learn import TrainConfig
from ctlab.workflows import ldct_benchmark

CHEST = sorted(p for p in benchmark_split() if p.startswith("C"))
SIDE, SLICES = 72, 2


def write_replica(root, patients):
    """IDC's layout: both doses of each patient, a square of water with noise of 10 and 60 HU."""
    for number, patient in enumerate(patients):
        rng = np.random.default_rng(number)
        hu = np.full((SLICES, SIDE, SIDE), -1000.0)
        hu[:, 6:-6, 6:-6] = 40.0
        hu += rng.normal(0, 10, hu.shape)
        for arm, sd_hu in (("Full", 0.0), ("Low", 60.0)):
            noisy = (hu + rng.normal(0, sd_hu, hu.shape)).astype(np.float32)
            facts = Acquisition(patient_id=patient, kernel="B50f", study_uid=f"1.2.{number}")
            volume = Volume(noisy, (1.5, 0.7, 0.7), acquisition=facts)
            folder = root / "ldct_and_projection_data" / patient / "1.1" / f"CT_{arm}"
            write_series(volume, folder, description=f"{arm} Dose Images")


@pytest.fixture(scope="module")
def replica(tmp_path_factory):
    root = tmp_path_factory.mktemp("mayo")
    write_replica(root, CHEST)
    return root


@pytest.mark.slow
def test_the_whole_path_is_rehearsed(replica, tmp_path):
    steps = []
    found = ldct_benchmark.mayo_chest(
        replica, tmp_path / "out", rehearse=True, progress=lambda *seen: steps.append(seen)
    )
    assert steps == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert found["patients"]["test"] == ["C121", "C135", "C170", "C249", "C280"]
    assert [len(found["patients"][p]) for p in ("train", "val", "test")] == [35, 10, 5]
    assert found["is_rehearsal"]
    assert "say nothing" in found["claim"]
    assert json.loads((tmp_path / "out" / "results.json").read_text()) == found
    slices = pd.read_csv(tmp_path / "out" / "slices.csv")
    assert len(slices) == 5 * SLICES * 2
    trained = (tmp_path / "out" / "run" / "split.csv").read_text()
    config = TrainConfig.from_toml(tmp_path / "out" / "run" / "config.toml")
    lent = [name.split("/")[-3] for name in (*config.data.full, *config.data.low)]
    assert sorted(lent) == found["patients"]["train"]  # each patient in one domain only
    assert len(config.data.full) == 18
    assert not any(
        f",{p}," in trained for p in found["patients"]["test"] + found["patients"]["val"]
    )
    rows = {(r["method"], r["source"]): r for r in found["table"]}
    mine = slices[slices.method == "low dose"].psnr_db.mean()
    assert rows["low dose", "this run"]["psnr_db"] == pytest.approx(mine)
    assert rows["RED-CNN", "published"]["psnr_db"] == 28.0


def test_a_patient_too_few_is_named_and_nothing_written(replica, tmp_path):
    part = tmp_path / "part"
    write_replica(part, [p for p in CHEST if p != "C121"][:3])
    with pytest.raises(ValueError, match=r"lacks 47 of 50 .*ctlab fetch mayo-chest"):
        ldct_benchmark.mayo_chest(part, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_metrics_are_those_of_the_protocol(rng):
    """Against the protocol's own formulas, written out on its unit, HU + 1024."""
    from skimage.metrics import mean_squared_error, structural_similarity

    stored = rng.uniform(0, 3000, (64, 64)).round()
    target = np.kron(stored[::8, ::8], np.ones((8, 8)))
    image = target + rng.normal(0, 60, target.shape)
    ours = ldct_benchmark.protocol_metrics(target - 1024, image - 1024)

    def windowed(x):  # centre 1024 - 600, width 1500
        return np.clip((x - (424 - 750)) / 1500, 0, 1)

    error = mean_squared_error(windowed(target), windowed(image))
    assert ours["psnr_db"] == pytest.approx(10 * np.log10(1 / error))
    expected = structural_similarity(windowed(target), windowed(image), data_range=1.0)
    assert ours["ssim"] == pytest.approx(expected)
    clipped = np.clip(target, 0, 2924), np.clip(image, 0, 2924)
    assert ours["rmse_hu"] == pytest.approx(np.sqrt(np.mean((clipped[0] - clipped[1]) ** 2)))


def test_visual_information_is_that_of_the_protocol(rng):
    import torch

    from ctlab.explain import import_with_torchvision

    functional = import_with_torchvision("torchmetrics.functional.image")

    target = np.kron(rng.uniform(0, 2000, (8, 8)), np.ones((8, 8))).astype(np.float32)
    image = (target + rng.normal(0, 60, target.shape)).astype(np.float32)
    planes = [torch.from_numpy(np.clip(x, 0, 2924))[None, None] for x in (target, image)]
    # The protocol hands over (target, prediction) where the function wants (prediction, target).
    expected = functional.visual_information_fidelity(*planes, sigma_n_sq=2.0).item()
    ours = ldct_benchmark.protocol_metrics(target - 1024, image - 1024)["vif"]
    swapped = ldct_benchmark.protocol_metrics(image - 1024, target - 1024)["vif"]
    assert min(abs(ours - expected), abs(swapped - expected)) < 1e-3
    assert ours == pytest.approx(expected, abs=1e-3)


def table_of(low):
    rows = [{"method": "low dose", **dict(zip(ldct_benchmark.METRICS, low, strict=True))}]
    rows += [{"method": "ours", "ssim": 0.5, "psnr_db": 25.0, "vif": 0.1, "rmse_hu": 50.0}]
    return pd.DataFrame(rows)


def test_no_comparison_unless_the_low_dose_is_measured_as_published():
    same = ldct_benchmark.conclusions(table_of((0.3123, 18.068, 0.0831, 90.0)), rehearse=False)
    assert same["same_protocol"]
    assert "first unpaired row" in same["claim"]
    other = ldct_benchmark.conclusions(table_of((0.312, 18.2, 0.083, 90.0)), rehearse=False)
    assert not other["same_protocol"]
    assert "must not be compared" in other["claim"]
    assert (
        "say nothing" in ldct_benchmark.conclusions(table_of((0, 0, 0, 0)), rehearse=True)["claim"]
    )


def test_the_recipe_is_unpaired_and_cannot_change_unseen():
    """A change of the frozen recipe has to change this line too."""
    import hashlib
    from importlib.resources import files

    text = (files("ctlab.learn") / "frozen" / "mayo-chest.toml").read_text(encoding="utf-8")
    config = TrainConfig.from_toml_text(text)
    assert config.supervision == "unpaired"
    assert hashlib.sha256(text.encode()).hexdigest()[:12] == "e929fbef3fea"


def test_any_denoiser_is_measured_on_the_test_patients_without_training(replica, tmp_path):
    smooth = Denoiser("smooth", lambda hu, _mm: np.where(hu > -500, 40.0, -1000.0))  # the truth
    found = ldct_benchmark.mayo_chest_of(replica, tmp_path / "out", smooth)
    rows = {(r["method"], r["source"]): r for r in found["table"]}
    assert rows["ours", "this run"]["psnr_db"] > rows["low dose", "this run"]["psnr_db"] + 3
    assert found["patients"] == {"test": ["C121", "C135", "C170", "C249", "C280"]}
    assert "must not be compared" in found["claim"]  # these are replicas
    assert not (tmp_path / "out" / "run").exists()
    assert json.loads((tmp_path / "out" / "results.json").read_text()) == found

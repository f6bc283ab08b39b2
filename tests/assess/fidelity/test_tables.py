"""From slices to patients to intervals."""

from importlib.util import find_spec

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from ctlab.assess import (
    compare_arms,
    evaluate_volume,
    holm,
    local_noise_hu,
    summarise,
    tissue_masks,
    write_table,
)
from ctlab.assess.fidelity import tables
from ctlab.ct import Acquisition, Volume


@pytest.fixture(scope="module")
def chest():
    """Two slices of a body with two lungs, 64 pixels, and the same with noise of 20 HU."""
    rng = np.random.default_rng(5)
    y, x = np.mgrid[:64, :64] / 64 - 0.5
    plane = np.where((x / 0.48) ** 2 + (y / 0.42) ** 2 < 1, 40.0, -1000.0)
    plane[((np.abs(x) - 0.22) / 0.14) ** 2 + (y / 0.3) ** 2 < 1] = -850.0
    clean = np.stack([plane, plane]).astype(np.float32)
    noise = rng.normal(0, 20, clean.shape).astype(np.float32)
    acquisition = Acquisition(patient_id="P1")
    volume = Volume(clean, (2.5, 0.7, 0.7), acquisition=acquisition)
    return volume, volume.with_hu(clean + noise)


def test_one_row_per_slice_with_known_values(chest):
    full, noisy = chest
    table = evaluate_volume(full, noisy)
    assert list(table["slice"]) == [0, 1]
    assert set(table["patient"]) == {"P1"}
    assert table["rmse_hu"].to_numpy() == pytest.approx(18.5, abs=1.5)  # air is clipped at -1024
    assert table["bias_lung_hu"].abs().max() < 3
    assert table["reference_noise_hu"].max() < 0.1
    swapped = evaluate_volume(noisy, full)
    assert swapped["reference_noise_hu"].to_numpy() == pytest.approx(20, rel=0.15)


def test_an_offset_in_lung_alone_is_found_there(chest):
    full, _ = chest
    moved = full.hu.copy()
    moved[full.hu < -700] += 12.0
    table = evaluate_volume(full, full.with_hu(moved))
    assert table["bias_lung_hu"].to_numpy() == pytest.approx(12.0)
    assert table["bias_soft_hu"].to_numpy() == pytest.approx(0.0)
    assert np.isnan(table["bias_bone_hu"]).all()


def test_tissue_of_a_noisy_reference_brings_no_false_bias(rng):
    """Soft tissue of 100 HU under noise of 60 HU: thresholds on single voxels would be biased."""
    clean = np.full((1, 96, 96), 100.0)
    noisy = clean + rng.normal(0, 60, clean.shape)
    chosen = (noisy > 0) & (noisy < 120)
    assert (clean - noisy)[chosen].mean() > 20
    table = evaluate_volume(noisy, clean)
    assert table["bias_soft_hu"].abs().max() < 4
    masks = tissue_masks(noisy)
    assert not (masks["lung"] & masks["soft"]).any()


def test_grids_have_to_agree(chest):
    full, noisy = chest
    with pytest.raises(ValueError, match="spacing differs"):
        evaluate_volume(full, Volume(noisy.hu, (2.5, 0.8, 0.8)))
    with pytest.raises(ValueError, match="lie elsewhere"):
        evaluate_volume(full, Volume(noisy.hu, full.spacing_mm, origin_mm=(0, 0, 5.0)))
    with pytest.raises(ValueError, match="one grid"):
        evaluate_volume(full, noisy.hu[:1])


def table_of(values: np.ndarray, arm: str | None = None) -> pd.DataFrame:
    """Two slices per patient whose mean is the given value."""
    rows = [
        {"patient": f"p{k}", "slice": s, "rmse_hu": v + (s - 0.5)}
        for k, v in enumerate(values)
        for s in (0, 1)
    ]
    table = pd.DataFrame(rows)
    return table if arm is None else table.assign(arm=arm)


def test_interval_is_students_t_over_patients(rng):
    values = rng.normal(20, 3, 12)
    row = summarise(table_of(values)).iloc[0]
    low, high = stats.t.interval(0.95, 11, values.mean(), stats.sem(values))
    assert (row["low"], row["high"]) == pytest.approx((low, high))
    assert (row["n_patients"], row["n_slices"]) == (12, 24)


def test_nine_patients_get_no_interval(rng):
    row = summarise(table_of(rng.normal(20, 3, 9))).iloc[0]
    assert np.isnan(row["low"])
    assert np.isnan(row["high"])
    assert row["note"] == "9 of 10 patients needed"


def test_interval_covers_the_truth_95_times_in_100(rng):
    hits = 0
    for _ in range(200):
        row = summarise(table_of(rng.normal(20, 3, 10))).iloc[0]
        hits += row["low"] <= 20 <= row["high"]
    assert 0.91 <= hits / 200 <= 0.99


def test_paired_arms(rng):
    base = rng.normal(20, 3, 12)
    better = base - 2 + rng.normal(0, 0.1, 12)
    table = pd.concat([table_of(base, "low"), table_of(better, "a"), table_of(base, "same")])
    result = compare_arms(table, baseline="low").set_index("arm")
    assert result.loc["a", "difference"] == pytest.approx((better - base).mean())
    assert result.loc["a", "p"] == pytest.approx(2 / 2**12)  # all twelve signs alike
    assert result.loc["a", "p_holm"] == pytest.approx(4 / 2**12)
    assert result.loc["same", "p"] == 1.0
    with pytest.raises(ValueError, match="no arm 'full'"):
        compare_arms(table, baseline="full")
    with pytest.raises(ValueError, match="same patients"):
        compare_arms(table.iloc[:-2], baseline="low")


def test_several_endpoints_are_corrected_together(rng):
    """By hand: 0.01 x 3 = 0.03; 0.03 x 2 = 0.06; 0.04 x 1 is raised to the 0.06 before it."""
    p = np.array([0.01, np.nan, 0.04, 0.03])
    np.testing.assert_allclose(holm(p), [0.03, np.nan, 0.06, 0.06], rtol=1e-12)
    assert np.isnan(holm(np.array([np.nan]))).all()
    # Two endpoints in one table: each p counts for two.
    base = rng.normal(20, 3, 12)
    low = table_of(base, "low").assign(ssim=np.repeat(base / 40, 2))
    clean = table_of(base - 2, "clean").assign(ssim=np.repeat(base / 40 + 0.1, 2))
    result = compare_arms(pd.concat([low, clean]), baseline="low")
    assert set(result["metric"]) == {"rmse_hu", "ssim"}
    np.testing.assert_allclose(result["p_holm"], 2 * result["p"])


def test_tables_are_written_and_read_back(tmp_path, chest):
    table = evaluate_volume(*chest)
    readers = {"t.csv": pd.read_csv}
    if find_spec("pyarrow"):
        readers["t.parquet"] = pd.read_parquet
    for name, read in readers.items():
        write_table(table, tmp_path / name)
        np.testing.assert_allclose(read(tmp_path / name)["ssim"], table["ssim"])
    with pytest.raises(ValueError, match=r"\.csv or \.parquet"):
        write_table(table, tmp_path / "t.xlsx")


def test_without_pyarrow_a_parquet_table_is_refused_in_a_sentence(tmp_path, chest, monkeypatch):
    monkeypatch.setattr(tables, "find_spec", lambda _: None)
    with pytest.raises(ValueError, match=r"pyarrow.*write \.csv"):
        write_table(evaluate_volume(*chest), tmp_path / "t.parquet")
    assert list(tmp_path.iterdir()) == []


def test_local_noise_finds_its_place(rng):
    sd = np.where(np.arange(128) < 64, 10.0, 30.0)
    image = 40 + 0.2 * np.arange(128)[:, None] + rng.normal(size=(128, 128)) * sd
    noise = local_noise_hu(image)
    assert np.sqrt(np.mean(noise[10:-10, 10:54] ** 2)) == pytest.approx(10, rel=0.03)
    assert np.sqrt(np.mean(noise[10:-10, 74:118] ** 2)) == pytest.approx(30, rel=0.03)

"""The comparison of methods, from small results whose means are worked by hand."""

import json
import math

import pytest

from ctlab.lessons import method_table, share_of_gain
from ctlab.lessons.material.method_table import IN_WORDS, read_comparison


def row(patient, dose, rmse, *, nodules=()):
    measures = {"psnr_db": 40.0 - rmse, "ssim": 0.9, "bias_lung_hu": -rmse / 10}
    measures |= {"bias_soft_hu": 1.0, "bias_bone_hu": -2.0, "nps_shape": None}
    measures |= {"residual_ratio": 0.8, "sliced_w1_hu": 2.0, "rmse_body_hu": rmse}
    return {"patient": patient, "dose": dose, **measures, "nodules": list(nodules)}


@pytest.fixture
def results(tmp_path):
    found = [
        {"kind": "ground-glass", "diameter_mm": 4.0, "recovery": 0.4},
        {"kind": "ground-glass", "diameter_mm": 8.0, "recovery": 0.6},
        {"kind": "solid", "diameter_mm": 4.0, "recovery": 1.0},
    ]
    path = tmp_path / "results.json"
    methods = {
        "input": {"rows": [row(p, d, 30.0) for p in ("sample", "a", "b") for d in (0.1, 0.05)]},
        "mine": {
            "supervision": "unpaired",
            "steps": 800,
            "training": {"seconds": 12.5, "memory_mib": 64},
            "rows": [
                row("sample", 0.1, 10.0, nodules=found),
                row("a", 0.1, 12.0),
                row("b", 0.1, 18.0),
                row("sample", 0.05, 20.0),
                row("a", 0.05, 22.0),
                row("b", 0.05, 24.0),
            ],
        },
    }
    path.write_text(json.dumps({"methods": methods}), encoding="utf-8")
    return path


def test_each_patient_counts_once_and_the_sample_stays_apart(results):
    table = method_table(0.1, path=results)
    assert table.attrs["patients"] == 2
    there = table.loc["mine"]
    assert there["RMSE (HU)"] == (12 + 18) / 2
    assert there["PSNR (dB)"] == 40 - 15
    assert there["lung bias (HU)"] == -1.5
    here = method_table(0.1, ["sample"], path=results).loc["mine"]
    assert here["RMSE (HU)"] == 10
    assert method_table(0.05, path=results).loc["mine", "RMSE (HU)"] == 23


def test_nodules_are_averaged_over_their_sizes_each_kind_by_itself(results):
    here = method_table(0.1, ["sample"], path=results).loc["mine"]
    assert here["faint nodule (%)"] == 50
    assert here["solid nodule (%)"] == 100
    assert math.isnan(method_table(0.1, path=results).loc["mine", "faint nodule (%)"])


def test_what_was_not_trained_has_no_steps_and_no_seconds(results):
    table = method_table(path=results)
    assert list(table.index) == ["input", "mine"]
    assert table.loc["mine", ["taught by", "steps", "seconds"]].tolist() == ["unpaired", 800, 12.5]
    assert table.loc["mine", "memory (MiB)"] == 64
    assert table.loc["input", ["steps", "seconds", "memory (MiB)"]].isna().all()
    assert table["spectrum"].isna().all()  # too few regions: null in the file


def test_the_share_of_the_gain_is_counted_from_the_input(results):
    table = method_table(0.1, ["sample"], path=results)
    # PSNR 10 of the input, 30 of "mine"
    assert share_of_gain(table, "mine", "mine") == 1
    assert share_of_gain(table, "input", "mine") == 0
    table.loc["half"] = table.loc["mine"]
    table.loc["half", "PSNR (dB)"] = 20.0
    assert share_of_gain(table, "half", "mine") == 0.5


def test_a_method_that_was_given_other_images_gains_over_those(results):
    found = json.loads(results.read_text())
    given = {"psnr_db": 22.0, "input_psnr_db": 12.0}
    found["methods"]["other"] = {"rows": [row("sample", 0.1, 18.0) | given]}
    results.write_text(json.dumps(found), encoding="utf-8")
    table = method_table(0.1, ["sample"], path=results)
    assert table["input PSNR (dB)"].isna().tolist() == [True, True, False]
    assert share_of_gain(table, "other", "mine") == (22 - 12) / (30 - 10)


def test_strange_doses_patients_and_a_missing_file_are_refused_in_words(results, tmp_path):
    with pytest.raises(ValueError, match=r"dose \[0.2\] .* know \[0.05, 0.1\]"):
        method_table(0.2, path=results)
    with pytest.raises(ValueError, match=r"patient \['c'\] .*'a', 'b', 'sample'"):
        method_table(0.1, ["c"], path=results)
    with pytest.raises(ValueError, match="patient"):
        method_table(0.1, [], path=results)
    with pytest.raises(FileNotFoundError, match="clone of the repository"):
        method_table(path=tmp_path / "none.json")


def test_every_method_of_the_comparison_says_in_words_what_it_is():
    table = method_table()
    assert set(read_comparison()["methods"]) <= set(IN_WORDS)
    assert table["in words"].str.len().between(10, 75).all()

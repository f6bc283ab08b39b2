"""Explaining from files: regions by four names, and the limits in words."""

import json

import numpy as np
import pytest

from ctlab.ct import SAMPLE_NODULE, Volume, load_sample
from ctlab.explain import STUDY_METHODS, AuditPlan, Limits
from ctlab.learn import load_checkpoint
from ctlab.workflows import explain as explaining

QUICK = AuditPlan(draws=1, random_networks=1, fractions=(0.02,))


@pytest.fixture
def volume():
    return Volume(np.zeros((41, 512, 512), np.float32), (2.5, 0.703, 0.703))


def test_a_region_has_one_name(volume, tmp_path):
    mask = np.zeros((512, 512), bool)
    mask[3:5, 7:9] = True
    np.save(tmp_path / "mask.npy", mask)
    find = explaining.find_region
    assert find(volume, 20, disc=(9, 8, 7)) == [9, 8, 7]
    assert find(volume, 20, box=(1, 2, 3, 4)) == [1, 2, 3, 4]
    np.testing.assert_array_equal(find(volume, 20, mask=tmp_path / "mask.npy"), mask)
    nodule = (*SAMPLE_NODULE.centre, SAMPLE_NODULE.diameter_mm)
    found = find(volume, 20, nodule=nodule)
    # A disc of 13 mm radius in pixels of 0.703 mm: pi (13 / 0.703)^2 = 1074, to a pixel's edge.
    assert found.sum() == pytest.approx(np.pi * (13 / 0.703) ** 2, rel=0.01)
    # Two slices of 2.5 mm off the centre: radius sqrt(169 - 25) = 12 mm.
    off = find(volume, 22, nodule=nodule)
    assert off.sum() == pytest.approx(np.pi * (12 / 0.703) ** 2, rel=0.01)
    with pytest.raises(ValueError, match="lies on slices 15 to 25, slice 30"):
        find(volume, 30, nodule=nodule)
    with pytest.raises(ValueError, match="got none"):
        find(volume, 20)
    with pytest.raises(ValueError, match="got --roi and --box"):
        find(volume, 20, disc=(9, 8, 7), box=(1, 2, 3, 4))
    (tmp_path / "text.npy").write_text("no array")
    with pytest.raises(ValueError, match="--mask must be an NPY file"):
        find(volume, 20, mask=tmp_path / "text.npy")


def test_the_limits_are_told_with_what_no_map_can_show():
    told = explaining.limits_in_words(Limits(stability_cosine=0.65))
    assert "stability at least 0.65" in told
    assert "no standard" in told
    assert "no map can tell" in told


def test_the_study_writes_both_tables(tmp_path, monkeypatch):
    """The rows agree with each other and with the file."""
    told = []
    places = explaining.study_regions(load_sample())
    assert places["nodule"].sum() == pytest.approx(np.pi * (13 / 0.703) ** 2, rel=0.01)
    small = {name: (*places[name][:2], 2) for name in ("aorta", "lung")}
    monkeypatch.setattr(explaining, "study_regions", lambda volume: small)
    monkeypatch.setattr(explaining, "STUDY_SLICES", (20,))
    result = explaining.study_of_sample(
        out=tmp_path / "study.json", methods=("difference", "attention"), plants=2, plan=QUICK,
        progress=lambda done, total: told.append((done, total)),
    )  # fmt: skip
    assert json.loads((tmp_path / "study.json").read_text()) == result
    methods = [(r["region"], r["method"]) for r in result["methods"]]
    assert methods == [
        (region, method)
        for region in ("aorta", "lung")
        for method in ("difference", "attention", "hirescam, random weights")
    ]
    # A difference does not look at a target, so removing what it marks is judged all the same.
    assert {r["kind"] for r in result["usefulness"]} == {"erased", "invented"}
    assert all(0 <= r["auc"] <= 1 for r in result["usefulness"])
    assert told[-1][0] == told[-1][1]
    assert told == sorted(told)
    words = explaining.study_in_words(result)
    assert max(map(len, words.splitlines())) <= 80
    assert "hirescam, random weights" in words


def test_the_committed_study_covers_every_method_of_the_model():
    stored = explaining.packaged_study()
    assert stored["checkpoint"] == explaining.fingerprint(load_checkpoint())
    assert stored["command"].startswith(explaining.STUDY_COMMAND)
    shown = {r["method"] for r in stored["methods"]}
    assert shown == {*STUDY_METHODS, "hirescam, random weights"}
    assert len(stored["methods"]) == 3 * len(shown)
    assert stored["limits"] == explaining.limits_in_words()

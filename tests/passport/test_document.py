"""The passport: filters of known harm must fail the checks that are theirs, and only those."""

import json
from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from ctlab.assess.safety.failure_gallery import ct_noise
from ctlab.ct import Volume
from ctlab.ct.denoiser import Denoiser
from ctlab.passport import (
    DEFAULT_LIMITS,
    Passport,
    read_limits,
    read_passport,
    risk_factor_of,
    write_passport,
)
from ctlab.passport.checks import CHECKS, Bench, banding, risk
from ctlab.passport.document import _explanation, measure
from ctlab.passport.patient_scan import PatientScan, make_patient_scan
from ctlab.passport.phantoms import POPULATION


def scan_for(denoise, seed=0, slices=4, side=256) -> PatientScan:
    """A slab of lung in a wall of soft tissue, dose 0.1, noise of 60 HU."""
    rng = np.random.default_rng(seed)
    clean = np.full((slices, side, side), -850.0)
    clean[:, :48] = 40.0
    low, other = (clean + ct_noise(rng, clean.shape, sd_hu=60.0) for _ in range(2))
    full = Volume(clean.astype(np.float32), (2.5, 0.7, 0.7))
    scan = PatientScan(full, low, other, denoise(low), denoise(other), 0.1, 0.01)
    return replace(scan, run=scan)


pytestmark = pytest.mark.usefixtures("drawn_phantoms")


def results(denoise) -> dict[str, dict]:
    rows, _ = measure([scan_for(denoise)], denoise)
    return {row["name"]: row for row in rows}


def blur(images):
    return gaussian_filter(images, (0, 1.5, 1.5))


@pytest.fixture(scope="module")
def untouched(drawn_phantoms):
    return results(lambda images: images.copy())


@pytest.fixture(scope="module")
def blurred(drawn_phantoms):
    return results(blur)


def test_doing_nothing_harms_nothing_and_helps_nothing(untouched):
    value = {name: row["value"] for name, row in untouched.items()}
    assert value["bias in lung"] < 1
    assert value["error left"] == pytest.approx(1.0)
    assert value["noise left"] == pytest.approx(1.0)
    assert value["shift of mean noise frequency"] == pytest.approx(0.0, abs=1e-9)
    assert value["loss of resolution (f50 of a 10 mm insert)"] == pytest.approx(0.0, abs=1e-6)
    assert value["contrast recovery, worst nodule"] == pytest.approx(1.0, abs=1e-4)
    assert value["structure removed"] == 0.0
    assert value["banding along z"] == 0.0
    assert untouched["noise left"]["passed"] is False


def test_a_blur_is_caught_though_its_error_is_smaller(blurred):
    assert blurred["error left"]["passed"] is True
    assert blurred["noise left"]["passed"] is True
    for name in (
        "shift of mean noise frequency",
        "loss of resolution (f50 of a 10 mm insert)",
        "contrast recovery, worst nodule",
        "structure removed",
    ):
        assert blurred[name]["passed"] is False, name


def test_an_offset_is_caught_as_bias_and_as_nothing_else(untouched):
    shifted = results(lambda images: images + 12.0)
    assert shifted["bias in lung"]["value"] == pytest.approx(12.0, abs=1.0)
    changed = [n for n in shifted if shifted[n]["passed"] != untouched[n]["passed"]]
    assert set(changed) <= {"bias in lung", "bias in soft tissue", "error left"}
    assert "bias in lung" in changed


def test_every_limit_is_answered_or_refused_in_words(untouched):
    assert {n for check in CHECKS.values() for n in check.names} == set(untouched)
    assert set(untouched) | {"explanation better than chance"} == set(DEFAULT_LIMITS)


def test_too_little_lung_is_a_reason_and_no_failure():
    scan = scan_for(blur, side=128, slices=1)
    rows, _ = measure([scan], blur)
    refused = {row["name"]: row for row in rows}["structure removed"]
    assert refused["value"] is None
    assert refused["passed"] is None
    assert "8 are needed" in refused["note"]


def test_one_patient_alone_leaves_the_guarantee_to_phantoms_and_says_so(untouched, blurred):
    for found in (untouched, blurred):
        row = found["risk coverage"]
        assert row["value"] <= 0.1
        assert row["note"].startswith(f"calibrated on 16, verified on 8; {POPULATION}")
        assert "half the voxels within" in row["note"]


def test_patients_calibrate_where_there_are_enough():
    scans = [scan_for(blur, seed=k, slices=1, side=64) for k in range(14)]
    found = risk(Bench(scans, blur, np.random.default_rng(0)))
    assert found.values["risk coverage"] <= 0.1
    assert "patients' scans" in found.notes["risk coverage"]
    assert {row["side"] for row in found.tables["risk"]} == {"added", "removed"}
    assert all(row["n_patients"] == 5 for row in found.tables["risk"])


def test_a_filter_that_loses_the_scale_of_its_error_breaks_no_promise_but_has_no_bound():
    """An offset of 3,000 HU that no score shows: no factor on the list covers it."""
    misled = [
        replace(s, out=s.low + 3000.0, low=s.low + 3000.0)
        for s in (scan_for(blur, seed=k, slices=1, side=64) for k in range(12))
    ]
    with pytest.raises(ValueError, match="no factor up to 500 controls the risk"):
        risk(Bench(misled, blur, np.random.default_rng(0)))


def test_offsets_that_change_from_slice_to_slice_are_bands():
    offsets = np.array([3.0, -3.0, 3.0, -3.0])[:, None, None]
    scan = scan_for(lambda images: images + offsets)
    found = banding(Bench([scan], blur, np.random.default_rng(0)))
    assert found.values["banding along z"] == pytest.approx(6 / np.sqrt(2), rel=1e-6)
    # The same offsets in both realisations cancel: noise of independent slices stays so.
    after = [r for r in found.tables["z correlation"] if r["arm"] == "denoised"]
    assert abs(after[1]["correlation"]) < 0.03
    with pytest.raises(ValueError, match="4 neighbouring slices or more, got 0"):
        banding(Bench([replace(scan, run=None)], blur, np.random.default_rng(0)))


def test_a_patient_scan_holds_spread_slices_and_neighbours(rng):
    hu = np.full((20, 64, 64), -800.0)
    hu[:, 10:50, 10:50] = 40.0  # soft tissue, without which the noise cannot be measured
    hu += rng.normal(0, 5, hu.shape) + np.arange(20)[:, None, None]
    volume = Volume(hu.astype(np.float32), (2.5, 0.7, 0.7))
    scan = make_patient_scan(volume, blur, dose=0.5, slices=3, rng=rng, neighbours=6)
    first = volume.hu[0].mean()
    assert [round(float(s.mean() - first)) for s in scan.full.hu] == [0, 10, 19]
    assert [round(float(s.mean() - first)) for s in scan.run.full.hu] == [7, 8, 9, 10, 11, 12]
    assert scan.run.full.origin_mm[2] == pytest.approx(7 * 2.5)
    assert make_patient_scan(volume, blur, dose=0.5, slices=3, rng=rng).run is None


def passport(found: dict[str, dict], dose=0.1) -> Passport:
    facts = {
        "checkpoint_sha256": "a" * 64,
        "dose": dose,
        "data": [{"sha256": "d"}],
        "claim": [("Training", "<none>")],
    }
    return Passport(list(found.values()), facts, {"t": [{"x": float("nan"), "y": 1}]}, {})


def test_written_read_back_and_shown(blurred, tmp_path):
    made = passport(blurred)
    write_passport(made, tmp_path / "p")
    assert json.loads((tmp_path / "p" / "passport.json").read_text())["passed"] is False
    again = read_passport(tmp_path / "p")
    assert again.checks == json.loads(json.dumps(made.as_dict()))["checks"]
    html = (tmp_path / "p" / "index.html").read_text()
    assert "contrast recovery" in html
    assert "&lt;none&gt;" in html
    assert "<script" not in html
    with pytest.raises(ValueError, match="not empty"):
        write_passport(made, tmp_path / "p")
    (tmp_path / "bad.json").write_text("{")
    with pytest.raises(ValueError, match=r"bad\.json is no passport"):
        read_passport(tmp_path / "bad.json")
    (tmp_path / "new.json").write_text('{"format_version": 99}')
    with pytest.raises(ValueError, match="format 99"):
        read_passport(tmp_path / "new.json")


def test_limits_from_a_file(tmp_path):
    path = tmp_path / "limits.toml"
    path.write_text('"bias in lung" = 2\n')
    limits = read_limits(path)
    assert limits["bias in lung"].bound == 2.0
    assert limits["bias in lung"].source == "set in limits.toml"
    assert limits["speed"] == DEFAULT_LIMITS["speed"]
    path.write_text('"bias in lungs" = 2\n')
    with pytest.raises(ValueError, match="unknown limits bias in lungs; known are bias in lung"):
        read_limits(path)
    path.write_text('"bias in lung" = "2"\n')
    with pytest.raises(ValueError, match="must be a number"):
        read_limits(path)


@pytest.mark.slow
def test_the_shipped_checkpoint_gets_one(tmp_path, monkeypatch):
    from ctlab.ct import load_sample
    from ctlab.passport import make_passport

    monkeypatch.setattr("ctlab.passport.checks.PATCHES", 30)  # enough to run, not to conclude
    seen = []
    made = make_passport(
        [load_sample()], slices=2, progress=lambda done, total: seen.append((done, total))
    )
    by_name = {check["name"]: check for check in made.checks}
    assert set(by_name) == set(DEFAULT_LIMITS)
    assert by_name["error left"]["value"] < 0.9
    assert by_name["explanation better than chance"]["note"].startswith("hirescam map")
    assert seen[-1][0] == seen[-1][1]
    write_passport(made, tmp_path / "p")
    shown = {path.stem for path in (tmp_path / "p").glob("*.png")}
    assert shown == {"slices", "coronal", "explanation", "nps", "ttf", "z"}


def test_a_black_box_gets_a_map_by_occlusion_unless_it_is_slow():
    denoiser = Denoiser("blur", lambda hu, _mm: blur(hu), "function", slices=1)
    scan = scan_for(blur, side=192, slices=1)
    row, audit, picture = _explanation(denoiser, scan, DEFAULT_LIMITS, 0)
    assert row["note"].startswith("occlusion map of the region's mean")
    assert row["value"] in (0.0, 1.0)
    assert {r["check"] for r in audit} >= {"learnt", "beats random pixels"}
    assert picture.dtype == np.uint8
    slow = replace(scan, seconds_per_slice=9.0)
    row, audit, picture = _explanation(denoiser, slow, DEFAULT_LIMITS, 0)
    assert row["value"] is None
    assert "takes too long to be asked" in row["note"]
    assert (audit, picture) == ([], None)


def test_the_factor_of_a_passport_s_risk_is_the_larger_and_must_be_there(tmp_path):
    check = {"name": "risk coverage", "limit": "", "unit": "", "note": "", "value": None}
    checks = [{**check, "passed": None}]
    rows = [{"side": "added", "factor": 1.5}, {"side": "removed", "factor": 2.5}]
    for name, tables in (("with", {"risk": rows}), ("without", {})):
        (tmp_path / name).mkdir()
        content = Passport(checks, {"data": [], "dose": 0.1}, tables).as_dict()
        (tmp_path / name / "passport.json").write_text(json.dumps(content), "utf-8")
    assert risk_factor_of(tmp_path / "with") == 2.5
    with pytest.raises(ValueError, match="has no calibrated risk"):
        risk_factor_of(tmp_path / "without")

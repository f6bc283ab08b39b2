"""Small replicas of each collection's layout, whole and faulted."""

import shutil
from dataclasses import replace

import numpy as np
import pytest

from ctlab.ct import (
    Acquisition,
    Volume,
    confounds,
    open_collection,
)
from ctlab.ct.datasets.confounders import DomainFacts
from ctlab.ct.datasets.layouts import benchmark_split


def place(make_series, folder, *, slices=3, uid="1.2.3", **facts):
    """A toy series moved to its place in a replica."""

    def change(k, dataset):
        for keyword, value in facts.items():
            setattr(dataset, keyword, value)

    made = make_series(slices, change, name=f"tmp-{uid}", uid=uid)
    folder.parent.mkdir(parents=True, exist_ok=True)
    made.rename(folder)


def exposure(mas):
    return {"XRayTubeCurrent": round(mas), "ExposureTime": 1000}


@pytest.fixture
def ieee(make_series, tmp_path):
    root = tmp_path / "replica"
    s1 = root / "Dataset-S1"
    cases = {"COVID-S1/C001": 90, "COVID-S1/C002": 12, "Normal-S1/N001": 100}
    for number, (case, mas) in enumerate(cases.items()):
        place(make_series, s1 / case, uid=f"1.5.{number}", **exposure(mas))
    positive = root / "Dataset-S2" / "COVID-S2" / "PCRP-Lung-Positive" / "C001"
    place(make_series, positive, uid="1.5.9", **exposure(11))
    (s1 / "LDCT-SL-Labels-S1.csv").write_text("0,1,1\n0,0,1\n")
    readers = "Case,Radiologist 1,Radiologist 2,Radiologist 3\n"
    rows = "C001,1,1,0\nC002,1,1,1\nN001,0,0,0\n"
    (s1 / "Radiologist-S1.csv").write_text(readers + rows)
    (s1 / "Clinical-S1.csv").write_text("Case,RT-PCR\nC001,positive\nC002,\nN001,negative\n")
    clinical = root / "Dataset-S2" / "Clinical-S2.csv"
    clinical.write_text("\ufeffCase,RT-PCR\nC001,positive\n", encoding="utf-8")
    return root


def test_ieee_patients_doses_and_labels(ieee):
    collection = open_collection(ieee)
    assert collection.kind == "ieee-covid"
    assert collection.patients == [
        "COVID-S1/C001",
        "COVID-S1/C002",
        "Normal-S1/N001",
        "PCRP-Lung-Positive/C001",
    ]
    arms = {s.patient: s.arm for s in collection.scans}
    assert arms["COVID-S1/C001"] == arms["Normal-S1/N001"] == "low"
    assert arms["COVID-S1/C002"] == arms["PCRP-Lung-Positive/C001"] == "ultra-low"
    labels = {s.patient: s.labels for s in collection.scans}
    assert labels["COVID-S1/C001"] == (0, 1, 1)
    assert labels["Normal-S1/N001"] is None
    assert collection.problems == ()
    assert collection.scans[0].read().shape == (3, 16, 16)


def test_ieee_findings_go_to_the_case_of_their_own_dataset(ieee):
    facts = {s.patient: s.facts for s in open_collection(ieee).scans}
    assert facts["COVID-S1/C001"] == {
        "Radiologist-S1: Radiologist 1": "1",
        "Radiologist-S1: Radiologist 2": "1",
        "Radiologist-S1: Radiologist 3": "0",
        "Clinical-S1: RT-PCR": "positive",
    }
    assert "Clinical-S1: RT-PCR" not in facts["COVID-S1/C002"]  # an empty cell is no finding
    assert facts["PCRP-Lung-Positive/C001"] == {"Clinical-S2: RT-PCR": "positive"}


def test_ieee_tables_that_are_missing_or_do_not_fit(ieee):
    (ieee / "Dataset-S1" / "Radiologist-S1.csv").unlink()
    (ieee / "Dataset-S1" / "Clinical-S1.csv").write_text("Case,RT-PCR\nC001,positive\nC077,x\n")
    assert open_collection(ieee).problems == (
        "Radiologist-S1.csv is missing: its findings are unknown",
        "Clinical-S1.csv has 1 rows without a case (first: C077)",
        "Clinical-S1.csv lacks 2 cases (first: C002)",
    )


def test_files_that_are_no_slices_do_not_count(ieee, make_series):
    """A thumbnail list and a localizer beside the slices; labels fit all the same."""
    case = ieee / "Dataset-S1" / "COVID-S1" / "C001"
    (case / "Thumbs.db").write_bytes(b"\xd0\xcf\x11\xe0")

    def scout(k, dataset):
        dataset.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]

    next(make_series(1, scout, name="scout").iterdir()).rename(case / "IM0000.dcm")
    labels = {s.patient: s.labels for s in open_collection(ieee).scans}
    assert labels["COVID-S1/C001"] == (0, 1, 1)


def test_two_series_in_one_folder_are_two_scans(make_series, tmp_path):
    place(make_series, tmp_path / "clean" / "p1", uid="1.9.1", PatientID="p1")
    place(make_series, tmp_path / "other", uid="1.9.2", slices=4, PatientID="p1")
    for file in (tmp_path / "other").iterdir():
        file.rename(tmp_path / "clean" / "p1" / file.name)
    scans = open_collection(tmp_path).scans
    assert [s.series_uid for s in scans] == ["1.9.1", "1.9.2"]
    assert [s.read().shape[0] for s in scans] == [3, 4]


def test_ieee_without_labels(ieee):
    (ieee / "Dataset-S1" / "LDCT-SL-Labels-S1.csv").unlink()
    collection = open_collection(ieee)
    assert collection.problems == ("LDCT-SL-Labels-S1.csv is missing: no slice labels",)


def test_ieee_with_a_row_too_many(ieee):
    (ieee / "Dataset-S1" / "LDCT-SL-Labels-S1.csv").write_text("0,1,1\n0,0,1\n1,1,1\n")
    collection = open_collection(ieee)
    assert "3 rows for 2 COVID cases" in collection.problems[0]
    assert all(s.labels is None for s in collection.scans)


def test_ieee_with_a_missing_slice(ieee):
    next((ieee / "Dataset-S1" / "COVID-S1" / "C002").iterdir()).unlink()
    collection = open_collection(ieee)
    assert collection.problems == ("C002 has 2 slices and 3 labels: not used",)
    assert {s.patient: s.labels for s in collection.scans}["COVID-S1/C001"] == (0, 1, 1)


def test_ieee_labels_with_names_and_nonsense(ieee):
    table = ieee / "Dataset-S1" / "LDCT-SL-Labels-S1.csv"
    table.write_text("case,slice 1,slice 2,slice 3\nC001,0,1,1\nC002,1,0,1\n")
    assert open_collection(ieee).scans[1].labels == (1, 0, 1)
    table.write_text("0,1,1\n0,7,1\n")
    with pytest.raises(ValueError, match="row 2: labels are 0 or 1, got '7'"):
        open_collection(ieee)


@pytest.mark.parametrize("layout", ["idc", "tcia"])
def test_mayo_in_both_layouts(make_series, tmp_path, layout):
    for number, (patient, arm) in enumerate(
        [("C121", "Full"), ("C121", "Low"), ("C095", "Full"), ("C095", "Low"), ("C777", "Full")]
    ):
        uid = f"1.7.{number}"
        if layout == "idc":
            folder = tmp_path / "ldct_and_projection_data" / patient / "1.1" / f"CT_{uid}"
            facts = {"SeriesDescription": f"{arm} Dose Images"}
        else:
            name = f"1.000000-{arm} Dose Images-0{number}"
            folder = tmp_path / "LDCT-and-Projection-data" / patient / "12-23-2021-NA" / name
            facts = {}
        place(make_series, folder, uid=uid, PatientID=patient, **facts)
    collection = open_collection(tmp_path)
    assert collection.kind == "mayo"
    pairs = collection.pairs()
    assert [(a.patient, a.arm, b.arm) for a, b in pairs] == [
        ("C095", "full", "low"),
        ("C121", "full", "low"),
    ]
    assert collection.split == {"C121": "test", "C095": "train"}
    assert collection.problems == ("1 patients have one dose only: C777",)


def test_the_published_split_keeps_patients_apart():
    split = benchmark_split()
    for letter in "CL":
        counts = [
            sum(v == part and k[0] == letter for k, v in split.items())
            for part in ("train", "val", "test")
        ]
        assert counts == [35, 10, 5]
    assert {k for k, v in split.items() if v == "test" and k[0] == "C"} == {
        "C121",
        "C249",
        "C170",
        "C135",
        "C280",
    }


def test_lidc_and_plain_folders(make_series, tmp_path):
    place(make_series, tmp_path / "a" / "LIDC-IDRI-0001" / "s", PatientID="LIDC-IDRI-0001")
    assert open_collection(tmp_path / "a").kind == "lidc"
    place(make_series, tmp_path / "b" / "clean" / "p1", uid="1.8.1", PatientID="p1")
    place(make_series, tmp_path / "b" / "noisy" / "p2", uid="1.8.2", PatientID="p2")
    collection = open_collection(tmp_path / "b")
    assert {k: [s.patient for s in v] for k, v in collection.arms.items()} == {
        "clean": ["p1"],
        "noisy": ["p2"],
    }


def test_arms_that_differ_in_more_than_dose_are_named(make_series, ieee, tmp_path):
    """By headers alone: other kernel, pixels a fifth larger, hence another field of view."""
    place(make_series, tmp_path / "b" / "clean" / "p1", uid="1.8.1", Manufacturer="One")
    place(
        make_series,
        tmp_path / "b" / "noisy" / "p2",
        uid="1.8.2",
        Manufacturer="One",
        ConvolutionKernel="B70f",
        PixelSpacing=[0.6, 0.9],
    )
    (found,) = open_collection(tmp_path / "b").problems
    assert found == (
        "arms clean and noisy differ in more than dose, and a network trained on them unpaired "
        "would learn that instead of noise: kernel differs: B30f (1) against B70f (1); "
        "pixel size differs: 0.612 mm against 0.735 mm; "
        "field of view differs: 12 mm against 14.4 mm"
    )
    place(make_series, ieee / "Dataset-S1/Normal-S1/N002", uid="1.5.7", KVP=80, **exposure(12))
    place(make_series, ieee / "Dataset-S1/Normal-S1/N003", uid="1.5.8", KVP=80, **exposure(12))
    place(make_series, ieee / "Dataset-S1/Normal-S1/N004", uid="1.5.6", KVP=80, **exposure(12))
    found = [p for p in open_collection(ieee).problems if "more than dose" in p]
    assert len(found) == 1
    assert found[0].startswith("arms low and ultra-low differ in more than dose")
    assert found[0].endswith("kvp differs: 120 (2) against 80 (3), 120 (2)")


def test_many_folders_are_patients_and_headers_may_be_silent(make_series, tmp_path):
    for k in range(5):
        facts = {"ConvolutionKernel": f"B{k}0f", "SliceThickness": None}
        place(make_series, tmp_path / "b" / f"p{k}" / "s", uid=f"1.8.{k}", **facts)
    assert open_collection(tmp_path / "b").problems == ()
    for k in (2, 3, 4):
        shutil.rmtree(tmp_path / "b" / f"p{k}")
    (found,) = open_collection(tmp_path / "b").problems
    assert "kernel differs: B00f (1) against B10f (1)" in found
    assert "slice distance" not in found


def test_folders_without_ct_are_refused(tmp_path):
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "readme.txt").write_text("hello")
    with pytest.raises(ValueError, match="holds no folder with CT slices"):
        open_collection(tmp_path)
    with pytest.raises(ValueError, match="is not a folder"):
        open_collection(tmp_path / "none")
    with pytest.raises(ValueError, match="kind must be"):
        open_collection(tmp_path, kind="zenodo")


def volume(**facts):
    header = Acquisition(kernel="B30f", manufacturer="Siemens", model="X", kvp=120.0)
    return Volume(
        np.zeros((2, 8, 8), np.float32), (2.5, 0.7, 0.7), acquisition=replace(header, **facts)
    )


def test_domains_that_differ_in_dose_alone_pass():
    assert confounds([volume(), volume()], [volume(tube_current_ma=20.0)]) == []


def test_each_confound_is_named():
    assert "kernel differs: B30f (2) against B70f (1)" in confounds(
        [volume(), volume()], [volume(kernel="B70f")]
    )
    assert "scanner" in confounds([volume()], [volume(model="Y")])[0]
    facts = DomainFacts.of(volume())
    for name in ("pixel_mm", "slice_mm", "field_mm"):
        other = replace(facts, **{name: getattr(facts, name) * 1.5})
        assert len(confounds([facts], [other])) == 1
    mixed = [volume(), volume(kernel="B70f")]
    assert confounds(mixed, mixed[::-1]) == []
    with pytest.raises(ValueError, match="at least one series"):
        confounds([], mixed)

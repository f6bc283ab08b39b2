"""De-identification: identifiers everywhere, searched for in every byte of the output."""

import struct
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.datadict import dictionary_VR
from pydicom.dataset import Dataset
from pydicom.valuerep import STANDARD_VR

from ctlab.ct import deidentify_series, read_series
from ctlab.ct.dicom.kept_attributes import FREE_TEXT, KEPT, TYPE_2, TYPE_2_CLASSIC
from tests.ct.dicom.identifiers import (
    BINARY,
    IDENTIFIERS,
    TRACES,
    insert,
    insert_outside,
    traces_in,
)

pytestmark = pytest.mark.filterwarnings("ignore")  # identifiers are no good dates or codes

FILES = 6
"""Files over which the attributes are spread: implicit values of 64 kB and more are no aim."""


@pytest.fixture(scope="module")
def counts():
    return dict.fromkeys([*IDENTIFIERS, "SQ"], 0)


@pytest.fixture
def everywhere(make_series, counts):
    def change(k, dataset):
        insert_outside(dataset)
        for vr, n in insert(dataset, k, FILES).items():
            counts[vr] += n

    return make_series(FILES, change)


@pytest.fixture
def identified(make_series):
    return make_series(3, lambda _, dataset: insert_outside(dataset))


def test_no_identifier_is_found_again(everywhere, counts, tmp_path):
    """Some 5,000 attributes of every VR of the standard, nested, private, before and behind."""
    standard = {str(vr) for vr in STANDARD_VR}
    assert set(IDENTIFIERS) | {"SQ"} == standard
    never = {vr for vr in standard if not counts[vr]}
    assert never <= {"OV", "SV", "UN"}  # the dictionary has none; private elements have them
    assert sum(counts.values()) > 4500
    before = traces_in(everywhere)
    assert {trace for _, trace in before} == set(TRACES)
    report = deidentify_series(everywhere, tmp_path / "out", secret="s")
    assert report.left_out == {}
    assert report.files == FILES
    assert traces_in(tmp_path / "out") == set()
    for file in (tmp_path / "out").iterdir():
        assert file.read_bytes()[:128] == b"\0" * 128
        dataset = pydicom.dcmread(file)
        assert dataset.PatientSex == ""
        kept = {e.keyword for e in dataset.iterall()}
        assert kept - KEPT <= {
            *(
                "PatientIdentityRemoved",
                "DeidentificationMethod",
                "CodeValue",
                "Laterality",
                "CodeMeaning",
            ),
            *("DeidentificationMethodCodeSequence", "CodingSchemeDesignator"),
            "LongitudinalTemporalInformationModified",
        }
    assert "RequestAttributesSequence" in report.removed
    assert "(0009,1010)" in report.removed
    assert "PatientAge" in report.removed
    assert "PatientID" in report.replaced
    assert any("ConvolutionKernel" in w for w in report.warnings)


def test_a_name_nested_or_private_is_searched_for_in_what_is_kept(make_series, tmp_path):
    """The patient's short name stands in a sequence alone, and a site typed it into the kernel."""

    def change(k, dataset):
        item = Dataset()
        item.PatientName = "Fox^Dana"
        dataset.RequestAttributesSequence = [item]
        dataset.PatientName = ""
        dataset.ConvolutionKernel = "B30 FOX"

    deidentify_series(make_series(2, change), tmp_path / "out")
    for file in (tmp_path / "out").iterdir():
        assert b"FOX" not in file.read_bytes()


PROFILE = {
    "Z": "AccessionNumber PatientBirthDate PatientName PatientSex ReferringPhysicianName StudyDate "
    "StudyID StudyTime",
    "U": "FrameOfReferenceUID SOPInstanceUID SeriesInstanceUID StudyInstanceUID",
    "Z/D": "ContentDate ContentTime PatientID",
    "X/Z": "AcquisitionDate AcquisitionTime",
    "X/D": "SeriesDate SeriesTime",
    "X/Z/D": "AcquisitionDateTime",
}
"""Kept attributes for which table E.1-1 of PS3.15 has an action, after the table as packaged in
dicom-anonymizer 2.1.0 (edition 2026c) and in idiscore 1.2.0, which agree."""


def test_free_text_that_stays_is_what_the_profile_leaves_alone(make_series, tmp_path):
    acted = set(" ".join(PROFILE.values()).split())
    text = {k for k in KEPT if dictionary_VR(k) in {"LO", "SH", "ST", "LT", "UT", "UC"}}
    assert text - acted == set(FREE_TEXT)

    def change(k, dataset):
        dataset.SeriesDescription = dataset.ProtocolName = dataset.ImageComments = "Marvin chest"
        dataset.StudyDescription = dataset.RequestedProcedureDescription = "Marvin"
        dataset.ConvolutionKernel = ["B30f", "B30f MARVIN"][k % 2]
        dataset.StudyDate, dataset.StudyTime, dataset.StudyID = "20200101", "101010", "S 42"
        dataset.AccessionNumber, dataset.ReferringPhysicianName = "4711", "Dent"

    # Times move by whole hours: one secret in 24 would leave the time of day as it was.
    report = deidentify_series(make_series(4, change), tmp_path / "out", secret="one of the 23")
    assert report.kept_text == {"ConvolutionKernel": ["B30f MARVIN", "B30f"]}
    sources = [pydicom.dcmread(f) for f in sorted((tmp_path / "series").iterdir())]
    for source, file in zip(sources, sorted((tmp_path / "out").iterdir()), strict=True):
        made = pydicom.dcmread(file)
        for keyword in acted:
            assert not source.get(keyword) or made.get(keyword) != source[keyword].value, keyword
        assert not {"SeriesDescription", "ProtocolName", "StudyDescription"} & {*made.dir()}
        assert "B30f" in made.ConvolutionKernel


def test_an_earlier_output_below_the_folder_is_not_read(make_series):
    folder = make_series(3)
    first = deidentify_series(folder, folder / "out")
    again = deidentify_series(folder, folder / "out", overwrite=True)
    assert first.files == again.files == 3
    assert len(list((folder / "out").iterdir())) == 3
    assert first.removed == again.removed
    assert again.left_out == {}


def test_values_that_do_not_fit_their_kind_go(make_series, tmp_path):
    """Numbers in place of numbers, and no more of them than the standard allows."""

    def change(k, dataset):
        with pydicom.config.disable_value_validation():
            dataset.add_new(0x00189345, "FD", list(struct.unpack("<2d", BINARY)))  # CTDIvol
            dataset.add_new(0x00181152, "LO", "Marvin")  # Exposure is a number
            dataset.AcquisitionTime = "112233"  # without its date it would not be shifted
            dataset.StudyDate, dataset.StudyTime = "Marvin", "Marvin"

    report = deidentify_series(make_series(2, change), tmp_path / "out")
    assert {"CTDIvol", "Exposure", "AcquisitionTime", "StudyDate", "StudyTime"} <= {*report.removed}
    for file in (tmp_path / "out").iterdir():
        assert not {b"Marvin", b"112233", BINARY[:8]} & {
            t for t in (b"Marvin", b"112233", BINARY[:8]) if t in file.read_bytes()
        }


def test_a_full_disk_is_no_damage_of_the_source(make_series, tmp_path, monkeypatch):
    write_bytes = Path.write_bytes

    def full(self, data):
        if self.name == "IM00002.dcm":
            raise OSError(28, "No space left on device")
        return write_bytes(self, data)

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space left") as failed:
        deidentify_series(make_series(4), tmp_path / "out")
    assert failed.value.filename == str(tmp_path / "out")
    assert {p.name for p in tmp_path.iterdir()} == {"series"}


def test_every_file_left_out_is_named_also_where_names_occur_twice(make_series, tmp_path):
    folder = make_series(2)
    for below in ("a", "b"):
        (folder / below).mkdir()
        file = next(folder.glob("*.dcm"))
        (folder / below / "same.dcm").write_bytes(file.read_bytes()[:400])
    report = deidentify_series(folder, tmp_path / "out")
    assert set(report.left_out) == {"a/same.dcm", "b/same.dcm"}


def test_what_is_read_is_never_replaced(make_series):
    folder = make_series(2)
    before = sorted(folder.iterdir())
    for out in (folder, folder.parent):
        with pytest.raises(ValueError, match="holds what is read"):
            deidentify_series(folder, out, overwrite=True)
    assert sorted(folder.iterdir()) == before


def test_pixels_and_geometry_stay(identified, tmp_path):
    before = read_series(identified)
    deidentify_series(identified, tmp_path / "out")
    after = read_series(tmp_path / "out")
    assert np.array_equal(after.hu, before.hu)
    assert after.spacing_mm == before.spacing_mm
    assert after.acquisition.series_uid != before.acquisition.series_uid
    assert after.acquisition.kvp == before.acquisition.kvp


def test_slices_stay_one_series_and_dates_keep_their_distance(identified, tmp_path):
    deidentify_series(identified, tmp_path / "out")
    headers = [pydicom.dcmread(f) for f in (tmp_path / "out").iterdir()]
    assert len({h.SeriesInstanceUID for h in headers}) == 1
    assert len({h.PatientID for h in headers}) == 1
    study, acquired = (
        np.datetime64(f"{d[:4]}-{d[4:6]}-{d[6:]}")
        for d in (headers[0].StudyDate, headers[0].AcquisitionDate)
    )
    assert acquired - study == np.timedelta64(1, "D")
    assert headers[0].StudyDate != "19770523"
    assert headers[0].PatientIdentityRemoved == "YES"
    codes = [c.CodeValue for c in headers[0].DeidentificationMethodCodeSequence]
    assert codes == ["113100", "113107"]


def test_the_same_secret_gives_the_same_patient_and_another_does_not(identified, tmp_path):
    ids = []
    for name, secret in (("a", "one"), ("b", "one"), ("c", "two")):
        deidentify_series(identified, tmp_path / name, secret=secret)
        ids.append(pydicom.dcmread(tmp_path / name / "IM00001.dcm").PatientID)
    assert ids[0] == ids[1] != ids[2]


def test_images_that_may_show_a_name_are_left_out(make_series, tmp_path):
    def change(k, dataset):
        if k == 0:
            dataset.BurnedInAnnotation = "YES"
        if k == 1:
            dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.7"
        dataset.BodyPartExamined = "HEAD"

    folder = make_series(4, change)
    (folder / "letter.txt").write_text("Dear Dr. Prefect")
    report = deidentify_series(folder, tmp_path / "out")
    assert report.files == 2
    assert sorted(report.left_out.values()) == [
        "not DICOM",
        "not a CT image (Secondary Capture Image Storage)",
        "text is burned into the pixels",
    ]
    assert any("face" in w for w in report.warnings)


def test_a_folder_without_ct_is_refused_and_leaves_nothing(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.txt").write_text("x")
    with pytest.raises(ValueError, match="holds no CT image"):
        deidentify_series(tmp_path / "in", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def cleaned(folder, tmp_path):
    report = deidentify_series(folder, tmp_path / "clean")
    return report, [pydicom.dcmread(f) for f in sorted((tmp_path / "clean").iterdir())]


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("ConvolutionKernel", "B30fDOEJANE"),
        ("ConvolutionKernel", ["B30f", "xKURZMANNx"]),
        ("PositionReferenceIndicator", "SN of Kurz-Mann"),
        ("ManufacturerModelName", "unit4711815b"),
        ("FilterType", "F_doe_jane"),
        ("ScanOptions", "KURZMANN"),
        ("ImageType", ["ORIGINAL", "PRIMARY", "AXIAL", "KURZMANN1"]),
        ("DataCollectionDiameter", "4711815"),
        ("DistanceSourceToDetector", "47118.15"),
        ("ExposureTime", "471181500"),
        ("FocalSpots", ["0.7", "4711815"]),
        ("CTDIvol", 4711.815),
        ("RevolutionTime", 4711815.0),
    ],
)
def test_identifiers_within_longer_words_and_numbers_are_found(
    make_series, tmp_path, keyword, value
):
    """Words known from the header, glued to others, in text and numbers of every kind."""

    def change(k, dataset):
        dataset.PatientName, dataset.PatientID = "Doe-Jane^Anna", "0-4711815"
        dataset.ReferringPhysicianName = "Kurzmann^A"
        setattr(dataset, keyword, value)

    report, files = cleaned(make_series(2, change), tmp_path)
    for dataset, file in zip(files, sorted((tmp_path / "clean").iterdir()), strict=True):
        data = file.read_bytes().lower()
        assert not [w for w in (b"doe", b"kurzmann", b"kurz-mann", b"4711815") if w in data]
        if keyword in ("CTDIvol", "RevolutionTime"):
            assert struct.pack("<d", value) not in file.read_bytes()
        assert len(dataset.ImageType) >= 3
    assert report.files == 2


def test_technical_words_survive_short_names(make_series, tmp_path):
    def change(k, dataset):
        dataset.PatientName = "Tan^Lun"
        dataset.ConvolutionKernel, dataset.Manufacturer = "STANDARD", "GE MEDICAL SYSTEMS"

    _, files = cleaned(make_series(1, change), tmp_path)
    assert files[0].ConvolutionKernel == "STANDARD"
    assert files[0].Manufacturer == "GE MEDICAL SYSTEMS"


def test_what_the_standard_requires_is_there(make_series, tmp_path):
    def change(k, dataset):
        dataset.PatientID = "1024-DOE-77"  # digits that a rescale holds by chance
        dataset.StudyDate = "not a date"
        del dataset.KVP

    with pytest.warns(UserWarning, match="Invalid value for VR DA"):
        folder = make_series(2, change)
    before = read_series(folder)
    _, files = cleaned(folder, tmp_path)
    for dataset in files:
        for keyword in (*TYPE_2, *TYPE_2_CLASSIC):
            assert keyword in dataset
        assert dataset.RescaleIntercept == -1024
    assert np.array_equal(read_series(tmp_path / "clean").hu, before.hu)


def test_enhanced_ct_keeps_its_exposure_and_kernel(make_enhanced, tmp_path):
    def change(dataset):
        dataset.DeviceSerialNumber = "SN-4711815"

    path = make_enhanced([0, 1, 2], change)
    before = read_series(path).acquisition
    assert (before.kvp, before.tube_current_ma, before.kernel) == (100, 101, "B45f")
    _, (dataset,) = cleaned(path, tmp_path)
    after = read_series(tmp_path / "clean").acquisition
    assert (after.kvp, after.tube_current_ma, after.kernel) == (100, 101, "B45f")
    assert dataset.DeviceSerialNumber == "REMOVED"

"""De-identification: identifiers planted everywhere, searched for in every byte of the output."""

import numpy as np
import pydicom
import pytest
from pydicom.datadict import DicomDictionary
from pydicom.dataset import Dataset

from ctlab.ct import deidentify_series, read_series

SECRET = "Zaphodbeeblebrox"
"""A word that occurs nowhere by chance; texts of every VR carry it or a form of it."""

_PLANTED = {
    "AE": "ZAPHODBEEBLEBROX",
    "AS": "042Y",
    "CS": "ZAPHODBEEBLEBROX",
    "DA": "19770523",
    "DT": "19770523112233",
    "LO": SECRET,
    "LT": f"Seen by {SECRET}",
    "PN": f"{SECRET}^Arthur",
    "SH": SECRET,
    "ST": SECRET,
    "TM": "112233",
    "UC": SECRET,
    "UI": "1.2.777.42.19770523",
    "UR": f"http://{SECRET}.example",
    "UT": SECRET,
}


def plant(dataset):
    """The secret in five attributes of every VR, in a sequence, in private tags and overlays."""
    count = dict.fromkeys(_PLANTED, 0)
    for tag, (vr, _, _, retired, keyword) in sorted(DicomDictionary.items()):
        usable = vr in _PLANTED and keyword not in dataset and not retired
        if usable and tag >> 16 not in (0, 2, 0x28, 0x20) and count[vr] < 5:
            dataset.add_new(tag, vr, _PLANTED[vr])
            count[vr] += 1
    item = Dataset()
    item.PatientName = f"{SECRET}^Ford"
    item.add_new(0x00091001, "LO", SECRET)
    dataset.RequestAttributesSequence = [item]
    dataset.add_new(0x00090010, "LO", SECRET)
    dataset.add_new(0x00091010, "UN", SECRET.encode())
    dataset.add_new(0x60003000, "OW", SECRET.encode())
    dataset.PatientName, dataset.PatientID = f"{SECRET}^Arthur", SECRET
    dataset.ConvolutionKernel = SECRET  # a kept attribute that a site filled with a name
    dataset.StudyDate, dataset.AcquisitionDate = "19770523", "19770524"
    dataset.preamble = SECRET.ljust(128).encode()
    return sum(count.values())


@pytest.fixture
def planted(make_series):
    numbers = []

    def change(k, dataset):
        numbers.append(plant(dataset))

    folder = make_series(3, change)
    assert min(numbers) >= 60
    return folder


def test_nothing_that_was_planted_is_found_again(planted, tmp_path):
    report = deidentify_series(planted, tmp_path / "out", secret="s")
    assert report.files == 3
    for file in (tmp_path / "out").iterdir():
        data = file.read_bytes().lower()
        assert SECRET.lower().encode() not in data
        assert b"19770523" not in data
        assert b"1.2.777.42" not in data
        assert "zaphod" not in file.name.lower()
        assert file.read_bytes()[:128] == b"\0" * 128
    assert "RequestAttributesSequence" in report.removed
    assert "(0009,1010)" in report.removed
    assert "PatientID" in report.replaced
    assert any("ConvolutionKernel" in w for w in report.warnings)


def test_pixels_and_geometry_stay(planted, tmp_path):
    before = read_series(planted)
    deidentify_series(planted, tmp_path / "out")
    after = read_series(tmp_path / "out")
    assert np.array_equal(after.hu, before.hu)
    assert after.spacing_mm == before.spacing_mm
    assert after.acquisition.series_uid != before.acquisition.series_uid
    assert after.acquisition.kvp == before.acquisition.kvp


def test_slices_stay_one_series_and_dates_keep_their_distance(planted, tmp_path):
    deidentify_series(planted, tmp_path / "out")
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


def test_the_same_secret_gives_the_same_patient_and_another_does_not(planted, tmp_path):
    ids = []
    for name, secret in (("a", "one"), ("b", "one"), ("c", "two")):
        deidentify_series(planted, tmp_path / name, secret=secret)
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

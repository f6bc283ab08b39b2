"""One patient, one acquisition and one geometry per volume: anything else is refused or named."""

import numpy as np
import pytest

from ctlab.ct import inspect_folder, read_series


def series_of(folder):
    return {report.uid: report for report in inspect_folder(folder)}


@pytest.mark.parametrize(
    ("keyword", "value", "what"),
    [
        ("PatientID", "P2", "patients"),
        ("PatientName", "Roe^Jane", "patients"),
        ("PatientBirthDate", "19700101", "patients"),
        ("StudyInstanceUID", "1.2.99", "studies"),
        ("FrameOfReferenceUID", "1.2.98", "frames of reference"),
        ("KVP", 80, "tube voltages"),
    ],
)
def test_a_series_uid_is_no_proof_of_identity(make_series, keyword, value, what):
    def change(k, dataset):
        if k > 1:
            setattr(dataset, keyword, value)

    folder = make_series(4, change)
    with pytest.raises(ValueError, match=f"mixes 2 {what} .*expected one"):
        read_series(folder)
    assert not inspect_folder(folder)[0].readable


def test_a_name_written_in_another_way_is_the_same_patient(make_series):
    def change(k, dataset):
        if k:
            dataset.PatientName = "DOE^JANE^^"

    assert read_series(make_series(3, change)).shape[0] == 3


@pytest.mark.parametrize("offset_mm", [0.3, 1.25, 2.0])
@pytest.mark.parametrize("mark", ["number", "time", "time of each slice"])
def test_passes_that_interleave_are_told_apart(make_series, offset_mm, mark):
    def change(k, dataset):
        second, z = k % 2, k // 2
        dataset.ImagePositionPatient[2] = 10 + 2.5 * z + offset_mm * second
        if mark == "number":
            dataset.AcquisitionNumber = 1 + second
        else:
            own = z if mark == "time of each slice" else 0
            dataset.AcquisitionTime = f"10{10 + second}{own:02d}"

    folder = make_series(8, change)
    first, second = sorted(series_of(folder))
    assert first.startswith("1.2.3#")
    with pytest.raises(ValueError, match="holds 2 CT series; pass series_uid= to choose"):
        read_series(folder)
    with pytest.raises(ValueError, match="holds 2 CT series"):
        read_series(folder, series_uid="1.2.3", allow_gaps=True)
    for uid, start in ((first, 10), (second, 10 + offset_mm)):
        volume = read_series(folder, series_uid=uid)
        assert volume.spacing_mm[0] == pytest.approx(2.5)
        assert volume.origin_mm[2] == pytest.approx(start)


@pytest.mark.parametrize("order", [[0, 1, 2, 3, 4, 5], [4, 5, 0, 1, 2, 3], [5, 4, 3, 2, 1, 0]])
def test_rotations_side_by_side_are_one_volume(make_series, order):
    """Sequential scans count every rotation as an acquisition, in either direction."""

    def change(k, dataset):
        dataset.AcquisitionNumber = 1 + order[k] // 2
        dataset.AcquisitionTime = f"1010{order[k]:02d}"

    assert read_series(make_series(6, change)).shape[0] == 6


def test_one_instance_uid_with_other_pixels_is_no_copy(make_series):
    folder = make_series(3)
    uid = {}

    def twin(k, dataset):
        dataset.SOPInstanceUID = uid.setdefault(k, dataset.SOPInstanceUID)
        stored = np.frombuffer(dataset.PixelData, np.int16).copy()
        stored[40] += 100
        dataset.PixelData = stored.tobytes()
        dataset.InstanceNumber = 7

    make_series(1, twin, name="series/more")
    with pytest.raises(ValueError, match="two different images"):
        read_series(folder)


def test_a_copy_in_another_encoding_is_a_copy(make_series):
    from pydicom.uid import RLELossless

    folder = make_series(3)
    make_series(
        1, lambda k, d: d.compress(RLELossless, generate_instance_uid=False), name="series/more"
    )
    volume = read_series(folder)
    assert volume.shape[0] == 3
    assert any("copies of another slice" in p for p in volume.problems)


def moved(places):
    def change(k, dataset):
        dataset.ImagePositionPatient[2] = places[k]

    return change


@pytest.mark.parametrize(
    ("places", "message"),
    [
        ([2.5 * k + 0.004 * k * k for k in range(30)], "drifts"),
        ([5.0 * k for k in range(6)], "slices of 2.5 mm lie 5 mm apart"),
    ],
)
def test_drift_and_uniform_loss_are_found(make_series, places, message):
    folder = make_series(len(places), moved(places))
    with pytest.raises(ValueError, match=f"{message}.*allow_gaps"):
        read_series(folder)
    volume = read_series(folder, allow_gaps=True)
    assert any(message in p for p in volume.problems)
    assert [volume.slice_origin_mm(k)[2] for k in range(len(places))] == pytest.approx(places)


def test_positions_printed_with_one_decimal_are_even(make_series):
    places = [round(0.625 * k, 1) for k in range(40)]

    def change(k, dataset):
        moved(places)(k, dataset)
        dataset.SliceThickness = 0.625

    assert read_series(make_series(40, change)).spacing_mm[0] == pytest.approx(0.625, abs=0.01)


def test_twice_the_slices_that_the_header_declares(make_series):
    def change(k, dataset):
        dataset.SpacingBetweenSlices = 2.5
        dataset.ImagePositionPatient[2] = 1.25 * k

    with pytest.raises(
        ValueError, match=r"expected 2\.5 mm between slices by the header, got 1\.25"
    ):
        read_series(make_series(6, change))


EMPTIED = ("SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID")


def test_empty_uids_do_not_hide_a_series(make_series):
    def change(k, dataset):
        dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
        dataset.file_meta.MediaStorageSOPInstanceUID = f"1.2.{k + 1}"
        for keyword in (*EMPTIED, "FrameOfReferenceUID"):
            setattr(dataset, keyword, "")
        if k > 3:
            dataset.ConvolutionKernel = "B70f"

    folder = make_series(8, change, enforce=False)
    reports = series_of(folder)
    assert [(r.shape[0], r.readable) for r in reports.values()] == [(4, True), (4, True)]
    assert {r.kernel for r in reports.values()} == {"B30f", "B70f"}
    one = next(uid for uid, r in reports.items() if r.kernel == "B70f")
    assert read_series(folder, series_uid=one).origin_mm[2] == 20.0


@pytest.mark.parametrize(("other", "patients"), [("F", 1), ("M", 2)])
def test_two_sexes_are_two_patients(make_series, other, patients):
    """Where names and numbers were emptied, it may be all that is left; not every slice says it."""

    def change(k, dataset):
        dataset.PatientSex = ["F", "", "F", other][k]

    (report,) = inspect_folder(make_series(4, change))
    assert any("sexes of the patient" in p for p in report.problems) == (patients > 1)

"""Maps for a PACS: a secondary capture and a segmentation that agree with the map and the scan."""

import shutil
import subprocess

import numpy as np
import pydicom
import pytest
from pydicom.uid import EnhancedCTImageStorage

from ctlab.assess import local_noise_hu
from ctlab.ct import (
    LUNG,
    Volume,
    read_series,
    write_series,
)
from ctlab.explain import (
    AuditPlan,
    explain_region,
    picture,
    write_archive,
    write_parametric_map,
)
from ctlab.explain.overlay import ABOVE

QUICK = AuditPlan(draws=2, random_networks=2, fractions=(0.02,))


@pytest.fixture
def scan(tmp_path, slice_hu):
    """Three slices on disk, each with its own place, read back as a volume."""
    hu = np.stack([slice_hu, slice_hu + 5, slice_hu - 5]).round()
    write_series(
        Volume(hu, (2.5, 0.8, 0.7), origin_mm=(-20.0, 11.0, 100.0)),
        tmp_path / "scan",
        description="disc",
    )
    return read_series(tmp_path / "scan")


@pytest.fixture
def archived(tmp_path, scan, smoother):
    found = explain_region(smoother, scan.hu[1], (30, 34, 4), method="gradient", plan=QUICK)
    paths = write_archive(found, tmp_path / "maps", scan, 1)
    return found, *(pydicom.dcmread(path) for path in paths)


def test_the_capture_is_the_picture_with_its_verdict(archived):
    found, capture, _, _ = archived
    np.testing.assert_array_equal(capture.pixel_array, picture(found, window=LUNG))
    assert found.verdict in capture.SeriesDescription
    assert found.in_words() in capture.ImageComments
    assert "not for diagnosis" in capture.ImageComments
    assert "not for diagnosis" in capture.DerivationDescription


def test_the_segmentation_is_the_map_on_the_grid_of_its_slice(archived, scan):
    found, _, seg, _ = archived
    masks = dict(zip((s.SegmentLabel for s in seg.SegmentSequence), seg.pixel_array, strict=False))
    np.testing.assert_array_equal(masks["Region explained"], found.mask)
    strong = found.signed >= np.abs(found.signed).max() / 2
    np.testing.assert_array_equal(masks["Raises the target"], strong)
    source = pydicom.dcmread(scan.sources[1])
    for frame in seg.PerFrameFunctionalGroupsSequence:
        place = frame.PlanePositionSequence[0].ImagePositionPatient
        np.testing.assert_allclose(place, source.ImagePositionPatient, atol=1e-6)
        derived = frame.DerivationImageSequence[0].SourceImageSequence[0]
        assert derived.ReferencedSOPInstanceUID == source.SOPInstanceUID
    shared = seg.SharedFunctionalGroupsSequence[0]
    assert list(shared.PixelMeasuresSequence[0].PixelSpacing) == [0.8, 0.7]
    assert seg.FrameOfReferenceUID == source.FrameOfReferenceUID


def test_the_parametric_map_holds_the_numbers_in_their_unit_at_their_place(archived, scan):
    found, _, _, numbers = archived
    np.testing.assert_array_equal(numbers.pixel_array, found.signed)
    frame = numbers.PerFrameFunctionalGroupsSequence[0]
    source = pydicom.dcmread(scan.sources[1])
    place = frame.PlanePositionSequence[0].ImagePositionPatient
    np.testing.assert_allclose(place, source.ImagePositionPatient, atol=1e-6)
    assert _unit_code(numbers) == "[hnsf'U]"
    assert found.verdict in numbers.SeriesDescription
    assert "not for diagnosis" in numbers.ContentDescription


def _unit_code(made):
    units = (e.value for e in made.iterall() if e.keyword == "MeasurementUnitsCodeSequence")
    return next(units)[0].CodeValue


def test_local_noise_goes_out_as_a_parametric_map(tmp_path, scan):
    noise_hu = local_noise_hu(scan.hu[1])
    path = write_parametric_map(
        noise_hu, tmp_path / "noise.dcm", scan, 1, label="local noise", unit="HU"
    )
    made = pydicom.dcmread(path)
    np.testing.assert_allclose(made.pixel_array, noise_hu, rtol=1e-6)
    assert made.StudyInstanceUID == pydicom.dcmread(scan.sources[1]).StudyInstanceUID
    with pytest.raises(ValueError, match="got slice 3"):
        write_parametric_map(noise_hu, tmp_path / "x.dcm", scan, 3, label="x", unit="HU")
    assert not (tmp_path / "x.dcm").exists()


def test_a_scan_within_a_zip_lends_its_header_too(tmp_path, scan):
    shutil.make_archive(str(tmp_path / "zipped"), "zip", tmp_path / "scan")
    zipped = read_series(tmp_path / "zipped.zip")
    values = zipped.hu[1].astype(np.float32)
    path = write_parametric_map(values, tmp_path / "m.dcm", zipped, 1, label="HU", unit="HU")
    source = pydicom.dcmread(scan.sources[1])
    assert source.SOPInstanceUID in path.read_bytes().decode("latin-1")
    assert pydicom.dcmread(path).StudyInstanceUID == source.StudyInstanceUID


def test_both_are_filed_under_the_patient_and_study_of_the_scan(archived, scan):
    _, capture, seg, _ = archived
    source = pydicom.dcmread(scan.sources[1])
    for made in (capture, seg):
        assert (made.PatientID, made.StudyInstanceUID) == (
            source.PatientID,
            source.StudyInstanceUID,
        )
        assert made.SeriesInstanceUID != source.SeriesInstanceUID
    assert capture.SeriesInstanceUID != seg.SeriesInstanceUID
    assert capture.SOPInstanceUID != seg.SOPInstanceUID


def test_the_colour_of_a_segment_is_that_of_the_overlay(archived):
    """CIELab in 16 bits turned back with scikit-image: the orange of the overlay."""
    from skimage.color import lab2rgb

    colour = archived[2].SegmentSequence[1].RecommendedDisplayCIELabValue
    lab = np.array([colour[0] / 655.35, colour[1] / 257 - 128, colour[2] / 257 - 128])
    np.testing.assert_allclose(255 * lab2rgb(lab), ABOVE, atol=1)


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dicom3tools are not installed")
def test_dciodvfy_finds_no_error(archived):
    """An independent program checks every module of the three objects."""
    for made in archived[1:]:
        told = subprocess.run(["dciodvfy", made.filename], capture_output=True, text=True)
        assert made.filename.split("/")[-1].startswith(("capture", "segmentation", "map"))
        assert "Error" not in told.stderr + told.stdout, told.stderr


def test_a_volume_without_files_gets_objects_of_its_own(tmp_path, smoother, slice_hu):
    volume = Volume(slice_hu[None], (2.5, 0.7, 0.7))
    found = explain_region(smoother, slice_hu, (30, 34, 4), method="gradient", plan=QUICK)
    capture, seg, numbers = (
        pydicom.dcmread(p) for p in write_archive(found, tmp_path / "maps", volume, 0)
    )
    np.testing.assert_allclose(numbers.pixel_array, found.signed)
    assert capture.StudyInstanceUID == seg.StudyInstanceUID
    assert not referenced_classes(capture) + referenced_classes(seg)
    assert "ReferencedSeriesSequence" not in seg


def referenced_classes(made):
    return [e.value for e in made.iterall() if e.keyword == "ReferencedSOPClassUID"]


def test_a_slice_in_a_multi_frame_file_is_referred_to_by_the_class_of_the_file(
    tmp_path, scan, smoother
):
    source = pydicom.dcmread(scan.sources[1])
    source.SOPClassUID = EnhancedCTImageStorage
    source.save_as(scan.sources[1])
    found = explain_region(smoother, scan.hu[1], (30, 34, 4), method="gradient", plan=QUICK)
    for path in write_archive(found, tmp_path / "maps", scan, 1):
        assert set(referenced_classes(pydicom.dcmread(path))) == {EnhancedCTImageStorage}


def test_patient_and_study_are_taken_over_as_the_scanner_wrote_them(tmp_path, scan, smoother):
    """A name in one part and in Latin letters, and a sex that the standard does not know."""
    source = pydicom.dcmread(scan.sources[1])
    source.SpecificCharacterSet = "ISO_IR 100"
    source.PatientName, source.PatientSex, source.StudyDescription = "Müller", "X", "Thörax"
    source.save_as(scan.sources[1])
    found = explain_region(smoother, scan.hu[1], (30, 34, 4), method="gradient", plan=QUICK)
    for path in write_archive(found, tmp_path / "maps", scan, 1):
        made = pydicom.dcmread(path)
        assert (made.PatientName, made.PatientSex) == ("Müller", "X")
        assert made.StudyDescription == "Thörax"


@pytest.mark.parametrize(
    ("orientation", "letters"),
    [((1, 0, 0, 0, 1, 0), "LP"), ((-1, 0, 0, 0, 0.94, -0.34), "RP"), ((0, 1, 0, 0, 0, -1), "PF")],
)
def test_the_capture_says_which_sides_of_the_patient_it_shows(
    tmp_path, smoother, slice_hu, orientation, letters
):
    volume = Volume(slice_hu[None], (2.5, 0.7, 0.7), orientation=orientation)
    found = explain_region(smoother, slice_hu, (30, 34, 4), method="gradient", plan=QUICK)
    capture, seg, numbers = (
        pydicom.dcmread(p) for p in write_archive(found, tmp_path / "maps", volume, 0)
    )
    np.testing.assert_allclose(numbers.pixel_array, found.signed)
    assert capture.PatientOrientation == list(letters)
    shared = seg.SharedFunctionalGroupsSequence[0]
    assert shared.PlaneOrientationSequence[0].ImageOrientationPatient == list(orientation)


def test_another_slice_size_and_a_full_folder_are_refused(tmp_path, scan, smoother, slice_hu):
    found = explain_region(smoother, slice_hu, (30, 34, 4), method="gradient", plan=QUICK)
    with pytest.raises(ValueError, match="one of the 3 slices"):
        write_archive(found, tmp_path / "maps", scan, 3)
    assert not (tmp_path / "maps").exists()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").write_text("x")
    with pytest.raises(ValueError, match="not empty"):
        write_archive(found, tmp_path / "full", scan, 1)

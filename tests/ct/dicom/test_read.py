"""Reading series: order, HU, mixtures, gaps, and what is said about them."""

import io
import shutil
import zipfile

import numpy as np
import pytest
from pydicom.uid import CTImageStorage, EncapsulatedPDFStorage, SecondaryCaptureImageStorage

from ctlab.ct import inspect_folder, read_series


def marker(volume):
    """The voxel that tells slices apart, as stored."""
    return (volume.hu[:, 0, 0] + 1024).tolist()


def test_slices_are_sorted_by_position_not_by_name(make_series):
    volume = read_series(make_series(5))
    assert marker(volume) == [100, 101, 102, 103, 104]
    assert volume.spacing_mm == (2.5, 0.5, 0.75)
    assert volume.origin_mm == (-8.0, -8.0, 10.0)
    assert volume.hu.dtype == np.float32
    assert any("against the slice normal" in p for p in volume.problems)


def test_each_slice_has_its_own_rescale(make_series):
    def change(k, dataset):
        dataset.RescaleSlope, dataset.RescaleIntercept = 0.5 * (k + 1), -1000 * k

    volume = read_series(make_series(3, change))
    assert volume.hu[:, 8, 8].tolist() == [512.0, 1024 - 1000, 1.5 * 1024 - 2000]
    assert any("rescale differs" in p for p in volume.problems)


def test_facts_are_means_over_slices(make_series):
    facts = read_series(make_series(3)).acquisition
    assert facts.tube_current_ma == 101
    assert facts.kvp == 120
    assert facts.kernel == "B30f"
    assert facts.patient_id == "P1"
    assert facts.ctdivol_mgy is None


def test_unsigned_padding_declared_for_signed_pixels(make_series):
    def change(k, dataset):
        stored = np.full((16, 16), 1000, np.int16)
        stored[0] = -2000
        dataset.PixelData = stored.tobytes()
        dataset.add_new(0x00280120, "US", 63536)  # the bit pattern of -2000

    volume = read_series(make_series(2, change))
    assert (volume.hu[:, 0] == -1024).all()
    assert (volume.hu[:, 1:] == -24).all()


def test_padding_range(make_series):
    def change(k, dataset):
        dataset.PixelRepresentation = 0
        dataset.add_new(0x00280120, "US", 0)
        dataset.add_new(0x00280121, "US", 50)

    volume = read_series(make_series(1, change))
    assert volume.hu[0, 1, 1] == -1024  # stored 24 lies within 0..50
    assert volume.hu[0, 8, 8] == 0


def test_bits_above_the_stored_ones_are_ignored(make_series):
    def change(k, dataset):
        stored = np.frombuffer(dataset.PixelData, np.int16).copy()
        stored[5] = -24 & 0x0FFF  # -24 in 12 bits
        dataset.BitsStored, dataset.HighBit = 12, 11
        dataset.PixelData = (stored | np.int16(0x4000)).tobytes()

    volume = read_series(make_series(1, change))
    assert volume.hu[0, 0, 5] == -24 - 1024
    assert volume.hu[0, 8, 8] == 0


def test_missing_slices_are_refused_unless_allowed(make_series):
    folder = make_series(6)
    (folder / "-97.dcm").unlink()
    with pytest.raises(ValueError, match=r"1 gaps, about 1 slices missing.*allow_gaps=True"):
        read_series(folder)
    volume = read_series(folder, allow_gaps=True)
    assert marker(volume) == [100, 101, 103, 104, 105]
    assert any("gaps" in p for p in volume.problems)


def test_uneven_spacing_is_refused_unless_allowed(make_series):
    def change(k, dataset):
        dataset.ImagePositionPatient[2] += 0.5 * (k == 2)

    with pytest.raises(ValueError, match="not uniform"):
        read_series(make_series(5, change))


def test_positions_rounded_to_a_decimal_pass(make_series):
    def change(k, dataset):
        dataset.ImagePositionPatient[2] = round(1.25 * k, 1)

    volume = read_series(make_series(9, change))
    assert volume.spacing_mm[0] == pytest.approx(1.25)


def test_a_copy_is_left_out_and_a_second_phase_refused(make_series):
    folder = make_series(3)
    shutil.copy(folder / "-98.dcm", folder / "copy.dcm")
    volume = read_series(folder)
    assert volume.shape[0] == 3
    assert any("1 files are copies" in p for p in volume.problems)

    def other_phase(k, dataset):
        dataset.SOPInstanceUID = f"1.2.3.77.{k}"
        dataset.InstanceNumber += 100

    for file in make_series(3, other_phase, name="second").iterdir():
        shutil.copy(file, folder / f"b{file.name}")
    with pytest.raises(ValueError, match="two different images"):
        read_series(folder)


def test_two_series_are_listed_and_one_can_be_chosen(make_series):
    folder = make_series(3, uid="1.2.3.111")
    make_series(4, uid="1.2.3.222")
    with pytest.raises(ValueError, match=r"2 CT series.*1\.2\.3\.111 .*3 slices.*1\.2\.3\.222"):
        read_series(folder)
    assert read_series(folder, series_uid="1.2.3.222").shape[0] == 4
    assert read_series(folder, series_uid="111").shape[0] == 3
    with pytest.raises(ValueError, match=r"no series .* ends in '999'"):
        read_series(folder, series_uid="999")


@pytest.mark.parametrize(
    ("attribute", "value", "message"),
    [
        ("ConvolutionKernel", "B70f", r"mixes 2 kernels \(B30f: 3, B70f: 1\)"),
        ("ImageOrientationPatient", [1, 0, 0, 0, 0, -1], "mixes 2 orientations"),
        ("PixelSpacing", [0.6, 0.6], "mixes 2 pixel spacings"),
    ],
)
def test_mixtures_are_refused_with_a_list(make_series, attribute, value, message):
    def change(k, dataset):
        if k == 2:
            setattr(dataset, attribute, value)

    with pytest.raises(ValueError, match=message):
        read_series(make_series(4, change))


@pytest.mark.parametrize(
    ("attribute", "message"),
    [
        ("RescaleIntercept", "expected a rescale slope"),
        ("PixelSpacing", "as Pixel Spacing, got none"),
    ],
)
def test_without_what_hu_and_geometry_rest_on_nothing_is_read(make_series, attribute, message):
    def change(k, dataset):
        delattr(dataset, attribute)

    with pytest.raises(ValueError, match=message):
        read_series(make_series(2, change))


def test_slope_zero_is_no_slope(make_series):
    def change(k, dataset):
        dataset.RescaleSlope = 0

    with pytest.raises(ValueError, match="expected a rescale slope and intercept"):
        read_series(make_series(2, change))


def test_gantry_tilt_is_reported(make_series):
    def change(k, dataset):
        c, s = np.cos(np.deg2rad(20)), np.sin(np.deg2rad(20))
        dataset.ImageOrientationPatient = [1, 0, 0, 0, round(c, 8), round(-s, 8)]

    volume = read_series(make_series(4, change), allow_tilt=True)
    assert any("gantry tilt of 20.0 degrees" in p for p in volume.problems)
    assert volume.spacing_mm[0] == pytest.approx(2.5 * np.cos(np.deg2rad(20)), rel=1e-6)


def test_without_positions_slice_location_sorts(make_series):
    def change(k, dataset):
        del dataset.ImagePositionPatient
        dataset.SliceLocation = 2.5 * (9 - k)

    volume = read_series(make_series(3, change))
    assert marker(volume) == [102, 101, 100]
    assert any("Slice Location" in p for p in volume.problems)


def test_without_any_position_order_is_unknown(make_series):
    def change(k, dataset):
        del dataset.ImagePositionPatient

    with pytest.raises(ValueError, match="order is unknown"):
        read_series(make_series(3, change))


def test_localizers_captures_and_reports_are_set_aside(make_series):
    def change(k, dataset):
        if k == 0:
            dataset.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
            dataset.ImageOrientationPatient = [0, 1, 0, 0, 0, -1]
        if k == 1:
            dataset.SOPClassUID = SecondaryCaptureImageStorage
        if k == 2:
            dataset.SOPClassUID = EncapsulatedPDFStorage

    folder = make_series(6, change)
    (folder / "notes.txt").write_text("not an image")
    volume = read_series(folder)
    assert marker(volume) == [103, 104, 105]
    report = inspect_folder(folder)[0]
    assert report.readable
    assert sum("set aside" in p for p in report.problems) == 3
    assert report.shape == (3, 16, 16)
    assert (report.hu_min, report.hu_max) == (-1000, 0)


def test_zip_and_single_file(make_series, tmp_path):
    folder = make_series(3)
    archive = tmp_path / "scan.zip"
    with zipfile.ZipFile(archive, "w") as opened:
        for file in folder.iterdir():
            opened.write(file, f"patient/{file.name}")
    assert np.array_equal(read_series(archive).hu, read_series(folder).hu)
    single = read_series(folder / "-99.dcm")
    assert single.shape == (1, 16, 16)
    assert single.spacing_mm[0] == 2.5


def test_a_single_slice_without_thickness_needs_consent(make_series):
    def change(k, dataset):
        dataset.SliceThickness = None

    folder = make_series(1, change)
    with pytest.raises(ValueError, match="1 mm is assumed"):
        read_series(folder)
    assert read_series(folder, allow_gaps=True).spacing_mm[0] == 1.0


def test_a_truncated_file_is_named(make_series):
    folder = make_series(3)
    file = folder / "-98.dcm"
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(ValueError, match=r"-98\.dcm is cut short: expected \d+ bytes or more"):
        read_series(folder)
    report = inspect_folder(folder)[0]
    assert not report.readable
    assert report.hu_min is None


@pytest.mark.parametrize("kind", ["missing", "empty", "text", "cut"])
def test_what_is_no_series_gives_one_sentence(kind, tmp_path, make_series):
    folder = tmp_path / "folder"
    if kind != "missing":
        folder.mkdir()
    if kind == "text":
        (folder / "a.txt").write_text("hello")
    if kind == "cut":
        (folder / "a.dcm").write_bytes((make_series(1) / "-99.dcm").read_bytes()[:300])
    for function in (read_series, inspect_folder):
        with pytest.raises(ValueError) as caught:  # noqa: PT011  (the message is looked at below)
            function(folder)
        assert "\n" not in str(caught.value)
        assert "folder" in str(caught.value)


def test_headerless_and_implicit_files_read_the_same(make_series, tmp_path):
    import pydicom

    folder = make_series(3)
    wanted = read_series(folder).hu
    plain = tmp_path / "plain"
    plain.mkdir()
    for file in folder.iterdir():
        dataset = pydicom.dcmread(file)
        dataset.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2"
        buffer = io.BytesIO()
        dataset.save_as(buffer, implicit_vr=True, little_endian=True, enforce_file_format=True)
        data = buffer.getvalue()
        start = data.index(b"\x08\x00\x08\x00", 132)  # Image Type, the first element
        (plain / file.name).write_bytes(data[start:])
    assert np.array_equal(read_series(plain).hu, wanted)


def test_reports_are_json(make_series):
    import json

    def change(k, dataset):
        dataset.SOPClassUID = CTImageStorage
        del dataset.KVP

    text = json.dumps(
        [r.as_dict() for r in inspect_folder(make_series(2, change))], allow_nan=False
    )
    assert "the header does not say kvp" in text

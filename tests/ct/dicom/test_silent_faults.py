"""Faults that once ended with exit code 0: each kind is a finding or a refusal, and no image."""

import numpy as np
import pydicom
import pytest
from pydicom.uid import JPEGLSLossless

from ctlab.ct import Scanner, Volume, inspect_folder, read_series, simulate_series, write_series
from ctlab.workflows.denoise import denoise_series


@pytest.fixture
def folder(tmp_path):
    hu = np.random.default_rng(0).normal(0, 30, (6, 32, 32)).round()
    write_series(Volume(hu, (2.5, 0.7, 0.7)), tmp_path / "scan", description="six slices")
    return tmp_path / "scan"


def change(path, **values):
    dataset = pydicom.dcmread(path)
    for name, value in values.items():
        setattr(dataset, name, value)
    dataset.save_as(path)


def said(folder):
    return " | ".join(p for report in inspect_folder(folder) for p in report.problems)


@pytest.mark.parametrize("turned", [[-1, 0, 0, 0, 1, 0], [-1, 0, 0, 0, -1, 0]])
def test_slices_turned_within_their_plane_are_no_stack(folder, turned):
    for path in sorted(folder.glob("*.dcm"))[:3]:
        change(path, ImageOrientationPatient=turned)
    assert "orientations" in said(folder)
    with pytest.raises(ValueError, match="orientations"):
        read_series(folder)


@pytest.mark.parametrize("left", [b"", bytes(131), bytes(4000)])
def test_a_file_that_was_emptied_is_named(folder, left):
    path = max(folder.glob("*.dcm"))
    path.write_bytes(left)
    with pytest.raises(ValueError, match=path.name):
        read_series(folder)


def test_pixels_end_where_the_header_says_so(folder):
    path = sorted(folder.glob("*.dcm"))[2]
    dataset = pydicom.dcmread(path)
    dataset.PixelData = dataset.PixelData[: len(dataset.PixelData) // 2]
    dataset.DataSetTrailingPadding = bytes(40_000)
    dataset.save_as(path)
    with pytest.raises(ValueError, match=path.name):
        read_series(folder)


def test_the_thinnest_slice_says_whether_something_lies_between(folder):
    for path in sorted(folder.glob("*.dcm"))[1:]:
        change(path, SliceThickness="1.0", SpacingBetweenSlices=None)
    change(min(folder.glob("*.dcm")), SpacingBetweenSlices=None)
    assert "slices of 1 mm lie 2.5 mm apart" in said(folder)


def test_a_tube_voltage_is_a_number(folder):
    for k, path in enumerate(sorted(folder.glob("*.dcm"))):
        change(path, KVP=("120", "120.0")[k % 2])
    assert "tube voltages" not in said(folder)
    change(min(folder.glob("*.dcm")), KVP="100")
    assert "tube voltages" in said(folder)


def test_passes_are_told_apart_by_time_where_the_datetime_is_a_date_alone(folder):
    for k, path in enumerate(sorted(folder.glob("*.dcm"))):
        times = {"AcquisitionDate": "20260131", "AcquisitionTime": ("100000", "100500")[k % 2]}
        change(path, AcquisitionNumber=None, AcquisitionDateTime="20260131", **times)
    assert [report.shape[0] for report in inspect_folder(folder)] == [3, 3]
    with pytest.raises(ValueError, match="#"):
        read_series(folder)


@pytest.mark.parametrize(
    ("syntax", "flag", "words"),
    [
        ("1.2.840.10008.1.2.4.81", None, "may lose detail"),
        ("1.2.840.10008.1.2.4.81", "01", "compressed with loss"),
        ("1.2.840.10008.1.2.4.81", "00", ""),
        ("1.2.840.10008.1.2.4.80", None, ""),
        ("1.2.840.10008.1.2.4.51", "00", "compressed with loss"),
    ],
)
def test_loss_is_told_by_the_encoding_where_the_header_is_silent(folder, syntax, flag, words):
    for path in folder.glob("*.dcm"):
        dataset = pydicom.dcmread(path)
        dataset.compress(JPEGLSLossless, generate_instance_uid=False)
        dataset.file_meta.TransferSyntaxUID = syntax  # JPEG-LS without loss is one that may
        if flag:
            dataset.LossyImageCompression = flag
        dataset.save_as(path)
    text = said(folder)
    assert words in text
    assert ("loss" in text or "lose" in text) == bool(words)


def test_vrs_in_a_file_declared_implicit_are_read(folder):
    hu = read_series(folder).hu
    for path in folder.glob("*.dcm"):
        data = path.read_bytes()
        declared = data.replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2\0\0\0", 1)
        assert declared != data
        path.write_bytes(declared)
    assert np.array_equal(read_series(folder).hu, hu)


def test_upright_planes_of_a_tilted_gantry_are_told_and_not_simulated(folder, tmp_path):
    for path in folder.glob("*.dcm"):
        change(path, GantryDetectorTilt="-18")
    assert "tilted by 18 degrees, but the planes are turned by 0" in said(folder)
    with pytest.raises(ValueError, match="planes are turned by 0"):
        simulate_series(folder, tmp_path / "out", fraction=0.5)
    for path in folder.glob("*.dcm"):
        change(path, GantryDetectorTilt="0.5")
    assert "tilted" not in said(folder)


def test_instance_numbers_tell_that_every_second_slice_is_lost(folder):
    assert "instance numbers go" not in said(folder)
    for path in folder.glob("*.dcm"):
        change(path, InstanceNumber=2 * int(path.stem[2:]) + 5)
    assert "instance numbers go by 2" in said(folder)


def test_commands_that_stream_a_series_tell_what_its_values_give_away(tmp_path):
    """Padding within the body, and a floor that is no air: inspect, denoise and simulate alike."""
    hu = np.random.default_rng(0).normal(0, 30, (3, 64, 64)).round()
    hu[:, 20:30, 20:30] = 500
    write_series(Volume(hu, (2.5, 0.7, 0.7)), tmp_path / "scan", description="soft tissue")
    for path in (tmp_path / "scan").glob("*.dcm"):
        dataset = pydicom.dcmread(path)
        dataset.add_new("PixelPaddingValue", "SS", 500 + 1024)
        dataset.save_as(path)
    found = [f for f in said(tmp_path / "scan").split(" | ") if "hold" in f or "lowest" in f]
    assert found[1] == (
        "300 pixels in 3 slices hold the padding value within the image: they are kept as HU"
    )
    denoised, simulated = [], []
    denoise_series(tmp_path / "scan", tmp_path / "d", method="tv", note=denoised.append)
    scanner = Scanner(photons=1e5)
    simulate_series(
        tmp_path / "scan", tmp_path / "s", fraction=0.9, scanner=scanner, note=simulated.append
    )
    for notes in (denoised, simulated):
        assert set(found) <= set(notes)

"""Faults that once ended with exit code 0: each kind is a finding or a refusal, and no image."""

import numpy as np
import pydicom
import pytest

from ctlab.ct import Volume, inspect_folder, read_series, write_series


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

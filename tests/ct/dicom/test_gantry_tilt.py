"""A tilted gantry: never taken for an upright stack, resampled right, usable slice by slice."""

from dataclasses import replace

import numpy as np
import pydicom
import pytest

from ctlab.ct import (
    Volume,
    inspect_folder,
    read_series,
    simulate_series,
    write_nifti,
    write_series,
)
from ctlab.ct.dicom.nifti import affine_of
from ctlab.ct.simulation.scanner import Scanner

TILT_DEG, STEP_MM, PIXEL_MM, SIDE = 20.0, 4.0, 1.0, 64
DOWN_MM = -STEP_MM * np.sin(np.deg2rad(TILT_DEG))
"""Shift of each slice down its columns: the table moves along z, the columns lean back."""


@pytest.fixture
def tilted(tmp_path):
    """A ball of 20 mm about patient point (0, 0, 12), scanned with the gantry tilted by 20 degrees.

    Each pixel's place is computed from the header's own definition (PS3.3, C.7.6.2.1.1), so the
    ball is known to the voxel.
    """
    cos, sin = np.cos(np.deg2rad(TILT_DEG)), np.sin(np.deg2rad(TILT_DEG))
    row, column = np.array([1.0, 0, 0]), np.array([0, cos, -sin])
    hu = np.empty((9, SIDE, SIDE), np.float32)
    files = []
    for k in range(9):
        corner = -31.5 * PIXEL_MM * (row + column) + [0, 0, STEP_MM * (k - 1)]
        y, x = np.mgrid[:SIDE, :SIDE] * PIXEL_MM
        place = corner + x[..., None] * row + y[..., None] * column
        depth = 20 - np.linalg.norm(place - [0, 0, 12.0], axis=-1)
        hu[k] = -1000 + 1000 * np.clip(depth / PIXEL_MM + 0.5, 0, 1)
        files.append(corner)
    upright = Volume(hu, (STEP_MM * cos, 1.0, 1.0), tuple(files[0]), (*row, *column))
    folder = tmp_path / "tilted"
    written = write_series(upright, folder, description="Tilted")
    for file, corner in zip(written, files, strict=True):
        dataset = pydicom.dcmread(file)
        dataset.ImagePositionPatient = [f"{v:.6f}" for v in corner]
        dataset.save_as(file)
    return folder


def ball(volume):
    """Centre of mass in patient (x, y, z), by the volume's own geometry."""
    weight = volume.hu + 1000.0
    k, y, x = (np.average(i, weights=weight) for i in np.indices(volume.shape))
    return (affine_of(volume) @ [x, y, k, 1])[:3]


def test_it_is_refused_with_both_ways_on(tilted):
    with pytest.raises(ValueError, match=r"tilt of 20\.0 degrees.*sheared by 1\.37 mm a slice"):
        read_series(tilted)
    with pytest.raises(ValueError, match=r"straighten=True .*allow_tilt=True"):
        read_series(tilted)
    (report,) = inspect_folder(tilted)
    assert report.readable
    assert "gantry tilt of 20.0 degrees" in report.problems[0]


def test_straightened_the_ball_is_round_and_where_it_was(tilted):
    """Upright, the column through each slice's centre of mass is a straight line along the normal.

    As read, it leans by the shift of every slice, so a ball looks like a slanted ellipsoid.
    """
    sheared = read_series(tilted, allow_tilt=True)
    volume = read_series(tilted, straighten=True)
    assert volume.shear_mm == (0.0, 0.0)
    assert ball(volume) == pytest.approx([0, 0, 12], abs=0.15)
    assert volume.hu.max() == pytest.approx(0, abs=1)
    assert volume.hu.sum() + 1000 * volume.hu.size == pytest.approx(
        sheared.hu.sum() + 1000 * sheared.hu.size, rel=0.02
    )
    leans = []
    for found in (sheared, volume):
        middles = [
            np.average(np.arange(len(h)), weights=h.sum(axis=1) + 1000 * h.shape[1])
            for h in np.maximum(found.hu[2:7], -1000)
        ]
        leans.append(np.polyfit(np.arange(5), middles, 1)[0])
    assert leans[0] == pytest.approx(-DOWN_MM, rel=0.03)
    assert leans[1] == pytest.approx(0, abs=0.03)


def test_every_slice_is_held_whole_and_no_hu_are_invented(tilted):
    sheared = read_series(tilted, allow_tilt=True)
    volume = read_series(tilted, straighten=True)
    assert volume.shape == (9, SIDE + 11, SIDE)  # 8 steps of 1.37 mm are 10.9 pixels
    assert volume.sources == ()
    assert volume.hu.min() >= -1024
    assert volume.hu.max() <= sheared.hu.max()
    assert any("resampled sideways" in p for p in volume.problems)
    assert volume.spacing_mm == sheared.spacing_mm


def test_taken_one_by_one_the_slices_keep_pixels_and_places(tilted, tmp_path):
    volume = read_series(tilted, allow_tilt=True)
    assert volume.shear_mm == pytest.approx((DOWN_MM, 0.0), abs=1e-5)
    for k, file in enumerate(volume.sources):
        header = pydicom.dcmread(file)
        assert volume.slice_origin_mm(k) == pytest.approx(
            list(header.ImagePositionPatient), abs=1e-4
        )
    lower = write_series(volume, tmp_path / "out", description="Copy")
    for file, source in zip(lower, volume.sources, strict=True):
        one, other = pydicom.dcmread(file), pydicom.dcmread(source)
        assert one.ImagePositionPatient == other.ImagePositionPatient
    parts = volume.slices(3, 6)
    assert parts.origin_mm == pytest.approx(tuple(volume.slice_origin_mm(3)))


def test_written_without_sources_the_slices_lie_where_they_were(tilted, tmp_path):
    volume = replace(read_series(tilted, allow_tilt=True), sources=())
    write_series(volume, tmp_path / "out", description="Copy")
    again = read_series(tmp_path / "out", allow_tilt=True)
    assert again.shear_mm == pytest.approx(volume.shear_mm, abs=1e-5)
    assert np.array_equal(np.rint(again.hu), np.rint(volume.hu))


def test_nifti_is_refused_for_a_sheared_stack(tilted, tmp_path):
    with pytest.raises(ValueError, match="straighten=True"):
        write_nifti(read_series(tilted, allow_tilt=True), tmp_path / "a.nii")
    assert not (tmp_path / "a.nii").exists()
    write_nifti(read_series(tilted, straighten=True), tmp_path / "a.nii")


def test_simulation_works_slice_by_slice(tilted, tmp_path):
    scanner = Scanner(views=30)
    simulate_series(tilted, tmp_path / "low", fraction=0.5, scanner=scanner)
    assert read_series(tmp_path / "low", allow_tilt=True).shear_mm[0] == pytest.approx(DOWN_MM)


def test_slices_of_uneven_shifts_are_mended_too(make_series):
    """A reconstruction centre that jumps by 3 mm in the middle of the series."""

    def change(k, dataset):
        dataset.ImagePositionPatient[0] += 3.0 * (k == 2)

    folder = make_series(4, change)
    with pytest.raises(ValueError, match=r"shifted sideways against each other by up to 3\.0 mm"):
        read_series(folder)
    volume = read_series(folder, straighten=True)
    assert volume.shape == (4, 16, 20)  # 3 mm are 4 pixels of 0.75 mm
    assert volume.hu[1, 8, 4:12] == pytest.approx(np.zeros(8))
    assert volume.hu[2, 8, 8:16] == pytest.approx(np.zeros(8), abs=1e-3)


def test_rounded_positions_are_no_tilt(make_series):
    def change(k, dataset):
        dataset.ImagePositionPatient[0] += 0.1 * (k % 2)

    assert read_series(make_series(4, change)).shear_mm == (0.0, 0.0)

"""NIfTI: the patient's left stays left, and bad files are refused."""

import nibabel
import numpy as np
import pytest

from ctlab.ct import Volume, read_nifti, write_nifti


@pytest.fixture
def volume(rng):
    hu = rng.normal(0, 300, (4, 5, 6)).astype(np.float32)
    return Volume(hu, (2.5, 0.7, 0.8), (10.0, -20.0, 30.0))


@pytest.mark.parametrize("name", ["a.nii", "b.nii.gz"])
def test_round_trip(volume, tmp_path, name):
    found = read_nifti(write_nifti(volume, tmp_path / name))
    assert np.array_equal(found.hu, volume.hu)
    assert found.spacing_mm == pytest.approx(volume.spacing_mm)
    assert found.origin_mm == pytest.approx(volume.origin_mm)
    assert found.orientation == pytest.approx(volume.orientation)
    assert [p.name for p in tmp_path.iterdir()] == [name]
    is_zipped = (tmp_path / name).read_bytes()[:2] == b"\x1f\x8b"
    assert is_zipped == name.endswith(".gz")


def test_tilted_orientation_survives(volume, tmp_path):
    cos, sin = np.cos(0.3), np.sin(0.3)
    tilted = Volume(volume.hu, volume.spacing_mm, (1.0, 2.0, 3.0), (1, 0, 0, 0, cos, -sin))
    found = read_nifti(write_nifti(tilted, tmp_path / "t.nii"))
    assert found.orientation == pytest.approx(tilted.orientation, abs=1e-6)
    assert np.array_equal(found.hu, volume.hu)


def test_the_voxel_of_a_patient_point_is_what_nibabel_says(volume, tmp_path):
    image = nibabel.load(write_nifti(volume, tmp_path / "a.nii"))
    # Voxel x=5, y=4, z=3: DICOM (10 + 4, -20 + 2.8, 30 + 7.5); NIfTI flips the first two.
    assert image.affine @ [5, 4, 3, 1] == pytest.approx([-14, 17.2, 37.5, 1])
    assert image.get_fdata()[5, 4, 3] == pytest.approx(volume.hu[3, 4, 5])
    assert nibabel.aff2axcodes(image.affine) == ("L", "P", "S")


def test_files_stored_the_other_way_round_keep_every_voxel_in_place(volume, tmp_path):
    """A RAS file, as other tools write it: x is mirrored, so the stack must turn."""
    path = write_nifti(volume, tmp_path / "a.nii")
    ras = nibabel.as_closest_canonical(nibabel.load(path))
    nibabel.save(ras, tmp_path / "ras.nii")
    found = read_nifti(tmp_path / "ras.nii")
    from ctlab.ct.dicom.nifti import affine_of

    point = affine_of(volume) @ [1, 2, 3, 1]
    x, y, z = np.rint(np.linalg.inv(affine_of(found)) @ point)[:3].astype(int)
    assert found.hu[z, y, x] == volume.hu[3, 2, 1]


def test_bad_files_are_refused(volume, tmp_path):
    (tmp_path / "bad.nii").write_bytes(b"not an image")
    with pytest.raises(ValueError, match="not a readable NIfTI"):
        read_nifti(tmp_path / "bad.nii")
    with pytest.raises(ValueError, match=r"ends in \.nii"):
        write_nifti(volume, tmp_path / "a.dcm")
    nibabel.save(
        nibabel.Nifti1Image(np.zeros((2, 2, 2, 2), np.float32), np.eye(4)), tmp_path / "4.nii"
    )
    with pytest.raises(ValueError, match="three axes"):
        read_nifti(tmp_path / "4.nii")
    sheared = np.eye(4)
    sheared[0, 1] = 0.3
    nibabel.save(nibabel.Nifti1Image(np.zeros((2, 2, 2), np.float32), sheared), tmp_path / "s.nii")
    with pytest.raises(ValueError, match="sheared"):
        read_nifti(tmp_path / "s.nii")


@pytest.mark.parametrize(("unit", "one_mm"), [("meter", 1e-3), ("micron", 1e3), ("mm", 1)])
def test_lengths_are_in_mm_whatever_unit_the_file_has(volume, tmp_path, unit, one_mm):
    image = nibabel.load(write_nifti(volume, tmp_path / "a.nii"))
    affine = np.diag([one_mm, one_mm, one_mm, 1]) @ image.affine
    other = nibabel.Nifti1Image(image.get_fdata(dtype=np.float32)[..., None], affine)
    other.header.set_xyzt_units(unit)
    nibabel.save(other, tmp_path / "b.nii")  # with a fourth axis of one volume, too
    found = read_nifti(tmp_path / "b.nii")
    assert found.spacing_mm == pytest.approx(volume.spacing_mm)
    assert found.origin_mm == pytest.approx(volume.origin_mm)
    assert np.array_equal(found.hu, volume.hu)


def test_values_and_places_that_mean_nothing_are_refused(volume, tmp_path):
    whole = write_nifti(volume, tmp_path / "a.nii").read_bytes()
    no_form = whole[:252] + bytes(4) + whole[256:]  # qform_code and sform_code
    (tmp_path / "b.nii").write_bytes(no_form)
    with pytest.raises(ValueError, match="qform and sform are unset"):
        read_nifti(tmp_path / "b.nii")
    moved = nibabel.load(tmp_path / "a.nii")
    moved.set_sform(np.diag([1.0, 1, 2.5, 1]), 1)
    nibabel.save(moved, tmp_path / "c.nii")
    with pytest.raises(ValueError, match="qform and sform differ"):
        read_nifti(tmp_path / "c.nii")
    colours = np.zeros((2, 2, 2), [("R", "u1"), ("G", "u1"), ("B", "u1")])
    for values in (colours, np.zeros((2, 2, 2), np.complex64)):
        nibabel.save(nibabel.Nifti1Image(values, np.eye(4)), tmp_path / "d.nii")
        with pytest.raises(ValueError, match="one number a voxel"):
            read_nifti(tmp_path / "d.nii")
    holes = np.full((2, 2, 2), np.nan, np.float32)
    nibabel.save(nibabel.Nifti1Image(holes, np.eye(4)), tmp_path / "e.nii")
    with pytest.raises(ValueError, match="no number"):
        read_nifti(tmp_path / "e.nii")

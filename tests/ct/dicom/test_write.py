"""Derived series: HU survive, identity is new, provenance is told."""

import numpy as np
import pydicom
import pytest

from ctlab.ct import (
    Volume,
    load_sample,
    read_series,
    write_series,
)
from ctlab.ct.dicom.write import (
    COMPRESSIONS,
    DENOISED,
    Derivation,
    stored_values,
)


@pytest.fixture
def volume(make_series):
    def change(k, dataset):
        dataset.StudyDescription = "Chest"
        dataset.add_new(0x00091001, "LO", "private")
        dataset.add_new(0x00280120, "SS", -2000)
        dataset.add_new(0x60003000, "OW", b"\0\0")

    volume = read_series(make_series(3, change))
    return volume.with_hu(volume.hu + np.linspace(-0.5, 0.5, 16, dtype=np.float32))


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_hu_survive_within_half_a_unit(tmp_path, compression):
    volume = load_sample().slices(20, 21)
    noisy = volume.with_hu(volume.hu + np.float32(0.37))
    write_series(noisy, tmp_path / "out", description="x", compression=compression)
    found = read_series(tmp_path / "out")
    assert np.abs(found.hu - noisy.hu).max() <= 0.5
    assert found.spacing_mm == noisy.spacing_mm
    assert found.origin_mm == pytest.approx(noisy.origin_mm)


def test_identity_is_new_and_belongs_to_the_same_study(volume, tmp_path):
    paths = write_series(volume, tmp_path / "out", description="Denoised")
    written = [pydicom.dcmread(p) for p in paths]
    sources = [pydicom.dcmread(p) for p in volume.sources]
    uids = {d.SOPInstanceUID for d in written}
    assert len(uids) == 3
    assert not uids & {d.SOPInstanceUID for d in sources}
    assert len({d.SeriesInstanceUID for d in written}) == 1
    for new, old in zip(written, sources, strict=True):
        assert new.SeriesInstanceUID != old.SeriesInstanceUID
        assert new.file_meta.MediaStorageSOPInstanceUID == new.SOPInstanceUID
        for keyword in ("StudyInstanceUID", "FrameOfReferenceUID", "PatientID", "PatientName"):
            assert new[keyword].value == old[keyword].value
        assert new.ImagePositionPatient == old.ImagePositionPatient
        reference = new.SourceImageSequence[0]
        assert reference.ReferencedSOPInstanceUID == old.SOPInstanceUID
        assert reference.PurposeOfReferenceCodeSequence[0].CodeValue == "121322"
        assert new.StudyDescription == "Chest"


def test_provenance_is_in_the_header(volume, tmp_path):
    made = Derivation("Noise reduced", algorithm="U-Net", version="3", code=DENOISED)
    dataset = pydicom.dcmread(
        write_series(volume, tmp_path / "out", description="D", derivation=made)[0]
    )
    assert dataset.ImageType == ["DERIVED", "SECONDARY", "AXIAL"]
    assert dataset.DerivationDescription == "Noise reduced (U-Net 3)"
    assert dataset.DerivationCodeSequence[0].CodeValue == "113087"
    equipment = dataset.ContributingEquipmentSequence[-1]
    assert (equipment.ManufacturerModelName, equipment.SoftwareVersions) == ("U-Net", "3")
    assert equipment.PurposeOfReferenceCodeSequence[0].CodeValue == "109103"


def test_what_is_untrue_of_new_pixels_is_dropped(volume, tmp_path):
    dataset = pydicom.dcmread(write_series(volume, tmp_path / "out", description="D")[0])
    assert "PixelPaddingValue" not in dataset
    assert 0x60003000 not in dataset
    assert not any(e.tag.is_private for e in dataset)
    assert (dataset.RescaleSlope, dataset.RescaleIntercept, dataset.RescaleType) == (1, -1024, "HU")
    assert (dataset.PixelRepresentation, dataset.BitsStored, dataset.HighBit) == (1, 16, 15)


def test_a_phantom_without_sources_becomes_a_complete_series(tmp_path):
    hu = np.arange(3 * 64, dtype=np.float32).reshape(3, 8, 8) - 900
    phantom = Volume(hu, (2.0, 0.5, 0.6), origin_mm=(1.0, 2.0, 3.0))
    write_series(phantom, tmp_path / "out", description="Phantom")
    found = read_series(tmp_path / "out")
    assert np.array_equal(found.hu, hu)
    assert found.spacing_mm == phantom.spacing_mm
    assert found.origin_mm == phantom.origin_mm
    dataset = pydicom.dcmread(found.sources[0])
    # Type 2 attributes of the CT image IOD are there, be they empty.
    for keyword in ("PatientName", "PatientBirthDate", "StudyDate", "KVP", "AcquisitionNumber"):
        assert keyword in dataset


def test_nothing_is_left_behind_when_writing_fails(volume, tmp_path):
    broken = volume.hu.copy()
    broken[2, 0, 0] = np.nan
    with pytest.raises(ValueError, match="expected finite HU"):
        write_series(volume.with_hu(broken), tmp_path / "out", description="D")
    assert not (tmp_path / "out").exists()
    assert list(tmp_path.glob(".*")) == []


def test_hu_beyond_16_bits_and_other_misuse_are_refused(volume, tmp_path):
    with pytest.raises(ValueError, match="which 16 bits hold"):
        stored_values(np.array([40000.0]))
    with pytest.raises(ValueError, match=r"expected one of .* as compression"):
        write_series(volume, tmp_path / "a", description="D", compression="zip")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").touch()
    with pytest.raises(ValueError, match="not empty"):
        write_series(volume, tmp_path / "full", description="D")


def written_z(folder):
    files = sorted(folder.iterdir())
    return [float(pydicom.dcmread(f).ImagePositionPatient[2]) for f in files]


def test_positions_are_those_of_the_slices(make_series, make_enhanced, tmp_path):
    """With gaps, of enhanced CT, with a stray position at top level: the slices' own."""

    def stray(dataset):
        dataset.ImagePositionPatient, dataset.SliceLocation = [0.0, 0.0, 999.0], 999.0

    places = [0, 1, 2, 4, 7]
    expected = [10 + 2.5 * k for k in places]
    gap = make_series(8)
    for k in (3, 5, 6):
        (gap / f"-{99 - k}.dcm").unlink()
    sources = {
        "gap": gap,
        "enhanced": make_enhanced(places),
        "stray": make_enhanced(places, stray, "top"),
    }
    for name, source in sources.items():
        volume = read_series(source, allow_gaps=True)
        write_series(volume, tmp_path / name, description="D")
        assert written_z(tmp_path / name) == pytest.approx(expected)
        again = read_series(tmp_path / name, allow_gaps=True)
        assert np.array_equal(again.hu, volume.hu)
        part = volume.slices(2, 5)
        write_series(part, tmp_path / f"{name}-part", description="D")
        assert written_z(tmp_path / f"{name}-part") == pytest.approx(expected[2:])


def test_a_series_written_from_enhanced_ct_keeps_its_exposure(make_enhanced, tmp_path):
    path = make_enhanced([3, 0, 1, 2], lambda d: setattr(d, "SliceLocation", 7.0))
    write_series(read_series(path), tmp_path / "out", description="D")
    files = [pydicom.dcmread(f) for f in sorted((tmp_path / "out").iterdir())]
    assert [f.XRayTubeCurrent for f in files] == [100, 101, 102, 103]
    assert {(f.KVP, f.ConvolutionKernel, f.SliceThickness) for f in files} == {(100, "B45f", 2.5)}
    frames = [f.SourceImageSequence[0].ReferencedFrameNumber for f in files]
    assert frames == [2, 3, 4, 1]
    assert not any("SliceLocation" in f for f in files)


@pytest.mark.parametrize(("low", "high"), [(-1024, 38000), (-40000, 3000), (-40000, 60000)])
def test_metal_beyond_16_bits_gets_a_rescale_that_fits(make_series, tmp_path, low, high):
    volume = read_series(make_series(3))
    hu = volume.hu.copy()
    hu[1, 2, 2], hu[1, 3, 3] = low, high
    write_series(volume.with_hu(hu), tmp_path / "out", description="D")
    again = read_series(tmp_path / "out").hu
    slope = 1 if high - low < 2**16 else 2
    assert np.abs(again - hu).max() <= slope / 2
    assert np.array_equal(again[[0, 2]], hu[[0, 2]])


def test_nifti_refuses_what_its_affine_cannot_hold(make_series, tmp_path):
    from ctlab.ct import write_nifti

    folder = make_series(6)
    volume = read_series(folder)
    write_nifti(volume, tmp_path / "whole.nii")
    (folder / "-96.dcm").unlink()
    gap = read_series(folder, allow_gaps=True)
    with pytest.raises(ValueError, match=r"expected evenly spaced slices, got .* 2\.5 to 5"):
        write_nifti(gap, tmp_path / "gap.nii")
    assert not (tmp_path / "gap.nii").exists()
    write_nifti(gap.slices(0, 3), tmp_path / "part.nii")


def test_slices_keep_origin_and_sources_together(volume):
    cut = volume.slices(1, 3)
    assert cut.origin_mm == pytest.approx((-8, -8, 12.5))
    assert cut.sources == volume.sources[1:]
    with pytest.raises(ValueError, match="do not lie in"):
        volume.slices(2, 5)

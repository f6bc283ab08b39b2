"""Every encoding gives the same HU; real odd files read right or are refused."""

import shutil
import warnings
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.data import get_testdata_file
from pydicom.uid import (
    HTJ2K,
    JPEG2000,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    HTJ2KLossless,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

from ctlab.ct import inspect_folder, read_series
from ctlab.ct.dicom.pixels.decode import has_decoder

COMPRESSED = [RLELossless, JPEGLSLossless, JPEG2000Lossless]


@pytest.fixture
def signed_slice():
    """Stored values of a noisy chest: signed, with negative ones."""
    rng = np.random.default_rng(4)
    return rng.integers(-2000, 3000, (64, 64)).astype(np.int16)


@pytest.mark.parametrize("syntax", COMPRESSED, ids=lambda u: u.name)
def test_lossless_compression_changes_nothing(make_series, signed_slice, syntax):
    def change(k, dataset):
        dataset.Rows, dataset.Columns = signed_slice.shape
        dataset.PixelData = (signed_slice + np.int16(k)).tobytes()
        dataset.compress(syntax, generate_instance_uid=False)

    volume = read_series(make_series(3, change))
    assert np.array_equal(volume.hu[1], signed_slice + 1 - 1024.0)


def saved_as(dataset, path, syntax):
    dataset.file_meta.TransferSyntaxUID = syntax
    if syntax == ExplicitVRBigEndian:
        dataset.PixelData = np.frombuffer(dataset.PixelData, "<i2").astype(">i2").tobytes()
        dataset["PixelData"].VR = "OW"
    dataset.save_as(path, enforce_file_format=True)


@pytest.mark.parametrize(
    "syntax",
    [ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian],
    ids=lambda u: u.name,
)
def test_native_encodings_read_the_same(make_series, tmp_path, syntax):
    folder = make_series(3)
    wanted = read_series(folder)
    other = tmp_path / "other"
    other.mkdir()
    for file in folder.iterdir():
        # Big endian and deflate are rewritten from a plain data set, as a converter would.
        saved_as(_plain_copy(pydicom.dcmread(file)), other / file.name, syntax)
    found = read_series(other)
    assert np.array_equal(found.hu, wanted.hu)
    assert found.spacing_mm == wanted.spacing_mm


def _plain_copy(dataset):
    copy = pydicom.Dataset()
    for element in dataset:
        copy.add(element)
    copy.file_meta = dataset.file_meta
    return copy


def test_nested_sequences_of_undefined_length_are_passed_over(make_series):
    def change(k, dataset):
        item, inner = pydicom.Dataset(), pydicom.Dataset()
        inner.CodeValue = "1"
        inner.is_undefined_length_sequence_item = True
        item.PurposeOfReferenceCodeSequence = [inner]
        item["PurposeOfReferenceCodeSequence"].is_undefined_length = True
        item.is_undefined_length_sequence_item = True
        dataset.SourceImageSequence = [item]
        dataset["SourceImageSequence"].is_undefined_length = True

    assert read_series(make_series(3, change)).shape == (3, 16, 16)


@pytest.fixture
def enhanced(tmp_path):
    """An enhanced multi-frame CT: shared orientation and spacing, rescale per frame."""
    frames = 4
    stored = np.arange(frames * 64, dtype=np.int16).reshape(frames, 8, 8)
    dataset = pydicom.Dataset()
    dataset.file_meta = pydicom.dataset.FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    dataset.SOPClassUID, dataset.SOPInstanceUID = pydicom.uid.EnhancedCTImageStorage, "1.2.5"
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"]
    dataset.Modality, dataset.SeriesInstanceUID, dataset.StudyInstanceUID = "CT", "1.2.6", "1.2.7"
    dataset.NumberOfFrames, dataset.Rows, dataset.Columns = frames, 8, 8
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 16, 15
    dataset.PixelRepresentation = 1
    shared, orientation, measures = pydicom.Dataset(), pydicom.Dataset(), pydicom.Dataset()
    orientation.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    measures.PixelSpacing, measures.SliceThickness = [0.5, 0.6], 2
    shared.PlaneOrientationSequence, shared.PixelMeasuresSequence = [orientation], [measures]
    dataset.SharedFunctionalGroupsSequence = [shared]
    groups = []
    for k in range(frames):
        group, place, rescale = pydicom.Dataset(), pydicom.Dataset(), pydicom.Dataset()
        place.ImagePositionPatient = [0, 0, -2.0 * k]  # stored from top to bottom
        rescale.RescaleSlope, rescale.RescaleIntercept, rescale.RescaleType = 1, -100 * k, "HU"
        group.PlanePositionSequence, group.PixelValueTransformationSequence = [place], [rescale]
        groups.append(group)
    dataset.PerFrameFunctionalGroupsSequence = groups
    dataset.PixelData = stored.tobytes()
    dataset.save_as(tmp_path / "enhanced.dcm", enforce_file_format=True)
    return tmp_path / "enhanced.dcm", stored


def test_enhanced_multi_frame(enhanced):
    path, stored = enhanced
    volume = read_series(path)
    assert volume.spacing_mm == (2.0, 0.5, 0.6)
    assert volume.origin_mm == (0, 0, -6)
    for k in range(4):  # lowest first: the last frame
        assert np.array_equal(volume.hu[k], stored[3 - k] - 100.0 * (3 - k))


@pytest.mark.parametrize(
    "uid",
    [
        JPEGBaseline8Bit,
        JPEGExtended12Bit,
        JPEGLossless,
        JPEGLosslessSV1,
        JPEGLSLossless,
        JPEGLSNearLossless,
        JPEG2000Lossless,
        JPEG2000,
        HTJ2KLossless,
        HTJ2K,
        RLELossless,
    ],
    ids=lambda u: u.name,
)
def test_the_codec_set_is_complete(uid):
    assert has_decoder(uid)


def bundled(name):
    """A file that ships inside pydicom or pydicom-data; nothing is downloaded."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path = get_testdata_file(name, download=False)
    if path is None:
        pytest.skip(f"{name} ships with pydicom-data, which is not installed")
    return Path(path)


def bundled_folder(name):
    return Path(pydicom.data.__file__).parent / "test_files" / "dicomdirtests" / name


def test_a_real_small_ct():
    volume = read_series(bundled("CT_small.dcm"))
    dataset = pydicom.dcmread(bundled("CT_small.dcm"))
    assert np.array_equal(volume.hu[0], dataset.pixel_array * 1.0 - 1024)
    assert volume.acquisition.kernel == "STANDARD"


def test_signedness_of_the_codestream_wins_over_the_header():
    volume = read_series(bundled("J2K_pixelrep_mismatch.dcm"))
    assert volume.hu.min() == -2000
    assert volume.hu.max() == 1896
    assert any("tilted by -22 degrees" in p for p in volume.problems)


def test_lossy_fill_is_outside_the_field_of_view():
    volume = read_series(bundled("693_J2KI.dcm"))
    assert volume.hu.min() >= -3024
    assert any("with loss" in p for p in volume.problems)


def test_a_folder_of_localizers_is_no_series():
    folder = bundled_folder("98892001/CT2N")
    assert inspect_folder(folder)[0].problems == ("2 files set aside: localizer",)
    with pytest.raises(ValueError, match=r"no CT series \(set aside: localizer\)"):
        read_series(folder)


def test_gaps_in_a_real_series_are_reported():
    folder = bundled_folder("77654033/CT2")
    with pytest.raises(ValueError, match=r"161 slices missing \(202.5 mm after 17106"):
        read_series(folder)
    assert read_series(folder, allow_gaps=True).spacing_mm[0] == 1.25


def test_a_dicomdir_lists_its_series():
    reports = inspect_folder(bundled_folder("DICOMDIR"))
    shapes = sorted(r.shape for r in reports if r.readable or r.shape)
    assert shapes == [(4, 16, 16), (5, 16, 16)]
    assert sum("localizer" in " ".join(r.problems) for r in reports) == 1
    uid = next(r.uid for r in reports if r.shape == (5, 16, 16))
    volume = read_series(bundled_folder("DICOMDIR"), series_uid=uid)
    assert volume.shape == (5, 16, 16)


def test_a_dicomdir_whose_files_are_gone(tmp_path):
    shutil.copy(bundled_folder("DICOMDIR"), tmp_path / "DICOMDIR")
    with pytest.raises(ValueError, match="none of them exists beside it"):
        read_series(tmp_path / "DICOMDIR")


def test_real_enhanced_ct_with_shared_rescale():
    path = bundled("eCT_Supplemental.dcm")
    with pytest.raises(ValueError, match="expected HU, got RCBF"):  # blood flow
        read_series(path)
    volume = read_series(path, allow_other_units=True)
    dataset = pydicom.dcmread(path)
    shared = dataset.SharedFunctionalGroupsSequence[0].PixelValueTransformationSequence[0]
    low = dataset.pixel_array.min() * shared.RescaleSlope + shared.RescaleIntercept
    assert volume.shape == (2, 512, 512)
    assert volume.hu.min() == float(low)
    assert any("Rescale Type is 'US'" in p for p in volume.problems)


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [("693_J2KR.dcm", -1024, 1468), ("bad_sequence.dcm", -1011, 1243)],
)
def test_real_compressed_slices(name, low, high):
    volume = read_series(bundled(name))
    assert (volume.hu.min(), volume.hu.max()) == (low, high)


def test_a_real_header_with_unknown_representations():
    with pytest.raises(ValueError, match="1 mm is assumed; pass allow_gaps=True"):
        read_series(bundled("explicit_VR-UN.dcm"))
    volume = read_series(bundled("explicit_VR-UN.dcm"), allow_gaps=True)
    assert (volume.hu.min(), volume.hu.max()) == (-1024, 1186)

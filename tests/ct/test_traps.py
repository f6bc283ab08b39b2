"""Traps met in real CT files, each read right or refused in words.

Where a package among the development dependencies ships the file, that file is read; where none
does, its trap is rebuilt on a toy or sample slice. What the packaged sample and other tests hold
already is listed in ``ELSEWHERE`` so that the list is whole.
"""

import shutil
from pathlib import Path

import numpy as np
import pydicom
import pydicom.data
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import JPEGLSLossless, RLELossless

from ctlab.ct import (
    deidentify_series,
    inspect_folder,
    load_sample,
    read_series,
)
from ctlab.ct.datasets.sample import SAMPLE_FOLDER

CODECS = Path(__file__).parents[1] / "data" / "codecs"

ELSEWHERE = {
    "JPEG 2000 lossless and lossy of real CT, raw values below the padding": (
        "test_transfer_syntaxes.py",
        "test_lossy_fill_is_outside_the_field_of_view",
    ),
    "sequences of unknown representation, empty KVP and thickness": (
        "test_transfer_syntaxes.py",
        "test_a_real_header_with_unknown_representations",
    ),
    "JPEG lossless of a real CT whose sequence is broken": (
        "test_transfer_syntaxes.py",
        "test_real_compressed_slices",
    ),
    "enhanced multi-frame with shared rescale, type US": (
        "test_transfer_syntaxes.py",
        "test_real_enhanced_ct_with_shared_rescale",
    ),
    "per-frame rescale and positions": ("test_transfer_syntaxes.py", "test_enhanced_multi_frame"),
    "a folder of localizers": (
        "test_transfer_syntaxes.py",
        "test_a_folder_of_localizers_is_no_series",
    ),
    "gaps of 202.5 mm": ("test_transfer_syntaxes.py", "test_gaps_in_a_real_series_are_reported"),
    "DICOMDIR, whole and without its files": (
        "test_transfer_syntaxes.py",
        "test_a_dicomdir_lists_its_series",
    ),
    "pixel representation that the codestream contradicts, tilt": (
        "test_transfer_syntaxes.py",
        "test_signedness_of_the_codestream_wins_over_the_header",
    ),
    "a slope other than one": ("dicom/test_read.py", "test_each_slice_has_its_own_rescale"),
    "padding declared unsigned for signed pixels": (
        "dicom/test_read.py",
        "test_unsigned_padding_declared_for_signed_pixels",
    ),
    "a full tilted series": ("dicom/test_read.py", "test_gantry_tilt_is_reported"),
    "copies and second phases": (
        "dicom/test_read.py",
        "test_a_copy_is_left_out_and_a_second_phase_refused",
    ),
    "mixed kernels, orientations and spacings": (
        "dicom/test_read.py",
        "test_mixtures_are_refused_with_a_list",
    ),
    "zip": ("dicom/test_read.py", "test_zip_and_single_file"),
    "no preamble": ("dicom/test_read.py", "test_headerless_and_implicit_files_read_the_same"),
    "HTJ2K, big endian and all other encodings": (
        "test_codecs.py",
        "test_lossless_files_hold_the_hu_that_were_written",
    ),
}


@pytest.mark.parametrize("trap", ELSEWHERE)
def test_the_list_is_whole(trap):
    file, name = ELSEWHERE[trap]
    assert f"def {name}(" in (Path(__file__).parent / file).read_text()


# The packaged sample: LIDC-IDRI-0001


def test_sample_fill_and_ceiling_are_kept_and_said():
    """Fill of -2048 outside the field of view, 21 % of all; the ceiling of 12 bits is reached.

    The declared padding, 63536, is -2000 as 16 bits and occurs in no pixel; were it taken for
    fill (or read as it stands), values would become -1024.
    """
    volume = load_sample()
    dataset = pydicom.dcmread(volume.sources[0])
    assert dataset.PixelPaddingValue == 63536
    assert (volume.hu.min(), volume.hu.max()) == (-2048, 3071)
    assert (volume.hu == -2048).mean() == pytest.approx(0.2128, abs=1e-4)
    assert (
        sum("-2048 HU: fill outside" in p or "3071 HU, the ceiling" in p for p in volume.problems)
        == 2
    )


def test_names_that_run_downwards(tmp_path):
    """File names of the collection descend in z; reading by name would turn the patient over."""
    files = [pydicom.dcmread(f) for f in sorted(SAMPLE_FOLDER.glob("*.dcm"))[:4]]
    files.sort(key=lambda d: -float(d.ImagePositionPatient[2]))
    for k, dataset in enumerate(files):
        dataset.save_as(tmp_path / f"1-{k + 1:03d}.dcm")
    volume = read_series(tmp_path)
    assert volume.origin_mm[2] == min(float(d.ImagePositionPatient[2]) for d in files)
    assert volume.sources[0].name == "1-004.dcm"
    assert any("against the slice normal" in p for p in volume.problems)


def test_a_localizer_of_another_size_in_the_same_series(tmp_path):
    for file in sorted(SAMPLE_FOLDER.glob("*.dcm"))[:3]:
        shutil.copy(file, tmp_path)
    scout = pydicom.dcmread(CODECS / "jpeg-lossless-70.dcm")
    scout.SeriesInstanceUID = pydicom.dcmread(file).SeriesInstanceUID
    scout.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
    with pytest.warns(UserWarning, match="Invalid value for VR DA"):
        scout.ContentDate = "2004.01.19"  # dotted dates were allowed before 1993
    scout.save_as(tmp_path / "scout.dcm")
    assert read_series(tmp_path).shape == (3, 512, 512)
    (report,) = inspect_folder(tmp_path)
    assert report.problems[-1] == "scout.dcm set aside: localizer"


def test_dotted_dates_are_shifted_like_others(make_series, tmp_path):
    def change(k, dataset):
        dataset.StudyDate, dataset.SeriesDate = "20040119", "2004.01.19"

    with pytest.warns(UserWarning, match="Invalid value for VR DA"):
        folder = make_series(1, change)
    deidentify_series(folder, tmp_path / "out")
    dataset = pydicom.dcmread(tmp_path / "out" / "IM00001.dcm")
    said = str(dataset.get("SeriesDate", ""))
    assert "2004.01.19" not in said
    assert "20040119" not in said
    assert dataset.StudyDate != "20040119"


# Pixels


def test_raw_padding_in_rle(make_series):
    """A chest whose corners hold raw -2000 and whose header declares it, compressed with RLE."""

    def change(k, dataset):
        stored = np.frombuffer(dataset.PixelData, np.int16).reshape(16, 16).copy()
        stored[:2] = -2000
        dataset.PixelData = stored.tobytes()
        dataset.add_new(0x00280120, "SS", -2000)
        dataset.compress(RLELossless, generate_instance_uid=False)

    hu = read_series(make_series(2, change)).hu
    assert (hu[:, :2] == -1024).all()
    assert (hu[:, 8, 8] == 0).all()


def test_thirteen_bits(make_series):
    """The sign bit is the thirteenth; the three above it are noise of an old writer."""

    def change(k, dataset):
        stored = np.frombuffer(dataset.PixelData, np.int16).copy()
        stored[5] = -100 & 0x1FFF
        dataset.BitsStored, dataset.HighBit = 13, 12
        dataset.PixelData = stored.tobytes()

    hu = read_series(make_series(1, change)).hu
    assert hu[0, 0, 5] == -1124
    assert hu[0, 8, 8] == 0


def test_hu_stored_as_they_are(make_series):
    """Signed HU with intercept 0, as radiotherapy exports write them."""

    def change(k, dataset):
        stored = np.frombuffer(dataset.PixelData, np.int16) - np.int16(1024)
        dataset.PixelData = stored.tobytes()
        dataset.RescaleIntercept = 0

    hu = read_series(make_series(2, change)).hu
    assert (hu[0, 8, 8], hu[0, 15, 15]) == (0, -1000)


def test_colour_pictures_called_ct(make_series):
    """Screenshots of 8-bit RGB that claim to be CT images."""

    def change(k, dataset):
        if k == 0:
            dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 3, "RGB"
            dataset.PlanarConfiguration = 0
            dataset.BitsAllocated = dataset.BitsStored = 8
            dataset.HighBit, dataset.PixelRepresentation = 7, 0
            dataset.PixelData = bytes(16 * 16 * 3)

    folder = make_series(3, change)
    assert read_series(folder).shape[0] == 2
    assert any("colour image" in p for p in inspect_folder(folder)[0].problems)


def test_files_without_pixels():
    """pydicom's TINY_ALPHA: headers of CT images without the pixel data."""
    folder = Path(pydicom.data.__file__).parent / "test_files" / "dicomdirtests" / "TINY_ALPHA"
    assert sum(f.is_file() for f in folder.rglob("*")) > 0
    with pytest.raises(ValueError, match=r"pixels|no CT"):
        read_series(folder)
    assert not any(report.readable for report in inspect_folder(folder))


@pytest.mark.parametrize("keyword", ["PixelData", "Rows"])
def test_slices_that_lost_their_pixels_are_named(make_series, keyword):
    def change(k, dataset):
        if k == 2:
            delattr(dataset, keyword)

    folder = make_series(5, change)
    report = inspect_folder(folder)[0]
    assert any("pixels" in p for p in report.problems)
    with pytest.raises(ValueError, match=r"no pixels|missing"):
        read_series(folder)


# Headers


def test_broken_file_meta(make_series, tmp_path):
    """A group length of the file meta that is wrong, and one that is not there."""
    folder = make_series(3)
    wanted = read_series(folder).hu
    for k, file in enumerate(sorted(folder.iterdir())):
        data = file.read_bytes()
        assert data[132:138] == b"\x02\x00\x00\x00UL"
        broken = data[:140] + b"\x07\0\0\0" + data[144:] if k else data[:132] + data[144:]
        (tmp_path / file.name).write_bytes(broken)
    shutil.rmtree(folder)
    assert np.array_equal(read_series(tmp_path).hu, wanted)


def test_many_values_where_one_is_expected(make_series):
    """The first value counts, but not of a rescale; kernels of two parts are one kernel."""

    def change(k, dataset):
        dataset.ConvolutionKernel = ["B30f", "2"]
        dataset.WindowCenter, dataset.WindowWidth = [40, -600], [400, 1500]
        dataset.KVP, dataset.XRayTubeCurrent = [120, 100], [200, 300]
        dataset.RescaleSlope, dataset.RescaleIntercept = [1, 1], [-1024, -1024]
        dataset.SliceThickness = [2.5, 5]

    volume = read_series(make_series(2, change))
    assert volume.hu[0, 8, 8] == 0
    assert volume.acquisition.kvp == 120
    assert volume.acquisition.tube_current_ma == 200
    assert volume.acquisition.kernel == "B30f\\2"


def test_private_groups_do_not_speak_for_the_image(make_series):
    """A vendor's private copy of the rescale, before and after the true one, in a sequence too."""

    def change(k, dataset):
        inner = Dataset()
        inner.RescaleSlope, inner.RescaleIntercept = 7, 7
        inner.PixelSpacing, inner.ImagePositionPatient = [9, 9], [9, 9, 9]
        for group in (0x0019, 0x0029, 0x7053):
            block = dataset.private_block(group, "VENDOR", create=True)
            block.add_new(0x01, "DS", "7")
            block.add_new(0x02, "SQ", [inner])
            block.add_new(0x03, "UN", b"\x52\x10\x28\x00")

    volume = read_series(make_series(3, change))
    assert volume.hu[0, 8, 8] == 0
    assert volume.spacing_mm == (2.5, 0.5, 0.75)


def test_missing_tags_are_said_and_those_that_matter_refused(make_series):
    def change(k, dataset):
        for keyword in ("KVP", "XRayTubeCurrent", "ConvolutionKernel", "SliceThickness"):
            dataset[keyword].value = None

    volume = read_series(make_series(3, change))
    assert "the header does not say kvp, tube_current_ma, kernel" in volume.problems
    assert volume.spacing_mm[0] == 2.5  # from positions; thickness is no spacing


def test_thickness_is_no_spacing(make_series):
    """Overlapping slices of 5 mm every 2.5 mm."""

    def change(k, dataset):
        dataset.SliceThickness = 5.0

    assert read_series(make_series(4, change)).spacing_mm[0] == 2.5


# Enhanced multi-frame


def enhanced(tmp_path, positions, *, compress=False, orientation=None):
    """An enhanced CT whose frames lie where they are told; stored values are 100 times frame."""
    frames = len(positions)
    dataset = pydicom.dcmread(Path(__file__).parents[1] / "data" / "fuzz" / "enhanced.dcm")
    own = dataset.PerFrameFunctionalGroupsSequence[0]
    groups = []
    for k, position in enumerate(positions):
        group, place = Dataset(), Dataset()
        place.ImagePositionPatient = position
        group.PlanePositionSequence = [place]
        group.PixelValueTransformationSequence = own.PixelValueTransformationSequence
        if orientation and k in orientation:
            plane = Dataset()
            plane.ImageOrientationPatient = orientation[k]
            group.PlaneOrientationSequence = [plane]
        groups.append(group)
    dataset.PerFrameFunctionalGroupsSequence = groups
    dataset.NumberOfFrames = frames
    rows, columns = dataset.Rows, dataset.Columns
    stored = np.repeat(np.arange(frames) * 100, rows * columns).astype(np.int16)
    dataset.PixelData = stored.tobytes()
    if compress:
        dataset.compress(JPEGLSLossless, generate_instance_uid=False)
    dataset.save_as(tmp_path / "enhanced.dcm")
    return tmp_path / "enhanced.dcm"


@pytest.mark.parametrize("compress", [False, True])
def test_enhanced_frames_are_sorted_by_their_own_positions(tmp_path, compress):
    places = [[0, 0, z] for z in (5.0, 0.0, 7.5, 2.5)]
    volume = read_series(enhanced(tmp_path, places, compress=compress))
    assert (volume.hu[:, 0, 0] + 1024).tolist() == [100, 300, 0, 200]
    assert volume.spacing_mm[0] == 2.5


def test_enhanced_gaps_twins_and_mixtures(tmp_path):
    gap = enhanced(tmp_path, [[0, 0, z] for z in (0, 2.5, 5, 12.5)])
    with pytest.raises(ValueError, match="2 slices missing"):
        read_series(gap)
    assert read_series(gap, allow_gaps=True).shape[0] == 4
    twins = enhanced(tmp_path, [[0, 0, z] for z in (0, 2.5, 2.5, 5)])
    with pytest.raises(ValueError, match="two different images"):
        read_series(twins)
    turned = enhanced(
        tmp_path, [[0, 0, z] for z in (0, 2.5, 5)], orientation={2: [1, 0, 0, 0, 0, -1]}
    )
    with pytest.raises(ValueError, match="mixes 2 orientations"):
        read_series(turned)

"""Series written from every kind of source, as other programs read them.

What holds without them is checked always: positions, order and HU of the source itself, and the
attributes that the standard requires. Where dciodvfy (dicom3tools), dcm2niix or SimpleITK are
installed, they are asked, too.
"""

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.data import get_testdata_file
from pydicom.uid import JPEGLSLossless

from ctlab.ct import Derivation, Volume, deidentify_series, read_series, write_series
from ctlab.ct.dicom.nifti import read_nifti, write_nifti
from ctlab.ct.dicom.write import NOISE_ADDED

SLICES, SIDE = 4, 32
OTHER_READER = "SimpleITK"  # a tool that may be here, not a package that is asked for


@dataclass(frozen=True)
class Written:
    """A series that was written, and what it must be."""

    files: list[Path]
    hu: np.ndarray
    places_mm: np.ndarray


def body(k, dataset):
    """Water in air with one bright pixel that moves: slices can be told apart."""
    stored = np.full((SIDE, SIDE), 24, np.int16)
    stored[6:-6, 6:-6] = 1064
    stored[9 + k, 12] = 2000
    dataset.Rows = dataset.Columns = SIDE
    dataset.PixelData = stored.tobytes()


def tilted(k, dataset):
    body(k, dataset)
    dataset.ImagePositionPatient = [-8, -8 + 0.9 * k, 10 + 2.5 * k]
    dataset.GantryDetectorTilt = 19.8


def metal(k, dataset):
    body(k, dataset)
    stored = np.frombuffer(dataset.PixelData, np.int16).reshape(SIDE, SIDE).copy()
    stored[20, 20] = 32000
    dataset.PixelData, dataset.RescaleIntercept = stored.tobytes(), 6000


def oblique(k, dataset):
    body(k, dataset)
    c, s = 0.8, 0.6
    dataset.ImageOrientationPatient = [1, 0, 0, 0, c, s]
    dataset.ImagePositionPatient = [-8, -8 - 2.5 * k * s, 10 + 2.5 * k * c]


def compressed(k, dataset):
    body(k, dataset)
    dataset.compress(JPEGLSLossless, generate_instance_uid=False)


def multi_frame(numbers, change=None):
    """Enhanced CT of those slices; ``change`` works on the whole object."""

    def make(make_series, make_enhanced):
        def whole(dataset):
            frames = []
            for k in numbers:
                body(k, dataset)
                frames.append(dataset.PixelData)
            dataset.PixelData = b"".join(frames)
            if change:
                change(dataset)

        return read_series(make_enhanced(numbers, whole), allow_gaps=True)

    return make


def stray(dataset):
    dataset.ImagePositionPatient = [0, 0, 0]


def classic(change, **options):
    return lambda make_series, make_enhanced: read_series(make_series(SLICES, change), **options)


def nifti(make_series, make_enhanced):
    folder = make_series(SLICES, oblique)
    return read_nifti(write_nifti(read_series(folder), folder.parent / "a.nii.gz"))


def cut_at_a_gap(make_series, make_enhanced):
    folder = make_series(SLICES, body)
    next(folder.glob("*98.dcm")).unlink()
    return read_series(folder, allow_gaps=True)


SOURCES = {
    "classic": classic(body),
    "compressed": classic(compressed),
    "tilted": classic(tilted, allow_tilt=True),
    "straightened": classic(tilted, straighten=True),
    "metal": classic(metal),
    "oblique": classic(oblique),
    "gap": cut_at_a_gap,
    "enhanced": multi_frame([0, 1, 2, 3]),
    "enhanced with a gap": multi_frame([0, 1, 3]),
    "enhanced with a stray position": multi_frame([0, 1, 2], stray),
    "NIfTI": nifti,
    "phantom": lambda *_: Volume(np.full((3, SIDE, SIDE), 40, np.float32), (2.5, 0.7, 0.7)),
}


@pytest.fixture(params=list(SOURCES))
def written(request, make_series, make_enhanced, tmp_path):
    volume = SOURCES[request.param](make_series, make_enhanced)
    files = write_series(
        volume, tmp_path / "out", description="D", derivation=Derivation("N", code=NOISE_ADDED)
    )
    places = np.array([volume.slice_origin_mm(k) for k in range(len(files))])
    return Written(files, np.rint(volume.hu), places)


def test_positions_order_and_hu_are_those_of_the_source(written):
    datasets = [pydicom.dcmread(file) for file in written.files]
    places = np.array([d.ImagePositionPatient for d in datasets], float)
    assert np.abs(places - written.places_mm).max() < 1e-4
    normal = np.cross(*np.reshape(datasets[0].ImageOrientationPatient, (2, 3)).astype(float))
    assert (np.diff(places @ normal) > 0).all()
    for dataset, hu in zip(datasets, written.hu, strict=True):
        read = dataset.pixel_array.astype(float) * dataset.RescaleSlope + dataset.RescaleIntercept
        assert np.abs(read - hu).max() <= dataset.RescaleSlope / 2
    assert [d.InstanceNumber for d in datasets] == list(range(1, len(datasets) + 1))
    for name in ("StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID", "PatientID"):
        assert len({str(d[name].value) for d in datasets}) == 1
    assert len({d.SOPInstanceUID for d in datasets}) == len(datasets)
    if datasets[0].get("SourceImageSequence"):
        named = {
            (
                d.SourceImageSequence[0].ReferencedSOPInstanceUID,
                d.SourceImageSequence[0].get("ReferencedFrameNumber"),
            )
            for d in datasets
        }
        assert len(named) == len(datasets)


def errors(file):
    """What dciodvfy calls an error; skips where it is not installed."""
    if shutil.which("dciodvfy") is None:
        pytest.skip("dciodvfy (Debian: dicom3tools) is not installed")
    done = subprocess.run(
        ["dciodvfy", "-new", str(file)], capture_output=True, text=True, check=False
    )
    assert "CTImage" in done.stderr + done.stdout  # it went through the file
    return {line for line in (done.stderr + done.stdout).splitlines() if line.startswith("Error")}


def test_dciodvfy_finds_no_error(written):
    assert errors(written.files[0]) == set()
    assert errors(written.files[-1]) == set()


def test_dciodvfy_would_notice(make_series):
    (file,) = make_series(1, lambda k, dataset: delattr(dataset, "PixelSpacing")).glob("*.dcm")
    assert any("PixelSpacing" in line for line in errors(file))


def test_simpleitk_reads_the_same(written):
    sitk = pytest.importorskip(OTHER_READER)
    folder = str(written.files[0].parent)
    names = sitk.ImageSeriesReader.GetGDCMSeriesFileNames(folder)
    assert list(names) == [str(file) for file in written.files]
    for file, hu, place in zip(written.files, written.hu, written.places_mm, strict=True):
        image = sitk.ReadImage(str(file))
        assert np.abs(sitk.GetArrayFromImage(image)[0] - hu).max() <= 1
        assert np.abs(np.subtract(image.GetOrigin(), place)).max() < 1e-3


def test_dcm2niix_reads_the_same(written, tmp_path, request):
    if shutil.which("dcm2niix") is None:
        pytest.skip("dcm2niix is not installed")
    if any(word in request.node.name for word in ("gap", "tilted")):
        pytest.skip("dcm2niix resamples such series")
    (tmp_path / "nii").mkdir()
    words = ["dcm2niix", "-z", "n", "-f", "x", "-o", tmp_path / "nii", written.files[0].parent]
    subprocess.run(list(map(str, words)), capture_output=True, check=True)
    read = read_nifti(tmp_path / "nii" / "x.nii")
    # It counts rows from the other end, and so slices, too.
    assert np.abs(read.hu[::-1, ::-1] - written.hu).max() <= 2  # one slope for the whole series
    step = np.linalg.norm(np.diff(written.places_mm, axis=0), axis=1).mean()
    assert read.spacing_mm[0] == pytest.approx(step, rel=1e-3)


@pytest.fixture(scope="module")
def real_enhanced(tmp_path_factory):
    """A real enhanced CT (pydicom's eCT_Supplemental), and what de-identification makes of it."""
    root = tmp_path_factory.mktemp("enhanced")
    (root / "in").mkdir()
    source = Path(get_testdata_file("eCT_Supplemental.dcm", download=False))
    shutil.copy(source, root / "in" / "a.dcm")
    report = deidentify_series(root / "in", root / "out")
    assert (report.files, report.left_out) == (1, {})
    return root / "in" / "a.dcm", root / "out" / "IM00001.dcm"


def test_a_deidentified_enhanced_ct_has_what_the_standard_requires(real_enhanced):
    source, cleaned = map(pydicom.dcmread, real_enhanced)
    assert len(cleaned.ImageType) == 4
    assert cleaned.PixelPresentation == "MONOCHROME"
    assert len(cleaned.AcquisitionContextSequence) == 0
    assert {"SeriesNumber", "PositionReferenceIndicator"} <= set(cleaned.dir())
    (shared,) = cleaned.SharedFunctionalGroupsSequence
    (anatomy,) = shared.FrameAnatomySequence
    assert anatomy.FrameLaterality == "U"
    assert anatomy.AnatomicRegionSequence[0].CodeMeaning == "Entire body"
    for before, after in zip(
        source.PerFrameFunctionalGroupsSequence,
        cleaned.PerFrameFunctionalGroupsSequence,
        strict=True,
    ):
        content = after.FrameContentSequence[0]
        assert ("InStackPositionNumber" in content) == ("StackID" in content)
        old = before.PlanePositionSequence[0].ImagePositionPatient
        assert after.PlanePositionSequence[0].ImagePositionPatient == old
    event = shared.IrradiationEventIdentificationSequence[0].IrradiationEventUID
    assert (
        event
        != source.SharedFunctionalGroupsSequence[0]
        .IrradiationEventIdentificationSequence[0]
        .IrradiationEventUID
    )


def test_dciodvfy_finds_no_error_that_the_source_had_not(real_enhanced):
    source, cleaned = real_enhanced
    assert errors(cleaned) <= errors(source)

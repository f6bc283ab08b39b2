"""What slices of one volume share: units, geometry, and whether all of them are there."""

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.uid import (
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGLSLossless,
    RLELossless,
)

from ctlab.assess import evaluate_volume
from ctlab.ct import inspect_folder, read_series, write_nifti, write_series
from ctlab.ct.simulation.projection_noise import check_gantry_planes

pytestmark = pytest.mark.filterwarnings("ignore:.*nvalid value for VR|The value length")


def item(**elements):
    dataset = Dataset()
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
    return dataset


def given(keyword, values):
    return lambda k, dataset: setattr(dataset, keyword, values[k])


def said(folder):
    return " | ".join(p for report in inspect_folder(folder) for p in report.problems)


@pytest.mark.parametrize(
    ("keyword", "values", "what"),
    [
        ("PatientPosition", ["HFS", "HFS", "FFS"], "patient positions"),
        ("DeviceSerialNumber", ["1", "1", "2"], "scanners by serial number"),
        ("Manufacturer", ["SIEMENS", "GE", "GE"], "manufacturers"),
        ("ManufacturerModelName", ["Force", "Flash", "Force"], "scanner models"),
        ("RescaleType", ["HU", "HU", "MGML"], "kinds of values"),
    ],
)
def test_mixtures(make_series, keyword, values, what):
    folder = make_series(3, given(keyword, values))
    with pytest.raises(ValueError, match=f"mixes 2 {what}"):
        read_series(folder, allow_other_units=True)
    assert f"mixes 2 {what}" in said(folder)


@pytest.mark.parametrize(
    ("keyword", "values"),
    [
        ("Manufacturer", ["SIEMENS", "Siemens", ""]),
        ("PatientPosition", ["HFS", None, "HFS"]),
        ("ConvolutionKernel", ["B30f", "B30f ", "b30f"]),
        ("SliceThickness", ["2.5", "2.50", "2.500"]),
        ("KVP", ["120", "120.0", "1.2e2"]),
        ("AcquisitionTime", ["101010", "101010.0", "101010.000"]),
    ],
)
def test_one_value_written_in_several_ways(make_series, keyword, values):
    volume = read_series(make_series(3, given(keyword, values)))
    assert volume.shape[0] == 3
    assert "differ" not in " ".join(volume.problems)


def test_findings_of_any_slice(make_series):
    def change(k, dataset):
        if k == 2:
            dataset.BurnedInAnnotation, dataset.LossyImageCompression = "YES", "01"
            dataset.ImageType = ["DERIVED", "SECONDARY", "AXIAL"]
            dataset.SliceThickness, dataset.XRayTubeCurrent = 5, None

    problems = read_series(make_series(4, change)).problems
    for finding in (
        "the header says text is burned into the pixels (in 1 of 4 slices)",
        "pixels were compressed with loss (in 1 of 4 slices)",
        "derived images, not the scanner's own reconstruction (in 1 of 4 slices)",
        "the header does not say tube_current_ma (in 1 of 4 slices)",
        "slice thickness differs between slices (2.5 mm: 3, 5 mm: 1)",
    ):
        assert finding in problems


@pytest.mark.parametrize(
    ("word", "units"),
    [
        ("Z_EFF", "Z_EFF"),
        ("ELECTRON DENSITY", "ELECTRON_DENSITY"),
        ("RHO_Z", "RHO_Z"),
        ("IODINE (WATER)", "IODINE_WATER"),
        ("VUE", "VUE"),
        ("Virtual Non Contrast", "VIRTUAL_NON_CONTRAST"),
        ("MAT_REMOVED", "MAT_REMOVED"),
        ("SUBTRACTION", "SUBTRACTION"),
        ("CT_SOM5 TTP", "CT_SOM5_TTP"),
        ("CASUPP 50", "CASUPP_50"),
        ("CALCIUM_SUPP", "CALCIUM_SUPP"),
        ("BONE REMOVED", "BONE_REMOVED"),
        ("BLOOD_FLOW", "BLOOD_FLOW"),
        ("STDEV", "STDEV"),
        ("CSA RESAMPLED", "HU"),
        ("MONO_E", "HU"),
        ("VMI", "HU"),
        ("PERFUSION", "HU"),  # of the scan: value 3 of images in HU
        ("MAXIMUM", "HU"),
    ],
)
def test_image_type_says_what_values_are(make_series, word, units):
    change = given("ImageType", [["DERIVED", "PRIMARY", "AXIAL", word]] * 2)
    folder = make_series(2, change)
    assert read_series(folder, allow_other_units=True).units == units
    if units != "HU":
        with pytest.raises(ValueError, match=f"expected HU, got {units}"):
            read_series(folder)


@pytest.mark.parametrize("frames", [False, True])
@pytest.mark.parametrize(("code", "units"), [("mg/cm3", "mg/cm3"), ("[hnsf'U]", "HU")])
def test_units_of_a_real_world_value_mapping(make_series, make_enhanced, code, units, frames):
    unit = item(CodeValue=code, CodingSchemeDesignator="UCUM", CodeMeaning=code)
    mapping = [item(MeasurementUnitsCodeSequence=[unit], RealWorldValueSlope=1.0)]

    def change(k, dataset):
        dataset.RealWorldValueMappingSequence = mapping

    def shared(dataset):
        dataset.SharedFunctionalGroupsSequence[0].RealWorldValueMappingSequence = mapping

    folder = make_enhanced([0, 1], shared) if frames else make_series(2, change)
    assert read_series(folder, allow_other_units=True).units == units


def frame_types(*kinds):
    def change(dataset):
        for groups, kind in zip(dataset.PerFrameFunctionalGroupsSequence, kinds, strict=True):
            frame_type = ["ORIGINAL", "PRIMARY", *kind]
            groups.CTImageFrameTypeSequence = [item(FrameType=frame_type)]

    return change


def test_frame_types(make_enhanced):
    plain = ("VOLUME", "NONE")
    zeff = make_enhanced([0, 1], frame_types(*[("VOLUME", "EFF_ATOMIC_NUM")] * 2), "zeff")
    assert read_series(zeff, allow_other_units=True).units == "EFF_ATOMIC_NUM"
    one = make_enhanced([0, 1, 2], frame_types(plain, plain, ("VOLUME", "MAT_SPECIFIC")), "one")
    with pytest.raises(ValueError, match="got MAT_SPECIFIC"):
        read_series(one)
    scout = make_enhanced([0, 1, 2], frame_types(plain, plain, ("LOCALIZER", "NONE")), "scout")
    volume = read_series(scout)
    assert volume.shape[0] == 2
    assert "E.dcm set aside: localizer in frame 3" in volume.problems


# Positions


def without_positions(k, dataset):
    del dataset.ImagePositionPatient, dataset.ImageOrientationPatient
    dataset.SliceLocation = 2.5 * k


@pytest.mark.parametrize("slices", [1, 3])
def test_geometry_is_not_invented(make_series, tmp_path, slices):
    folder = make_series(slices, without_positions)
    assert "where slices lie in the patient is not known" in said(folder)
    volume = read_series(folder)
    assert not volume.is_placed
    for use in (
        lambda: write_series(volume, tmp_path / "out", description="x"),
        lambda: write_nifti(volume, tmp_path / "out.nii"),
        lambda: evaluate_volume(volume, volume),
        lambda: check_gantry_planes(volume),
    ):
        with pytest.raises(ValueError, match="expected slices with Image Position"):
            use()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["series"]


@pytest.mark.parametrize(
    ("keyword", "values", "what"),
    [
        ("ImagePositionPatient", [[0, 0]] * 3, "three finite numbers"),
        ("ImagePositionPatient", [[0, 0, 0], None, [0, 0, 5]], "got none in 1 of 3"),
        ("ImagePositionPatient", [[0, 0, 0], ["0", "0", "nan"], [0, 0, 5]], "in 1 of 3"),
        ("ImageOrientationPatient", [[2, 0, 0, 0, 0.5, 0]] * 3, "two unit vectors"),
        ("ImageOrientationPatient", [[1, 0, 0, 0.3, 0.95, 0]] * 3, "two unit vectors"),
    ],
)
def test_positions_that_cannot_be_right(make_series, keyword, values, what):
    def change(k, dataset):
        dataset.SliceLocation = 2.5 * k
        if isinstance(values[k], list) and "nan" in values[k]:
            dataset.add_new(0x00200032, "DS", values[k])
        else:
            setattr(dataset, keyword, values[k])

    folder = make_series(3, change)
    with pytest.raises(ValueError, match=what):
        read_series(folder, allow_gaps=True)
    assert not inspect_folder(folder)[0].readable


@pytest.mark.parametrize("keyword", ["RescaleSlope", "RescaleIntercept"])
@pytest.mark.parametrize("value", [[1, 2], "", "nan", "1_0", "1e20"])
def test_a_rescale_is_one_number(make_series, keyword, value):
    tag = pydicom.datadict.tag_for_keyword(keyword)
    folder = make_series(2, lambda k, dataset: dataset.add_new(tag, "DS", value))
    with pytest.raises(ValueError, match="expected a rescale slope and intercept in every slice"):
        read_series(folder)


@pytest.mark.parametrize("tag", [0x00280010, 0x00280011, 0x00280101])
def test_a_size_of_several_values(make_series, tag):
    folder = make_series(2, lambda k, dataset: dataset.add_new(tag, "US", [16, 16]))
    with pytest.raises(ValueError, match="expected one value as"):
        read_series(folder)


# Whether all is there


@pytest.mark.parametrize("syntax", [JPEGLSLossless, RLELossless])
@pytest.mark.parametrize(("images", "declared"), [(2, None), (2, 1), (1, 2)])
def test_encoded_images_are_counted(make_series, syntax, images, declared):
    def change(k, dataset):
        dataset.compress(syntax, generate_instance_uid=False)
        one = next(generate_frames(dataset.PixelData, number_of_frames=1))
        dataset.PixelData = encapsulate([one] * images, has_bot=False)
        dataset.NumberOfFrames = declared

    with pytest.raises(ValueError, match="expected one image in a classic CT object, got 2"):
        read_series(make_series(2, change))


def test_an_image_in_several_fragments_is_one(make_series):
    def change(k, dataset):
        dataset.compress(JPEGLSLossless, generate_instance_uid=False)
        one = next(generate_frames(dataset.PixelData, number_of_frames=1))
        dataset.PixelData = encapsulate([one], fragments_per_frame=2, has_bot=k == 0)

    assert (read_series(make_series(2, change)).hu[:, 8, 8] == 0).all()


@pytest.mark.parametrize(("frames", "held"), [(3, 4), (4, 3)])
def test_frames_and_pixels_of_an_enhanced_object(make_enhanced, frames, held):
    def change(dataset):
        groups = dataset.PerFrameFunctionalGroupsSequence
        dataset.PerFrameFunctionalGroupsSequence = list(groups)[:frames]
        dataset.NumberOfFrames, dataset.PixelData = frames, dataset.PixelData[: held * 512]

    with pytest.raises(ValueError, match=r"expected 1536 bytes|needed for image 4"):
        read_series(make_enhanced([0, 1, 2, 3], change))


def test_columns_that_pixels_contradict(make_series):
    folder = make_series(2, lambda k, dataset: setattr(dataset, "Columns", 15))
    with pytest.raises(ValueError, match="expected 480 bytes of pixels by its header, got 512"):
        read_series(folder)


def test_a_part_of_a_concatenation(make_enhanced):
    def change(dataset):
        dataset.ConcatenationUID = "1.2.55"
        dataset.InConcatenationNumber, dataset.InConcatenationTotalNumber = 1, 2

    path = make_enhanced([0, 1], change)
    with pytest.raises(ValueError, match=r"expected 2 parts .* got 1 \(missing: 2\).*allow_gaps"):
        read_series(path)
    assert read_series(path, allow_gaps=True).shape[0] == 2


@pytest.mark.parametrize(
    ("keyword", "what"),
    [("ImagesInAcquisition", "acquisition"), ("NumberOfSeriesRelatedInstances", "series")],
)
def test_fewer_images_than_the_header_counts(make_series, keyword, what):
    finding = f"the header counts 5 images in the {what}, 4 are there"
    assert finding in said(make_series(4, given(keyword, [5] * 4)))
    assert "header counts" not in said(make_series(5, given(keyword, [5] * 5)))


def test_a_series_of_which_no_file_is_whole_is_named(make_series):
    folder = make_series(3)
    make_series(2, uid="1.2.4")
    for file in folder.glob("1.2.4-*"):
        file.write_bytes(file.read_bytes()[:-100])
    lost = {r.uid: r for r in inspect_folder(folder)}["1.2.4"]
    assert not lost.readable
    assert len(lost.problems) == 2
    with pytest.raises(ValueError, match=r"got 2 damaged.*1\.2\.4-"):
        read_series(folder)
    assert read_series(folder, series_uid="1.2.3").shape[0] == 3
    assert read_series(folder, skip_damaged=True).shape[0] == 3


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRLittleEndian])
@pytest.mark.parametrize("cut", [-100, 200])
def test_cut_files_without_preamble_can_be_left_out(make_series, syntax, cut):
    folder = make_series(4, lambda k, d: setattr(d.file_meta, "TransferSyntaxUID", syntax))
    for k, file in enumerate(sorted(folder.iterdir())):
        data = file.read_bytes()
        data = data[data.index(b"\x08\x00\x08\x00") :]
        file.write_bytes(data if k else data[:cut])
    with pytest.raises(ValueError, match=r"got 1 damaged.*-96\.dcm"):
        read_series(folder)
    volume = read_series(folder, skip_damaged=True)
    assert volume.shape[0] == 3
    assert any("left out: -96.dcm" in p for p in volume.problems)


def test_images_that_cannot_be_decoded_are_named_and_left_out(make_series):
    folder = make_series(4, lambda k, d: d.compress(JPEGLSLossless, generate_instance_uid=False))
    broken = sorted(folder.iterdir())[:2]
    for file in broken:
        data = bytearray(file.read_bytes())
        data[-60:-20] = b"\xff" * 40
        file.write_bytes(data)
    problems = said(folder)
    assert all(f"{file.name} cannot be decoded" in problems for file in broken)
    volume = read_series(folder, skip_damaged=True)
    assert np.array_equal(volume.hu[:, 0, 0], [-924, -923])
    assert sum("left out" in p for p in volume.problems) == 2


def test_frames_at_one_place_are_named_by_their_numbers(make_enhanced):
    def change(dataset):
        first, second = dataset.PerFrameFunctionalGroupsSequence[:2]
        second.PlanePositionSequence = first.PlanePositionSequence

    with pytest.raises(ValueError, match=r"E\.dcm frame 1 and E\.dcm frame 2"):
        read_series(make_enhanced([0, 1, 2], change))


@pytest.mark.parametrize(("intercept", "agrees"), [(-1024, True), (-1000, False)])
def test_a_frame_and_its_shared_groups_say_one_thing(make_enhanced, intercept, agrees):
    """A functional group stands in one of both (PS3.3, C.7.6.16); of two values none is right."""

    def change(dataset):
        for group in dataset.PerFrameFunctionalGroupsSequence:
            own = item(RescaleSlope=1, RescaleIntercept=intercept, RescaleType="HU")
            group.PixelValueTransformationSequence = [own]

    folder = make_enhanced([0, 1, 2], change)
    if agrees:
        assert read_series(folder).shape[0] == 3
        return
    with pytest.raises(ValueError, match=r"RescaleIntercept of a frame is \(-1000.0,\)"):
        read_series(folder)

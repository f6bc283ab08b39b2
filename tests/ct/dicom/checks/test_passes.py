"""Passes that share a series are told apart by whatever marks them; one stack stays one."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ctlab.ct import inspect_folder, read_series, write_series
from tests.ct.conftest import item

MARKS = [
    ("TemporalPositionIdentifier", [1, 2]),
    ("TemporalPositionIndex", [1, 2]),
    ("StackID", ["1", "2"]),
    ("SeriesNumber", [4, 10]),
    ("IrradiationEventUID", ["1.2.70", "1.2.71"]),
    ("TriggerTime", ["90", "450"]),
    ("NominalPercentageOfCardiacPhase", [35.0, 75.0]),
    ("FrameReferenceTime", ["100", "900"]),
    ("ReconstructionDiameter", ["350", "400"]),
    ("FilterType", ["BODY", "HEAD"]),
    ("SliceThickness", ["2.5", "5"]),
    ("ConvolutionKernel", ["B30f", "B70f"]),
    ("KVP", ["80", "140"]),
    ("ContrastBolusAgent", [None, "Iopromide"]),
    ("SeriesTime", ["101000", "101500"]),
    ("ContentTime", ["101000", "101500"]),
    ("InstanceCreationTime", ["101000", "101500"]),
    ("ImageComments", ["30 %", "75 %"]),
]


def interleaved(offset_mm, **values):
    def change(k, dataset):
        second, z = k % 2, k // 2
        dataset.ImagePositionPatient[2] = 10 + 2.5 * z + offset_mm * second
        for keyword, pair in values.items():
            setattr(dataset, keyword, pair[second])

    return change


@pytest.mark.parametrize("offset_mm", [0.0, 0.3, 1.25])
@pytest.mark.parametrize(("keyword", "pair"), MARKS)
def test_any_mark_tells_passes_apart(make_series, keyword, pair, offset_mm):
    folder = make_series(6, interleaved(offset_mm, **{keyword: pair}))
    reports = inspect_folder(folder)
    assert [r.shape[0] for r in reports] == [3, 3]
    assert all(r.readable and "#" in r.uid for r in reports)
    with pytest.raises(ValueError, match="holds 2 CT series; pass series_uid= to choose"):
        read_series(folder, allow_gaps=True)
    starts = sorted(read_series(folder, series_uid=r.uid).origin_mm[2] for r in reports)
    assert starts == pytest.approx([10, 10 + offset_mm])


@pytest.mark.parametrize("keyword", ["AcquisitionNumber", "TemporalPositionIdentifier"])
def test_one_slice_between_two_of_another_pass(make_series, keyword):
    def change(k, dataset):
        dataset.ImagePositionPatient[2] = 1.25 * k
        setattr(dataset, keyword, 1 + k % 2)

    assert [r.shape[0] for r in inspect_folder(make_series(3, change))] == [2, 1]


@pytest.mark.parametrize("offset_mm", [-2.5, -3.1, -6.25])
def test_passes_that_overlap_at_their_ends(make_series, offset_mm):
    def change(k, dataset):
        dataset.ImagePositionPatient[2] = 2.5 * k + (offset_mm if k > 4 else 0)
        dataset.SeriesNumber = 1 + k // 5

    assert [r.shape[0] for r in inspect_folder(make_series(10, change))] == [5, 5]


def test_a_pass_that_comes_back_after_the_last_slice(make_series):
    """Out and home again, half a step aside: the first slice home lies beyond the last one out."""

    def change(k, dataset):
        dataset.ImagePositionPatient[2] = 2.5 * k if k < 4 else 2.5 * (7 - k) + 1.25
        dataset.AcquisitionTime = f"1010{k:02d}"

    assert [r.shape[0] for r in inspect_folder(make_series(8, change))] == [4, 4]


def test_passes_within_passes(make_series):
    """Two phases of two reconstructions each, all at the same places."""

    def change(k, dataset):
        dataset.ImagePositionPatient[2] = 2.5 * (k // 4)
        dataset.TriggerTime, dataset.FilterType = f"{100 * (k % 2)}", "AB"[k // 2 % 2]

    uids = [r.uid.partition("#")[2] for r in inspect_folder(make_series(12, change))]
    assert sorted(uids) == ["0/A", "0/B", "100/A", "100/B"]


def test_frames_of_two_phases_in_one_enhanced_object(make_enhanced):
    from pydicom.dataset import Dataset

    def change(dataset):
        for k, groups in enumerate(dataset.PerFrameFunctionalGroupsSequence):
            place = [0, 0, 2.5 * (k // 2) + 1.25 * (k % 2)]
            groups.PlanePositionSequence[0].ImagePositionPatient = place
            content = Dataset()
            content.TemporalPositionIndex = 1 + k % 2
            groups.FrameContentSequence = [content]

    assert [r.shape[0] for r in inspect_folder(make_enhanced([0, 1, 2, 3], change))] == [2, 2]


def test_every_instance_number_twice(make_series):
    def change(k, dataset):
        interleaved(1.25)(k, dataset)
        dataset.InstanceNumber = k // 2

    folder = make_series(8, change)
    with pytest.raises(ValueError, match=r"every instance number occurs 2 times.*allow_gaps"):
        read_series(folder)
    assert read_series(folder, allow_gaps=True).shape[0] == 8


LEGAL = {
    "a step of the table for every trigger": ("TriggerTime", [612] * 4 + [700] * 4 + [605] * 4),
    "two slices scanned again": ("AcquisitionNumber", [1] * 5 + [2] * 2 + [1] * 5),
    "a number that one slice lacks": ("AcquisitionNumber", [1] * 4 + [None] + [1] * 7),
    "images made by several processes": (
        "ContentTime",
        [f"10101{(k + 3 * (k % 2)) // 3}" for k in range(12)],
    ),
    "a kernel that one slice lacks": ("ConvolutionKernel", ["B30f"] * 4 + [None] + ["B30f"] * 7),
    "a kernel with blanks": ("ConvolutionKernel", [["B30f", "2"], ["B30f ", "2 "]] * 6),
    "one number for all": ("InstanceNumber", [1] * 12),
}


@pytest.mark.parametrize("kind", LEGAL)
def test_one_stack_stays_one(make_series, kind):
    keyword, values = LEGAL[kind]
    folder = make_series(12, lambda k, dataset: setattr(dataset, keyword, values[k]))
    assert read_series(folder).shape[0] == 12


MARKING = ("AcquisitionNumber", "ContentTime", "TriggerTime", "InstanceNumber", "SeriesNumber")


@settings(
    derandomize=True,
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(seed=st.integers(0, 10**6), keyword=st.sampled_from(MARKING), slices=st.integers(6, 12))
def test_marks_in_any_order_leave_an_even_stack_whole(make_series, seed, keyword, slices):
    """Numbers and times given at will, one a slice, are no passes."""
    order = np.random.default_rng(seed).permutation(slices)

    def change(k, dataset):
        setattr(dataset, keyword, f"1010{order[k]:02d}" if "Time" in keyword else int(order[k]))

    for file in make_series(0).iterdir():  # of the example before
        file.unlink()
    assert read_series(make_series(slices, change)).shape[0] == slices


def test_a_written_pass_has_the_facts_of_its_own_frames(make_enhanced, tmp_path):
    """Two energies at the same places in one object: kVp, mA and source frame are its own."""
    from pydicom import dcmread

    def two(dataset):
        groups = dataset.PerFrameFunctionalGroupsSequence
        for number, group in enumerate(groups):
            group.PlanePositionSequence = groups[number % 3].PlanePositionSequence
            group.CTXRayDetailsSequence = [item(KVP=80.0 if number < 3 else 140.0)]
            group.CTExposureSequence = [item(XRayTubeCurrentInmA=100.0 + number)]
            group.FrameContentSequence = [item(FrameAcquisitionNumber=1 + number // 3)]

    path = make_enhanced([0, 1, 2, 3, 4, 5], two)
    volume = read_series(path, series_uid="#2")
    written = map(dcmread, write_series(volume, tmp_path / "out", description="second pass"))
    facts = [
        (d.KVP, d.XRayTubeCurrent, d.SourceImageSequence[0].ReferencedFrameNumber) for d in written
    ]
    assert facts == [(140, 103, 4), (140, 104, 5), (140, 105, 6)]
    assert volume.slices(1, 3).source_frames == (4, 5)

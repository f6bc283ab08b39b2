"""Series are compared slice by slice where they lie in the patient, or not at all."""

import pytest

from ctlab.ct import named_window, read_series
from ctlab.ct.denoiser import Denoiser
from ctlab.workflows.evaluate import evaluate_folders
from tests.ct.conftest import ct_slice

CHEST = named_window("chest")


@pytest.fixture
def write(tmp_path):
    """Write the slices ``kept`` of one scan to a folder; ``change`` may alter each."""

    def written(name, kept=(0, 1, 2, 3, 4, 5), change=None):
        (tmp_path / name).mkdir()
        for k in kept:
            dataset = ct_slice(k, size=48)
            if change:
                change(k, dataset)
            dataset.save_as(tmp_path / name / f"{k}.dcm", enforce_file_format=True)
        return tmp_path / name

    return written


def test_one_scan_with_the_same_gap_is_compared_with_itself(write):
    kept = (0, 1, 2, 4, 5)
    table = evaluate_folders(write("a", kept), [write("b", kept)], window=CHEST, allow_gaps=True)
    assert table["rmse_hu"].tolist() == [0.0] * 5


def test_one_scan_with_other_gaps_is_refused(write):
    a, b = write("a", (0, 1, 3, 4, 5)), write("b", (0, 1, 2, 4, 5))
    with pytest.raises(ValueError, match=r"1 of 5 slices lie elsewhere: slice 2 at .* 17.5\) mm"):
        evaluate_folders(a, [b], window=CHEST, allow_gaps=True)


def test_another_patient_or_frame_of_reference_is_said(write):
    def other(k, dataset):
        dataset.PatientID, dataset.FrameOfReferenceUID = "P2", "1.2.77"

    said = []
    a, b = write("a"), write("b", change=other)
    table = evaluate_folders(a, [b], window=CHEST, note=said.append)
    assert table["rmse_hu"].tolist() == [0.0] * 6  # a de-identified copy is compared
    text = " ".join(said)
    assert "patient differs (reference 'P1', image 'P2')" in text
    assert "frame of reference differs" in text
    said.clear()
    evaluate_folders(a, [a], window=CHEST, note=said.append)
    assert "differs" not in " ".join(said)


def test_axes_turned_by_90_degrees_are_refused(write):
    def turned(k, dataset):
        dataset.ImageOrientationPatient = [0, 1, 0, -1, 0, 0]

    with pytest.raises(ValueError, match="orientation differs"):
        evaluate_folders(write("a"), [write("b", change=turned)], window=CHEST)


def test_a_sheared_stack_is_no_match_for_an_upright_one(write):
    def tilted(k, dataset):
        x, y, z = dataset.ImagePositionPatient
        dataset.ImagePositionPatient = [x, y + k, z]

    with pytest.raises(ValueError, match="5 of 6 slices lie elsewhere"):
        evaluate_folders(write("a"), [write("b", change=tilted)], window=CHEST)


def test_a_volume_knows_where_its_slices_lie_beside_a_gap(write):
    volume = read_series(write("a", (0, 1, 2, 4, 5)), allow_gaps=True)
    heights = [volume.slice_origin_mm(k)[2] for k in range(5)]
    assert heights == [10.0, 12.5, 15.0, 20.0, 22.5]
    assert volume.slices(2, 5).slice_origin_mm(1)[2] == 20.0


def test_a_denoiser_is_an_arm_of_its_own(write):
    """One that adds 5 HU to a copy of the reference: bias and error of 5 HU, nothing else."""
    brighter = Denoiser("brighter", lambda hu, _mm: hu + 5)
    a, b = write("a"), write("b")
    table = evaluate_folders(a, [b], window=CHEST, models=[brighter])
    assert table["arm"].unique().tolist() == [str(b), f"{b}, brighter"]
    made = table[table["arm"] == f"{b}, brighter"]
    assert made["rmse_hu"].to_numpy() == pytest.approx([5.0] * 6, abs=1e-3)
    assert table[table["arm"] == str(b)]["rmse_hu"].tolist() == [0.0] * 6


def test_patients_that_are_left_out_are_named(write, tmp_path):
    """More patients than the reference has, and those of whom no file can be read."""

    def second(k, dataset):
        dataset.PatientID, dataset.StudyInstanceUID = "P2", "1.2.9"
        dataset.SeriesInstanceUID, dataset.SOPInstanceUID = "1.2.9.1", f"1.2.9.1.{k}"

    reference, both, said = write("one"), tmp_path / "two", []
    both.mkdir()
    write("two/P1"), write("two/P2", change=second)
    table = evaluate_folders(reference, [both], window=CHEST, note=said.append)
    assert set(table["patient"]) == {"P1"}
    assert "left out: 1 patients are not in the reference: P2" in " ".join(said)
    for file in (both / "P2").glob("*.dcm"):
        file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(ValueError, match="6 damaged files of series that nothing else is left of"):
        evaluate_folders(both, [both], window=CHEST)
    said.clear()
    evaluate_folders(both, [both], window=CHEST, skip_damaged=True, note=said.append)
    assert "left out: 0.dcm is cut short" in " ".join(said)

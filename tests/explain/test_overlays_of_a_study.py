"""Maps that the kit writes as DICOM lie over the images of a reader study, each in its slice."""

import numpy as np
import pytest

from ctlab.ct import Volume, read_series, write_series
from ctlab.explain import AuditPlan, explain_region, write_archive, write_parametric_map
from reader_study.blinding.overlay_files import read_overlay
from reader_study.design.protocol import Case

QUICK = AuditPlan(draws=2, random_networks=2, fractions=(0.02,))


@pytest.fixture
def scan(tmp_path, slice_hu):
    hu = np.stack([slice_hu, slice_hu + 5, slice_hu - 5]).round()
    volume = Volume(hu, (2.5, 0.8, 0.7), origin_mm=(-20.0, 11.0, 100.0))
    write_series(volume, tmp_path / "scan", description="disc")
    return read_series(tmp_path / "scan")


@pytest.fixture
def study(tmp_path):
    (tmp_path / "study" / "overlays").mkdir(parents=True)
    return tmp_path / "study"


def test_a_parametric_map_keeps_its_numbers_and_its_slice(scan, study, slice_hu):
    values = np.zeros(slice_hu.shape, np.float32)
    values[20:30, 25:40] = -3.25
    path = study / "overlays" / "case.dcm"
    write_parametric_map(values, path, scan, 1, label="removed", unit="HU")
    found = read_overlay(study, Case(name="case", patient="p"), scan)
    np.testing.assert_allclose(found[1], values, atol=1e-6)
    assert not found[[0, 2]].any()
    slab = read_overlay(study, Case(name="case", patient="p", slices=(1, 3)), scan)
    np.testing.assert_allclose(slab[0], values, atol=1e-6)


def test_a_segmentation_marks_its_regions_and_several_files_lie_each_in_its_slice(
    scan, study, tmp_path, smoother
):
    made = explain_region(smoother, scan.hu[2], (30, 34, 4), method="gradient", plan=QUICK)
    _, segmentation, _ = write_archive(made, tmp_path / "maps", scan, 2)
    folder = study / "overlays" / "case"
    folder.mkdir()
    (folder / "a.dcm").write_bytes(segmentation.read_bytes())
    ones = np.zeros(scan.shape[1:], np.float32)
    ones[5:9, 5:9] = 0.5
    write_parametric_map(ones, folder / "b.dcm", scan, 0, label="band", unit="share")
    found = read_overlay(study, Case(name="case", patient="p"), scan)
    np.testing.assert_allclose(found[0], ones)
    assert (found[2][made.mask.astype(bool)] > 0).all()
    assert not found[1].any()


def test_a_map_of_another_scan_is_refused(scan, study):
    far = Volume(scan.hu, scan.spacing_mm, origin_mm=(-20.0, 11.0, 400.0))
    values = np.ones(scan.shape[1:], np.float32)
    path = study / "overlays" / "case.dcm"
    write_parametric_map(values, path, far, 1, label="band", unit="share")
    with pytest.raises(ValueError, match="lies in no slice of the series"):
        read_overlay(study, Case(name="case", patient="p"), scan)


def test_marks_of_a_model_become_balls_as_bright_as_it_is_sure(scan, study):
    path = study / "overlays" / "case.csv"
    path.write_text("z,y,x,diameter_mm,confidence\n1,8,9,6,100\n2,20,20,4,50\n", "utf-8")
    found = read_overlay(study, Case(name="case", patient="p"), scan)
    assert found.shape == scan.shape
    assert found[1, 8, 9] == 1.0
    assert found[2, 20, 20] == 0.5
    assert found[1, 20, 2] == 0.0
    path.write_text("z,y,x\n1,8,9\n", "utf-8")
    with pytest.raises(ValueError, match="diameter_mm"):
        read_overlay(study, Case(name="case", patient="p"), scan)

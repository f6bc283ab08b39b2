"""A passport in the archive: numbers, limits and results of each check, beside its series."""

import shutil
import subprocess
from pathlib import Path

import pydicom
import pytest
from highdicom.sr import srread
from typer.testing import CliRunner

from ctlab.__main__ import app
from ctlab.ct import write_sample
from ctlab.passport import Passport, read_passport, write_structured_report

SHIPPED = Path(__file__).resolve().parents[2] / "experiments" / "shipped_model" / "passport.json"


@pytest.fixture(scope="module")
def filed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("archive")
    write_sample(folder / "scan")
    files = sorted((folder / "scan").glob("*.dcm"))[:3]
    passport = read_passport(SHIPPED)
    return passport, files, write_structured_report(passport, folder / "report.dcm", files)


def test_every_number_is_a_measurement_with_its_unit_and_result(filed):
    passport, files, path = filed
    report = srread(path)
    (group,) = report.content.get_image_measurement_groups()
    numbers = {m.name.meaning: (m.value, m.unit.value) for m in group.get_measurements()}
    expected = {r["name"][:64]: r for r in passport.checks if r["value"] is not None}
    assert set(numbers) == set(expected)
    for name, row in expected.items():
        assert numbers[name][0] == pytest.approx(row["value"])
    assert numbers["bias in lung"][1] == "[hnsf'U]"
    said = {e.name.meaning: e.value.meaning for e in group.get_qualitative_evaluations()}
    for name, row in expected.items():
        word = "Passed" if row["passed"] else "Failed"
        assert said[f"Limit of {name}"[:64]].startswith(word), name
    source = pydicom.dcmread(files[0])
    assert (report.StudyInstanceUID, report.PatientID) == (
        source.StudyInstanceUID,
        source.PatientID,
    )
    assert "not for diagnosis" in report.SeriesDescription


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dicom3tools are not installed")
def test_dciodvfy_finds_no_error(filed):
    told = subprocess.run(["dciodvfy", filed[2]], capture_output=True, text=True)
    assert "Error" not in told.stderr + told.stdout, told.stderr


def test_a_passport_without_numbers_or_a_series_is_refused_and_leaves_nothing(filed, tmp_path):
    passport, files, _ = filed
    with pytest.raises(ValueError, match="got 0 numbers"):
        write_structured_report(Passport([], {}, {}), tmp_path / "a.dcm", files)
    with pytest.raises(ValueError, match="and 0 files"):
        write_structured_report(passport, tmp_path / "a.dcm", [])
    assert list(tmp_path.iterdir()) == []


def test_the_command_files_it(filed, tmp_path):
    _, files, _ = filed
    words = ["archive", str(SHIPPED.parent), str(files[0].parent), "--out", str(tmp_path / "r.dcm")]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    assert srread(tmp_path / "r.dcm").SOPClassUID.name == "Comprehensive SR Storage"

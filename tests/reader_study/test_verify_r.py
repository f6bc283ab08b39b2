"""The check by R: what ran it, what it says of a result not repeated, and what it needs."""

import os
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from reader_study.cli.study import app
from reader_study.report.verify_r import verify_r

ANALYSED = Path(__file__).parents[1] / "data" / "analysed-study"
WEBR = os.environ.get("CTLAB_WEBR")


@pytest.fixture
def study(tmp_path):
    return shutil.copytree(ANALYSED, tmp_path / "study")


@pytest.mark.skipif(shutil.which("Rscript") is None, reason="Rscript is not installed")
def test_r_repeats_the_result_and_says_when_it_does_not(study):
    found = verify_r(study)
    assert (found.repeated, found.by) == (True, "Rscript")
    assert "The published result is repeated" in found.output
    script = study / "report" / "primary.R"
    published = "c(estimate = 1, low = 1, high = 1) * c("
    text = script.read_text("utf-8")
    script.write_text(text.replace(published, published + "0.01 + "), "utf-8")
    done = CliRunner().invoke(app, ["verify-r", str(study)])
    assert done.exit_code == 1
    assert "NOT repeated" in done.stdout


@pytest.mark.skipif(WEBR is None, reason="CTLAB_WEBR names no folder with the npm package webr")
def test_r_in_webassembly_repeats_the_result(study):
    found = verify_r(study, webr=Path(WEBR))
    assert (found.repeated, found.by) == (True, "webR")


def test_without_any_r_it_says_what_to_install(study, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ValueError, match="`npm install webr ws`"):
        verify_r(study)
    (study / "report" / "primary.R").unlink()
    with pytest.raises(ValueError, match="run reader-study report first"):
        verify_r(study)

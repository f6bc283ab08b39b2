"""Metal of 38,000 HU and more through every command that writes a series."""

import json

import numpy as np
import pydicom
import pytest
from typer.testing import CliRunner

from ctlab.__main__ import app
from ctlab.ct import Volume, read_series, write_series

METAL_HU = 38_000


@pytest.fixture(scope="module")
def scan(tmp_path_factory):
    """Noisy water in air; three pixels of the second slice are metal, one of them 70,000 HU."""
    hu = np.full((3, 64, 64), -1000.0)
    hu[:, 6:-6, 6:-6] = 40 + np.random.default_rng(3).normal(0, 40, (3, 52, 52))
    hu[1, 30:32, 30] = METAL_HU
    hu[1, 40, 40] = 70_000
    folder = tmp_path_factory.mktemp("metal") / "scan"
    write_series(Volume(hu.astype(np.float32), (2.5, 0.7, 0.7)), folder, description="metal")
    return folder


def ctlab(*words):
    done = CliRunner().invoke(app, list(map(str, words)))
    assert done.exit_code == 0, done.output + str(done.exception)
    return done.stdout


@pytest.mark.parametrize(
    "words", [("simulate", "--dose", "1"), ("denoise", "--method", "tv", "--strength", "0")]
)
def test_metal_is_stored_with_a_slope_that_fits_or_clamped_and_counted(scan, tmp_path, words):
    command, *options = words
    ctlab(command, scan, tmp_path / "whole", *options)
    made = read_series(tmp_path / "whole").hu
    assert abs(made[1, 30, 30] - METAL_HU) <= 1  # half of a slope of 2
    assert abs(made[1, 40, 40] - 70_000) <= 1
    assert np.abs(made[0] - read_series(scan).hu[0]).max() <= 0.5
    assert read_series(tmp_path / "whole").hu.max() > 69_000

    told = json.loads(ctlab(command, scan, tmp_path / "clip", *options, "--clip", "--json"))
    assert "3 pixels beyond -33792 to 31743 HU were clamped to that range" in told["problems"]
    clipped = read_series(tmp_path / "clip").hu
    assert clipped.max() == 31743
    assert (clipped == 31743).sum() == 3
    files = [pydicom.dcmread(f) for f in (tmp_path / "clip").iterdir()]
    assert {(d.RescaleSlope, d.RescaleIntercept) for d in files} == {(1, -1024)}
    assert all("clamped to -33792 to 31743" in d.DerivationDescription for d in files)


def test_nothing_is_said_to_be_clamped_where_nothing_was(tmp_path):
    hu = np.full((3, 64, 64), -1000.0, np.float32)
    hu[:, 6:-6, 6:-6] = np.random.default_rng(3).normal(40, 40, (3, 52, 52))
    write_series(Volume(hu, (2.5, 0.7, 0.7)), tmp_path / "in", description="water")
    told = json.loads(
        ctlab("simulate", tmp_path / "in", tmp_path / "o", "--dose", "1", "--clip", "--json")
    )
    assert not any("clamped" in problem for problem in told["problems"])

"""A streamed simulation writes what the in-memory one computes."""

from dataclasses import replace
from importlib.metadata import version

import numpy as np
import pydicom
import pytest

from ctlab.ct import (
    calibrate,
    load_sample,
    read_series,
    simulate_dose,
    simulate_series,
    write_series,
)
from ctlab.ct.noise_level import probe_indices
from ctlab.ct.simulation.scanner import Scanner
from ctlab.workflows.denoise import denoise_series

SCANNER = Scanner(photons=8e4, views=60)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two slices of the sample as a series of their own."""
    path = tmp_path_factory.mktemp("sample") / "two"
    write_series(load_sample().slices(19, 21), path, description="Two slices")
    return path


def test_streamed_and_in_memory_agree(folder, tmp_path):
    seen = []
    report = simulate_series(
        folder,
        tmp_path / "out",
        fraction=0.1,
        seed=7,
        scanner=SCANNER,
        progress=lambda done, total: seen.append((done, total)),
    )
    written = read_series(tmp_path / "out")
    volume = read_series(folder)
    wanted = simulate_dose(volume, 0.1, rng=np.random.default_rng(7), scanner=SCANNER)
    assert np.abs(written.hu - wanted.hu).max() <= 0.51
    assert seen == [(1, 2), (2, 2)]
    assert report.slices == 2
    assert report.noise_sd_hu > 2 * report.reference_noise_hu
    assert set(report.as_dict()) >= {"dose", "noise_sd_hu", "reference_noise_hu"}
    header = pydicom.dcmread(written.sources[0])
    assert "10 % of this scan's own dose" in header.DerivationDescription
    assert "leaves out: the texture of the scanner's kernel" in header.DerivationDescription
    assert header.DerivationDescription.endswith(f"(CT Lab dose simulation {version('ctlab')})")
    assert "correlation between slices" in report.as_dict()["left_out"]
    assert header.DerivationCodeSequence[0].CodeValue == "113042"


def test_dose_one_copies_the_pixels(folder, tmp_path):
    report = simulate_series(folder, tmp_path / "out", fraction=1.0, scanner=SCANNER)
    assert np.array_equal(read_series(tmp_path / "out").hu, read_series(folder).hu)
    assert report.noise_sd_hu == report.reference_noise_hu


def test_bad_input_leaves_nothing_behind(folder, tmp_path):
    with pytest.raises(ValueError, match="above 0 and at most 1"):
        simulate_series(folder, tmp_path / "out", fraction=7)
    with pytest.raises(ValueError, match="does not exist"):
        simulate_series(tmp_path / "none", tmp_path / "out", fraction=0.5)
    assert not (tmp_path / "out").exists()


def test_probes_spread_over_the_series():
    for count in (1, 11, 12, 13, 400):
        chosen = probe_indices(count)
        assert len(chosen) == len(set(chosen)) == (count if count < 12 else 9)
        assert min(chosen) >= 0
        assert max(chosen) < count


def test_the_command_calibrates_as_the_function_does(tmp_path):
    """Its trial slices alone are in memory; the function has them all."""
    sample = load_sample().slices(5, 19)
    sample = replace(sample, hu=sample.hu[:, 128:384, 128:384])  # quicker
    write_series(sample, tmp_path / "full", description="Full")
    report = simulate_series(tmp_path / "full", tmp_path / "low", fraction=1.0)
    assert report.photons == pytest.approx(calibrate(read_series(tmp_path / "full")).photons)
    said = "photons by the noise of 5 slices (within 9%), alike in all slices"
    assert report.calibration_in_words() == said
    assert report.as_dict()["photons_known_to"] == pytest.approx(0.2 / 5**0.5)


def test_what_is_read_is_never_replaced(folder):
    before = sorted(folder.iterdir())
    for out in (folder, folder.parent):
        with pytest.raises(ValueError, match="holds what is read"):
            simulate_series(folder, out, fraction=0.5, overwrite=True)
        with pytest.raises(ValueError, match="holds what is read"):
            denoise_series(folder, out, method="tv", overwrite=True)
    assert sorted(folder.iterdir()) == before

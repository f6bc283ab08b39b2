"""Every command that reads a series can be told which one, and to take gaps and tilt."""

from dataclasses import replace
from importlib.util import find_spec

import pydicom
import pytest
from typer.testing import CliRunner

from ctlab.__main__ import app
from ctlab.ct import load_sample, read_series, write_series

COMMANDS = {
    "simulate": ["simulate", "{scan}", "{out}", "--dose", "0.5"],
    "denoise": ["denoise", "{scan}", "{out}", "--method", "bilateral"],
    "evaluate": ["evaluate", "{scan}", "{scan}"],
    "explain": ["explain", "{scan}", "--slice", "1", "--roi", "60", "60", "5"],
    "passport": ["passport", "{scan}", "--method", "tv", "--out", "{out}"],
}
needs_torch = pytest.mark.skipif(find_spec("torch") is None, reason="needs torch")
EVERY_COMMAND = [
    pytest.param(name, marks=needs_torch if name in {"explain", "passport"} else ())
    for name in COMMANDS
]


def invoke(words, scan, out, *more):
    filled = [w.format(scan=scan, out=out) for w in words]
    return CliRunner().invoke(app, [*filled, *map(str, more)])


@pytest.fixture(scope="module")
def scans(tmp_path_factory):
    """Pieces of the sample: two series in one folder, one without a slice, one tilted."""
    root = tmp_path_factory.mktemp("scans")
    piece = load_sample().slices(17, 23)
    piece = replace(piece, hu=piece.hu[:, 200:328, 200:328])
    for name in ("two/a", "two/b", "gap", "tilt"):
        write_series(piece, root / name, description=name)
    sorted((root / "gap").iterdir())[2].unlink()
    for k, file in enumerate(sorted((root / "tilt").iterdir())):
        dataset = pydicom.dcmread(file)
        x, y, z = dataset.ImagePositionPatient
        dataset.ImagePositionPatient = [x, y + 1.5 * k, z]
        dataset.save_as(file)
    return root


def uid(folder):
    return read_series(folder).acquisition.series_uid


@pytest.fixture
def stop_at_the_passport(monkeypatch):
    """What the passport would examine, without its minutes of checks."""
    seen = []

    def stop(volumes, *_, **__):
        seen.extend(volumes)
        raise ValueError("far enough")

    monkeypatch.setattr("ctlab.passport.compare.make_passport", stop)
    return seen


@pytest.mark.parametrize("command", EVERY_COMMAND)
def test_two_series_are_refused_with_the_option_to_choose(scans, tmp_path, command):
    done = invoke(COMMANDS[command], scans / "two", tmp_path / "out")
    assert isinstance(done.exception, ValueError)
    assert "--series" in str(done.exception)
    assert uid(scans / "two" / "a") in str(done.exception)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("command", EVERY_COMMAND)
def test_gaps_are_refused_with_the_option_to_accept_them(scans, tmp_path, command):
    done = invoke(COMMANDS[command], scans / "gap", tmp_path / "out")
    assert isinstance(done.exception, ValueError)
    assert "--allow-gaps" in str(done.exception)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("command", ["simulate", "denoise"])
@pytest.mark.parametrize("which", ["a", "b"])
def test_the_series_that_is_named_is_taken(scans, tmp_path, command, which):
    wanted = uid(scans / "two" / which)
    done = invoke(COMMANDS[command], scans / "two", tmp_path / "out", "--series", wanted[-12:])
    assert done.exit_code == 0, done.exception
    source = read_series(scans / "two" / which)
    instances = {pydicom.dcmread(p).SOPInstanceUID for p in source.sources}
    for file in (tmp_path / "out").iterdir():
        (reference,) = pydicom.dcmread(file).SourceImageSequence
        assert reference.ReferencedSOPInstanceUID in instances
    done = invoke(COMMANDS[command], scans / "two", tmp_path / "no", "--series", "9.9.9")
    assert "ends in '9.9.9'" in str(done.exception)


@pytest.mark.parametrize("command", ["simulate", "denoise", "evaluate"])
def test_gaps_are_taken_where_they_are_allowed(scans, tmp_path, command):
    done = invoke(COMMANDS[command], scans / "gap", tmp_path / "out", "--allow-gaps")
    assert done.exit_code == 0, done.exception
    told = " ".join(done.output.split())  # what inspect says of the series
    assert "about 1 slices missing" in told
    assert "derived images" in told
    if command != "evaluate":
        assert read_series(tmp_path / "out", allow_gaps=True).shape == (5, 128, 128)


def test_evaluate_takes_a_name_for_each_folder_and_refuses_one_of_no_folder(scans, tmp_path):
    words = ["evaluate", str(scans / "two" / "a"), "{scan}"]
    meant = ("--series", uid(scans / "two" / "b"))
    done = invoke(words, scans / "two", tmp_path, *meant)
    assert done.exit_code == 0, done.exception
    done = invoke(words, scans / "two", tmp_path, *meant, "--series", "9.9.9")
    assert "no series ends in '9.9.9'" in str(done.exception)


@needs_torch
def test_the_passport_takes_all_of_them(scans, tmp_path, stop_at_the_passport):
    words, out = COMMANDS["passport"], tmp_path / "out"
    refused = invoke(words, scans / "tilt", out)
    assert "on the command line --straighten or --allow-tilt" in str(refused.exception)
    b = uid(scans / "two" / "b")
    for folder, options in (
        ("tilt", ["--straighten"]),
        ("tilt", ["--allow-tilt"]),
        ("gap", ["--allow-gaps"]),
        ("two", ["--series", b]),
    ):
        assert str(invoke(words, scans / folder, out, *options).exception) == "far enough"
    upright, tilted, gap, two = stop_at_the_passport
    assert upright.shear_mm == (0.0, 0.0)
    assert tilted.shear_mm[0] == pytest.approx(1.5)
    assert gap.shape[0] == 5
    assert two.acquisition.series_uid == b


@needs_torch
def test_a_training_configuration_has_keys_for_them(scans):
    from ctlab.learn.config import Data, TrainConfig
    from ctlab.learn.data.domains import load_source

    tilted = str(scans / "tilt")
    with pytest.raises(ValueError, match="straighten=True"):
        load_source(tilted)
    assert load_source(tilted, Data(straighten=True)).shear_mm == (0.0, 0.0)
    assert load_source(tilted, Data(allow_tilt=True)).shear_mm[0] == pytest.approx(1.5)
    assert load_source(str(scans / "gap"), Data(allow_gaps=True)).shape[0] == 5
    a, b = (uid(scans / "two" / n) for n in "ab")
    chosen = load_source(str(scans / "two"), Data(series=(b, "9.9.9")))
    assert chosen.acquisition.series_uid == b != a
    text = '[data]\nfull = ["x"]\nseries = ["1.2"]\nallow_gaps = true\nstraighten = true\n'
    config = TrainConfig.from_toml_text(text)
    assert TrainConfig.from_toml_text(config.to_toml()) == config
    assert (config.data.series, config.data.allow_gaps) == (("1.2",), True)


@needs_torch
def test_the_study_of_the_sample_takes_none():
    done = CliRunner().invoke(app, ["explain", "--study", "--allow-gaps"])
    assert "--study takes no series" in str(done.exception)

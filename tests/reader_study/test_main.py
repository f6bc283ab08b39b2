"""The command line: one sentence and exit code 2 for bad input, JSON on request."""

import json
import sys
from dataclasses import dataclass

import numpy as np
import pytest

from ctlab.ct import Volume, write_series
from reader_study.cli.study import main
from reader_study.design.protocol_file import read_protocol


@dataclass
class Done:
    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def run(monkeypatch, capsys):
    """Function that runs a command in this process; what it printed, and its exit code."""

    def call(*arguments, check=None):
        monkeypatch.setattr(sys, "argv", ["reader-study", *map(str, arguments)])
        code = 0
        try:
            main()
        except SystemExit as stop:
            code = stop.code or 0
        done = Done(code, *capsys.readouterr())
        if check is not None:
            assert done.returncode == check, done.stderr
        return done

    return call


def snapshot(folder):
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*"))


@pytest.fixture
def filled(tmp_path, write_protocol):
    """Study of real DICOM folders, small."""
    study = tmp_path / "study"
    study.mkdir()
    (study / "protocol.toml").write_text(
        write_protocol(n_cases=3, design="repeats = 0\npatient_gap_trials = 1\n")
    )
    protocol, _ = read_protocol(study / "protocol.toml")
    rng = np.random.default_rng(0)
    for case in protocol.cases:
        anatomy = rng.normal(-500, 200, (2, 16, 16))
        for arm in protocol.arms:
            hu = (anatomy + rng.normal(0, 30, anatomy.shape)).astype(np.float32)
            folder = study / "arms" / arm.name / case.name
            write_series(Volume(hu, (2.0, 0.7, 0.7)), folder, description="test")
    (tmp_path / "pass").write_text("five words are long enough\n")
    return study


def test_a_misspelt_key_is_one_sentence_and_leaves_nothing(filled, tmp_path, run):
    path = filled / "protocol.toml"
    path.write_text(path.read_text().replace("patient_gap_trials", "patient_gap_trails"))
    before = snapshot(filled)
    done = run("lock", filled, "--passphrase-file", tmp_path / "pass", check=2)
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert "'patient_gap_trails'; did you mean 'patient_gap_trials'?" in done.stderr
    assert snapshot(filled) == before


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["status", "nowhere"], "no locked study"),
        (["serve", "nowhere"], "no locked study"),
        (["verify", "nowhere"], "no locked study"),
        (["lock", "nowhere", "--passphrase-file", "nofile"], "nofile"),
        (["export", "nowhere"], "not unblinded"),
        (["readers", "nowhere", "--replace", "R1"], "--add NAME"),
    ],
)
def test_bad_input_is_one_sentence(arguments, words, tmp_path, run, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = run(*arguments, check=2)
    assert done.stderr.count("\n") == 1
    assert words in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("cheap_seal")
def test_from_dicom_folders_to_results_by_commands_alone(filled, tmp_path, read_all, run):
    from reader_study.record.store import Reader

    locked = json.loads(
        run("lock", filled, "--passphrase-file", tmp_path / "pass", "--json", check=0).stdout
    )
    assert len(locked["commitment"]) == 64
    assert locked["balance"]["ok"]
    added = json.loads(run("readers", filled, "--add", "Dr One", "--json", check=0).stdout)
    (filled / "sealed").rename(tmp_path / "safe")
    read_all(filled, Reader(added["reader"], added["slot"], "", "", active=True))
    shown = run("status", filled, check=0).stdout
    assert "R1 slot 1: 5 of 5" in shown
    assert json.loads(run("verify", filled, "--json", check=0).stdout)["ok"]
    run("unblind", filled, "--passphrase-file", tmp_path / "pass", check=2)
    run("close", filled, check=0)
    unblind = ("unblind", filled, "--passphrase-file", tmp_path / "pass", "--who", "C")
    assert "1 of 2 reader slots is empty" in run(*unblind, check=2).stderr
    unblind += ("--reason", "one reader, as planned")
    assert "bring the sealed key back" in run(*unblind, check=2).stderr
    (tmp_path / "safe").rename(filled / "sealed")
    run(*unblind, check=0)
    results = json.loads(run("preference", filled, "--json", check=0).stdout)
    assert results["comparisons"][0]["pooled"]["n"] == 3
    assert "pooled" in run("preference", filled, check=0).stdout
    image = next((filled / "bundle" / "pixels").iterdir())
    image.write_bytes(image.read_bytes()[:-2])
    done = run("verify", filled, check=1)
    assert "was changed" in done.stdout

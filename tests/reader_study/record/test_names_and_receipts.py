"""Names stay with the coordinator, verification says what it rests on, two people hold one key."""

import json

import pandas as pd
import pytest
from typer.testing import CliRunner

from ctlab.files import write_csv
from reader_study.analysis.export import write_tables
from reader_study.blinding.leak_check import bundle_leaks
from reader_study.blinding.lock import lock_study
from reader_study.blinding.sealed_key import read_passphrases
from reader_study.blinding.unblind import unblind, verify
from reader_study.cli.study import app
from reader_study.design.protocol import Case
from reader_study.design.protocol_file import read_protocol
from reader_study.record.coordinator import add_reader, close, opened, withdraw_reader
from reader_study.record.paths import reader_names


def test_names_are_in_one_file_and_cells_that_a_spreadsheet_would_run_are_quoted(
    locked, read_all, passphrase
):
    study = locked(n_cases=4, readers=1)
    reader, _ = add_reader(study, "=HYPERLINK(1) Dr Roentgen")
    assert reader_names(study).read_text().strip() == "R1,'=HYPERLINK(1) Dr Roentgen"
    with opened(study) as (_, store):
        assert "Roentgen" not in json.dumps([event.payload for event in store.events()])
    read_all(study, reader)
    close(study)
    unblind(study, passphrase=passphrase, who="c")
    for path in write_tables(study):
        assert "Roentgen" not in path.read_text()


def test_a_table_keeps_numbers_and_quotes_formulas(tmp_path):
    table = pd.DataFrame({"a": ["=1", "@x", "-0.5", "plain"], "b": [-1.0, 2.0, 3.0, 4.0]})
    write_csv(tmp_path / "t.csv", table)
    assert (tmp_path / "t.csv").read_text().splitlines() == [
        "a,b",
        "'=1,-1.0",
        "'@x,2.0",
        "-0.5,3.0",
        "plain,4.0",
    ]


def test_a_missing_anchor_file_is_a_fault_and_the_verdict_says_what_it_was_held_against(locked):
    study = locked(n_cases=4)
    kept = study.parent / "receipt.txt"
    kept.write_text((study / "anchors.txt").read_text())
    verdict = verify(study)
    assert verdict.ok
    assert "no receipt held elsewhere" in verdict.against[1]
    assert verify(study, [kept]).against[1] == "1 receipts held elsewhere"
    said = CliRunner().invoke(app, ["verify", str(study)]).stdout
    assert "Checked against no receipt held elsewhere" in said
    (study / "anchors.txt").unlink()
    for receipts in (None, [kept]):
        assert "anchors.txt is missing" in verify(study, receipts).fault


@pytest.mark.usefixtures("cheap_seal")
def test_two_passphrases_are_both_needed(unlocked, fake_reader, tmp_path):
    study = unlocked(n_cases=4, readers=1)
    files = [tmp_path / name for name in ("one", "two")]
    for path in files:
        path.write_text(f"the passphrase of {path.name}\n")
    lock_study(study, passphrase=read_passphrases(files), read=fake_reader)
    close(study)
    run = ["unblind", str(study), "--reason", "nobody came"]
    for given in (files[:1], files[::-1]):
        options = [part for path in given for part in ("--passphrase-file", str(path))]
        refused = CliRunner().invoke(app, run + options)
        assert "needs both, in the same order" in str(refused.exception)
    options = [part for path in files for part in ("--passphrase-file", str(path))]
    assert CliRunner().invoke(app, run + options).exit_code == 0


def test_withdrawing_asks_for_a_reason(locked):
    study = locked(n_cases=4)
    add_reader(study, "one")
    with pytest.raises(ValueError, match=r"expected a reason .* for good"):
        withdraw_reader(study, "R1", " ")
    withdraw_reader(study, "R1", "moved away")


def test_folders_are_called_what_hospitals_call_them_and_never_leave_the_study(unlocked):
    """Capitals, spaces and umlauts; a leak check that looks for them in the bundle."""
    assert Case(name="M\u00fcller Thorax (1)", patient="p", series="CT LUNG").folder == "CT LUNG"
    for name in ("../secret", "a/b", ".hidden", "x ", "", "a\\b", "x."):
        with pytest.raises(ValueError, match="pattern"):
            Case(name=name, patient="p")
    study = unlocked(n_cases=4)
    text = (study / "protocol.toml").read_text().replace('"case-1"', '"M\u00fcller 1"')
    (study / "protocol.toml").write_text(text, "utf-8")
    protocol, _ = read_protocol(study / "protocol.toml")
    found = bundle_leaks(protocol, {"x": "the images of M\u00fcller 1"})
    assert found == ["the bundle names 'm\u00fcller 1'"]

"""Damaged files from elsewhere: refused in one line, and the study stays as it was."""

import random
import shutil
import sqlite3

import pytest

from reader_study.blinding.sealed_key import unseal
from reader_study.blinding.unblind import verify
from reader_study.record.bundle import open_bundle
from reader_study.record.coordinator import add_reader, opened
from reader_study.record.merge import merge_study
from tests.files.damage import damaged


def said(action) -> str:
    """One line of refusal; empty where the file was taken as whole."""
    sentence = ""
    try:
        action()
    except ValueError as error:
        sentence = str(error) or "refused without a word\n"
    assert "\n" not in sentence
    return sentence


@pytest.fixture
def read_elsewhere(locked, read_all, tmp_path):
    """A study, its fingerprint, and the copy in which a reader read everything."""
    study = locked(n_cases=4)
    reader, _ = add_reader(study, "one")
    laptop = tmp_path / "laptop"
    shutil.copytree(study / "bundle", laptop / "bundle")
    shutil.copy(study / "study.db", laptop)
    read_all(laptop, reader)
    with sqlite3.connect(laptop / "study.db") as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    return study, laptop


def test_a_damaged_copy_is_merged_whole_or_not_at_all(read_elsewhere):
    study, laptop = read_elsewhere
    raw, clean = (laptop / "study.db").read_bytes(), (study / "study.db").read_bytes()
    with opened(laptop) as (_, store):
        whole = [(a.trial, a.value) for a in store.answers()]
    draw, refused = random.Random(7), 0
    for _ in range(60):
        for rest in ("study.db-wal", "study.db-shm"):
            (study / rest).unlink(missing_ok=True)
            (laptop / rest).unlink(missing_ok=True)
        (study / "study.db").write_bytes(clean)
        (laptop / "study.db").write_bytes(damaged(raw, draw))
        sentence = said(lambda: merge_study(study, laptop))
        refused += bool(sentence)
        with opened(study) as (_, store):
            kept = [(a.trial, a.value) for a in store.answers()]
        assert kept == ([] if sentence else whole), sentence
        assert verify(study).ok
    assert refused > 20, "most damage is seen"


@pytest.mark.parametrize("name", ["bundle/study.json", "sealed/key.sealed", "anchors.txt"])
def test_a_damaged_bundle_key_or_anchor_is_refused_in_one_line(locked, passphrase, name):
    study = locked(n_cases=4)
    commitment = open_bundle(study / "bundle").commitment
    raw, draw, refused = (study / name).read_bytes(), random.Random(11), 0

    def use():
        if name.startswith("sealed"):
            unseal((study / name).read_bytes(), passphrase, commitment=commitment)
            return
        verdict = verify(study)
        if not verdict.ok:
            raise ValueError(verdict.fault)

    assert said(use) == ""
    for _ in range(100):
        copy = damaged(raw, draw)
        (study / name).write_bytes(copy)
        sentence = said(use)
        refused += bool(sentence)
        assert sentence or name == "anchors.txt" or copy == raw
    assert refused > 40

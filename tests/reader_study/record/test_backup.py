"""A backup is rehearsed: taken while a reader reads, lost, restored, verified and read on."""

import shutil

import pytest

from reader_study.blinding.unblind import verify
from reader_study.record.backup import back_up, restore_record
from reader_study.record.coordinator import add_reader, opened
from reader_study.room.session import ReadingSession


def read(study, number: int) -> int:
    """Answer this many questions; how many answers are stored then."""
    with opened(study) as (bundle, store):
        session = ReadingSession(bundle, store, store.readers()[0])
        screen = session.screen()
        while number:
            if screen["kind"] == "question":
                number -= 1
                screen = session.act({"action": "answer", "id": screen["id"], "value": "left"})
            else:
                action = "consent" if screen["kind"] == "consent" else "continue"
                screen = session.act({"action": action})
        return len(store.answers())


def test_a_lost_study_comes_back_from_its_backup_and_is_read_on(locked, tmp_path):
    study = locked(n_cases=4)
    add_reader(study, "Dr Secret")
    assert read(study, 2) == 2
    (study / "bundle" / ".cookie-secret").write_bytes(b"secret")
    facts = back_up(study, tmp_path / "kept")
    assert facts["answers"] == 2
    assert read(study, 1) == 3, "reading goes on meanwhile"
    files = {path.name for path in (tmp_path / "kept").rglob("*") if path.is_file()}
    assert {"study.db", "study.json", "anchors.txt"} <= files
    assert not files & {"key.sealed", "reader-names.csv", ".cookie-secret", "protocol.toml"}
    receipt = tmp_path / "receipt.txt"
    receipt.write_text(facts["head"], "utf-8")

    shutil.rmtree(study)  # the disk died
    shutil.copytree(tmp_path / "kept", study)
    verdict = verify(study, [receipt])
    assert verdict.ok, verdict.fault
    assert verdict.n_answers == 2
    assert read(study, 1) == 3, "goes on at the first open question"
    assert verify(study, [receipt]).ok
    with pytest.raises(ValueError, match="not empty"):
        back_up(study, tmp_path / "kept")


def test_a_damaged_record_is_not_backed_up_as_if_it_were_whole(locked, tmp_path):
    import sqlite3

    study = locked(n_cases=4)
    add_reader(study, "one")
    read(study, 1)
    with sqlite3.connect(study / "study.db") as connection:
        connection.execute("DROP TRIGGER event_no_update")
        connection.execute("UPDATE event SET payload = '{}' WHERE seq = 3")
    connection.close()
    with pytest.raises(ValueError, match="not intact"):
        back_up(study, tmp_path / "kept")
    assert not (tmp_path / "kept").exists()


def test_a_record_is_restored_into_an_empty_database_alone(locked, tmp_path, monkeypatch):
    study = locked(n_cases=4)
    add_reader(study, "one")
    read(study, 2)
    back_up(study, tmp_path / "kept")
    with pytest.raises(ValueError, match="DATABASE_URL"):
        restore_record(tmp_path / "kept")
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{tmp_path / 'server.db'}")
    assert restore_record(tmp_path / "kept")["answers"] == 2
    assert verify(study).ok
    with pytest.raises(ValueError, match="already holds a study"):
        restore_record(tmp_path / "kept")
    with pytest.raises(ValueError, match=r"expected study\.db"):
        restore_record(tmp_path)

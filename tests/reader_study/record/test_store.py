"""No confirmed answer is lost, doubled or changed without notice."""

import gc
import os
import signal
import sqlite3
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from reader_study.record import schema
from reader_study.record.anchors import read_anchors
from reader_study.record.hash_chain import verify_store
from reader_study.record.reader_codes import hash_of, new_code
from reader_study.record.store import NotSavedError, Store, latest

FACTS = {"study_id": "s1", "bundle_sha256": "b", "commitment": "c"}


def staffed(url: str, n_readers: int = 1, **options) -> tuple[Store, list]:
    store = Store(url, **options)
    store.create(FACTS)
    readers = [
        store.add_reader(slot, code_hash=f"hash{slot}", expires="2999")
        for slot in range(1, n_readers + 1)
    ]
    return store, readers


@pytest.fixture
def store(tmp_path):
    made, _ = staffed(f"sqlite:///{tmp_path / 'study.db'}")
    yield made
    made.close()


def answer(store: Store, visit: int, trial: str, value="left", reader="R1"):
    return store.save_answer(
        reader, visit=visit, session=0, trial=trial, item="pref", value=value, seconds=1.5
    )


def test_answers_come_back_as_given_and_revisions_are_kept(store):
    visit = store.open_session("R1", 0)
    answer(store, visit, "t1", "left")
    answer(store, visit, "t1", None)
    answer(store, visit, "t1", {"deep": [1, None, "ü"]})
    kept = store.answers("R1")
    assert [(a.revision, a.value) for a in kept] == [
        (1, "left"),
        (2, None),
        (3, {"deep": [1, None, "ü"]}),
    ]
    assert latest(kept)["t1", "pref"].revision == 3
    assert latest(kept[:2]) == {}
    assert verify_store(store).ok


def test_a_store_that_is_dropped_leaves_no_connection_open(store, tmp_path):
    own = Store(f"sqlite:///{tmp_path / 'study.db'}")
    own.check("s1")
    open_now = own.engine.pool.checkedin
    assert open_now() == 1
    del own
    gc.collect()
    assert open_now() == 0


@pytest.mark.parametrize("table", ["answer", "event", "reader", "meta"])
@pytest.mark.parametrize("verb", ["UPDATE", "DELETE"])
def test_the_database_refuses_update_and_delete(store, tmp_path, table, verb):
    answer(store, store.open_session("R1", 0), "t1")
    column = {"answer": "value", "event": "payload", "reader": "slot", "meta": "value"}[table]
    statement = {"UPDATE": f"UPDATE {table} SET {column} = '1'", "DELETE": f"DELETE FROM {table}"}
    with (
        sqlite3.connect(tmp_path / "study.db") as connection,
        pytest.raises(sqlite3.IntegrityError, match="insert-only"),
    ):
        connection.execute(statement[verb])
    connection.close()


def tampered(path: Path, *statements: str) -> None:
    """What somebody with the file, and without scruples, can do."""
    with sqlite3.connect(path) as connection:
        triggers = connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'")
        for (name,) in triggers.fetchall():
            connection.execute(f"DROP TRIGGER {name}")
        for statement in statements:
            connection.execute(statement)
    connection.close()


@pytest.mark.parametrize(
    ("statement", "bad", "words"),
    [
        ("UPDATE answer SET value = '\"right\"' WHERE seq = 5", 5, "answer of event 5 was changed"),
        ("UPDATE event SET payload = '{}' WHERE seq = 4", 4, "event 4 (answer) was changed"),
        ("UPDATE event SET at = '2001' WHERE seq = 5", 5, "event 5 (answer) was changed"),
        ("DELETE FROM answer WHERE seq = 6", 6, "answer of event 6 was removed"),
        ("DELETE FROM event WHERE seq = 5", 5, "event 5 is missing"),
        ("UPDATE reader SET slot = 2", 2, "reader R1 was changed"),
        (
            "INSERT INTO answer SELECT 3, reader, session, 'x', item, 9, value, 1, at "
            "FROM answer WHERE seq = 5",
            3,
            "never recorded",
        ),
    ],
)
def test_verify_names_the_first_bad_record(store, tmp_path, statement, bad, words):
    visit = store.open_session("R1", 0)  # event 3; the answers are events 4 to 6
    for trial in ("t1", "t2", "t3"):
        answer(store, visit, trial)
    assert verify_store(store).ok
    store.close()
    tampered(tmp_path / "study.db", statement)
    verdict = verify_store(store)
    assert (verdict.ok, verdict.bad_seq) == (False, bad)
    assert words in verdict.fault


def test_a_shortened_and_a_rewritten_record_need_an_anchor_to_be_found(store, tmp_path):
    visit = store.open_session("R1", 0)
    for trial in ("t1", "t2", "t3"):
        answer(store, visit, trial)
    seq, digest = store.head()
    receipt = tmp_path / "receipt.txt"
    receipt.write_text(f"Thank you.\nReceipt {seq}:{digest.upper()}\n")
    anchors = read_anchors([receipt])
    assert verify_store(store, anchors).ok
    store.close()
    tampered(
        tmp_path / "study.db", "DELETE FROM answer WHERE seq = 6", "DELETE FROM event WHERE seq = 6"
    )
    assert verify_store(store).ok, "a chain cut at its end looks whole by itself"
    assert "cut short" in verify_store(store, anchors).fault
    answer(store, visit, "t3", "right")  # somebody fills the gap with another answer
    assert verify_store(store).ok
    assert "rewritten" in verify_store(store, anchors).fault


def test_receipts_that_are_none_or_disagree_are_refused(tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    one.write_text(f"3:{'a' * 64}")
    two.write_text(f"3:{'b' * 64}")
    with pytest.raises(ValueError, match="disagree about event 3"):
        read_anchors([one, two])
    two.write_text("hello")
    with pytest.raises(ValueError, match="holds no receipt"):
        read_anchors([two])


def test_a_clock_set_back_changes_no_order_and_is_noted(tmp_path):
    times = iter([0, 0, 0, 60, -3600, -3500])
    start = datetime(2026, 1, 1, tzinfo=UTC)
    store, _ = staffed(
        f"sqlite:///{tmp_path / 'study.db'}",
        now=lambda: start + timedelta(seconds=next(times, 0)),
    )
    visit = store.open_session("R1", 0)
    for trial in ("t1", "t2", "t3"):
        answer(store, visit, trial)
    assert [a.trial for a in store.answers()] == ["t1", "t2", "t3"]
    verdict = verify_store(store)
    assert verdict.ok
    assert verdict.notes == ("the clock went back between events 4 and 5",)
    store.close()


def test_a_second_window_takes_over_and_the_first_is_told(store):
    first = store.open_session("R1", 0)
    answer(store, first, "t1")
    second = store.open_session("R1", 0)
    with pytest.raises(NotSavedError, match="another window"):
        answer(store, first, "t2")
    answer(store, second, "t2")
    assert [a.trial for a in store.answers()] == ["t1", "t2"]


def test_closed_studies_and_readers_who_left_get_no_answers(store):
    visit = store.open_session("R1", 0)
    store.append("reader-withdrawn", "R1", reason="ill")
    with pytest.raises(NotSavedError, match="left the study"):
        answer(store, visit, "t1")
    assert store.reader_of_code("hash1") is None
    other = store.add_reader(1, code_hash="h2", expires="2999")
    visit = store.open_session(other.reader, 0)
    store.append("closed")
    with pytest.raises(NotSavedError, match="closed"):
        answer(store, visit, "t1", reader=other.reader)
    assert store.answers() == []
    assert verify_store(store).ok


def test_an_expired_code_opens_nothing(store):
    store.add_reader(2, code_hash="old", expires="2001-01-01T00:00:00+00:00")
    assert store.reader_of_code("old") is None
    assert store.reader_of_code("hash1").reader == "R1"


def test_a_full_disk_is_said_and_nothing_half_is_kept(store):
    visit = store.open_session("R1", 0)
    answer(store, visit, "t1")

    @sa.event.listens_for(store.engine, "begin")
    def _no_space(connection) -> None:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")

    def fill() -> None:
        for number in range(500):
            answer(store, visit, f"x{number}", "y" * 2000)

    with pytest.raises(NotSavedError, match="full"):
        fill()
    sa.event.remove(store.engine, "begin", _no_space)
    store.close()
    n_before = len(store.answers())
    assert verify_store(store).ok
    answer(store, visit, "t2")
    assert len(store.answers()) == n_before + 1
    assert verify_store(store).ok


WRITER = """
import sys
from reader_study.record.store import Store
store = Store(sys.argv[1])
visit = store.open_session("R1", 0)
where = {"visit": visit, "session": 0, "item": "p"}
for number in range(100000):
    print(store.save_answer("R1", trial=f"t{number}", value=number, **where).seq, flush=True)
"""


@pytest.mark.parametrize("after", [3, 17, 40])
def test_a_killed_writer_loses_nothing_it_confirmed(store, tmp_path, after):
    url = f"sqlite:///{tmp_path / 'study.db'}"
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, url], stdout=subprocess.PIPE, text=True
    ) as writer:
        confirmed = [int(writer.stdout.readline()) for _ in range(after)]
        os.kill(writer.pid, signal.SIGKILL)
        confirmed += [int(line) for line in writer.stdout.read().split("\n")[:-1] if line]
    kept = [a.seq for a in store.answers("R1")]
    assert set(confirmed) <= set(kept)
    assert len(kept) - len(confirmed) <= 1, "at most the one whose confirmation was cut off"
    assert [a.value for a in store.answers("R1")] == list(range(len(kept)))
    assert verify_store(store).ok


# ---------------------------------------------------------------- the door and the format


def test_the_database_of_another_study_or_a_newer_format_is_refused(store, tmp_path):
    store.check("s1")
    with pytest.raises(ValueError, match="another study"):
        store.check("s2")
    store.close()
    tampered(tmp_path / "study.db", "UPDATE meta SET value = '9' WHERE name = 'format_version'")
    with pytest.raises(ValueError, match="newer ctlab"):
        store.check("s1")
    empty = Store(f"sqlite:///{tmp_path / 'empty.db'}")
    with pytest.raises(ValueError, match="missing or empty"):
        empty.check("s1")
    empty.close()
    with pytest.raises(ValueError, match="already holds a study"):
        store.create(FACTS)


def test_only_the_databases_we_test_are_accepted():
    with pytest.raises(ValueError, match="sqlite or postgresql"):
        schema.connect("mysql://x")


def test_codes_hold_256_bits_and_forgive_how_they_are_typed():
    code = new_code()
    letters = code.replace("-", "")
    assert len(letters) == 52
    assert not set(letters) & set("ILOU")
    assert hash_of(code.lower().replace("-", " ")) == hash_of(code)
    assert len({new_code() for _ in range(200)}) == 200

"""SQLite and PostgreSQL alike: many readers at once, a server killed at a commit, whole studies."""

import os
import shutil
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa

from reader_study.analysis.preference_summary import preference_results
from reader_study.blinding.unblind import unblind, verify
from reader_study.record.backup import back_up, restore_record
from reader_study.record.coordinator import add_reader, close, opened
from reader_study.record.hash_chain import verify_store
from reader_study.record.offline_copy import copy_study
from reader_study.record.store import Store

FACTS = {"study_id": "s1", "bundle_sha256": "b", "commitment": "c"}


def staffed(url: str, n_readers: int = 1) -> tuple[Store, list]:
    store = Store(url)
    store.create(FACTS)
    readers = [
        store.add_reader(slot, code_hash=f"hash{slot}", expires="2999")
        for slot in range(1, n_readers + 1)
    ]
    return store, readers


def answer(store: Store, visit: int, trial: str, value="left", reader="R1"):
    return store.save_answer(
        reader, visit=visit, session=0, trial=trial, item="pref", value=value, seconds=1.5
    )


@pytest.fixture(scope="session")
def postgresql(tmp_path_factory):
    """A PostgreSQL server of our own, run by a user that is not root."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not found:
        pytest.skip("PostgreSQL is not installed (/usr/lib/postgresql)")
    if os.geteuid() == 0 and not shutil.which("runuser"):
        pytest.skip("PostgreSQL does not run as root and runuser is missing")
    folder = Path(tmp_path_factory.mktemp("pg"))
    as_user: list[str] = []
    if os.geteuid() == 0:
        as_user = ["runuser", "-u", "nobody", "--"]
        short = Path("/tmp") / f"ctlab-pg-{os.getpid()}"  # nobody cannot enter pytest's folders
        short.mkdir(mode=0o755)
        shutil.chown(short, "nobody")
        folder = short
    binaries, data = found[-1].parent, folder / "data"

    def run(*command: str) -> None:
        subprocess.run([*as_user, *command], check=True, capture_output=True, cwd="/")

    run(str(binaries / "initdb"), "-D", str(data), "-A", "trust", "-U", "ctlab", "-N")
    # No test cuts the power, so nothing waits for the disk; what is killed here are clients.
    options = f"-k {folder} -c listen_addresses='' -c shared_buffers=16MB -c fsync=off"
    control = [str(binaries / "pg_ctl"), "-D", str(data), "-w", "-l", str(folder / "log")]
    run(*control, "-o", options, "start")
    yield lambda name: _new_database(folder, name)
    run(*control, "-m", "immediate", "stop")
    shutil.rmtree(folder, ignore_errors=True)


def _new_database(folder: Path, name: str) -> str:
    admin = sa.create_engine(
        f"postgresql+psycopg://ctlab@/postgres?host={folder}", isolation_level="AUTOCOMMIT"
    )
    with admin.connect() as connection:
        connection.execute(sa.text(f"CREATE DATABASE {name}"))
    admin.dispose()
    return f"postgresql+psycopg://ctlab@/{name}?host={folder}"


@pytest.fixture(params=["sqlite", "postgresql"])
def new_url(request, tmp_path):
    """Function that gives the address of an empty database of each kind."""
    if request.param == "sqlite":
        return lambda name: f"sqlite:///{tmp_path / name}.db"
    return request.getfixturevalue("postgresql")


def hurried(store: Store) -> Store:
    """A store that does not wait for the disk, as no power is cut; in all else the same."""
    if store.engine.dialect.name == "sqlite":

        @sa.event.listens_for(store.engine, "connect")
        def _unsynced(connection, _record) -> None:
            connection.execute("PRAGMA synchronous=OFF")

    return store


def read_at_once(url: str, readers: list, n_each: int) -> list[int]:
    """Every reader answers in a thread and connection of its own; confirmed event numbers."""

    def read(reader) -> list[int]:
        store = hurried(Store(url))
        visit = store.open_session(reader.reader, 0)
        saved = [answer(store, visit, f"t{i}", i, reader=reader.reader).seq for i in range(n_each)]
        store.close()
        return saved

    with ThreadPoolExecutor(len(readers)) as pool:
        return [seq for saved in pool.map(read, readers) for seq in saved]


def check_all_kept(url: str, confirmed: list[int], n_readers: int, n_each: int) -> None:
    store = Store(url)
    kept = store.answers()
    assert len(confirmed) == len(set(confirmed)) == len(kept) == n_readers * n_each
    assert {a.seq for a in kept} == set(confirmed)
    for reader in store.readers():
        assert [a.value for a in store.answers(reader.reader)] == list(range(n_each))
    verdict = verify_store(store)
    assert verdict.ok, verdict.fault
    store.close()


@pytest.mark.slow
def test_ten_thousand_answers_of_twenty_readers_at_once_are_kept_and_none_is_doubled(new_url):
    url = new_url("tenthousand")
    store, readers = staffed(url, 20)
    store.close()
    check_all_kept(url, read_at_once(url, readers, 500), 20, 500)


def test_postgresql_refuses_changes_too(postgresql):
    url = postgresql("triggers")
    store, _ = staffed(url)
    answer(store, store.open_session("R1", 0), "t1")
    for statement in (
        "UPDATE answer SET value = '1'",
        "DELETE FROM event",
        "TRUNCATE answer CASCADE",
    ):
        with (
            pytest.raises(sa.exc.DBAPIError, match="insert-only"),
            store.engine.begin() as connection,
        ):
            connection.execute(sa.text(statement))
    assert verify_store(store).ok
    store.close()


# ---------------------------------------------------------------- a commit that is cut off

DYING = """
import os, signal, sys
import sqlalchemy as sa
from reader_study.record.store import Store
store = Store(sys.argv[1])
visit = store.open_session("R1", 0)
where = {"visit": visit, "session": 0, "item": "p"}
for number in range(5):
    print(store.save_answer("R1", trial=f"t{number}", value=number, **where).seq, flush=True)
commit = store.engine.dialect.do_commit

def die(connection):
    if sys.argv[2] == "after":
        commit(connection)
    os.kill(os.getpid(), signal.SIGKILL)

store.engine.dialect.do_commit = die
print(store.save_answer("R1", trial="t5", value=5, **where).seq, flush=True)
"""


@pytest.mark.parametrize(("when", "kept"), [("before", 5), ("after", 6)])
def test_kill_9_at_a_commit_keeps_whole_answers_only(new_url, when, kept):
    """Killed with the answer written but not committed, and with it committed but not said."""
    url = new_url(f"killed_{when}")
    staffed(url)[0].close()
    done = subprocess.run(
        [sys.executable, "-c", DYING, url, when], stdout=subprocess.PIPE, text=True
    )
    assert done.returncode == -signal.SIGKILL
    confirmed = [int(line) for line in done.stdout.split()]
    assert len(confirmed) == 5
    store = Store(url)
    answers = store.answers("R1")
    assert [a.value for a in answers] == list(range(kept))
    assert set(confirmed) <= {a.seq for a in answers}
    assert verify_store(store).ok
    # Whoever comes back goes on where the record ends; the dead one's lock is gone.
    visit = store.open_session("R1", 0)
    store.save_answer("R1", visit=visit, session=0, trial=f"t{kept}", item="p", value=kept)
    assert [a.value for a in store.answers("R1")] == list(range(kept + 1))
    assert verify_store(store).ok
    store.close()


# ---------------------------------------------------------------- settings, and a whole study


def test_sqlite_writes_ahead_and_syncs_at_every_commit(tmp_path):
    store, _ = staffed(f"sqlite:///{tmp_path / 'study.db'}")
    with store.engine.connect().execution_options(reading=True) as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2  # FULL
    store.close()


def test_a_whole_study_in_postgresql(postgresql, monkeypatch, locked, read_all, passphrase):
    """From the lock to the results with DATABASE_URL, and no study.db beside the bundle."""
    url = postgresql("whole")
    monkeypatch.setenv("DATABASE_URL", url)
    study = locked(n_cases=6, design="repeats = 0\ncatch_trials = 0\n")
    assert not (study / "study.db").exists()
    for name in ("one", "two"):
        reader, _ = add_reader(study, name)
        assert read_all(study, reader)["kind"] == "thanks"
    copy = study.parent / "laptop"  # for reading without a network: a SQLite file
    assert copy_study(study, copy, reader="R2")["answers"] == 14
    monkeypatch.delenv("DATABASE_URL")
    assert verify(copy).ok
    monkeypatch.setenv("DATABASE_URL", url)
    back_up(study, study.parent / "kept")
    monkeypatch.setenv("DATABASE_URL", postgresql("restored"))  # another server, after a fire
    assert restore_record(study.parent / "kept")["answers"] == 14
    assert verify(study).ok
    monkeypatch.setenv("DATABASE_URL", url)
    close(study)
    assert verify(study).ok
    unblind(study, passphrase=passphrase, who="c")
    # Two mirrored readers who always take the left image prefer neither arm.
    assert preference_results(study)["comparisons"][0]["pooled"]["share"] == 0.5
    with opened(study) as (_, store):
        assert store.engine.dialect.name == "postgresql"

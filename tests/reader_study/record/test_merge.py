"""Copies read without a network come home once, whole and unchanged; amendments are recorded."""

import shutil
import sqlite3

import pytest

from reader_study.blinding.amend import amend_study
from reader_study.blinding.unblind import unblind, verify
from reader_study.record.coordinator import (
    add_reader,
    close,
    opened,
    status,
)
from reader_study.record.merge import merge_study
from reader_study.record.offline_copy import copy_study
from reader_study.room.session import ReadingSession


@pytest.fixture
def with_copy(locked, tmp_path):
    """A study with two readers, and a copy of it on a laptop."""
    study = locked(n_cases=4)
    readers = [add_reader(study, name)[0] for name in ("one", "two")]
    laptop = tmp_path / "laptop"
    copy_study(study, laptop, reader="R2")
    return study, laptop, readers


def given(study, reader):
    with opened(study) as (_, store):
        return [(a.trial, a.item, a.revision, a.value, a.at) for a in store.answers(reader)]


def test_what_was_read_elsewhere_comes_home_with_its_times(with_copy, read_all, passphrase):
    study, laptop, (one, two) = with_copy
    read_all(study, one)
    read_all(laptop, two)
    result = merge_study(study, laptop)
    assert result["answers"] == len(given(laptop, "R2")) == 7
    assert given(study, "R2") == given(laptop, "R2")
    assert verify(study).ok
    assert [row["done"] for row in status(study)["readers"]] == [6, 6]
    again = merge_study(study, laptop)
    assert (again["answers"], again["events"]) == (0, 0), "a second merge finds nothing new"
    close(study)
    unblind(study, passphrase=passphrase, who="c", reason="a slot stayed empty")


def test_a_copy_holds_one_readers_record_no_secret_and_is_whole(locked, read_all, tmp_path):
    study = locked(n_cases=4)
    (one, _), (two, _) = (add_reader(study, name) for name in ("one", "two"))
    (study / "bundle" / ".cookie-secret").write_bytes(b"x" * 32)
    read_all(study, two, most=2)
    edit(study, 'title = "A test"', 'title = "Another title"')
    amend_study(study, reason="typo")
    read_all(study, one)
    with opened(study) as (_, store):  # a served study: what was written last is in the log only
        made = copy_study(study, tmp_path / "laptop", reader="R2")
        assert store.head()[0] > made["events"]
    laptop = tmp_path / "laptop"
    assert sorted(p.name for p in laptop.iterdir()) == ["anchors.txt", "bundle", "study.db"]
    assert not (laptop / "bundle" / ".cookie-secret").exists()
    assert (given(laptop, "R1"), made["answers"]) == ([], 2), "no answer of another reader"
    assert given(laptop, "R2") == given(study, "R2") != []
    assert verify(laptop).ok
    with opened(laptop) as (bundle, store):
        assert ReadingSession(bundle, store, two)._facts["title"] == "Another title"
    read_all(laptop, two)
    assert merge_study(study, laptop)["answers"] == 5
    assert verify(study).ok
    with pytest.raises(ValueError, match="no active reader 'R9'"):
        copy_study(study, tmp_path / "other", reader="R9")
    with pytest.raises(ValueError, match="not empty"):
        copy_study(study, laptop, reader="R2")
    close(study)
    with pytest.raises(ValueError, match="closed"):
        copy_study(study, tmp_path / "other", reader="R2")
    assert not (tmp_path / "other").exists()


def test_a_copy_may_come_home_twice_while_reading_goes_on(with_copy, read_all):
    study, laptop, (_, two) = with_copy
    read_all(laptop, two, most=3)
    assert merge_study(study, laptop)["answers"] == 3
    read_all(laptop, two)
    assert merge_study(study, laptop)["answers"] == 4
    assert given(study, "R2") == given(laptop, "R2")
    assert verify(study).ok


def test_tampering_conflicts_and_strangers_are_refused_and_nothing_is_merged(
    with_copy, read_all, locked, tmp_path
):
    study, laptop, (one, two) = with_copy
    read_all(laptop, two, most=3)
    with sqlite3.connect(laptop / "study.db") as connection:
        connection.execute("DROP TRIGGER answer_no_update")
        connection.execute("UPDATE answer SET value = '\"right\"' WHERE revision = 1")
    connection.close()
    with pytest.raises(ValueError, match=r"tampered with: the answer of event \d+ was changed"):
        merge_study(study, laptop)
    shutil.copy(study / "study.db", laptop / "study.db")
    read_all(laptop, one, most=2)
    read_all(study, one, most=2)
    before = given(study, None)
    with pytest.raises(ValueError, match="R1 answered the same question here and in the copy"):
        merge_study(study, laptop)
    add_reader(laptop, "stranger", replaces="R2")
    with pytest.raises(ValueError, match="belongs to the study itself"):
        merge_study(study, laptop)
    with pytest.raises(ValueError, match=r"study\.db is not there"):
        merge_study(study, tmp_path / "nowhere")
    assert given(study, None) == before
    close(study)
    with pytest.raises(ValueError, match=r"nothing was merged|answered the same|belongs to"):
        merge_study(study, laptop)


def edit(study, old, new):
    path = study / "protocol.toml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def test_an_amendment_is_versioned_and_its_new_consent_is_asked_again(locked, read_all):
    study = locked(n_cases=4, head='[ethics]\nconsent = "Old words."')
    reader, _ = add_reader(study, "one")
    read_all(study, reader, most=2)
    edit(study, "Old words.", "New words.")
    edit(study, "display_check = false", 'display_check = false\nundo = "session"')
    with pytest.raises(ValueError, match="--reason"):
        amend_study(study, reason=" ")
    result = amend_study(study, reason="the ethics board asked for it")
    assert result["version"] == 2
    assert result["changes"] == {
        "design.undo": ["last", "session"],
        "ethics.consent": ["Old words.", "New words."],
    }
    with opened(study) as (bundle, store):
        session = ReadingSession(bundle, store, reader)
        assert session.screen()["consent"] == "New words."
        assert session.act({"action": "consent"})["kind"] in {"question", "feedback"}
        assert session._facts["design"]["undo"] == "session"
        assert store.events("amended")[0].payload["reason"] == "the ethics board asked for it"
    assert verify(study).ok
    with pytest.raises(ValueError, match="does not differ"):
        amend_study(study, reason="again")
    edit(study, "New words.", "Newer words.")
    assert amend_study(study, reason="typo")["version"] == 3


@pytest.mark.parametrize(
    ("old", "new", "frozen"),
    [
        ('question = "Which?"', 'question = "Which is better?"', "items"),
        ("readers = 2", "readers = 4", "design.readers"),
        ('name = "bravo"', 'name = "charlie"', "arms"),
        ('patient = "pat-1"', 'patient = "pat-0"', "cases"),
    ],
)
def test_what_the_lock_froze_cannot_be_amended(locked, old, new, frozen):
    study = locked(n_cases=4)
    edit(study, old, new)
    with pytest.raises(ValueError, match=f"{frozen} is frozen"):
        amend_study(study, reason="because")
    with opened(study) as (_, store):
        assert store.events("amended") == []

"""Marks come back beside the reference, without their reader, and are classed."""

import pandas as pd
import pytest

from reader_study.analysis.adjudicate import CLASSES, collect_adjudication, lock_adjudication
from reader_study.blinding.unblind import unblind
from reader_study.record.bundle import open_bundle
from reader_study.record.coordinator import add_reader, close, opened
from reader_study.room.session import ReadingSession
from reader_study.room.widget import Room

ITEM = """[[items]]
name = "pref"
kind = "preference"
question = "Which?"
marks = ["nodule", "artefact"]
"""


@pytest.fixture
def marked(locked, unlocked, fake_reader, cheap_seal, passphrase):
    """Unblinded study whose reader marked one voxel in the right image of every pair."""
    from reader_study.blinding.lock import lock_study

    study = unlocked(n_cases=4, items=ITEM, design="repeats = 0\ncatch_trials = 0\n")
    path = study / "protocol.toml"
    path.write_text(path.read_text().replace('name = "alpha"', 'name = "alpha"\nreference = true'))
    lock_study(study, passphrase=passphrase, read=fake_reader)
    reader, _ = add_reader(study, "one")
    with opened(study) as (bundle, store):
        session = ReadingSession(bundle, store, reader)
        screen = session.act({"action": "consent"})
        while screen["kind"] != "thanks":
            if screen["kind"] != "question":
                screen = session.act({"action": "continue"})
                continue
            if not screen["practice"]:
                mark = {"side": "right", "z": 2, "y": 4, "x": 7, "kind": "artefact"}
                session.act({"action": "marks", "id": screen["id"], "marks": [mark]})
            screen = session.act({"action": "answer", "id": screen["id"], "value": "left"})
    close(study)
    return study, unblind(study, passphrase=passphrase, who="c", reason="a slot stayed empty")


def test_each_mark_is_shown_beside_the_reference_and_its_class_comes_back(marked, passphrase):
    study, key = marked
    made = lock_adjudication(study, passphrase=passphrase, adjudicators=1)
    assert made["marks"] == 4
    folder = made["folder"]
    bundle = open_bundle(folder / "bundle")
    assert bundle.damaged() == []
    arms = [arm.name for arm in key.protocol.arms]
    for trial in bundle.trials(1):
        left, right = key.images[trial.left], key.images[trial.right]
        assert arms[left.arm] == "alpha", "the reference stands left"
        assert arms[right.arm] == "bravo"
        assert left.case == right.case
    text = (folder / "bundle" / "study.json").read_text()
    assert "R1" not in text, "who set a mark is not told"

    judge, _ = add_reader(folder, "judge")
    with opened(folder) as (bundle, store):
        session = ReadingSession(bundle, store, judge)
        room = Room(bundle, session)
        screen = session.act({"action": "consent"})
        room._draw(screen)
        viewer = room._viewers[room._front]
        assert viewer.labels == ["reference", "processed"]
        assert [(m["z"], m["y"], m["x"]) for m in viewer.marks] == [(2, 4, 7)]
        assert (viewer.frame, viewer.marking) == (2, False)
        classes = iter(bundle.items[0]["answers"])
        while (screen := session.screen())["kind"] == "question":
            session.act({"action": "answer", "id": screen["id"], "value": next(classes)})
    with pytest.raises(ValueError, match="still open"):
        collect_adjudication(study, passphrase=passphrase)
    close(folder)
    table = pd.read_csv(collect_adjudication(study, passphrase=passphrase))
    assert sorted(table["class"]) == sorted(CLASSES)
    assert set(table["reader"]) == {"R1"}
    assert sorted(table["case"]) == ["case-0", "case-1", "case-2", "case-3"]
    for row in table.itertuples():
        assert row.arm == arms[key.trials[row.trial].right_arm]
    with pytest.raises(ValueError, match="not empty"):
        lock_adjudication(study, passphrase=passphrase)


def test_without_a_reference_without_marks_or_before_unblinding_there_is_nothing_to_judge(
    locked, read_all, passphrase
):
    study = locked(n_cases=4)
    with pytest.raises(ValueError, match="not unblinded"):
        lock_adjudication(study, passphrase=passphrase)
    reader, _ = add_reader(study, "one")
    read_all(study, reader)
    close(study)
    unblind(study, passphrase=passphrase, who="c", reason="a slot stayed empty")
    with pytest.raises(ValueError, match="reference = true"):
        lock_adjudication(study, passphrase=passphrase)

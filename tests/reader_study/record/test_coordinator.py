"""From readers to tables: slots, progress, close, unblind, results."""

import json
import shutil

import pandas as pd
import pytest

from reader_study.analysis.export import write_tables
from reader_study.analysis.preference_summary import preference_results
from reader_study.analysis.tables import final_ratings, ratings_table
from reader_study.blinding.sealed_key import unseal
from reader_study.blinding.unblind import unblind, verify
from reader_study.record import coordinator
from reader_study.record.coordinator import (
    add_reader,
    close,
    opened,
    status,
    withdraw_reader,
)
from reader_study.record.study_record import read_key, read_unblinded


@pytest.fixture
def read_study(locked, read_all):
    """A study that two simulated readers have read: both always take the left image."""

    def make(**options):
        study = locked(**options)
        for name in ("one", "two"):
            reader, _ = add_reader(study, name)
            read_all(study, reader)
        return study

    return make


def test_slots_are_filled_in_order_replaced_and_never_doubled(locked):
    study = locked(n_cases=4)
    first, code = add_reader(study, "one")
    second, other = add_reader(study, "two")
    assert (first.slot, second.slot) == (1, 2)
    assert code != other
    with pytest.raises(ValueError, match="all 2 reader slots"):
        add_reader(study, "three")
    third, _ = add_reader(study, "three", replaces="R1")
    assert (third.reader, third.slot) == ("R3", 1)
    with opened(study) as (_, store):
        from reader_study.record.reader_codes import hash_of

        assert store.reader_of_code(hash_of(code)) is None, "the code of one replaced is dead"
        assert store.reader_of_code(hash_of(other)).reader == "R2"
        everything = json.dumps([e.payload for e in store.events()])
        assert code not in everything
    withdraw_reader(study, "R2", "ill")
    with pytest.raises(ValueError, match="no active reader 'R2'; active: R3"):
        withdraw_reader(study, "R2", "ill")


def test_status_counts_without_ratings_and_flags_haste(locked, read_all):
    study = locked(n_cases=8)
    reader, _ = add_reader(study, "one")
    read_all(study, reader, most=6)
    facts = status(study)
    row = facts["readers"][0]
    assert (row["done"], row["of"], row["flags"]) == (5, 11, [])
    assert row["median_seconds"] == 3.0
    text = json.dumps(facts)
    for word in ("left", "right", "tie", "alpha", "bravo", "repeat", "catch"):
        assert f'"{word}"' not in text
    coordinator.FASTEST_SECONDS = 4.0
    try:
        assert status(study)["readers"][0]["flags"] == ["speeding"]
    finally:
        coordinator.FASTEST_SECONDS = 2.0


def test_unblinding_wants_a_closed_whole_and_intact_study(locked, read_all, passphrase):
    study = locked(n_cases=4)
    reader, _ = add_reader(study, "one")
    read_all(study, reader, most=2)
    with pytest.raises(ValueError, match="still open"):
        unblind(study, passphrase=passphrase, who="c")
    with pytest.raises(ValueError, match="not unblinded"):
        read_key(study)
    close(study)
    with pytest.raises(ValueError, match="closed already"):
        close(study)
    with pytest.raises(ValueError, match="R1 has not finished"):
        unblind(study, passphrase=passphrase, who="c")
    with pytest.raises(ValueError, match="wrong passphrase"):
        unblind(study, passphrase="not this passphrase", who="c", reason="r")
    key = study / "sealed" / "key.sealed"
    key.rename(study.parent / "away")
    with pytest.raises(ValueError, match="bring the sealed key back"):
        unblind(study, passphrase=passphrase, who="c", reason="r")
    (study.parent / "away").rename(key)
    assert not (study / "unblinded").exists()
    unblind(study, passphrase=passphrase, who="Dr C", reason="recruitment ended")
    with opened(study) as (_, store):
        said = store.events("unblinded")[0].payload
    who = {"who": "Dr C", "reason": "recruitment ended"}
    assert said == {**who, "missing": ["R1"], "empty_slots": 1}


def test_empty_slots_and_a_second_unblinding_want_a_reason_and_all_are_on_record(
    locked, read_all, passphrase
):
    study = locked(n_cases=4)
    read_all(study, add_reader(study, "one")[0])
    close(study)
    with pytest.raises(ValueError, match="1 of 2 reader slots is empty; pass --reason"):
        unblind(study, passphrase=passphrase, who="c")
    unblind(study, passphrase=passphrase, who="Dr C", reason="second reader fell ill")
    with pytest.raises(ValueError, match="has been unblinded before; pass --reason"):
        unblind(study, passphrase=passphrase, who="Dr D", reason=" ")
    unblind(study, passphrase=passphrase, who="Dr D", reason="tables were lost")
    with opened(study) as (_, store):
        said = [(e.payload["who"], e.payload["reason"]) for e in store.events("unblinded")]
        head = "{}:{}".format(*store.head())
    assert said == [("Dr C", "second reader fell ill"), ("Dr D", "tables were lost")]
    assert (study / "anchors.txt").read_text().split()[-1] == head
    assert verify(study).ok


def test_a_key_of_another_study_or_another_allocation_is_refused(
    read_study, tmp_path, passphrase, monkeypatch
):
    study = read_study(n_cases=4)
    close(study)
    key = unseal(
        (study / "sealed" / "key.sealed").read_bytes(),
        passphrase,
        commitment=status(study)["commitment"],
    )
    token = next(t for t, trial in key["trials"].items() if trial["kind"] == "main")
    swapped = key["trials"][token]
    swapped["left_arm"], swapped["right_arm"] = swapped["right_arm"], swapped["left_arm"]
    monkeypatch.setattr("reader_study.blinding.unblind.unseal", lambda *_, **__: key)
    with pytest.raises(ValueError, match="not the one its seed gives"):
        unblind(study, passphrase=passphrase, who="c", reason="one slot")


def test_verify_checks_bundle_record_and_receipts(read_study, tmp_path, read_all):
    study = read_study(n_cases=4)
    with opened(study) as (_, store):
        receipt = tmp_path / "receipt.txt"
        receipt.write_text("{}:{}".format(*store.head()))
    assert verify(study, [receipt]).ok
    close(study)
    assert verify(study, [receipt]).ok
    victim = next((study / "bundle" / "pixels").iterdir())
    victim.write_bytes(b"\0" * victim.stat().st_size)
    assert "was changed" in verify(study).fault
    path = study / "bundle" / "study.json"
    path.write_text(path.read_text().replace("Which?", "Which one?"))
    assert "not the one that was locked" in verify(study).fault
    (study / "anchors.txt").write_text(f"2:{'0' * 64}")
    assert "rewritten" in verify(study).fault


def test_the_tables_say_what_was_answered_about_which_arms(read_study, passphrase):
    study = read_study(n_cases=6)
    close(study)
    unblind(study, passphrase=passphrase, who="c", reason="one slot")
    ratings = ratings_table(read_unblinded(study))
    assert set(ratings["kind"]) == {"practice", "main", "repeat", "catch"}
    assert set(ratings["arm_left"]) == {"alpha", "bravo"}
    catch = ratings[ratings["kind"] == "catch"]
    assert (catch["arm_left"] == catch["arm_right"]).all()
    main = ratings[ratings["kind"] == "main"]
    assert len(main) == 12
    # Sides are balanced and mirrored, so who always takes the left prefers nobody.
    for _, mine in main.groupby("reader"):
        assert (mine["arm_left"] == "alpha").sum() == 3
    pivot = main.pivot_table(index="case", columns="reader", values="arm_left", aggfunc="first")
    assert (pivot["R1"] != pivot["R2"]).all()
    results = preference_results(study)
    found = results["comparisons"][0]
    assert [row["share"] for row in found["readers"]] == [0.5, 0.5]
    assert found["pooled"]["share"] == 0.5
    assert found["signed_rank"]["p"] == 1.0
    assert results["position"][0]["share"] == 1.0, "the pull of the left side is seen"
    assert results["catch"] == {"left": 4, "right": 0, "tie": 0}


def test_a_reader_who_prefers_one_arm_is_read_back_exactly(locked, read_all, passphrase):
    """The simulated reader peeks at the pixels: it takes the image with the larger spread."""
    import numpy as np

    from reader_study.room.session import ReadingSession

    study = locked(n_cases=10)
    reader, _ = add_reader(study, "one")
    with opened(study) as (bundle, store):
        session = ReadingSession(bundle, store, reader)
        means = {
            t: np.frombuffer(bundle.pixels(t), "<i2").astype(float).sum() for t in bundle.images
        }
        screen = session.act({"action": "consent"})
        expected = {}
        while screen["kind"] != "thanks":
            if screen["kind"] != "question":
                screen = session.act({"action": "continue"})
                continue
            trial = session.question().trial
            better = "left" if means[trial.left] > means[trial.right] else "right"
            expected[trial.token] = getattr(trial, better)
            screen = session.act({"action": "answer", "id": screen["id"], "value": better})
    close(study)
    key = unblind(study, passphrase=passphrase, who="c", reason="one slot")
    arms = [arm.name for arm in key.protocol.arms]
    ratings = final_ratings(ratings_table(read_unblinded(study)))
    main = ratings[ratings["kind"] == "main"]
    chosen = main["arm_left"].where(main["value"] == "left", main["arm_right"])
    truth = [arms[key.images[expected[t]].arm] for t in main["trial"]]
    assert chosen.tolist() == truth
    wins = preference_results(study)["comparisons"][0]["readers"][0]["wins"]
    assert wins == truth.count("alpha")


def test_csv_files_are_written_and_read_back(read_study, passphrase):
    study = read_study(n_cases=4)
    close(study)
    unblind(study, passphrase=passphrase, who="c", reason="one slot")
    paths = write_tables(study)
    assert [p.name for p in paths] == [
        "ratings.csv",
        "marks.csv",
        "events.csv",
        "comments.csv",
        "differences.csv",
    ]
    ratings = pd.read_csv(paths[0])
    assert {"study", "reader", "arm_left", "arm_right", "value", "revision"} <= set(ratings)
    assert "code_hash" not in paths[2].read_text()


def test_serving_parts_are_enough_to_read_and_to_count(locked, read_all, tmp_path):
    """Bundle, database and anchors alone, elsewhere: no protocol, no arms, no key."""
    study = locked(n_cases=4)
    reader, _ = add_reader(study, "one")
    elsewhere = tmp_path / "laptop"
    elsewhere.mkdir()
    shutil.copytree(study / "bundle", elsewhere / "bundle")
    shutil.copy(study / "study.db", elsewhere / "study.db")
    shutil.copy(study / "anchors.txt", elsewhere / "anchors.txt")
    assert read_all(elsewhere, reader)["kind"] == "thanks"
    assert status(elsewhere)["readers"][0]["done"] == status(elsewhere)["readers"][0]["of"]
    assert verify(elsewhere).ok

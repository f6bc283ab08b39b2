"""Tables that iMRMC, MRMCaov and RJafroc read."""

import pandas as pd
import pytest

from reader_study.analysis.export import write_tables
from reader_study.blinding.unblind import unblind
from reader_study.record.coordinator import add_reader, close, opened
from reader_study.room.session import ReadingSession

ITEM = """[[items]]
name = "nodule"
kind = "slider"
question = "Sure?"
answers = ["no", "yes"]
about = "each"
marks = ["nodule"]
"""


@pytest.fixture
def unblinded(locked, unlocked, passphrase, fake_reader, cheap_seal):
    """Two cases with a lesion, two without; the reader marks the left image's lesion place."""
    study = unlocked(n_cases=4, items=ITEM, design="repeats = 0\ncatch_trials = 0\n")
    path = study / "protocol.toml"
    text = path.read_text()
    for case in ("case-0", "case-1"):
        text = text.replace(
            f'name = "{case}"',
            f'name = "{case}"\nlesions = [{{ centre_zyx = [1, 6, 5], diameter_mm = 5.0 }}]',
        )
    path.write_text(text)
    from reader_study.blinding.lock import lock_study

    lock_study(study, passphrase=passphrase, read=fake_reader)
    reader, _ = add_reader(study, "one")
    with opened(study) as (bundle, store):
        session = ReadingSession(bundle, store, reader)
        screen = session.act({"action": "consent"})
        while screen["kind"] != "thanks":
            if screen["kind"] != "question":
                screen = session.act({"action": "continue"})
                continue
            mark = {"side": "left", "z": 1, "y": 6, "x": 5, "kind": "nodule", "confidence": 60}
            session.act({"action": "marks", "id": screen["id"], "marks": [mark]})
            value = 80 if screen["item"]["side"] == "left" else 20
            screen = session.act({"action": "answer", "id": screen["id"], "value": value})
    close(study)
    key = unblind(study, passphrase=passphrase, who="c", reason="a slot stayed empty")
    return study, key


def test_imrmc_and_mrmcaov_hold_one_score_per_reader_arm_and_case(unblinded):
    study, _ = unblinded
    (path,) = write_tables(study, to="mrmcaov")
    table = pd.read_csv(path)
    assert list(table) == ["reader", "treatment", "case", "truth", "rating"]
    assert len(table) == 8
    assert table.groupby(["treatment", "case"]).size().eq(1).all()
    assert table.groupby("case")["truth"].first().to_dict() == {
        "case-0": 1,
        "case-1": 1,
        "case-2": 0,
        "case-3": 0,
    }
    assert sorted(table["rating"].unique()) == [20, 80]
    (path,) = write_tables(study, to="imrmc")
    lines = path.read_text().splitlines()
    assert {"N0: 2", "N1: 2", "NR: 1", "NM: 2"} <= set(lines)
    data = [line.split(",") for line in lines[lines.index("BEGIN DATA:") + 1 :]]
    assert [row for row in data if row[0] == "-1"] == [
        ["-1", "1", "0", "1"],
        ["-1", "2", "0", "1"],
        ["-1", "3", "0", "0"],
        ["-1", "4", "0", "0"],
    ]
    assert len(data) == 12


def test_rjafroc_sheets_tell_hits_from_other_marks(unblinded):
    study, key = unblinded
    paths = write_tables(study, to="rjafroc")
    sheets = {path.stem: pd.read_csv(path) for path in paths}
    assert sheets["TRUTH"][["CaseID", "LesionID", "Weight"]].values.tolist() == [
        [1, 1, 1],
        [2, 1, 1],
        [3, 0, 0],
        [4, 0, 0],
    ]
    assert sorted(sheets["TP"]["CaseID"]) == [1, 2]
    assert sorted(sheets["FP"]["CaseID"]) == [3, 4]
    assert set(sheets["TP"]["TP_Rating"]) == {60}
    names = [arm.name for arm in key.protocol.arms]
    assert set(sheets["FP"]["ModalityID"]) <= set(names)


def test_unknown_formats_and_studies_without_what_a_format_is_about_are_refused(
    unblinded, locked, read_all, passphrase
):
    study, _ = unblinded
    with pytest.raises(ValueError, match="imrmc, rjafroc, mrmcaov"):
        write_tables(study, to="spss")
    assert not (study / "tables" / "spss").exists()


def test_a_preference_study_has_no_roc_table(locked, read_all, passphrase):
    study = locked(n_cases=4)
    reader, _ = add_reader(study, "one")
    read_all(study, reader)
    close(study)
    unblind(study, passphrase=passphrase, who="c", reason="a slot stayed empty")
    with pytest.raises(ValueError, match="expected a slider"):
        write_tables(study, to="imrmc")
    with pytest.raises(ValueError, match="expected marks"):
        write_tables(study, to="rjafroc")

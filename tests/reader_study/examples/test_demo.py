"""The demonstration study: from the packaged CT to a locked study without torch."""

import subprocess
import sys

import numpy as np
import pytest

from ctlab.ct.volume import Volume
from ctlab.lessons import beside_colleagues
from reader_study.analysis.tables import final_ratings, ratings_table
from reader_study.blinding.lock import lock_study
from reader_study.blinding.unblind import verify
from reader_study.examples.demo import (
    ARMS,
    NOTE,
    build_demo,
    lesson_plan,
    open_demo,
    own_reading,
)
from reader_study.examples.simulated_demo import read_by_one, read_by_simulated_readers
from reader_study.record.bundle import open_bundle
from reader_study.record.coordinator import opened
from reader_study.record.study_record import read_unblinded
from reader_study.room import server
from reader_study.stats import share_per_reader


@pytest.mark.slow
def test_the_demonstration_is_built_locked_and_staffed(tmp_path, cheap_seal):
    secret = build_demo(tmp_path / "demo")
    bundle = open_bundle(tmp_path / "demo" / "bundle")
    assert len(bundle.images) == 7 * len(ARMS)
    assert {image.shape for image in bundle.images.values()} == {(3, 512, 512)}
    assert len(bundle.trials(1)) == 9  # practice, 6 slabs, a repeat, a catch trial
    with opened(tmp_path / "demo") as (_, store):
        from reader_study.record.reader_codes import hash_of

        assert store.reader_of_code(hash_of(secret["code"])).slot == 1
    with pytest.raises(ValueError, match="not empty"):
        build_demo(tmp_path / "demo")


def test_the_demonstration_needs_no_torch():
    code = (
        "import sys, reader_study.examples.demo, reader_study.blinding.lock\n"
        "import ctlab.classic.filters, ctlab.ct.simulation.low_dose\n"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.usefixtures("cheap_seal")
def test_simulated_readers_read_a_whole_study_up_to_its_report(unlocked, fake_reader, passphrase):
    """Nobody answers; the smoother arm is preferred by design, and the record is intact."""
    study = unlocked(n_cases=6, design="repeats = 0.2\ncatch_trials = 1")

    def read(folder):
        volume = fake_reader(folder)
        calm = 0.3 if folder.parent.name == "alpha" else 1.0
        return Volume(volume.hu * calm, volume.spacing_mm)

    lock_study(study, passphrase=passphrase, read=read)
    files = read_by_simulated_readers(study, passphrase=passphrase, rng=np.random.default_rng(1))
    assert [path.name for path in files][:2] == ["report.html", "report.md"]
    assert "prefer" in files[1].read_text("utf-8")
    assert verify(study).ok
    ratings = final_ratings(ratings_table(read_unblinded(study)))
    catch = ratings[ratings["kind"] == "catch"]
    assert set(catch["value"]) == {"tie"}, "identical images"
    main = ratings[ratings["kind"] == "main"]
    assert len(main) == 2 * 6
    preferred = main["arm_left"].where(main["value"] == "left", main["arm_right"])
    assert (preferred == "alpha").mean() > 0.5


@pytest.mark.slow
@pytest.mark.usefixtures("cheap_seal", "quick_arms")
def test_twenty_pairs_are_read_and_come_back_as_the_readers_own(tmp_path):
    """Fifteen cases, three again, two catch trials; blinded until the last answer."""
    folder = tmp_path / "twenty"
    with pytest.raises(ValueError, match="no demonstration study"):
        own_reading(folder)
    secret = build_demo(folder, plan=lesson_plan(20), display_check=False)
    (folder / NOTE).write_text(f"{secret['code']}\n{secret['passphrase']}\n", "utf-8")
    with pytest.raises(ValueError, match="0 of 20 pairs are answered"):
        own_reading(folder)
    assert not (folder / "unblinded").exists()
    read_by_one(folder, "R1", np.random.default_rng(1))
    mine = own_reading(folder)
    assert mine["kind"].value_counts().to_dict() == {"main": 15, "repeat": 3, "catch": 2}
    assert mine["case"].nunique() == 15
    unlike = mine["left"] != mine["right"]
    assert (unlike == (mine["kind"] != "catch")).all()
    assert set(mine.loc[unlike, "left"]) == set(ARMS)
    assert own_reading(folder).equals(mine)  # a second look changes nothing
    _says_own_answers(folder)
    page = (folder / "own-answers.html").read_text("utf-8")
    assert page.count("shown again") == 3
    assert page.count("same image twice") >= 2
    left = mine[mine["kind"] == "main"]["choice"].eq("left").mean()
    assert f"left side in {100 * left:.0f} %" in page

    table = beside_colleagues(mine, colleagues=3, seed=1)
    assert table["reader"].unique().tolist() == ["you", "C1", "C2", "C3"]
    assert table.groupby("reader")["case"].apply(set).map(len).eq(15).all()
    own = share_per_reader(table, arm="total-variation", over="bilateral").set_index("reader")
    main = mine[mine["kind"] == "main"]
    won = main["left"].where(main["choice"] == "left", main["right"]) == "total-variation"
    assert own.loc["you", "wins"] == won.sum()


def _says_own_answers(folder):
    said = []
    open_demo(folder, port=0, browser=False, say=said.append, plan=lesson_plan(20))
    assert said == [f"Your own answers: {folder / 'own-answers.html'}"]


@pytest.mark.slow
@pytest.mark.usefixtures("cheap_seal", "quick_arms")
def test_the_room_of_a_lesson_closes_when_all_is_handed_in(tmp_path, monkeypatch):
    monkeypatch.setattr(server, "_LAST_PAGE_S", 0.0)
    folder = tmp_path / "lesson"
    secret = build_demo(folder, plan=lesson_plan(5), display_check=False)
    (folder / NOTE).write_text(f"{secret['code']}\n{secret['passphrase']}\n", "utf-8")

    def say(text):
        if "is open at" in text:  # somebody reads while the room is open
            assert not (folder / "own-answers.html").exists()
            read_by_one(folder, "R1", np.random.default_rng(1))
        said.append(text)

    said = []
    open_demo(folder, port=0, browser=False, say=say, plan=lesson_plan(5))
    assert said[-1] == f"Your own answers: {folder / 'own-answers.html'}"
    assert (folder / "own-answers.html").is_file()


@pytest.mark.parametrize("pairs", [5, 10, 20, 24, 47])
def test_a_lesson_has_as_many_pairs_as_were_asked_for(pairs):
    plan = lesson_plan(pairs)
    cases = plan.slabs - 1
    assert cases + round(plan.repeats * cases) + plan.catch_trials == pairs
    assert plan.catch_trials >= 1
    assert plan.first >= 0
    assert plan.first + plan.slabs * plan.slices <= 40


@pytest.mark.parametrize("pairs", [1, 48])
def test_a_lesson_of_too_few_or_too_many_pairs_is_refused(pairs):
    with pytest.raises(ValueError, match=f"expected 5 to 47 pairs, got {pairs}"):
        lesson_plan(pairs)

"""Pages without answers inside, a key that scores what readers hand in, and refusals."""

import base64
import json
import re

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from reader_study.cli.study import app
from reader_study.forced_choice.pages import WINDOW, read_set, write_pages
from reader_study.forced_choice.score import score_answers
from tests.reader_study.forced_choice.conftest import CASES, PLACES, SIZE


def page_data(path):
    text = path.read_text("utf-8")
    return json.loads(re.search(r'id="data">(.*?)</script>', text, re.DOTALL)[1])


def test_each_page_shows_every_case_of_every_arm_and_the_key_tells_the_place(small_set, tmp_path):
    facts, tiles = read_set(small_set)
    made = write_pages(small_set, tmp_path / "pages", ["anna", "ben"], seed=1)
    assert made["trials"] == 6
    key = json.loads((tmp_path / "pages" / "key.json").read_text("utf-8"))["trials"]
    for reader in ("anna", "ben"):
        data = page_data(tmp_path / "pages" / f"{reader}.html")
        seen = set()
        for trial in data["trials"]:
            assert set(trial) == {"token", "tiles"}, "no arm, no contrast, no answer in a page"
            answer = key[trial["token"]]
            assert answer["reader"] == reader
            case = CASES.index(answer["case"])
            lesion = WINDOW.render(tiles[answer["arm"]][case][0])
            shown = np.frombuffer(base64.b64decode(trial["tiles"][answer["place"] - 1]), np.uint8)
            assert np.array_equal(shown.reshape(SIZE, SIZE), lesion)
            seen.add((answer["arm"], answer["case"]))
        assert seen == {(arm, case) for arm in facts["arms"] for case in CASES}
        for word in ("nlm", "low-dose", "case 00"):
            assert word not in (tmp_path / "pages" / f"{reader}.html").read_text("utf-8")


def test_orders_differ_between_readers_and_places_are_spread(small_set, tmp_path):
    readers = [f"r{k}" for k in range(40)]
    write_pages(small_set, tmp_path / "pages", readers, seed=2)
    key = json.loads((tmp_path / "pages" / "key.json").read_text("utf-8"))["trials"]
    places = np.bincount([t["place"] for t in key.values()], minlength=PLACES + 1)[1:]
    assert places.min() > 0.15 * places.sum()
    first = {
        key[page_data(tmp_path / "pages" / f"{r}.html")["trials"][0]["token"]]["case"]
        for r in readers
    }
    assert len(first) == 3


def test_answers_are_scored_and_go_into_the_statistics(small_set, tmp_path):
    run = CliRunner()
    pages, table = tmp_path / "pages", tmp_path / "scored.csv"
    words = [
        "forced-choice",
        "pages",
        str(small_set),
        str(pages),
        "--reader",
        "anna",
        "--reader",
        "ben",
    ]
    assert run.invoke(app, words).exit_code == 0
    key = json.loads((pages / "key.json").read_text("utf-8"))["trials"]
    files = []
    for reader in ("anna", "ben"):
        rows = [
            (t, a["place"] if a["arm"] == "low-dose" else a["place"] % PLACES + 1, 2.5)
            for t, a in key.items()
            if a["reader"] == reader
        ]
        files.append(tmp_path / f"answers-{reader}.csv")
        pd.DataFrame(rows, columns=["token", "chosen", "seconds"]).to_csv(files[-1], index=False)
    told = run.invoke(
        app,
        ["forced-choice", "score", str(pages / "key.json"), *map(str, files), "--out", str(table)],
    )
    assert told.exit_code == 0, told.output
    scored = pd.read_csv(table)
    assert scored.groupby("arm")["correct"].mean().to_dict() == {"filter nlm": 0.0, "low-dose": 1.0}
    shown = run.invoke(app, ["stats", "forced-choice", str(table), "--places", "4"])
    assert shown.exit_code == 0, shown.output
    assert "low-dose: 100.0% right" in shown.stdout
    observers, svg = tmp_path / "observers.csv", tmp_path / "seen.svg"
    observers.write_text(
        "arm,contrast_hu,observer,d_prime\nlow-dose,40,channelised,1.5\n"
        "low-dose,80,channelised,2.5\nlow-dose,40,ideal,3\nlow-dose,80,ideal,6\n",
        "utf-8",
    )
    words = ["stats", "forced-choice", str(table), "--places", "4", "--observers", str(observers)]
    assert run.invoke(app, [*words, "--figure", str(svg)]).exit_code == 0
    drawn = svg.read_text("utf-8")
    for text in ("readers", "channelised observer", "ideal observer", "contrast, HU"):
        assert text in drawn
    assert run.invoke(app, [*words, "--figure", str(tmp_path / "a.png")]).exit_code != 0
    with pytest.raises(ValueError, match="answers of anna twice"):
        score_answers(pages / "key.json", [files[0], files[0]])
    files[0].write_text("token,chosen,seconds\nabc,1,2\n", "utf-8")
    with pytest.raises(ValueError, match="token that this key does not know in row 2"):
        score_answers(pages / "key.json", files)


@pytest.mark.parametrize("readers", [[], ["a", "A"], ["../x"], ["practice"]])
def test_labels_that_are_no_file_names_are_refused(small_set, tmp_path, readers):
    with pytest.raises(ValueError, match="readers' labels"):
        write_pages(small_set, tmp_path / "pages", readers)
    assert not (tmp_path / "pages").exists()


def test_damaged_sets_and_keys_are_refused_in_a_sentence(small_set, tmp_path):
    np.savez(
        small_set / "tiles.npz",
        arm_0=np.zeros((1, 2, 3, 3), np.int16),
        arm_1=np.zeros((1, 2, 3, 3), np.int16),
    )
    with pytest.raises(ValueError, match="expected tiles of low-dose"):
        read_set(small_set)
    (small_set / "set.json").write_text("{}", "utf-8")
    with pytest.raises(ValueError, match="no set of a forced-choice test"):
        read_set(small_set)
    (tmp_path / "key.json").write_text('{"places": "x"}', "utf-8")
    with pytest.raises(ValueError, match="no key of forced-choice pages"):
        score_answers(tmp_path / "key.json", [])

"""A search from the set to the statistics: no answer in a page, areas as counted by hand."""

import json

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from reader_study.cli.study import app
from reader_study.forced_choice.pages import read_set, write_pages
from reader_study.forced_choice.score import score_answers
from reader_study.stats.forced_choice.search import COLUMNS, search
from tests.reader_study.forced_choice.test_pages import page_data


def test_a_reader_s_page_holds_no_place_and_the_practice_page_does(search_set, tmp_path):
    write_pages(search_set, tmp_path / "pages", ["anna"], seed=1)
    data = page_data(tmp_path / "pages" / "anna.html")
    assert all(set(trial) == {"token", "tiles"} for trial in data["trials"])
    practice = page_data(tmp_path / "pages" / "practice.html")
    assert sorted(str(trial["place"]) for trial in practice["trials"]) == ["None", "[12, 22]"]


def test_marks_within_a_diameter_find_the_lesion(search_set, tmp_path):
    write_pages(search_set, tmp_path / "pages", ["anna"], seed=1)
    key = json.loads((tmp_path / "pages" / "key.json").read_text("utf-8"))["trials"]
    near = {"low-dose": (12, 28), "filter nlm": (12, 28.2)}
    rows = [(token, *near[k["arm"]], 5, 2.0) for token, k in key.items()]
    table = pd.DataFrame(rows, columns=["token", "y", "x", "rating", "seconds"])
    table.to_csv(tmp_path / "answers-anna.csv", index=False)
    scored = score_answers(tmp_path / "pages" / "key.json", [tmp_path / "answers-anna.csv"])
    held = scored[scored["truth"] == 1].set_index("arm")["found"]
    assert held.to_dict() == {"low-dose": 1.0, "filter nlm": 0.0}
    assert scored.loc[scored["truth"] == 0, "found"].isna().all()
    table.assign(rating=7).to_csv(tmp_path / "answers-anna.csv", index=False)
    with pytest.raises(ValueError, match="no rating from 1 to 6"):
        score_answers(tmp_path / "pages" / "key.json", [tmp_path / "answers-anna.csv"])


@pytest.fixture
def panel():
    """Three readers, two arms, 20 images, half with a lesion; better in the new arm."""
    rng = np.random.default_rng(4)
    rows = []
    for reader in "ABC":
        for arm, gain in (("new", 1.5), ("old", 0.5)):
            for k in range(20):
                truth = k % 2
                found = float(rng.random() < 0.4 + 0.25 * gain) if truth else np.nan
                rating = int(np.clip(round(3 + gain * truth + rng.normal()), 1, 6))
                rows.append((reader, f"c{k}", arm, 80.0 if truth else np.nan, truth, rating, found))
    return pd.DataFrame(rows, columns=COLUMNS)


def test_the_area_counts_pairs_in_which_the_lesion_was_marked_and_rated_higher(panel):
    result = search(panel)
    for arm, part in panel.groupby("arm"):
        areas = []
        for _, own in part.groupby("reader"):
            held, empty = own[own["truth"] == 1], own[own["truth"] == 0]
            pairs = [
                (h.found == 1) * ((h.rating > e.rating) + 0.5 * (h.rating == e.rating))
                for h in held.itertuples()
                for e in empty.itertuples()
            ]
            areas.append(np.mean(pairs))
        row = result.areas.set_index("arm").loc[arm]
        assert row["area"] == pytest.approx(np.mean(areas))
        shares = result.arms.set_index("arm")["share"]
        assert shares[arm] == pytest.approx(part["found"].mean())
    gap = result.differences.iloc[0]
    assert (gap["first"], gap["second"]) == ("new", "old")
    assert gap["low"] < gap["difference"] < gap["high"]


def test_observers_stand_beside_the_panel_with_its_efficiency(panel, tmp_path):
    table, models = tmp_path / "searched.csv", tmp_path / "observers.csv"
    panel.to_csv(table, index=False)
    rows = [
        ("old", 80.0, "channelised", 2.0, 0.6, 0.5),
        ("old", 80.0, "ideal", 4.0, 0.95, 0.9),
        ("new", 80.0, "channelised", 2.0, 1.0, 0.9),
    ]
    columns = ["arm", "contrast_hu", "observer", "d_prime", "share_found", "area"]
    pd.DataFrame(rows, columns=columns).to_csv(models, index=False)
    run = CliRunner()
    words = ["stats", "search", str(table), "--observers", str(models)]
    told = run.invoke(app, words)
    assert told.exit_code == 0, told.output
    assert "old at 80 HU, ideal observer: 95.0% found, area 0.900; efficiency" in told.stdout
    found = json.loads(run.invoke(app, [*words, "--json"]).stdout)
    by = {(r["arm"], r["observer"]): r for r in found["observers"]}
    assert by["old", "ideal"]["efficiency"] == pytest.approx(
        by["old", "channelised"]["efficiency"] / 4
    )
    assert by["new", "channelised"]["efficiency"] is None  # all found: places are not known


def test_a_set_whose_places_and_contrasts_disagree_is_refused(search_set):
    path = search_set / "set.json"
    facts = json.loads(path.read_text("utf-8"))
    path.write_text(json.dumps(facts | {"case_places_px": [None, None]}), "utf-8")
    with pytest.raises(ValueError, match="disagree"):
        read_set(search_set)

"""Checklists: all their items, answers with their file, and nothing filled that nobody said."""

import json
import shutil
import tomllib
from pathlib import Path
from typing import get_args

import pytest

from reader_study.design.analysis import Checklist
from reader_study.report.checklist_facts import known_facts, read_model
from reader_study.report.checklists import as_table, checklist_files, chosen, fill
from reader_study.report.page import html_page, markdown_page
from tests.reader_study.analysed_rows import analysed

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = ROOT / "ctlab" / "learn" / "shipped"


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """What is known of the shipped model: its passport and the files of its training run."""
    study = tmp_path_factory.mktemp("study")
    (study / "model").mkdir()
    for path in (
        ROOT / "experiments" / "shipped_model" / "passport.json",
        *(SHIPPED / name for name in ("card.json", "train.toml", "split.csv")),
    ):
        shutil.copy(path, study / "model")
    return read_model(study)


@pytest.fixture(scope="module")
def facts():
    import numpy as np

    return analysed("share", np.random.default_rng(1))[0]


def test_the_four_checklists_have_every_item_of_their_source():
    lists = checklist_files()
    assert set(lists) == set(get_args(Checklist))
    numbers = {name: list(part["items"]) for name, part in lists.items()}
    assert numbers["claim-2024"] == [str(n) for n in range(1, 45)]
    assert numbers["grras-2011"] == [str(n) for n in range(1, 16)]
    # STARD-AI: 40 items in 48 rows; DECIDE-AI: 28 rows of 17 items, and I to X.
    stard = numbers["stard-ai-2025"]
    assert (len(stard), len({n.rstrip("abcd") for n in stard})) == (48, 40)
    decide = [n for n in numbers["decide-ai-2022"] if n[0].isdigit()]
    assert (len(decide), len({n.rstrip("abc") for n in decide})) == (28, 17)
    assert len(numbers["decide-ai-2022"]) - len(decide) == 10
    assert all("doi:10." in part["source"] for part in lists.values())


def test_every_answer_that_an_item_asks_for_can_be_known(facts, model):
    asked = {
        name
        for part in checklist_files().values()
        for item in part["items"].values()
        for name in item.get("known", ())
    }
    full = facts | {
        "agreement": [{}],
        "effects": [{"effect": "position"}],
        "sensitivity": [{"label": "mean"}],
        "curves": [{"kind": "roc"}],
    }
    full["primary"] = [facts["primary"][0] | {"endpoint": "ai"}]
    full["estimand"] = facts["estimand"] | {"endpoint": "areas, called from the answer 3 on"}
    full["design"] = facts["design"] | {"lesions": 3, "ethics": "2026-1"}
    full["design"]["population"] = facts["design"]["population"] | {"reference_standard": "CT"}
    full["flow"] = facts["flow"] | {"trials": {"practice": 4, "main": 8, "repeat": 2, "catch": 0}}
    model = model | {"card": model["card"] | {"series": ["elsewhere"]}}
    assert asked <= set(known_facts(full, model))


@pytest.mark.parametrize(
    ("endpoint", "agreement", "wanted"),
    [
        ("share", [], ["claim-2024", "grras-2011"]),
        ("auc", [], ["claim-2024", "stard-ai-2025"]),
        ("ai", [{}], ["claim-2024", "stard-ai-2025", "grras-2011"]),
    ],
)
def test_checklists_follow_the_kind_of_study(facts, endpoint, agreement, wanted):
    row = facts["primary"][0] | {"endpoint": endpoint}
    study = facts | {"primary": [row], "agreement": agreement}
    assert chosen(study) == wanted
    named = study | {"design": study["design"] | {"checklists": ["decide-ai-2022"]}}
    assert chosen(named) == ["decide-ai-2022"]


def test_answers_name_their_file_and_what_nobody_said_stays_open(facts, model):
    bare = {row["number"]: row for row in fill("claim-2024", facts)["rows"]}
    assert bare["14"]["answer"] == "none: the endpoint is a preference or a rating [protocol]."
    for number in ("1", "22", "25", "44"):
        assert bare[number]["state"] == "open"
        assert bare[number]["answer"] == "To be written by the authors."
    known = fill("claim-2024", facts, model)
    rows = {row["number"]: row for row in known["rows"]}
    passport = json.loads((ROOT / "experiments" / "shipped_model" / "passport.json").read_text())
    name = f"model {passport['checkpoint_sha256'][:12]} (model) [passport.json]"
    assert name in rows["22"]["answer"]
    assert "generator unet" in rows["22"]["answer"]
    run = tomllib.loads((SHIPPED / "train.toml").read_text("utf-8"))
    said = f"{run['steps']} steps, batch {run['batch']}, learning rate {run['learning_rate']:g}"
    assert f"{said}, seed {run['seed']}" in rows["25"]["answer"]
    assert rows["20"]["answer"].startswith("Slabs of slices: patients are shared")
    begun = json.loads((SHIPPED / "card.json").read_text("utf-8"))["begun"]["steps"]
    assert f"{begun} steps of begin.toml [card.json]" in rows["24"]["answer"]
    assert rows["13"]["answer"].startswith("GE MEDICAL SYSTEMS LightSpeed Plus, kernel STANDARD")
    assert "worst nodule" in rows["39"]["answer"]
    assert rows["33"]["state"] == "open", "its only test series is one it was trained on"
    assert rows["21"]["state"] == "in part"
    assert "To be added: the reason for these numbers" in rows["21"]["answer"]
    assert known["filled"] + known["part"] + known["open"] == 44
    counted = [row for row in known["rows"] if row["state"] == "open"]
    assert len(counted) == known["open"]


def test_both_pages_and_the_table_show_the_same_answers(facts, model):
    table = as_table(facts, model)
    assert len(table) == 44 + 15
    for page in (html_page(facts, "", model=model), markdown_page(facts, model=model)):
        for words in ("Tejani et al. 2024", "Kottner et al. 2011", "patients are shared"):
            assert words in page
    open_items = table.loc[
        (table["checklist"] == "GRRAS 2011") & (table["state"] == "open"), "number"
    ]
    assert f"open ({', '.join(open_items)})" in markdown_page(facts, model=model)


def test_words_of_a_model_are_text_on_both_pages(facts, model):
    hostile = model | {"card": model["card"] | {"series": ["<b>x</b> | {raw}`y`"]}}
    assert "<b>x" not in html_page(facts, "", model=hostile)
    shown = markdown_page(facts, model=hostile)
    assert "<b>x" not in shown
    assert "{raw}`" not in shown


def test_a_damaged_file_of_the_model_is_refused(tmp_path):
    assert read_model(tmp_path)["passport"] == {}
    (tmp_path / "model").mkdir()
    path = tmp_path / "model" / "passport.json"
    for text in ("{", json.dumps([1])):
        path.write_text(text, "utf-8")
        with pytest.raises(ValueError, match=r"expected passport\.json as ctlab writes it"):
            read_model(tmp_path)

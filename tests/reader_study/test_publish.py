"""What leaves the study for others: the crate with its hashes, the text for a registry."""

import datetime
import hashlib
import json
import shutil
from pathlib import Path

import pytest

from reader_study.record.paths import locked_protocol
from reader_study.report import write_report
from reader_study.report.preregistration import preregistration, write_preregistration
from reader_study.report.ro_crate import write_crate

STUDY = Path(__file__).parents[1] / "data" / "analysed-study"


@pytest.fixture(scope="module")
def crate(tmp_path_factory):
    study = shutil.copytree(STUDY, tmp_path_factory.mktemp("crate") / "study")
    write_report(study)
    (study / "model").mkdir()
    (study / "model" / "passport.json").write_text('{"checks": [], "facts": {}}', "utf-8")
    (study / "reader-names.csv").write_text("R1,Dr Secret\n", "utf-8")
    (study / "book").mkdir()
    (study / "book" / "publication.toml").write_text(
        'authors = ["Ada Lovelace"]\nyear = 2026\nlicence = "CC BY 4.0"\n', "utf-8"
    )
    path = write_crate(study, study.parent / "out")
    return path.parent, json.loads(path.read_text("utf-8"))


def test_the_crate_keeps_the_rules_of_ro_crate(crate):
    """RO-Crate 1.2, what MUST be: a flat graph, descriptor, root, and every file reachable."""
    _, content = crate
    assert content["@context"] == "https://w3id.org/ro/crate/1.2/context"
    graph = content["@graph"]
    by_id = {entity["@id"]: entity for entity in graph}
    assert len(by_id) == len(graph)
    assert all("@type" in entity for entity in graph)
    descriptor, root = by_id["ro-crate-metadata.json"], by_id["./"]
    assert descriptor["@type"] == "CreativeWork"
    assert descriptor["about"] == {"@id": "./"}
    assert descriptor["conformsTo"] == {"@id": "https://w3id.org/ro/crate/1.2"}
    assert root["@type"] == "Dataset"
    assert root["name"]
    assert root["description"]
    assert by_id[root["license"]["@id"]]["name"] == "CC BY 4.0"
    datetime.date.fromisoformat(root["datePublished"])
    for entity in graph:  # flat: an entity inside another is a reference alone
        for value in entity.values():
            for part in value if isinstance(value, list) else [value]:
                assert not isinstance(part, dict) or list(part) == ["@id"], entity["@id"]
                if isinstance(part, dict) and not part["@id"].startswith("https://w3id.org/ro/cr"):
                    assert part["@id"] in by_id


def test_every_file_of_the_crate_is_described_with_its_hash_and_nobody_is_named(crate):
    folder, content = crate
    files = {row["@id"]: row for row in content["@graph"] if row["@type"] == "File"}
    there = {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}
    assert there - {"ro-crate-metadata.json"} == set(files)
    root = next(row for row in content["@graph"] if row["@id"] == "./")
    assert {part["@id"] for part in root["hasPart"]} == set(files)
    for name, row in files.items():
        data = (folder / name).read_bytes()
        assert row["sha256"] == hashlib.sha256(data).hexdigest()
        assert row["contentSize"] == str(len(data))
        assert "/" in row["encodingFormat"]
    assert {"report/primary.csv", "report/figures/flow.svg", "model/passport.json"} <= set(files)
    people = [row["name"] for row in content["@graph"] if row["@type"] == "Person"]
    assert people == ["Ada Lovelace"]
    assert "Secret" not in json.dumps(content)
    action = next(row for row in content["@graph"] if row["@type"] == "CreateAction")
    assert {"@id": "report/analysis.json"} in action["result"]


def test_a_study_without_a_report_makes_no_crate(tmp_path):
    study = shutil.copytree(STUDY, tmp_path / "study")
    with pytest.raises(ValueError, match="run reader-study report first"):
        write_crate(study, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_text_for_a_registry_says_the_plan_and_names_what_is_open(tmp_path, write_protocol):
    text = write_protocol(
        n_cases=6,
        readers=5,
        items='[[items]]\nname = "noise"\nkind = "scale"\nquestion = "How noisy?"\n'
        'answers = ["none", "some", "much"]\nabout = "each"\n',
        tail='lower_is_better = ["noise"]\nmargin = 0.5\nmargin_justification = "half a point"\n'
        'endpoint = "difference"\n',
    )
    with pytest.raises(ValueError, match="run reader-study lock first"):
        preregistration(tmp_path)
    locked_protocol(tmp_path).write_text(text, "utf-8")
    said = write_preregistration(tmp_path).read_text("utf-8")
    assert said == preregistration(tmp_path)
    for words in (
        "primary, item “noise”: alpha is not worse than bravo by 0.5 or more.",
        "5 readers; 6 cases of 6 patients; 6 cases per reader.",
        "margin 0.5 (half a point)",
        "Reverse-scored: noise.",
        "- noise (scale): How noisy? Answers: none; some; much.",
        hashlib.sha256(text.encode()).hexdigest(),
    ):
        assert words in said
    headings = [line[4:] for line in said.splitlines() if line.startswith("### ")]
    for asked in ("Existing data", "Stopping rule", "Missing data", "Inference criteria"):
        assert asked in headings
    assert said.count("[To be written by the authors") == 4

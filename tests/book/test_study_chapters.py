"""A study's results as chapters: numbers from the record, the authors' words kept."""

import json
import re
import shutil
from pathlib import Path

import pytest

from reader_study.report import write_chapters

# A study of four simulated readers and twenty cases whose preference share is 0.7 in truth.
STUDY = Path(__file__).resolve().parents[1] / "data" / "analysed-study"


@pytest.fixture
def study(tmp_path):
    return shutil.copytree(STUDY, tmp_path / "study")


def test_the_pages_hold_the_numbers_of_the_record(study, tmp_path):
    names = write_chapters(study, tmp_path / "pages")
    assert names[0] == "index"
    pages = {name: (tmp_path / "pages" / f"{name}.md").read_text("utf-8") for name in names}
    facts = json.loads((study / "report" / "analysis.json").read_text())
    (row,) = facts["primary"]
    assert f"{100 * row['value']:.1f} %" in pages["results"]
    assert facts["title"] in pages["index"]
    assert facts["conclusion"][0] in pages["index"]
    for name in ("results", "readers", "methods", "checklists"):
        assert len(pages[name].split()) > 40, name
    # A number that changes in the record changes on the page.
    row["value"] = 0.123456
    (study / "report" / "analysis.json").write_text(json.dumps(facts))
    write_chapters(study, tmp_path / "pages")
    assert "12.3 %" in (tmp_path / "pages" / "results.md").read_text("utf-8")


def test_every_picture_has_words_and_stands_on_its_page(study, tmp_path):
    names = write_chapters(study, tmp_path / "pages")
    text = "".join((tmp_path / "pages" / f"{name}.md").read_text("utf-8") for name in names)
    alts = re.findall(r'<img src="data:image/svg\+xml;base64,[^"]+" alt="([^"]*)"', text)
    assert len(alts) >= 2
    assert min(map(len, alts)) > 20
    assert len(re.findall("<img", text)) == len(alts)


def test_the_words_of_the_authors_are_kept(study, tmp_path):
    write_chapters(study, tmp_path / "pages")
    own = study / "book" / "discussion.md"
    assert "Replace this text" in own.read_text("utf-8")
    own.write_text("# Discussion\n\nOur own words.\n")
    write_chapters(study, tmp_path / "pages")
    assert own.read_text("utf-8") == "# Discussion\n\nOur own words.\n"
    assert "Our own words." in (tmp_path / "pages" / "discussion.md").read_text("utf-8")


def test_data_and_script_are_offered_beside_the_methods(study, tmp_path):
    write_chapters(study, tmp_path / "pages")
    methods = (tmp_path / "pages" / "methods.md").read_text("utf-8")
    for name in ("analysis.json", "primary.csv", "primary.R"):
        assert f"`{name} <{name}>`" in methods
        assert (tmp_path / "pages" / name).read_bytes() == (study / "report" / name).read_bytes()


def test_a_study_that_was_not_analysed_is_refused(tmp_path, book_script):
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="run reader-study analyse first"):
        write_chapters(tmp_path / "empty", tmp_path / "pages")
    assert not (tmp_path / "pages").exists()

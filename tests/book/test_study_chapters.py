"""A study's results as chapters: numbers from the record, the authors' words kept."""

import json
import re
import shutil
from pathlib import Path

import pytest
import yaml

from reader_study.report import read_signature, write_chapters

# A study of four simulated readers and twenty cases whose preference share is 0.7 in truth.
ROOT = Path(__file__).resolve().parents[2]
STUDY = ROOT / "tests" / "data" / "analysed-study"

HOSTILE_FIELDS = {"note", "reference", "consent", "description", "label"}


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


def test_agreement_from_one_repeat_is_no_number_and_no_empty_interval(study, tmp_path):
    path = study / "report" / "analysis.json"
    facts = json.loads(path.read_text())
    nothing = dict.fromkeys(("kappa", "kappa_low", "kappa_high", "kappa_quadratic", "low", "high"))
    row = {"item": "preference", "reader": "R1", "n": 1, "raw_agreement": 0.0, "note": "1 pair"}
    facts["repeats"] = [row | {"raw_low": 0.0, "raw_high": 0.975} | nothing]
    path.write_text(json.dumps(facts))
    write_chapters(study, tmp_path / "pages")
    page = (tmp_path / "pages" / "readers.md").read_text("utf-8")
    assert "| preference | R1 | 1 | 0.00 (0.00 to 0.97) | — | — |\n" in page
    assert "preference, R1: 1 pair.\n" in page


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


def test_a_study_is_signed_by_its_team(study, tmp_path, book_script):
    build = book_script("build")
    write_chapters(study, tmp_path / "pages")
    asked = study / "book" / "publication.toml"
    unsigned = read_signature(study, 2030)
    assert unsigned.by == "Authors not named yet"
    asked.write_text(
        'authors = ["A. Reader", "B. <i>Writer</i>"]\nyear = 2031\nlicence = "CC BY 4.0"\n'
        'data_credit = "Scans of Example Hospital"\n'
    )
    write_chapters(study, tmp_path / "pages")
    assert "Example Hospital" in asked.read_text("utf-8")
    front = (tmp_path / "pages" / "index.md").read_text("utf-8")
    assert "A. Reader, B. &lt;i&gt;Writer&lt;/i&gt; (2031)" in front
    cited = yaml.safe_load((tmp_path / "pages" / "CITATION.cff").read_text("utf-8"))
    assert [author["name"] for author in cited["authors"]] == ["A. Reader", "B. <i>Writer</i>"]
    signed = read_signature(study, 2030)
    said = {"title": "T", "author": signed.by, "copyright": "2031", "footer": signed.footer()}
    config = yaml.safe_load(build.write_config(tmp_path, study=said).read_text("utf-8"))
    footer = config["sphinx"]["config"]["html_theme_options"]["extra_footer"]
    assert config["copyright"] == "2031"
    assert "Example Hospital" in footer
    assert "<i>" not in footer
    assert "LIDC" not in footer
    assert "CT Lab contributors" not in yaml.safe_dump(config)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("authors = 3\n", "a list of names"),
        ("year = '2031'\n", "type int"),
        ("author = []\n", "'author'"),
        ("authors = [\n", "TOML"),
    ],
)
def test_a_signature_that_cannot_be_read_is_one_sentence(study, text, said):
    (study / "book").mkdir(exist_ok=True)
    (study / "book" / "publication.toml").write_text(text)
    with pytest.raises(ValueError, match=re.escape(said)):
        read_signature(study, 2030)


def test_text_of_a_protocol_is_never_markup_of_the_pages(study, tmp_path):
    hostile = "<script>hit()</script> {raw}`x` ```{eval-rst} $x$ [l](javascript:1) a|b\n# H"
    path = study / "report" / "analysis.json"
    facts = json.loads(path.read_text())
    facts["title"] = hostile
    facts["conclusion"] = [hostile]

    def everywhere(value):
        if isinstance(value, dict):
            return {
                name: hostile if name in HOSTILE_FIELDS else everywhere(part)
                for name, part in value.items()
            }
        return [everywhere(part) for part in value] if isinstance(value, list) else value

    path.write_text(json.dumps(everywhere(facts)))
    names = write_chapters(study, tmp_path / "pages")
    for name in names:
        text = (tmp_path / "pages" / f"{name}.md").read_text("utf-8")
        assert "<script" not in text, name
        assert "{raw}`" not in text, name
        assert "[l](javascript" not in text, name
        assert "\n# H" not in text, name


def test_the_study_that_pyproject_names_is_a_part_of_the_book(
    study, monkeypatch, book_script, capsys
):
    build = book_script("build")
    named = {**build.publication(), "study": str(study / "nowhere")}
    monkeypatch.setattr(build, "publication", lambda: named)
    monkeypatch.setattr("sys.argv", ["build.py"])
    assert build.main() == 2
    assert "run reader-study analyse first" in capsys.readouterr().err


def test_the_workflow_that_publishes_asks_for_what_github_pages_needs():
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "book.yml").read_text())
    steps = [step.get("uses", "") for step in workflow["jobs"]["build"]["steps"]]
    names = [use.partition("@")[0] for use in steps]
    assert names.index("actions/configure-pages") < names.index("actions/upload-pages-artifact")
    assert workflow["jobs"]["pages"]["permissions"] == {"pages": "write", "id-token": "write"}

"""The report of a small study: complete and self-contained."""

import json
import re
from html.parser import HTMLParser
from itertools import pairwise

import pytest

from reader_study.report import read_analysis, write_report
from reader_study.report.page import html_page, markdown_page
from reader_study.report.rscript import r_script
from reader_study.report.words import methods
from tests.reader_study.analysed_rows import analysed

VOID = {"meta", "br", "link", "img", "hr", "input"}


class Outline(HTMLParser):
    """Tags in balance, ids, references, and what a screen reader needs."""

    def __init__(self):
        super().__init__()
        self.open, self.ids, self.links, self.headings, self.unnamed = [], [], [], [], []

    def handle_starttag(self, tag, attrs):
        facts = dict(attrs)
        if tag not in VOID:
            self.open.append(tag)
        if "id" in facts:
            self.ids.append(facts["id"])
        if tag == "a" and facts.get("href", "").startswith("#"):
            self.links.append(facts["href"][1:])
        if tag in {"h1", "h2", "h3"}:
            self.headings.append(tag)
        if facts.get("role") == "img" and not facts.get("aria-label"):
            self.unnamed.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.mark.parametrize("endpoint", ["share", "odds", "auc"])
def test_the_page_is_whole_safe_and_needs_nothing_else(endpoint, rng):
    facts, _ = analysed(endpoint, rng)
    page = html_page(facts, r_script(facts))
    outline = Outline()
    outline.feed(page)
    assert outline.open == []
    assert outline.unnamed == []
    assert set(outline.links) <= set(outline.ids)
    assert outline.headings[0] == "h1"
    assert outline.headings.count("h1") == 1
    assert len(page.split("<figure>")) >= 4
    assert "A &lt;study&gt; &amp; its report" in page
    assert "<study>" not in page
    loads = re.findall(r'(?:src|href)="([^"#][^"]*)"', page)
    assert [target for target in loads if not target.startswith("#")] == []
    assert "<script" not in page
    assert "@import" not in page


def test_numbers_of_the_page_are_those_of_the_analysis(rng):
    facts, _ = analysed("share", rng)
    row = facts["primary"][0]
    shown = f"{100 * row['value']:.1f} %"
    low, high = (f"{100 * row[name]:.1f} %" for name in ("low", "high"))
    for page in (html_page(facts, ""), markdown_page(facts)):
        assert shown in page
        assert f"{low} to {high}" in page
        for reader in row["readers"]:
            assert reader["reader"] in (0, 1, 2, 3)
    assert "R1 &lt;left&gt; early" in html_page(facts, "")


def test_how_recognisable_the_arms_are_and_what_screens_showed_is_on_both_pages(rng):
    facts, _ = analysed("share", rng)
    found = {
        "arms": ["new", "reference"],
        "auc": 0.8125,
        "pairs_right": 0.9,
        "cases": 20,
        "note": "",
    }
    facts = facts | {"texture": {"arms": "matched", "recognised": [found]}}
    facts["readers"][0]["display"] = {
        "card_px": 428,
        "dark_patches_seen": 4,
        "light_patches_seen": 2,
        "room_is_dim": True,
    }
    for page in (html_page(facts, ""), markdown_page(facts)):
        assert re.search(r"new and reference apart with an AUC of 0\.81", page)
        assert "one mean noise power spectrum" in page
    said = "pixel 0.20 mm, patches 4 dark and 2 light of 4, dim room"
    assert said in html_page(facts, ""), "85.6 mm of a bank card over 428 px"


def test_every_table_row_of_the_markdown_has_its_columns(rng):
    facts, _ = analysed("share", rng)
    facts["deviations"][0]["what"] = "a | b\nc"
    facts["primary"][0]["note"] = "one | two"
    lines = markdown_page(facts).splitlines()
    for before, line in pairwise(lines):
        if before.startswith("|") and line.startswith("|"):
            assert len(re.findall(r"(?<!\\)\|", line)) == len(re.findall(r"(?<!\\)\|", before))
    assert "one &#124; two" in "\n".join(lines)


def test_a_result_without_an_estimate_still_gives_a_page(rng):
    facts, _ = analysed("share", rng)
    gone = {
        "value": None,
        "low": None,
        "high": None,
        "p": None,
        "p_aim": None,
        "p_adjusted": None,
        "note": "every answer was a tie",
        "readers": [],
    }
    facts["primary"][0] |= gone
    page = html_page(facts, r_script(facts))
    assert "no estimate (every answer was a tie)" in page
    assert "published no estimate: every answer was a tie" in page


def test_few_readers_and_margins_are_said_in_words(rng):
    facts, _ = analysed("share", rng)
    facts |= {"few_readers": True, "aim": "noninferiority", "margin": 0.1}
    text = " ".join(methods(facts))
    assert "these readers only" in text
    assert "non-inferiority with a margin of 0.1" in text
    for layout, words in (("pair", "side by side"), ("flicker", "in one place by turns")):
        facts["design"]["layout"] = layout
        assert f"pairs of images {words}" in " ".join(methods(facts))


def test_a_study_that_was_not_analysed_or_by_a_newer_program_is_refused(tmp_path):
    with pytest.raises(ValueError, match="run reader-study analyse first"):
        write_report(tmp_path)
    (tmp_path / "report").mkdir()
    path = tmp_path / "report" / "analysis.json"
    path.write_text("{", "utf-8")
    with pytest.raises(ValueError, match="damaged"):
        read_analysis(tmp_path)
    path.write_text(json.dumps({"format_version": 99}), "utf-8")
    with pytest.raises(ValueError, match="install a newer ctlab"):
        read_analysis(tmp_path)


def test_writing_leaves_five_files_that_do_not_change(rng, tmp_path):
    facts, _ = analysed("share", rng)
    (tmp_path / "report").mkdir()
    (tmp_path / "report" / "analysis.json").write_text(json.dumps(facts), "utf-8")
    first = [path.read_bytes() for path in write_report(tmp_path)]
    paths = write_report(tmp_path)
    assert [path.name for path in paths] == [
        "report.html",
        "report.md",
        "supplement.html",
        "primary.R",
        "checklists.csv",
    ]
    flow = (paths[1].parent / "figures" / "flow.svg").read_text("utf-8")
    for words in ("20 patients, 20 cases, 2 arms", "4 readers joined", "80 answered"):
        assert words in flow
        assert words in paths[1].read_text("utf-8")
    assert [path.read_bytes() for path in paths] == first


def test_readers_stand_in_the_order_people_count(rng):
    from reader_study.report.page import in_order

    facts, _ = analysed("odds", rng)
    names = ["R1", "R10", "R2", "all"]
    facts["missing"] = [{"reader": name} for name in names]
    facts["sensitivity"] = [
        {"label": "mean"},
        *({"label": f"without reader {n}"} for n in names[:3]),
    ]
    ordered = in_order(facts)
    assert [row["reader"] for row in ordered["missing"]] == ["R1", "R2", "R10", "all"]
    assert [row["label"].split()[-1] for row in ordered["sensitivity"]] == [
        "mean",
        "R1",
        "R2",
        "R10",
    ]
    assert facts["missing"][1]["reader"] == "R10"


@pytest.mark.parametrize(
    ("low", "high", "wanted"),
    [(1.6, 3.2, ["1", "1.2", "2", "3"]), (0.05, 40.0, ["0.1", "1", "10"]), (1.1, 1.3, ["1.2"])],
)
def test_the_axis_of_odds_ratios_has_numbers_to_read(low, high, wanted):
    from reader_study.report.figures import forest

    row = {
        "label": "x",
        "value": (low * high) ** 0.5,
        "low": low,
        "high": high,
        "endpoint": "odds",
        "null": 1.0,
    }
    ticks = re.findall(r">([0-9.]+)</text>", forest([row], name="x"))
    assert set(wanted) <= set(ticks)
    assert len(ticks) <= 9


@pytest.mark.parametrize(
    ("endpoint", "aim", "words"),
    [
        ("share", "superiority", "interval of the share just reaches 50.0 %; two-sided"),
        ("odds", "superiority", "Wald test of the arm on the log odds"),
        ("difference", "noninferiority", "taken at the margin; it is twice the one-sided p"),
        ("auc", "equivalence", "taken at the worse of both margins"),
        ("limits", "superiority", "mean difference over its standard error"),
    ],
)
def test_methods_say_how_p_is_got(rng, endpoint, aim, words):
    facts, _ = analysed("share", rng)
    facts["primary"][0] |= {"endpoint": endpoint, "aim": aim}
    assert words in " ".join(methods(facts))


def test_what_was_not_done_is_left_out_of_methods_and_page(rng):
    facts, _ = analysed("share", rng)
    text = " ".join(methods(facts))
    assert "one comparison no p-value needed adjustment" in text
    for words in ("Krippendorff", "kappa", "Bang", "Position in the list"):
        assert words not in text
    assert 'id="agreement"' not in html_page(facts, "")
    row = {"item": "quality", "reader": "all", "n": 9, "raw_agreement": 0.5, "kappa": 0.1}
    row |= {"kappa_quadratic": 0.2, "low": 0.0, "high": 0.4, "note": ""}
    facts |= {"repeats": [row], "blinding": []}
    assert "all pooled" in " ".join(methods(facts))
    assert 'id="agreement"' in html_page(facts, "")


def test_the_supplement_is_safe_and_short(rng):
    from reader_study.report.page import pictures, supplement_page

    facts, _ = analysed("share", rng)
    facts["secondary"] = [facts["primary"][0] | {"role": "secondary"}] * 12
    page = supplement_page(facts, shown=pictures(facts))
    outline = Outline()
    outline.feed(page)
    assert outline.open == []
    assert outline.unnamed == []
    assert "<study>" not in page
    assert "5 further comparisons" in page
    assert page.count("<tr>") == 1 + 8

"""The report of a small study: complete, self-contained, and repeated by R."""

import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from itertools import pairwise

import numpy as np
import pytest

from reader_study.report import read_analysis, write_report
from reader_study.report.checklists import claim, grras
from reader_study.report.page import html_page, markdown_page
from reader_study.report.rscript import r_script
from reader_study.report.words import methods
from reader_study.stats.power.simulated import (
    LikertTruth,
    PreferenceTruth,
    simulate_likert,
    simulate_preference,
)
from reader_study.stats.roc.roe_metz import simulate_roc

RSCRIPT = shutil.which("Rscript")
VOID = {"meta", "br", "link", "img", "hr", "input"}


def planned(endpoint, role="primary"):
    from reader_study.design.analysis_plan import Planned

    return Planned(role, "quality", endpoint, "new", "reference", 5, False, False)


def study_rows(endpoint, rng):
    """Rows behind a primary result, from a truth that is known."""
    if endpoint == "share":
        return simulate_preference(
            PreferenceTruth(0.7, sd_reader=0.5), readers=4, cases=20, rng=rng
        )
    if endpoint == "auc":
        return simulate_roc({"new": 0.85, "reference": 0.75}, readers=4, cases=40, rng=rng)
    return simulate_likert(LikertTruth(odds_ratio=2.5), readers=4, cases=20, rng=rng)


def analysed(endpoint, rng):
    """An analysis as ``analysis.json`` holds it, and its rows, without a locked study."""
    from ctlab.files import plain
    from reader_study.analysis.endpoints import estimate, judged

    rows = study_rows(endpoint, rng)
    truth = rows[["case", "truth"]].drop_duplicates() if endpoint == "auc" else None
    table = rows.drop(columns="truth", errors="ignore")
    test = planned(endpoint)
    row = judged(test, estimate(test, table, truth=truth), aim="superiority", margin=None)
    row["p_adjusted"] = row["p_aim"]
    return plain({**SKELETON, "primary": [row]}), rows


SKELETON = {
    "format_version": 1,
    "study": "0123abcd",
    "title": "A <study> & its report",
    "aim": "superiority",
    "margin": None,
    "multiplicity": "holm",
    "level": 0.95,
    "method": "a method",
    "estimand": {"population": "adults", "endpoint": "share", "intercurrent events": "none"},
    "unplanned_items": [],
    "secondary": [],
    "assay": [],
    "sensitivity": [],
    "conclusion": ["new was better than reference."],
    "few_readers": False,
    "curves": [],
    "design": {
        "layout": "pair",
        "sessions": 1,
        "washout_days": 28,
        "repeats": 0.1,
        "catch_trials": 1,
        "window": "lung",
        "arms": [{"name": "new"}, {"name": "reference"}],
        "items": [{"name": "quality"}],
        "ethics": "",
        "consent": True,
        "plan": "",
        "lesions": 0,
        "population": {"description": "adults", "reference_standard": "", "prevalence_told": ""},
    },
    "flow": {
        "cases": 20,
        "patients": 20,
        "slots": 4,
        "readers": 4,
        "replaced": 0,
        "withdrawn": 0,
        "trials": {"practice": 0, "main": 80, "repeat": 8, "catch": 4},
        "asked": 80,
        "answered": 80,
        "withheld": 0,
        "missing": 0,
        "analysed": 80,
    },
    "readers": [
        {
            "reader": "R1",
            "slot": 1,
            "active": True,
            "done": 20,
            "of": 22,
            "flags": ["silent"],
            "median_seconds": 8.25,
            "visits": 2,
            "pauses": 0,
            "first_day": "2026-01-01",
            "last_day": "2026-01-02",
            "display": {},
        },
    ],
    "balance": {
        "ok": True,
        "slots": [
            {
                "slot": 1,
                "main": 20,
                "first_arm_left": 10,
                "first_arm_right": 10,
                "catch": 1,
                "longest_side_run": 3,
                "repeat": 2,
                "shortest_repeat_distance": 11,
            }
        ],
    },
    "integrity": {
        "ok": True,
        "events": 300,
        "answers": 100,
        "notes": [],
        "commitment": "c0ffee",
        "protocol_sha256": "abc",
        "protocol_in_force": "abd",
        "bundle_sha256": "def",
        "locked_at": "2026-01-01T00:00:00",
        "head": "300:fff",
        "closed_at": "2026-02-01T00:00:00",
        "anchors": True,
        "unblinded_at": "2026-02-02T00:00:00",
        "unblinded_by": "me",
        "unblinding_reason": "",
    },
    "deviations": [{"what": "R1 <left> early", "consequence": "kept"}],
    "missing": [],
    "answers": [],
    "agreement": [],
    "repeats": [],
    "blinding": [],
    "texture": {"arms": "as-made", "recognised": []},
    "position": [],
    "catch": [],
    "effects": [],
    "time": {"means": [], "ratios": [], "speeding": []},
    "software": {"python": "3.11"},
}


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
    assert "one \\| two" in "\n".join(lines)


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


def test_checklists_have_all_their_items_and_leave_the_unknown_open(rng):
    facts, _ = analysed("share", rng)
    assert [row["number"] for row in grras(facts)] == list(range(1, 16))
    assert [row["number"] for row in claim(facts)] == list(range(1, 43))
    funding = claim(facts)[41]
    assert not funding["filled"]
    assert "authors" in funding["answer"]
    assert grras(facts)[2]["answer"] == "adults"


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


def test_writing_leaves_three_files_that_do_not_change(rng, tmp_path):
    facts, _ = analysed("share", rng)
    (tmp_path / "report").mkdir()
    (tmp_path / "report" / "analysis.json").write_text(json.dumps(facts), "utf-8")
    first = [path.read_bytes() for path in write_report(tmp_path)]
    paths = write_report(tmp_path)
    assert [path.name for path in paths] == ["report.html", "report.md", "primary.R"]
    flow = (paths[1].parent / "figures" / "flow.svg").read_text("utf-8")
    for words in ("20 patients, 20 cases, 2 arms", "4 readers joined", "80 answered"):
        assert words in flow
        assert words in paths[1].read_text("utf-8")
    assert [path.read_bytes() for path in paths] == first


# ---------------------------------------------------------------- R


def run_r(facts, rows, folder):
    (folder / "primary.R").write_text(r_script(facts), "utf-8")
    rows.to_csv(folder / "primary.csv", index=False)
    return subprocess.run(
        [RSCRIPT, "primary.R"], cwd=folder, capture_output=True, text=True, check=False
    )


def has_ordinal():
    if RSCRIPT is None:
        return False
    done = subprocess.run([RSCRIPT, "-e", "library(ordinal)"], capture_output=True, check=False)
    return done.returncode == 0


@pytest.mark.skipif(RSCRIPT is None, reason="Rscript is not installed")
@pytest.mark.parametrize("endpoint", ["share", "difference", "auc", "odds"])
def test_r_repeats_the_primary_result(endpoint, rng, tmp_path):
    if endpoint == "odds" and not has_ordinal():
        pytest.skip("the R package ordinal is not installed")
    facts, rows = analysed(endpoint, rng)
    done = run_r(facts, rows, tmp_path)
    assert done.returncode == 0, done.stderr
    assert "The published result is repeated" in done.stdout


@pytest.mark.skipif(RSCRIPT is None, reason="Rscript is not installed")
@pytest.mark.parametrize("change", ["value", "rows", "one reader", "two readers", "unanimous"])
def test_r_notices_a_difference_and_copes_with_odd_studies(change, rng, tmp_path):
    from ctlab.files import plain
    from reader_study.analysis.endpoints import estimate, judged

    facts, rows = analysed("share", rng)
    if change == "value":
        facts["primary"][0]["low"] += 0.01
    if change == "rows":
        rows = rows.iloc[1:]
    if "reader" in change or change == "unanimous":
        if "reader" in change:
            rows = rows[rows["reader"] < (1 if change == "one reader" else 2)]
        else:
            won = np.where(rows["left"] == "new", "left", "right")
            rows = rows.assign(choice=won)
        test = planned("share")
        row = judged(test, estimate(test, rows), aim="superiority", margin=None)
        facts["primary"] = [plain(row)]
    done = run_r(facts, rows, tmp_path)
    assert (done.returncode == 0) == (change not in {"value", "rows"}), done.stderr


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

"""Hostile words in every text that a user can write, on every page that the kit makes."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.browser.conftest import PROTOCOL, lock_slabs
from tests.browser.hostile import HOSTILE, SHORT_HOSTILE, check_inert, everywhere

pytestmark = pytest.mark.browser
ROOT = Path(__file__).resolve().parents[2]
ANALYSED = ROOT / "tests" / "data" / "analysed-study"
PASSPORT = ROOT / "experiments" / "shipped_model" / "passport.json"
FIXED = frozenset(  # what the programs themselves choose from a closed list, and dates
    {
        "endpoint",
        "multiplicity",
        "kind",
        "layout",
        "role",
        "aim",
        "outcome",
        "state",
        "arms",
        "scope",
        "unblinded_at",
    }
)


@pytest.fixture(scope="module")
def hostile_study(tmp_path_factory):
    """An analysed study whose record says hostile things wherever it holds a text."""
    study = tmp_path_factory.mktemp("hostile") / "study"
    shutil.copytree(ANALYSED, study)
    place = study / "report" / "analysis.json"
    facts = json.loads(place.read_text())
    place.write_text(json.dumps(everywhere(facts, FIXED | {"image", "share", "curves"})))
    (study / "book").mkdir()
    said = {"licence": HOSTILE, "data_credit": HOSTILE, "contact": HOSTILE}
    lines = [f"{name} = {json.dumps(text)}" for name, text in said.items()]
    lines += [f"authors = [{json.dumps(HOSTILE)}]", "year = 2031"]
    (study / "book" / "publication.toml").write_text("\n".join(lines))
    return study


def test_report_and_supplement(hostile_study, open_page):
    from reader_study.report.page import write_report

    write_report(hostile_study)
    for name in ("report", "supplement"):
        page, _ = open_page((hostile_study / "report" / f"{name}.html").as_uri())
        check_inert(page, shown=4)


def test_markdown_of_the_report_is_text_alone(hostile_study):
    from markdown_it import MarkdownIt

    from reader_study.report.page import write_report

    write_report(hostile_study)
    text = (hostile_study / "report" / "report.md").read_text("utf-8")
    clean = shutil.copytree(ANALYSED, hostile_study.parent / "clean", dirs_exist_ok=True)
    write_report(clean)
    plain = (clean / "report" / "report.md").read_text("utf-8")

    def kinds(source):
        flat = []
        for token in MarkdownIt("commonmark").enable("table").parse(source):
            flat += [token.type, *(child.type for child in token.children or ())]
        return {name for name in flat if name != "softbreak"}

    assert kinds(text) <= kinds(plain) | {"text_special"}
    assert "html_inline" not in kinds(text)
    assert len(re.findall("^#", text, re.MULTILINE)) == len(re.findall("^#", plain, re.MULTILINE))


def test_power(tmp_path, open_page):
    from reader_study.power.sample_size import Aim, plan_power
    from reader_study.report.power_page import write_power_page
    from reader_study.stats.power.closed_form import OrComponents

    parts = OrComponents(0.0002, 0.002, 0.001, 0.0007, 0.0005, cases=90)
    facts = plan_power("roc", Aim(0.05), components=parts, readers=(4, 8), cases=(60, 120))
    write_power_page(tmp_path / "power.html", everywhere(facts, FIXED))
    page, _ = open_page((tmp_path / "power.html").as_uri())
    check_inert(page, shown=2)


def test_passport_and_comparison(tmp_path, open_page):
    from ctlab.passport import page as passport_page
    from ctlab.passport import read_passport
    from ctlab.passport.compare import write_comparison

    said = everywhere(json.loads(PASSPORT.read_text()), frozenset({"sha256"}))
    (tmp_path / "passport.html").write_text(passport_page.page(said, []), "utf-8")
    (tmp_path / "passport.json").write_text(json.dumps(said))
    read = read_passport(tmp_path / "passport.json")
    write_comparison({HOSTILE: read, "other": read}, tmp_path / "compared")
    for place in (tmp_path / "passport.html", *(tmp_path / "compared").glob("*.html")):
        page, _ = open_page(place.as_uri())
        check_inert(page, shown=20)


def test_explanation(tmp_path, open_page):
    torch = pytest.importorskip("torch")
    from ctlab.explain import AuditPlan, explain_region
    from ctlab.explain.explanation_page import write_page

    network = torch.nn.Conv2d(1, 1, 5, padding=2, bias=False)
    image = np.random.default_rng(0).normal(-700, 40, (32, 32)).astype(np.float32)
    plan = AuditPlan(draws=1, random_networks=1, fractions=(0.02,))
    found = explain_region(network, image, (10, 12, 4), method="gradient", plan=plan)
    audit = {**found.audit, "reasons": [HOSTILE]}
    found = replace(found, method=HOSTILE, target=HOSTILE, layer=HOSTILE, audit=audit)
    write_page(found, tmp_path / "map.html", spacing_mm=(1, 1))
    page, wire = open_page((tmp_path / "map.html").as_uri())
    page.wait_for_selector(".ctv canvas")
    check_inert(page, shown=3)
    assert wire.errors == []


@pytest.mark.slow
def test_chapters_of_a_study(hostile_study, small_book, open_page):
    """Every page of the book that its scripts build, and the search in it."""
    place = small_book / "book" / "your-study"
    command = [sys.executable, str(small_book / "book" / "build.py"), "--only-study", "--study"]
    try:
        done = subprocess.run([*command, str(hostile_study)], capture_output=True, text=True)
    finally:
        shutil.rmtree(place, ignore_errors=True)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    built = small_book / "book" / "_build" / "study" / "_build" / "html"
    pages = sorted((built / "book" / "your-study" / "pages").glob("*.html"))
    assert len(pages) == 8
    for path in pages:
        page, _ = open_page(path.as_uri())
        check_inert(page)
    page, _ = open_page((built / "search.html").as_uri() + "?q=window")
    page.wait_for_selector("#search-results li a")
    check_inert(page)


QUESTIONS = """
[population]
prevalence_told = TEXT
[[arms]]
name = "arm-quiet-owl"
description = TEXT
[[arms]]
name = "arm-loud-fox"
[[items]]
name = "noise"
kind = "scale"
about = "each"
question = TEXT
answers = [TEXT1, TEXT2]
marks = [SHORT]
[analysis]
primary_item = "noise"
"""


@pytest.mark.slow
def test_reading_room(tmp_path, staffed, serve, open_page):
    text = PROTOCOL.partition("[population]")[0].replace('"Browser test"', "TEXT")
    text = text.replace('"Your answers are stored under a number."', "TEXT")
    text += PROTOCOL[PROTOCOL.index("[design]") : PROTOCOL.index("[[arms]]")] + QUESTIONS
    for number in "12":
        text = text.replace(f"TEXT{number}", json.dumps(f"{number} {HOSTILE}"))
    text = text.replace("TEXT", json.dumps(HOSTILE)).replace("SHORT", json.dumps(SHORT_HOSTILE))
    study, (code,) = staffed(lock_slabs(tmp_path / "made", text), "Dr Example")
    page, wire = open_page(serve(study).url)
    page.set_default_timeout(60_000)
    check_inert(page, shown=0)
    page.fill("#code", code)
    page.keyboard.press("Enter")
    page.wait_for_selector(".rs h1")
    check_inert(page)
    page.keyboard.press("Enter")
    page.wait_for_selector("#rs-where")
    check_inert(page, shown=3)
    assert wire.errors == []


HALL = """
import sys
import numpy as np
from reader_study.design.texts import load_texts
from reader_study.lecture.server import give_lecture
from reader_study.lecture.slides import Slide
said = sys.argv[1]
image = np.zeros((2, 96, 96), np.int16)
options = tuple({"value": i, "text": f"{i} {said}"} for i in range(2))
slide = Slide(said, options, lambda: (image, image), (2.0, 0.7, 0.7), 1, (said, said))
give_lecture([slide], load_texts(), title=said, host="127.0.0.1", port=0,
    ready=lambda teacher, everybody: print("teacher", teacher, flush=True))
"""


@pytest.mark.slow
def test_lecture(tmp_path, open_page):
    log = tmp_path / "log"
    with log.open("w") as out:
        command = [sys.executable, "-c", HALL, HOSTILE]
        process = subprocess.Popen(command, stdout=out, stderr=out, env=dict(os.environ))
    try:
        for _ in range(300):
            if found := re.search(r"teacher (\S+)", log.read_text()):
                break
            time.sleep(0.1)
        desk, _ = open_page(found[1])
        join = found[1].rpartition("teacher/")[0] + "j/" + desk.text_content("#joining strong")
        phone, _ = open_page(join)
        desk.wait_for_selector("text=1 of 1 devices here")
        desk.keyboard.press("Enter")
        desk.wait_for_selector("#acts .first:text-is('Open')")
        desk.keyboard.press("Enter")
        phone.wait_for_selector(".options button")
        check_inert(phone, shown=2)
        check_inert(desk)
    finally:
        process.kill()
        process.wait()

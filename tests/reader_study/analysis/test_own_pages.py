"""A reader's own page after unblinding: right numbers, missed cases, and nobody else's answers."""

import re

import pytest

from reader_study.analysis.own_readings import own_readings
from reader_study.record.study_record import read_study as read_record
from reader_study.report.own_pages import write_own_pages

ITEMS = """
[[items]]
name = "nodule"
kind = "slider"
about = "each"
question = "A nodule?"
answers = ["surely none", "surely one"]
[[items]]
name = "pref"
kind = "preference"
question = "Which?"
"""


def cases():
    rows = []
    for i in range(4):
        lesion = "lesions = [{ centre_zyx = [1, 6, 5], diameter_mm = 2.0 }]\n" if i < 2 else ""
        rows.append(f'[[cases]]\nname = "case-{i}"\npatient = "pat-{i}"\n{lesion}')
    return "\n".join(rows)


def answers(trial, key, _rng, _effect):
    """Reader of slot 1 misses case-0 in bravo, calls case-3 in alpha; slot 2 calls everything."""
    arms = [arm["name"] for arm in key["protocol"]["arms"]]
    case = key["protocol"]["cases"][trial["case"]]["name"]
    for side in ("left", "right"):
        arm = arms[trial[f"{side}_arm"]]
        missed = (case, arm) == ("case-0", "bravo")
        called = case in {"case-0", "case-1"} or (case, arm) == ("case-3", "alpha")
        yield f"nodule@{side}", 90 if trial["slot"] == 2 or (called and not missed) else 51 - 1
    yield "pref", "left" if arms[trial["left_arm"]] == "alpha" else "right"


def text_of(html):
    return re.sub(r"\s+", " ", re.sub(r"<style>.*?</style>|<[^>]+>", " ", html, flags=re.DOTALL))


def test_each_page_tells_its_own_reader_what_was_missed(read_study, tmp_path):
    study = read_study(
        n_cases=0,
        readers=2,
        items=ITEMS + cases(),
        answers=answers,
        design="repeats = 0\ncatch_trials = 0",
        tail='endpoint = "auc"\n',
    )
    maps = tmp_path / "maps"
    maps.mkdir()
    (maps / "case-0.png").write_bytes(b"\x89PNG a map")
    paths = write_own_pages(study, own_readings(study, maps=maps))
    slots = {r.reader: r.slot for r in read_record(study).readers}
    assert [path.stem for path in paths] == sorted(slots)
    pages = {slots[path.stem]: path.read_text("utf-8") for path in paths}
    first, second = (text_of(pages[slot]) for slot in (1, 2))
    assert "alpha 2 of 2 1 of 2 bravo 1 of 2 2 of 2" in first
    assert "case-0 Not called in: bravo. The finding has 2 mm and lies on slice 2." in first
    assert "case-1 Not called" not in first
    assert "nothing is known to be there: case-3." in first
    assert "alpha won 4 over bravo (0 undecided). The share is 100 %" in first
    assert pages[1].count("<circle") == 2, "the finding in either arm"
    assert pages[1].count("iVBORw0KGg") == 2
    assert 'alt="Map of case-0"' in pages[1]
    assert "alpha 2 of 2 0 of 2 bravo 2 of 2 0 of 2" in second
    assert "Nothing: every finding was called" in second
    for slot, page in pages.items():
        others = [name for name, other in slots.items() if other != slot]
        assert not any(name in page for name in [*others, "Dr 1", "Dr 2"]), "nobody else, no name"
        assert "http" not in page.replace("http://www.w3.org", "")


def test_no_page_before_the_key_is_open(locked):
    with pytest.raises(ValueError, match="not unblinded"):
        own_readings(locked(n_cases=4))
    with pytest.raises(ValueError, match="is no folder; name one with pictures"):
        own_readings("anywhere", maps="nowhere")

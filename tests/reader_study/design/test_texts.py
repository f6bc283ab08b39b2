"""Every word that a reader sees stands in one file, and can be said in another language."""

import ast
import re
import tomllib
from pathlib import Path

import pytest

from reader_study.design import texts
from reader_study.design.texts import load_texts, problem_text, unreviewed
from reader_study.record.coordinator import add_reader, opened
from reader_study.record.store import Store
from reader_study.room.session import ReadingSession
from reader_study.room.widget import Room

SOURCE = Path(texts.__file__).parents[1]
ENGLISH = tomllib.loads((SOURCE / "design" / "languages" / "en.toml").read_text("utf-8"))


def refusals() -> set[str]:
    """How each refusal begins that an action of a reader can meet."""
    found = set()
    for name in ("room/session", "room/answer_check", "record/store"):
        tree = ast.parse((SOURCE / f"{name}.py").read_text("utf-8"))
        for node in ast.walk(tree):
            if not (isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call)):
                continue
            said = node.exc.args[0]
            first = said.values[0] if isinstance(said, ast.JoinedStr) else said
            found.add(first.value)
    return found


def test_every_refusal_of_an_action_can_be_translated():
    # The coordinator's alone: these stop the room before a reader is in it.
    others = (
        "the database already holds",
        "the study database is missing",
        "the database has",
        "the database belongs",
    )
    said = {r for r in refusals() if not r.startswith(others)}
    assert len(said) > 12
    for sentence in said:
        assert any(sentence.startswith(known) for known in ENGLISH["problems"]), sentence


def test_what_the_page_asks_for_is_in_the_file_and_nothing_there_is_unused():
    scripts = "".join(p.read_text("utf-8") for p in SOURCE.rglob("*.js"))
    pages = "".join(p.read_text("utf-8") for p in SOURCE.rglob("*.html"))
    asked = set(re.findall(r'(?:say|proceed)\("(\w+)"', scripts))
    asked |= set(re.findall(r"(?:room_)?texts\.(\w+)", pages)) - {"language"}
    assert len(asked) > 30
    assert asked <= ENGLISH.keys()
    python = "".join(p.read_text("utf-8") for p in SOURCE.rglob("*.py"))
    sides = "left_image right_image"  # put together from the side
    sides += " lecture_lobby lecture_ended lecture_sure_1 lecture_sure_2 lecture_sure_3"
    sides += " lecture_sure_4 lecture_sure_5 lecture_do_back lecture_do_begin lecture_do_close"
    sides += " lecture_do_key lecture_do_next"
    everything = scripts + pages + python + sides
    words = {name for name, value in ENGLISH.items() if isinstance(value, str)}
    assert [w for w in sorted(words) if not re.search(rf"\b{w}\b", everything)] == []


def entries(language):
    """Every text of a language by table and name; keys of the keyboard are no words."""
    path = SOURCE / "design" / "languages" / f"{language}.toml"
    tables = tomllib.loads(path.read_text("utf-8"))
    top = {("", k): v for k, v in tables.items() if not isinstance(v, dict | bool)}
    inner = {
        (t, k): v for t, each in tables.items() if isinstance(each, dict) for k, v in each.items()
    }
    return {k: v for k, v in (top | inner).items() if not re.fullmatch(r"\W*|[A-Z?]|1:1|MIP", v)}


SHIPPED = ("de", "es", "fr")


@pytest.mark.parametrize("language", SHIPPED)
def test_no_text_of_a_shipped_language_is_missing_or_left_in_english(language):
    english, own = entries("en"), entries(language)
    assert own.keys() == english.keys()
    places = re.compile(r"\{\w+\}")
    for key, text in own.items():
        assert sorted(places.findall(text)) == sorted(places.findall(english[key])), key
        ends = [said.rstrip()[-1] in ".?:" for said in (text, english[key])]
        if len(english[key]) > 60:
            assert ends[0] == ends[1], f"cut off? {text}"
    alike = {"axial, coronal, sagittal", "zoom {zoom}", "Mediastinum"}  # in both languages
    same = [v for k, v in own.items() if v == english[k] and len(v) > 9 and v not in alike]
    assert same == [], "left in English"


@pytest.mark.parametrize("language", SHIPPED)
def test_a_language_that_no_native_radiologist_has_read_says_so_at_the_lock(language):
    path = SOURCE / "design" / "languages" / f"{language}.toml"
    assert "Not reviewed by a native radiologist." in path.read_text("utf-8").splitlines()[0]
    assert f"texts in {language!r}" in unreviewed(language)
    assert "native radiologist" in unreviewed(language)
    assert unreviewed("en") == ""


def test_a_translation_of_ones_own_is_used_and_english_stands_in(tmp_path, monkeypatch, locked):
    (tmp_path / "de.toml").write_text(
        'undo = "Zurück"\n[problems]\n"this question does not offer the answer" = "Unmöglich:"\n'
    )
    monkeypatch.setenv("CTLAB_TEXTS", str(tmp_path))
    words = load_texts("de")
    assert (words["language"], words["undo"], words["pause"]) == ("de", "Zurück", "Pause")
    assert words["save"] == "Save answer", "one's own file stands before the shipped one"
    assert words["viewer"] == ENGLISH["viewer"]
    assert problem_text(words, "the study has been closed") == "the study has been closed"
    assert problem_text(words, "something nobody thought of") == "something nobody thought of"
    study = locked(n_cases=4, head='language = "de"')
    reader, _ = add_reader(study, "one")
    with opened(study) as (bundle, store):
        room = Room(bundle, ReadingSession(bundle, store, reader))
        room._act({"action": "consent"})
        room._act({"action": "answer", "id": room.panel.screen["id"], "value": "both"})
        assert room.panel.screen["problem"] == "Unmöglich: 'both'"
    (tmp_path / "de.toml").write_text("undo = ")
    with pytest.raises(ValueError, match=r"de\.toml cannot be read as texts"):
        load_texts("de")
    with pytest.raises(ValueError, match="no texts for language 'it'; known: de, en, es, fr"):
        load_texts("it")


def test_a_reader_is_told_of_a_failing_database_in_words(locked, monkeypatch):
    study = locked(n_cases=4)
    reader, _ = add_reader(study, "one")
    with opened(study) as (bundle, store):
        room = Room(bundle, ReadingSession(bundle, store, reader))
        room._act({"action": "consent"})
        room._words["problems"]["the database refused it"] = "die Datenbank lehnt ab"

        def full(*_args, **_options):
            import sqlalchemy as sa

            raise sa.exc.OperationalError("insert", {}, Exception("database or disk is full"))

        monkeypatch.setattr(Store, "_append", full)
        room._act({"action": "answer", "id": room.panel.screen["id"], "value": "left"})
        assert room.panel.screen["problem"] == "die Datenbank lehnt ab (database or disk is full)"
        assert room.panel.screen["kind"] == "question"

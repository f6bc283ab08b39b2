"""A protocol is read whole, or refused with the line and the remedy."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reader_study.design.analysis_plan import plan_of
from reader_study.design.protocol_file import line_of, read_protocol
from reader_study.examples.new_study import item_sets, new_study

EXAMPLE = Path(__file__).parents[3] / "reader_study" / "examples" / "example_protocol.toml"


def refusal(path: Path, text: str) -> str:
    path.write_text(text, "utf-8")
    with pytest.raises(ValueError) as refused:  # noqa: PT011
        read_protocol(path)
    return str(refused.value)


def changed(old: str, new: str) -> str:
    text = EXAMPLE.read_text("utf-8")
    assert old in text
    return text.replace(old, new, 1)


def test_the_example_is_a_valid_protocol_and_its_hash_follows_its_bytes(tmp_path):
    protocol, digest = read_protocol(EXAMPLE)
    assert [arm.name for arm in protocol.arms] == ["denoiser-a", "denoiser-b"]
    copy = tmp_path / "protocol.toml"
    copy.write_bytes(EXAMPLE.read_bytes() + b"# one more line\n")
    again, other = read_protocol(copy)
    assert again == protocol
    assert other != digest


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("catch_trials =", "catch_trails =", ["line 25", "'catch_trails'", "'catch_trials'"]),
        ("[design]", "[desing]", ["'desing'", "'design'"]),
        ('stratum = "no-nodule"', 'stratums = "x"', ["line 112", "'stratum'"]),
        ("readers = 4", "readers = 0", ["line 22", "design.readers = 0", "greater than or equal"]),
        ('kind = "preference" ', 'kind = "prefrence" ', ["items.1.kind", "'preference'"]),
        ('name = "case-02"', 'name = "case-01"', ["cases", "twice: case-01"]),
        ('primary_item = "preference"', 'primary_item = "x"', ["preference, texture", "'x'"]),
        ('arm = "denoiser-a"', 'arm = "denoiser-c"', ["guess.arm", "denoiser-a, denoiser-b"]),
        ("format_version = 1", "format_version = 9", ["format_version 9", "newer ctlab"]),
        ('title = "Two', 'titel = "Two', ["line 5", "'titel'", "'title'"]),
        ('layout = "pair"', 'layout = "single"', ["preference", "layout"]),
        ('layout = "pair"', 'layout = "fliker"', ["line 21", "'pair', 'flicker' or 'single'"]),
        ('modes = ["pair", ', 'modes = ["wipe", ', ['view.modes must hold "pair"', "wipe"]),
        ("readers = 4", "readers = ", ["not valid TOML", "line 22"]),
    ],
)
def test_a_mistake_is_named_with_its_place_and_remedy(tmp_path, old, new, words):
    said = refusal(tmp_path / "protocol.toml", changed(old, new))
    assert all(word in said for word in words), said
    assert "\n" not in said


def test_single_images_need_one_session_per_arm(tmp_path, write_protocol):
    scale = '[[items]]\nname = "noise"\nkind = "scale"\nquestion = "?"\nanswers = ["1", "2"]'
    text = write_protocol(design='layout = "single"', items=scale)
    assert "sessions = 2" in refusal(tmp_path / "p.toml", text)


def test_lines_are_found_in_repeated_tables():
    text = "[[arms]]\nname = 'a'\n\n[[arms]]\nname = 'b'\n[x.y]\nz = 1\n"
    assert line_of(text, ("arms", 1, "name")) == 5
    assert line_of(text, ("arms", 1)) == 4
    assert line_of(text, ("x", "y", "z")) == 7
    assert line_of(text, ("nowhere",)) is None


def outcome(path: Path) -> str:
    """Title of what was read, or the refusal; any other exception fails the test."""
    try:
        return read_protocol(path)[0].title
    except ValueError as error:
        return str(error)


LINES = EXAMPLE.read_text("utf-8").splitlines()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    cuts=st.lists(st.integers(0, len(LINES) - 1), max_size=4),
    noise=st.binary(max_size=12),
    at=st.integers(0, len(LINES) - 1),
)
def test_a_damaged_protocol_is_read_or_refused_in_one_line(tmp_path, cuts, noise, at):
    lines = [line.encode() for i, line in enumerate(LINES) if i not in cuts]
    lines.insert(at, noise)
    path = tmp_path / "fuzzed.toml"
    path.write_bytes(b"\n".join(lines))
    said = outcome(path)
    assert said
    assert "\n" not in said


@pytest.mark.usefixtures("cheap_seal", "quick_arms")
def test_the_example_locks_and_serves_as_it_stands(tmp_path, read_all):
    """From one command to a whole reading, without an edit."""
    study = tmp_path / "study"
    written = new_study(study)
    protocol, _ = read_protocol(written)
    from reader_study.blinding.lock import lock_study
    from reader_study.record.coordinator import add_reader

    locked = lock_study(study, passphrase="correct horse battery staple")
    assert locked.balance["ok"]
    per_slot = locked.balance["slots"][0]
    assert (per_slot["main"], per_slot["catch"], per_slot["repeat"]) == (8, 2, 1)
    assert {case.stratum for case in protocol.reading_cases} == {"nodule", "no-nodule"}
    reader, _ = add_reader(study, "one")
    assert read_all(study, reader)["kind"] == "thanks"
    with pytest.raises(ValueError, match="not empty"):
        new_study(study)


def test_new_without_the_example_leaves_arms_cases_and_items_to_be_written(tmp_path):
    written = new_study(tmp_path / "study", example=False)
    assert "arms is missing" in refusal(written, written.read_text("utf-8"))
    assert list((tmp_path / "study" / "arms").iterdir()) == []


def test_every_item_set_makes_a_valid_protocol(tmp_path, monkeypatch):
    from reader_study.examples import demo

    monkeypatch.setattr(demo, "write_example_arms", lambda *_: None)
    assert set(item_sets()) == {
        "image-quality",
        "preference",
        "nodule-task",
        "lesion-confidence",
        "length",
    }
    for name in item_sets():
        protocol, _ = read_protocol(new_study(tmp_path / name, items=[name]))
        plan_of(protocol)  # each set has an analysis
    both = new_study(tmp_path / "both", items=["image-quality", "nodule-task"])
    protocol, _ = read_protocol(both)
    names = [item.name for item in protocol.items]
    assert names[:5] == [
        "noise",
        "sharpness",
        "artefacts",
        "artificial-texture",
        "diagnostic-confidence",
    ]
    assert names[5:] == [
        "nodule",
        "nodule-type",
        "nodule-size",
        "nodule-category",
        "actionable",
    ]
    assert protocol.analysis.lower_is_better == ("noise", "artefacts", "artificial-texture")
    with pytest.raises(ValueError, match="no item set 'nodles'; ready to use: image-quality"):
        new_study(tmp_path / "bad", items=["nodles"])
    assert not (tmp_path / "bad").exists()


def test_arms_and_cases_are_proposed_from_folders(tmp_path):
    for arm in ("Hersteller A", "Net_2"):
        for case in ("Müller 1", "Weiß 2"):
            (tmp_path / "pacs" / arm / case).mkdir(parents=True)
    (tmp_path / "pacs" / "Net_2" / "Only here").mkdir()
    written = new_study(tmp_path / "study", example=False, source=tmp_path / "pacs")
    protocol, _ = read_protocol(written)
    assert [arm.name for arm in protocol.arms] == ["hersteller-a", "net_2"]
    assert [case.name for case in protocol.cases] == ["Müller 1", "Weiß 2"]
    assert "# Only here is left out: not in hersteller-a" in written.read_text("utf-8")
    assert (tmp_path / "study" / "arms" / "hersteller-a" / "Weiß 2").is_dir()
    (tmp_path / "one" / "Müller 1").mkdir(parents=True)
    with pytest.raises(ValueError, match=r"expected two folders or more .* got 1 \(Müller 1\)"):
        new_study(tmp_path / "other", example=False, source=tmp_path / "one")


def test_folder_names_of_other_scripts_and_signs(tmp_path):
    """Umlauts lose their dots, not their letter; what no case may be called is said, not parsed."""
    for arm in ("Große Dosis", "Ärm", "\u4f4e", "\u9ad8"):
        for case in ("CASE B (2)", "Zürich"):
            (tmp_path / "pacs" / arm / case).mkdir(parents=True)
    (tmp_path / "pacs" / "Ärm" / "rest\nname = 1").mkdir()
    written = new_study(tmp_path / "study", example=False, source=tmp_path / "pacs")
    protocol, _ = read_protocol(written)
    assert [arm.name for arm in protocol.arms] == ["grosse-dosis", "arm", "arm-3", "arm-4"]
    assert [case.name for case in protocol.cases] == ["CASE B (2)", "Zürich"]
    for arm in (tmp_path / "pacs").iterdir():
        (arm / 'a\\b "c"').mkdir()
    with pytest.raises(ValueError, match=r"cases\.3\.name = .* should match pattern"):
        read_protocol(new_study(tmp_path / "other", example=False, source=tmp_path / "pacs"))

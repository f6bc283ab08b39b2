"""Lock gives a bundle that tells nothing, a key that tells all, or nothing at all."""

import json
from collections import Counter

import numpy as np
import pytest

from ctlab.ct.volume import Volume
from reader_study.blinding import leak_check, lock
from reader_study.blinding.lock import lock_study
from reader_study.blinding.render import Rendition, encode
from reader_study.blinding.sealed_key import unseal
from reader_study.design.allocation import Allocation
from reader_study.record.bundle import open_bundle
from reader_study.record.coordinator import opened


def bundle_of(study):
    return open_bundle(study / "bundle")


def test_the_bundle_holds_tokens_pixels_and_questions_and_names_nothing(locked):
    study = locked(n_cases=6, tail='margin_justification = "secret plan"')
    text = (study / "bundle" / "study.json").read_text().lower()
    for word in ("alpha", "bravo", "case-", "pat-", "warm", "repeat", "catch", "stratum", "plan"):
        assert word not in text.replace("no_repeat", ""), word
    bundle = bundle_of(study)
    names = {path.name for path in (study / "bundle" / "pixels").iterdir()}
    assert names == set(bundle.images)
    assert all(len(name) == 32 for name in names)
    assert len({path.stat().st_size for path in (study / "bundle" / "pixels").iterdir()}) == 1
    times = {path.stat().st_mtime for path in (study / "bundle" / "pixels").iterdir()}
    assert len(times) == 1, "the order of writing must not be legible"


def test_the_key_fits_the_bundle_and_gives_the_pixels_their_arms(locked, fake_reader, passphrase):
    study = locked(n_cases=6)
    bundle = bundle_of(study)
    sealed = (study / "sealed" / "key.sealed").read_bytes()
    key = unseal(sealed, passphrase, commitment=bundle.commitment)
    arms = [arm["name"] for arm in key["protocol"]["arms"]]
    cases = [case["name"] for case in key["protocol"]["cases"]]
    for slot in (1, 2):
        for trial in bundle.trials(slot):
            truth = key["trials"][trial.token]
            for side, token in (("left", trial.left), ("right", trial.right)):
                assert key["images"][token] == {
                    "case": truth["case"],
                    "arm": truth[f"{side}_arm"],
                }
                folder = study / "arms" / arms[truth[f"{side}_arm"]] / cases[truth["case"]]
                assert bundle.pixels(token) == encode(fake_reader(folder).hu)


def test_neither_token_order_nor_position_predicts_the_arm(locked, passphrase):
    """Over a study, tokens sorted by name and first trials show either arm about equally."""
    study = locked(n_cases=40, readers=8)
    bundle = bundle_of(study)
    key = unseal(
        (study / "sealed" / "key.sealed").read_bytes(), passphrase, commitment=bundle.commitment
    )
    arms = [key["images"][token]["arm"] for token in sorted(bundle.images)]
    half = len(arms) // 2
    assert 8 <= sum(arms[:half]) <= half - 8
    sides = Counter(
        key["trials"][t.token]["left_arm"] for s in range(1, 9) for t in bundle.trials(s)
    )
    assert abs(sides[0] - sides[1]) < 30


def test_one_pixel_changed_in_the_bundle_is_found(locked):
    study = locked(n_cases=6)
    bundle = bundle_of(study)
    assert bundle.damaged() == []
    victim = next((study / "bundle" / "pixels").iterdir())
    raw = bytearray(victim.read_bytes())
    raw[10] ^= 1
    victim.write_bytes(bytes(raw))
    assert bundle.damaged() == [victim.name]


@pytest.mark.usefixtures("cheap_seal")
def test_arms_that_cannot_be_laid_over_each_other_are_refused_and_nothing_stays(
    unlocked, fake_reader, passphrase
):
    study = unlocked(n_cases=4)
    before = sorted(path.name for path in study.iterdir())

    def shifted(folder):
        volume = fake_reader(folder)
        if folder.parent.name != "bravo" or folder.name != "case-2":
            return volume
        return Volume(volume.hu, volume.spacing_mm, origin_mm=(0.0, 0.0, 5.0))

    with pytest.raises(ValueError, match=r"case case-2 differs in origin_mm .* alpha .* bravo"):
        lock_study(study, passphrase=passphrase, read=shifted)
    assert sorted(path.name for path in study.iterdir()) == before


@pytest.mark.usefixtures("cheap_seal")
@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda hu: np.rint(hu / 2) * 2, "smallest grey step differs"),
        (lambda hu: hu[:, :, :-1], "differs in shape"),
        (lambda hu: np.where(hu > 0, np.nan, hu), "NaN"),
    ],
)
def test_what_would_tell_the_arms_apart_is_refused(
    unlocked, fake_reader, passphrase, change, words
):
    study = unlocked(n_cases=4)

    def planted(folder):
        volume = fake_reader(folder)
        hu = change(volume.hu) if folder.parent.name == "bravo" else volume.hu
        return Volume(hu.astype(np.float32), volume.spacing_mm)

    with pytest.raises(ValueError, match=words):
        lock_study(study, passphrase=passphrase, read=planted)
    assert not (study / "bundle").exists()
    assert not (study / "study.db").exists()


@pytest.mark.usefixtures("cheap_seal")
def test_an_unbalanced_allocation_is_not_locked_and_a_balanced_one_says_so_in_the_record(
    unlocked, fake_reader, passphrase, monkeypatch
):
    study = unlocked(n_cases=6)
    drawn = lock.draw_allocation

    def one_sided(protocol, *, seed):
        slots = drawn(protocol, seed=seed).slots
        left = tuple(t.mirrored() if t.kind == "main" and t.side == -1 else t for t in slots[0])
        return Allocation((left, *slots[1:]))

    monkeypatch.setattr(lock, "draw_allocation", one_sided)
    with pytest.raises(ValueError, match="not balanced: slot 1: sides differ"):
        lock_study(study, passphrase=passphrase, read=fake_reader)
    assert not (study / "bundle").exists()
    monkeypatch.setattr(lock, "draw_allocation", drawn)
    lock_study(study, passphrase=passphrase, read=fake_reader)
    with opened(study) as (_, store):
        balance = store.events("locked")[0].payload["balance"]
    assert (balance["ok"], balance["faults"]) == (True, [])
    assert [(s["first_arm_left"], s["first_arm_right"]) for s in balance["slots"]] == [(3, 3)] * 2


@pytest.mark.usefixtures("cheap_seal")
def test_a_language_without_texts_is_refused_at_the_lock(unlocked, fake_reader, passphrase):
    study = unlocked(n_cases=4, head='language = "xx"')
    with pytest.raises(
        ValueError, match=r"no texts for language 'xx'; known: de, en, es, fr.*CTLAB_TEXTS"
    ):
        lock_study(study, passphrase=passphrase, read=fake_reader)
    assert not (study / "bundle").exists()
    text, said = (study / "protocol.toml").read_text("utf-8"), []
    (study / "protocol.toml").write_text(text.replace('"xx"', '"de"'), "utf-8")
    lock_study(study, passphrase=passphrase, read=fake_reader, say=said.append)
    assert any("not reviewed by a native radiologist" in line for line in said)


def test_padding_of_either_kind_becomes_one_value():
    one, two = np.full((1, 2, 2), -2000.0), np.full((1, 2, 2), -1024.0)
    assert encode(one) == encode(two)


@pytest.mark.usefixtures("cheap_seal")
@pytest.mark.parametrize(
    "options",
    [
        {"head": '[ethics]\nconsent = "You compare Alpha with another method."'},
        {"items": '[[items]]\nname = "p"\nkind = "preference"\nquestion = "Is bravo better?"'},
    ],
)
def test_a_text_that_names_an_arm_is_refused(unlocked, fake_reader, passphrase, options):
    study = unlocked(n_cases=4, **options)
    with pytest.raises(ValueError, match="names the arm"):
        lock_study(study, passphrase=passphrase, read=fake_reader)


def test_planted_words_and_sizes_are_caught(make_protocol):
    protocol = make_protocol(n_cases=4)
    clean = {"title": "A test", "slots": [["3f2a"]], "items": []}
    assert leak_check.bundle_leaks(protocol, clean) == []
    for planted in ("alpha", "case-1", "pat-2"):
        spoilt = {**clean, "slots": [[f"x {planted}.dcm"]]}
        assert leak_check.bundle_leaks(protocol, spoilt) == [f"the bundle names {planted!r}"]
    spoken = {**clean, "view": {"window": "lung"}, "slots": [[{"feedback": "Mind the lung."}]]}
    assert leak_check.bundle_leaks(protocol, spoken, headers=["LUNG"]) == [], "a kernel called LUNG"
    found = leak_check.bundle_leaks(protocol, {**clean, "x": "CHEST B60f"}, headers=["B60f", "12"])
    assert found == ["the bundle quotes a header: 'b60f'"]
    long = Rendition(0, 1, b"\0" * 10, (1, 1, 5), (1.0, 1.0, 1.0))
    short = Rendition(0, 0, b"\0" * 8, (1, 1, 4), (1.0, 1.0, 1.0))
    assert "bytes" in leak_check.pixel_leaks(protocol, [short, long])[0]


@pytest.mark.usefixtures("cheap_seal")
def test_a_missing_series_slices_outside_and_a_second_lock_are_refused(
    unlocked, fake_reader, passphrase
):
    study = unlocked(n_cases=4)
    text = (study / "protocol.toml").read_text()
    (study / "protocol.toml").write_text(
        text.replace('patient = "pat-1"', 'patient = "pat-1"\nslices = [2, 9]')
    )
    with pytest.raises(ValueError, match="slices 2 to 9 but the series has 3"):
        lock_study(study, passphrase=passphrase, read=fake_reader)
    (study / "protocol.toml").write_text(text)
    (study / "arms" / "bravo" / "case-3").rmdir()
    with pytest.raises(ValueError, match="arms/bravo/case-3 is missing"):
        lock_study(study, passphrase=passphrase, read=fake_reader)
    (study / "arms" / "bravo" / "case-3").mkdir()
    lock_study(study, passphrase=passphrase, read=fake_reader)
    with pytest.raises(ValueError, match="locked already"):
        lock_study(study, passphrase=passphrase, read=fake_reader)


def test_a_bundle_of_a_newer_format_or_a_torn_one_is_refused(locked):
    study = locked(n_cases=4)
    path = study / "bundle" / "study.json"
    facts = json.loads(path.read_text())
    path.write_text(json.dumps({**facts, "format_version": 9}))
    with pytest.raises(ValueError, match="newer ctlab"):
        bundle_of(study)
    path.write_text(path.read_text()[:200])
    with pytest.raises(ValueError, match="damaged"):
        bundle_of(study)


def test_slabs_of_one_series_are_read_once_and_cut(unlocked, fake_reader, cheap_seal, passphrase):
    study = unlocked(n_cases=2, design="repeats = 0\ncatch_trials = 0\npatient_gap_trials = 0\n")
    text = (study / "protocol.toml").read_text()
    for i in range(2):
        text = text.replace(
            f'name = "case-{i}"', f'name = "case-{i}"\nseries = "chest"\nslices = [{i}, {i + 1}]'
        )
    (study / "protocol.toml").write_text(text)
    for arm in ("alpha", "bravo"):
        (study / "arms" / arm / "chest").mkdir()
    read = []
    lock_study(study, passphrase=passphrase, read=lambda f: read.append(f) or fake_reader(f))
    assert sorted(Counter(f.name for f in read).items()) == [("chest", 2), ("warm", 2)]
    shapes = Counter(image.shape for image in bundle_of(study).images.values())
    assert shapes == {(1, 12, 10): 4, (3, 12, 10): 2}

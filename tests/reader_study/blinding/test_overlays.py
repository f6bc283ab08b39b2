"""Overlays at lock: kinds differ in where they point and in nothing else; the key alone knows."""

import json
import random

import numpy as np
import pandas as pd
import pytest

from reader_study.analysis.analyse import analyse
from reader_study.analysis.export import write_tables
from reader_study.blinding.lock import lock_study
from reader_study.blinding.overlays import body_of, encode_overlay, make_overlay, overlay_leaks
from reader_study.blinding.sealed_key import unseal
from reader_study.blinding.unblind import unblind
from reader_study.record.bundle import open_bundle
from reader_study.record.coordinator import add_reader, close
from reader_study.record.paths import sealed_key
from reader_study.report.page import write_report
from reader_study.stats.read_table import KEYS, read_table
from reader_study.stats.reliance.change import checked_readings

SHAPE = (2, 24, 24)
KINDS = ("own", "shuffled", "elsewhere")


@pytest.fixture
def protocol(make_protocol):
    return make_protocol(**overlay_options())


def overlay_options(**changes):
    arms = ["plain", *KINDS]
    tables = "".join(
        f'[[arms]]\nname = "map-{k}"\nimages = "plain"\noverlay = "{k}"\n' for k in KINDS
    )
    made = {
        "arms": ["plain"],
        "head": f'[overlay]\ndesign = "sequential"\n{tables}',
        "design": f'layout = "single"\nsessions = {len(arms)}\nrepeats = 0\ncatch_trials = 0\n'
        "patient_gap_trials = 0",
        "items": '[[items]]\nname = "found"\nkind = "scale"\nquestion = "A nodule?"\n'
        'answers = ["no", "yes"]',
    }
    return {**made, **changes}


def body(_case):
    inside = np.zeros(SHAPE, bool)
    inside[:, 3:21, 3:21] = True
    return inside


def spot(case):
    """A blob at another place in each case, that reaches out of the body."""
    z, y, x = np.indices(SHAPE)
    values = np.exp(-((y - 6 - 2 * (case % 4)) ** 2 + (x - 8) ** 2) / 8.0).astype(np.float32)
    values[values < 0.05] = 0
    values[:, 0, 0] = 5.0
    return values * (1 - 0.3 * z)


def made(protocol, kind, case=0, seed=4):
    return make_overlay(kind, case, protocol, body=body, maps=spot, seed=seed)


def test_kinds_hold_the_same_values_inside_the_body_and_point_elsewhere(protocol):
    kinds = {kind: made(protocol, kind) for kind in KINDS}
    assert overlay_leaks(protocol.cases[0], body(0), kinds) == []
    tops = {k: np.unravel_index(v.argmax(), SHAPE)[1:] for k, v in kinds.items()}
    assert tops["own"] == (6, 8)
    assert tops["shuffled"] != tops["own"]
    assert np.hypot(*np.subtract(tops["elsewhere"], tops["own"])) > 3


def test_the_same_seed_makes_the_same_overlays_and_another_seed_others(protocol):
    again = made(protocol, "elsewhere")
    np.testing.assert_array_equal(made(protocol, "elsewhere"), again)
    assert any(not np.array_equal(made(protocol, "elsewhere", seed=s), again) for s in (5, 6, 7))


def test_what_would_tell_kinds_apart_is_named(protocol):
    kinds = {kind: made(protocol, kind) for kind in KINDS}
    kinds["shuffled"] = kinds["shuffled"] * 2
    kinds["elsewhere"] = kinds["elsewhere"].copy()
    kinds["elsewhere"][0, 0, 0] = 1
    said = overlay_leaks(protocol.cases[0], body(0), kinds)
    assert any("elsewhere leaves the body" in leak for leak in said)
    assert any("own and shuffled hold other values" in leak for leak in said)


def test_a_map_that_fills_the_body_cannot_be_moved(protocol):
    with pytest.raises(ValueError, match="too large to be moved"):
        make_overlay("elsewhere", 0, protocol, body=body, maps=lambda _: np.ones(SHAPE), seed=1)


def test_a_body_is_what_tissue_encloses():
    hu = np.full((1, 9, 9), -1000)
    hu[0, 2:7, 2:7] = 0
    hu[0, 3:6, 3:6] = -800
    assert body_of(hu).sum() == 25
    assert list(encode_overlay(np.array([-1.0, 0.0, 0.5]))) == [1, 128, 192]


@pytest.fixture
def with_maps(unlocked):
    def make(**changes):
        study = unlocked(**overlay_options(**changes))
        (study / "overlays").mkdir(exist_ok=True)
        for number, name in enumerate([*(f"case-{i}" for i in range(6)), "warm"]):
            np.savez(study / "overlays" / f"{name}.npz", signed=spot(number))
        return study

    return make


def test_overlays_are_sealed_like_arms_and_equal_in_size(
    with_maps, read_body, cheap_seal, passphrase
):
    study = with_maps()
    lock_study(study, passphrase=passphrase, read=read_body)
    bundle = open_bundle(study / "bundle")
    text = (study / "bundle" / "study.json").read_text("utf-8")
    assert not any(f'"{kind}"' in text for kind in (*KINDS, "map-own", "plain"))
    assert {len(bundle.overlay(token)) for token in bundle.overlays} == {np.prod(SHAPE)}
    key = unseal(sealed_key(study).read_bytes(), passphrase, commitment=bundle.commitment)
    behind = key["overlays"]
    for trial in bundle.trials(1):
        arm = key["trials"][trial.token]["left_arm"]
        case = key["trials"][trial.token]["case"]
        if key["protocol"]["arms"][arm]["overlay"] is None:
            assert trial.overlay is None
        else:
            assert behind[trial.overlay] == {"case": case, "arm": arm}
    own = next(t for t, at in behind.items() if at == {"case": 1, "arm": 0})
    expected = encode_overlay(
        np.where(body_of(read_body(study / "arms/plain/case-1").hu), spot(1), 0)
    )
    assert bundle.overlay(own) == expected
    assert bundle.damaged() == []
    (study / "bundle" / "overlays" / own).write_bytes(b"x")
    assert bundle.damaged() == [own]


def test_every_kind_comes_equally_often_with_every_case(
    with_maps, read_body, cheap_seal, passphrase
):
    study = with_maps(readers=4)
    lock_study(study, passphrase=passphrase, read=read_body)
    bundle = open_bundle(study / "bundle")
    key = unseal(sealed_key(study).read_bytes(), passphrase, commitment=bundle.commitment)
    first = [t for t in key["trials"].values() if t["session"] == 0 and t["kind"] == "main"]
    seen = {(t["case"], t["left_arm"]) for t in first}
    assert len(seen) == len(first) == 24  # four readers, six cases: each in every arm once


ONCE = 'layout = "single"\nsessions = 1\nrepeats = 0\ncatch_trials = 0\npatient_gap_trials = 0'
LESIONS = "\n[[cases.lesions]]\ncentre_zyx = [1, 6, 8]\ndiameter_mm = 4.0\n"


def test_answers_of_simulated_readers_come_out_as_a_table_of_reliance(
    with_maps, read_body, read_all, cheap_seal, passphrase
):
    """Once a case, four kinds over four readers: answers before and after, right and wrong maps."""
    study = with_maps(readers=4, design=ONCE, tail="called_from = 2")
    text = (study / "protocol.toml").read_text("utf-8")
    text = text.replace('name = "case-1"\n', 'name = "case-1"\noverlay_right = false\n')
    text = text.replace('stratum = "y"', 'stratum = "y"' + LESIONS)  # cases 1, 3 and 5
    (study / "protocol.toml").write_text(text, "utf-8")
    lock_study(study, passphrase=passphrase, read=read_body)
    rng = random.Random(1)
    for _ in range(4):
        reader, _code = add_reader(study, "simulated")
        read_all(study, reader, lambda item: rng.choice([1, 2]))
    close(study)
    key = unblind(study, passphrase=passphrase, who="c")
    write_tables(study)
    table = read_table(study / "tables" / "assisted.csv", keys=(*KEYS, "overlay"))
    found = checked_readings(table)
    assert len(found) == 24
    assert set(found.groupby("case")["overlay"].agg(lambda kinds: tuple(sorted(kinds)))) == {
        ("elsewhere", "none", "own", "shuffled")
    }
    own = found[found["overlay"] == "own"].set_index("case")["advice_right"]
    assert own.to_dict() == {f"case-{i}": float(i != 1) for i in range(6)}
    assert found[found["overlay"] == "none"]["advice_right"].isna().all()
    bundle_answers = pd.read_csv(study / "tables" / "ratings.csv")
    first = bundle_answers[bundle_answers["item"] == "found+first"].set_index("trial")["value"]
    said = found.set_index("trial")
    truth = said["case"].isin(["case-1", "case-3", "case-5"])
    expected = (first.reindex(said.index).astype(int) >= 2) == truth
    assert (said["first_right"] == expected.astype(float)).all()
    assert len(key.trials) == 4 * 7
    facts = analyse(study)["reliance"]
    assert facts["contrast"]["first"] == "own"
    counted = {row["overlay"]: row["n"] for row in facts["changes"]}
    assert counted == {"own": 6, "shuffled": 6, "elsewhere": 6, "none": 6}
    pages = {path.name: path.read_text("utf-8") for path in write_report(study)}
    for page in ("report.html", "report.md"):
        assert "Use of the maps" in pages[page]
        assert "answers that followed wrong advice" in pages[page]
        assert "the first answer was locked before the map was sent" in pages[page]
        assert "the arms changing over readers" in pages[page]


def test_a_second_map_points_where_it_does_with_the_values_of_the_own(
    with_maps, read_body, cheap_seal, passphrase
):
    """Of a network with shuffled weights, say: of overlays/other, sealed like the rest."""
    study = with_maps()
    text = (study / "protocol.toml").read_text("utf-8").replace('"elsewhere"', '"other"')
    (study / "protocol.toml").write_text(text, "utf-8")
    with pytest.raises(ValueError, match=r"other/case-0\.npz is missing"):
        lock_study(study, passphrase=passphrase, read=read_body)
    (study / "overlays" / "other").mkdir()
    for number, name in enumerate([*(f"case-{i}" for i in range(6)), "warm"]):
        wrong = np.roll(spot(number), 7, axis=1) * 5
        np.savez(study / "overlays" / "other" / f"{name}.npz", signed=wrong)
    lock_study(study, passphrase=passphrase, read=read_body)
    bundle = open_bundle(study / "bundle")
    key = unseal(sealed_key(study).read_bytes(), passphrase, commitment=bundle.commitment)
    arms = [arm["overlay"] for arm in key["protocol"]["arms"]]
    shown = {
        arms[at["arm"]]: np.frombuffer(bundle.overlay(token), np.uint8)
        for token, at in key["overlays"].items()
        if at["case"] == 2
    }
    np.testing.assert_array_equal(np.sort(shown["own"]), np.sort(shown["other"]))
    tops = {kind: np.unravel_index(values.argmax(), SHAPE) for kind, values in shown.items()}
    assert tops["other"] == (tops["own"][0], tops["own"][1] + 7, tops["own"][2])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"head": ""}, None),
        ({"design": "repeats = 0"}, "layout"),
    ],
)
def test_parts_that_do_not_fit_are_refused(make_protocol, change, message):
    if message is None:
        options = overlay_options()
        options["head"] = options["head"].replace('[overlay]\ndesign = "sequential"\n', "")
        message = "belong together"
    else:
        options = overlay_options(**change)
    with pytest.raises(ValueError, match=message):
        make_protocol(**options)


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (lambda path: path.unlink(), "case-3.npz is missing"),
        (lambda path: np.savez(path, signed=np.ones((1, 5, 5))), "expected a map of 2 x 24 x 24"),
        (lambda path: np.savez(path, signed=np.zeros(SHAPE)), "not all 0"),
        (lambda path: path.write_bytes(b"PK"), "cannot be read"),
    ],
)
def test_a_map_that_is_none_is_refused_and_nothing_stays(
    with_maps, read_body, passphrase, write, message
):
    study = with_maps()
    write(study / "overlays" / "case-3.npz")
    with pytest.raises(ValueError, match=message):
        lock_study(study, passphrase=passphrase, read=read_body)
    assert not (study / "bundle").exists()
    assert json.dumps([p.name for p in study.iterdir()]).count("unfinished") == 0

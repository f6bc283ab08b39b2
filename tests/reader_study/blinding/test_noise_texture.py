"""Texture: the classifier finds what differs, nothing where nothing does; matching evens it out."""

import numpy as np
import pandas as pd
import pytest
from scipy.ndimage import gaussian_filter

from ctlab.ct.volume import Volume
from reader_study.analysis.secondary import blinding_rows, texture_facts
from reader_study.blinding.lock import lock_study
from reader_study.blinding.noise_texture import (
    flat_places,
    matched,
    power_spectrum,
    recognisability,
    texture_features,
)
from reader_study.record.coordinator import opened


def body(case):
    """A disc of soft tissue in air, other in every case, (2, 160, 160)."""
    ys, xs = np.mgrid[-80:80, -80:80]
    disc = np.where(np.hypot(ys, xs - case) < 70, 40.0 + 2 * case, -1000.0)
    return np.stack([disc, disc])


def white(rng, sd=20.0):
    return rng.normal(0, sd, (2, 160, 160))


def coarse(rng, sd=20.0):
    noise = gaussian_filter(rng.normal(0, 1, (2, 160, 160)), (0, 1.2, 1.2))
    return noise * sd / noise.std()


def test_power_of_white_noise_is_its_variance_at_every_frequency(rng):
    hu = body(0) + white(rng, 20.0)
    places = flat_places([hu])
    assert len(places) == 2 * 24
    power = power_spectrum(hu, places)
    # The plane taken out of each square lowers the lowest frequencies only.
    high = power[4:-4, 4:-4]
    assert high.mean() == pytest.approx(400.0, rel=0.03)
    assert abs(high[:12].mean() / high[-12:].mean() - 1) < 0.1


def test_places_are_soft_tissue_and_small_images_have_none():
    hu = body(0)
    for z, y, x in flat_places([hu]):
        assert hu[z, y : y + 32, x : x + 32].min() == 40.0
    assert flat_places([np.zeros((3, 20, 40))]) == []
    assert texture_features([np.full((1, 64, 64), -1000.0)]) is None


def auc_of(make_first, make_second, seed, n=10):
    rng = np.random.default_rng(seed)
    features = [
        texture_features([body(c) + make_first(rng), body(c) + make_second(rng)]) for c in range(n)
    ]
    return recognisability(features, [f"p{c}" for c in range(n)])[0]


def test_other_texture_of_equal_variance_is_recognised_every_time():
    found = auc_of(white, coarse, 1)
    assert found["auc"] == 1.0
    assert found["pairs_right"] == 1.0
    assert found["arms"] == [1, 2]


def test_equal_texture_is_recognised_as_often_as_by_a_coin():
    """Mean over independent sets; leaving cases out makes chance fall a little below 0.5."""
    aucs = [auc_of(white, white, seed)["auc"] for seed in range(12)]
    assert 0.3 < np.mean(aucs) < 0.6


def test_matching_makes_one_spectrum_and_takes_the_classifier_away():
    rng = np.random.default_rng(3)
    features, ratios = [], []
    for case in range(10):
        arms = [body(case) + white(rng), body(case) + coarse(rng)]
        even = matched(arms, rng)
        features.append(texture_features(even))
        places = flat_places(even)
        spectra = [power_spectrum(hu, places)[4:-4, 4:-4] for hu in even]
        ratios.append(spectra[0].mean() / spectra[1].mean())
        assert all(e.shape == a.shape for e, a in zip(even, arms, strict=True))
        assert [a.max() for a in arms] != [e.max() for e in even]
    assert np.mean(ratios) == pytest.approx(1.0, abs=0.05)
    found = recognisability(features, [f"p{c}" for c in range(10)])[0]
    assert found["auc"] < 0.8, "1.0 before matching"


def test_few_cases_give_no_figure_but_a_reason():
    row = recognisability([np.zeros((2, 7))] * 3, ["a", "b", "c"])[0]
    assert row["auc"] is None
    assert "fewer than 4" in row["note"]


def test_no_tissue_no_matching():
    with pytest.raises(ValueError, match="as-made"):
        matched([np.full((1, 64, 64), -1000.0)] * 2, np.random.default_rng(0))


def grained(folder):
    """Series with tissue: alpha has white noise, bravo coarse noise of the same variance."""
    case = int(folder.name.partition("-")[2] or 0)
    rng = np.random.default_rng([case, len(folder.parent.name)])
    noise = white(rng) if folder.parent.name == "alpha" else coarse(rng)
    return Volume((body(case) + noise).astype(np.float32), (2.0, 0.7, 0.7))


@pytest.mark.usefixtures("cheap_seal")
@pytest.mark.parametrize(("texture", "low", "high"), [("as-made", 1.0, 1.0), ("matched", 0.0, 0.8)])
def test_the_lock_records_how_recognisable_the_arms_are_as_readers_get_them(
    unlocked, passphrase, make_protocol, texture, low, high
):
    study = unlocked(n_cases=8, design=f'texture = "{texture}"')
    found = lock_study(study, passphrase=passphrase, read=grained).texture
    assert found["arms"] == texture
    assert low <= found["recognised"][0]["auc"] <= high
    assert found["recognised"][0]["cases"] == 8, "the practice case teaches nothing"
    with opened(study) as (_, store):
        locked = store.events("locked")[0].payload
    assert locked["texture"] == found, "in the hash chain, before anyone reads"
    told = texture_facts(locked, make_protocol())
    assert told["recognised"][0]["arms"] == ["alpha", "bravo"]
    assert texture_facts({}, make_protocol())["recognised"] == [], "studies of older versions"


@pytest.mark.usefixtures("cheap_seal")
def test_arms_without_tissue_are_not_matched_and_nothing_stays(unlocked, fake_reader, passphrase):
    study = unlocked(n_cases=4, design='texture = "matched"')
    with pytest.raises(ValueError, match=r"case case-0: no flat soft tissue .*as-made"):
        lock_study(study, passphrase=passphrase, read=fake_reader)
    assert not (study / "bundle").exists()


def test_bang_index_of_each_arm_counts_pairs_twice_and_single_images_once():
    """Worked by hand: of 3 pairs 2 right, 1 wrong: (2 - 1) / 3 for both arms."""

    def guesses(layout, rows):
        names = ["arm_left", "arm_right", "value"]
        table = pd.DataFrame(rows, columns=names)
        return table.assign(item="guess", layout=layout)

    pairs = guesses(
        "pair", [("a", "b", "left"), ("b", "a", "right"), ("a", "b", "right"), ("a", "a", "left")]
    )
    assert [(r["arm"], r["n"], round(r["index"], 6)) for r in blinding_rows(pairs, "a")] == [
        ("a", 3, 0.333333),
        ("b", 3, 0.333333),
    ]
    # a shown twice: yes, unsure -> 1/2; b shown twice: yes, no -> 0.
    single = guesses(
        "single", [("a", None, "yes"), ("a", None, "unsure"), ("b", None, "yes"), ("b", None, "no")]
    )
    assert [(r["arm"], r["index"]) for r in blinding_rows(single, "a")] == [("a", 0.5), ("b", 0.0)]
    assert blinding_rows(single, None) == []

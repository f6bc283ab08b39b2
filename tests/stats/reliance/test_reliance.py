"""Overlays as advice: published totals, a known truth that comes back, nulls, refusals."""

import json

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from typer.testing import CliRunner

from reader_study.cli.stats import app
from reader_study.power.sample_size import Aim, plan_power
from reader_study.stats.paired.crossed_mean import crossed_mean
from reader_study.stats.paired.crossed_share import crossed_contrast
from reader_study.stats.reliance.calibration import calibration
from reader_study.stats.reliance.change import (
    COLUMNS,
    change_matrix,
    checked_readings,
    d_prime_of_trust,
    harmed_readers,
    overlay_contrast,
    reliance_shares,
)
from reader_study.stats.reliance.simulated import (
    OverlayReaders,
    overlay_decision,
    readers_with_contrast,
    simulate_overlay_study,
    true_contrast,
)


def readings(rows):
    return pd.DataFrame(rows, columns=COLUMNS)


@pytest.fixture(scope="module")
def study():
    rng = np.random.default_rng(7)
    return simulate_overlay_study(OverlayReaders(), n_readers=10, n_cases=60, rng=rng)


def test_published_totals_of_appropriate_reliance_come_out():
    """139 of 1384 and 487 of 569: the skin study in which both measures were introduced."""
    rows = [("A", f"w{i}", "own", 1, 0, int(i < 139)) for i in range(1384)]
    rows += [("A", f"r{i}", "own", 0, 1, int(i < 487)) for i in range(569)]
    found = reliance_shares(readings(rows)).set_index("measure")
    assert found.loc["relied_on_right_advice", "share"] == pytest.approx(139 / 1384)
    assert found.loc["held_against_wrong_advice", "share"] == pytest.approx(487 / 569)
    assert found.loc["over_reliance", "share"] == pytest.approx(1 - 487 / 569)


def test_a_first_answer_that_agreed_with_the_advice_tells_nothing_of_reliance():
    rows = [("A", 1, "own", 1, 1, 1), ("A", 2, "own", 0, 0, 0), ("B", 1, "own", 1, 1, 0)]
    found = reliance_shares(readings(rows)).set_index("measure")
    for name in ("relied_on_right_advice", "held_against_wrong_advice"):
        assert found.loc[name, "n"] == 0
        assert np.isnan(found.loc[name, "share"])
        assert found.loc[name, "reason"] == "no reading can tell"


def test_changes_are_counted_both_ways_and_net_is_the_crossed_mean(study):
    own = study[study["overlay"] == "own"]
    row = change_matrix(study).set_index("overlay").loc["own"]
    moved = own["final_right"] - own["first_right"]
    assert row["wrong_right"] == (moved == 1).sum()
    assert row["right_wrong"] == (moved == -1).sum()
    assert row["to_wrong"] == pytest.approx((moved == -1).sum() / own["first_right"].sum())
    mean = crossed_mean(moved, own["reader"], own["case"])
    assert [row["net"], row["net_low"]] == pytest.approx([mean.mean, mean.low])


def test_the_contrast_holds_the_truth_the_readers_were_made_with(study):
    found = overlay_contrast(study, first="own", second="shuffled")
    assert found.low < true_contrast(OverlayReaders()) < found.high
    assert found.p < 0.05


def test_a_balanced_contrast_equals_the_paired_difference():
    """Every reader sees every case under both kinds, as two cases: the textbook paired t."""
    rng = np.random.default_rng(1)
    gap = rng.normal(0.3, 0.2, 8)
    reader = np.repeat(np.arange(8), 2)
    values = np.c_[gap / 2, -gap / 2].ravel()
    kinds = np.tile(["a", "b"], 8)
    found = crossed_contrast(
        values,
        reader,
        [f"{r}{k}" for r, k in zip(reader, kinds, strict=True)],
        kinds,
        first="a",
        second="b",
    )
    assert found.difference == pytest.approx(gap.mean())


@pytest.mark.slow
def test_null_readers_reject_in_one_of_twenty_and_intervals_hold_the_truth():
    rng, null = np.random.default_rng(3), OverlayReaders(right_helps=0, wrong_harms=0, sd_trust=0)
    truth, p, held = true_contrast(OverlayReaders()), [], []
    for _ in range(250):
        for kind, kept in ((null, p), (OverlayReaders(), held)):
            made = simulate_overlay_study(kind, n_readers=6, n_cases=30, rng=rng)
            found = crossed_contrast(
                made["final_right"],
                made["reader"],
                made["case"],
                made["overlay"],
                first="own",
                second="shuffled",
            )
            kept.append(found.p < 0.05 if kind is null else found.low < truth < found.high)
    assert np.mean(p) <= 0.08
    assert np.mean(held) >= 0.91


def test_d_prime_of_trust_is_the_distance_of_two_normal_quantiles():
    rows = [("A", f"r{i}", "own", 1, 0, int(i < 15)) for i in range(19)]
    rows += [("A", f"w{i}", "own", 0, 1, int(i >= 5)) for i in range(19)]
    found = d_prime_of_trust(readings([*rows, ("B", "r0", "own", 1, 0, 1)])).set_index("reader")
    z = stats.norm.ppf([15.5 / 20, 5.5 / 20])
    assert found.loc["A", "d_prime"] == pytest.approx(z[0] - z[1])
    assert np.isnan(found.loc["B", "d_prime"])
    assert found.loc["mean", "n_right"] == 20


def test_one_harmed_reader_among_many_is_found_and_noise_alone_is_shrunk():
    rng = np.random.default_rng(9)
    rows = []
    for reader in range(8):
        helps = -0.35 if reader == 0 else 0.15
        for case in range(120):
            own = case % 2 == 0
            right = int(rng.random() < 0.6 + helps * own)
            rows.append(
                (f"R{reader}", case, "own" if own else "none", 1 if own else np.nan, 1, right)
            )
    found = harmed_readers(readings(rows), first="own", second="none").set_index("reader")
    assert found.index[0] == "R0"
    assert found.loc["R0", "harmed"] > 0.95
    assert (found["harmed"].iloc[1:] < 0.5).all()
    assert (found["shrunk"] - found["shrunk"].mean()).abs().max() < (
        found["effect"] - found["shrunk"].mean()
    ).abs().max()


@pytest.mark.parametrize(
    ("n", "levels", "expected"), [(40, 5, 0.099), (100, 5, 0.062), (400, 5, 0.031)]
)
def test_a_calibrated_readers_error_is_not_zero_and_is_told(n, levels, expected):
    stated = np.repeat(np.linspace(0.5, 1, levels), n // levels)
    right = (np.arange(n) * 0.618 % 1 < stated).astype(int)
    assert calibration(stated, right).ece_if_calibrated == pytest.approx(expected, abs=0.006)


def test_briers_parts_add_up_and_tell_over_confidence():
    rng = np.random.default_rng(0)
    stated = rng.choice([0.6, 0.8, 1.0], 500)
    right = (rng.random(500) < stated - 0.2).astype(int)
    found = calibration(stated, right)
    assert found.brier == pytest.approx(found.unreliability - found.resolution + found.uncertainty)
    assert found.over_confidence == pytest.approx(0.2, abs=0.05)
    assert 0.5 < found.auc < 1
    assert np.isnan(calibration([0.5, 0.9], [1, 1]).auc)
    with pytest.raises(ValueError, match="per cent by 100"):
        calibration([60, 80], [1, 0])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"final_right": 2}, "final_right is not 0 or 1"),
        ({"case": "same"}, "occurs more than once"),
        ({"overlay": None}, "overlay"),
    ],
)
def test_what_cannot_be_counted_is_named_with_its_rows(study, change, message):
    with pytest.raises(ValueError, match=message):
        checked_readings(study.assign(**change))


def test_where_every_case_came_under_both_kinds_the_difference_is_taken_within(study):
    other = study.assign(
        overlay=study["overlay"].map({"own": "shuffled", "shuffled": "own"}),
        final_right=study["first_right"],
    )
    both = pd.concat([study, other])
    found = overlay_contrast(both, first="own", second="shuffled")
    wide = both.pivot(index=["reader", "case"], columns="overlay", values="final_right")
    apart = (wide["own"] - wide["shuffled"]).reset_index(name="d")
    mean = crossed_mean(apart["d"], apart["reader"], apart["case"])
    assert [found.difference, found.low] == pytest.approx([mean.mean, mean.low])
    assert reliance_shares(both).set_index("measure").loc["over_reliance", "n"] == (
        2 * (study["advice_right"] == 0).sum()
    )


def test_changes_need_an_answer_locked_before_the_overlay(study):
    later = study.drop(columns="first_right")
    with pytest.raises(ValueError, match="locked before the overlay"):
        change_matrix(later)
    assert reliance_shares(later).set_index("measure").loc["relied_on_right_advice", "n"] == 0
    half = study.copy()
    half.loc[half.index[0], "first_right"] = np.nan
    with pytest.raises(ValueError, match="first_right is empty"):
        checked_readings(half)


def test_the_command_tells_everything_in_words_and_json(tmp_path, study):
    file = tmp_path / "readings.csv"
    study.to_csv(file, index=False)
    told = CliRunner().invoke(app, ["reliance", str(file)])
    assert told.exit_code == 0, told.output
    for words in ("own - shuffled", "(RAIR)", "(RSR)", "least helped", "by chance alone"):
        assert words in told.stdout
    facts = json.loads(CliRunner().invoke(app, ["reliance", str(file), "--json"]).stdout)
    assert facts["contrast"]["first"] == "own"
    assert facts["trust"][-1]["reader"] == "mean"
    wrong = CliRunner().invoke(app, ["reliance", str(file), "--first", "own", "--second", "band"])
    assert "--first and --second" in str(wrong.exception)


def test_power_of_overlays_grows_with_cases_and_is_the_error_rate_without_an_effect():
    aim = Aim(0.15, replicates=60, seed=3)
    facts = plan_power("overlay", aim, readers=(6,), cases=(20, 120))
    few, many = (row["power"] for row in facts["curve"])
    assert few < 0.75 < many
    assert true_contrast(readers_with_contrast(0.15)) == pytest.approx(0.15, abs=2e-3)
    null = readers_with_contrast(0.0)
    rng, decide = np.random.default_rng(1), overlay_decision()
    found = [
        decide(simulate_overlay_study(null, n_readers=6, n_cases=40, rng=rng)) for _ in range(60)
    ]
    assert np.mean(found) <= 0.1
    with pytest.raises(ValueError, match="plan for less"):
        readers_with_contrast(0.41)
    with pytest.raises(ValueError, match="own maps less those with shuffled"):
        plan_power("overlay", Aim(0.5))


@pytest.mark.parametrize("measure", ["change", "brier", "time"])
def test_each_endpoint_of_maps_has_its_power_and_five_per_cent_without_an_effect(measure):
    effect = 1.4 if measure == "time" else 0.2
    aim = Aim(effect, replicates=40, seed=2)
    facts = plan_power(f"overlay-{measure}", aim, readers=(8,), cases=(20, 120))
    few, many = (row["power"] for row in facts["curve"])
    assert few < many
    assert many > 0.6
    null = OverlayReaders(right_helps=0.0, wrong_harms=0.0)
    rng, decide = np.random.default_rng(1), overlay_decision(measure=measure)
    shown = [
        decide(simulate_overlay_study(null, n_readers=6, n_cases=40, rng=rng)) for _ in range(80)
    ]
    assert np.mean(shown) <= 0.1  # one-sided 2.5 %

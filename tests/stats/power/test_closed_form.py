"""Power against RJafroc's answers on the oracle sets, theory, and behaviour at the edges."""

import json
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import t as student_t

from reader_study.stats.power.closed_form import (
    OrComponents,
    components_of,
    or_power,
    power_curve,
    smallest_cases,
    smallest_design,
)
from reader_study.stats.power.panel import (
    PanelComponents,
    design_effect,
    lesions_for_share,
    panel_power,
)
from reader_study.stats.power.roe_metz_components import components_of_model, model_of_components
from reader_study.stats.power.simulated import (
    NEW,
    REFERENCE,
    LikertTruth,
    PreferenceTruth,
    likert_decision,
    preference_decision,
    simulate_likert,
    simulate_preference,
    simulated_power,
)
from reader_study.stats.roc.curve import empirical_auc
from reader_study.stats.roc.mrmc import mrmc
from reader_study.stats.roc.roe_metz import RoeMetz, separation, simulate_roc

SETS = ["mrmc_balanced", "mrmc_clip"]
RANDOM = {"RRRC": "readers and cases", "FRRC": "cases", "RRFC": "readers"}


def components(entry) -> OrComponents:
    names = ("VarTR", "Var", "Cov1", "Cov2", "Cov3")
    return OrComponents(*(entry[name] for name in names), cases=int(entry["KStar"]))


# RJafroc's example 4A, the components of its data set of Van Dyke.
VAN_DYKE = OrComponents(
    0.00020040252, 0.00080228827, 0.00034661371, 0.00034407483, 0.00023902837, 114, 0.001534999
)


@pytest.fixture(scope="module")
def sizing():
    path = Path(__file__).parents[2] / "data" / "oracles" / "extended" / "sizing_python.json"
    return json.loads(path.read_text("utf-8"))["entries"]


@pytest.mark.parametrize(
    ("entry", "design", "blocks"),
    [
        ("crossed J6 K251 es.05 RRRC", "crossed", 1),
        ("cases_nested_in_readers J6 K251 es.05", "cases nested in readers", 1),
        ("cases_nested_in_arms J6 K251 es.05", "cases nested in arms", 1),
        ("readers_nested_in_arms J6 K251 es.05", "readers nested in arms", 1),
        ("both_nested_in_arms J6 K251 es.05", "readers and cases nested in arms", 1),
        ("split_plot_averaged G2 J6 K251 es.05", "split-plot", 2),
        ("split_plot_averaged G3 J6 K251 es.05", "split-plot", 3),
    ],
)
def test_power_of_every_design_equals_independent_figures(sizing, entry, design, blocks):
    found = or_power(VAN_DYKE, readers=6, cases=251, effect=0.05, design=design, blocks=blocks)
    want = sizing[entry]
    assert [found.power, found.se, found.df2] == pytest.approx(
        [want["power"], want["se"], want["df"]], rel=1e-6
    )


@pytest.mark.parametrize(("true", "margin"), [(0.0, 0.05), (0.01, 0.05)])
def test_power_of_non_inferiority_equals_independent_figures(sizing, true, margin):
    name = "0" if true == 0 else "+.01"
    want = sizing[f"noninferiority crossed J6 K251 true {name} margin .05 one-sided .025"]
    found = or_power(VAN_DYKE, readers=6, cases=251, effect=true, margin=margin)
    assert found.power == pytest.approx(want["power"], abs=1e-7)


@pytest.mark.parametrize(("readers", "cases"), [(10, 300), (20, 600)])
def test_power_of_a_model_against_a_panel_equals_independent_figures(sizing, readers, cases):
    parts = PanelComponents(0.00416539583, 0.00253471637, 0.00116168454, 90)  # ai_vs_readers.csv
    want = sizing[f"AI panel J{readers} K{cases} noninferiority margin .05 true 0 one-sided .025"]
    found = panel_power(parts, readers=readers, cases=cases, effect=0.0, margin=0.05)
    assert [found.power, found.se, found.df2] == pytest.approx(
        [want["power"], want["se"], want["df"]], rel=1e-6
    )


def test_lesions_of_patients_need_more_than_lesions_of_their_own(sizing):
    want = sizing["one clustered share p.8 half-width .05 icc .2 m 2.5"]
    effect = design_effect(icc=0.2, per_patient=2.5)
    lesions = lesions_for_share(0.8, half_width=0.05, effect_of_design=effect)
    assert [effect, lesions] == pytest.approx([want["deff"], want["lesions"]], rel=1e-9)
    assert design_effect(icc=0.2, per_patient=2.5, spread=1.0) > effect


def test_roe_metz_components_are_those_of_simulated_studies():
    """Exact moments beside the mean of studies with unbiased covariances, within 3.5 errors."""
    names = ("var_reader", "var_arm_reader", "var_error", "cov1", "cov2", "cov3")
    rng = np.random.default_rng(0)
    found = []
    for _ in range(40):
        study = simulate_roc({"a": 0.85, "b": 0.85}, readers=5, cases=60, rng=rng)
        parts = mrmc(study, method="unbiased").components
        found.append([parts[name] for name in names])
    exact = components_of_model(RoeMetz(), area=0.85, diseased=30, healthy=30)
    error = np.std(found, axis=0, ddof=1) / np.sqrt(len(found))
    gap = (np.mean(found, axis=0) - [getattr(exact, name) for name in names]) / error
    assert np.abs(gap).max() < 3.5


@pytest.mark.parametrize("area", [0.65, 0.85, 0.96])
def test_roe_metz_variances_come_back_from_their_components(area):
    model = RoeMetz(0.05, 0.02, 0.25, 0.15, 0.35, 0.25)
    sizes = {"area": area, "diseased": 69, "healthy": 45}
    parts = components_of_model(model, **sizes)
    back, again = model_of_components(parts, **sizes)
    assert vars(back) == pytest.approx(vars(model), rel=1e-6)
    assert vars(again) == pytest.approx(vars(parts), rel=1e-6)


def test_components_of_a_published_study_have_a_model_with_their_correlations():
    model, found = model_of_components(VAN_DYKE, area=0.9, diseased=45, healthy=69)
    assert sum(list(vars(model).values())[2:]) == pytest.approx(1)
    assert found.var_arm_reader == pytest.approx(VAN_DYKE.var_arm_reader)
    for name in ("cov1", "cov2", "cov3"):
        ours, theirs = getattr(found, name), getattr(VAN_DYKE, name)
        assert ours / found.var_error == pytest.approx(theirs / VAN_DYKE.var_error)
    odd = replace(VAN_DYKE, cov3=0.0005)
    with pytest.raises(ValueError, match="correlations of a Roe-Metz model"):
        model_of_components(odd, area=0.9, diseased=45, healthy=69)


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("size", [(6, 150), (10, 250)])
@pytest.mark.parametrize("option", RANDOM)
def test_power_equals_rjafroc(expected, name, size, option):
    wanted = expected[name][f"power_{option}_J{size[0]}_K{size[1]}"]["value"]
    pilot = components(expected[name]["power_inputs"]["value"])
    found = or_power(pilot, readers=size[0], cases=size[1], effect=0.05, random=RANDOM[option])
    assert found.power == pytest.approx(wanted[f"power{option}"], abs=1e-7)
    assert found.noncentrality == pytest.approx(wanted[f"ncp{option}"], rel=1e-8)
    if wanted[f"df2{option}"] is None:
        assert np.isinf(found.df2)
    else:
        assert found.df2 == pytest.approx(wanted[f"df2{option}"], rel=1e-8)


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("readers", [6, 10])
def test_sample_size_equals_rjafroc(expected, name, readers):
    wanted = expected[name][f"sample_size_K_for_J{readers}"]["value"]
    pilot = components(expected[name]["power_inputs"]["value"])

    def power(cases: int) -> float:
        return or_power(pilot, readers=readers, cases=cases, effect=0.05).power

    found = smallest_cases(power)
    if wanted["KRRRC"] > 2000:  # RJafroc's sign that 2000 cases are not enough
        assert found is None
        assert power(wanted["KRRRC"]) == pytest.approx(wanted["powerRRRC"], abs=1e-7)
    else:
        assert found == wanted["KRRRC"]
        assert power(found) == pytest.approx(wanted["powerRRRC"], abs=1e-7)


def test_components_come_from_an_analysis(oracle, expected):
    found = components_of(mrmc(oracle("mrmc_balanced"), method="jackknife"), cases=90)
    wanted = components(expected["mrmc_balanced"]["power_inputs"]["value"])
    assert vars(replace(found, var_reader=0.0)) == pytest.approx(vars(wanted), rel=1e-8)
    with pytest.raises(ValueError, match="by ustat"):
        components_of(mrmc(oracle("mrmc_balanced"), method="ustat"), cases=90)


def test_no_effect_gives_alpha_and_a_margin_equals_a_shift():
    pilot = OrComponents(0.0004, 0.002, 0.001, 0.0007, 0.0005, cases=90)
    sizes = {"readers": 5, "cases": 120}
    assert or_power(pilot, effect=0.0, **sizes).power == 0.05
    shifted = or_power(pilot, effect=0.0, margin=0.05, **sizes)
    two_sided = or_power(pilot, effect=0.05, **sizes)
    assert shifted.noncentrality**2 == pytest.approx(two_sided.noncentrality)
    # The two-sided test also rejects on the wrong side, which a margin never does.
    assert 0 < two_sided.power - shifted.power < 1e-3


def test_power_grows_with_readers_and_with_cases_and_the_smallest_design_is_the_smallest():
    pilot = OrComponents(0.0002, 0.002, 0.001, 0.0007, 0.0005, cases=90)

    def power(readers: int, cases: int) -> float:
        return or_power(pilot, readers=readers, cases=cases, effect=0.05).power

    grid = power_curve(power, readers=range(2, 12, 3), cases=range(50, 400, 50))
    wide = grid.pivot(index="readers", columns="cases", values="power").to_numpy()
    assert (np.diff(wide, axis=0) > 0).all()
    assert (np.diff(wide, axis=1) > 0).all()
    design = smallest_design(power, readers=range(2, 12))
    for row in design.dropna().itertuples():
        assert power(row.readers, row.cases) >= 0.8 > power(row.readers, row.cases - 1)
    assert design.loc[design["fewest"], "readings"].item() == design["readings"].min()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"readers": 1}, "expected two readers or more"),
        ({"cases": 0}, "cases of 1 or more, got 0"),
        ({"alpha": 1.5}, "0 < alpha < 1"),
        ({"random": "arms"}, "got 'arms'"),
    ],
)
def test_impossible_designs_are_refused(change, message):
    pilot = OrComponents(0.0004, 0.002, 0.001, 0.0007, 0.0005, cases=90)
    with pytest.raises(ValueError, match=message):
        or_power(pilot, **{"readers": 4, "cases": 80, "effect": 0.05, **change})


# ---------------------------------------------------------------- simulated truths


def test_roe_metz_has_the_area_and_the_variances_it_was_asked_for(rng):
    model = RoeMetz()
    study = simulate_roc({"a": 0.85, "b": 0.7}, readers=60, cases=400, rng=rng, model=model)
    for arm, area in (("a", 0.85), ("b", 0.7)):
        part = study[study["arm"] == arm]
        found = [empirical_auc(g["truth"], g["rating"]) for _, g in part.groupby("reader")]
        assert np.mean(found) == pytest.approx(area, abs=0.04)
    spread = study.groupby(["arm", "truth"])["rating"].var()
    assert spread.mean() == pytest.approx(model.total, rel=0.15)
    assert separation(0.85, model) > separation(0.7, model) > 0


def test_likert_ratings_have_the_shares_and_odds_ratio_of_their_truth(rng):
    truth = LikertTruth((0.2, 0.3, 0.5), odds_ratio=3.0, sd_reader=0, sd_case=0)
    study = simulate_likert(truth, readers=20, cases=1000, rng=rng)
    shares = study[study["arm"] == "reference"]["rating"].value_counts(normalize=True)
    assert shares.sort_index().tolist() == pytest.approx([0.2, 0.3, 0.5], abs=0.015)
    above = study.assign(top=study["rating"] > 2).groupby("arm")["top"].mean()
    odds = above / (1 - above)
    assert odds["new"] / odds["reference"] == pytest.approx(3.0, rel=0.1)


def test_preferences_have_the_share_and_balanced_sides(rng):
    truth = PreferenceTruth(share=0.7, ties=0.2, sd_reader=0, sd_case=0)
    study = simulate_preference(truth, readers=10, cases=2000, rng=rng)
    assert (study["choice"] == "tie").mean() == pytest.approx(0.2, abs=0.01)
    decided = study[study["choice"] != "tie"]
    won = np.where(decided["choice"] == "left", decided["left"], decided["right"]) == "new"
    assert won.mean() == pytest.approx(0.7, abs=0.01)
    assert (study["left"] == "new").mean() == 0.5


def draw_likert(effect, rng):
    return simulate_likert(LikertTruth(odds_ratio=effect), readers=3, cases=15, rng=rng)


def draw_preference(effect, rng):
    return simulate_preference(PreferenceTruth(effect), readers=4, cases=30, rng=rng)


def draw_roc(areas, *, readers, cases, rng):
    named = dict(zip((NEW, REFERENCE), areas, strict=True))
    return simulate_roc(named, readers=readers, cases=cases, rng=rng)


def decide_roc(study):
    """Whether the new arm is better by the Obuchowski-Rockette test, readers and cases random."""
    row = mrmc(study, method="delong", arms=(NEW, REFERENCE)).differences.iloc[0]
    return bool(row["difference"] > student_t.isf(0.025, row["df"]) * row["se"])


CASES = {
    "likert, clmm": (draw_likert, likert_decision(), 1.0, 8.0),
    "likert, mean": (draw_likert, likert_decision("mean"), 1.0, 30.0),
    "preference": (draw_preference, preference_decision(), 0.5, 0.85),
    "roc": (
        lambda effect, rng: draw_roc((effect, 0.7), readers=4, cases=40, rng=rng),
        decide_roc,
        0.7,
        0.95,
    ),
}


@pytest.mark.parametrize("kind", CASES)
def test_simulated_power_is_small_without_and_large_with_an_effect(kind, rng):
    draw, decide, none, large = CASES[kind]
    # A mixed model per study is slow: its null is simulated 10,000 times elsewhere.
    count = 10 if "clmm" in kind else 30
    nothing = simulated_power(partial(draw, none), decide, replicates=count, rng=rng)
    something = simulated_power(partial(draw, large), decide, replicates=count // 2, rng=rng)
    assert nothing.power <= 0.3
    assert something.power >= 0.6


@pytest.mark.slow
def test_simulated_power_of_roc_agrees_with_the_closed_form(rng):
    """Components of one large simulated study predict the share of small studies that succeed."""
    sizes = {"readers": 5, "cases": 80}
    pilots = [
        components_of(mrmc(draw_roc((0.8, 0.8), readers=8, cases=200, rng=rng)), cases=200)
        for _ in range(20)
    ]
    mean = {name: float(np.mean([vars(p)[name] for p in pilots])) for name in vars(pilots[0])}
    pilot = OrComponents(**{**mean, "cases": 200})
    predicted = or_power(pilot, effect=0.08, **sizes).power
    found = simulated_power(
        lambda r: draw_roc((0.84, 0.76), rng=r, **sizes),
        decide_roc,
        replicates=200,
        rng=rng,
    )
    assert found.low - 0.05 <= predicted <= found.high + 0.05


def test_a_study_that_cannot_be_analysed_counts_as_failed():
    def decide(study: pd.DataFrame) -> bool:
        raise ValueError("every rating is the same")

    found = simulated_power(
        lambda r: pd.DataFrame(), decide, replicates=5, rng=np.random.default_rng(1)
    )
    assert (found.power, found.undecided) == (0.0, 5)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: LikertTruth((0.5, 0.6)), "sum to 1"),
        (lambda: PreferenceTruth(share=1.2), "between 0 and 1"),
        (lambda: RoeMetz(var_case=-1), "below 0: var_case"),
        (lambda: likert_decision("clmm", margin=0.5), "expected analysis 'mean'"),
        (lambda: smallest_cases(lambda k: 1.0, target=80), "between 0 and 1"),
        (
            lambda: simulate_roc({"a": 0.8}, readers=2, cases=3, rng=np.random.default_rng(1)),
            "four",
        ),
    ],
)
def test_impossible_truths_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()

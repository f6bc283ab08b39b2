"""Cumulative link models against R's ordinal (2022.11-16, R 4.2.2)."""

import re

import numpy as np
import pandas as pd
import pytest
from scipy import optimize

from reader_study.stats.ordinal.clm import clm, clmm
from reader_study.stats.ordinal.formula import read_formula
from reader_study.stats.ordinal.inference import (
    contrast,
    likelihood_ratio,
    predict,
    proportional_odds_check,
)
from reader_study.stats.ordinal.laplace import Laplace
from reader_study.stats.ordinal.link_functions import LINKS, cell_loglik, cell_terms
from reader_study.stats.ordinal.profile_likelihood import profile_interval

LEVELS = {"arm": ["ultra_low", "denoised", "full"]}
ITEMS = "noise|sharpness|artefacts|confidence"


@pytest.fixture(scope="module")
def likert(oracle):
    table = oracle("likert")
    return table[table["showing"] == 1]


def formula_of(what, item):
    fixed = "1" if "noarm" in what else "arm + reader" if "reader_fixed" in what else "arm"
    random = (
        ""
        if "fixed" in what or what == ""
        else "".join(f" + (1|{group})" for group in ("reader", "case") if group in what)
    )
    return f"{item} ~ {fixed}{random}"


def test_every_fixed_fit_equals_r(likert, expected):
    checked = 0
    for key, entry in expected["likert"].items():
        match = re.fullmatch(rf"clm_(reader_fixed_)?(logit|probit)_({ITEMS})", key)
        if not match:
            continue
        fit = clm(likert, formula_of(match[1] or "", match[3]), link=match[2], levels=LEVELS)
        answer = entry["value"]
        assert fit.loglik == pytest.approx(answer["logLik"], rel=1e-9)
        np.testing.assert_allclose(
            fit.estimates["estimate"], list(answer["estimate"].values()), rtol=1e-6, atol=1e-7
        )
        np.testing.assert_allclose(fit.estimates["se"], list(answer["se"].values()), rtol=1e-6)
        checked += 1
    assert checked == 16


@pytest.mark.parametrize("link", ["logit", "probit"])
def test_a_fit_of_fixed_effects_equals_statsmodels(link):
    """A second reference beside R: four grades of 24 readings, one factor and one number."""
    from statsmodels.miscmodels.ordinal_model import OrderedModel

    grade = [1, 2, 2, 3, 1, 2, 4, 3, 2, 3, 4, 4, 1, 1, 2, 3, 3, 2, 4, 3, 1, 4, 3, 2]
    table = pd.DataFrame({"grade": grade, "arm": ["a", "b"] * 12, "age": np.arange(24.0) % 7})
    fit = clm(table, "grade ~ arm + age", link=link, levels={"arm": ["a", "b"]})
    columns = np.column_stack([table["arm"] == "b", table["age"]]).astype(float)
    model = OrderedModel(grade, columns, distr=link)
    theirs = model.fit(method="newton", tol=1e-12, disp=False)
    assert fit.loglik == pytest.approx(theirs.llf, rel=1e-9)
    effects = fit.coefficients
    np.testing.assert_allclose(effects["estimate"], theirs.params[:2], rtol=1e-5)
    np.testing.assert_allclose(effects["se"], theirs.bse[:2], rtol=1e-4)
    thresholds = fit.estimates["estimate"][~fit.estimates["name"].isin(effects["name"])]
    cuts = model.transform_threshold_params(theirs.params)[1:-1]
    np.testing.assert_allclose(thresholds, cuts, rtol=1e-5)


@pytest.mark.parametrize("link", ["logit", "probit"])
def test_crossed_reader_and_case_effects_equal_r(likert, expected, link):
    for item in ITEMS.split("|"):
        answer = expected["likert"][f"clmm_reader_case_{link}_{item}"]["value"]
        fit = clmm(likert, f"{item} ~ arm + (1|reader) + (1|case)", link=link, levels=LEVELS)
        assert fit.converged
        # Ours has the smaller gradient, so it may only be higher.
        assert -1e-8 < fit.loglik - answer["logLik"] < 1e-4
        np.testing.assert_allclose(
            fit.estimates["estimate"], list(answer["estimate"].values()), atol=1e-4
        )
        np.testing.assert_allclose(fit.estimates["se"], list(answer["se"].values()), rtol=1e-3)
        for name, variance in answer["variance"].items():
            assert fit.variances[name] == pytest.approx(variance, rel=1e-3)
        if "conditional_modes" in answer:
            for name, modes in answer["conditional_modes"].items():
                np.testing.assert_allclose(fit.modes[name], list(modes.values()), atol=1e-3)
        full, denoised = "arm[full]", "arm[denoised]"
        want = expected["likert"][f"contrast_full_minus_denoised_{link}_{item}"]["value"]
        got = contrast(fit, full, denoised)
        assert [got["estimate"], got["se"]] == pytest.approx(
            [want["estimate"], want["se"]], abs=1e-4
        )


def test_arm_and_random_effect_tests_equal_r(likert, expected):
    answers = expected["likert"]
    large = clmm(likert, "noise ~ arm + (1|reader) + (1|case)", levels=LEVELS)
    none = clmm(likert, "noise ~ 1 + (1|reader) + (1|case)", levels=LEVELS)
    fixed = clm(likert, "noise ~ arm", levels=LEVELS)
    for smaller, key in [(none, "lrt_arm_logit_noise"), (fixed, "lrt_random_effects_logit_noise")]:
        test = likelihood_ratio(large, smaller)
        want = answers[key]["value"]
        assert test["chi2"] == pytest.approx(want["chi2"], abs=2e-4)
        assert test["p"] == pytest.approx(want["p"], rel=1e-3)


@pytest.mark.parametrize(
    ("group", "item", "link"), [("reader", "noise", "logit"), ("case", "confidence", "probit")]
)
def test_adaptive_quadrature_equals_r(likert, expected, group, item, link):
    answer = expected["likert"][f"clmm_{group}_agq10_{link}_{item}"]["value"]
    formula = f"{item} ~ arm + (1|{group})"
    fit = clmm(likert, formula, link=link, levels=LEVELS, quadrature=10)
    assert fit.loglik == pytest.approx(answer["logLik"], abs=1e-6)
    np.testing.assert_allclose(
        fit.estimates["estimate"], list(answer["estimate"].values()), atol=1e-4
    )
    np.testing.assert_allclose(fit.estimates["se"], list(answer["se"].values()), rtol=1e-3)
    assert fit.variances[group] == pytest.approx(answer["variance"][group], rel=1e-3)


@pytest.mark.parametrize("item", ["noise", "confidence"])
def test_one_random_effect_is_the_laplace_value_worked_out_group_by_group(likert, expected, item):
    # R stops its search for the modes early here (it warns), 1e-5 to 3e-5 below this value.
    answer = expected["likert"][f"clmm_reader_laplace_logit_{item}"]["value"]
    data = read_formula(likert, f"{item} ~ arm + (1|reader)", levels=LEVELS)
    fixed = np.array(list(answer["estimate"].values()))
    scale = np.sqrt(answer["variance"]["reader"])
    upper = data.cuts_upper @ fixed + data.edge_upper
    lower = data.cuts_lower @ fixed + data.edge_lower
    total = 0.0
    for group in range(6):
        rows = data.random[0].codes == group

        def penalised(u, rows=rows):
            cut = scale * u
            return 0.5 * u * u - cell_loglik(upper[rows] - cut, lower[rows] - cut, "logit").sum()

        mode = optimize.minimize_scalar(penalised, bracket=(-2, 2), tol=1e-12)
        cut = scale * mode.x
        weight = cell_terms(upper[rows] - cut, lower[rows] - cut, "logit").weight.sum()
        total += -mode.fun - 0.5 * np.log(1 + scale**2 * weight)
    model = Laplace(data, "logit")
    value = model.value_and_gradient(np.append(fixed, np.log(scale)))[0]
    assert value == pytest.approx(total, abs=1e-7)
    assert value == pytest.approx(answer["logLik"], abs=1e-4)


@pytest.mark.parametrize(
    "random", ["(1|reader) + (1|case)", "(arm|reader) + (1|case)", "(1|reader/arm) + (arm||case)"]
)
@pytest.mark.parametrize("link", LINKS)
def test_gradient_is_the_slope_of_the_likelihood(likert, random, link):
    data = read_formula(likert, f"noise ~ arm + {random}", levels=LEVELS)
    model = Laplace(data, link)
    rng = np.random.default_rng(4)
    p = np.concatenate(
        [[-0.6, 0.4, 1.1, 2.0, 1.3, 1.6], rng.normal(-0.5, 0.2, model.n_parameters - 6)]
    )
    gradient = model.value_and_gradient(p)[1]
    for k in range(p.size):
        ahead, behind = p.copy(), p.copy()
        ahead[k] += 1e-4
        behind[k] -= 1e-4
        slope = (model.value_and_gradient(ahead)[0] - model.value_and_gradient(behind)[0]) / 2e-4
        assert gradient[k] == pytest.approx(slope, abs=2e-4)


def test_random_slopes_and_other_links_equal_r(likert):
    # R: logLik(clmm(factor(noise) ~ arm + (arm | reader))), (1 | reader) + (1 | reader:arm)
    slopes = clmm(likert, "noise ~ arm + (arm|reader)", levels=LEVELS)
    assert slopes.loglik == pytest.approx(-921.5626313, abs=1e-3)
    assert np.diag(slopes.variances["reader.Intercept+arm[denoised]+arm[full]"]) == pytest.approx(
        [0.9863, 0.10757, 0.02149], rel=0.05
    )
    nested = clmm(likert, "noise ~ arm + (1|reader/arm)", levels=LEVELS)
    assert nested.loglik == pytest.approx(-922.7526711, abs=1e-4)
    assert nested.variances["reader:arm"] == pytest.approx(0.00555, rel=0.02)
    # R: clm(factor(noise) ~ arm, link = "cloglog")
    other = clm(likert, "noise ~ arm", link="cloglog", levels=LEVELS)
    assert other.loglik == pytest.approx(-1003.33082592, abs=1e-6)
    assert other.coefficients["estimate"].tolist() == pytest.approx(
        [1.244262430934, 1.599572049843], rel=1e-6
    )


@pytest.mark.parametrize(
    ("kind", "first", "loglik", "mixed"),
    [
        ("symmetric", [0.686806524177, 1.857106916481, 1.200799473112], -982.337428155, -922.79337),
        ("equidistant", [-0.511170798234, 1.189975578289], -982.369374443, -922.85861),
    ],
)
def test_structured_thresholds_equal_r(likert, kind, first, loglik, mixed):
    # R: clm(factor(noise) ~ arm, threshold = kind); clmm(... + (1 | reader), threshold = kind)
    fit = clm(likert, "noise ~ arm", levels=LEVELS, thresholds=kind)
    assert fit.thresholds["estimate"].tolist() == pytest.approx(first, rel=1e-6)
    assert fit.loglik == pytest.approx(loglik, abs=1e-7)
    crossed = clmm(likert, "noise ~ arm + (1|reader)", levels=LEVELS, thresholds=kind)
    assert crossed.loglik == pytest.approx(mixed, abs=1e-4)


def test_proportional_odds_check_equals_rs_nominal_test(likert):
    # R: nominal_test(clm(factor(noise) ~ arm + reader))
    table = proportional_odds_check(likert, "noise ~ arm + reader + (1|case)", levels=LEVELS)
    assert table["chi2"].tolist() == pytest.approx([5.8852972, 11.6929016], abs=1e-5)
    assert table["p"].tolist() == pytest.approx([0.43616, 0.70211], abs=1e-4)


def test_profile_intervals_equal_r_and_follow_the_likelihood(likert, expected):
    fit = clm(likert, "noise ~ arm", levels=LEVELS)
    want = expected["likert"]["clm_logit_profile_ci_noise"]["value"]["values"]
    got = [profile_interval(fit, name) for name in ("arm[denoised]", "arm[full]")]
    np.testing.assert_allclose(got, want, atol=5e-5)  # R interpolates the profile
    mixed = clmm(likert, "noise ~ arm + (1|reader)", levels=LEVELS)
    low, high = profile_interval(mixed, "reader")
    assert 0.1 < low < mixed.variances["reader"] < high


def test_predicted_chances_add_up_and_marginal_ones_are_flatter(likert):
    fit = clmm(likert, "noise ~ arm + (1|reader) + (1|case)", levels=LEVELS)
    rows = pd.DataFrame({"arm": ["ultra_low", "full"]})
    typical = predict(fit, rows, marginal=False)[["p1", "p2", "p3", "p4", "p5"]].to_numpy()
    averaged = predict(fit, rows)[["p1", "p2", "p3", "p4", "p5"]].to_numpy()
    assert typical.sum(axis=1) == pytest.approx([1, 1])
    assert averaged.sum(axis=1) == pytest.approx([1, 1])
    # Readers and cases spread ratings outwards.
    assert averaged[:, 1:4].max() < typical[:, 1:4].max()
    observed = likert[likert["arm"] == "full"]["noise"].value_counts(normalize=True)
    assert averaged[1] == pytest.approx(observed.sort_index().to_numpy(), abs=0.06)


def study(rating, arm, reader):
    return pd.DataFrame({"rating": rating, "arm": arm, "reader": reader})


def test_separation_is_told_not_hidden():
    table = study([1] * 10 + [2] * 10, ["a"] * 10 + ["b"] * 10, list(range(5)) * 4)
    for fit in (clm(table, "rating ~ arm"), clmm(table, "rating ~ arm + (1|reader)")):
        assert not fit.converged
        assert "separates the ratings" in fit.note


def test_a_variance_of_zero_is_reported_as_zero_with_the_model_without_it():
    # Every reader gives the same ratings: less spread between readers than chance would make.
    table = study(
        [1, 2, 3, 2, 3, 3] * 6, ["a", "a", "a", "b", "b", "b"] * 6, np.repeat(range(6), 6)
    )
    fit, plain = clmm(table, "rating ~ arm + (1|reader)"), clm(table, "rating ~ arm")
    assert fit.variances["reader"] == 0.0
    assert "estimated as 0" in fit.note
    assert fit.converged
    assert fit.loglik == pytest.approx(plain.loglik, abs=1e-6)
    assert fit.coefficients["se"][0] == pytest.approx(plain.coefficients["se"][0], rel=1e-3)


def test_one_category_and_bad_formulas_are_refused():
    table = study([3, 3, 3, 3], list("abab"), [1, 1, 2, 2])
    with pytest.raises(ValueError, match="every rating is 3"):
        clmm(table, "rating ~ arm + (1|reader)")
    with pytest.raises(ValueError, match="missing: case"):
        clmm(table, "rating ~ arm + (1|case)")
    with pytest.raises(ValueError, match=r"needs at least 2 groups, got 1"):
        clmm(study([1, 2], list("ab"), [1, 1]), "rating ~ arm + (1|reader)")
    with pytest.raises(ValueError, match="expected one scalar"):
        clmm(
            study([1, 2, 3, 1], list("abab"), [1, 1, 2, 2]).assign(case=[1, 2, 1, 2]),
            "rating ~ arm + (1|reader) + (1|case)",
            quadrature=5,
        )
    with pytest.raises(ValueError, match=r"'bad'\) in row 3 "):
        clm(study([1, "bad", 2, 2], list("abab"), 1), "rating ~ arm")


@pytest.mark.parametrize("sd_reader", [0.8, 0.0])
def test_a_search_that_starts_near_ends_where_one_from_afar_does(sd_reader):
    """Also where the neighbour held a variance at zero."""
    rng = np.random.default_rng(3)
    reader, case, arm = np.indices((6, 30, 2)).reshape(3, -1)
    level = sd_reader * rng.normal(size=6)[reader] + 0.7 * rng.normal(size=30)[case] + 0.8 * arm
    level = level + rng.logistic(size=reader.size)
    table = pd.DataFrame({"reader": reader, "case": case, "arm": np.array(["a", "b"])[arm]})
    table["rating"] = 1 + (level[:, None] > [-1.5, 0, 1.5]).sum(axis=1)
    formula = "rating ~ arm + (1|reader) + (1|case)"
    whole = clmm(table, formula)
    part = table[table["reader"] != 0]
    afar, near = clmm(part, formula), clmm(part, formula, near=whole)
    assert near.loglik == pytest.approx(afar.loglik, abs=1e-7)
    wanted = afar.estimates[["estimate", "se"]].to_numpy()
    assert near.estimates[["estimate", "se"]].to_numpy() == pytest.approx(wanted, abs=1e-4)
    assert near.note == afar.note


@pytest.mark.parametrize("fixed", ["arm +* noise", "arm(", "foo(arm)", "arm ~~", "1arm"])
def test_formulas_that_patsy_cannot_read_are_one_sentence(oracle, fixed):
    with pytest.raises(ValueError, match="expected") as refused:
        clm(oracle("likert"), f"noise ~ {fixed}")
    assert "\n" not in str(refused.value)

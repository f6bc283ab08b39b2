"""Single curves against pROC and hand-worked values."""

import json
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from reader_study.stats.roc.auc_covariance import auc_covariance, clustered_auc_covariance
from reader_study.stats.roc.binormal import fit_binormal
from reader_study.stats.roc.contaminated import fit_contaminated
from reader_study.stats.roc.curve import (
    delong_test,
    empirical_auc,
    partial_auc,
    roc_curve,
    youden_point,
)
from reader_study.stats.roc.mrmc import expected_utility, figure_named, mrmc
from reader_study.stats.roc.proper import Proper, fit_proper, proper_area

FOLDER = Path(__file__).parents[2] / "data" / "oracles"


@pytest.fixture(scope="module")
def curves(oracle):
    return oracle("two_roc")


def test_paired_delong_equals_proc(curves, expected):
    answer = expected["two_roc"]["delong_paired"]["value"]
    ours = delong_test(curves["truth"], curves["score_a"], curves["score_b"])
    got = [ours.auc_first, ours.auc_second, ours.z, ours.p, ours.low, ours.high]
    want = [answer["auc_a"], answer["auc_b"], answer["Z"], answer["p"], *answer["ci95_difference"]]
    assert got == pytest.approx(want, rel=1e-8)


def test_parts_of_the_area_equal_proc(curves, expected):
    answers = expected["two_roc"]
    parts = [partial_auc(curves["truth"], curves[s], low=0.8) for s in ("score_a", "score_b")]
    want = answers["partial_auc_spec_0.8_1"]["value"]
    assert parts == pytest.approx([want["a"], want["b"]], rel=1e-8)


def test_partial_areas_of_every_reader_equal_proc(oracle, expected):
    table = oracle("mrmc_balanced")
    for (reader, arm), part in table.groupby(["reader", "arm"]):
        for focus, low, name in [("sensitivity", 0.8, "sens"), ("specificity", 0.7, "spec")]:
            want = expected["mrmc_balanced"][f"partial_auc_proc_{name}"]["value"][f"{reader}.{arm}"]
            got = partial_auc(part["truth"], part["rating"], focus=focus, low=low)
            assert got == pytest.approx(want, rel=1e-8)
        assert partial_auc(part["truth"], part["rating"], low=0.0) == pytest.approx(
            empirical_auc(part["truth"], part["rating"])
        )


def test_youden_point_equals_proc(curves, expected):
    want = expected["two_roc"]["best_threshold_youden_a"]["value"]
    point = youden_point(curves["truth"], curves["score_a"])
    assert point["sensitivity"] == pytest.approx(want["sensitivity"])
    assert point["specificity"] == pytest.approx(want["specificity"])
    # pROC prints sensitivity + specificity as "youden".
    assert point["youden"] + 1 == pytest.approx(want["youden"])


def test_curve_runs_from_corner_to_corner_and_rises(curves):
    curve = roc_curve(curves["truth"], curves["score_b"])
    assert curve.iloc[0][["sensitivity", "specificity"]].tolist() == [0, 1]
    assert curve.iloc[-1][["sensitivity", "specificity"]].tolist() == [1, 0]
    assert (curve["sensitivity"].diff().dropna() >= 0).all()


def test_patients_with_one_region_give_delongs_covariance(curves):
    scores = curves[["score_a", "score_b"]].to_numpy().T
    truth = curves["truth"].to_numpy()
    _, plain = auc_covariance(scores[:, truth == 1], scores[:, truth == 0])
    _, one_each = clustered_auc_covariance(scores, truth, np.arange(truth.size))
    assert one_each == pytest.approx(plain, rel=1e-12)


def test_copies_of_each_region_do_not_add_information(curves):
    scores = curves[["score_a"]].to_numpy().T
    truth = curves["truth"].to_numpy()
    _, once = clustered_auc_covariance(scores, truth, np.arange(truth.size))
    _, thrice = clustered_auc_covariance(
        np.tile(scores, 3), np.tile(truth, 3), np.tile(np.arange(truth.size), 3)
    )
    assert thrice == pytest.approx(once, rel=1e-12)


def test_binormal_area_recovers_a_known_curve():
    rng = np.random.default_rng(8)
    truth = np.repeat([0, 1], 4000)
    scores = np.where(truth == 1, rng.normal(1.0, 1.5, 8000), rng.normal(0, 1, 8000))
    fitted = fit_binormal(truth, np.exp(scores))  # any rising scale
    assert fitted.b == pytest.approx(1 / 1.5, abs=0.05)
    assert fitted.auc == pytest.approx(0.7105, abs=0.012)  # Phi(1 / sqrt(1 + 1.5**2))


@pytest.mark.parametrize("scores", [[1, 1, 1, 1], [1, 1, 2, 2]])
def test_binormal_refuses_one_category_and_perfect_separation(scores):
    with pytest.raises(ValueError, match="report the empirical area"):
        fit_binormal([0, 0, 1, 1], scores)


def test_one_kind_of_case_is_refused():
    with pytest.raises(ValueError, match="2 with and 0 without"):
        empirical_auc([1, 1], [1, 2])


@pytest.mark.parametrize(
    ("reader", "mu", "alpha", "auc"),
    [("R3", 1.46550, 0.65127, 0.72792), ("R4", 1.85882, 0.84021, 0.84083)],
)
def test_contaminated_curves_equal_rjafroc(oracle, reader, mu, alpha, auc):
    table = oracle("mrmc_balanced").query("arm == 'full' and reader == @reader")
    got = fit_contaminated(table["truth"], table["rating"])
    assert [got.mu, got.alpha, got.auc] == pytest.approx([mu, alpha, auc], abs=1e-4)
    assert got.converged


def test_expected_utility_is_mrmcaovs_and_youdens_at_slope_one(oracle):
    table = oracle("mrmc_balanced").query("arm == 'full' and reader == 'R3'")
    truth, scores = table["truth"].to_numpy(), table["rating"].to_numpy()
    assert expected_utility(1.03)(truth, scores) == pytest.approx(0.37375)
    point = youden_point(truth, scores)
    youden = point["sensitivity"] + point["specificity"] - 1
    assert expected_utility(1.0)(truth, scores) == pytest.approx(youden)
    assert figure_named("utility:1.03")(truth, scores) == pytest.approx(0.37375)


def test_refusals_of_the_binormal_curve_name_reader_and_arm(oracle):
    table = oracle("mrmc_balanced")
    own = (table["reader"] == "R2") & (table["arm"] == "denoised")
    perfect = table.assign(rating=table["rating"].where(~own, 1 + 4 * table["truth"]))
    with pytest.raises(ValueError, match=r"reader R2, arm denoised: .*proper or the conta"):
        mrmc(perfect, figure=figure_named("binormal"))


@pytest.fixture(scope="module")
def models():
    """MRMCaov's likelihood-ratio fits, and an independent maximum likelihood of ours."""
    folder = FOLDER / "extended"
    names = ("roc_models_R.json", "roc_models_python.json")
    return [json.loads((folder / name).read_text("utf-8"))["entries"] for name in names]


@pytest.mark.parametrize("arm", ["full", "denoised"])
@pytest.mark.parametrize("reader", ["R1", "R2", "R3", "R5"])
def test_proper_curves_equal_mrmcaov_and_an_independent_fit(oracle, models, arm, reader):
    table = oracle("mrmc_balanced").query("arm == @arm and reader == @reader")
    found = fit_proper(table["truth"], table["rating"])
    theirs = models[0][f"balanced/{arm}/{reader}"]["binormalLR_auc"]
    own = models[1][f"{arm}/{reader}"]["proper"]
    assert found.converged
    assert found.auc == pytest.approx(theirs, abs=2e-6)
    assert [found.auc, found.loglik, found.c] == pytest.approx(
        [own["auc"], own["loglik"], own["c"]], abs=2e-5
    )
    # Near d_a = 0 the likelihood is flat: another search stops elsewhere on it.
    assert found.d_a == pytest.approx(own["d_a"], abs=1e-4 if own["d_a"] > 0.1 else 0.02)


def test_the_proper_area_is_the_integral_of_its_curve():
    a, b = 0.4, 0.5
    z = np.linspace(-30, 30, 400_001)
    density = stats.norm.pdf(z), b * stats.norm.pdf(b * z - a)
    order = np.argsort(density[0] / density[1])  # likeliest with the finding first
    false, found = (np.cumsum(part[order]) * (z[1] - z[0]) for part in density)
    d_a, c = a * np.sqrt(2 / (1 + b**2)), (b - 1) / (b + 1)
    assert proper_area(d_a, c) == pytest.approx(np.trapezoid(found, false), abs=1e-5)


def test_a_curve_turned_about_the_other_diagonal_has_the_same_proper_fit():
    """Classes exchanged and the scale reversed: b becomes 1/b, the area stays."""
    truth = np.repeat([0, 1], [50, 50])
    scores = np.repeat([1, 2, 3, 4, 1, 2, 3, 4], [25, 12, 8, 5, 12, 5, 8, 25])
    once, turned = fit_proper(truth, scores), fit_proper(1 - truth, -scores)
    assert turned.auc == pytest.approx(once.auc, abs=1e-6)
    assert turned.b == pytest.approx(1 / once.b, rel=1e-3)


def test_perfect_separation_has_a_proper_area_of_one(oracle):
    table = oracle("mrmc_balanced")
    own = (table["reader"] == "R2") & (table["arm"] == "denoised")
    perfect = table.assign(rating=table["rating"].where(~own, 1 + 4 * table["truth"]))
    result = mrmc(perfect[perfect["reader"].isin(["R2", "R4"])], figure=figure_named("proper"))
    assert result.figures.loc["R2", "denoised"] == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("figure", ["binormal", "proper", "contaminated"])
def test_leaving_out_from_counts_is_leaving_out_and_fitting_anew(oracle, figure):
    table = oracle("mrmc_balanced").query("arm == 'full' and reader == 'R3'").iloc[::2]
    truth, scores = table["truth"].to_numpy(), table["rating"].to_numpy(float)
    area, units = figure_named(figure), np.arange(truth.size)
    whole, left_out = area.leave_out(truth, scores, units)
    anew = [area(np.delete(truth, k), np.delete(scores, k)) for k in units]
    assert whole == pytest.approx(area(truth, scores))
    assert left_out == pytest.approx(np.array(anew), abs=2e-5)


@pytest.mark.parametrize("slope", [0.4, 1.03, 2.5])
@pytest.mark.parametrize("arm", ["full", "denoised"])
def test_the_utility_of_a_fitted_curve_is_its_highest_point(oracle, arm, slope):
    """Proper and contaminated: the integral of f1 - slope f0 where positive; binormal: a search."""
    table = oracle("mrmc_balanced").query("arm == @arm and reader == 'R1'")
    truth, rating = table["truth"].to_numpy(), table["rating"].to_numpy()
    z = np.linspace(-12, 12, 200_001)
    without, step = stats.norm.pdf(z), z[1] - z[0]
    proper = fit_proper(truth, rating)
    with_finding = proper.b * stats.norm.pdf(proper.b * z - proper.a)
    best = np.sum(np.maximum(with_finding - slope * without, 0)) * step
    assert proper.utility(slope) == pytest.approx(best, abs=1e-6)
    mixed = fit_contaminated(truth, rating)
    seen = (1 - mixed.alpha) * without + mixed.alpha * stats.norm.pdf(z - mixed.mu)
    best = np.sum(np.maximum(seen - slope * without, 0)) * step
    assert mixed.utility(slope) == pytest.approx(best, abs=1e-6)
    plain = fit_binormal(truth, rating)
    points = stats.norm.cdf(plain.a - plain.b * z) - slope * stats.norm.cdf(-z)
    assert plain.utility(slope) == pytest.approx(max(points.max(), 0, 1 - slope), abs=1e-7)
    named = figure_named(f"utility:{slope}:proper")
    assert named(truth, rating) == pytest.approx(proper.utility(slope), abs=1e-9)


@pytest.mark.parametrize(("a", "b"), [(0.6, 1.8), (0.6, 0.5), (0.7, 1.0), (0.0, 0.5)])
@pytest.mark.parametrize("slope", [0.2, 1.0, 3.0])
def test_utilities_at_any_ratio_of_variances(a, b, slope):
    z = np.linspace(-40, 40, 400_001)
    without, with_finding = stats.norm.pdf(z), b * stats.norm.pdf(b * z - a)
    best = np.sum(np.maximum(with_finding - slope * without, 0)) * (z[1] - z[0])
    curve = Proper(a, b, 0.0, 0.0, 0.5, True, 0.0, np.zeros(2))
    assert curve.utility(slope) == pytest.approx(best, abs=1e-6)


def test_a_slope_is_above_zero_and_the_curve_is_one_of_three():
    for text in ("utility:0", "utility:-1:proper", "utility:1:cubic", "utility"):
        with pytest.raises(ValueError, match="expected a figure of auc"):
            figure_named(text)

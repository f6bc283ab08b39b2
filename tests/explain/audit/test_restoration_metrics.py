"""Tests of maps, each with planted truth; and the values that Quantus gives for the same maps."""

import json
from pathlib import Path

import numpy as np
import pytest

from ctlab.explain.audit import restoration_metrics as metrics
from ctlab.explain.audit.audit_map import diffusion_index

ORACLE = json.loads((Path(__file__).parents[2] / "data" / "oracles" / "quantus.json").read_text())
Y, X = np.mgrid[:12, :12]
MAP = np.sin(0.7 * Y) * np.cos(0.9 * X) + 0.001 * (Y * 12 + X)
IMAGE = 100 * np.cos(0.3 * Y + 0.5 * X)
LESION = np.hypot(Y - 5, X - 6) <= 3
PERTURBATIONS = [5 * np.sin(0.4 * k + 0.2 * Y * X) for k in range(1, 4)]


@pytest.fixture
def weights(rng):
    """Of a linear number: the truth that its map has to tell."""
    return rng.normal(0, 1, IMAGE.shape)


@pytest.fixture
def score(weights):
    return lambda images: np.tensordot(images, weights, 2) + 3.0


def test_numbers_of_quantus_for_the_same_map():
    assert metrics.relevance_rank(MAP, LESION) == pytest.approx(ORACLE["relevance_rank"])
    assert metrics.relevance_mass(MAP, LESION) == pytest.approx(ORACLE["relevance_mass"])
    assert metrics.map_entropy(MAP) == pytest.approx(ORACLE["map_entropy"])
    found = metrics.max_sensitivity(lambda i: MAP * np.tanh(i / 50), IMAGE, PERTURBATIONS)
    assert found == pytest.approx(ORACLE["max_sensitivity"])
    assert diffusion_index(MAP) == pytest.approx(100 * (1 - ORACLE["sparseness"]))


def test_infidelity_is_0_for_the_weights_and_1_for_an_empty_map(score, weights, rng):
    noisy = IMAGE + rng.normal(0, 10, (64, *IMAGE.shape))
    assert metrics.infidelity(score, IMAGE, weights, noisy) == pytest.approx(0, abs=1e-20)
    assert metrics.infidelity(score, IMAGE, 0 * weights, noisy) == pytest.approx(1)
    assert metrics.infidelity(score, IMAGE, -weights, noisy) == pytest.approx(4)
    with pytest.raises(ValueError, match="got a constant"):
        metrics.infidelity(lambda images: np.zeros(len(images)), IMAGE, weights, noisy)


def test_infidelity_of_quantus_for_a_curved_number():
    """Quantus leaves the mean square error undivided: the test divides by the same changes."""

    def curved(images):
        return np.tanh(images / 80).mean((1, 2)) * 100

    perturbed = IMAGE + np.stack(PERTURBATIONS)
    change = curved(IMAGE[None])[0] - curved(perturbed)
    found = metrics.infidelity(curved, IMAGE, MAP, perturbed) * np.mean(change**2)
    assert found == pytest.approx(ORACLE["infidelity"], rel=1e-5)


def test_sensitivity_n_is_1_where_the_map_adds_up(score, weights, rng):
    baseline = IMAGE - 50
    for pixels in (1, 10, 100):
        how = {"pixels": pixels, "rng": rng}
        told = weights * (IMAGE - baseline)
        assert metrics.sensitivity_n(score, IMAGE, told, baseline, **how) == pytest.approx(1)
        assert metrics.sensitivity_n(score, IMAGE, -told, baseline, **how) == pytest.approx(-1)
    chance = metrics.sensitivity_n(
        score,
        IMAGE,
        rng.permutation(told.ravel()).reshape(told.shape),
        baseline,
        pixels=20,
        draws=400,
        rng=rng,
    )
    assert abs(chance) < 0.4


def test_a_map_that_does_not_move_is_insensitive(weights):
    assert metrics.max_sensitivity(lambda _: weights, IMAGE, PERTURBATIONS) == 0
    twice = metrics.max_sensitivity(lambda i: i, IMAGE, [IMAGE])  # twice the image: twice the map
    assert twice == pytest.approx(1)


def test_a_gradient_keeps_still_under_a_shift_and_gradient_times_input_does_not(weights):
    assert metrics.shift_invariance(lambda _: weights, IMAGE) == pytest.approx(1)
    found = metrics.shift_invariance(lambda i: weights * i, IMAGE, shift_hu=500.0)
    assert found < 0.9


def test_a_map_that_ignores_its_region_is_found(weights, rng):
    others = [lambda _, k=k: np.roll(weights, 3 * k, 1) for k in (1, 2, 3)]
    assert metrics.random_target(lambda _: weights, others, IMAGE) < 0.3
    same = [lambda i: i] * 3
    assert metrics.random_target(lambda i: i, same, IMAGE) == pytest.approx(1)


def test_relevance_in_a_planted_lesion():
    planted = LESION * 5.0
    assert metrics.relevance_mass(planted, LESION) == 1
    assert metrics.relevance_rank(planted + 0.1, LESION) == 1
    assert metrics.relevance_mass(-planted, LESION) == 0
    assert metrics.relevance_mass(np.ones(IMAGE.shape), LESION) == pytest.approx(LESION.mean())


def test_smoothgrad_averages_shattered_gradients_away(rng):
    """A quadratic's gradient plus a term that flips with the last digit: only the first stays."""

    def shattered(image):
        return image / 100 + np.sign(np.sin(image * 1e4))

    smooth = metrics.smooth_grad(shattered, IMAGE, sd_hu=5.0, draws=200, rng=rng)
    assert np.abs(smooth - IMAGE / 100).mean() < 0.1
    assert np.abs(shattered(IMAGE) - IMAGE / 100).mean() > 0.9


def test_randomisation_is_passed_by_what_was_learnt_and_failed_by_an_edge_detector(weights, rng):
    def learnt(image):
        return LESION * image

    def edges(image):
        return np.abs(np.gradient(image)[0])

    drawn = [rng.normal(0, 1, IMAGE.shape) for _ in range(3)]
    random = [lambda i, w=w: w * i for w in drawn]
    assert abs(metrics.smooth_randomisation(learnt, random, IMAGE, rng=rng)) < 0.35
    assert metrics.smooth_randomisation(edges, [edges] * 3, IMAGE, rng=rng) == pytest.approx(1)
    assert metrics.efficient_randomisation(learnt, random[0], IMAGE) > 0.1
    assert metrics.efficient_randomisation(edges, edges, IMAGE) == 0


def test_a_suite_finds_what_was_planted_in_a_map(weights, score, rng):
    """True weights, a map that ignores its region and its network, and an empty one."""
    mask = np.hypot(Y - 5, X - 6) <= 1.5
    shuffled = [lambda image, w=rng.permuted(weights): w for _ in range(2)]
    elsewhere = [lambda image: rng.permuted(weights)] * 2
    case = metrics.MapUnderTest(
        score,
        lambda image: weights,
        IMAGE,
        mask,
        elsewhere,
        lambda image: weights,
        shuffled,
        is_weights=True,
    )
    good = metrics.assess_map(case)
    assert good["infidelity"] == pytest.approx(0, abs=1e-9)
    assert good["sensitivity-n"] == pytest.approx(1)
    assert good["shift invariance"] == pytest.approx(1)
    assert good["other regions"] < 0.3 > abs(good["smooth randomisation"])
    edges = lambda image: np.abs(np.gradient(image)[0])  # noqa: E731  (one line says it)
    bad = metrics.assess_map(
        metrics.MapUnderTest(score, edges, IMAGE, mask, [edges], edges, [edges], is_weights=True)
    )
    assert bad["infidelity"] > 0.5
    assert (bad["other regions"], bad["smooth randomisation"]) == pytest.approx((1, 1))
    assert bad["efficient randomisation"] == 0
    assert set(good) == set(metrics.MEANING)


def test_other_places_are_the_region_moved_whole():
    mask = np.hypot(Y - 1, X - 6) <= 1.5
    places = metrics.other_places(mask)
    assert len(places) == 3  # none above: it would be cut off
    assert all(p.sum() == mask.sum() and not (p & mask).any() for p in places)

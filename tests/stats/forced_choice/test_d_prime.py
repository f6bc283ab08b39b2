"""Published integrals and closed forms of forced choice; staircases settle where they should."""

import numpy as np
import pytest
from scipy import stats

from reader_study.stats.forced_choice.d_prime import (
    d_prime_estimate,
    d_prime_of,
    efficiency,
    place_bias,
    share_correct,
    slope_of_share,
)
from reader_study.stats.forced_choice.internal_noise import agreement_of_passes, internal_noise
from reader_study.stats.forced_choice.staircase import Staircase


@pytest.mark.parametrize(
    ("d", "places", "share"),
    [
        *[(1, 2, 0.76025), (2, 2, 0.92135), (1, 4, 0.55203), (2, 4, 0.82279), (2, 6, 0.75845)],
        *[(2, 8, 0.71100), (3, 8, 0.91770), (2, 30, 0.493), (3, 100, 0.678)],
    ],
)
def test_share_correct_is_the_tabled_integral(d, places, share):
    digits = 5e-6 if places < 10 else 5e-4
    assert float(share_correct(d, places)) == pytest.approx(share, abs=digits)


@pytest.mark.parametrize(
    ("places", "d", "slope"),
    [(2, 0.9539, 0.2247), (4, 1.6822, 0.2521), (6, 1.9674, 0.2614), (8, 2.1407, 0.2666)],
)
def test_d_prime_at_three_quarters_right_and_its_slope(places, d, slope):
    assert d_prime_of(0.75, places) == pytest.approx(d, abs=1e-4)
    assert slope_of_share(d_prime_of(0.75, places), places) == pytest.approx(slope, abs=1e-4)


def test_two_places_are_the_area_under_the_roc_curve_and_chance_is_no_d_prime():
    d = np.linspace(0, 4, 9)
    assert share_correct(d, 2) == pytest.approx(stats.norm.cdf(d / np.sqrt(2)), abs=1e-8)
    for places in (2, 4, 6, 8):
        assert d_prime_of(1 / places, places) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(("places", "n", "se"), [(2, 160, 0.205), (4, 160, 0.147), (4, 640, 0.074)])
def test_standard_error_of_d_prime(places, n, se):
    right = float(share_correct(2.0, places)) * n
    assert d_prime_estimate(right, n, places).se == pytest.approx(se, abs=6e-4)


def test_all_right_has_a_lower_limit_alone_and_fewer_than_chance_a_negative_d_prime():
    sure = d_prime_estimate(20, 20, 4)
    assert sure.d_prime == np.inf
    assert sure.high == np.inf
    assert 1.5 < sure.low < 2.5
    assert np.isnan(sure.se)
    assert d_prime_estimate(2, 20, 4).d_prime < 0
    with pytest.raises(ValueError, match="right <= n"):
        d_prime_estimate(21, 20, 4)
    with pytest.raises(ValueError, match="two places"):
        share_correct(1.0, 1)


def test_limits_hold_the_truth_in_about_95_of_100_experiments():
    rng = np.random.default_rng(5)
    truth = 1.5
    right = rng.binomial(100, float(share_correct(truth, 4)), 400)
    found = [d_prime_estimate(r, 100, 4) for r in right]
    held = np.mean([f.low <= truth <= f.high for f in found])
    assert 0.92 <= held <= 0.98


def test_a_reader_who_likes_one_place_is_found():
    assert place_bias([1] * 30 + [2, 3, 4] * 10, 4)[1] < 0.001
    with pytest.raises(ValueError, match="1 to 4"):
        place_bias([5], 4)


def test_efficiency_squares_the_ratio():
    human = d_prime_estimate(float(share_correct(1.0, 4)) * 1000, 1000, 4)
    found, low, high = efficiency(human, 2.0)
    assert found == pytest.approx(0.25)
    assert low < found < high
    with pytest.raises(ValueError, match="above 0"):
        efficiency(human, 0.0)


@pytest.mark.parametrize(
    ("share", "ratio", "agreement"),
    [
        *[(0.75, 0.5, 0.838), (0.75, 0.75, 0.781), (0.75, 1, 0.741), (0.75, 1.5, 0.692)],
        *[(0.8, 1, 0.774), (0.9, 0.5, 0.912), (0.9, 1.5, 0.844)],
    ],
)
def test_agreement_of_two_passes_tells_the_readers_own_noise(share, ratio, agreement):
    assert agreement_of_passes(share, ratio) == pytest.approx(agreement, abs=6e-4)
    assert internal_noise(share, agreement_of_passes(share, ratio)) == pytest.approx(
        ratio, rel=1e-3
    )


def test_own_noise_at_its_ends():
    assert internal_noise(0.8, 1.0) == 0
    assert internal_noise(0.8, 0.8**2 + 0.2**2) == np.inf
    with pytest.raises(ValueError, match="between half and all"):
        internal_noise(0.4, 0.9)


@pytest.mark.parametrize(("down", "target"), [(2, 0.7071), (3, 0.7937)])
def test_a_staircase_settles_at_its_share(down, target):
    rng, thresholds = np.random.default_rng(down), []
    for _ in range(40):
        stairs = Staircase(40.0, factor=10**0.08, down=down)
        for _ in range(150):
            stairs.answer(bool(rng.random() < share_correct(stairs.contrast / 10, 4)))
        thresholds.append(stairs.threshold())
    assert stairs.target_share == pytest.approx(target, abs=1e-4)
    at = float(share_correct(np.exp(np.mean(np.log(thresholds))) / 10, 4))
    assert at == pytest.approx(target, abs=0.03)


def test_a_staircase_stays_between_its_ends_and_refuses_nonsense():
    stairs = Staircase(10.0, factor=2.0, down=1, lowest=4.0, highest=12.0)
    for right in (False, False, True, True, True):
        stairs.answer(right)
    assert stairs.contrast == 4.0
    assert np.isnan(Staircase(10.0).threshold())
    with pytest.raises(ValueError, match="factor above 1"):
        Staircase(10.0, factor=1.0)

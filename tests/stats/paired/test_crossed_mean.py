"""Reader-and-case variance: ANOVA in balanced data, honest size by simulation."""

import numpy as np
import pytest

from reader_study.stats.paired.crossed_mean import crossed_mean


def grid(n_readers, n_cases):
    return np.repeat(np.arange(n_readers), n_cases), np.tile(np.arange(n_cases), n_readers)


def test_components_equal_the_two_way_anova():
    rng = np.random.default_rng(5)
    y = rng.normal(size=(4, 9)) + rng.normal(size=(4, 1)) * 2 + rng.normal(size=(1, 9)) * 2
    readers, cases = grid(4, 9)
    ms_reader = 9 * np.var(y.mean(1), ddof=1)
    ms_case = 4 * np.var(y.mean(0), ddof=1)
    rest = y - y.mean(1, keepdims=True) - y.mean(0, keepdims=True) + y.mean()
    ms_rest = np.sum(rest**2) / (3 * 8)
    result = crossed_mean(y.ravel(), readers, cases)
    assert result.var_reader == pytest.approx((ms_reader - ms_rest) / 9)
    assert result.var_case == pytest.approx((ms_case - ms_rest) / 4)
    assert result.var_rest == pytest.approx(ms_rest)
    assert result.se**2 == pytest.approx((ms_reader + ms_case - ms_rest) / 36)
    df = (ms_reader + ms_case - ms_rest) ** 2 / (ms_reader**2 / 3 + (ms_case - ms_rest) ** 2 / 8)
    assert result.df == pytest.approx(df)


def test_interval_covers_although_readings_are_missing():
    rng = np.random.default_rng(11)
    readers, cases = grid(6, 30)
    hits, runs = 0, 400
    for _ in range(runs):
        y = rng.normal(size=6)[readers] + rng.normal(size=30)[cases] + rng.normal(size=180)
        keep = rng.random(180) < 0.8
        result = crossed_mean(y[keep], readers[keep], cases[keep])
        hits += result.low <= 0 <= result.high
    assert 0.91 < hits / runs < 0.985  # 3.5 Monte-Carlo errors about 0.95, a little conservative


def test_with_fewer_than_four_readers_the_reader_term_has_a_floor():
    # Readers agree better than chance: MS(reader) is 0, MS(rest) is not.
    y = np.array([[1.0, 2.0, 3.0, 4.0], [4.0, 3.0, 2.0, 1.0]])
    two = crossed_mean(y.ravel(), *grid(2, 4))
    four = crossed_mean(np.vstack([y, y]).ravel(), *grid(4, 4))
    assert two.se > 0
    assert four.se == pytest.approx(0.0, abs=1e-12)


def test_one_reader_speaks_for_himself_only():
    result = crossed_mean([1.0, 2.0, 3.0], ["R", "R", "R"], [1, 2, 3])
    assert result.se == pytest.approx(1 / np.sqrt(3))
    assert result.scope == "cases, this reader only"
    assert np.isnan(crossed_mean([1.0], ["R"], [1]).se)


def test_a_reader_who_meets_a_case_twice_is_refused():
    with pytest.raises(ValueError, match="got 1 twice"):
        crossed_mean([1, 2], ["R", "R"], ["c", "c"])


def test_copies_of_a_patients_case_change_nothing_when_patients_are_the_units():
    rng = np.random.default_rng(3)
    readers, cases = grid(4, 9)
    y = rng.normal(size=36) + rng.normal(size=9)[cases]
    once = crossed_mean(y, readers, cases)
    y3, readers3, patients = np.tile(y, 3), np.tile(readers, 3), np.tile(cases, 3)
    cases3 = patients + np.repeat([0, 9, 18], 36)
    thrice = crossed_mean(y3, readers3, cases3, clusters=patients)
    assert [thrice.mean, thrice.se, thrice.df] == pytest.approx([once.mean, once.se, once.df])
    assert (thrice.n, thrice.n_cases) == (108, 9)
    naive = crossed_mean(y3, readers3, cases3)
    assert naive.se < once.se


def test_one_reader_with_patients_gets_the_cluster_robust_error():
    y, patient = np.array([1.0, 2.0, 6.0, 3.0, 5.0]), np.array([1, 1, 2, 3, 3])
    sums = np.bincount(patient, y - y.mean())[1:]
    got = crossed_mean(y, ["R"] * 5, range(5), clusters=patient)
    assert got.se == pytest.approx(np.sqrt(1.5 * np.sum(sums**2)) / 5)
    assert got.df == 2


def test_interval_covers_when_patients_give_unequal_numbers_of_cases():
    rng = np.random.default_rng(12)
    patient = np.repeat(np.arange(25), rng.integers(1, 5, 25))
    readers, cases = grid(5, patient.size)
    hits, narrow, runs = 0, 0, 300
    for _ in range(runs):
        y = 0.5 * rng.normal(size=5)[readers] + rng.normal(size=25)[patient[cases]]
        y = y + rng.normal(size=y.size)
        got = crossed_mean(y, readers, cases, clusters=patient[cases])
        plain = crossed_mean(y, readers, cases)
        hits += got.low <= 0 <= got.high
        narrow += plain.low <= 0 <= plain.high
    assert hits / runs > 0.91
    assert narrow < hits

"""Reading times: ratios known in advance, order of readers and cases irrelevant, bad rows named."""

import numpy as np
import pandas as pd
import pytest

from reader_study.stats.conduct.reading_time import geometric_means, time_ratio, time_ratios


def study(rng, ratio: float, *, readers: int = 5, cases: int = 30, sd: float = 0.3) -> pd.DataFrame:
    """Times with reader and case effects; arm x takes ``ratio`` times as long as arm y."""
    base = 3 + 0.4 * rng.standard_normal((readers, 1)) + 0.3 * rng.standard_normal((1, cases))
    rows = []
    for arm, shift in (("x", np.log(ratio)), ("y", 0.0)):
        log_s = base + shift + sd * rng.standard_normal((readers, cases))
        for (j, k), value in np.ndenumerate(log_s):
            rows.append((f"R{j}", f"C{k}", arm, float(np.exp(value))))
    return pd.DataFrame(rows, columns=["reader", "case", "arm", "seconds"])


def test_without_noise_the_ratio_is_exact_and_units_do_not_matter(rng):
    times = study(rng, 1.5, sd=0.0)
    found = time_ratio(times, first="x", second="y")
    assert (found.ratio, found.low, found.high) == pytest.approx((1.5, 1.5, 1.5))
    assert np.isnan(found.p)  # nothing varies: no error to judge by
    assert "no error can be estimated" in found.note
    minutes = times.assign(seconds=times["seconds"] / 60)
    assert time_ratio(minutes, first="x", second="y").ratio == pytest.approx(1.5)
    assert time_ratio(times, first="y", second="x").ratio == pytest.approx(1 / 1.5)


def test_ratio_equals_the_quotient_of_geometric_means(rng):
    times = study(rng, 1.2)
    means = geometric_means(times).set_index("arm")["seconds"]
    found = time_ratio(times, first="x", second="y")
    assert found.ratio == pytest.approx(means["x"] / means["y"])
    assert found.low < found.ratio < found.high


def test_intervals_cover_the_truth_about_as_often_as_they_say(rng):
    hits = 0
    for _ in range(120):
        found = time_ratio(study(rng, 1.3, readers=4, cases=12), first="x", second="y")
        hits += found.low <= 1.3 <= found.high
    assert hits >= 107  # 0.95 * 120 = 114; below 107 has chance 0.002


def test_a_pull_of_one_reader_widens_the_interval(rng):
    times = study(rng, 1.0)
    pulled = times.copy()
    slow = (pulled["reader"] == "R0") & (pulled["arm"] == "x")
    pulled.loc[slow, "seconds"] *= 3

    def width(table):
        found = time_ratio(table, first="x", second="y")
        return np.log(found.high / found.low)

    assert width(pulled) > 3 * width(times)


def test_missing_times_are_counted_and_pairs_of_arms_found(rng):
    times = study(rng, 1.1)
    times.loc[0, "seconds"] = np.nan
    found = time_ratio(times, first="x", second="y")
    assert (found.n, found.n_unpaired) == (149, 1)
    alone = pd.DataFrame({"reader": ["R9"], "case": ["C99"], "arm": ["z"], "seconds": [4.0]})
    table = time_ratios(pd.concat([times, alone]))
    assert table[["first", "second"]].to_numpy().tolist() == [["x", "y"]]


@pytest.mark.parametrize(("readers", "cases"), [(1, 1), (1, 5), (2, 2), (2, 5), (5, 1)])
@pytest.mark.parametrize("ratio", [1.0, 2.0])
def test_times_without_error_or_of_few_readers_say_so(rng, readers, cases, ratio):
    table = study(rng, ratio, readers=readers, cases=cases, sd=0.0)
    found = time_ratio(table, first="x", second="y")
    assert found.ratio == pytest.approx(ratio)
    alone = readers == cases == 1
    assert ("one reading: no interval" in found.note) == alone
    assert ("no error can be estimated" in found.note) == (not alone)
    assert ("2 readers: it describes these readers only" in found.note) == (readers == 2)
    assert (found.p == 1.0) == (ratio == 1.0 and not alone)
    assert np.isnan(found.p) == (ratio == 2.0 or alone)
    assert geometric_means(table)["seconds"].gt(0).all()
    noisy = time_ratio(study(rng, ratio, readers=2, cases=2), first="x", second="y")
    assert noisy.df >= 1
    assert noisy.note == "2 readers: it describes these readers only"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seconds": [0.0, 5.0]}, "not positive in row 2"),
        ({"seconds": ["fast", 5.0]}, "no number .'fast'. in row 2"),
        ({"arm": ["x", "x"]}, "more than once in rows 2, 3"),
        ({"case": ["a", "b"]}, "timed in both 'x' and 'y'"),
        ({"arm": ["x", "z"]}, "holds 'y'"),
        ({"seconds": [np.nan, np.nan]}, "every cell of 'seconds' is empty"),
    ],
)
def test_bad_tables_are_refused(change, message):
    good = {"reader": ["R", "R"], "case": ["a", "a"], "arm": ["x", "y"], "seconds": [4.0, 5.0]}
    with pytest.raises(ValueError, match=message):
        time_ratio(pd.DataFrame({**good, **change}), first="x", second="y")

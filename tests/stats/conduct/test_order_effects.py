"""Position, session, order, haste and gaps: planted effects are found, absent ones are not."""

import numpy as np
import pandas as pd
import pytest

from reader_study.stats.conduct.order_effects import (
    first_seen_effect,
    missing_counts,
    over_readers,
    position_trend,
    session_effect,
    speeding,
)


def crossover(rng, *, tired: float = 0.0, later: float = 0.0, sd: float = 0.2) -> pd.DataFrame:
    """Six readers, 20 cases, two arms in two sessions, the order of arms alternating by case."""
    rows = []
    for reader in range(6):
        for session in (1, 2):
            for position in range(20):
                arm = "ab"[(position + reader + session) % 2]
                y = {"a": 3.0, "b": 4.0}[arm] + tired * position / 19 + later * (session == 2)
                y += sd * rng.standard_normal() + 0.5 * reader
                rows.append((f"R{reader}", session, position + 1, f"C{position}", arm, y))
    return pd.DataFrame(rows, columns=["reader", "session", "position", "case", "arm", "y"])


def test_over_readers_is_the_one_sample_t_test():
    values = [0.2, 0.5, -0.1, 0.4]
    mean, low, high, p = over_readers(values)
    # R 4.2: t.test(c(0.2, 0.5, -0.1, 0.4))
    assert (mean, low, high, p) == pytest.approx((0.25, -0.1709981, 0.6709981, 0.15518), abs=1e-5)
    assert np.isnan(over_readers([1.0])[1])
    assert np.isnan(over_readers([])[0])


def test_fatigue_is_found_with_its_size(rng):
    tired = position_trend(crossover(rng, tired=1.0), outcome="y")
    assert tired["estimate"] == pytest.approx(1.0, abs=0.35)
    assert tired["low"] > 0
    assert tired["n_readers"] == 6
    exact = position_trend(crossover(rng, tired=2.0, sd=0.0), outcome="y")
    assert exact["estimate"] == pytest.approx(2.0, abs=0.2)  # arms alternate along the list


def test_session_and_order_effects_are_told_from_arms(rng):
    trials = crossover(rng, later=-0.7, sd=0.05)
    session = session_effect(trials, outcome="y")
    assert session["estimate"] == pytest.approx(-0.7, abs=0.05)
    order = first_seen_effect(trials, outcome="y")
    assert order["estimate"] == pytest.approx(0.7, abs=0.05)
    none = first_seen_effect(crossover(rng), outcome="y")
    assert none["low"] < 0 < none["high"]


def test_one_session_or_one_reader_gives_no_interval(rng):
    trials = crossover(rng)
    one = trials[trials["session"] == 1]
    assert session_effect(one, outcome="y")["note"] == "nothing to compare"
    alone = position_trend(trials[trials["reader"] == "R0"], outcome="y")
    assert alone["note"] == "one reader: no interval"
    assert np.isnan(alone["low"])


def test_speeding_flags_the_hasty_reader():
    times = pd.DataFrame(
        {"reader": ["A"] * 20 + ["B"] * 20, "seconds": [8.0] * 19 + [1.0] + [1.0] * 3 + [9.0] * 17}
    )
    found = speeding(times, fastest_s=2).set_index("reader")
    assert found["fast"].to_dict() == {"A": 1, "B": 3}
    assert found["flagged"].to_dict() == {"A": False, "B": True}
    with pytest.raises(ValueError, match="negative in row 2"):
        speeding(pd.DataFrame({"reader": ["A"], "seconds": [-1.0]}), fastest_s=2)


def test_missing_counts_add_up_and_refuse_doubles():
    asked = pd.DataFrame(
        [(r, t, "noise") for r in "AB" for t in range(4)], columns=["reader", "trial", "item"]
    )
    given = asked.iloc[:6].assign(value=[1, 2, "cannot-judge", None, 5, 5])
    found = missing_counts(asked, given).set_index("reader")
    assert found.loc["A", ["given", "withheld", "missing"]].tolist() == [2, 1, 1]
    assert found.loc["B", ["given", "withheld", "missing"]].tolist() == [2, 0, 2]
    with pytest.raises(ValueError, match="more than once"):
        missing_counts(asked, pd.concat([given, given]))

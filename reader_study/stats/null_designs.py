"""Further null studies, beside those of :mod:`reader_study.stats.null_studies`."""

import numpy as np

from reader_study.stats.grading import Grades, bootstrap_areas
from reader_study.stats.null_studies import (
    Outcome,
    Procedure,
    ratings,
)
from reader_study.stats.paired import friedman

NAN = float("nan")


def three_arms(rng: np.random.Generator) -> Outcome:
    """Friedman's test, 20 cases in three arms, five categories."""
    latent = rng.normal(size=(20, 1)) * 0.7 + rng.logistic(size=(20, 3))
    return friedman(1 + (latent[..., None] > [-1.5, -0.5, 0.5, 1.5]).sum(axis=-1))[2], None


def percentile_areas(rng: np.random.Generator) -> Outcome:
    """Percentile interval of the VGC area by the reader-and-case bootstrap."""
    grid = ratings(rng, 5, 40, by_reader=0.3, by_case=0.3) - 1
    grades = Grades(tuple(range(5)), tuple(range(40)), grid[..., 1], grid[..., 0], np.arange(5))
    low, high = np.quantile(bootstrap_areas(grades, 400, rng, True, None), [0.025, 0.975])
    return NAN, bool(low <= 0.5 <= high)


PROCEDURES = (
    Procedure("Friedman", "20 cases, 3 arms", "approximate", three_arms),
    Procedure("VGC bootstrap interval", "5 readers, 40 cases, arms vary by reader", "approximate",
              percentile_areas, cost=5),
)  # fmt: skip

"""Further null studies, beside those of :mod:`reader_study.stats.null_studies`."""

import numpy as np

from reader_study.stats.anova import Cells, Effect, obuchowski_rockette
from reader_study.stats.auc_covariance import clustered_auc_covariance
from reader_study.stats.grading import Grades, bootstrap_areas
from reader_study.stats.null_studies import (
    Outcome,
    Procedure,
    ratings,
)
from reader_study.stats.paired import friedman

NAN = float("nan")


def _outcome(cells: Cells, readers: Effect = "random") -> Outcome:
    result = obuchowski_rockette(cells, readers=readers)
    row = result.differences.iloc[0]
    return result.p, bool(row["low"] <= 0 <= row["high"])


def regions_of_patients(rng: np.random.Generator) -> Outcome:
    """Areas over regions, one to three in each of 60 patients, who differ (Obuchowski 1997)."""
    patient = np.repeat(np.arange(60), rng.integers(1, 4, 60))
    truth = (rng.random(patient.size) < 0.5).astype(int)
    arms, readers = 2, 4
    own = rng.normal(size=60)[patient] * 0.5 + rng.normal(size=(arms, 1, 60))[..., patient] * 0.5
    skill = 1.3 + rng.normal(size=(1, readers, 1)) * 0.2 + rng.normal(size=(arms, readers, 1)) * 0.2
    x = own + truth * skill + rng.normal(size=(arms, readers, patient.size)) * 0.7
    values, covariance = clustered_auc_covariance(x.reshape(arms * readers, -1), truth, patient)
    return _outcome(
        Cells(
            ("a", "b"), tuple("ABCD"), values.reshape(arms, readers),
            covariance.reshape(arms, readers, arms, readers), np.zeros(readers, dtype=int),
        )
    )  # fmt: skip


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
    Procedure("OR, regions of patients", "4 readers, 60 patients", "approximate",
              regions_of_patients, cost=5),
    Procedure("Friedman", "20 cases, 3 arms", "approximate", three_arms),
    Procedure("VGC bootstrap interval", "5 readers, 40 cases, arms vary by reader", "approximate",
              percentile_areas, cost=5),
)  # fmt: skip

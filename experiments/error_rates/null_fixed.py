"""Null studies of fixed readers and of weighted kappa."""

import numpy as np

from experiments.error_rates.null_studies import (
    Outcome,
    Procedure,
    as_cells,
    categories_of_raters,
    roe_metz,
)
from reader_study.stats.agreement.kappa import cohen_kappa, crosstab
from reader_study.stats.roc.obuchowski_rockette import obuchowski_rockette


def these_readers(rng: np.random.Generator) -> Outcome:
    """Fixed readers: arms that are alike for each of them, cases random."""
    result = obuchowski_rockette(as_cells(*roe_metz(rng, 5, 80, arm_reader=0.0)), readers="fixed")
    row = result.differences.iloc[0]
    return result.p, bool(row["low"] <= 0 <= row["high"])


def _kappa_of_the_population() -> float:
    """Quadratic kappa of two raters under :func:`categories_of_raters`."""
    own = 0.2 / 4 + 0.8 * np.eye(4)  # chance of each name given the class
    joint = np.einsum("k,ki,kj->ij", [0.4, 0.3, 0.2, 0.1], own, own)
    return cohen_kappa(joint * 1e6, weights="quadratic").value


KAPPA_TRUE = _kappa_of_the_population()


def weighted_kappa(rng: np.random.Generator) -> Outcome:
    """Quadratic kappa of two raters and 60 subjects."""
    table = categories_of_raters(rng, 60)
    counts = crosstab(table["X"], table["Y"], categories=np.arange(4))
    kappa = cohen_kappa(counts, weights="quadratic")
    return float("nan"), bool(kappa.low <= KAPPA_TRUE <= kappa.high)


PROCEDURES = (
    Procedure("OR fixed readers", "5 readers, 80 cases", "approximate", these_readers),
    Procedure("weighted kappa, interval", "2 raters, 60 subjects", "approximate", weighted_kappa),
)

"""Null studies of agreement: coefficients of raters whose true value is known."""

from collections.abc import Callable

import numpy as np
import pandas as pd

from experiments.error_rates.null_studies import Outcome, Procedure
from reader_study.stats.agreement.coefficients import (
    Weights,
    agreement_coefficient,
    krippendorff_alpha,
)
from reader_study.stats.agreement.kappa import cohen_kappa, crosstab

NAN = float("nan")
SHARES = np.array([0.4, 0.3, 0.2, 0.1])
NAMED = 0.2 / 4 + 0.8 * np.eye(4)
"""Chance of each name (columns) given the class (rows): right four times in five."""


def categories_of_raters(rng: np.random.Generator, subjects: int) -> pd.DataFrame:
    """Three raters naming the class of each subject, right four times in five."""
    true = rng.choice(4, subjects, p=SHARES)
    slips = rng.random((subjects, 3)) < 0.2
    guess = rng.integers(0, 4, (subjects, 3))
    return pd.DataFrame(np.where(slips, guess, true[:, None]), columns=list("XYZ"))


def gwet(rng: np.random.Generator) -> Outcome:
    """AC1 of three raters, 40 subjects; the true value follows from the slips."""
    table = categories_of_raters(rng, 40)
    coefficient = agreement_coefficient(table, "gwet", categories=[0, 1, 2, 3])
    return NAN, bool(coefficient.low <= AC1_TRUE <= coefficient.high)


def named_alike(name: str, *, weights: Weights = "unweighted") -> Callable:
    """A coefficient of three raters, 40 subjects, one rating in seven missing."""
    true = _true_agreement(name, weights)

    def draw(rng: np.random.Generator) -> Outcome:
        table = categories_of_raters(rng, 40).astype(float)
        table = table.mask(rng.random(table.shape) < 1 / 7)
        if name == "alpha":
            coefficient = krippendorff_alpha(table, draws=400, rng=rng)
        else:
            coefficient = agreement_coefficient(
                table, name, weights=weights, categories=[0, 1, 2, 3]
            )
        return NAN, bool(coefficient.low <= true <= coefficient.high)

    return draw


def _true_agreement(name: str, weights: str) -> float:
    """The coefficient's value in the population of :func:`categories_of_raters`."""
    named = SHARES @ NAMED
    apart = np.abs(np.subtract.outer(np.arange(4), np.arange(4)))
    weight = 1 - (apart / 3) ** 2 if weights == "quadratic" else np.eye(4)
    agree = float(SHARES @ np.einsum("ki,ij,kj->k", NAMED, weight, NAMED))
    chance = {
        "fleiss": float(named @ weight @ named),
        "alpha": float(named @ weight @ named),
        "conger": float(named @ weight @ named),
        "brennan_prediger": float(weight.mean()),
        "gwet": float(weight.sum() * np.sum(named * (1 - named)) / 12),
    }[name]
    return (agree - chance) / (1 - chance)


def _kappa_of_the_population() -> float:
    """Quadratic kappa of two raters under :func:`categories_of_raters`."""
    joint = np.einsum("k,ki,kj->ij", SHARES, NAMED, NAMED)
    return cohen_kappa(joint * 1e6, weights="quadratic").value


def weighted_kappa(rng: np.random.Generator) -> Outcome:
    """Quadratic kappa of two raters and 60 subjects."""
    table = categories_of_raters(rng, 60)
    counts = crosstab(table["X"], table["Y"], categories=np.arange(4))
    kappa = cohen_kappa(counts, weights="quadratic")
    return NAN, bool(kappa.low <= KAPPA_TRUE <= kappa.high)


AC1_TRUE, KAPPA_TRUE = _true_agreement("gwet", "unweighted"), _kappa_of_the_population()

RATED = "3 raters, 40 subjects, 1 in 7 missing"
PROCEDURES = (
    Procedure("Gwet's AC1, interval", "3 raters, 40 subjects", "approximate", gwet, cost=2),
    Procedure("Fleiss' kappa, interval", RATED, "approximate", named_alike("fleiss"), cost=2),
    Procedure(
        "Conger's kappa, quadratic, interval",
        RATED,
        "approximate",
        named_alike("conger", weights="quadratic"),
        cost=2,
    ),
    Procedure(
        "Gwet's AC2, quadratic, interval",
        RATED,
        "approximate",
        named_alike("gwet", weights="quadratic"),
        cost=2,
    ),
    Procedure(
        "Brennan-Prediger, interval", RATED, "approximate", named_alike("brennan_prediger"), cost=2
    ),
    Procedure("Krippendorff's alpha, interval", RATED, "approximate", named_alike("alpha"), cost=2),
    Procedure("weighted kappa, interval", "2 raters, 60 subjects", "approximate", weighted_kappa),
)

"""Power by simulation: studies drawn from a stated truth and analysed as the real one will be."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from scipy.special import expit, logit

from reader_study.stats.ordinal.clm import clmm
from reader_study.stats.paired.crossed_mean import crossed_mean
from reader_study.stats.paired.preference_share import pooled_share
from reader_study.stats.proportions import clopper_pearson

NEW, REFERENCE = "new", "reference"
Decision = Callable[[pd.DataFrame], bool]


@dataclass(frozen=True)
class SimulatedPower:
    """Share of simulated studies that reached their aim, with its exact interval.

    ``undecided`` counts studies whose analysis gave no answer; they count as not reached.
    """

    power: float
    low: float
    high: float
    replicates: int
    undecided: int


def simulated_power(
    draw: Callable[[np.random.Generator], pd.DataFrame],
    decide: Decision,
    *,
    replicates: int,
    rng: np.random.Generator,
    progress: Callable[[int, int], None] | None = None,
) -> SimulatedPower:
    """Draw ``replicates`` studies, analyse each, count the successes.

    Examples
    --------
    >>> always = simulated_power(lambda rng: pd.DataFrame(), lambda study: True, replicates=20,
    ...                          rng=np.random.default_rng(1))
    >>> always.power, round(always.low, 3)
    (1.0, 0.832)
    """
    if replicates < 1:
        raise ValueError(f"expected one replicate or more, got {replicates}")
    reached = undecided = 0
    for done in range(1, replicates + 1):
        study = draw(rng)
        try:
            reached += bool(decide(study))
        except ValueError:  # no variation left to analyse: this study would have failed
            undecided += 1
        if progress:
            progress(done, replicates)
    low, high = clopper_pearson(reached, replicates)
    return SimulatedPower(reached / replicates, low, high, replicates, undecided)


# ---------------------------------------------------------------- ratings on a scale


@dataclass(frozen=True)
class LikertTruth:
    """Cumulative logit model of ratings: shares of the reference arm and random effects.

    ``odds_ratio`` is that of a better rating in the new arm; the standard deviations are on the
    logit scale.
    """

    shares: tuple[float, ...] = (0.05, 0.15, 0.35, 0.35, 0.10)
    odds_ratio: float = 2.0
    sd_reader: float = 0.6
    sd_case: float = 0.8
    sd_reader_case: float = 0.0

    def __post_init__(self) -> None:
        if len(self.shares) < 2 or min(self.shares) <= 0 or abs(sum(self.shares) - 1) > 1e-6:
            raise ValueError(f"expected positive shares that sum to 1, got {self.shares}")
        if self.odds_ratio <= 0:
            raise ValueError(f"expected an odds ratio above 0, got {self.odds_ratio}")


def simulate_likert(
    truth: LikertTruth, *, readers: int, cases: int, rng: np.random.Generator
) -> pd.DataFrame:
    """One study: ``reader, case, arm, rating`` from 1; the reader-case effect is shared by arms."""
    thresholds = logit(np.cumsum(truth.shares)[:-1])
    effect = (
        truth.sd_reader * rng.standard_normal((1, readers, 1))
        + truth.sd_case * rng.standard_normal((1, 1, cases))
        + truth.sd_reader_case * rng.standard_normal((1, readers, cases))
        + np.array([np.log(truth.odds_ratio), 0.0])[:, None, None]
    )
    latent = effect + rng.logistic(size=effect.shape)
    rating = 1 + (latent[..., None] > thresholds).sum(axis=-1)
    arm, reader, case = np.indices(rating.shape).reshape(3, -1)
    return pd.DataFrame(
        {
            "reader": reader,
            "case": case,
            "arm": np.array([NEW, REFERENCE])[arm],
            "rating": rating.ravel(),
        }
    )


def likert_decision(
    analysis: Literal["clmm", "mean"] = "clmm", *, margin: float = 0.0, alpha: float = 0.05
) -> Decision:
    """Decide whether the new arm is shown better, or not worse by ``margin`` rating points.

    "clmm": Wald test of the arm in ``rating ~ arm + (1|reader) + (1|case)``; "mean": interval
    of the mean difference with random readers and cases, the only one with a margin.
    """
    if analysis == "clmm" and margin:
        raise ValueError(
            "expected analysis 'mean' for a margin in rating points, got 'clmm', which has log-odds"
        )

    def by_model(study: pd.DataFrame) -> bool:
        if study["rating"].nunique() < 2:
            raise ValueError("every rating is the same")
        levels = {"arm": [REFERENCE, NEW]}
        fit = clmm(study, "rating ~ arm + (1|reader) + (1|case)", levels=levels)
        row = fit.coefficients.iloc[0]
        return bool(fit.converged and row["estimate"] > 0 and row["p"] < alpha)

    def by_mean(study: pd.DataFrame) -> bool:
        wide = study.pivot(index=["reader", "case"], columns="arm", values="rating").reset_index()
        mean = crossed_mean(
            wide[NEW] - wide[REFERENCE], wide["reader"], wide["case"], level=1 - alpha
        )
        return bool(mean.low > -margin)

    return by_model if analysis == "clmm" else by_mean


# ---------------------------------------------------------------- preference


@dataclass(frozen=True)
class PreferenceTruth:
    """Share of decided pairs won by the new arm for a middling reader and case, and ties."""

    share: float = 0.65
    ties: float = 0.1
    sd_reader: float = 0.3
    sd_case: float = 0.5

    def __post_init__(self) -> None:
        if not (0 < self.share < 1 and 0 <= self.ties < 1):
            raise ValueError(f"expected shares between 0 and 1, got {self.share}, {self.ties}")


def simulate_preference(
    truth: PreferenceTruth, *, readers: int, cases: int, rng: np.random.Generator
) -> pd.DataFrame:
    """One study of pairs: ``reader, case, left, right, choice``, sides balanced per reader."""
    log_odds = (
        logit(truth.share)
        + truth.sd_reader * rng.standard_normal((readers, 1))
        + truth.sd_case * rng.standard_normal((1, cases))
    )
    won = rng.random((readers, cases)) < expit(log_odds)
    tied = rng.random((readers, cases)) < truth.ties
    new_left = (np.arange(cases)[None] + np.arange(readers)[:, None]) % 2 == 0
    choice = np.where(tied, "tie", np.where(won == new_left, "left", "right"))
    reader, case = np.indices(won.shape).reshape(2, -1)
    return pd.DataFrame(
        {
            "reader": reader,
            "case": case,
            "left": np.where(new_left, NEW, REFERENCE).ravel(),
            "right": np.where(new_left, REFERENCE, NEW).ravel(),
            "choice": choice.ravel(),
        }
    )


def preference_decision(*, margin: float = 0.0, alpha: float = 0.05) -> Decision:
    """Decide whether the interval of the pooled share lies above one half (less the margin)."""

    def decide(study: pd.DataFrame) -> bool:
        share = pooled_share(study, arm=NEW, over=REFERENCE, level=1 - alpha)
        return bool(share.low > 0.5 - margin)

    return decide

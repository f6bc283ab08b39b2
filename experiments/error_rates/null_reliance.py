"""Null studies of overlays and of forced choice: no difference, or one that is known."""

from collections.abc import Callable

import numpy as np
import pandas as pd

from experiments.error_rates.null_studies import Outcome, Procedure
from reader_study.stats.conduct.reading_time import mean_p
from reader_study.stats.forced_choice.d_prime import share_correct
from reader_study.stats.paired.crossed_mean import crossed_mean
from reader_study.stats.paired.crossed_share import Contrast, crossed_contrast
from reader_study.stats.reliance.simulated import (
    OverlayReaders,
    simulate_overlay_study,
    true_contrast,
)

NULL, KNOWN = OverlayReaders(right_helps=0, wrong_harms=0, sd_trust=0), OverlayReaders()
KNOWN_TRUE = true_contrast(KNOWN)


def own_and_shuffled(readers: int, cases: int) -> Callable[[np.random.Generator], Outcome]:
    """Maps that change nothing (rejection) and maps that help by a known amount (coverage)."""

    def draw(rng: np.random.Generator) -> Outcome:
        null, known = (
            _contrast(simulate_overlay_study(kind, n_readers=readers, n_cases=cases, rng=rng))
            for kind in (NULL, KNOWN)
        )
        return null.p, bool(known.low <= KNOWN_TRUE <= known.high)

    return draw


def _contrast(table: pd.DataFrame) -> Contrast:
    columns = (table[name] for name in ("final_right", "reader", "case", "overlay"))
    return crossed_contrast(*columns, first="own", second="shuffled")


def forced_choice_arms(readers: int, cases: int) -> Callable[[np.random.Generator], Outcome]:
    """Right answers among four places, two arms alike for every reader and case."""

    def draw(rng: np.random.Generator) -> Outcome:
        skill, ease = rng.normal(0, 0.3, (readers, 1)), rng.normal(0, 0.4, cases)
        share = share_correct(1.5 * np.exp(skill + ease), 4)
        apart = np.subtract(*(rng.random((2, readers, cases)) < share).astype(float))
        reader, case = np.indices(apart.shape)
        mean = crossed_mean(apart.ravel(), reader.ravel(), case.ravel())
        return mean_p(mean), bool(mean.low <= 0 <= mean.high)

    return draw


PROCEDURES = tuple(
    Procedure(
        "own and shuffled maps, crossed",
        f"{r} readers, {c} cases",
        "approximate",
        own_and_shuffled(r, c),
        cost=4,
    )
    for r, c in ((3, 40), (6, 40), (12, 80))
) + tuple(
    Procedure(
        "forced choice, two arms",
        f"{r} readers, {c} cases, 4 places",
        "approximate",
        forced_choice_arms(r, c),
        cost=2,
    )
    for r, c in ((4, 40), (8, 80))
)

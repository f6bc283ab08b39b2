"""The contrast a panel needs: d' grows as a power of contrast, the threshold is where it is 1."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import optimize

from reader_study.stats.forced_choice.d_prime import share_correct

_GRID = np.linspace(0, 8, 1601)
LAPSES = 0.01
"""Answers given at random by a reader who saw it; with 0 one slip at high contrast bends a fit."""


@dataclass(frozen=True)
class ContrastDetail:
    """``d' = (contrast / threshold)^exponent``; limits from a bootstrap of readers and cases."""

    threshold_hu: float
    low_hu: float
    high_hu: float
    exponent: float
    note: str = ""


def contrast_detail(
    table: pd.DataFrame, places: int, *, draws: int = 400, seed: int = 0, level: float = 0.95
) -> ContrastDetail:
    """Threshold contrast of one arm at which d' is 1, with limits for new readers and cases.

    Parameters
    ----------
    table : DataFrame
        ``reader, case, contrast_hu, correct`` with contrasts above 0, two or more of them.
    draws : bootstrap samples; readers and cases are drawn at once

    Raises
    ------
    ValueError
        Fewer than two contrasts.

    Examples
    --------
    >>> rows = [("A", i, c, int(i % 10 < 10 * p)) for c, p in ((10, .5), (40, .9))
    ...         for i in range(20)]
    >>> made = contrast_detail(pd.DataFrame(rows, columns=["reader", "case", "contrast_hu",
    ...                        "correct"]), 4, draws=50)
    >>> made.low_hu <= made.threshold_hu <= made.high_hu
    True
    """
    contrast = table["contrast_hu"].to_numpy(float)
    levels = np.unique(contrast)
    if len(levels) < 2 or levels[0] <= 0:
        raise ValueError(
            f"expected two contrasts above 0 HU or more, got {levels.tolist()}; without them "
            "compare shares of right answers alone"
        )
    right = table["correct"].to_numpy(float)
    reader = np.unique(table["reader"].astype(str), return_inverse=True)[1]
    case = np.unique(table["case"].astype(str), return_inverse=True)[1]
    place = np.searchsorted(levels, contrast)
    expected = share_correct(_GRID, places)

    def fit(weight: np.ndarray, starts: list[tuple[float, float]]) -> tuple[float, float]:
        n = np.bincount(place, weight, len(levels))
        hits = np.bincount(place, weight * right, len(levels))
        return _most_likely(levels, n, hits, expected, places, starts)

    found = fit(np.ones(len(right)), [(float(levels[0]), 1.0), (float(levels[-1]), 1.0)])
    rng = np.random.default_rng(seed)
    drawn = [fit(_redrawn(reader, rng) * _redrawn(case, rng), [found])[0] for _ in range(draws)]
    tails = np.quantile(drawn, [0.5 - level / 2, 0.5 + level / 2]) if drawn else [np.nan, np.nan]
    outside = not levels[0] <= found[0] <= levels[-1]
    note = "the threshold lies outside the contrasts shown: it is extrapolated" if outside else ""
    return ContrastDetail(found[0], float(tails[0]), float(tails[1]), found[1], note)


def _redrawn(code: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """How often each row's level was drawn; a single level stays."""
    count = int(code.max()) + 1
    drawn = np.bincount(rng.integers(count, size=count), minlength=count)
    return np.asarray(drawn[code], float)


def _most_likely(
    levels: np.ndarray,
    n: np.ndarray,
    hits: np.ndarray,
    expected: np.ndarray,
    places: int,
    starts: list[tuple[float, float]],
) -> tuple[float, float]:
    """Threshold and exponent of largest likelihood; the exponent stays within 0.25 to 4."""

    def cost(at: np.ndarray) -> float:
        d = (levels / np.exp(at[0])) ** np.exp(at[1])
        p = LAPSES / places + (1 - LAPSES) * np.interp(d, _GRID, expected)
        return -float(np.sum(hits * np.log(p) + (n - hits) * np.log(1 - p)))

    bounds = [(np.log(levels[0] / 30), np.log(levels[-1] * 30)), (np.log(0.25), np.log(4.0))]
    tried = [optimize.minimize(cost, np.log(s), method="L-BFGS-B", bounds=bounds) for s in starts]
    best = min(tried, key=lambda r: float(r.fun))
    return float(np.exp(best.x[0])), float(np.exp(best.x[1]))

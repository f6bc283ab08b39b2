"""Ratings of a reader study from the Roe-Metz model, with a known area under the ROC curve."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats


@dataclass(frozen=True)
class RoeMetz:
    """Variances of the Roe-Metz model; each effect is drawn anew for each truth.

    The defaults are the high-correlation, high-reader-variance structure ("HH") at an area near
    0.855 of Roe & Metz 1997 (doi:10.1016/S1076-6332(97)80032-3), also the default of FDA's
    iMRMC. The four case variances sum to 1 there.
    """

    var_reader: float = 0.03
    var_arm_reader: float = 0.03
    var_case: float = 0.3
    var_arm_case: float = 0.3
    var_reader_case: float = 0.2
    var_error: float = 0.2

    def __post_init__(self) -> None:
        low = [name for name, value in vars(self).items() if not value >= 0]
        if low:
            raise ValueError(f"expected variances of 0 or more, got below 0: {', '.join(low)}")

    @property
    def total(self) -> float:
        """Variance of one rating given its truth."""
        return float(sum(vars(self).values()))


def separation(area: float, model: RoeMetz) -> float:
    """Distance of the two means that gives the expected area: sqrt(2 total) * Phi^-1(area).

    Examples
    --------
    >>> separation(0.5, RoeMetz())
    0.0
    """
    if not 0 < area < 1:
        raise ValueError(f"expected an area between 0 and 1, got {area}")
    return float(np.sqrt(2 * model.total) * stats.norm.ppf(area))


def simulate_roc(
    areas: dict[str, float],
    *,
    readers: int,
    cases: int,
    rng: np.random.Generator,
    model: RoeMetz | None = None,
    prevalence: float = 0.5,
) -> pd.DataFrame:
    """One simulated study: ``reader, case, arm, truth, rating`` with continuous ratings.

    Parameters
    ----------
    areas : expected area of each arm
    cases : diseased and other cases together; ``prevalence`` of them diseased, at least two of
        each

    Raises
    ------
    ValueError
        For fewer than four cases or an area outside 0 to 1.

    Examples
    --------
    >>> study = simulate_roc({"a": 0.8, "b": 0.9}, readers=2, cases=4,
    ...                      rng=np.random.default_rng(1))
    >>> len(study), int(study["truth"].sum())
    (16, 8)
    """
    model = model or RoeMetz()
    if cases < 4:
        raise ValueError(f"expected four cases or more, two of each truth, got {cases}")
    diseased = min(max(round(cases * prevalence), 2), cases - 2)
    truth = (np.arange(cases) < diseased).astype(int)
    shifts = np.array([separation(area, model) for area in areas.values()])
    scores = _scores(len(shifts), readers, truth, model, rng)
    scores += shifts[:, None, None] * truth
    arm, reader, case = np.indices(scores.shape).reshape(3, -1)
    names = np.array(list(areas))
    return pd.DataFrame(
        {
            "reader": np.array([f"R{j + 1}" for j in range(readers)])[reader],
            "case": np.array([f"C{k + 1}" for k in range(cases)])[case],
            "arm": names[arm],
            "truth": truth[case],
            "rating": scores.ravel(),
        }
    )


def _scores(
    arms: int, readers: int, truth: np.ndarray, model: RoeMetz, rng: np.random.Generator
) -> np.ndarray:
    """Random effects with shape (arm, reader, case); reader effects differ by truth."""
    cases = truth.size

    def draw(variance: float, *shape: int) -> np.ndarray:
        return np.asarray(np.sqrt(variance) * rng.standard_normal(shape))

    reader = draw(model.var_reader, 1, readers, 2)[..., truth]
    arm_reader = draw(model.var_arm_reader, arms, readers, 2)[..., truth]
    return np.asarray(
        reader
        + arm_reader
        + draw(model.var_case, 1, 1, cases)
        + draw(model.var_arm_case, arms, 1, cases)
        + draw(model.var_reader_case, 1, readers, cases)
        + draw(model.var_error, arms, readers, cases)
    )

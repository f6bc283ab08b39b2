"""Areas and utilities of fitted curves as figures of merit; the jackknife refits from counts."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from reader_study.stats.roc import binormal, contaminated, proper
from reader_study.stats.roc.binormal import categories
from reader_study.stats.roc.curve import split_scores


class Fit(Protocol):
    """What a fitted curve tells: its area, whether the search settled, and where it ended."""

    @property
    def auc(self) -> float:
        """Area under the curve."""

    @property
    def converged(self) -> bool:
        """Whether the search settled."""

    def utility(self, slope: float) -> float:
        """Largest sensitivity - slope * (1 - specificity) on the curve."""

    @property
    def found(self) -> np.ndarray:
        """Where the search ended."""


@dataclass(frozen=True)
class FittedArea:
    """Area of a fitted curve as a figure of merit, or with a ``slope`` its expected utility.

    ``fit`` takes counts with and without the finding in each category, and a place to start from.
    """

    name: str
    others: str
    fit: Callable[[np.ndarray, np.ndarray, np.ndarray | None], Fit]
    slope: float | None = None

    def __call__(self, truth: np.ndarray, scores: np.ndarray) -> float:
        """The area on all cases; ValueError where no curve is determined."""
        split_scores(truth, scores)
        positive, negative = _counts(truth, categories(scores))
        return self._area(self.fit(positive, negative, None))

    def leave_out(
        self, truth: np.ndarray, scores: np.ndarray, units: np.ndarray
    ) -> tuple[float, np.ndarray]:
        """The area on all cases, and without each unit of them, shape (units,).

        Categories stay those of all cases, so few different counts need a fit, and each search
        starts from the fit of all cases.
        """
        split_scores(truth, scores)
        classes = categories(scores)
        positive, negative = _counts(truth, classes)
        whole = self.fit(positive, negative, None)
        own = np.zeros((units.max() + 1, 2, positive.size))
        np.add.at(own, (units, 1 - truth, classes), 1.0)
        different, place = np.unique(own.reshape(len(own), -1), axis=0, return_inverse=True)
        areas = [
            self._area(self.fit(positive - less[0], negative - less[1], whole.found))
            for less in different.reshape(-1, 2, positive.size)
        ]
        return self._area(whole), np.array(areas)[np.ravel(place)]

    def _area(self, fitted: Fit) -> float:
        if not fitted.converged:
            raise ValueError(
                f"expected a {self.name} fit that settles, got a degenerate curve; report the "
                f"empirical area, or fit {self.others}"
            )
        return fitted.auc if self.slope is None else fitted.utility(self.slope)


def _counts(truth: np.ndarray, classes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    size = int(classes.max()) + 1
    with_finding, without = (
        np.bincount(classes[truth == kind], minlength=size).astype(float) for kind in (1, 0)
    )
    return with_finding, without


BINORMAL = FittedArea(
    "binormal", "the proper or the contaminated binormal curve", binormal.fit_counts
)
PROPER = FittedArea("proper binormal", "the contaminated binormal curve", proper.fit_counts)
CONTAMINATED = FittedArea(
    "contaminated binormal", "the proper binormal curve", contaminated.fit_counts
)

"""Whether readers' confidence is worth what they say: Brier's score and its parts."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from reader_study.stats.roc.curve import empirical_auc


@dataclass(frozen=True)
class Calibration:
    """Confidence beside what was right.

    Attributes
    ----------
    brier : mean square distance of confidence from 0/1, which is
        ``unreliability - resolution + uncertainty``
    unreliability : how far stated confidence lies from the share right at it; 0 is calibrated
    resolution : how far those shares lie apart
    uncertainty : share right times share wrong
    ece : mean absolute distance, weighted by answers
    ece_if_calibrated : what ``ece`` a calibrated reader of as many answers would get on average
    auc : how well confidence tells right answers from wrong ones; NaN where all were alike
    over_confidence : mean confidence less share right
    """

    brier: float
    unreliability: float
    resolution: float
    uncertainty: float
    ece: float
    ece_if_calibrated: float
    auc: float
    over_confidence: float
    n: int


def calibration(
    confidence: ArrayLike, right: ArrayLike, *, draws: int = 2000, seed: int = 0
) -> Calibration:
    """Calibration of answers on a scale of few levels from 0 to 1.

    Parameters
    ----------
    confidence : array_like, shape (n,)
        Stated probability of being right; each level that occurs is a bin.
    right : array_like of 0 and 1, shape (n,)
    draws, seed : for ``ece_if_calibrated``

    Raises
    ------
    ValueError
        Values outside 0 to 1, or none.

    Notes
    -----
    Murphy 1973, doi:10.1175/1520-0450(1973)012<0595:ANVPOT>2.0.CO;2. Never compare ``ece`` of
    readers with different numbers of answers: a calibrated reader's is well above 0, by chance.

    Examples
    --------
    >>> made = calibration([0.5, 0.5, 1.0, 1.0], [1, 0, 1, 1])
    >>> made.brier, made.unreliability, made.ece
    (0.125, 0.0, 0.0)
    """
    p, y = np.asarray(confidence, float), np.asarray(right, float)
    sound = p.size > 0 and p.shape == y.shape and np.isin(y, (0, 1)).all()
    if not sound or not np.all((p >= 0) & (p <= 1)):
        raise ValueError(
            "expected a confidence from 0 to 1 for each answer, and 0 or 1 for whether it was "
            "right; divide a scale in per cent by 100"
        )
    levels, place = np.unique(p, return_inverse=True)
    n = np.bincount(place)
    share = np.bincount(place, y) / n
    mean = float(y.mean())
    rng = np.random.default_rng(seed)
    chance = rng.binomial(n, levels, (draws, levels.size)) / n
    both = 0 < mean < 1
    return Calibration(
        float(np.mean((p - y) ** 2)),
        float(np.sum(n * (levels - share) ** 2) / p.size),
        float(np.sum(n * (share - mean) ** 2) / p.size),
        mean * (1 - mean),
        float(np.sum(n * np.abs(levels - share)) / p.size),
        float(np.mean(np.sum(n * np.abs(levels - chance), axis=1)) / p.size),
        empirical_auc(y, p) if both else float("nan"),
        float(p.mean() - mean),
        int(p.size),
    )

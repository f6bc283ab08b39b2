"""Scores that say where a denoiser is unsure, and whether they beat looking at the residual."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd
from scipy import special

from ctlab.assess.detection.roc import placements
from ctlab.ct.spectra import same_shape

FEWEST_PATIENTS = 10
"""Below this number an interval over patients is not given."""


def spread_hu(outputs: Iterable[np.ndarray]) -> np.ndarray:
    """SD over several outputs for one input, in HU, float32: an ensemble's or MC-dropout's score.

    Outputs are taken one at a time (Welford's update), so that a generator of dropout passes
    needs memory for one.

    Examples
    --------
    >>> spread_hu(np.full((2, 2), hu) for hu in (1.0, 2.0, 3.0)).tolist()
    [[1.0, 1.0], [1.0, 1.0]]
    """
    count, mean, squares = 0, np.zeros(()), np.zeros(())
    for output in outputs:
        count += 1
        change = np.asarray(output, dtype=np.float64) - mean
        mean = mean + change / count
        squares = squares + change * (output - mean)
    if count < 2:
        raise ValueError(f"a spread needs at least 2 outputs, got {count}")
    return np.sqrt(squares / (count - 1)).astype(np.float32)


def score_auc(score: np.ndarray, changed: np.ndarray, *, mask: np.ndarray | None = None) -> float:
    """How well a score tells changed voxels from the others: AUC, 0.5 is chance.

    Parameters
    ----------
    score : ndarray, any shape
    changed : ndarray of bool, same shape
        Voxels that were tampered with.
    mask : ndarray of bool, same shape, optional
        Voxels that count.

    Examples
    --------
    >>> score_auc(np.array([1.0, 5.0, 2.0, 9.0]), np.array([False, True, False, True]))
    1.0
    """
    same_shape(score, changed, "score and changed")
    inside = np.ones(np.shape(score), bool) if mask is None else np.asarray(mask, bool)
    changed = np.asarray(changed, bool)
    score = np.asarray(score, dtype=np.float64)
    if (changed & inside).sum() < 2 or (~changed & inside).sum() < 2:
        raise ValueError("an AUC needs at least 2 changed and 2 other voxels inside the mask")
    return float(placements(score[changed & inside], score[~changed & inside])[0].mean())


def compare_scores(
    scores: Mapping[str, Sequence[np.ndarray]],
    changed: Sequence[np.ndarray],
    *,
    baseline: str = "residual",
    masks: Sequence[np.ndarray] | None = None,
    level: float = 0.95,
) -> pd.DataFrame:
    """Which scores find such changes better than the plain size of the residual.

    Parameters
    ----------
    scores : mapping of name to one map per patient
        Must hold ``baseline``, the absolute residual ``|input - output|``.
    changed : sequence of ndarray of bool, one per patient
        Where structure was added, or removed; call once for each.
    masks : sequence of ndarray of bool, optional
    level : float
        Of the interval over patients (t distribution on the paired differences).

    Returns
    -------
    DataFrame
        One row per score: ``score, n_patients, auc, difference, low, high, verdict``. Verdicts:
        ``baseline``, ``beats``, ``does not beat``; below ten patients limits are NaN and the
        verdict is ``too few patients``.

    Raises
    ------
    ValueError
        The baseline is missing, or a score has another number of patients.
    """
    if baseline not in scores:
        raise ValueError(f"scores must hold the baseline {baseline!r}, got {', '.join(scores)}")
    n = len(changed)
    for name, maps in scores.items():
        if len(maps) != n:
            raise ValueError(f"score {name!r} has {len(maps)} patients, changed has {n}")
    inside = masks if masks is not None else [None] * n
    aucs = {
        name: np.array(
            [score_auc(m, p, mask=i) for m, p, i in zip(maps, changed, inside, strict=True)]
        )
        for name, maps in scores.items()
    }
    rows = []
    for name, auc in aucs.items():
        change = auc - aucs[baseline]
        half = np.nan
        if n >= FEWEST_PATIENTS:
            half = special.stdtrit(n - 1, 0.5 + level / 2) * change.std(ddof=1) / np.sqrt(n)
        low, high = change.mean() - half, change.mean() + half
        verdict = "beats" if low > 0 else "does not beat"
        if n < FEWEST_PATIENTS:
            verdict = "too few patients"
        if name == baseline:
            verdict = "baseline"
        rows.append((name, n, auc.mean(), change.mean(), low, high, verdict))
    columns = ["score", "n_patients", "auc", "difference", "low", "high", "verdict"]
    return pd.DataFrame(rows, columns=columns)

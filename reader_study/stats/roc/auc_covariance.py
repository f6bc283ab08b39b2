"""Covariances of areas that readers and arms share cases for.

Rows of ``positive`` and ``negative`` are reader-by-arm cells over the same cases.
"""

from collections.abc import Callable, Sequence
from typing import Literal, Protocol, runtime_checkable

import numpy as np

from reader_study.stats.roc.curve import placements

Method = Literal["delong", "jackknife", "unbiased"]


@runtime_checkable
class Refitted(Protocol):
    """A figure of merit that knows a quicker way to leave units out than to start anew."""

    def leave_out(
        self, truth: np.ndarray, scores: np.ndarray, units: np.ndarray
    ) -> tuple[float, np.ndarray]:
        """The figure on all cases, and without each unit of them, shape (units,)."""


def auc_covariance(
    positive: np.ndarray, negative: np.ndarray, *, method: Method = "delong"
) -> tuple[np.ndarray, np.ndarray]:
    """Areas of all cells and their covariance matrix.

    Parameters
    ----------
    positive : ndarray, shape (cells, n_positive)
    negative : ndarray, shape (cells, n_negative)
    method : "delong", "jackknife" or "unbiased"

    Returns
    -------
    areas : ndarray, shape (cells,)
    covariance : ndarray, shape (cells, cells)

    Notes
    -----
    DeLong 1988 (doi:10.2307/2531595); the jackknife over all cases in closed form from the
    same placements; the unbiased U-statistic estimate of Gallas 2006
    (doi:10.1016/j.acra.2005.11.030) with readers fixed.

    Examples
    --------
    Perfect separation leaves no variance:

    >>> auc_covariance(np.array([[3.0, 4.0]]), np.array([[1.0, 2.0]]))
    (array([1.]), array([[0.]]))
    """
    m, n = positive.shape[1], negative.shape[1]
    if min(m, n) < 2:
        raise ValueError(f"expected at least 2 cases of either truth, got {m} with, {n} without")
    v10, v01 = placements(positive, negative)
    areas = v10.mean(axis=1)
    if method == "unbiased":
        return areas, _unbiased(positive, negative)
    s10, s01 = np.atleast_2d(np.cov(v10)), np.atleast_2d(np.cov(v01))
    if method == "delong":
        return areas, s10 / m + s01 / n
    if method != "jackknife":
        raise ValueError(f"expected delong, jackknife or unbiased, got {method!r}")
    # Leaving one case out moves the area by (its placement - area) / (class size - 1).
    deviations = np.concatenate(
        [(v10 - areas[:, None]) / (m - 1), (v01 - areas[:, None]) / (n - 1)], axis=1
    )
    total = m + n
    return areas, (total - 1) / total * deviations @ deviations.T


def _unbiased(positive: np.ndarray, negative: np.ndarray) -> np.ndarray:
    m, n = positive.shape[1], negative.shape[1]
    win = np.sign(positive[:, :, None] - negative[:, None, :]) / 2 + 0.5
    flat = win.reshape(len(win), -1)
    both = flat @ flat.T
    rows, columns = win.sum(axis=2), win.sum(axis=1)
    same_positive = rows @ rows.T - both
    same_negative = columns @ columns.T - both
    total = np.outer(flat.sum(axis=1), flat.sum(axis=1))
    none = total - both - same_positive - same_negative
    pairs = m * n
    mean_none = none / (pairs * (m - 1) * (n - 1))
    return np.asarray(total / pairs**2 - mean_none)


def jackknife_covariance(left_out: np.ndarray) -> np.ndarray:
    """Covariance of any figure of merit from its values with one case left out.

    Parameters
    ----------
    left_out : ndarray, shape (cells, cases)

    Notes
    -----
    Obuchowski & Rockette 1995 (doi:10.1080/03610919508813243) with the jackknife of
    Hillis, Obuchowski, Schartz & Berbaum 2005 (doi:10.1002/sim.2024).

    Examples
    --------
    For a mean the jackknife is the usual variance of a mean (here 1/3):

    >>> values = np.array([1.0, 2.0, 3.0])
    >>> left_out = (values.sum() - values) / 2
    >>> round(float(jackknife_covariance(left_out[None])[0, 0]), 12)
    0.333333333333
    """
    cases = left_out.shape[1]
    centred = left_out - left_out.mean(axis=1, keepdims=True)
    return np.asarray((cases - 1) / cases * centred @ centred.T)


def leave_one_out(
    scores: np.ndarray,
    truth: np.ndarray,
    figure: Callable[[np.ndarray, np.ndarray], float],
    *,
    units: np.ndarray | None = None,
    names: Sequence[str] = (),
) -> tuple[np.ndarray, np.ndarray]:
    """Any figure of merit on all cases, and with each case (or each unit of cases) left out.

    Parameters
    ----------
    scores : ndarray, shape (cells, cases)
    truth : ndarray, shape (cases,)
    figure : called as ``figure(truth, scores)``
    units : ndarray, shape (cases,), optional
        Patients: all cases of one patient are left out together.
    names : what each cell is called where the figure refuses it

    Returns
    -------
    values : ndarray, shape (cells,)
    left_out : ndarray, shape (cells, units)
    """
    codes = np.arange(truth.size) if units is None else np.unique(units, return_inverse=True)[1]
    values = np.empty(len(scores))
    left_out = np.empty((len(scores), codes.max() + 1))
    for cell, row in enumerate(scores):
        try:
            if isinstance(figure, Refitted):
                values[cell], left_out[cell] = figure.leave_out(truth, row, codes)
                continue
            values[cell] = figure(truth, row)
            for unit in range(left_out.shape[1]):
                keep = codes != unit
                left_out[cell, unit] = figure(truth[keep], row[keep])
        except ValueError as error:
            raise ValueError(f"{names[cell]}: {error}" if names else str(error)) from error
    return values, left_out


def clustered_auc_covariance(
    scores: np.ndarray, truth: np.ndarray, clusters: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Areas and covariance when one patient gives several cases (lesions, regions).

    Parameters
    ----------
    scores : ndarray, shape (cells, cases)
    truth, clusters : ndarray, shape (cases,)
        Truth may differ between the regions of a patient.

    Notes
    -----
    Obuchowski 1997 (doi:10.2307/2533958), equations 2 to 5; with one case per patient it is
    DeLong's estimate.
    """
    positive, negative = truth == 1, truth == 0
    v10, v01 = placements(scores[:, positive], scores[:, negative])
    areas = v10.mean(axis=1)
    codes = np.unique(clusters, return_inverse=True)[1]
    total = codes.max() + 1
    m, n = int(positive.sum()), int(negative.sum())
    sums10 = _sum_by(v10 - areas[:, None], codes[positive], total)
    sums01 = _sum_by(v01 - areas[:, None], codes[negative], total)
    with_positive = np.unique(codes[positive]).size
    with_negative = np.unique(codes[negative]).size
    if min(with_positive, with_negative) < 2:
        raise ValueError("expected at least 2 patients with and 2 without the finding")
    s10 = with_positive / ((with_positive - 1) * m) * sums10 @ sums10.T
    s01 = with_negative / ((with_negative - 1) * n) * sums01 @ sums01.T
    s11 = total / (total - 1) * sums10 @ sums01.T
    return areas, s10 / m + s01 / n + (s11 + s11.T) / (m * n)


def _sum_by(values: np.ndarray, codes: np.ndarray, size: int) -> np.ndarray:
    sums = np.zeros((len(values), size))
    np.add.at(sums.T, codes, values.T)
    return sums

"""Cluster-robust errors that stay honest with few clusters: CR2 with Satterthwaite's df."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats


@dataclass(frozen=True)
class RobustFit:
    """Estimates with CR2 standard errors, their degrees of freedom, intervals and p values."""

    estimate: np.ndarray
    covariance: np.ndarray
    se: np.ndarray
    df: np.ndarray
    low: np.ndarray
    high: np.ndarray
    p: np.ndarray


def cr2(
    design: np.ndarray,
    residual: np.ndarray,
    weight: np.ndarray,
    clusters: ArrayLike,
    estimate: np.ndarray,
    *,
    level: float = 0.95,
) -> RobustFit:
    """Bias-reduced cluster-robust inference for a (generalised) linear fit.

    Parameters
    ----------
    design : ndarray, shape (n, p)
    residual : ndarray, shape (n,)
        Observed minus fitted means.
    weight : ndarray, shape (n,)
        Variance function at the fit: 1 for least squares, mu (1 - mu) for logistic.
    clusters : array_like, shape (n,)
    estimate : ndarray, shape (p,)

    Raises
    ------
    ValueError
        With fewer than two clusters.

    Notes
    -----
    Bell & McCaffrey 2002; Pustejovsky & Tipton 2018 (doi:10.1080/07350015.2016.1247004), with
    the working variances as target, as the R package clubSandwich does.

    Examples
    --------
    For a plain mean of equal clusters it is the t interval of the cluster means:

    >>> y = np.array([1.0, 1.0, 3.0, 3.0])
    >>> fit = cr2(np.ones((4, 1)), y - 2, np.ones(4), [1, 1, 2, 2], np.array([2.0]))
    >>> round(float(fit.se[0]), 12), round(float(fit.df[0]), 12)
    (1.0, 1.0)
    """
    labels = np.unique(np.asarray(clusters), return_inverse=True)[1]
    count = labels.max() + 1
    if count < 2:
        raise ValueError("expected at least two clusters for robust errors, got one")
    x = design * weight[:, None]  # slopes of the means; their variances are ``weight``
    bread = np.linalg.inv(design.T @ x)
    root = np.sqrt(weight)
    scores = np.empty((count, design.shape[1]))
    adjusted = []
    for cluster in range(count):
        rows = labels == cluster
        part, scale = x[rows], root[rows]
        inner = np.diag(weight[rows]) - part @ bread @ part.T
        values, vectors = np.linalg.eigh(inner * np.outer(scale, scale))
        floor = 1e-9 * max(values.max(), 1e-300)
        inverse = np.where(values > floor, 1 / np.sqrt(np.maximum(values, floor)), 0.0)
        adjust = ((vectors * inverse) @ vectors.T) * np.outer(scale, scale)
        left = adjust @ (part / weight[rows, None])
        adjusted.append((rows, left))
        scores[cluster] = left.T @ residual[rows]
    meat = scores.T @ scores
    covariance = bread @ meat @ bread
    se = np.sqrt(np.diag(covariance))
    df = np.array([_freedom(x, weight, bread, adjusted, k) for k in range(len(se))])
    half = stats.t.ppf(0.5 + level / 2, df) * se
    p = 2 * stats.t.sf(np.abs(estimate / se), df)
    return RobustFit(estimate, covariance, se, df, estimate - half, estimate + half, p)


def _freedom(
    x: np.ndarray,
    weight: np.ndarray,
    bread: np.ndarray,
    adjusted: list[tuple[np.ndarray, np.ndarray]],
    k: int,
) -> float:
    """Satterthwaite degrees of freedom of one coefficient's CR2 variance."""
    columns = []
    for rows, left in adjusted:
        b = left @ bread[:, k]
        column = -(x / weight[:, None]) @ (bread @ (x[rows].T @ b))
        column[rows] += b
        columns.append(column * np.sqrt(weight))
    gram = np.stack(columns)
    gram = gram @ gram.T
    return float(np.trace(gram) ** 2 / np.sum(gram**2))

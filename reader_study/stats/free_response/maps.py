"""Explanation maps and image metrics scored by what readers marked and rated."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy import ndimage, stats

from reader_study.stats.tables import check_table

# Fewer patients than this give no bootstrap interval.
FEWEST_PATIENTS = 10
# Where more bootstrap draws than this share have no value, the rest give no interval.
MOST_LOST = 0.05


@dataclass(frozen=True)
class Scored:
    """A mean over patients with its patient-bootstrap interval, or the reason for having none."""

    value: float
    low: float | None
    high: float | None
    n_patients: int
    n: int
    note: str


def map_at_marks(
    value_map: np.ndarray,
    marks_zyx: Sequence[Sequence[float]],
    *,
    spacing_mm: Sequence[float],
    radius_mm: float,
    inside: np.ndarray | None = None,
) -> tuple[float, np.ndarray]:
    """How well a map points at marked places: area under its ROC curve, and each mark's rank.

    Parameters
    ----------
    value_map : ndarray, shape (z, y, x)
        Higher means "look here"; give the absolute value of a signed map.
    marks_zyx : voxel positions
    spacing_mm : size of a voxel (z, y, x)
    radius_mm : voxels at this distance or nearer to a mark count as marked
    inside : bool mask of voxels that count at all, such as the lung

    Returns
    -------
    auc : float
        Chance that a marked voxel has a higher value than an unmarked one, ties one half. NaN
        where nothing, or everything, is marked.
    ranks : ndarray, shape (marks,)
        For each mark, the share of unmarked voxels below the highest value near it; NaN for a
        mark outside ``inside``.

    Raises
    ------
    ValueError
        For a mark outside the image, shapes that differ, or values that are not finite.

    Examples
    --------
    >>> bright = np.zeros((1, 3, 3)); bright[0, 1, 1] = 5.0
    >>> map_at_marks(bright, [(0, 1, 1)], spacing_mm=(1, 1, 1), radius_mm=0.5)
    (1.0, array([1.]))
    """
    values = np.asarray(value_map, dtype=float)
    counted = np.ones(values.shape, bool) if inside is None else np.asarray(inside, bool)
    _check_map(values, counted, radius_mm)
    near = [_ball(values.shape, mark, spacing_mm, radius_mm) & counted for mark in marks_zyx]
    marked = np.any(near, axis=0) if near else np.zeros(values.shape, bool)
    others = np.sort(values[counted & ~marked])
    ranks = np.array([_rank(values[ball], others) for ball in near])
    if not marked.any() or others.size == 0:
        return np.nan, ranks
    own = values[marked]
    below = np.searchsorted(others, own, "left") + np.searchsorted(others, own, "right")
    return float(below.mean() / (2 * others.size)), ranks


def _check_map(values: np.ndarray, counted: np.ndarray, radius_mm: float) -> None:
    if values.ndim != 3 or counted.shape != values.shape:
        raise ValueError(
            f"expected a map and a mask of one shape (z, y, x), got {values.shape} and "
            f"{counted.shape}; a single slice has shape (1, y, x)"
        )
    if not counted.any():
        raise ValueError("expected a mask with at least one voxel inside, but it is empty")
    if not np.isfinite(values).all():
        raise ValueError("expected a map of finite values; replace NaN before scoring it")
    if not radius_mm > 0:
        raise ValueError(f"expected a radius above 0 mm, got {radius_mm}")


def _ball(
    shape: tuple[int, ...], mark: Sequence[float], spacing_mm: Sequence[float], radius_mm: float
) -> np.ndarray:
    centre = np.asarray(mark, dtype=float)
    if centre.shape != (3,) or (centre < -0.5).any() or (centre > np.array(shape) - 0.5).any():
        raise ValueError(f"expected a mark (z, y, x) inside the image {shape}, got {tuple(mark)}")
    squares = [
        ((np.arange(n) - c) * mm) ** 2 for n, c, mm in zip(shape, centre, spacing_mm, strict=True)
    ]
    distance = squares[0][:, None, None] + squares[1][None, :, None] + squares[2][None, None]
    ball = distance <= radius_mm**2
    if not ball.any():  # a radius under half a voxel still means the voxel that was clicked
        ball[tuple(np.rint(centre).astype(int))] = True
    return np.asarray(ball)


def _rank(own: np.ndarray, others: np.ndarray) -> float:
    if own.size == 0 or others.size == 0:
        return np.nan
    best = own.max()
    both = np.searchsorted(others, best, "left") + np.searchsorted(others, best, "right")
    return float(both / (2 * others.size))


def map_peaks(
    value_map: np.ndarray,
    *,
    spacing_mm: Sequence[float],
    apart_mm: float,
    most: int = 20,
    inside: np.ndarray | None = None,
) -> pd.DataFrame:
    """The highest local maxima of a map as marks: ``z, y, x`` in mm and ``rating``.

    Parameters
    ----------
    apart_mm : peaks nearer than this to a higher one are left out
    most : peaks kept

    Examples
    --------
    >>> bright = np.zeros((1, 9, 9)); bright[0, 2, 2], bright[0, 6, 6] = 3.0, 5.0
    >>> map_peaks(bright, spacing_mm=(1, 2, 2), apart_mm=4)[["y", "x", "rating"]].values.tolist()
    [[12.0, 12.0, 5.0], [4.0, 4.0, 3.0]]
    """
    values = np.asarray(value_map, dtype=float)
    counted = np.ones(values.shape, bool) if inside is None else np.asarray(inside, bool)
    _check_map(values, counted, apart_mm)
    reach = [int(apart_mm // mm) for mm in spacing_mm]
    offsets = np.indices([2 * r + 1 for r in reach]).reshape(3, -1).T - reach
    near = ((offsets * np.asarray(spacing_mm)) ** 2).sum(axis=1) <= apart_mm**2
    footprint = near.reshape([2 * r + 1 for r in reach])
    shown = np.where(counted, values, -np.inf)
    peak = (shown == ndimage.maximum_filter(shown, footprint=footprint)) & counted
    peak &= shown > values[counted].min()  # a flat background is no peak
    places = np.argwhere(peak)
    order = np.argsort(-values[peak], kind="stable")[:most]
    table = pd.DataFrame(places[order] * np.asarray(spacing_mm, float), columns=["z", "y", "x"])
    return table.assign(rating=values[peak][order])


def rank_agreement(
    scores: pd.DataFrame,
    *,
    metric: str,
    rating: str = "rating",
    rng: np.random.Generator,
    replicates: int = 2000,
) -> Scored:
    """Spearman's correlation of an image metric with readers' mean ratings.

    Parameters
    ----------
    scores : DataFrame
        ``patient``, the metric and the rating; one row per image (mean over readers).

    Returns
    -------
    Scored
        With a bootstrap over patients. A constant column has no correlation: NaN and a note.

    Examples
    --------
    >>> scores = pd.DataFrame({"patient": list("abc"), "psnr": [30.0, 31, 33],
    ...                        "rating": [2, 3, 5]})
    >>> result = rank_agreement(scores, metric="psnr", rng=np.random.default_rng(1))
    >>> round(result.value, 9), result.low, result.note
    (1.0, None, 'no interval: expected 10 patients or more, got 3')
    """
    table = check_table(
        scores,
        columns=["patient", metric, rating],
        numeric=[metric, rating],
        filled=["patient", metric, rating],
    )

    def correlation(rows: pd.DataFrame) -> float:
        if rows[metric].nunique() < 2 or rows[rating].nunique() < 2:
            return np.nan
        return float(stats.spearmanr(rows[metric], rows[rating]).statistic)

    return over_patients(table, correlation, rng=rng, replicates=replicates)


def over_patients(
    table: pd.DataFrame,
    statistic: Callable[[pd.DataFrame], float],
    *,
    rng: np.random.Generator,
    replicates: int = 2000,
    level: float = 0.95,
) -> Scored:
    """A statistic of rows with a percentile bootstrap that draws whole patients.

    Parameters
    ----------
    table : DataFrame with a column ``patient``
    statistic : function of a table; NaN where it is not defined (such draws are left out and
        counted; with more than 5 % of them there is no interval)
    """
    value = float(statistic(table))
    groups = list(table.groupby("patient", sort=True).indices.values())
    n = len(groups)
    if not np.isfinite(value):
        return Scored(value, None, None, n, len(table), "not defined: nothing varies")
    if n < FEWEST_PATIENTS:
        note = f"no interval: expected {FEWEST_PATIENTS} patients or more, got {n}"
        return Scored(value, None, None, n, len(table), note)
    resampled = np.array(
        [
            statistic(table.iloc[np.concatenate([groups[i] for i in rng.integers(n, size=n)])])
            for _ in range(replicates)
        ]
    )
    resampled = resampled[np.isfinite(resampled)]
    lost = replicates - resampled.size
    note = f"{lost} of {replicates} bootstrap draws were not defined" if lost else ""
    if lost > MOST_LOST * replicates:
        return Scored(value, None, None, n, len(table), f"no interval: {note}")
    low, high = np.quantile(resampled, [(1 - level) / 2, (1 + level) / 2])
    if high - low <= 1e-12 * max(abs(value), 1.0):
        note = "every draw of patients gives the same: an interval without width says nothing"
    return Scored(value, float(low), float(high), n, len(table), note)


def score_maps(
    maps: Mapping[str, np.ndarray],
    marks: pd.DataFrame,
    *,
    spacing_mm: Mapping[str, Sequence[float]],
    radius_mm: float,
    rng: np.random.Generator,
    replicates: int = 2000,
) -> tuple[pd.DataFrame, Scored]:
    """Area under the ROC curve of each case's map against its marks, and their patient mean.

    Parameters
    ----------
    maps : case -> map (z, y, x)
    marks : DataFrame
        ``case, patient, z, y, x`` in voxels, such as the marks adjudicated true-added.
    spacing_mm : case -> voxel size

    Returns
    -------
    per_case : DataFrame
        ``case, patient, n_marks, auc``
    mean : Scored

    Raises
    ------
    ValueError
        For marks in a case without a map, with row numbers.

    Examples
    --------
    The map is high where the mark is:

    >>> hot = np.zeros((1, 9, 9))
    >>> hot[0, 2:5, 2:5] = 1.0
    >>> marks = pd.DataFrame({"case": ["A"], "patient": ["P1"], "z": [0], "y": [3], "x": [3]})
    >>> shared = {"spacing_mm": {"A": (1.0, 1.0, 1.0)}, "rng": np.random.default_rng(0)}
    >>> per_case, _ = score_maps({"A": hot}, marks, radius_mm=1.0, **shared)
    >>> per_case["auc"].round(2).tolist()
    [0.97]
    """
    table = check_table(
        marks,
        columns=["case", "patient", "z", "y", "x"],
        numeric=["z", "y", "x"],
        filled=["case", "patient", "z", "y", "x"],
    )
    lost = sorted(set(table["case"]) - set(maps))
    if lost:
        raise ValueError(
            f"expected a map for every marked case, but none for {', '.join(lost[:5])}"
        )
    rows = []
    for case, part in table.groupby("case", sort=True):
        name = str(case)
        auc, _ = map_at_marks(
            maps[name],
            part[["z", "y", "x"]].to_numpy(),
            spacing_mm=spacing_mm[name],
            radius_mm=radius_mm,
        )
        rows.append((name, part["patient"].iloc[0], len(part), auc))
    per_case = pd.DataFrame(rows, columns=["case", "patient", "n_marks", "auc"])
    per_patient = per_case.groupby("patient", as_index=False)["auc"].mean()
    defined = per_patient.dropna(subset=["auc"])
    if defined.empty:
        note = "not defined: in every case nothing or everything is marked"
        return per_case, Scored(np.nan, None, None, 0, 0, note)
    mean = over_patients(defined, lambda t: float(t["auc"].mean()), rng=rng, replicates=replicates)
    lost = int(per_case["auc"].isna().sum())
    if lost:
        said = f"{lost} of {len(per_case)} cases left out: nothing or everything is marked"
        mean = replace(mean, note="; ".join(part for part in (said, mean.note) if part))
    return per_case, mean

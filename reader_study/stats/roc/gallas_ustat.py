"""Gallas' U-statistic analysis of areas: unbalanced and incomplete studies.

The area of an arm is the share won over all (reader, non-diseased, diseased) triples that
were read. Its variance follows from products of two triples that share the reader, the
cases, some of them, or nothing.
"""

from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd
from scipy import stats

from reader_study.stats.roc.obuchowski_rockette import (
    NEGLIGIBLE,
    NO_WIDTH,
    Mrmc,
    few_readers_note,
    joined_notes,
)
from reader_study.stats.roc.readings import Readings

# Subsets of (reader, non-diseased, diseased) that two triples may share.
SHARED = [(r, n, d) for r in (0, 1) for n in (0, 1) for d in (0, 1)]


@dataclass(frozen=True)
class _Arm:
    won: np.ndarray  # (reader, non-diseased, diseased), 0 where not read
    read: np.ndarray


def ustat_analysis(readings: Readings, *, level: float = 0.95) -> Mrmc:
    """Areas pooled over all triples that were read, with random readers and cases.

    Parameters
    ----------
    readings : Readings
        Any pattern of missing readings; each arm needs readers with both kinds of case.

    Returns
    -------
    Mrmc
        ``figures`` holds each reader's own area; readers with more cases weigh more in the
        arm's area. The overall test is a Wald F on the smallest degrees of freedom of the
        pairs, from the pairs' variances: of two arms it is the square of their t.

    Notes
    -----
    Gallas 2006 (doi:10.1016/j.acra.2005.11.030); unbalanced designs: Gallas & Brown 2008
    (doi:10.1016/j.neunet.2007.12.014). Degrees of freedom are Satterthwaite's for the shares
    of the variance that carry the reader, the non-diseased and the diseased case, never fewer
    than the smallest number of levels less one; in complete studies they are those of
    Obuchowski, Gallas & Hillis 2012 (doi:10.1016/j.acra.2012.09.012). With missing readings
    the variance is guarded from below (:func:`_spread`).
    """
    if len(readings.arms) < 2:
        raise ValueError("expected at least two arms to compare, got one")
    truth = readings.truth
    size = (len(readings.readers), int((truth == 0).sum()), int((truth == 1).sum()))
    arms = [_arm(readings, i) for i in range(len(readings.arms))]
    areas = np.array([arm.won.sum() / arm.read.sum() for arm in arms])
    parts = {(i, k): _parts(arms[i], arms[k]) for i in range(len(arms)) for k in range(i + 1)}
    means = [
        (
            name,
            areas[i],
            *_interval(areas[i], _spread(parts[i, i], [(1.0, arms[i])], size), level)[:4],
        )
        for i, name in enumerate(readings.arms)
    ]
    rows, spreads = [], {}
    for i, k in combinations(range(len(arms)), 2):
        of_pair = {s: parts[i, i][s] + parts[k, k][s] - 2 * parts[k, i][s] for s in SHARED[1:]}
        signed = [(1.0, arms[i]), (-1.0, arms[k])]
        spreads[i, k] = _spread(of_pair, signed, size)
        interval = _interval(areas[i] - areas[k], spreads[i, k], level)
        rows.append((readings.arms[i], readings.arms[k], areas[i] - areas[k], *interval))
    names = ["difference", "se", "df", "low", "high", "t", "p"]
    differences = pd.DataFrame(rows, columns=["first", "second", *names])
    f, df1, df2, p = _overall(areas, spreads, parts, arms)
    arm_means = pd.DataFrame(means, columns=["arm", "mean", "se", "df", "low", "high"])
    arm_means[["low", "high"]] = arm_means[["low", "high"]].clip(0.0, 1.0)
    return Mrmc(
        figures=_reader_areas(readings, arms),
        arm_means=arm_means,
        differences=differences,
        reader_differences=differences.iloc[:0].assign(reader=[]),
        f=f,
        df1=df1,
        df2=df2,
        p=p,
        components={},
        readers="random",
        cases="random",
        design="any",
        method="ustat",
        note=joined_notes(
            few_readers_note(len(readings.readers), "random"),
            NO_WIDTH if (differences["se"] <= 0).any() else "",
            _unread(readings),
        ),
    )


def _unread(readings: Readings) -> str:
    missing = int((~readings.read).sum())
    return f"{missing} of {readings.read.size} readings missing" if missing else ""


def _arm(readings: Readings, index: int) -> _Arm:
    scores = readings.scores[index]
    negative, positive = scores[:, readings.truth == 0], scores[:, readings.truth == 1]
    with np.errstate(invalid="ignore"):
        won = np.sign(positive[:, None, :] - negative[:, :, None]) / 2 + 0.5
    read = np.isfinite(won).astype(float)
    if read.sum() == 0:
        raise ValueError(
            f"arm {readings.arms[index]!r} has no reader with both kinds of case; there is no area"
        )
    return _Arm(np.nan_to_num(won), read)


def _shared_sums(first: np.ndarray, second: np.ndarray) -> dict[tuple[int, int, int], float]:
    """Sums of products over pairs of triples that share exactly the named indices."""
    at_least = {}
    for shared in SHARED:
        summed = tuple(axis for axis in range(3) if not shared[axis])
        at_least[shared] = float(np.sum(first.sum(axis=summed) * second.sum(axis=summed)))
    exactly = {}
    for shared in SHARED:
        exactly[shared] = sum(
            (-1) ** (sum(other) - sum(shared)) * at_least[other]
            for other in SHARED
            if _inside(shared, other)
        )
    return exactly


def _parts(first: _Arm, second: _Arm) -> dict[tuple[int, int, int], float]:
    """Parts of the covariance of two areas, by what two triples share; their sum is all of it.

    Each part is a component (by inclusion and exclusion of the moments) times the chance that
    two triples that were read share at least these indices.
    """
    products = _shared_sums(first.won, second.won)
    counts = _shared_sums(first.read, second.read)
    total = first.read.sum() * second.read.sum()
    if counts[SHARED[0]] < 0.5:
        raise ValueError(
            "expected at least two readers and two cases of either truth in each arm; with fewer "
            "the reader-and-case variance cannot be estimated"
        )
    moment = {s: products[s] / counts[s] if counts[s] > 0.5 else 0.0 for s in SHARED}
    parts = {}
    for shared in SHARED[1:]:
        below = [o for o in SHARED if _inside(o, shared)]
        component = sum((-1) ** (sum(shared) - sum(o)) * moment[o] for o in below)
        chance = sum(counts[o] for o in SHARED if _inside(shared, o)) / total
        parts[shared] = float(component * chance)
    return parts


def _inside(small: tuple[int, int, int], large: tuple[int, int, int]) -> bool:
    return all(a <= b for a, b in zip(small, large, strict=True))


@dataclass(frozen=True)
class _Spread:
    """Variance of an area or a difference from what readers carry, and its degrees of freedom."""

    variance: float
    df: float


def _spread(
    parts: dict[tuple[int, int, int], float],
    signed: list[tuple[float, _Arm]],
    size: tuple[int, ...],
) -> _Spread:
    """Gallas' variance, guarded where readings are missing.

    With missing readings the unbiased reader part can fall far below zero by chance. The
    spread of the readers' own contributions estimates the same part, equals it in complete
    data, and is never negative: the variance of a difference is not let below the one it
    gives, and that of an arm is replaced by it where it is not positive.
    """
    unbiased = sum(parts.values())
    of_readers, effective = _between_readers(signed)
    from_cases = max(sum(value for shared, value in parts.items() if not shared[0]), 0.0)
    guarded = of_readers + from_cases
    complete = all(arm.read.all() for _, arm in signed)
    trusted = unbiased > 0 and (complete or len(signed) == 1)
    variance = unbiased if trusted else max(unbiased, guarded)
    spread = of_readers**2 / (effective - 1)
    for axis in (1, 2):
        carried = sum(value for shared, value in parts.items() if shared[axis])
        spread += carried**2 / (size[axis] - 1)
    fewest = float(min(effective - 1, size[1] - 1, size[2] - 1))
    numerator = (unbiased if complete else guarded) ** 2
    return _Spread(variance, max(numerator / spread, fewest) if spread > 0 else fewest)


def _pull(signed: list[tuple[float, _Arm]]) -> tuple[np.ndarray, np.ndarray]:
    """What each reader adds to the signed sum of pooled areas, and his weight in it."""
    readers = signed[0][1].won.shape[0]
    pull, weight = np.zeros(readers), np.zeros(readers)
    for sign, arm in signed:
        total = arm.read.sum()
        own = arm.read.sum(axis=(1, 2))
        pull += sign * (arm.won.sum(axis=(1, 2)) - arm.won.sum() / total * own) / total
        weight += own / total / len(signed)
    return pull, weight


def _between_readers(signed: list[tuple[float, _Arm]]) -> tuple[float, float]:
    """Variance of the pooled area between readers, and how many readers it rests on."""
    pull, weight = _pull(signed)
    readers = pull.size
    return float(readers / (readers - 1) * np.sum(pull**2)), float(1 / np.sum(weight**2))


def _interval(value: float, spread: _Spread, level: float) -> tuple[float, ...]:
    se = float(np.sqrt(spread.variance)) if spread.variance > NEGLIGIBLE else 0.0
    half = float(stats.t.ppf(0.5 + level / 2, spread.df)) * se
    t = value / se if se > 0 else (np.nan if value == 0 else np.inf * np.sign(value))
    p = float(2 * stats.t.sf(abs(t), spread.df)) if np.isfinite(t) else np.nan
    p = 1.0 if np.isnan(t) else p
    return se, spread.df, value - half, value + half, t, p


def _overall(
    areas: np.ndarray,
    spreads: dict[tuple[int, int], _Spread],
    parts: dict[tuple[int, int], dict[tuple[int, int, int], float]],
    arms: list[_Arm],
) -> tuple[float, float, float, float]:
    """Wald's F of equal areas from the very variances that the pairs are judged by.

    The covariance of two differences from the first arm follows from the guarded variances of
    three pairs. Where these contradict each other (a negative direction), readers' own
    contributions and the cases' part, which cannot, stand in their place.
    """
    count = len(areas)
    pair = np.zeros((count, count))
    for (i, k), spread in spreads.items():
        pair[i, k] = pair[k, i] = spread.variance if spread.variance > NEGLIGIBLE else 0.0
    cover = (pair[1:, [0]] + pair[[0], 1:] - pair[1:, 1:]) / 2
    df1, df2 = float(count - 1), min(spread.df for spread in spreads.values())
    effect = areas[1:] - areas[0]
    if np.linalg.eigvalsh(cover)[0] <= 1e-9 * np.trace(cover) and count > 2:
        pulls = np.array([_pull([(1.0, arm)])[0] for arm in arms])
        readers = pulls.shape[1]
        of_cases = np.array(
            [
                [
                    sum(v for s, v in parts[max(i, k), min(i, k)].items() if not s[0])
                    for k in range(count)
                ]
                for i in range(count)
            ]
        )
        values, vectors = np.linalg.eigh(of_cases)
        whole = readers / (readers - 1) * pulls @ pulls.T
        whole += (vectors * np.maximum(values, 0.0)) @ vectors.T
        contrast = np.eye(count)[1:] - np.eye(count)[0]
        cover = contrast @ whole @ contrast.T
    if not np.trace(cover) > NEGLIGIBLE:
        return (np.nan, df1, df2, 1.0) if not effect.any() else (np.inf, df1, df2, np.nan)
    f = float(effect @ np.linalg.pinv(cover, hermitian=True) @ effect / df1)
    return f, df1, df2, float(stats.f.sf(f, df1, df2))


def _reader_areas(readings: Readings, arms: list[_Arm]) -> pd.DataFrame:
    with np.errstate(invalid="ignore"):
        areas = [arm.won.sum(axis=(1, 2)) / arm.read.sum(axis=(1, 2)) for arm in arms]
    return pd.DataFrame(
        np.array(areas).T, index=list(readings.readers), columns=list(readings.arms)
    )

"""Paired tests when pairs come in clusters: lesions of a patient, readers of a case."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import stats

from reader_study.stats.tables import (
    as_numbers,
    check_levels,
    check_table,
    refuse,
)

SignedRankMethod = Literal["rgl", "ds"]
McNemarMethod = Literal["mcnemar", "eliasziw", "obuchowski", "durkalski", "yang"]
MCNEMAR: tuple[McNemarMethod, ...] = (
    "mcnemar",
    "eliasziw",
    "obuchowski",
    "durkalski",
    "yang",
)
# Below this many discordant pairs the large-sample McNemar test is not to be trusted.
FEW_DISCORDANT = 25
# From this many clusters on the normal and chi-squared limits may be trusted.
FEW_CLUSTERS = 15


@dataclass(frozen=True)
class ClusteredTest:
    """A test over clusters; ``note`` warns where clusters are few."""

    method: str
    statistic: float
    p: float
    n: int
    n_zero: int
    n_clusters: int
    note: str


def _note(clusters: int) -> str:
    if clusters >= FEW_CLUSTERS:
        return ""
    return (
        f"{clusters} clusters: the large-sample p value is too small below about {FEW_CLUSTERS}; "
        "use it as a description"
    )


def clustered_signed_rank(
    differences: ArrayLike, clusters: ArrayLike, *, method: SignedRankMethod = "ds"
) -> ClusteredTest:
    """Signed-rank test of differences that come in clusters.

    Parameters
    ----------
    differences : array_like, shape (n,)
        NaN is left out.
    clusters : array_like, shape (n,)
    method : "rgl" drops zero differences and weighs clusters of unequal size by their
        intraclass correlation; "ds" keeps zeros and lets each cluster count once

    Returns
    -------
    ClusteredTest
        Statistic and p are normal. Without a difference other than zero it is 0 with p 1.

    Notes
    -----
    Rosner, Glynn & Lee 2006 (doi:10.1111/j.1541-0420.2005.00389.x); Datta & Satten 2008
    (doi:10.1111/j.1541-0420.2007.00923.x). Both agree with the R package clusrank.

    Examples
    --------
    Clusters of one: the signed ranks 1, 2, 3 over the root of their squares.

    >>> round(clustered_signed_rank([1, 2, 3], [1, 2, 3], method="rgl").statistic**2, 6)
    2.571429
    """
    d = np.asarray(differences, dtype=float)
    label = np.asarray(clusters)
    if d.shape != label.shape or d.ndim != 1:
        raise ValueError(f"expected one cluster per difference, got {label.shape} for {d.shape}")
    label, d = label[~np.isnan(d)], d[~np.isnan(d)]
    if d.size == 0:
        raise ValueError("expected at least one pair of ratings, got none")
    if method not in ("rgl", "ds"):
        raise ValueError(f"expected rgl or ds, got {method!r}")
    count = np.unique(label).size
    zero = int((d == 0).sum())
    if zero == d.size:
        return ClusteredTest(method, 0.0, 1.0, d.size, zero, count, _note(count))
    z = _rosner_glynn_lee(d, label) if method == "rgl" else _datta_satten(d, label)
    return ClusteredTest(
        method, z, float(2 * stats.norm.sf(abs(z))), d.size, zero, count, _note(count)
    )


def _rosner_glynn_lee(d: np.ndarray, label: np.ndarray) -> float:
    kept = d != 0
    code = np.unique(label[kept], return_inverse=True)[1]
    signed = np.sign(d[kept]) * stats.rankdata(np.abs(d[kept]))
    size = np.bincount(code).astype(float)
    total = np.bincount(code, signed)
    if (size == size[0]).all():
        return float(total.sum() / np.sqrt(np.sum(total**2)))
    mean = total / size
    weight = size / (1 + (size - 1) * _intraclass(signed, code, size, mean))
    return float(np.sum(weight * mean) / np.sqrt(np.sum((weight * mean) ** 2)))


def _intraclass(signed: np.ndarray, code: np.ndarray, size: np.ndarray, mean: np.ndarray) -> float:
    """Intraclass correlation of signed ranks, corrected for few clusters, in [0, 1]."""
    n, m = signed.size, size.size
    if m < 3 or n == m:
        return 0.0
    inside = np.sum((signed - mean[code]) ** 2)
    between = (np.sum((signed - signed.mean()) ** 2) - inside) / (m - 1)
    within = inside / (n - m)
    typical = (n - np.sum(size**2) / n) / (m - 1)
    extra = (between - within) / typical
    if extra <= 0:
        return 0.0
    rho = extra / (extra + within)
    return float(min(rho * (1 + (1 - rho**2) / (m - 2.5)), 1.0))


def _datta_satten(d: np.ndarray, label: np.ndarray) -> float:
    code = np.unique(label, return_inverse=True)[1]
    size = np.bincount(code).astype(float)
    clusters, sign, magnitude = size.size, np.sign(d), np.abs(d)
    reached = np.zeros(d.size)
    own = np.zeros(d.size)
    for cluster in range(clusters):
        inside = np.sort(magnitude[code == cluster])
        share = _middle_share(inside, magnitude)
        reached += share
        own[code == cluster] = share[code == cluster]
    statistic = np.sum(np.bincount(code, sign * (1 + reached - own)) / size)
    pooled = _middle_share(np.sort(magnitude), magnitude)
    parts = np.bincount(code, sign * (1 + (clusters - 1) * pooled)) / size
    return float(statistic / np.sqrt(np.sum(parts**2)))


def _middle_share(ordered: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Mean of the shares at most and less than each point."""
    upto = np.searchsorted(ordered, points, side="right")
    below = np.searchsorted(ordered, points, side="left")
    return (upto + below) / (2 * ordered.size)


@dataclass(frozen=True)
class ExactMcNemar:
    """McNemar's test given the discordant pairs, which are taken as independent."""

    first_only: int
    second_only: int
    p: float
    mid_p: float
    note: str


def exact_mcnemar(first: ArrayLike, second: ArrayLike) -> ExactMcNemar:
    """Exact and mid-p values of McNemar's test, for few discordant pairs.

    Parameters
    ----------
    first, second : array_like of 0 and 1, shape (n,)

    Notes
    -----
    Exact binomial test of the discordant pairs, by statsmodels; mid-p: Fagerland, Lydersen &
    Laake 2013 (doi:10.1186/1471-2288-13-91), half the chance of what was observed taken off.

    Examples
    --------
    Five pairs, all seen by the first alone: 2 / 2**5, and half of it.

    >>> result = exact_mcnemar([1] * 5, [0] * 5)
    >>> result.p, result.mid_p
    (0.0625, 0.03125)
    """
    from statsmodels.stats.contingency_tables import mcnemar  # slow to import

    x, y = np.asarray(first, dtype=float), np.asarray(second, dtype=float)
    one, other = int(np.sum(x * (1 - y))), int(np.sum((1 - x) * y))
    pairs = one + other
    if pairs == 0:
        return ExactMcNemar(0, 0, 1.0, 1.0, "no pair differs: nothing to test")
    p = float(mcnemar([[0, one], [other, 0]], exact=True).pvalue)
    chance = float(stats.binom.pmf(one, pairs, 0.5))
    note = (
        ""
        if pairs >= FEW_DISCORDANT
        else (
            f"{pairs} discordant pairs: below {FEW_DISCORDANT} large-sample p values may be far "
            "off; report the exact one"
        )
    )
    return ExactMcNemar(one, other, p, 1 - chance / 2 if one == other else p - chance, note)


def clustered_mcnemar(
    table: pd.DataFrame,
    *,
    first: str,
    second: str,
    cluster: str = "patient",
    method: McNemarMethod = "obuchowski",
) -> ClusteredTest:
    """Paired proportions (lesion seen in either arm) with several lesions per patient.

    Parameters
    ----------
    table : DataFrame
        One row per lesion: the cluster and one 0/1 column per arm.
    method : "obuchowski" (1998), "durkalski" (2003), "yang" (2010), "eliasziw" (1991), or
        "mcnemar", which takes lesions as independent

    Returns
    -------
    ClusteredTest
        ``statistic`` is chi-squared with one degree of freedom; 0 with p 1 when the arms never
        differ. ``n_zero`` counts lesions seen in both or in neither.

    Notes
    -----
    doi:10.1002/(SICI)1097-0258(19980715)17:13<1495::AID-SIM863>3.0.CO;2-I,
    doi:10.1002/sim.1438, doi:10.1002/bimj.201000035, doi:10.1002/sim.4780101211

    Examples
    --------
    One lesion a patient, 9 found by a alone, 1 by b alone: McNemar's 64/10.

    >>> table = pd.DataFrame({"patient": range(10), "a": [1] * 9 + [0], "b": [0] * 9 + [1]})
    >>> clustered_mcnemar(table, first="a", second="b", method="mcnemar").statistic
    6.4
    """
    if method not in MCNEMAR:
        raise ValueError(f"expected a method of {', '.join(MCNEMAR)}, got {method!r}")
    checked = check_table(table, columns=[cluster, first, second], filled=[cluster, first, second])
    for arm in (first, second):
        checked[arm] = as_numbers(checked, arm)
        check_levels(checked, arm, [0, 1], what="seen")
    code = np.unique(checked[cluster].astype(str), return_inverse=True)[1]
    x, y = checked[first].to_numpy(), checked[second].to_numpy()
    counts = np.stack(
        [np.bincount(code, part) for part in (x * y, x * (1 - y), (1 - x) * y, (1 - x) * (1 - y))],
        axis=1,
    )
    clusters = len(counts)
    if clusters < 2 and method != "mcnemar":
        raise ValueError(
            f"expected at least two groups of {cluster!r}, got {clusters}; with one, nothing can "
            "be said of others: report the counts"
        )
    if "lesion" in checked:
        refuse(
            checked.duplicated([cluster, "lesion"], keep=False),
            f"the same {cluster}, lesion occurs more than once",
            "keep one row of each lesion",
        )
    why = _does_not_apply(counts, method)
    statistic = np.nan if why else _mcnemar(counts, method)
    note = "takes lesions of a patient as independent" if method == "mcnemar" else _note(clusters)
    return ClusteredTest(
        method,
        statistic,
        np.nan if why else float(stats.chi2.sf(statistic, 1)),
        len(checked),
        int((x == y).sum()),
        clusters,
        why or note,
    )


def _does_not_apply(counts: np.ndarray, method: str) -> str:
    """Why a clustered test has no answer on these counts; empty where it has."""
    if method == "mcnemar" or not (counts[:, 1] - counts[:, 2]).any():
        return ""
    if method == "eliasziw" and (counts.sum(axis=1) == 1).all():
        return "does not apply: each patient has one lesion, so nothing is clustered; use mcnemar"
    differing = int(((counts[:, 1] + counts[:, 2]) > 0).sum())
    if differing == 1:
        return "does not apply: the arms differ in one patient only; report the counts"
    return ""


def _mcnemar(counts: np.ndarray, method: str) -> float:
    size = counts.sum(axis=1)
    gain = counts[:, 1] - counts[:, 2]
    discordant = counts[:, 1] + counts[:, 2]
    total, clusters = gain.sum(), len(counts)
    if not gain.any():
        return 0.0
    small = (clusters - 1) / clusters
    if method == "obuchowski":
        return float(small * total**2 / np.sum(gain**2))
    if method == "durkalski":
        share = gain / size
        return float(share.sum() ** 2 / np.sum(share**2))
    if method == "yang":
        centred = gain - size * total / size.sum()
        return float(small * total**2 / (0.5 * np.sum(centred**2 + gain**2)))
    plain = float(total**2 / discordant.sum())
    return plain if method == "mcnemar" else plain / _eliasziw_inflation(counts)


def _eliasziw_inflation(counts: np.ndarray) -> float:
    """Design effect of discordant pairs (Eliasziw & Donner 1991, equations 3 and 4)."""
    size, clusters = counts.sum(axis=1), len(counts)
    mean = size.mean()
    typical = mean - np.sum((size - mean) ** 2) / (clusters * (clusters - 1) * mean)
    share = counts.sum(axis=0) / size.sum()
    between = np.sum((counts - size[:, None] * share) ** 2 / size[:, None]) / clusters
    within = np.sum(counts * (size[:, None] - counts) / size[:, None]) / (clusters * (mean - 1))
    rho = (between - within) / (between + (typical - 1) * within)
    if rho <= 0:
        return 1.0
    of_discordant = 1 / (1 + (share[1] + share[2]) * (1 - rho) / rho)
    pairs = counts[:, 1] + counts[:, 2]
    having = int((pairs >= 1).sum())
    if having < 2:
        return 1.0
    average = pairs.sum() / having
    spread = np.sum((pairs - average) ** 2) - (clusters - having) * average**2
    smaller = average - spread / (having * (having - 1) * average)
    effective = smaller + having * (average - smaller)
    return float(1 + (effective - 1) * of_discordant)

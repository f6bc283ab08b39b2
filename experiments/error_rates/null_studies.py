"""Simulated studies in which arms do not differ, one function per main procedure.

Each draws one study and returns the p value of the procedure and whether its 95 % interval
held the true value (``None`` where the procedure has no interval). Effects of readers, cases
and their interaction with arms are present: the null is that arms have no effect on average.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from reader_study.stats.free_response.froc import froc
from reader_study.stats.ordinal.clm import clmm
from reader_study.stats.ordinal.vgc import vgc
from reader_study.stats.paired.bradley_terry import bradley_terry, randomisation_test
from reader_study.stats.paired.clustered import (
    McNemarMethod,
    SignedRankMethod,
    clustered_mcnemar,
    clustered_signed_rank,
)
from reader_study.stats.paired.crossed_mean import crossed_mean
from reader_study.stats.paired.preference_share import proportion_interval
from reader_study.stats.paired.signed_rank import hodges_lehmann, signed_rank
from reader_study.stats.roc.auc_covariance import auc_covariance
from reader_study.stats.roc.gallas_ustat import ustat_analysis
from reader_study.stats.roc.mrmc import noninferiority
from reader_study.stats.roc.obuchowski_rockette import Mrmc, obuchowski_rockette
from reader_study.stats.roc.readings import Readings
from reader_study.stats.roc.variance_components import Cells

Outcome = tuple[float, bool | None]
CUTS = np.array([-1.5, -0.5, 0.5, 1.5])


@dataclass(frozen=True)
class Procedure:
    """One procedure under one design; ``claim`` is "exact", "at most" or "approximate"."""

    name: str
    design: str
    claim: str
    draw: Callable[[np.random.Generator], Outcome]
    cost: int = 1
    level: float = 0.05


def roe_metz(
    rng: np.random.Generator,
    readers: int,
    cases: int,
    *,
    shift: float = 0.0,
    arm_reader: float = 0.17,
) -> tuple[np.ndarray, np.ndarray]:
    """Scores (arm, reader, case) and truth; the second arm separates better by ``shift``."""
    truth = np.arange(cases) % 2
    z = rng.normal
    x = np.zeros((2, readers, cases))
    for t in (0, 1):
        inside = truth == t
        n = int(inside.sum())
        part = t * (1.5 + shift * np.arange(2)[:, None, None])
        part = part + z(size=(1, readers, 1)) * 0.17 + z(size=(2, readers, 1)) * arm_reader
        part = part + z(size=(1, 1, n)) * 0.55 + z(size=(2, 1, n)) * 0.45
        part = part + z(size=(1, readers, n)) * 0.45 + z(size=(2, readers, n)) * 0.5
        x[:, :, inside] = part
    return x, truth


def as_cells(x: np.ndarray, truth: np.ndarray) -> Cells:
    """Areas and DeLong covariances of scores (arm, reader, case)."""
    arms, readers, _ = x.shape
    flat = x.reshape(arms * readers, -1)
    values, covariance = auc_covariance(flat[:, truth == 1], flat[:, truth == 0])
    return Cells(
        ("a", "b"),
        tuple(f"R{j}" for j in range(readers)),
        values.reshape(arms, readers),
        covariance.reshape(arms, readers, arms, readers),
        np.zeros(readers, dtype=int),
    )


def analysed(x: np.ndarray, truth: np.ndarray) -> Mrmc:
    """Obuchowski-Rockette analysis with random readers and cases."""
    return obuchowski_rockette(as_cells(x, truth))


def shift_and_margin() -> tuple[float, float]:
    """A loss of separation, and the loss of area that it means under :func:`roe_metz`."""
    shift = -0.2
    spread = np.sqrt(2 * (2 * 0.17**2 + 0.55**2 + 0.45**2 + 0.45**2 + 0.5**2))
    return shift, float(stats.norm.cdf(1.5 / spread) - stats.norm.cdf((1.5 + shift) / spread))


def obuchowski(readers: int, cases: int) -> Callable[[np.random.Generator], Outcome]:
    """Areas of two arms, Obuchowski-Rockette with random readers and cases."""

    def draw(rng: np.random.Generator) -> Outcome:
        result = analysed(*roe_metz(rng, readers, cases))
        row = result.differences.iloc[0]
        return result.p, bool(row["low"] <= 0 <= row["high"])

    return draw


def noninferior_at_the_margin(rng: np.random.Generator) -> Outcome:
    """Five readers; the first arm is the reference and truly better by exactly the margin."""
    shift, margin = shift_and_margin()
    result = analysed(*roe_metz(rng, 5, 80, shift=shift))
    judged = noninferiority(result, reference="a", new="b", margin=margin)
    return judged.p, bool(judged.low <= -margin <= judged.high)


def unbalanced(rng: np.random.Generator) -> Outcome:
    """Gallas' U-statistics, six readers who read 40 to 90 % of 90 cases, some in one arm only."""
    x, truth = roe_metz(rng, 6, 90)
    for reader in range(6):
        read = rng.random(90) < 0.4 + 0.1 * reader
        x[:, reader, ~read] = np.nan
    x[rng.random(x.shape) < 0.05] = np.nan
    labels = tuple(map(str, range(90)))
    result = ustat_analysis(Readings(("a", "b"), tuple("ABCDEF"), labels, truth, x))
    row = result.differences.iloc[0]
    return float(row["p"]), bool(row["low"] <= 0 <= row["high"])


def free_response(rng: np.random.Generator) -> Outcome:
    """wAFROC, four readers, 60 cases, half of them with one or two lesions."""
    cases = 60
    lesions = np.where(np.arange(cases) % 2, 1 + (np.arange(cases) % 4 == 3), 0)
    rows = []
    hard = rng.normal(size=(cases, 2)) * 0.5
    hard_in = rng.normal(size=(2, cases)) * 0.5
    for reader in range(4):
        skill = rng.normal() * 0.3
        for arm in range(2):
            own = skill + rng.normal() * 0.2
            for case in range(cases):
                for lesion in range(lesions[case]):
                    z = 0.8 + own + hard[case, lesion] + hard_in[arm, case] + rng.normal()
                    if z > 0.3:
                        rows.append((reader, arm, case, "LL", lesion + 1, z))
                rows += [
                    (reader, arm, case, "NL", 0, 0.3 + abs(rng.normal()))
                    for _ in range(rng.poisson(0.7))
                ]
    names = ["reader", "arm", "case", "mark", "lesion", "rating"]
    listed = pd.DataFrame(
        {"case": range(cases), "truth": (lesions > 0).astype(int), "n_lesions": lesions}
    )
    result = froc(pd.DataFrame(rows, columns=names), listed, arms=(0, 1))  # type: ignore[arg-type]  # any labels
    row = result.differences.iloc[0]
    return result.p, bool(row["low"] <= 0 <= row["high"])


def ratings(
    rng: np.random.Generator,
    readers: int,
    cases: int,
    *,
    by_reader: float = 0.0,
    by_case: float = 0.0,
) -> np.ndarray:
    """Ratings 1-5, shape (reader, case, arm), with reader and case effects.

    ``by_reader`` and ``by_case`` are the spreads of an arm's effect over readers and cases.
    """
    latent = rng.normal(size=(readers, 1, 1)) * 0.7 + rng.normal(size=(1, cases, 1)) * 0.7
    latent = latent + rng.normal(size=(readers, 1, 2)) * by_reader
    latent = latent + rng.normal(size=(1, cases, 2)) * by_case
    latent = latent + rng.logistic(size=(readers, cases, 2))
    return 1 + (latent[..., None] > CUTS).sum(axis=-1)


def long_table(grid: np.ndarray) -> pd.DataFrame:
    """``reader, case, arm, rating`` from ratings (reader, case, arm)."""
    reader, case, arm = np.indices(grid.shape).reshape(3, -1)
    names = np.array(["a", "b"])
    return pd.DataFrame({"reader": reader, "case": case, "arm": names[arm], "rating": grid.ravel()})


def rank_of_pairs(rng: np.random.Generator) -> Outcome:
    """Exact Pratt signed-rank test of one reader, 20 cases, five categories."""
    d = np.diff(ratings(rng, 1, 20)[0], axis=1)[:, 0]
    _, low, high = hodges_lehmann(d)
    return signed_rank(d).p, bool(low <= 0 <= high)


def mixed_model(readers: int, cases: int) -> Callable[[np.random.Generator], Outcome]:
    """Wald test of the arm in a CLMM with reader and case effects."""

    def draw(rng: np.random.Generator) -> Outcome:
        fit = clmm(long_table(ratings(rng, readers, cases)), "rating ~ arm + (1|reader) + (1|case)")
        row = fit.coefficients.iloc[0]
        if not fit.converged:
            return float("nan"), None
        return float(row["p"]), bool(row["low"] <= 0 <= row["high"])

    return draw


def grading(by_reader: float) -> Callable[[np.random.Generator], Outcome]:
    """VGC permutation test, five readers, 40 cases."""

    def draw(rng: np.random.Generator) -> Outcome:
        table = long_table(ratings(rng, 5, 40, by_reader=by_reader, by_case=0.3))
        return vgc(table, test="b", reference="a", draws=199, rng=rng).p, None

    return draw


def grading_interval(rng: np.random.Generator) -> Outcome:
    """VGC judged by its t interval, which takes readers as random."""
    table = long_table(ratings(rng, 5, 40, by_reader=0.3, by_case=0.3))
    area = vgc(table, test="b", reference="a", draws=9, rng=rng)
    if area.se == 0:
        return 1.0, area.auc == 0.5
    p = float(2 * stats.t.sf(abs(area.auc - 0.5) / area.se, area.df))
    return p, bool(area.low <= 0.5 <= area.high)


def mean_difference(readers: int, cases: int) -> Callable[[np.random.Generator], Outcome]:
    """Mean rating difference (or log reading time) with random readers and cases."""

    def draw(rng: np.random.Generator) -> Outcome:
        d = np.diff(ratings(rng, readers, cases, by_reader=0.3, by_case=0.3), axis=2)[..., 0]
        reader, case = np.indices(d.shape).reshape(2, -1)
        mean = crossed_mean(d.ravel(), reader, case)
        if not mean.se > 0:
            return float("nan"), None
        p = float(2 * stats.t.sf(abs(mean.mean) / mean.se, mean.df))
        return p, bool(mean.low <= 0 <= mean.high)

    return draw


def clustered(method: SignedRankMethod, clusters: int) -> Callable[[np.random.Generator], Outcome]:
    """Clustered signed-rank test: cases are clusters of 1 to 5 readers' differences."""

    def draw(rng: np.random.Generator) -> Outcome:
        d = np.diff(ratings(rng, 5, clusters, by_case=0.4), axis=2)[..., 0]
        keep = rng.random(d.shape) < 0.7
        keep[0] = True
        case = np.broadcast_to(np.arange(clusters), d.shape)
        return clustered_signed_rank(d[keep], case[keep], method=method).p, None

    return draw


def lesions_of_patients(method: McNemarMethod) -> Callable[[np.random.Generator], Outcome]:
    """Clustered McNemar test: 36 patients with 1 to 5 lesions, seen or not in either arm."""

    def draw(rng: np.random.Generator) -> Outcome:
        patient = np.repeat(np.arange(36), rng.integers(1, 6, 36))
        latent = (rng.normal(size=36) * 0.8)[patient][:, None] + rng.normal(size=(36, 2))[
            patient
        ] * 0.4
        seen = (latent + rng.normal(size=latent.shape) > 0).astype(int)
        table = pd.DataFrame({"patient": patient, "a": seen[:, 0], "b": seen[:, 1]})
        return clustered_mcnemar(table, first="a", second="b", method=method).p, None

    return draw


def choices(rng: np.random.Generator, readers: int, cases: int) -> tuple[np.ndarray, np.ndarray]:
    """Left choices and whether arm a was left, (reader, case); readers differ in taste and pull."""
    left = np.zeros((readers, cases), dtype=bool)
    for row in left:
        row[rng.permutation(cases)[: cases // 2]] = True
    taste = rng.normal(size=(readers, 1)) * 0.35 + rng.normal(size=(1, cases)) * 0.5
    pull = rng.normal(size=(readers, 1)) * 0.3 + 0.2
    chosen = np.where(left, taste, -taste) + pull + rng.logistic(size=left.shape) > 0
    return chosen, left


def share(readers: int, cases: int) -> Callable[[np.random.Generator], Outcome]:
    """Pooled preference share: whether one half lies in its reader-and-case interval."""

    def draw(rng: np.random.Generator) -> Outcome:
        chosen, left = choices(rng, readers, cases)
        won = (chosen == left).astype(float)
        reader, case = np.indices(won.shape).reshape(2, -1)
        low, high, _ = proportion_interval(crossed_mean(won.ravel(), reader, case))
        inside = bool(low <= 0.5 <= high)
        return (1.0 if inside else 0.0), inside

    return draw


def _trials(chosen: np.ndarray, left: np.ndarray) -> pd.DataFrame:
    reader, case = np.indices(left.shape).reshape(2, -1)
    flat = left.ravel()
    return pd.DataFrame(
        {
            "reader": reader,
            "case": case,
            "left": np.where(flat, "a", "b"),
            "right": np.where(flat, "b", "a"),
            "choice": np.where(chosen.ravel(), "left", "right"),
        }
    )


def strengths(rng: np.random.Generator) -> Outcome:
    """Bradley-Terry with position, six readers and 30 cases, CR2 over readers."""
    fit = bradley_terry(_trials(*choices(rng, 6, 30)), reference="a").estimates.iloc[0]
    return float(fit["p"]), bool(fit["low"] <= 0 <= fit["high"])


def exchanged_sides(rng: np.random.Generator) -> Outcome:
    """Randomisation test of a preference, three readers who do not prefer but pull to a side."""
    left = np.stack([rng.permutation(np.repeat([True, False], 10)) for _ in range(3)])
    pull = rng.normal(size=(3, 1)) * 0.8
    chosen = pull + rng.logistic(size=left.shape) > 0
    return randomisation_test(_trials(chosen, left), arm="a", over="b", draws=199, rng=rng)[
        "p"
    ], None


OR, CLMM = "OR random readers and cases", "CLMM, Wald test of the arm"
MEAN = "mean difference, crossed"
PERMUTED, SHARE = "VGC permutation test", "pooled preference share"
PROCEDURES = (
    Procedure(OR, "5 readers, 80 cases", "approximate", obuchowski(5, 80)),
    Procedure(OR, "2 readers, 80 cases", "approximate", obuchowski(2, 80)),
    Procedure(OR, "10 readers, 40 cases", "approximate", obuchowski(10, 40)),
    Procedure(
        "OR non-inferiority at the margin",
        "5 readers, 80 cases, one-sided 2.5 %",
        "approximate",
        noninferior_at_the_margin,
        level=0.025,
    ),
    Procedure(
        "U-statistics, unbalanced", "6 readers, 90 cases, half read", "approximate", unbalanced
    ),
    Procedure("wAFROC", "4 readers, 60 cases", "approximate", free_response, cost=10),
    Procedure("exact signed rank (Pratt)", "1 reader, 20 cases", "at most", rank_of_pairs),
    Procedure(CLMM, "5 readers, 30 cases", "approximate", mixed_model(5, 30), cost=40),
    Procedure(CLMM, "2 readers, 20 cases", "approximate", mixed_model(2, 20), cost=40),
    Procedure(PERMUTED, "5 readers, 40 cases", "exact", grading(0.0), cost=10),
    Procedure(
        PERMUTED, "5 readers, 40 cases, arms vary by reader", "approximate", grading(0.3), cost=10
    ),
    Procedure(
        "VGC t interval",
        "5 readers, 40 cases, arms vary by reader",
        "approximate",
        grading_interval,
        cost=5,
    ),
    Procedure(MEAN, "5 readers, 40 cases", "approximate", mean_difference(5, 40)),
    Procedure(MEAN, "2 readers, 40 cases", "approximate", mean_difference(2, 40)),
    Procedure("clustered signed rank (DS)", "40 clusters", "approximate", clustered("ds", 40)),
    Procedure("clustered signed rank (RGL)", "40 clusters", "approximate", clustered("rgl", 40)),
    Procedure("clustered signed rank (DS)", "8 clusters", "approximate", clustered("ds", 8)),
    Procedure(
        "clustered McNemar (Obuchowski)",
        "36 patients",
        "approximate",
        lesions_of_patients("obuchowski"),
    ),
    Procedure(
        "clustered McNemar (Durkalski)",
        "36 patients",
        "approximate",
        lesions_of_patients("durkalski"),
    ),
    Procedure(SHARE, "6 readers, 40 cases", "at most", share(6, 40)),
    Procedure(SHARE, "2 readers, 40 cases", "at most", share(2, 40)),
    Procedure(
        "Bradley-Terry, CR2 over readers", "6 readers, 30 cases", "approximate", strengths, cost=5
    ),
    Procedure(
        "randomisation test of sides", "3 readers, 20 cases", "at most", exchanged_sides, cost=5
    ),
)

"""Further null studies: other designs, times, bootstraps."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd

from experiments.error_rates.null_studies import (
    Outcome,
    Procedure,
    analysed,
    as_cells,
    lesions_of_patients,
    ratings,
    roe_metz,
    shift_and_margin,
)
from reader_study.stats.agreement.icc import icc
from reader_study.stats.conduct.bang_index import bang_index
from reader_study.stats.conduct.reading_time import time_ratio
from reader_study.stats.free_response.maps import over_patients
from reader_study.stats.ordinal.vgc import Grades, bootstrap_areas
from reader_study.stats.paired.bradley_terry import davidson
from reader_study.stats.paired.signed_rank import friedman
from reader_study.stats.roc.auc_covariance import (
    clustered_auc_covariance,
    jackknife_covariance,
    leave_one_out,
)
from reader_study.stats.roc.mrmc import equivalence, sensitivity_at
from reader_study.stats.roc.obuchowski_rockette import Effect, obuchowski_rockette
from reader_study.stats.roc.variance_components import Cells

NAN = float("nan")


def one_reader(rng: np.random.Generator) -> Outcome:
    """DeLong's test of two areas of one reader, 80 cases."""
    return _outcome(as_cells(*roe_metz(rng, 1, 80, arm_reader=0.0)), "fixed")


def equivalent_at_the_margin(rng: np.random.Generator) -> Outcome:
    """Two one-sided tests at 2.5 %; the arms truly differ by exactly the margin."""
    shift, margin = shift_and_margin()
    result = analysed(*roe_metz(rng, 5, 200, shift=shift))
    judged = equivalence(result, reference="a", new="b", margin=margin, alpha=0.025)
    return judged.p, bool(judged.low <= -margin <= judged.high)


def split_plot(rng: np.random.Generator) -> Outcome:
    """Two blocks of three readers, each with 40 cases of its own."""
    parts = [as_cells(*roe_metz(rng, 3, 40)) for _ in range(2)]
    covariance = np.zeros((2, 6, 2, 6))
    for k, part in enumerate(parts):
        own = slice(3 * k, 3 * k + 3)
        covariance[:, own, :, own] = part.covariance
    values = np.concatenate([part.values for part in parts], axis=1)
    return _outcome(Cells(("a", "b"), tuple("ABCDEF"), values, covariance, np.repeat([0, 1], 3)))


def _outcome(cells: Cells, readers: Effect = "random") -> Outcome:
    result = obuchowski_rockette(cells, readers=readers)
    row = result.differences.iloc[0]
    return result.p, bool(row["low"] <= 0 <= row["high"])


def regions_of_patients(rng: np.random.Generator) -> Outcome:
    """Areas over regions, one to three in each of 60 patients, who differ (Obuchowski 1997)."""
    patient = np.repeat(np.arange(60), rng.integers(1, 4, 60))
    truth = (rng.random(patient.size) < 0.5).astype(int)
    arms, readers = 2, 4
    own = rng.normal(size=60)[patient] * 0.5 + rng.normal(size=(arms, 1, 60))[..., patient] * 0.5
    skill = 1.3 + rng.normal(size=(1, readers, 1)) * 0.2 + rng.normal(size=(arms, readers, 1)) * 0.2
    x = own + truth * skill + rng.normal(size=(arms, readers, patient.size)) * 0.7
    values, covariance = clustered_auc_covariance(x.reshape(arms * readers, -1), truth, patient)
    return _outcome(
        Cells(
            ("a", "b"),
            tuple("ABCD"),
            values.reshape(arms, readers),
            covariance.reshape(arms, readers, arms, readers),
            np.zeros(readers, dtype=int),
        )
    )


def three_arms(rng: np.random.Generator) -> Outcome:
    """Friedman's test, 20 cases in three arms, five categories."""
    latent = rng.normal(size=(20, 1)) * 0.7 + rng.logistic(size=(20, 3))
    return friedman(1 + (latent[..., None] > [-1.5, -0.5, 0.5, 1.5]).sum(axis=-1))[2], None


def readers_in_arms(rng: np.random.Generator) -> Outcome:
    """Five readers of either arm, nobody of both, all on the same 60 cases."""
    whole = as_cells(*roe_metz(rng, 10, 60))
    values = whole.values.copy()
    values[0, 5:] = values[1, :5] = np.nan
    return _outcome(replace(whole, values=values, nested_readers=True))


def sensitivities(rng: np.random.Generator) -> Outcome:
    """Shares of 40 cases with the finding that are called, covariances by the jackknife."""
    x, truth = roe_metz(rng, 5, 80)
    flat = x.reshape(10, -1)[:, truth == 1]
    values, left_out = leave_one_out(flat, truth[truth == 1], sensitivity_at(1.0))
    covariance = jackknife_covariance(left_out).reshape(2, 5, 2, 5)
    blocks = np.zeros(5, dtype=int)
    return _outcome(Cells(("a", "b"), tuple("ABCDE"), values.reshape(2, 5), covariance, blocks))


def ties(readers: int) -> Callable[[np.random.Generator], Outcome]:
    """Davidson's strengths, readers who pull to a side and tie, no arm preferred."""

    def draw(rng: np.random.Generator) -> Outcome:
        left = rng.permuted(np.tile([True, False], (readers, 15)), axis=1)
        pull = rng.normal(size=(readers, 1)) * 0.3 + rng.logistic(size=left.shape)
        taste = rng.normal(size=(readers, 1)) * 0.3 * np.where(left, 1, -1)
        choice = np.select([pull + taste > 0.5, pull + taste < -0.5], ["left", "right"], "tie")
        reader, case = np.indices(left.shape).reshape(2, -1)
        table = pd.DataFrame({"reader": reader, "case": case, "choice": choice.ravel()})
        table["left"] = np.where(left.ravel(), "a", "b")
        table["right"] = np.where(left.ravel(), "b", "a")
        fit = davidson(table, reference="a").estimates.iloc[0]
        return float(fit["p"]), bool(fit["low"] <= 0 <= fit["high"])

    return draw


def map_areas(rng: np.random.Generator) -> Outcome:
    """Mean area of maps over 30 patients, percentile bootstrap over patients."""
    table = pd.DataFrame({"patient": np.arange(30), "auc": rng.beta(6, 2, 30)})
    area = over_patients(
        table, lambda t: float(t["auc"].to_numpy().mean()), rng=rng, replicates=199
    )
    return NAN, bool(area.low <= 0.75 <= area.high)  # type: ignore[operator]  # there is one


def reading_times(rng: np.random.Generator) -> Outcome:
    """Ratio of geometric means, five readers, 40 cases; readers respond differently to an arm."""
    shape = (5, 40, 2)
    logs = rng.normal(size=(5, 1, 1)) * 0.4 + rng.normal(size=(1, 40, 1)) * 0.3
    logs = logs + rng.normal(size=(5, 1, 2)) * 0.1 + rng.normal(size=shape) * 0.4
    reader, case, arm = np.indices(shape).reshape(3, -1)
    times = pd.DataFrame(
        {
            "reader": reader,
            "case": case,
            "arm": np.array(["a", "b"])[arm],
            "seconds": np.exp(3 + logs).ravel(),
        }
    )
    ratio = time_ratio(times, first="a", second="b")
    return ratio.p, bool(ratio.low <= 1 <= ratio.high)


def percentile_areas(rng: np.random.Generator) -> Outcome:
    """Percentile interval of the VGC area by the reader-and-case bootstrap."""
    grid = ratings(rng, 5, 40, by_reader=0.3, by_case=0.3) - 1
    grades = Grades(tuple(range(5)), tuple(range(40)), grid[..., 1], grid[..., 0], np.arange(5))
    low, high = np.quantile(bootstrap_areas(grades, 400, rng, True, None), [0.025, 0.975])
    return NAN, bool(low <= 0.5 <= high)


def guesses(rng: np.random.Generator) -> Outcome:
    """Bang's index of 40 guesses, a fifth of them "do not know"."""
    said = rng.choice(["a", "b", ""], 40, p=[0.4, 0.4, 0.2])
    table = pd.DataFrame({"arm": "a", "guess": pd.Series(said).mask(said == "")})
    row = bang_index(table).iloc[0]
    return NAN, bool(row["low"] <= 0 <= row["high"])


def intraclass(rng: np.random.Generator) -> Outcome:
    """ICC(2,1) of four raters, 40 subjects; truth 1 / (1 + 0.2 + 0.5)."""
    x = rng.normal(size=(40, 1)) + rng.normal(size=(1, 4)) * np.sqrt(0.2)
    x = x + rng.normal(size=(40, 4)) * np.sqrt(0.5)
    row = icc(pd.DataFrame(x, columns=list("WXYZ"))).set_index("type").loc["ICC2"]
    return NAN, bool(row["low"] <= 1 / 1.7 <= row["high"])


def these_readers(rng: np.random.Generator) -> Outcome:
    """Fixed readers: arms that are alike for each of them, cases random."""
    result = obuchowski_rockette(as_cells(*roe_metz(rng, 5, 80, arm_reader=0.0)), readers="fixed")
    row = result.differences.iloc[0]
    return result.p, bool(row["low"] <= 0 <= row["high"])


PROCEDURES = (
    Procedure("OR fixed readers", "5 readers, 80 cases", "approximate", these_readers),
    Procedure("DeLong, one reader", "1 reader, 80 cases", "approximate", one_reader),
    Procedure(
        "OR equivalence at the margin",
        "5 readers, 200 cases, two one-sided 2.5 %",
        "approximate",
        equivalent_at_the_margin,
        level=0.025,
    ),
    Procedure(
        "OR split-plot", "2 blocks of 3 readers and 40 cases", "approximate", split_plot, cost=5
    ),
    Procedure(
        "OR, regions of patients",
        "4 readers, 60 patients",
        "approximate",
        regions_of_patients,
        cost=5,
    ),
    Procedure("Friedman", "20 cases, 3 arms", "approximate", three_arms),
    Procedure(
        "clustered McNemar (Yang)", "36 patients", "approximate", lesions_of_patients("yang")
    ),
    Procedure(
        "clustered McNemar (Eliasziw)",
        "36 patients",
        "approximate",
        lesions_of_patients("eliasziw"),
    ),
    Procedure("reading-time ratio", "5 readers, 40 cases", "approximate", reading_times, cost=5),
    Procedure(
        "VGC bootstrap interval",
        "5 readers, 40 cases, arms vary by reader",
        "approximate",
        percentile_areas,
        cost=5,
    ),
    Procedure("Bang's index, interval", "40 guesses", "approximate", guesses),
    Procedure("ICC(2,1), interval", "4 raters, 40 subjects", "approximate", intraclass, cost=2),
    Procedure(
        "OR readers nested in arms",
        "2 x 5 readers, 60 cases",
        "approximate",
        readers_in_arms,
        cost=5,
    ),
    Procedure(
        "OR sensitivity at a threshold",
        "5 readers, 40 cases with the finding",
        "approximate",
        sensitivities,
        cost=5,
    ),
    Procedure("Davidson, CR2 over readers", "8 readers, 30 cases", "approximate", ties(8), cost=5),
    Procedure("map areas, patient bootstrap", "30 patients", "approximate", map_areas, cost=20),
)

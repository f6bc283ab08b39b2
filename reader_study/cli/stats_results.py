"""What the statistics commands print: results as plain dictionaries that JSON can hold."""

from collections.abc import Callable
from dataclasses import asdict
from itertools import combinations
from typing import Any, Literal

import numpy as np
import pandas as pd

from reader_study.cli.stats_agreement import two_arms
from reader_study.stats.free_response.froc import Fom, froc
from reader_study.stats.ordinal.clm import clm, clmm
from reader_study.stats.ordinal.vgc import vgc
from reader_study.stats.paired.bradley_terry import (
    PairedStrengths,
    bradley_terry,
    davidson,
    randomisation_test,
)
from reader_study.stats.paired.clustered import (
    MCNEMAR,
    clustered_mcnemar,
    clustered_signed_rank,
    exact_mcnemar,
)
from reader_study.stats.paired.crossed_mean import FEW_READERS
from reader_study.stats.paired.preference_share import (
    pooled_share,
    position_effect,
    share_per_reader,
)
from reader_study.stats.paired.signed_rank import Zeros, hodges_lehmann, signed_rank
from reader_study.stats.proportions import clustered_share
from reader_study.stats.roc.ai_versus_readers import ai_versus_readers
from reader_study.stats.roc.mrmc import Method, figure_named, mrmc, noninferiority
from reader_study.stats.roc.obuchowski_rockette import Effect, Mrmc
from reader_study.stats.tables import as_numbers, check_levels, check_scale, check_table


def as_planned(
    table: pd.DataFrame, *, arms: str = "", scale: str = "", rating: str = "rating"
) -> pd.DataFrame:
    """The table, unless it holds an arm or an answer that was not planned, which is refused by row.

    Parameters
    ----------
    arms : ``"a,b,..."``, empty: any
    scale : ``"lowest,highest"`` of the column ``rating``, empty: any
    """
    allowed = [name.strip() for name in arms.split(",")] if arms else []
    for column in ("arm", "left", "right"):
        if allowed and column in table:
            text = table.assign(**{column: table[column].astype("string")})
            check_levels(text, column, allowed, what="arms")
    if scale:
        ends = pd.to_numeric(pd.Series(scale.split(",")), errors="coerce")
        if len(ends) != 2 or ends.isna().any() or ends[0] >= ends[1]:
            raise ValueError(f"expected --scale lowest,highest such as 1,5, got {scale!r}")
        check_table(table, columns=[rating])
        check_scale(table, rating, lowest=ends[0], highest=ends[1])
    return table


def read_levels(levels: list[str] | None) -> dict[str, list[str]]:
    """``["arm=a,b"]`` as ``{"arm": ["a", "b"]}``."""
    orders = {}
    for text in levels or []:
        name, sign, values = text.partition("=")
        if not sign:
            raise ValueError(f"expected --levels FACTOR=first,second,..., got {text!r}")
        orders[name] = [value.strip() for value in values.split(",")]
    return orders


def mrmc_facts(
    table: pd.DataFrame,
    *,
    method: Method,
    readers: Effect,
    cases: Effect,
    margin: float | None,
    reference: str | None,
    figure: str = "auc",
    cluster: str | None = None,
) -> dict[str, Any]:
    """ROC areas compared; differences are first minus second in the order of the file."""
    result = mrmc(
        table,
        method=method,
        readers=readers,
        cases=cases,
        cluster=cluster,
        figure=figure_named(figure),
    )
    return {**_or_facts(result, margin, reference), "figure": figure}


def ai_facts(
    table: pd.DataFrame,
    ai: str,
    *,
    method: Literal["delong", "jackknife", "unbiased"],
    readers: Effect,
    cases: Effect,
    figure: str,
    cluster: str | None,
    margin: float | None,
) -> dict[str, Any]:
    """The model minus the mean of the readers, with claims of superiority and by margin."""
    comparison = ai_versus_readers(
        table,
        ai=ai,
        method=method,
        readers=readers,
        cases=cases,
        figure=figure_named(figure),
        cluster=cluster,
        margin=margin,
    )
    return {**asdict(comparison), "name": ai, "figure": figure, "readers": readers, "cases": cases}


def froc_facts(
    marks: pd.DataFrame,
    cases: pd.DataFrame,
    *,
    fom: Fom,
    readers: Effect,
    margin: float | None,
    reference: str | None,
    readings: pd.DataFrame | None = None,
) -> dict[str, Any]:
    """Free-response figures compared; differences are first minus second."""
    result = froc(marks, cases, fom=fom, readers=readers, readings=readings)
    read = (
        "who read what is listed"
        if readings is not None
        else f"every reader is taken to have read all {len(cases)} cases in every arm"
    )
    return {"fom": fom, **_or_facts(result, margin, reference), "readings": read}


def _or_facts(result: Mrmc, margin: float | None, reference: str | None) -> dict[str, Any]:
    arms = list(result.arm_means["arm"])
    first = result.differences.iloc[0]
    against = None
    if margin is not None:
        base = reference or arms[0]
        others = [arm for arm in arms if arm != base]
        if base not in arms:
            raise ValueError(f"expected a reference of {', '.join(arms)}, got {base!r}")
        judged = [
            asdict(noninferiority(result, reference=base, new=arm, margin=margin)) for arm in others
        ]
        against = judged[0] if len(judged) == 1 else {**judged[0], "others": judged[1:]}
    n_readers = len(result.figures)
    few = result.readers == "fixed" or n_readers < FEW_READERS
    return {
        "auc": {arm: result.figures[arm].to_dict() for arm in result.figures},
        "arm_means": result.arm_means.set_index("arm").to_dict("index"),
        "difference": first["difference"],
        "ci": [first["low"], first["high"]],
        "f": result.f,
        "df1": result.df1,
        "df2": result.df2,
        "p": result.p,
        "components": result.components,
        "noninferiority": against,
        "differences": result.differences,
        "reader_differences": result.reader_differences,
        "design": result.design,
        "method": result.method,
        "readers": result.readers,
        "cases": result.cases,
        "scope": "these readers only" if few else "new readers",
        "note": result.note,
    }


def clmm_facts(
    table: pd.DataFrame,
    formula: str,
    *,
    link: str,
    thresholds: str,
    levels: dict[str, list[str]],
    quadrature: int,
) -> dict[str, Any]:
    """A cumulative link model, mixed where the formula has random effects."""
    shared: dict[str, Any] = {"link": link, "levels": levels, "thresholds": thresholds}
    if "|" in formula:
        fit = clmm(table, formula, quadrature=quadrature, **shared)
    else:
        fit = clm(table, formula, **shared)
    rows = fit.estimates.set_index("name")
    effects, cuts = fit.coefficients.set_index("name"), fit.thresholds.set_index("name")
    return {
        "coefficients": effects["estimate"].to_dict(),
        "se": rows["se"].to_dict(),
        "thresholds": cuts["estimate"].to_dict(),
        "variances": fit.variances,
        "loglik": fit.loglik,
        "converged": fit.converged,
        "ci": {name: [row["low"], row["high"]] for name, row in effects.iterrows()},
        "p": effects["p"].to_dict(),
        "df": fit.df,
        "aic": fit.aic,
        "n": fit.n,
        "missing": fit.n_missing,
        "link": link,
        "method": fit.method,
        "max_gradient": fit.max_gradient,
        "note": fit.note,
    }


def preference_facts(trials: pd.DataFrame, arm: str | None, over: str | None) -> dict[str, Any]:
    """Shares per reader and pooled for each pair of arms; strengths over all arms."""
    check_table(trials, columns=["reader", "case", "left", "right", "choice"])
    arms = list(dict.fromkeys([*trials["left"], *trials["right"]]))
    if len(arms) < 2:
        raise ValueError(f"expected trials of two arms, but every image is of {arms[0]!r}")
    pairs = list(combinations(arms, 2)) if arm is None or over is None else [(arm, over)]
    comparisons = []
    for one, other in pairs:
        test = randomisation_test(trials, arm=one, over=other, draws=9999)
        comparisons.append(
            {
                "arm": one,
                "over": other,
                "readers": share_per_reader(trials, arm=one, over=other),
                "pooled": _pooled(trials, one, other),
                "randomisation_p": test["p"],
            }
        )
    ties = bool((trials["choice"] == "tie").any())
    return {
        "comparisons": comparisons,
        "position": position_effect(trials),
        "bradley_terry": _strengths(bradley_terry, trials, arms[0]),
        "davidson": _strengths(davidson, trials, arms[0]) if ties else None,
    }


def _pooled(trials: pd.DataFrame, arm: str, over: str) -> dict[str, Any]:
    pooled = pooled_share(trials, arm=arm, over=over)
    note = "every answer was a tie: no share" if pooled.n == 0 else ""
    if 0 < pooled.n_readers < FEW_READERS:
        note = f"{pooled.n_readers} readers: describe these readers only"
        note = "1 reader: describes this reader only" if pooled.n_readers == 1 else note
    return {**asdict(pooled), "note": note}


def _strengths(
    model: Callable[..., PairedStrengths], trials: pd.DataFrame, reference: str
) -> dict[str, Any]:
    try:
        strengths = model(trials, reference=reference)
    except ValueError as error:
        return {"estimates": None, "note": str(error)}
    return {
        "reference": reference,
        "estimates": strengths.estimates,
        "deviance": strengths.deviance,
        "df": strengths.df,
        "note": strengths.note,
    }


def vgc_facts(
    table: pd.DataFrame, test: str | None, reference: str | None, *, draws: int, seed: int
) -> dict[str, Any]:
    """Area under the VGC curve of the tested arm against the reference."""
    one, other = two_arms(table, test, reference)
    area_test = vgc(
        table,
        test=one,
        reference=other,
        draws=draws,
        rng=np.random.Generator(np.random.PCG64(seed)),
    )
    area = {"value": area_test.auc, "low": area_test.low, "high": area_test.high}
    return {
        "auc": area,
        "se": area_test.se,
        "df": area_test.df,
        "p": area_test.p,
        "bootstrap": [area_test.bootstrap_low, area_test.bootstrap_high],
        "draws": draws,
        "seed": seed,
        "per_reader": area_test.per_reader,
        "test": one,
        "reference": other,
        "scope": area_test.scope,
        "note": area_test.note,
    }


def signed_rank_facts(
    table: pd.DataFrame, first: str | None, second: str | None, *, zeros: Zeros
) -> dict[str, Any]:
    """Exact test of each reader; over all, cases as clusters (Datta-Satten)."""
    one, other = two_arms(table, first, second)
    keys = ["reader", "case", "arm"]
    checked = check_table(table, columns=[*keys, "rating"], unique=keys, numeric=["rating"])
    wide = checked.pivot(index=keys[:2], columns="arm", values="rating")
    for arm in (one, other):
        if arm not in wide:
            raise ValueError(
                f"expected arm {arm!r}, but the table holds: {', '.join(map(str, wide))}"
            )
    d = (wide[one] - wide[other]).dropna()
    alone = len(wide) - len(d)
    rows = []
    for reader, part in d.groupby(level="reader"):
        test = signed_rank(part.to_numpy(), zeros=zeros)
        middle, low, high = hodges_lehmann(part.to_numpy())
        rows.append({"reader": reader, **asdict(test), "shift": middle, "low": low, "high": high})
    if not rows:
        raise ValueError(f"no reader rated a case in both {one} and {other}")
    whole = clustered_signed_rank(d.to_numpy(), d.index.get_level_values("case"))
    note = f"{alone} of {len(wide)} reader-and-case pairs lack a rating: left out" if alone else ""
    return {"first": one, "second": other, "tests": rows, "clustered": asdict(whole), "note": note}


def mcnemar_facts(table: pd.DataFrame, first: str, second: str) -> dict[str, Any]:
    """All clustered McNemar tests of two 0/1 columns."""
    arms = [name for name in table.columns if name not in ("patient", "lesion")]
    if not (first and second) and len(arms) != 2:
        raise ValueError(f"expected two columns of 0/1; name two of: {', '.join(map(str, arms))}")
    one, other = first or arms[0], second or arms[1]
    tests = [
        asdict(clustered_mcnemar(table, first=one, second=other, method=name)) for name in MCNEMAR
    ]
    by = table["patient"]
    table = table.assign(**{name: as_numbers(table, name) for name in (one, other)})
    shares = {str(name): clustered_share(table[name], by) for name in (one, other)}
    return {
        "first": one,
        "second": other,
        "tests": tests,
        "shares": {name: share.value for name, share in shares.items()},
        "share_limits": {name: asdict(share) for name, share in shares.items()},
        "exact": asdict(exact_mcnemar(table[one], table[other])),
    }

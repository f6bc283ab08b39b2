"""Command line of the statistics: one table in, one result out (``reader-study stats ...``)."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from ctlab.console import emit
from ctlab.files import plain
from reader_study.cli import stats_lines

if TYPE_CHECKING:
    import pandas as pd

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Reader-study statistics on a CSV file.",
)

File = Annotated[Path, typer.Argument(help="text table with a header (CSV, TSV)")]
Json = Annotated[bool, typer.Option("--json", help="print one JSON object")]
Effects = Literal["random", "fixed"]
Arms = Annotated[str, typer.Option(help="arms planned, a,b,...: others are refused")]
Scale = Annotated[str, typer.Option(help="lowest,highest answer planned: others are refused")]
Drop = Annotated[list[str] | None, typer.Option("--where", help="keep rows with COLUMN=VALUE")]


@app.command()
def mrmc(
    file: File,
    method: Annotated[
        Literal["delong", "jackknife", "unbiased", "ustat"],
        typer.Option(help="covariances; ustat for incomplete studies"),
    ] = "delong",
    readers: Annotated[Effects, typer.Option(help="do results extend to new readers?")] = "random",
    cases: Annotated[Effects, typer.Option(help="do results extend to new cases?")] = "random",
    figure: Annotated[
        str,
        typer.Option(
            help="auc, binormal, proper, contaminated, utility:SLOPE[:binormal...], "
            "sensitivity:CUT, specificity:CUT, correct:CUT, recall:CUT, "
            "or partial:specificity:LOW:HIGH"
        ),
    ] = "auc",
    cluster: Annotated[
        str, typer.Option(help="column naming the patient, where a patient gives several cases")
    ] = "",
    margin: Annotated[float | None, typer.Option(help="non-inferiority margin")] = None,
    reference: Annotated[str, typer.Option(help="arm the margin is about; default first")] = "",
    arms: Arms = "",
    scale: Scale = "",
    as_json: Json = False,
) -> None:
    """Compare ROC areas: columns reader, case, arm, truth, rating."""
    from reader_study.cli import stats_results
    from reader_study.stats.read_rjafroc import is_workbook, read_workbook
    from reader_study.stats.read_table import KEYS, read_table

    keys = (*KEYS, cluster) if cluster else KEYS
    book = read_workbook(file) if is_workbook(file) else None
    table = book.ratings(file) if book else read_table(file, keys=keys)
    table = stats_results.as_planned(table, arms=arms, scale=scale)
    facts = stats_results.mrmc_facts(
        table,
        method=method,
        readers=readers,
        cases=cases,
        margin=margin,
        reference=reference or None,
        figure=figure,
        cluster=cluster or None,
    )
    _show(facts, table, as_json, stats_lines.mrmc_lines)


@app.command()
def froc(
    file: File,
    cases: Annotated[
        Path | None,
        typer.Option(help="CSV file case, truth, n_lesions; an RJafroc workbook holds them"),
    ] = None,
    fom: Annotated[
        Literal["wafroc", "afroc", "wafroc1", "afroc1", "hrauc", "froc"],
        typer.Option(help="figure of merit"),
    ] = "wafroc",
    readings: Annotated[
        Path | None, typer.Option(help="table reader, arm, case: who read what, marked or not")
    ] = None,
    readers: Annotated[Effects, typer.Option()] = "random",
    margin: Annotated[float | None, typer.Option(help="non-inferiority margin")] = None,
    reference: Annotated[str, typer.Option(help="arm the margin is about; default first")] = "",
    arms: Arms = "",
    scale: Scale = "",
    as_json: Json = False,
) -> None:
    """Compare free-response figures: columns reader, arm, case, mark, lesion, rating."""
    from reader_study.cli import stats_results
    from reader_study.stats.read_rjafroc import is_workbook, read_workbook
    from reader_study.stats.read_table import read_table

    if is_workbook(file):
        book = read_workbook(file)
        marks, listed, read = book.marks, book.cases, book.readings
    elif cases is None:
        raise ValueError("expected --cases, a table case, truth, n_lesions, got none; pass it")
    else:
        marks, listed = read_table(file), read_table(cases)
        read = read_table(readings) if readings else None
    marks = stats_results.as_planned(marks, arms=arms, scale=scale)
    facts = stats_results.froc_facts(
        marks,
        listed,
        fom=fom,
        readers=readers,
        margin=margin,
        reference=reference or None,
        readings=read,
    )
    _show(facts, marks, as_json, stats_lines.mrmc_lines)


@app.command()
def clmm(
    file: File,
    formula: Annotated[str, typer.Option(help='such as "rating ~ arm + (1|reader) + (1|case)"')],
    link: Annotated[Literal["logit", "probit", "cloglog"], typer.Option()] = "logit",
    thresholds: Annotated[
        Literal["flexible", "symmetric", "equidistant"], typer.Option(help="cut-points")
    ] = "flexible",
    levels: Annotated[
        list[str] | None, typer.Option(help="FACTOR=first,second,... the first is the reference")
    ] = None,
    quadrature: Annotated[int, typer.Option(min=1, help="nodes; 1 is Laplace")] = 1,
    where: Drop = None,
    arms: Arms = "",
    scale: Scale = "",
    as_json: Json = False,
) -> None:
    """Cumulative link (mixed) model of ordered ratings, any table."""
    from reader_study.cli import stats_results
    from reader_study.stats.ordinal.formula import split_formula
    from reader_study.stats.read_table import KEYS, read_table

    keys = {*KEYS, *(name for *_, group in split_formula(formula)[2] for name in _names(group))}
    table = stats_results.as_planned(
        read_table(file, keys=keys, where=where or ()),
        arms=arms,
        scale=scale,
        rating=formula.partition("~")[0].strip(),
    )
    facts = stats_results.clmm_facts(
        table,
        formula,
        link=link,
        thresholds=thresholds,
        levels=stats_results.read_levels(levels),
        quadrature=quadrature,
    )
    _show(facts, table, as_json, stats_lines.clmm_lines)


@app.command()
def agreement(
    file: File,
    level: Annotated[
        Literal["nominal", "ordinal", "interval", "ratio"], typer.Option(help="kind of scale")
    ] = "nominal",
    as_json: Json = False,
) -> None:
    """Agreement of raters: column subject and one column per rater, empty for missing."""
    from reader_study.cli import stats_agreement
    from reader_study.stats.read_table import KEYS, read_table

    # Names of categories are text as they stand; on the other scales ratings are numbers.
    table = read_table(file, keys=None if level == "nominal" else KEYS)
    _show(stats_agreement.agreement_facts(table, level), table, as_json, stats_lines.interval_lines)


@app.command()
def preference(
    file: File,
    arm: Annotated[str, typer.Option(help="whose share; default all pairs of arms")] = "",
    over: Annotated[str, typer.Option(help="against which arm")] = "",
    arms: Arms = "",
    as_json: Json = False,
) -> None:
    """Preference shares: columns reader, case, left, right, choice."""
    from reader_study.cli import stats_results
    from reader_study.stats.read_table import read_table

    trials = stats_results.as_planned(read_table(file), arms=arms)
    facts = stats_results.preference_facts(trials, arm or None, over or None)
    _show(facts, trials, as_json, stats_lines.preference_lines)


@app.command()
def vgc(
    file: File,
    test: Annotated[str, typer.Option(help="tested arm; default second in the file")] = "",
    reference: Annotated[str, typer.Option(help="default first in the file")] = "",
    draws: Annotated[int, typer.Option(min=99, help="bootstrap and permutations")] = 10_000,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    arms: Arms = "",
    scale: Scale = "",
    as_json: Json = False,
) -> None:
    """Visual grading characteristics: columns reader, case, arm, rating."""
    from reader_study.cli import stats_results
    from reader_study.stats.read_table import read_table

    table = stats_results.as_planned(read_table(file), arms=arms, scale=scale)
    facts = stats_results.vgc_facts(table, test or None, reference or None, draws=draws, seed=seed)
    _show(facts, table, as_json, stats_lines.interval_lines)


@app.command("signed-rank")
def signed_rank(
    file: File,
    first: Annotated[str, typer.Option(help="default second arm in the file")] = "",
    second: Annotated[str, typer.Option(help="default first arm in the file")] = "",
    zeros: Annotated[Literal["pratt", "wilcoxon"], typer.Option()] = "pratt",
    arms: Arms = "",
    scale: Scale = "",
    as_json: Json = False,
) -> None:
    """Exact signed-rank per reader, clustered over cases: columns reader, case, arm, rating."""
    from reader_study.cli import stats_results
    from reader_study.stats.read_table import read_table

    table = stats_results.as_planned(read_table(file), arms=arms, scale=scale)
    facts = stats_results.signed_rank_facts(table, first or None, second or None, zeros=zeros)
    _show(facts, table, as_json, stats_lines.row_lines)


@app.command()
def mcnemar(
    file: File,
    first: Annotated[str, typer.Option(help="column of 0/1; default third column")] = "",
    second: Annotated[str, typer.Option(help="column of 0/1; default fourth column")] = "",
    as_json: Json = False,
) -> None:
    """Clustered McNemar tests: columns patient, lesion and one 0/1 column per arm."""
    from reader_study.cli import stats_results
    from reader_study.stats.read_table import read_table

    table = read_table(file)
    _show(stats_results.mcnemar_facts(table, first, second), table, as_json, stats_lines.row_lines)


@app.command("ai-vs-readers")
def ai_vs_readers(
    file: File,
    ai: Annotated[str, typer.Option(help="name of the model in the column reader")],
    method: Annotated[
        Literal["delong", "jackknife", "unbiased"], typer.Option(help="covariances")
    ] = "delong",
    readers: Annotated[Effects, typer.Option(help="do results extend to new readers?")] = "random",
    cases: Annotated[Effects, typer.Option(help="do results extend to new cases?")] = "random",
    figure: Annotated[str, typer.Option(help="as for mrmc")] = "auc",
    cluster: Annotated[str, typer.Option(help="column naming the patient")] = "",
    margin: Annotated[float | None, typer.Option(help="for non-inferiority, equivalence")] = None,
    where: Drop = None,
    scale: Scale = "",
    as_json: Json = False,
) -> None:
    """A model's scores beside a panel: columns reader, case, truth, rating, one of them AI."""
    from reader_study.cli import stats_results
    from reader_study.stats.read_table import KEYS, read_table

    keys = (*KEYS, cluster) if cluster else KEYS
    table = stats_results.as_planned(read_table(file, keys=keys, where=where or ()), scale=scale)
    facts = stats_results.ai_facts(
        table,
        ai,
        method=method,
        readers=readers,
        cases=cases,
        figure=figure,
        cluster=cluster or None,
        margin=margin,
    )
    _show(facts, table, as_json, stats_lines.ai_lines)


@app.command()
def limits(
    file: File,
    first: Annotated[str, typer.Option(help="default second arm in the file")] = "",
    second: Annotated[str, typer.Option(help="default first arm in the file")] = "",
    value: Annotated[str, typer.Option(help="column of the measurement")] = "measure",
    where: Drop = None,
    as_json: Json = False,
) -> None:
    """Limits of agreement: columns reader, case, arm, measure; showing for repeats."""
    from reader_study.cli import stats_agreement
    from reader_study.stats.read_table import read_table

    table = read_table(file, where=where or ())
    facts = stats_agreement.limits_facts(table, first or None, second or None, value=value)
    _show(facts, table, as_json, stats_lines.limit_lines)


@app.command("forced-choice")
def forced_choice(
    file: File,
    places: Annotated[int, typer.Option(min=2, help="places to choose from")],
    observers: Annotated[
        Path | None, typer.Option(help="table arm, contrast_hu, observer, d_prime")
    ] = None,
    figure: Annotated[
        Path | None, typer.Option(help="SVG: readers and observers on one axis")
    ] = None,
    where: Drop = None,
    as_json: Json = False,
) -> None:
    """D' among several places: columns reader, case, arm, contrast_hu, correct; also chosen."""
    from reader_study.cli import stats_forced_choice as told
    from reader_study.stats.read_table import read_table

    table = read_table(file, where=where or ())
    models = read_table(observers) if observers else None
    facts = told.forced_choice_facts(table, places, models)
    if figure is not None:
        told.draw_detectability(facts, models, figure)
    _show(facts, table, as_json, told.forced_choice_lines)


@app.command()
def search(
    file: File,
    observers: Annotated[Path | None, typer.Option(help="observers.csv of the set")] = None,
    where: Drop = None,
    as_json: Json = False,
) -> None:
    """Lesions found: columns reader, case, arm, contrast_hu, truth, rating, found."""
    from reader_study.cli import stats_forced_choice as told
    from reader_study.stats.read_table import read_table

    table = read_table(file, where=where or ())
    models = read_table(observers) if observers else None
    _show(told.search_facts(table, models), table, as_json, told.search_lines)


@app.command()
def reliance(
    file: File,
    first: Annotated[str, typer.Option(help="overlay compared; default the first of two")] = "",
    second: Annotated[str, typer.Option(help="overlay it is compared with")] = "",
    where: Drop = None,
    as_json: Json = False,
) -> None:
    """Use of overlays: columns reader, case, overlay, advice_right, first_right, final_right."""
    from reader_study.stats.read_table import KEYS, read_table
    from reader_study.stats.reliance import summary as told

    table = read_table(file, keys={*KEYS, "overlay"}, where=where or ())
    _show(told.reliance_facts(table, first, second), table, as_json, told.reliance_lines)


def _names(group: str) -> list[str]:
    return [name.strip() for name in re.split(r"[/:]", group)]


def _show(
    facts: dict[str, Any],
    table: "pd.DataFrame",
    as_json: bool,
    in_words: Callable[[dict[str, Any]], list[str]],
) -> None:
    """Print a result, and how the table it comes from was read."""
    read = table.attrs["file"]
    shown: dict[str, Any] = plain({**facts, "file": read})
    if emit(shown, as_json):
        return
    del shown["file"]
    for line in [*in_words(shown), read["said"]]:
        typer.echo(line)

"""Commands around the numbers: analyse, report, verify-r, preregister, crate, power."""

from pathlib import Path
from typing import Annotated, Any

import typer

from ctlab.console import emit
from reader_study.cli.arguments import Json, Study


def analyse(study: Study, as_json: Json = False) -> None:
    """Run the pre-registered analysis of an unblinded study; it has no options."""
    from ctlab.console import working
    from reader_study.analysis.analyse import analyse as run

    with working("Analysing") as advance:
        facts = run(study, progress=advance)
    if emit(facts, as_json):
        return
    for sentence in facts["conclusion"]:
        typer.echo(sentence)
    for row in facts["primary"]:
        typer.echo(_line(row))
    for row in facts["deviations"]:
        typer.echo(f"Deviation: {row['what']} ({row['consequence']}).")
    typer.echo(f"All results: {study / 'report' / 'analysis.json'}")


def _line(row: dict[str, Any]) -> str:
    from reader_study.report.words import interval, number, p_value

    return (
        f"{row['item']}, {row['new']} against {row['reference']}: {row['unit']} "
        f"{number(row['value'], row['endpoint'])} ({interval(row)}), p {p_value(row['p_aim'])}"
    )


def report(study: Study, as_json: Json = False) -> None:
    """Write the report: HTML, Markdown, checklists, and an R script of the primary result.

    Checklists also use passport.json, card.json, config.toml and split.csv in STUDY/model.
    Runs the analysis first, so that the page always shows the record as it is now.
    """
    from ctlab.console import working
    from reader_study.analysis.analyse import analyse as run
    from reader_study.report import write_report
    from reader_study.report.checklist_facts import read_model
    from reader_study.report.checklists import chosen, fill

    with working("Analysing") as advance:
        facts = run(study, progress=advance)
    with working("Drawing the pages"):
        paths = write_report(study)
    if emit({"files": [str(path) for path in paths]}, as_json):
        return
    typer.echo("\n".join(str(path) for path in paths))
    for name in chosen(facts):
        found = fill(name, facts, read_model(study))
        counts = f"{found['filled']} filled, {found['part']} in part, {found['open']} open"
        typer.echo(f"{found['name']}: {counts}")


def verify_r(
    study: Study,
    webr: Annotated[
        Path | None, typer.Option(help="folder with node_modules/webr: R without an installed R")
    ] = None,
    as_json: Json = False,
) -> None:
    """Run the report's R script; exit code 1 if R does not repeat the primary result."""
    from dataclasses import asdict

    from reader_study.report.verify_r import verify_r as run

    found = run(study, webr=webr)
    if not emit(asdict(found), as_json):
        typer.echo(found.output)
        typer.echo(f"Run by {found.by}: {'repeated' if found.repeated else 'NOT repeated'}.")
    if not found.repeated:
        raise typer.Exit(1)


def preregister(study: Study, as_json: Json = False) -> None:
    """Write preregistration.md for a registry (OSF's headings) from the locked protocol."""
    from reader_study.report.preregistration import write_preregistration

    path = write_preregistration(study)
    if not emit({"file": str(path)}, as_json):
        typer.echo(f"{path}: fill in what stands in brackets, then register it.")


def crate(
    study: Study,
    out: Annotated[Path, typer.Argument(help="new folder for the crate")],
    overwrite: Annotated[bool, typer.Option("--overwrite")] = False,
    as_json: Json = False,
) -> None:
    """Gather a reported study as RO-Crate: its files with their hashes, ready to archive."""
    from reader_study.report.ro_crate import write_crate

    path = write_crate(study, out, overwrite=overwrite)
    if not emit({"metadata": str(path)}, as_json):
        typer.echo(f"{path}: read through the folder, then archive it (Zenodo and others).")


def register(app: typer.Typer) -> None:
    """Add the commands to the command line of reader studies."""
    from reader_study.cli.power import power

    app.command()(analyse)
    app.command()(report)
    app.command("verify-r")(verify_r)
    app.command()(preregister)
    app.command()(crate)
    app.command()(power)

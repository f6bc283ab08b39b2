"""Commands of a closed study: unblind, adjudicate, export, preference."""

from pathlib import Path
from typing import Annotated

import typer

from ctlab.console import emit
from reader_study.cli.arguments import Json, Passphrase, Study


def unblind(
    study: Study,
    passphrase_file: Passphrase,
    who: Annotated[str, typer.Option(help="who unblinds, for the record")] = "",
    reason: Annotated[
        str, typer.Option(help="why, where slots are empty or readers have not finished")
    ] = "",
    as_json: Json = False,
) -> None:
    """Open the sealed key of a closed study and write the tables."""
    import getpass

    from reader_study.analysis.export import write_tables
    from reader_study.blinding.sealed_key import read_passphrases
    from reader_study.blinding.unblind import unblind as open_key

    passphrase = read_passphrases(passphrase_file)
    open_key(study, passphrase=passphrase, who=who or getpass.getuser(), reason=reason)
    paths = write_tables(study)
    if not emit({"tables": [str(path) for path in paths]}, as_json):
        typer.echo("Unblinded. Tables: " + ", ".join(str(path) for path in paths))


def adjudicate(
    study: Study,
    passphrase_file: Passphrase,
    adjudicators: Annotated[int, typer.Option(min=1, max=20, help="how many will read")] = 2,
    collect: Annotated[bool, typer.Option("--collect", help="join a closed adjudication")] = False,
    as_json: Json = False,
) -> None:
    """Class each mark beside the reference, in a second locked phase."""
    from reader_study.analysis.adjudicate import collect_adjudication, lock_adjudication
    from reader_study.blinding.sealed_key import read_passphrases

    passphrase = read_passphrases(passphrase_file)
    if collect:
        path = collect_adjudication(study, passphrase=passphrase)
        if not emit({"table": str(path)}, as_json):
            typer.echo(str(path))
        return
    facts = lock_adjudication(study, passphrase=passphrase, adjudicators=adjudicators)
    folder = str(facts["folder"])
    if not emit({**facts, "folder": folder}, as_json):
        typer.echo(f"{facts['marks']} marks to adjudicate. Commitment: {facts['commitment']}")
        typer.echo(f"Next: reader-study readers {folder} --add NAME, then serve {folder}")


def export(
    study: Study,
    to: Annotated[str, typer.Option(help="csv, imrmc, rjafroc or mrmcaov")] = "csv",
    as_json: Json = False,
) -> None:
    """Write tidy tables, or what other programs read."""
    from reader_study.analysis.export import write_tables

    paths = write_tables(study, to=to)
    if not emit({"tables": [str(path) for path in paths]}, as_json):
        typer.echo("\n".join(str(path) for path in paths))


def own_results(
    study: Study,
    maps: Annotated[
        Path | None, typer.Option(help="folder with pictures CASE.png to stand beside missed cases")
    ] = None,
    as_json: Json = False,
) -> None:
    """Write a page for each reader of an unblinded study, with the own answers alone."""
    from reader_study.analysis.own_readings import own_readings
    from reader_study.report.own_pages import write_own_pages

    paths = write_own_pages(study, own_readings(study, maps=maps))
    if not emit({"pages": [str(path) for path in paths]}, as_json):
        typer.echo("\n".join(str(path) for path in paths))
        typer.echo("Each page is for its own reader; hand it to nobody else.")


def preference(
    study: Study,
    item: Annotated[str, typer.Option(help="which item, where there are several")] = "",
    as_json: Json = False,
) -> None:
    """Preference shares after unblinding: per reader and pooled."""
    from reader_study.analysis.preference_summary import preference_results

    facts = preference_results(study, item=item or None)
    if emit(facts, as_json):
        return
    for pair in facts["comparisons"]:
        typer.echo(f"Share of decided pairs that preferred {pair['arm']} to {pair['over']}:")
        for row in [*pair["readers"], {"reader": "pooled", **pair["pooled"]}]:
            share = "-" if row["share"] is None else f"{row['share']:.2f}"
            typer.echo(f"  {row['reader']:8} {share} [{row['low']:.2f}, {row['high']:.2f}]")
        typer.echo(f"  signed-rank over cases, exact p = {pair['signed_rank']['p']:.4f}")


def register(app: typer.Typer) -> None:
    """Add the commands to the command line of reader studies."""
    for command in (unblind, adjudicate, export, own_results, preference):
        app.command()(command)

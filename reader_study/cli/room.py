"""Commands around the reading room: serve, copy and merge, backup and restore."""

from pathlib import Path
from typing import Annotated

import typer

from ctlab.console import emit

Study = Annotated[Path, typer.Argument(help="folder of the study")]
Json = Annotated[bool, typer.Option("--json", help="print one JSON object")]


def serve(
    study: Study,
    host: Annotated[str, typer.Option(help="address to listen on")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535)] = 8866,
    cert: Annotated[Path | None, typer.Option(help="certificate (PEM) for https")] = None,
    key: Annotated[Path | None, typer.Option(help="its private key (PEM)")] = None,
    proxy: Annotated[
        list[str] | None, typer.Option(help="address of a proxy whose X-Forwarded-For is believed")
    ] = None,
    places: Annotated[
        int | None, typer.Option(min=1, help="readers at once; 200, or 40 with voila")
    ] = None,
    engine: Annotated[
        str, typer.Option(help="web: one process for all; voila: a kernel for each reader")
    ] = "web",
    browser: Annotated[bool, typer.Option(help="open a browser here")] = False,
) -> None:
    """Open the reading room, from bundle and database; never the key."""
    from reader_study.room.server import serve as run_room

    def ready(url: str) -> None:
        typer.echo(f"The reading room is open at {url}")
        if host not in {"127.0.0.1", "localhost", "::1"} and cert is None:
            typer.echo("Codes travel unencrypted without --cert and --key.", err=True)

    run_room(
        study,
        host=host,
        port=port,
        cert=cert,
        key=key,
        proxies=proxy or (),
        places=places,
        engine=engine,
        open_browser=browser,
        ready=ready,
    )


def copy(
    study: Study,
    folder: Annotated[Path, typer.Argument(help="a new folder, to be carried to the reader")],
    reader: Annotated[str, typer.Option(help="number of the reader, such as R2")] = "",
    as_json: Json = False,
) -> None:
    """Copy what one reader needs to read without a network; merge brings it home."""
    from reader_study.record.offline_copy import copy_study

    if not reader:
        raise ValueError("name the reader who will read there: --reader R2")
    facts = copy_study(study, folder, reader=reader)
    if not emit({"folder": str(folder), "reader": reader, **facts}, as_json):
        typer.echo(f"{folder} is ready for {reader}. There: reader-study serve {folder}")
        typer.echo(f"{reader} must not read here meanwhile. Back home:")
        typer.echo(f"reader-study merge {study} {folder}")


def merge(
    study: Study,
    others: Annotated[list[Path], typer.Argument(help="folders of copies read elsewhere")],
    as_json: Json = False,
) -> None:
    """Add what was read from copies; refuses tampering and conflicts."""
    from reader_study.record.merge import merge_study

    facts = [{"from": str(other), **merge_study(study, other)} for other in others]
    if not emit({"merged": facts}, as_json):
        for row in facts:
            typer.echo(f"{row['from']}: {row['answers']} answers, {row['events']} events")


def backup(
    study: Study,
    folder: Annotated[Path, typer.Argument(help="a new folder, away from this computer")],
    as_json: Json = False,
) -> None:
    """Copy bundle and record of a running study; the copy is a study by itself."""
    from reader_study.record.backup import back_up

    facts = back_up(study, folder)
    if not emit({"folder": str(folder), **facts}, as_json):
        typer.echo(f"{facts['events']} events and {facts['answers']} answers are in {folder}.")
        typer.echo(f"Rehearse: reader-study verify {folder}")
        typer.echo("The sealed key and readers' names are not in it; keep them elsewhere, too.")


def restore(
    folder: Annotated[Path, typer.Argument(help="folder of a backup")], as_json: Json = False
) -> None:
    """Write the record of a backup into the empty database that DATABASE_URL names."""
    from reader_study.record.backup import restore_record

    facts = restore_record(folder)
    if not emit(facts, as_json):
        typer.echo(f"{facts['events']} events and {facts['answers']} answers are back.")


def register(app: typer.Typer) -> None:
    """Give the commands to ``reader-study``."""
    for command in (serve, copy, merge, backup, restore):
        app.command()(command)

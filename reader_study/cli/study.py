"""Command line of reader studies, until the reading ends: new, lock, readers, serve, close."""

from pathlib import Path
from typing import Annotated, Any

import typer

from ctlab.console import before_each_command, emit, run
from reader_study.cli import forced_choice, stats, unblind
from reader_study.cli.analyse import register
from reader_study.cli.arguments import Json, Passphrase, Study
from reader_study.cli.demo import demo
from reader_study.cli.lecture import register as register_lecture
from reader_study.cli.room import register as register_room

app = typer.Typer(
    callback=before_each_command,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Blinded reader studies of CT images, from protocol to tables.",
)
app.add_typer(stats.app, name="stats")
app.add_typer(forced_choice.app, name="forced-choice")
register(app)
register_room(app)
register_lecture(app)
app.command()(demo)


@app.command()
def new(
    study: Study,
    example: Annotated[
        bool, typer.Option("--example", help="a whole example with images, ready to lock")
    ] = False,
    items: Annotated[
        str, typer.Option(help="questions ready to use, separated by commas; 'list' names them")
    ] = "",
    source: Annotated[
        Path | None, typer.Option("--from", help="folder of ARM/CASE folders to propose from")
    ] = None,
    as_json: Json = False,
) -> None:
    """Write a commented protocol.toml; with --example also images, ready to lock."""
    from reader_study.examples.new_study import item_sets, new_study

    if items == "list":
        if not emit({"items": list(item_sets())}, as_json):
            typer.echo("\n".join(item_sets()))
        return
    asked = [i for i in items.split(",") if i]
    written = new_study(study, example=example, items=asked, source=source)
    if emit({"protocol": str(written)}, as_json):
        return
    if example:
        typer.echo(f"{written} can be locked as it stands, or edited first.")
    elif source is not None:
        typer.echo(f"{written} proposes arms and cases; say who the patients are, then lock.")
    else:
        typer.echo(f"Edit {written}, put the DICOM series under {study / 'arms'}, then lock.")


@app.command()
def lock(
    study: Study,
    passphrase_file: Passphrase,
    accept_leak: Annotated[
        str, typer.Option(help="why findings of the leak check are accepted; it is recorded")
    ] = "",
    as_json: Json = False,
) -> None:
    """Validate, render, allocate and seal; after that nothing changes.

    A lock that was killed goes on where it stopped.
    """
    from ctlab.console import working
    from reader_study.blinding.lock import lock_study
    from reader_study.blinding.sealed_key import read_passphrases

    passphrase = read_passphrases(passphrase_file)
    with working("Rendering cases") as advance:
        locked = lock_study(
            study,
            passphrase=passphrase,
            accept_leaks=accept_leak,
            progress=advance,
            say=lambda text: typer.echo(text, err=True),
        )
    facts = {
        "study": locked.study_id,
        "commitment": locked.commitment,
        "protocol_sha256": locked.protocol_sha256,
        "balance": locked.balance,
        "texture": locked.texture,
        "trials": locked.n_trials,
        "accepted_leaks": locked.accepted_leaks,
        "sealed": str(study / "sealed" / "key.sealed"),
    }
    if not emit(facts, as_json):
        typer.echo(f"Locked {locked.n_trials} trials. Publish this commitment before reading:")
        typer.echo(locked.commitment)
        for leak in locked.accepted_leaks:
            typer.echo(f"Accepted: {leak}")
        for row in locked.texture["recognised"]:
            typer.echo(_recognised(row))
        typer.echo(f"Now move {study / 'sealed'} to a safe place, away from this computer,")
        typer.echo(f"and {study / 'arms'} too: beside the bundle it tells which image is which.")
        typer.echo(f"Keep heads of the record elsewhere: reader-study verify {study} --anchor-to F")


@app.command()
def readers(
    study: Study,
    add: Annotated[str, typer.Option(help="name of a new reader")] = "",
    replace: Annotated[str, typer.Option(help="reader number to replace; needs --add")] = "",
    withdraw: Annotated[
        str, typer.Option(help="reader number that leaves for good; needs --reason")
    ] = "",
    open_session: Annotated[str, typer.Option(help="READER:SESSION to open early")] = "",
    reason: Annotated[str, typer.Option(help="why, for the record")] = "",
    valid_days: Annotated[int, typer.Option(min=1, help="days the code opens the room")] = 365,
    as_json: Json = False,
) -> None:
    """Add, replace or withdraw readers; without options, list them."""
    from reader_study.record import coordinator

    if replace and not add:
        raise ValueError("--replace needs --add NAME, the reader who takes over")
    if add:
        reader, code = coordinator.add_reader(study, add, valid_days=valid_days, replaces=replace)
        facts = {"reader": reader.reader, "slot": reader.slot, "code": code}
        if not emit(facts, as_json):
            typer.echo(f"{reader.reader} reads slot {reader.slot}. The code, shown only now:")
            typer.echo(code)
        return
    if withdraw:
        coordinator.withdraw_reader(study, withdraw, reason)
        if not as_json:
            typer.echo(f"{withdraw} has left for good; what was answered stays.")
    if open_session:
        name, _, number = open_session.partition(":")
        if not number.isdigit():
            raise ValueError(
                f"expected --open-session READER:SESSION, got {open_session}; write it like R1:2"
            )
        coordinator.override_washout(study, name, int(number), reason)
    rows = coordinator.status(study)["readers"]
    if not emit({"readers": rows}, as_json):
        _print_readers(rows)


@app.command()
def status(study: Study, as_json: Json = False) -> None:
    """Progress without unblinding: no ratings, no arms."""
    from reader_study.record import coordinator

    facts = coordinator.status(study)
    if not emit(facts, as_json):
        state = "unblinded" if facts["unblinded"] else "closed" if facts["closed"] else "open"
        typer.echo(f"{facts['title']} ({state})")
        taken = sum(row["active"] for row in facts["readers"])
        typer.echo(f"{taken} of {facts['slots']} reader slots taken")
        _print_readers(facts["readers"])


@app.command()
def verify(
    study: Study,
    receipts: Annotated[list[Path] | None, typer.Option(help="files with receipts")] = None,
    anchor_to: Annotated[
        Path | None, typer.Option(help="write the head of the record here, to keep elsewhere")
    ] = None,
    as_json: Json = False,
) -> None:
    """Check that nothing was changed or removed; exit code 1 if so."""
    from reader_study.blinding.unblind import export_anchor
    from reader_study.blinding.unblind import verify as check

    verdict = check(study, receipts)
    if anchor_to is not None and verdict.ok:
        export_anchor(study, anchor_to)
    facts = {
        "ok": verdict.ok,
        "events": verdict.n_events,
        "answers": verdict.n_answers,
        "fault": verdict.fault,
        "bad_event": verdict.bad_seq,
        "notes": list(verdict.notes),
        "against": list(verdict.against),
    }
    if not emit(facts, as_json):
        typer.echo(
            verdict.fault or f"Intact: {verdict.n_events} events, {verdict.n_answers} answers"
        )
        for what in verdict.against:
            typer.echo(f"Checked against {what}")
        for note in verdict.notes:
            typer.echo(f"Note: {note}")
    if not verdict.ok:
        raise typer.Exit(1)


@app.command()
def amend(
    study: Study,
    reason: Annotated[str, typer.Option(help="why, for the record")] = "",
    as_json: Json = False,
) -> None:
    """Record changes of protocol.toml that a locked study allows."""
    from reader_study.blinding.amend import amend_study

    facts = amend_study(study, reason=reason)
    if not emit(facts, as_json):
        typer.echo(f"Protocol version {facts['version']}: {', '.join(facts['changes'])}")


@app.command()
def close(study: Study, as_json: Json = False) -> None:
    """End the reading; comes before unblinding."""
    from reader_study.record import coordinator

    facts = coordinator.close(study)
    if not emit(facts, as_json):
        typer.echo(f"Closed. Keep this receipt: {facts['receipt']}")


def _recognised(row: dict[str, Any]) -> str:
    arms = " and ".join(str(number) for number in row["arms"])
    if row["auc"] is None:
        return f"Noise texture of arms {arms}: not measured ({row['note']})."
    return (
        f"Noise texture of arms {arms}: a program tells them apart with an AUC of "
        f"{row['auc']:.2f}\n(0.5 chance, 1 always; {row['cases']} cases)."
    )


def _print_readers(rows: list[dict[str, Any]]) -> None:
    for row in rows:
        state = "" if row["active"] else " (left)"
        flags = f" [{', '.join(row['flags'])}]" if row["flags"] else ""
        typer.echo(
            f"{row['reader']} slot {row['slot']}: {row['done']} of {row['of']} trials{state}{flags}"
        )


unblind.register(app)


def main() -> None:
    """Entry point of ``reader-study``."""
    run(app, "reader-study")


if __name__ == "__main__":
    main()

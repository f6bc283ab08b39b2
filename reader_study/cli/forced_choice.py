"""Commands of forced-choice tests: pages for readers, and the score of what they answered."""

from pathlib import Path
from typing import Annotated

import typer

from ctlab.console import emit

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Forced-choice tests as pages that need no server.",
)
Json = Annotated[bool, typer.Option("--json", help="print one JSON object")]


@app.command()
def pages(
    folder: Annotated[Path, typer.Argument(metavar="SET", help="of ctlab forced-choice")],
    out: Annotated[Path, typer.Argument(help="folder for the pages; new or empty")],
    reader: Annotated[list[str], typer.Option(help="label of a reader; repeat")],
    seed: Annotated[int | None, typer.Option(help="the same pages again")] = None,
    as_json: Json = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="replace OUT")] = False,
) -> None:
    """Write a page for each reader, one to practise, and the key, which no reader gets."""
    from reader_study.forced_choice.pages import write_pages

    made = write_pages(folder, out, reader, seed=seed, overwrite=overwrite)
    if not emit(made, as_json):
        typer.echo(f"{len(reader)} pages of {made['trials']} trials in {out}, and practice.html")
        typer.echo(f"keep {out / 'key.json'} to yourself: it holds the answers")
        typer.echo(f"next: reader-study forced-choice score {out / 'key.json'} answers-*.csv")


@app.command()
def score(
    key: Annotated[Path, typer.Argument(help="key.json of the pages")],
    answers: Annotated[list[Path], typer.Argument(help="files that readers handed in")],
    out: Annotated[Path, typer.Option(help="table to write")] = Path("forced-choice.csv"),
    as_json: Json = False,
) -> None:
    """Write one table of scored answers for reader-study stats forced-choice or search."""
    from ctlab.files import write_csv
    from ctlab.input_files import read_json
    from reader_study.forced_choice.score import score_answers

    table = score_answers(key, answers)
    write_csv(out, table)
    readers = sorted(set(table["reader"]))
    right = table["correct" if "correct" in table else "found"].mean()
    if not emit({"readers": readers, "answers": len(table), "share_right": right}, as_json):
        typer.echo(f"{len(table)} answers of {len(readers)} readers in {out}")
        places = read_json(key, "is no key of forced-choice pages")["places"]
        what = f"forced-choice {out} --places {places}" if "correct" in table else f"search {out}"
        typer.echo(f"next: reader-study stats {what}")

"""The ``ctlab`` command line: one command for each arrow from DICOM to passport.

Commands take and give files; the work is done by the functions of the rooms, which are
imported where they are called, so that ``ctlab --help`` answers at once and nothing needs
torch but the commands that train, denoise with a model, or explain.
"""

from pathlib import Path
from typing import Annotated

import typer

from ctlab.command import emit, run, say, table

app = typer.Typer(
    name="ctlab",
    help="From a CT series to a denoised series whose changes are explained and measured.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

Folder = Annotated[Path, typer.Argument(metavar="DIR", help="folder, zip or DICOMDIR with DICOM")]
Out = Annotated[Path, typer.Argument(metavar="OUT", help="folder to write; must be new or empty")]
Json = Annotated[bool, typer.Option("--json", help="print one JSON object instead of text")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="replace what OUT holds")]
Series = Annotated[str | None, typer.Option("--series", help="series UID, or how it ends")]


@app.command()
def doctor(as_json: Json = False) -> None:
    """Tell what this installation can do, and what is missing."""
    from ctlab.doctor import diagnose

    facts = diagnose()
    if not emit(facts, as_json):
        yes = {True: "yes", False: "no"}
        rows = [("ctlab", facts["ctlab"]), ("Python", facts["python"]), ("cores", facts["cores"])]
        rows += [("torch", facts["torch"] or "not installed"), ("GPU", facts["cuda"] or "none")]
        rows += [(f"reads {name}", yes[works]) for name, works in facts["codecs"].items()]
        rows += [(f"part '{p}'", yes[not gone]) for p, gone in facts["parts"].items()]
        say(table(["what", "here"], rows))
        for remedy in facts["remedies"]:
            say(f"- {remedy}")
        say("The core works." if facts["ok"] else "The core is not complete.")
    raise typer.Exit(0 if facts["ok"] else 1)


@app.command()
def sample(
    out: Out,
    as_json: Json = False,
    overwrite: Overwrite = False,
) -> None:
    """Write the packaged sample: 40 slices of a real chest CT."""
    from ctlab.ct import SAMPLE_CREDIT, write_sample

    count = write_sample(out, overwrite=overwrite)
    if not emit({"slices": count, "credit": SAMPLE_CREDIT}, as_json):
        say(f"{count} slices in {out}\n{SAMPLE_CREDIT}")


@app.command()
def inspect(folder: Folder, as_json: Json = False) -> None:
    """Tell what a folder of DICOM holds, and what is wrong with it."""
    from ctlab.ct import inspect_folder

    reports = [report.as_dict() for report in inspect_folder(folder)]
    if not emit({"series": reports}, as_json):
        for report in reports:
            shown = {k: v for k, v in report.items() if v not in (None, "", [], ())}
            problems = shown.pop("problems", [])
            say(table(["series", shown.pop("uid")], [(k, _text(v)) for k, v in shown.items()]))
            for problem in problems or ["no problem found"]:
                say(f"- {problem}")
    raise typer.Exit(0 if any(report["readable"] for report in reports) else 1)


def _text(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.5g}"
    if isinstance(value, list | tuple):
        return " x ".join(_text(v) for v in value)
    return str(value)


def main() -> None:
    """Entry point of the ``ctlab`` command."""
    run(app, "ctlab")


if __name__ == "__main__":
    main()

"""``reader-study lecture``: a class answers on telephones what is on the projector."""

from pathlib import Path
from typing import Annotated, Any

import typer


def lecture(
    study: Annotated[
        str, typer.Argument(help="folder of an unblinded or a demonstration study; or: demo")
    ],
    host: Annotated[
        str, typer.Option(help="address to listen on")
    ] = "0.0.0.0",  # not this computer alone: telephones
    port: Annotated[int, typer.Option(min=0, max=65535)] = 8877,
    address: Annotated[
        str, typer.Option(help="name or address under which telephones reach this computer")
    ] = "",
    most: Annotated[int, typer.Option("--slides", min=1, max=200, help="slides at most")] = 20,
    places: Annotated[int, typer.Option(min=5, max=2000, help="devices at most")] = 500,
    language: Annotated[str, typer.Option(help="language of a lesson without a study")] = "en",
    cert: Annotated[Path | None, typer.Option(help="certificate (PEM) for https")] = None,
    key: Annotated[Path | None, typer.Option(help="its private key (PEM)")] = None,
    browser: Annotated[bool, typer.Option(help="open a browser here")] = False,
) -> None:
    """Show pairs to a class that answers by telephone; kept in memory, gone at the end."""
    from reader_study.lecture.server import give_lecture

    slides, words, title = _lesson(study, most, language)

    def ready(teacher: str, everybody: str) -> None:
        typer.echo(f"Projector, for you alone: {teacher}")
        typer.echo(f"Telephones: {everybody} or the code on the projector")
        typer.echo("No answer is written to the disk; ending the lesson deletes all.")
        if browser:
            import webbrowser

            webbrowser.open(teacher)

    give_lecture(
        slides,
        words,
        title=title,
        host=host,
        port=port,
        cert=cert,
        key=key,
        address=address,
        places=places,
        ready=ready,
    )
    typer.echo("The lesson has ended; its answers are deleted.")


def _lesson(study: str, most: int, language: str) -> tuple[Any, dict[str, Any], str]:
    """Slides, words and title: of a study whose key may be opened, or made from the sample."""
    from reader_study.design.texts import load_texts
    from reader_study.record.bundle import open_bundle
    from reader_study.record.paths import bundle_folder

    folder = Path(study)
    if study == "demo" and not bundle_folder(folder).exists():
        from reader_study.examples.lesson import demo_lesson

        typer.echo("Preparing sixteen slides from the packaged CT (about half a minute) ...")
        words = load_texts(language)
        return demo_lesson(words)[:most], words, "CT Lab"
    from reader_study.examples.lesson import key_of
    from reader_study.lecture.slides import slides_of

    bundle = open_bundle(bundle_folder(folder))
    words = load_texts(bundle.facts["language"])
    slides = slides_of(bundle, key_of(folder), words, most=most)
    return slides, words, str(bundle.facts["title"])


def register(app: typer.Typer) -> None:
    """Give the command to ``reader-study``."""
    app.command()(lecture)

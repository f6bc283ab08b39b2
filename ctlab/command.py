"""What both command lines share: one sentence and exit code 2 on bad input, JSON on request."""

import json
import sys
from typing import Any

import typer


def run(app: typer.Typer, name: str) -> None:
    """Run a command line; bad input becomes one sentence on stderr and exit code 2.

    ``ValueError`` and ``OSError`` are what the library raises at its borders for input it
    refuses. Anything else is our mistake and keeps its traceback.
    """
    try:
        app(prog_name=name)
    except BrokenPipeError:
        # The reader of our output (head, less) left; that is not an error of ours.
        sys.stderr.close()
        sys.exit(0)
    except (ValueError, OSError) as error:
        sys.stderr.write(f"{name}: {sentence(error)}\n")
        sys.exit(2)


def sentence(error: BaseException) -> str:
    """The error as one line for people, without Python's own decoration.

    Examples
    --------
    >>> sentence(FileNotFoundError(2, "No such file or directory", "scan"))
    'scan: no such file or directory'
    """
    if isinstance(error, OSError) and error.strerror:
        place = f"{error.filename}: " if error.filename else ""
        return place + error.strerror[0].lower() + error.strerror[1:]
    return " ".join(str(error).split()) or type(error).__name__


def emit(result: dict[str, Any], as_json: bool) -> bool:
    """Print ``result`` as one JSON object if asked for; true when it was printed."""
    if as_json:
        sys.stdout.write(json.dumps(result, allow_nan=False) + "\n")
    return as_json

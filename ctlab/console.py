"""What both command lines share: one sentence and exit code 2 on bad input, JSON on request."""

import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from textwrap import fill
from typing import Annotated, Any, Protocol

import typer

from ctlab.files import plain
from ctlab.threads import bound_threads

EXTRA_OF = {
    **dict.fromkeys(("lightning_fabric", "tensorboard", "torch"), "train"),
    **dict.fromkeys(("captum", "highdicom", "pytorch_grad_cam", "torchvision"), "explain"),
    **dict.fromkeys(("onnx", "onnxruntime", "openvino"), "engines"),
    **dict.fromkeys(("idc_index", "idc_index_data", "pyarrow"), "fetch"),
    **dict.fromkeys(("dicomweb_client", "requests"), "web"),
    **dict.fromkeys(("cryptography", "ipykernel", "ipywidgets", "jinja2"), "study"),
    **dict.fromkeys(("jupyter_server", "nbformat", "patsy", "psycopg"), "study"),
    **dict.fromkeys(("segno", "sqlalchemy", "tornado", "voila"), "study"),
}
"""The extra of the project that brings a module which the core does without."""


_UsageError: Any = typer.BadParameter.mro()[2]
"""Of all errors about options and arguments; typer does not name it."""


Threads = Annotated[
    int | None,
    typer.Option(
        "--threads",
        min=1,
        metavar="N",
        help="most threads of any command; default: the cores of this process",
    ),
]


def before_each_command(threads: Threads = None) -> None:
    """Callback of both command lines: what holds for every command."""
    bound_threads(threads)


def run(app: typer.Typer, name: str) -> None:
    """Run a command line; bad input becomes one sentence on stderr and exit code 2.

    ``ValueError`` and ``OSError`` are what the library raises at its borders for input it
    refuses; a module that an extra brings may be missing. Anything else is our mistake and
    keeps its traceback.
    """
    try:
        ended = app(prog_name=name, standalone_mode=False)
        sys.exit(ended if isinstance(ended, int) else 0)
    except _UsageError as error:
        from typer.rich_utils import rich_format_error

        error.message = printable(shortened(error.message))
        rich_format_error(error)
        sys.exit(error.exit_code)
    except typer.Abort:
        sys.stderr.write("Aborted.\n")
        sys.exit(1)
    except BrokenPipeError:
        # The reader of our output (head, less) left; that is not an error of ours.
        sys.stderr.close()
        sys.exit(0)
    except (ValueError, OSError) as error:
        sys.stderr.write(printable(f"{name}: {shortened(sentence(error))}\n"))
        sys.exit(2)
    except ModuleNotFoundError as error:
        module = (error.name or "").partition(".")[0]
        if module not in EXTRA_OF:
            raise
        sys.stderr.write(
            f"{name}: this command needs the package {module}, which is not installed; "
            f"run: pip install 'ctlab[{EXTRA_OF[module]}]'\n"
        )
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


LONGEST_QUOTED = 200
"""Characters of what somebody wrote that a message repeats."""

_QUOTED = re.compile(r"""(?<!\w)(?P<sign>['"])(?:(?!(?P=sign)(?!\w)).)+(?P=sign)(?!\w)""")
_WORD = re.compile(r"\S{201,}")


def shortened(text: str) -> str:
    """A message whose quotations are cut at 200 characters; names of files stay whole.

    Examples
    --------
    >>> len(shortened(f"expected a number, got '{'9' * 5000}'; write one"))
    232
    >>> shortened("/".join(["folder"] * 40)) == "/".join(["folder"] * 40)
    True
    """
    text = _QUOTED.sub(lambda found: _cut(found[0], found["sign"]), text)
    text = _WORD.sub(lambda found: _cut(found[0]), text)
    if len(text) <= 10 * LONGEST_QUOTED:
        return text
    return f"{text[: 8 * LONGEST_QUOTED]} … {text[-LONGEST_QUOTED:]}"


def _cut(text: str, sign: str = "") -> str:
    """The beginning of a text; a path, whose parts a file system could hold, stays whole."""
    is_path = "/" in text and max(map(len, text.split("/"))) <= 255  # NAME_MAX
    if len(text) <= LONGEST_QUOTED or is_path:
        return text
    return f"{text[: LONGEST_QUOTED - 2]}…{sign}"


def emit(result: dict[str, Any], as_json: bool) -> bool:
    """Print ``result`` as one JSON object if asked for; true when it was printed.

    Numbers that are not finite become null, since JSON has no word for them.
    """
    if as_json:
        sys.stdout.write(json.dumps(plain(result), allow_nan=False) + "\n")
    return as_json


def say(text: str) -> None:
    """Print for people, on stdout."""
    sys.stdout.write(printable(text) + "\n")


def printable(text: str) -> str:
    r"""Text without control characters, which could steer a terminal; line breaks stay.

    Examples
    --------
    >>> printable("red \x1b[31m\n")
    'red [31m\n'
    """
    return "".join(c for c in text if c.isprintable() or c == "\n")


def say_problems(problems: Iterable[str]) -> None:
    """Print what ``ctlab inspect`` would say of the series that were read, each finding once."""
    for problem in dict.fromkeys(problems):
        say(item(problem))


def note_problems(note: "Note | None", folder: object, problems: Iterable[str]) -> None:
    """Hand on each finding about a series, with the folder it was read from."""
    if note is not None:
        for problem in problems:
            note(f"{folder}: {problem}")


def item(text: str) -> str:
    """A point of a list, on lines of 80 columns."""
    return fill(f"- {text}", 80, subsequent_indent="  ")


def in_text(value: object) -> str:
    """A fact for a cell: numbers short, shapes with a cross.

    Examples
    --------
    >>> in_text([40, 512, 512]), in_text(0.7031254)
    ('40 x 512 x 512', '0.70313')
    """
    if isinstance(value, float):
        return f"{value:.5g}"
    if isinstance(value, list | tuple):
        return " x ".join(in_text(v) for v in value)
    return str(value)


def number_or_dash(value: float) -> str:
    """A number for a cell in four digits; a dash where it is unknown (NaN)."""
    return f"{value:.4g}" if value == value else "-"


def table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Plain columns, the first left- and the others right-aligned unless they hold words.

    Examples
    --------
    >>> print(table(["metric", "mean"], [("psnr_db", "31.2"), ("ssim", "0.8")]))
    metric    mean
    psnr_db   31.2
    ssim       0.8
    """
    cells = [[str(c) for c in row] for row in rows]
    widths = [max(len(row[i]) for row in [list(head), *cells]) for i in range(len(head))]
    numeric = [all(_is_number(row[i]) for row in cells) for i in range(len(head))]

    def line(row: Sequence[str]) -> str:
        put = [
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(row, widths, numeric, strict=True)
        ]
        return "   ".join(put).rstrip()

    return "\n".join(line(row) for row in [list(head), *cells])


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return cell in {"", "-", "null"}
    return True


Note = Callable[[str], None]
"""Called with each finding about a series that is read, as ``ctlab inspect`` words it."""


class Progress(Protocol):
    """Called with how much is done and how much there is."""

    def __call__(self, done: int, total: int, /) -> None:
        """Show that ``done`` of ``total`` parts are there."""


def _silent(done: int, total: int) -> None:  # noqa: ARG001  (a Progress that shows nothing)
    return


@contextmanager
def working(what: str) -> Iterator[Progress]:
    """Progress bar on stderr with the time left; silent where stderr is no terminal."""
    if not sys.stderr.isatty():  # rich would draw from the global random state all the same
        yield _silent
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    columns = [TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn()]
    console = Console(stderr=True)
    with Bars(*columns, TimeRemainingColumn(), console=console, transient=True) as bars:
        task = bars.add_task(what, total=None)
        yield lambda done, total: bars.update(task, completed=done, total=total)

"""A progress bar on stderr, so that stdout holds results alone."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import Progress


@contextmanager
def bar(title: str) -> Iterator[Callable[[int, int], None]]:
    """Function of (done, total) that moves a bar; silent where stderr is no terminal."""
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(title, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)

"""A training run on the terminal: progress, time left, and the metrics of the monitor."""

import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from ctlab.learn.train.devices import is_first_process
from ctlab.learn.train.monitor import raised_warnings

SHOWN = {
    "generator_cycle_full": "cycle error, network units",
    "critic_gap_low": "gap of the low-dose critic",
    "watch_residual_ratio": "removed over expected noise (0.7 to 1.1)",
    "watch_degrader_ratio": "added over expected noise (about 1)",
    "watch_bias_lung_hu": "bias in lung, HU (within 3)",
    "watch_bias_soft_hu": "bias in soft tissue, HU (within 3)",
    "watch_structure": "structure in the residual (under 0.3)",
    "watch_residual_coarse": "coarse share of the residual",
    "watch_hidden": "hidden information (under 1.5)",
    "watch_gsure": "estimated error over noise",
    "watch_nps_distance": "distance of textures",
}
"""Columns of the log that are shown, in words."""

LINE = ("watch_residual_ratio", "watch_bias_lung_hu", "watch_gsure")
"""Those that a line holds where there is no terminal."""
LINE_EVERY_S = 10.0

BEFORE_THE_FIRST_STEP = "reading series and simulating low dose; this may take minutes"

OnRow = Callable[[dict[str, float]], None]


@contextmanager
def training_display(steps: int, *, console: Console | None = None) -> Iterator[OnRow]:
    """Function to call with each log row; it shows progress on stderr.

    On a terminal bars and metrics are drawn in place; elsewhere (a file, a batch system) a line is
    written with each row of the monitor, at most every :data:`LINE_EVERY_S` seconds. Of several
    processes the first alone shows anything.
    """
    console = console or Console(stderr=True)
    if not is_first_process():
        yield lambda _row: None
        return
    if not console.is_terminal:
        yield _lines(steps, console)
        return
    columns = [TextColumn("training steps"), BarColumn(), MofNCompleteColumn()]
    bars = Progress(*columns, TextColumn("time left"), TimeRemainingColumn(), console=console)
    task = bars.add_task("", total=steps)
    latest: dict[str, float] = {}
    begun = Group(bars, BEFORE_THE_FIRST_STEP)
    with Live(begun, console=console, refresh_per_second=4, transient=True) as live:

        def show(row: dict[str, float]) -> None:
            latest.update({k: v for k, v in row.items() if k in SHOWN and v == v})
            bars.update(task, completed=int(row["step"]))
            live.update(Group(bars, measures(latest), *_warnings(row)))

        yield show


def _lines(steps: int, console: Console) -> OnRow:
    """Function that writes a line now and then, and each warning once."""
    console.print(BEFORE_THE_FIRST_STEP, soft_wrap=True)
    began: list[tuple[float, float]] = []  # time and step of the first row
    written = [-math.inf]
    said: set[str] = set()

    def show(row: dict[str, float]) -> None:
        now, step = time.monotonic(), row["step"]
        if not began:
            began.append((now, step))
        new = [warning for warning in raised_warnings(row) if warning.name not in said]
        said.update(warning.name for warning in new)
        is_due = "watch_residual_ratio" in row and now - written[0] >= LINE_EVERY_S
        if is_due or new or step == steps:
            written[0] = now
            pace_s = (now - began[0][0]) / max(step - began[0][1], 1.0)
            facts = [f"step {step:.0f} of {steps}", f"{(steps - step) * pace_s / 60:.0f} min left"]
            facts += [f"{SHOWN[k]} {v:.3g}" for k, v in row.items() if k in LINE and v == v]
            console.print("; ".join(facts), soft_wrap=True, highlight=False)
            for warning in new:
                console.print(f"! {warning}", soft_wrap=True, highlight=False)

    return show


def measures(latest: Mapping[str, float]) -> Table:
    """The newest value of each metric."""
    table = Table(box=None, show_header=False, padding=(0, 1))
    for name, words in SHOWN.items():
        if name in latest:
            table.add_row(words, f"{latest[name]:.3g}")
    return table


def _warnings(row: Mapping[str, float]) -> list[str]:
    return [f"! {warning}" for warning in raised_warnings(row)]

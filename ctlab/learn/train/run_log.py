"""The log of a run: ``log.csv`` and TensorBoard events, cut back where a run resumes."""

import csv
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from lightning_fabric import Fabric

from ctlab.files import write_whole

Row = dict[str, float]


@contextmanager
def run_log(
    out: Path, step: int, fabric: Fabric
) -> Iterator[Callable[[Row, np.ndarray | None], None]]:
    """Function that appends a row to ``log.csv`` and to the TensorBoard events, with a picture.

    Rows after ``step``, left by a run that was cut after its last checkpoint, are dropped.
    """
    if not fabric.is_global_zero:
        yield lambda _row, _images: None
        return
    from torch.utils.tensorboard import SummaryWriter

    path = out / "log.csv"
    kept = _rows_until(path, step)
    started = time.monotonic() - (float(kept[-1]["seconds"]) if kept else 0.0)
    with write_whole(path) as part, part.open("w", newline="", encoding="utf-8") as handle:
        writer = csv.DictWriter(handle, COLUMNS, restval="", extrasaction="ignore")
        writer.writeheader()
        writer.writerows(kept)
    with path.open("a", newline="", encoding="utf-8") as handle:
        writer = csv.DictWriter(handle, COLUMNS, restval="", extrasaction="ignore")
        with SummaryWriter(str(out / "tensorboard"), purge_step=step + 1) as events:

            def write(row: Row, images: np.ndarray | None) -> None:
                if images is not None:
                    events.add_image("samples", images, int(row["step"]), dataformats="HW")
                row["seconds"] = round(time.monotonic() - started, 3)
                writer.writerow(row)
                handle.flush()  # a checkpoint never stands without the rows before it
                if int(row["step"]) % 10 == 0 or "watch_hidden" in row:
                    for name in row.keys() - {"step", "seconds"}:
                        events.add_scalar(name.replace("_", "/", 1), row[name], int(row["step"]))

            yield write


def _rows_until(path: Path, step: int) -> list[dict[str, Any]]:
    if step == 0 or not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as handle:
        # A row that was cut short by a kill has empty fields at its end, never a wrong step.
        return [row for row in csv.DictReader(handle) if row["step"] and int(row["step"]) <= step]


COLUMNS = (
    "step",
    "seconds",
    *(
        f"critic_{term}_{domain}"
        for term in ("gap", "penalty", "error")
        for domain in ("full", "low")
    ),
    *(
        f"generator_{term}"
        for term in (
            "full",
            "low",
            "cycle_full",
            "cycle_low",
            "identity",
            "mean_shift",
            "transport",
            "neighbour",
        )
    ),
    *(
        f"watch_{name}"
        for name in (
            "residual_ratio",
            "degrader_ratio",
            "degrader_nps",
            "structure",
            "hidden",
            "gsure",
            "nps_distance",
            "residual_anisotropy",
            "residual_coarse",
        )
    ),
    *(f"watch_bias_{tissue}_hu" for tissue in ("lung", "soft", "bone")),
)
"""Columns of ``log.csv``; empty where a term was not computed at a step."""

"""The driver of all benchmarks: comparisons in turn, aims, load of the machine, result files.

Ours and a peer run in one process, one after the other in every round, so that whatever slows the
machine slows both: ratios are what to trust, and a ratio above 1 means ours is faster. Each
comparison also says whether both gave the same answer: speed without equality is not a result.

``bench_NAME.py`` has a function ``results()`` that yields rows of :func:`compare`, or rows with
``name``, ``value`` and ``unit``; and, where the numbers need them, ``facts()`` with what else to
write down.
"""

import gc
import importlib
import importlib.metadata
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ctlab.files import write_whole

FOLDER = Path(__file__).parent
MIN_ROUNDS = 5
MINUTES = ("audit", "lecture", "live", "memory", "reading_room", "room_engines")
"""Benchmarks that take minutes or a browser: they run when they are named."""


@dataclass(frozen=True)
class Aim:
    """What the measurements whose name begins so are to reach."""

    begins: str
    value: float
    is_most: bool = False  # a limit from above, as for seconds; otherwise a least ratio
    ends: str = ""

    def is_for(self, name: str) -> bool:
        """True for a measurement of this name."""
        return name.startswith(self.begins) and name.endswith(self.ends)

    def is_met(self, row: dict[str, Any]) -> bool:
        """Whether the row's median ratio, or its value, reaches the aim."""
        reached = row.get("median_ratio", row.get("value"))
        return bool(reached <= self.value if self.is_most else reached >= self.value)


AIMS = (
    Aim("forward projection", 4.0),
    Aim("filtered back-projection", 2.5),
    Aim("read ", 1.5),
    Aim("decode ", 1.0),
    Aim("peak memory of read_series over", 1.3, is_most=True),
    Aim("peak memory of a streamed simulation", 2.0, is_most=True),
    Aim("peak memory on 400 slices", 4.0, is_most=True),
    Aim("hirescam", 2.0),
    Aim("gradcam", 2.0),
    Aim("full audit", 60.0, is_most=True),
    Aim("ssim", 8.0),
    Aim("denoise", 3.0),
    Aim("training step", 1.6, ends="bfloat16"),
    Aim("OR jackknife", 100.0),
    Aim("VGC bootstrap", 5.0),
    Aim("CLMM", 1.0),
    Aim("report", 60.0, is_most=True),
    Aim("next pair, 95th percentile", 100.0, is_most=True),
    Aim("usable after", 10.0, is_most=True),
    Aim("windowing", 60.0),
    Aim("4K pair, scrolling", 30.0),
    Aim("live: first answer", 3.0, is_most=True),
    Aim("live: answers while dragging", 15.0),
    Aim("live: release zip grows by", 20.0, is_most=True),
    Aim("web: 30 at once", 60.0, is_most=True),
    Aim("web: opening, a reader alone", 100.0, is_most=True),
)
"""In float32 a training step has no aim but equal losses."""


def compare(
    name: str,
    ours: Callable[[], Any],
    peer: Callable[[], Any],
    *,
    peer_name: str,
    difference: Callable[[Any, Any], float],
    tolerance: float,
    packages: tuple[str, ...] = (),
    rounds: int = 7,
) -> dict[str, Any]:
    """Result of one benchmark as a dictionary of plain values; see :func:`run` for what is added.

    Parameters
    ----------
    ours, peer : functions without arguments
        Each is called once unmeasured first: compilation and caches are not what is compared.
    peer_name : str
        What ours is compared with, in words.
    difference : function of both results
        Distance between the answers, in the unit of the answer.
    tolerance : float
        Largest difference that still counts as the same answer.
    packages : names of distributions whose versions are printed
    rounds : int
        Pairs of timings, at least 5. The order within a pair alternates.

    Raises
    ------
    ValueError
        Fewer than five rounds.

    Examples
    --------
    >>> result = compare("sum", lambda: sum(range(9)), lambda: 36, peer_name="a constant",
    ...                  difference=lambda a, b: abs(a - b), tolerance=0.0)
    >>> result["equal"], result["n"], result["min"] <= result["median_ratio"] <= result["max"]
    (True, 7, True)
    """
    if rounds < MIN_ROUNDS:
        raise ValueError(f"a median needs {MIN_ROUNDS} rounds or more, got {rounds}")
    apart = float(difference(ours(), peer()))
    gc.collect()
    ours_s, peer_s = [], []
    for k in range(rounds):
        if k % 2:
            peer_s.append(_seconds(peer))
            ours_s.append(_seconds(ours))
        else:
            ours_s.append(_seconds(ours))
            peer_s.append(_seconds(peer))
    ratios = [theirs / own for own, theirs in zip(ours_s, peer_s, strict=True)]
    return {
        "name": name,
        "peer": peer_name,
        "median_ratio": round(statistics.median(ratios), 3),
        "min": round(min(ratios), 3),
        "max": round(max(ratios), 3),
        "n": rounds,
        "ours_s": round(statistics.median(ours_s), 6),
        "peer_s": round(statistics.median(peer_s), 6),
        "difference": apart,
        "tolerance": tolerance,
        "equal": apart <= tolerance,
        "versions": {"python": platform.python_version()}
        | {package: importlib.metadata.version(package) for package in packages},
        "machine": {"cores": _cores(), "processor": platform.machine()},
    }


def names() -> list[str]:
    """Benchmarks of this folder and those in it."""
    return sorted(path.stem.removeprefix("bench_") for path in FOLDER.rglob("bench_*.py"))


def run(name: str, *, write: bool) -> bool:
    """Print each row of a benchmark as it comes; True where every two answers were equal.

    With ``write`` the rows go into ``results/NAME.json``; rows of measurements that were not
    made this time (R is not installed here) stay as they were.
    """
    (file,) = FOLDER.rglob(f"bench_{name}.py")
    inside = file.relative_to(FOLDER).with_suffix("").parts
    module = importlib.import_module(".".join(("benchmarks", *inside)))
    path = FOLDER / "results" / f"{name}.json"
    kept = json.loads(path.read_text("utf-8"))["results"] if path.is_file() else []
    rows = {row["name"]: row for row in kept}
    head = {"command": f"python -m benchmarks {name} --write"}
    if hasattr(module, "facts"):
        head |= module.facts()
    equal = True
    for measured in module.results():
        row = with_aim(measured)
        sys.stdout.write(json.dumps(row) + "\n")
        sys.stdout.flush()
        equal &= row["equal"]
        rows[row["name"]] = row
        if write:
            with write_whole(path) as part:
                text = json.dumps(head | {"results": list(rows.values())}, indent=1)
                part.write_text(text + "\n", encoding="utf-8")
    return equal


def with_aim(row: dict[str, Any]) -> dict[str, Any]:
    """The row with its aim, whether that was met, and the load of the machine.

    Examples
    --------
    >>> found = with_aim({"name": "ssim 512x512", "median_ratio": 9.0})
    >>> found["aim"], found["aim_met"]
    (8.0, True)
    >>> with_aim({"name": "full audit of one region, ig", "value": 70.0})["aim_met"]
    False
    """
    aim = next((aim for aim in AIMS if aim.is_for(row["name"])), None)
    aim_facts = {} if aim is None else {"aim": aim.value, "aim_met": aim.is_met(row)}
    return {"equal": True} | row | aim_facts | {"load": round(os.getloadavg()[0], 1)}


def _seconds(work: Callable[[], Any]) -> float:
    """Duration of one call, with the garbage collector held still."""
    gc.disable()
    try:
        start = time.perf_counter()
        work()
        return time.perf_counter() - start
    finally:
        gc.enable()


def _cores() -> int:
    """Cores this process may use, which a container can make fewer than the machine's."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

"""Times ours and a peer in turn and prints one JSON line: ratios are what to trust.

Both run in one process, one after the other in every round, so that whatever slows the machine
slows both. A ratio above 1 means ours is faster. Each benchmark also says whether both gave the
same answer: speed without equality is not a result.
"""

import gc
import importlib.metadata
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

MIN_ROUNDS = 5


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
    """Result of one benchmark as a dictionary of plain values; see :func:`report` to print it.

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


def report(*results: dict[str, Any]) -> None:
    """Writes each result as one line of JSON on standard output."""
    for result in results:
        sys.stdout.write(json.dumps(result) + "\n")
    sys.stdout.flush()


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

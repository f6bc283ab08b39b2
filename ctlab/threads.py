"""How many cores this process may use, and its libraries held to them: one place for all commands.

The load of the machine is left out on purpose: sums made by another number of threads differ in
their last digits, and a result must not depend on who else computes. Threads that wait sleep.
"""

import os
import sys
from pathlib import Path

VARIABLES = (
    "OMP_NUM_THREADS",  # PyTorch, scikit-image, ONNX Runtime
    "OPENBLAS_NUM_THREADS",  # NumPy, SciPy
    "MKL_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",  # NumPy on Apple
)
"""Read by the libraries when they are loaded, and handed on to programs that a command starts."""

QUOTA = Path("/sys/fs/cgroup/cpu.max")  # "max 100000", or microseconds in each period


def available_cores() -> int:
    """Cores that this process may use, by its affinity and by the quota of its container."""
    seen = hasattr(os, "sched_getaffinity")
    cores = len(os.sched_getaffinity(0)) if seen else os.cpu_count() or 1
    if QUOTA.is_file():
        most, period = QUOTA.read_text(encoding="ascii").split()
        if most != "max":
            cores = min(cores, max(1, int(most) // int(period)))
    return cores


def allowed_threads() -> int:
    """Threads for one piece of work: the available cores, or fewer by ``OMP_NUM_THREADS``."""
    asked = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0]
    return (
        min(available_cores(), int(asked))
        if asked.isdecimal() and int(asked)
        else available_cores()
    )


def bound_threads(asked: int | None = None) -> int:
    """Hold this process, and the programs it starts, to so many threads; their number.

    Parameters
    ----------
    asked : int, optional
        By default the cores that are available to this process; what a variable of the
        environment asks for stays. A number asked for here counts before the environment.
    """
    threads = asked or allowed_threads()
    for name in VARIABLES:
        if asked or name not in os.environ:
            os.environ[name] = str(threads)
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    _bound_loaded(threads)
    return threads


def _bound_loaded(threads: int) -> None:
    """Libraries that were loaded before have read their variable; they are told."""
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(threads)
    if numba := sys.modules.get("numba"):
        # It refuses another number in its variable once its threads run.
        os.environ["NUMBA_NUM_THREADS"] = str(numba.config.NUMBA_NUM_THREADS)
        numba.set_num_threads(min(threads, numba.config.NUMBA_NUM_THREADS))

"""Execute chapters, each in a kernel of its own, and keep outputs, time and memory.

Jupyter Book would execute pages one after the other, and would not say what they cost. Here two
kernels run at a time; the outputs go into the cache where Jupyter Book looks for them. Chapters
that import neither torch nor a subpackage that stands on it run in an interpreter without torch.
"""

import asyncio
import json
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import nbformat
import psutil
from jupyter_cache import get_cache
from jupyter_cache.base import CacheBundleIn
from myst_nb.core.read import read_myst_markdown_notebook
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

from pages import HERE, is_notebook, needs_torch

WORKERS = 2
FAILURES = (CellExecutionError, CellTimeoutError, DeadKernelError, RuntimeError)
CHAPTER_S, AVERAGE_S, BOOK_S, MEMORY_MIB = 90, 35, 600, 4096
LITE = HERE / "lite"


@dataclass(frozen=True)
class Cost:
    """What one chapter took: its kernel's life, processor time, and memory at its highest."""

    page: str
    wall_s: float
    cpu_s: float
    peak_mib: float
    without_torch: bool


class MeasuredClient(NotebookClient):
    """Client that asks for the kernel's processor time and memory before the kernel goes."""

    cost: tuple[float, float] = (0.0, 0.0)

    def set_widgets_metadata(self) -> None:
        """Keep what the kernel cost; this runs after the last cell, while the kernel lives."""
        super().set_widgets_metadata()
        process = psutil.Process(self.km.provisioner.pid)
        times = process.cpu_times()
        memory = process.memory_info()
        peak = getattr(memory, "peak_wset", None) or _high_water(process.pid) or memory.rss
        cpu = times.user + times.system + times.children_user + times.children_system
        self.cost = (cpu, peak / 2**20)


def _high_water(pid: int) -> int | None:
    """Largest resident memory of a process in bytes, where the system keeps it (Linux)."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return None
    peaks_kb = [int(line.split()[1]) for line in lines if line.startswith("VmHWM:")]
    return peaks_kb[0] * 1024 if peaks_kb else None


def environment(*, without_torch: bool) -> dict[str, str]:
    """Variables of a kernel; the processor is shared between the kernels that run at a time."""
    threads = str(max(1, min(2, os.cpu_count() or 1) // WORKERS))
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
    variables = {**dict.fromkeys(names, threads), **os.environ}
    variables |= {"PYDEVD_DISABLE_FILE_VALIDATION": "1"}
    if without_torch:
        path = [str(LITE), *filter(None, [os.environ.get("PYTHONPATH")])]
        variables["PYTHONPATH"] = os.pathsep.join(path)
    return variables


def limited(cpu_s: int) -> dict[str, Any]:
    """Options of a process that the system ends after so much processor time, where it can."""
    if sys.platform == "win32":
        return {}
    import resource

    # The child alone runs this, between fork and exec: nothing is imported or locked there.
    limit = resource.setrlimit, (resource.RLIMIT_CPU, (cpu_s, cpu_s))
    return {"preexec_fn": lambda: limit[0](*limit[1])}


def run_notebook(
    path: Path, *, without_torch: bool, timeout_s: int | None = 600, cpu_s: int = 0
) -> tuple[nbformat.NotebookNode, Cost]:
    """The executed notebook of a chapter's source, and what it took.

    ``timeout_s`` is the wall time of one cell, without a limit if None; ``cpu_s`` the processor
    time of the whole kernel, without a limit if 0.

    Raises
    ------
    DeadKernelError
        The kernel used its processor time up, or ended by itself.
    """
    notebook = read_myst_markdown_notebook(path.read_text("utf-8"), add_source_map=True, path=path)
    client = MeasuredClient(
        notebook,
        timeout=timeout_s,
        startup_timeout=300,
        extra_arguments=["--log-level=ERROR"],  # it would warn of ports on this computer
        record_timing=False,  # times in the cells would make another notebook of them
        resources={"metadata": {"path": str(path.parent)}},
    )
    start = time.monotonic()
    options = limited(cpu_s) if cpu_s else {}
    options["env"] = environment(without_torch=without_torch)
    try:
        asyncio.run(client.async_execute(**options))
    except DeadKernelError as error:
        if cpu_s:
            raise DeadKernelError(
                f"expected {path.stem} to need less than {cpu_s} s of processor time, it used that "
                "up or ran out of memory."
            ) from error
        raise
    cpu_s, peak_mib = client.cost
    cost = Cost(path.stem, time.monotonic() - start, cpu_s, peak_mib, without_torch)
    return notebook, cost


def _work(path: Path) -> tuple[Path, Any, Cost | None, str]:
    try:
        notebook, cost = run_notebook(path, without_torch=not needs_torch(path.read_text("utf-8")))
    except FAILURES as error:
        return path, None, None, str(error)
    return path, notebook, cost, ""


def is_cached(cache: Any, path: Path) -> bool:
    """Whether the cache holds the outputs of this chapter's code."""
    notebook = read_myst_markdown_notebook(path.read_text("utf-8"), add_source_map=True, path=path)
    try:
        cache.match_cache_notebook(notebook)
    except KeyError:
        return False
    return True


def execute(paths: list[Path], cache_path: Path, *, workers: int = WORKERS) -> dict[str, str]:
    """Fill the cache; error texts by page, empty where all chapters ran.

    Times and memory are kept beside the cache, in ``times.json``.
    """
    cache = get_cache(str(cache_path))
    todo = [path for path in paths if is_notebook(path) and not is_cached(cache, path)]
    times = read_times(cache_path)
    errors = {}
    # The long ones first: those that train.
    todo.sort(key=lambda path: not needs_torch(path.read_text("utf-8")))
    with ThreadPoolExecutor(workers) as pool:
        for done in as_completed([pool.submit(_work, path) for path in todo]):
            path, notebook, cost, error = done.result()
            if cost is None:
                errors[path.stem] = error
                continue
            bundle = CacheBundleIn(notebook, str(path), data={"execution_seconds": cost.wall_s})
            cache.cache_notebook_bundle(bundle, check_validity=False, overwrite=True)
            times[path.stem] = asdict(cost)
            write_times(cache_path, times)
            print(f"  {path.stem}: {cost.wall_s:.0f} s, {cost.peak_mib:.0f} MiB", file=sys.stderr)
    return errors


def read_times(cache_path: Path) -> dict[str, dict[str, Any]]:
    """What each executed chapter took, by page."""
    path = cache_path / "times.json"
    return json.loads(path.read_text("utf-8")) if path.is_file() else {}


def write_times(cache_path: Path, times: dict[str, dict[str, Any]]) -> None:
    """Keep them beside the cache."""
    (cache_path / "times.json").write_text(json.dumps(times, indent=1) + "\n", "utf-8")


def times_table(names: list[str], times: dict[str, dict[str, Any]]) -> str:
    """Markdown table of the chapters' cost, in reading order, with the whole book's below."""
    rows = [times[name] for name in names if name in times]
    lines = [
        "| chapter | time (s) | processor (s) | memory (MiB) | torch |",
        "|---|---:|---:|---:|---|",
    ]
    for row in rows:
        torch = "not needed" if row["without_torch"] else "needed"
        lines.append(
            f"| {{doc}}`{row['page']}` | {row['wall_s']:.0f} | {row['cpu_s']:.0f} | "
            f"{row['peak_mib']:.0f} | {torch} |"
        )
    if rows:
        wall, cpu = (sum(row[key] for row in rows) for key in ("wall_s", "cpu_s"))
        peak = max(row["peak_mib"] for row in rows)
        lines.append(f"| **all, one after the other** | {wall:.0f} | {cpu:.0f} | {peak:.0f} | |")
    return "\n".join(lines) + "\n"


def too_slow(times: dict[str, dict[str, Any]]) -> list[str]:
    """Sentences about chapters that take longer than the book promises; empty where none does.

    Processor time counts, since the wall clock depends on what else the machine does. A slower
    processor takes longer, so this is told at every build and refused at a release only.
    """
    rows = list(times.values())
    said = [
        f"{row['page']} took {row['cpu_s']:.0f} s of processor time, the limit is {CHAPTER_S} s"
        for row in rows
        if row["cpu_s"] > CHAPTER_S
    ]
    total = sum(row["cpu_s"] for row in rows)
    if rows and total / len(rows) > AVERAGE_S:
        said.append(
            f"chapters took {total / len(rows):.0f} s on average, the limit is {AVERAGE_S} s"
        )
    if total > WORKERS * BOOK_S:
        said.append(
            f"the book took {total:.0f} s of processor time, the limit is {WORKERS * BOOK_S} s"
        )
    return said


def too_large(times: dict[str, dict[str, Any]]) -> list[str]:
    """A sentence if the two largest chapters, which may run at a time, do not fit into memory."""
    peaks = sorted((row["peak_mib"] for row in times.values()), reverse=True)
    together = sum(peaks[:WORKERS])
    if together <= MEMORY_MIB:
        return []
    return [f"two chapters together took {together:.0f} MiB, the limit is {MEMORY_MIB} MiB"]

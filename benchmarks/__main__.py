"""Runs every ``bench_*.py`` in this folder, or those named: ``python -m benchmarks ssim``.

Exit 1 where a benchmark's two answers differ by more than its tolerance.
"""

import importlib
import sys
from pathlib import Path

from benchmarks.harness import report


def main(wanted: list[str]) -> int:
    """Prints one JSON line per comparison; the exit code."""
    found = sorted(path.stem for path in Path(__file__).parent.glob("bench_*.py"))
    names = [f"bench_{name.removeprefix('bench_')}" for name in wanted] or found
    if unknown := sorted(set(names) - set(found)):
        have = ", ".join(name.removeprefix("bench_") for name in found)
        sys.stderr.write(f"unknown benchmark {', '.join(unknown)}; there are {have}\n")
        return 2
    failed = 0
    for name in names:
        for result in importlib.import_module(f"benchmarks.{name}").results():
            report(result)
            failed += not result["equal"]
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

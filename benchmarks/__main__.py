"""Run the benchmarks that are named, or all that take seconds.

    python -m benchmarks [NAME ...] [--write]

A name is that of a file ``bench_NAME.py`` of this folder. ``--write`` puts what is measured into
``results/NAME.json``. Exit 1 where two answers differ by more than their tolerance; a missed aim
is said and written down, no more.
"""

import argparse
import sys

from benchmarks.driver import MINUTES, names, run


def main(words: list[str]) -> int:
    """Print one JSON line a measurement; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(names()))
    parser.add_argument("--write", action="store_true", help="write results/NAME.json as well")
    given = parser.parse_args(words)
    if unknown := sorted(set(given.names) - set(names())):
        parser.error(f"expected names of {', '.join(names())}, got {', '.join(unknown)}")
    quick = [name for name in names() if name not in MINUTES]
    equal = [run(name, write=given.write) for name in given.names or quick]
    return 0 if all(equal) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

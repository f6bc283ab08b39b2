"""Command line of the comparison; see the package."""

import argparse
from pathlib import Path

from ctlab.classic import METHODS
from experiments.method_comparison.configurations import CONFIGURATIONS, config_of
from experiments.method_comparison.store import Pool, write_domains
from experiments.method_comparison.train import domains_of, train_all


def prepare(series: Path, work: Path, names: list[str]) -> None:
    """Simulate the low doses of every slab that a configuration asks for."""
    from ctlab.learn.data.domains import build_domains

    work.mkdir(parents=True, exist_ok=True)
    pool = Pool(work)
    for name in names:
        config = config_of(name, str(series))
        path = work / f"{domains_of(config)}.json"
        if not path.exists():
            write_domains(build_domains(config), pool, path)


def main() -> None:
    """Run the command that is named."""
    parser = argparse.ArgumentParser(
        prog="python -m experiments.method_comparison", description=__doc__
    )
    commands = parser.add_subparsers(dest="command", required=True)
    for command in ("prepare", "train", "evaluate"):
        sub = commands.add_parser(command)
        sub.add_argument("work", type=Path)
        if command != "train":
            sub.add_argument("series", type=Path)
        sub.add_argument("--only", nargs="+", choices=CONFIGURATIONS, default=list(CONFIGURATIONS))
        if command == "train":
            sub.add_argument("--seconds", type=float, default=480.0)
            sub.add_argument("--steps", type=int, help="so many, however long they take")
            sub.add_argument("--out", type=Path)
            sub.add_argument("--no-graphs", action="store_true", help="launch every kernel")
        if command == "evaluate":
            sub.add_argument("--pycerr", type=Path)
            sub.add_argument(
                "--again",
                nargs="+",
                choices=["input", *METHODS, "shipped", *CONFIGURATIONS],
                help="only these; keep the rest",
            )
    given = parser.parse_args()
    if given.command == "prepare":
        prepare(given.series, given.work, given.only)
    elif given.command == "train":
        train_all(
            given.work,
            given.out or given.work / "trained",
            given.only,
            "LIDC-IDRI-0001",
            seconds=given.seconds,
            steps=given.steps,
            graphs=not given.no_graphs,
        )
    else:
        from experiments.method_comparison import evaluate

        if given.again:
            cases = evaluate.cases_of(given.series, given.pycerr)
            evaluate.judge_again(given.work, given.again, *cases)
        else:
            evaluate.main(given.work, given.only, given.series, given.pycerr)


if __name__ == "__main__":
    main()

"""All results of the shipped model, and its card, from one command that can be cut and repeated.

    python -m experiments.shipped_model SERIES PYCERR [--again PART ...]

``SERIES`` is the folder of LIDC-IDRI-0001 (133 slices) and ``PYCERR`` that of the radiomics phantom
patients, as :mod:`experiments.method_comparison` has them. A part whose results are already of this
very checkpoint is left alone; ``--again`` makes it anew. What does not depend on the weights is
kept from the results before: the rows of classic filters, unless the simulation has changed since,
and those of other networks, each with the PSNR of the images that it was given. An hour and a half
of one core.
"""

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path

import torch

from ctlab.classic import METHODS
from ctlab.learn import load_checkpoint
from experiments.method_comparison import evaluate
from experiments.shipped_model import (
    adaptation,
    image_quality,
    nodules,
    passport,
    range_of_use,
    risk,
)


def comparison(series: Path, pycerr: Path) -> None:
    """The rows of the shipped model beside those of the filters and other networks.

    Where the simulation has changed since, the filters are tuned and judged again as well.
    """
    validation, test = evaluate.cases_of(series, pycerr)
    filters = [evaluate.INPUT, *METHODS] if evaluate.are_of_other_images(test) else []
    evaluate.judge_again(Path(), [*filters, evaluate.SHIPPED], validation, test)


def is_of(results: Path, sha256: str) -> bool:
    """Whether these results are of the checkpoint."""
    if not results.exists():
        return False
    found = json.loads(results.read_text(encoding="utf-8"))
    shipped = found.get("methods", {}).get(evaluate.SHIPPED, found)
    return bool(shipped.get("checkpoint_sha256") == sha256)


def main() -> None:
    """Make what is missing, the shortest first."""
    parser = argparse.ArgumentParser(
        prog="python -m experiments.shipped_model", description=__doc__
    )
    parser.add_argument("series", type=Path)
    parser.add_argument("pycerr", type=Path)
    parts: dict[str, tuple[Path, Callable[[], None]]] = {
        "image_quality": (image_quality.RESULTS, image_quality.main),
        "nodules": (nodules.RESULTS, nodules.main),
        "comparison": (
            evaluate.RESULTS,
            lambda: comparison(given.series, given.pycerr),
        ),
        "adaptation": (
            adaptation.RESULTS,
            lambda: adaptation.main(lambda: evaluate.cases_of(given.series, given.pycerr)[1]),
        ),
        "range_of_use": (range_of_use.RESULTS, lambda: range_of_use.main(given.series)),
        "passport": (passport.RESULTS, passport.main),
        "risk": (risk.RESULTS, risk.main),
    }
    parser.add_argument("--again", nargs="+", choices=parts, default=[])
    given = parser.parse_args()
    torch.set_num_threads(1)
    sha256 = load_checkpoint().sha256
    for name, (results, make) in parts.items():
        if name in given.again or not is_of(results, sha256):
            sys.stderr.write(f"{name}\n")
            make()


if __name__ == "__main__":
    main()

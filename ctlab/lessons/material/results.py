"""Results of the experiments, as the chapters show them."""

import json
from pathlib import Path
from typing import Any

EXPERIMENTS = Path(__file__).parents[3] / "experiments"


def experiment_results(name: str, path: Path | None = None) -> dict[str, Any]:
    """What an experiment wrote: ``error_rates``, ``method_comparison``, or a part of one.

    Parameters
    ----------
    name : folder of ``experiments``, or ``folder/part`` for ``part.json`` in it
    path : JSON file to read instead

    Raises
    ------
    FileNotFoundError
        An installed package does not hold the results; a clone of the repository does.
    """
    path = path or EXPERIMENTS / (f"{name}.json" if "/" in name else f"{name}/results.json")
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise FileNotFoundError(
            f"expected results in {path}, which a clone of the repository holds and an installed "
            f"package does not; make them with python -m experiments.{name.replace('/', '.')}"
        ) from None
    results: dict[str, Any] = json.loads(text)
    return results

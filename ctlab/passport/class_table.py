"""A class's filters ranked: every function on series and seeds only the teacher has."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ctlab.ct import Volume
from ctlab.passport.document import Passport, make_passport

FUNCTION = "denoise"
GRADED = ("accuracy", "noise", "resolution", "structure", "hidden", "invariance", "leak", "speed")
"""Families of checks of a ranking: all that take seconds and no phantom population."""

STARTER = '''"""My filter: slices (z, y, x) in HU and their spacing in mm in, the same slices out.

Try it:  ctlab passport --model my_filter.py:denoise --checks accuracy,noise,resolution
Hand in: this file, under your name. It is scored on other noise than yours.
"""

from scipy.ndimage import gaussian_filter


def denoise(hu, spacing_mm):
    return gaussian_filter(hu, (0, 0.8, 0.8))
'''


def rank_filters(
    folder: str | Path,
    volumes: Sequence[Volume],
    *,
    seeds: Sequence[int],
    dose: float = 0.1,
    slices: int = 4,
    only: Sequence[str] = (),
    time_limit_s: float = 60.0,
) -> pd.DataFrame:
    """One row per file ``NAME.py`` of a folder, best first.

    The more checks are passed in all seeds, the better; then the less error is left. A filter that
    fails stands last, with the reason.

    Parameters
    ----------
    folder : files of students, each with a function ``denoise(hu, spacing_mm)``
    volumes : reference-dose series
    seeds : of the noise; whoever knows them can tune to it
    only : families of checks; none takes :data:`GRADED`

    Returns
    -------
    DataFrame
        ``rank, name, passed, failed, error_left, noise_left, resolution_lost, note``; numbers are
        means over seeds, ``passed`` and ``failed`` are counts of checks: failed in one seed is
        failed.

    Raises
    ------
    ValueError
        No seed, or no file.
    """
    from ctlab.workflows.model_spec import load_denoiser

    files = sorted(Path(folder).glob("*.py"))
    if not files or not seeds:
        raise ValueError(
            f"expected files NAME.py in {folder} and a seed or more, got {len(files)} files and "
            f"{len(seeds)} seeds; collect what was handed in, and choose seeds in secret"
        )
    rows = []
    for file in files:
        try:
            denoiser = load_denoiser(f"{file}:{FUNCTION}", time_limit_s=time_limit_s)
            made = [
                make_passport(
                    volumes, denoiser, dose=dose, slices=slices, seed=seed, only=only or GRADED
                )
                for seed in seeds
            ]
            rows.append({"name": file.stem} | _score(made))
        except ValueError as error:  # one student's fault: said in the row
            note = str(error).replace(str(file), file.name)
            rows.append({"name": file.stem, "passed": 0, "failed": math.inf, "note": note})
    return _ranked(pd.DataFrame(rows))


def _score(passports: list[Passport]) -> dict[str, Any]:
    results: dict[str, list[Any]] = {}
    values: dict[str, list[float]] = {}
    for passport in passports:
        for check in passport.checks:
            if check["passed"] is not None:
                results.setdefault(check["name"], []).append(check["passed"])
                values.setdefault(check["name"], []).append(check["value"])
    good = [name for name, found in results.items() if all(found)]
    bad = [name for name in results if name not in good]
    names = {
        "error_left": "error left",
        "noise_left": "noise left",
        "resolution_lost": "loss of resolution (f50 of a 10 mm insert)",
    }
    means = {k: float(np.mean(values[n])) if n in values else math.nan for k, n in names.items()}
    note = f"failed: {', '.join(bad)}" if bad else "no check failed"
    return {"passed": len(good), "failed": len(bad)} | means | {"note": note}


def _ranked(table: pd.DataFrame) -> pd.DataFrame:
    """Fewest failures first, then least error; equal ones share a rank."""
    columns = ["name", "passed", "failed", "error_left", "noise_left", "resolution_lost", "note"]
    table = table.reindex(columns=columns)
    keys = ["failed", "error_left"]
    table = table.sort_values([*keys, "name"], na_position="last", ignore_index=True)
    ranks = [tuple(row) for row in table[keys].fillna(math.inf).to_numpy()]
    table.insert(0, "rank", [ranks.index(row) + 1 for row in ranks])
    return table

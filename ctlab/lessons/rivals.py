"""The race of all ways of training, as tables: read from the results that the race has written."""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

RESULTS = Path(__file__).parents[2] / "benchmarks" / "results" / "rivals.json"
"""Where ``python -m benchmarks.rivals evaluate`` writes, in a clone of the repository."""

MEASURES = {
    "RMSE (HU)": "rmse_body_hu",
    "PSNR (dB)": "psnr_db",
    "SSIM": "ssim",
    "lung bias (HU)": "bias_lung_hu",
    "removed": "residual_ratio",
    "texture (HU)": "sliced_w1_hu",
}
FAINT = "ground-glass"


def read_rivals(path: Path = RESULTS) -> dict[str, Any]:
    """Results of the race: the command that made them, and ``methods`` by name."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise FileNotFoundError(
            f"the results of the race belong in {path}, which a clone of the repository holds and "
            "an installed package does not; make them with python -m benchmarks.rivals"
        ) from None
    return json.loads(text)


def rivals_table(
    dose: float = 0.1, patients: Sequence[str] | None = None, *, path: Path = RESULTS
) -> pd.DataFrame:
    """One row a method at one dose; every measure is a mean over patients, each counted once.

    Parameters
    ----------
    dose : float
        Fraction of the scan's dose, one of those in the results.
    patients : sequence of str, optional
        Default: every patient of the results, except the ``"sample"`` that the packaged slices
        belong to and of which other slabs were trained on.

    Returns
    -------
    DataFrame
        By method: ``taught by``, ``steps`` and ``seconds`` of training (missing where nothing was
        trained or written down), RMSE inside the body, PSNR and SSIM in the lung window, the bias
        of lung, the SD of what was ``removed`` over that of the noise (0 for the identity), the
        distance of texture (sliced Wasserstein distance of small pieces of soft tissue) and the
        share of a faint nodule's contrast that is left (``faint nodule (%)``, mean over sizes).
        ``attrs["patients"]`` is the number of patients.

    Raises
    ------
    FileNotFoundError
        The results are not there.
    ValueError
        They know no such dose or patient.
    """
    methods = read_rivals(path)["methods"]
    rows = [row for method in methods.values() for row in method["rows"]]
    _known("dose", [dose], {row["dose"] for row in rows})
    known = {row["patient"] for row in rows}
    wanted = sorted(known - {"sample"}) if patients is None else list(patients)
    _known("patient", wanted, known)
    table = pd.DataFrame(
        {name: _row(method, dose, wanted) for name, method in methods.items()}
    ).T.infer_objects()
    table.attrs["patients"] = len(wanted)
    return table.rename_axis("method")


def _known(what: str, asked: Sequence[Any], known: set[Any]) -> None:
    strange = [value for value in asked if value not in known]
    if strange or not asked:
        raise ValueError(f"{what} {strange} is not among the results, which know {sorted(known)}")


def _row(method: dict[str, Any], dose: float, patients: list[str]) -> dict[str, Any]:
    rows = [r for r in method["rows"] if r["dose"] == dose and r["patient"] in patients]
    faint = [
        nodule["recovery"] for row in rows for nodule in row.get("nodules", ())
        if nodule["kind"] == FAINT
    ]  # fmt: skip
    return {
        "taught by": method.get("supervision", "–"),
        "steps": method.get("steps", math.nan),
        "seconds": method.get("training", {}).get("seconds", math.nan),
        **{name: float(np.mean([r[key] for r in rows])) for name, key in MEASURES.items()},
        "faint nodule (%)": 100 * float(np.mean(faint)) if faint else math.nan,
    }

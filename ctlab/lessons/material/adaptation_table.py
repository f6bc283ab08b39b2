"""The shipped model before and after adaptation to each test series, as a table."""

from pathlib import Path
from typing import Any

import pandas as pd

from ctlab.lessons.material.results import EXPERIMENTS, experiment_results

MEASURES = {
    "SSIM": "ssim",
    "lung bias (HU)": "bias_lung_hu",
    "soft bias (HU)": "bias_soft_hu",
    "texture (HU)": "sliced_w1_hu",
}
FAINT = ("ground-glass", 6.0)
"""Kind and diameter in mm of the inserted nodules whose contrast is told."""


def read_adaptation(path: Path | None = None) -> dict[str, Any]:
    """Results of the experiment: ``before``, ``after``, ``own_dose`` and ``softer_kernel``."""
    return experiment_results(
        "shipped_model", path or EXPERIMENTS / "shipped_model" / "adaptation.json"
    )


def adaptation_table(path: Path | None = None) -> pd.DataFrame:
    """Measures before and after, one row a series and dose; NaN after where it was refused.

    Returns
    -------
    DataFrame
        Columns are pairs of a measure and ``before`` or ``after``. *gain (dB)* is the PSNR over
        that of the input, *faint nodule (%)* the contrast left of ground glass of 6 mm.
    """
    results = read_adaptation(path)
    before = {(row["patient"], row["dose"]): row for row in results["before"]}
    rows = {}
    for after in results["after"]:
        place = (after["patient"], f"{100 * after['dose']:g}\u00a0%")
        both = {"before": before[after["patient"], after["dose"]], "after": after}
        rows[place] = {
            (measure, when): value
            for when, row in both.items()
            for measure, value in _measured(row).items()
        }
    table = pd.DataFrame.from_dict(rows, orient="index")
    return table[[column for name in _measured({}) for column in table if column[0] == name]]


def _measured(row: dict[str, Any]) -> dict[str, float]:
    """Measures of one row by name; NaN where there are none."""
    nan = float("nan")
    faint = [
        100 * nodule["recovery"]
        for nodule in row.get("nodules", [])
        if (nodule["kind"], nodule["diameter_mm"]) == FAINT
    ]
    gain = row.get("psnr_db", nan) - row.get("input_psnr_db", nan)
    measured = {name: float(row.get(key, nan)) for name, key in MEASURES.items()}
    return {"gain (dB)": gain, **measured, "faint nodule (%)": faint[0] if faint else nan}

"""All ways of training compared, as tables from the results of the experiment."""

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ctlab.lessons.material.results import experiment_results

MEASURES = {
    "RMSE (HU)": "rmse_body_hu",
    "PSNR (dB)": "psnr_db",
    "input PSNR (dB)": "input_psnr_db",
    "SSIM": "ssim",
    "lung bias (HU)": "bias_lung_hu",
    "soft bias (HU)": "bias_soft_hu",
    "bone bias (HU)": "bias_bone_hu",
    "removed": "residual_ratio",
    "texture (HU)": "sliced_w1_hu",
    "spectrum": "nps_shape",
}
IN_WORDS = {
    "input": "the noisy image",
    "nlm": "non-local means: averages places that look alike",
    "tv": "total variation: charges the height of steps",
    "bilateral": "averages neighbours of like HU",
    "bm3d": "filters stacks of like patches in a transform",
    "shipped": "noise measured, squared cycle, hardly a critic, synthetic nodules",
    "ot2": "OT-CycleGAN, low-dose noise learned, as a reconstruction makes it",
    "ot2-quadratic": "ot2, small cycle errors squared",
    "ot2-soft": "ot2-quadratic, critic of full dose weighs less",
    "ot2-coarse": "ot2-quadratic, critics look at coarser texture",
    "ot2-fine": "ot2-quadratic, critics look at finer texture",
    "ot2-phantoms": "ot2-quadratic, computed phantoms among the scans",
    "ot2-free": "ot2 with a degrader free in level and texture of its noise",
    "adain": "one generator for both directions, switched by a code",
    "invertible": "a denoiser with an exact inverse",
    "lsgan": "plain CycleGAN: least-squares critics, usual weights",
    "ot1": "OT-CycleGAN, low dose by simulation, full dose of its cycle known",
    "supervised": "network of ot2, told the full dose of every slab",
    "supervised-equal": "supervised, for as many steps as shipped",
    "redcnn": "RED-CNN, told the full dose of every slab",
    "noise2sim": "told the noisy neighbouring slice, no full dose at all",
    "otmap": "critic and cost of moving, no way back",
    "otmap-near": "otmap, moving costs more",
}
NODULES = {"faint nodule (%)": "ground-glass", "solid nodule (%)": "solid"}


def read_comparison(path: Path | None = None) -> dict[str, Any]:
    """Results of the comparison: the command that made them, and ``methods`` by name."""
    return experiment_results("method_comparison", path)


def method_table(
    dose: float = 0.1, patients: Sequence[str] | None = None, *, path: Path | None = None
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
        By method: ``in words``, ``taught by``, ``steps``, ``seconds`` and ``memory (MiB)`` of
        training (missing where nothing was trained or written down), RMSE inside the body, PSNR and
        SSIM in the lung window, the PSNR of the noisy images that the method was given, the biases
        of lung, soft tissue and bone, the SD of what was ``removed`` over that of the noise (0 for
        the identity), two distances from the noise texture of full dose
        (``texture``: sliced Wasserstein distance of small pieces of soft tissue; ``spectrum``:
        between the shapes of the noise power, no unit), and the shares of a nodule's contrast that
        are left (``faint nodule (%)``, +200 HU, and ``solid nodule (%)``, +850 HU; means over
        sizes).
        ``attrs["patients"]`` is the number of patients.

    Raises
    ------
    FileNotFoundError
        The results are not there.
    ValueError
        They know no such dose or patient.
    """
    methods = read_comparison(path)["methods"]
    rows = [row for method in methods.values() for row in method["rows"]]
    _known("dose", [dose], {row["dose"] for row in rows})
    known = {row["patient"] for row in rows}
    chosen = sorted(known - {"sample"}) if patients is None else list(patients)
    _known("patient", chosen, known)
    table = pd.DataFrame(
        {
            name: {"in words": IN_WORDS.get(name, "–"), **_row(method, dose, chosen)}
            for name, method in methods.items()
        }
    ).T.infer_objects()
    table.attrs["patients"] = len(chosen)
    return table.rename_axis("method")


def _known(what: str, asked: Sequence[Any], known: set[Any]) -> None:
    strange = [value for value in asked if value not in known]
    if strange or not asked:
        raise ValueError(f"{what} {strange} is not among the results, which know {sorted(known)}")


def _row(method: dict[str, Any], dose: float, patients: list[str]) -> dict[str, Any]:
    rows = [r for r in method["rows"] if r["dose"] == dose and r["patient"] in patients]
    training = method.get("training", {})
    return {
        "taught by": method.get("supervision", "–"),
        "steps": method.get("steps", math.nan),
        "seconds": training.get("seconds", math.nan),
        "memory (MiB)": training.get("memory_mib", math.nan),
        **{name: _mean(row.get(key) for row in rows) for name, key in MEASURES.items()},
        **{name: 100 * _mean(_recoveries(rows, kind)) for name, kind in NODULES.items()},
    }


def _recoveries(rows: list[dict[str, Any]], kind: str) -> list[float]:
    nodules = [nodule for row in rows for nodule in row.get("nodules", ())]
    return [nodule["recovery"] for nodule in nodules if nodule["kind"] == kind]


def _mean(values: Iterable[float | None]) -> float:
    """Mean of what was measured; NaN where nothing was."""
    measured = [value for value in values if value is not None]
    return float(np.mean(measured)) if measured else math.nan


def share_of_gain(table: pd.DataFrame, method: str, bound: str = "supervised") -> float:
    """PSNR that a method gains over its input, as a share of what a bound gains over its own.

    Parameters
    ----------
    table : DataFrame
        Of :func:`method_table`. Where ``input PSNR (dB)`` is missing, that of ``input`` counts.
    method, bound : str
        Names of its rows.

    Examples
    --------
    >>> share_of_gain(pd.DataFrame({"PSNR (dB)": {"input": 30.0, "a": 33.0, "b": 34.0}}), "a", "b")
    0.75
    """
    given = table.get("input PSNR (dB)", pd.Series(math.nan, table.index))
    gains = table["PSNR (dB)"] - given.astype(float).fillna(table["PSNR (dB)"]["input"])
    return float(gains[method] / gains[bound])

"""Tidy tables: one row per slice, then per patient, then intervals and paired comparisons."""

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

from ctlab.assess.fidelity import metrics
from ctlab.ct.hu import Window
from ctlab.ct.noise_level import measure_noise_hu
from ctlab.ct.tissue import tissue_masks
from ctlab.ct.volume import Volume
from ctlab.files import write_csv, write_whole

MIN_PATIENTS = 10
"""Below it no interval is given: it would rest on too few independent patients."""

_ARRAY_PIXEL_MM = 0.7
"""Pixel size taken for arrays, which do not say theirs; it only sets the window of the noise."""

_LABELS = ("patient", "slice", "window", "arm")


def evaluate_volume(
    reference: Volume | np.ndarray,
    image: Volume | np.ndarray,
    *,
    window: Window = metrics.CHEST,
    clip_hu: tuple[float, float] = metrics.PROTOCOL_CLIP_HU,
    patient: str | None = None,
) -> pd.DataFrame:
    """Metrics of every slice, one row each.

    PSNR, SSIM and GMSD are taken in the window; RMSE, MAE, bias and VIF on HU clipped to
    ``clip_hu``. With the default both follow the LDCT benchmark's chest protocol (see
    :data:`ctlab.ct.hu.PROTOCOL_WINDOWS`). The reference is noisy:
    ``reference_noise_hu`` says how much (one figure a series: that of
    ``ctlab.ct.measure_noise_hu``), and an image cannot be told from the truth below it.

    Parameters
    ----------
    reference, image : Volume or ndarray (z, y, x), HU, on one grid
    window : Window
    patient : str, optional
        Label of the rows; None takes the reference's patient identifier.

    Returns
    -------
    DataFrame
        ``patient, slice, window, psnr_db, ssim, rmse_hu, mae_hu, vif, gmsd, bias_hu,
        bias_lung_hu, bias_soft_hu, …, reference_noise_hu``; NaN where a slice holds less than
        100 voxels of a tissue.

    Raises
    ------
    ValueError
        Shapes, spacing or positions that differ; NaN.
    """
    check_same_grid(reference, image)
    if patient is None:
        patient = reference.acquisition.patient_id if isinstance(reference, Volume) else ""
    first = reference.hu if isinstance(reference, Volume) else np.asarray(reference)
    second = image.hu if isinstance(image, Volume) else np.asarray(image)
    if first.ndim != 3:
        raise ValueError(f"expected volumes of shape (z, y, x), got {first.shape}")
    noise = {"reference_noise_hu": _noise_hu(reference)}
    rows = [
        {"patient": patient, "slice": k, "window": str(window)}
        | _slice_metrics(a, b, window, clip_hu)
        | noise
        for k, (a, b) in enumerate(zip(first, second, strict=True))
    ]
    return pd.DataFrame(rows)


def check_same_grid(reference: Volume | np.ndarray, image: Volume | np.ndarray) -> None:
    """Raises ValueError where two volumes do not lie on one grid."""
    if isinstance(reference, Volume) and isinstance(image, Volume):
        if not np.allclose(reference.spacing_mm, image.spacing_mm, rtol=1e-3):
            raise ValueError(
                f"spacing differs: reference {reference.spacing_mm} mm, image {image.spacing_mm} mm"
            )
        if not np.allclose(reference.orientation, image.orientation, atol=1e-3):
            raise ValueError(
                f"orientation differs: reference {_rounded(reference.orientation)}, image "
                f"{_rounded(image.orientation)}; compare images of the same planes and directions"
            )
    shapes = [np.shape(v.hu if isinstance(v, Volume) else v) for v in (reference, image)]
    if shapes[0] != shapes[1]:
        raise ValueError(f"reference is {shapes[0]}, image {shapes[1]}; bring both to one grid")
    if isinstance(reference, Volume) and isinstance(image, Volume):
        _check_positions(reference, image)


def _check_positions(reference: Volume, image: Volume) -> None:
    """Every slice, not the first alone: slices may be missing at other places, or be sheared."""
    for volume in (reference, image):
        volume.refuse_unplaced("compared by position (in Python compare their arrays, hu)")
    count = len(reference.hu)
    first, second = (
        np.array([v.slice_origin_mm(k) for k in range(count)]) for v in (reference, image)
    )
    apart = np.linalg.norm(first - second, axis=1)
    wrong = np.flatnonzero(apart > 0.1 * min(reference.spacing_mm))
    if len(wrong):
        k = wrong[0]
        raise ValueError(
            f"{len(wrong)} of {count} slices lie elsewhere: slice {k} at {_rounded(first[k])} mm "
            f"in the reference, at {_rounded(second[k])} mm in the image; compare slices of the "
            "same positions"
        )


def _rounded(values: Sequence[float] | np.ndarray) -> tuple[float, ...]:
    return tuple(round(float(v), 2) + 0.0 for v in values)


def _slice_metrics(
    reference: np.ndarray, image: np.ndarray, window: Window, clip_hu: metrics.Range
) -> dict[str, float]:
    row = {
        "psnr_db": metrics.psnr_db(reference, image, window=window),
        "ssim": metrics.ssim(reference, image, window=window),
        "rmse_hu": metrics.rmse_hu(reference, image, clip_hu=clip_hu),
        "mae_hu": metrics.mae_hu(reference, image, clip_hu=clip_hu),
        "vif": metrics.vif(reference, image, clip_hu=clip_hu),
        "gmsd": metrics.gmsd(reference, image, window=window),
        "bias_hu": metrics.bias_hu(reference, image, clip_hu=clip_hu),
    }
    for tissue, mask in tissue_masks(reference).items():
        enough = mask.sum() >= 100
        row[f"bias_{tissue}_hu"] = (
            metrics.bias_hu(reference, image, mask=mask) if enough else float("nan")
        )
    return row


def _noise_hu(reference: Volume | np.ndarray) -> float:
    """The one figure of :func:`ctlab.ct.measure_noise_hu`; NaN where there is no soft tissue."""
    spacing_mm = None if isinstance(reference, Volume) else _ARRAY_PIXEL_MM
    try:
        return measure_noise_hu(reference, spacing_mm=spacing_mm)
    except ValueError:
        return float("nan")


def summarise(table: pd.DataFrame, *, confidence: float = 0.95) -> pd.DataFrame:
    """Mean of each metric over patients with its interval, one row per metric (and arm).

    Slices are averaged within a patient first: slices of one patient are not independent. The
    interval is Student's t over patients, which assumes that patient means are near normal.

    Parameters
    ----------
    table : DataFrame
        From :func:`evaluate_volume`, several patients below one another; a column ``arm`` is
        kept apart.

    Returns
    -------
    DataFrame
        ``(arm,) metric, mean, low, high, n_patients, n_slices, note``. ``low`` and ``high`` are
        NaN below ten patients, and ``note`` says why.

    Examples
    --------
    >>> one = pd.DataFrame({"patient": ["a", "a"], "slice": [0, 1], "rmse_hu": [10.0, 20.0]})
    >>> summarise(one)[["metric", "mean", "low", "n_patients"]].to_dict("records")
    [{'metric': 'rmse_hu', 'mean': 15.0, 'low': nan, 'n_patients': 1}]
    """
    if table.empty or "patient" not in table:
        raise ValueError("expected a table of evaluate_volume with at least one row")
    if "arm" in table:
        parts = [
            summarise(part.drop(columns="arm"), confidence=confidence).assign(arm=arm)
            for arm, part in table.groupby("arm", sort=False)
        ]
        return pd.concat(parts, ignore_index=True)
    values = _metric_columns(table)
    means = table.groupby("patient", sort=False)[values].mean()
    rows = []
    for name in values:
        patients = means[name].dropna()
        low, high, note = _t_interval(patients.to_numpy(), confidence)
        mean = float(patients.mean()) if len(patients) else float("nan")
        rows.append(
            {"metric": name, "mean": mean, "low": low, "high": high, "n_patients": len(patients)}
            | {"n_slices": int(table[name].notna().sum()), "note": note}
        )
    return pd.DataFrame(rows)


def compare_arms(table: pd.DataFrame, *, baseline: str, confidence: float = 0.95) -> pd.DataFrame:
    """Paired difference of each arm from the baseline over patients, Holm-corrected.

    Parameters
    ----------
    table : DataFrame
        From :func:`evaluate_volume` with a column ``arm``; every patient in every arm.
    baseline : str
        Arm the others are compared with.

    Returns
    -------
    DataFrame
        ``arm, metric, difference, low, high, p, p_holm, n_patients, note``: mean of patient
        differences with Student's t interval, and Wilcoxon's signed-rank test, corrected over
        all rows by Holm's step-down (Scand J Stat 6:65, 1979). Below ten patients only the
        difference is given.

    Examples
    --------
    >>> rows = [("low", 1, 30.0), ("low", 2, 31.0), ("model", 1, 32.0), ("model", 2, 33.0)]
    >>> table = pd.DataFrame(rows, columns=["arm", "patient", "psnr_db"])
    >>> compare_arms(table, baseline="low")[["arm", "metric", "difference"]].values.tolist()
    [['model', 'psnr_db', 2.0]]
    """
    if "arm" not in table or baseline not in set(table["arm"]):
        arms = sorted(set(table["arm"])) if "arm" in table else []
        raise ValueError(f"no arm {baseline!r} in the table; it holds {arms}")
    values = _metric_columns(table)
    means = table.groupby(["arm", "patient"])[values].mean()
    rows = []
    for arm in [a for a in table["arm"].unique() if a != baseline]:
        if set(means.loc[arm].index) != set(means.loc[baseline].index):
            raise ValueError(f"arms {arm!r} and {baseline!r} do not hold the same patients")
        gaps = means.loc[arm] - means.loc[baseline]
        rows += [{"arm": arm, "metric": m} | _paired(gaps[m], confidence) for m in values]
    result = pd.DataFrame(rows)
    result.insert(result.columns.get_loc("p") + 1, "p_holm", holm(result["p"].to_numpy()))
    return result


def holm(p: np.ndarray) -> np.ndarray:
    """Holm's step-down adjustment of p-values; NaN stays NaN and is not counted.

    Examples
    --------
    >>> holm(np.array([0.01, 0.04, 0.03])).round(3).tolist()
    [0.03, 0.06, 0.06]
    """
    from statsmodels.stats.multitest import multipletests

    p = np.asarray(p, dtype=float)
    adjusted, known = np.full(p.shape, np.nan), ~np.isnan(p)
    if known.any():
        adjusted[known] = multipletests(p[known], method="holm")[1]
    return adjusted


def write_table(table: pd.DataFrame, path: str | Path) -> None:
    """Writes CSV or Parquet, by the name's ending, whole or not at all."""
    path = check_table_name(path)
    if path.suffix == ".csv":
        write_csv(path, table)
        return
    with write_whole(path) as part:
        table.to_parquet(part, index=False)


def check_table_name(path: str | Path) -> Path:
    """The path of a table; raises ValueError where none can be written there."""
    path = Path(path)
    if path.is_dir():
        raise ValueError(f"{path} is a folder; name a file that ends in .csv or .parquet")
    if path.suffix not in (".csv", ".parquet"):
        raise ValueError(f"name a file that ends in .csv or .parquet, got {path.name}")
    if path.suffix == ".parquet" and find_spec("pyarrow") is None:
        raise ValueError(
            f"expected pyarrow for {path.name}, which is not installed; write .csv, or "
            "pip install -c constraints.txt -e '.[fetch]'"
        )
    return path


def _metric_columns(table: pd.DataFrame) -> list[str]:
    return [c for c in table.columns if c not in _LABELS and table[c].dtype.kind == "f"]


def _t_interval(values: np.ndarray, confidence: float) -> tuple[float, float, str]:
    if len(values) < MIN_PATIENTS:
        return float("nan"), float("nan"), f"{len(values)} of {MIN_PATIENTS} patients needed"
    if not np.isfinite(values).all():
        return float("nan"), float("nan"), "a patient's value is infinite"
    half = stats.t.ppf((1 + confidence) / 2, len(values) - 1) * stats.sem(values)
    return float(values.mean() - half), float(values.mean() + half), ""


def _paired(gaps: pd.Series, confidence: float) -> dict[str, object]:
    values = gaps.dropna().to_numpy()
    low, high, note = _t_interval(values, confidence)
    p = float("nan")
    if not note:
        p = 1.0 if not values.any() else float(stats.wilcoxon(values).pvalue)
    difference = float(values.mean()) if len(values) else float("nan")
    return {"difference": difference, "low": low, "high": high, "p": p} | {
        "n_patients": len(values),
        "note": note,
    }

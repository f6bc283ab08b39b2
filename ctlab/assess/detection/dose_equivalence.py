"""The raw dose that a denoised image is worth, lesion class by lesion class."""

from collections.abc import Iterable

import numpy as np
import pandas as pd
from scipy import special


def equivalent_dose(
    table: pd.DataFrame,
    *,
    classes: Iterable[str] = ("kind", "diameter_mm", "contrast_hu"),
    draws: int = 2000,
    level: float = 0.95,
    seed: int = 0,
) -> pd.DataFrame:
    """Raw dose at which each lesion is as visible as after the denoiser, with its interval.

    ``d' = c dose^b`` is fitted to the raw AUCs of a lesion class (b is 0.5 while quantum noise
    rules) and solved for the denoised AUC. The answer may lie below the dose that was denoised.

    Parameters
    ----------
    table : DataFrame
        As :func:`detectability_table` makes it, the ``input`` arm at three or more doses.
    classes : columns that tell lesion classes apart
    draws : int
        Parametric draws of all AUCs on the logit scale for the interval.

    Returns
    -------
    DataFrame
        One row per class and denoised dose: the class, ``dose, equivalent_dose, low, high,
        note``. Points at AUC 0.5 or below, or within one pair of 1, cannot be placed on the curve;
        doses beyond twice the largest raw dose are infinite, with a note.

    Raises
    ------
    ValueError
        Fewer than three raw doses of a class hold a usable AUC.

    Examples
    --------
    >>> from ctlab.assess.detection.roc import d_prime_to_auc
    >>> raw = [("input", d, d_prime_to_auc(4 * d**0.5)) for d in (0.05, 0.1, 0.2, 0.4)]
    >>> rows = [*raw, ("denoised", 0.1, d_prime_to_auc(4 * 0.2**0.5))]
    >>> table = pd.DataFrame(rows, columns=["arm", "dose", "auc"]).assign(
    ...     kind="solid", se=0.01, n_test=200
    ... )
    >>> equivalent_dose(table, classes=["kind"]).equivalent_dose.round(3).tolist()
    [0.2]
    """
    classes = list(classes)
    rng = np.random.default_rng(seed)
    rows = []
    for key, part in table.groupby(classes, sort=False):
        raw = part[part.arm == "input"]
        pair = 0.5 / raw.n_test**2
        raw = raw[(raw.auc > 0.5) & (raw.auc < 1 - pair) & (raw.se > 0)]
        if raw.dose.nunique() < 3:
            named = ", ".join(f"{c} {k}" for c, k in zip(classes, key, strict=True))
            raise ValueError(
                f"{named}: the curve of AUC over dose needs raw AUCs between 0.5 and 1 at 3 or "
                f"more doses, got {raw.dose.nunique()}; choose other doses or contrasts"
            )
        top = 2 * raw.dose.max()
        for _, row in part[part.arm == "denoised"].iterrows():
            value, low, high, note = _invert(raw, row, top, draws, level, rng)
            answer = {"dose": row.dose, "equivalent_dose": value, "low": low, "high": high}
            rows.append(dict(zip(classes, key, strict=True)) | answer | {"note": note})
    return pd.DataFrame(rows)


def _invert(
    raw: pd.DataFrame,
    denoised: "pd.Series[float]",
    top: float,
    draws: int,
    level: float,
    rng: np.random.Generator,
) -> tuple[float, float, float, str]:
    """Dose at which the fitted curve of d' reaches the denoised d', and its interval."""
    doses = np.log(raw.dose.to_numpy())
    auc, se = raw.auc.to_numpy(), raw.se.to_numpy()
    weights = _slope(auc) / se  # of log d', by error propagation
    measured = np.concatenate([auc, [denoised.auc]])
    errors = np.concatenate([se, [denoised.se]])
    safe = np.clip(measured, 1e-6, 1 - 0.5 / denoised.n_test**2)
    noise = errors / (safe * (1 - safe)) * rng.standard_normal((draws, len(safe)))
    drawn = np.concatenate([safe[None], special.expit(special.logit(safe) + noise)])
    d_prime = np.sqrt(2) * special.ndtri(drawn)
    values = np.array([_dose_of(d[-1], d[:-1], doses, weights) for d in d_prime])
    values[values > top] = np.inf
    limits = np.quantile(values[1:], [(1 - level) / 2, (1 + level) / 2], method="nearest")
    note = ""
    if not np.isfinite(values[0]):
        note = f"more visible than raw images at any dose up to {top:g}"
    elif values[0] < np.exp(doses.min()):
        note = f"below the lowest raw dose measured ({np.exp(doses.min()):g}): extrapolated"
    elif values[0] > np.exp(doses.max()):
        note = f"above the highest raw dose measured ({np.exp(doses.max()):g}): extrapolated"
    return float(values[0]), float(limits[0]), float(limits[1]), note


def _slope(auc: np.ndarray) -> np.ndarray:
    """Inverse of d(log d')/d(AUC), so that ``slope / se`` weights log d'."""
    d_prime = np.sqrt(2) * special.ndtri(auc)
    return np.asarray(d_prime * np.exp(-(d_prime**2) / 4) / (2 * np.sqrt(np.pi)))


def _dose_of(
    target: float, d_prime: np.ndarray, log_doses: np.ndarray, weights: np.ndarray
) -> float:
    """Dose on the curve ``d' = c dose^b`` through the points; 0 where nothing is visible."""
    if target <= 0:
        return 0.0
    seen = d_prime > 0
    if seen.sum() < 2:
        return np.inf
    b, log_c = np.polyfit(log_doses[seen], np.log(d_prime[seen]), 1, w=weights[seen])
    if b <= 0:  # visibility does not grow with dose: no dose can be named
        return np.inf
    return float(np.exp(min((np.log(target) - log_c) / b, 50.0)))

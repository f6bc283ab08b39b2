"""Dorfman-Berbaum-Metz analysis: a three-way ANOVA of jackknife pseudo-values.

It gives the Obuchowski-Rockette answer with jackknife covariances (Hillis, Obuchowski,
Schartz & Berbaum 2005, doi:10.1002/sim.2024) and shows the familiar ANOVA table.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from reader_study.stats.roc.curve import placements
from reader_study.stats.roc.obuchowski_rockette import Effect
from reader_study.stats.roc.readings import find_design, read_readings


@dataclass(frozen=True)
class Dbm:
    """ANOVA of pseudo-values (``source, ss, df, ms``) and the F test of equal arms."""

    anova: pd.DataFrame
    components: dict[str, float]
    f: float
    df1: float
    df2: float
    p: float


def pseudovalues(positive: np.ndarray, negative: np.ndarray) -> np.ndarray:
    """Jackknife pseudo-values of the area for each case: diseased ones first.

    Parameters
    ----------
    positive : ndarray, shape (..., n_positive)
    negative : ndarray, shape (..., n_negative)

    Examples
    --------
    Pseudo-values of a perfect reader are all 1:

    >>> pseudovalues(np.array([3.0, 4.0]), np.array([1.0, 2.0]))
    array([1., 1., 1., 1.])
    """
    v10, v01 = placements(positive, negative)
    area = v10.mean(axis=-1, keepdims=True)
    m, n = v10.shape[-1], v01.shape[-1]
    total = m + n
    change = np.concatenate([(v10 - area) / (m - 1), (v01 - area) / (n - 1)], axis=-1)
    return np.asarray(area + (total - 1) * change)


def dbm(table: pd.DataFrame, *, readers: Effect = "random", cases: Effect = "random") -> Dbm:
    """The test of equal areas from pseudo-values, for crossed designs.

    Parameters
    ----------
    table : DataFrame
        ``reader, case, arm, truth, rating``, complete.

    Raises
    ------
    ValueError
        For incomplete tables, or where nothing is random.

    Notes
    -----
    Dorfman, Berbaum & Metz 1992 (doi:10.1097/00004424-199209000-00015); degrees of freedom of
    Hillis 2007 (doi:10.1002/sim.2532). With fixed readers F is referred to (I-1),
    (I-1)(K-1) degrees of freedom.
    """
    readings = read_readings(table)
    design, _ = find_design(readings)
    if design != "crossed":
        raise ValueError(f"expected a crossed design for pseudo-values, but this one is {design}")
    if readers == "fixed" and cases == "fixed":
        raise ValueError("expected random readers or random cases; with both fixed nothing varies")
    truth = readings.truth
    y = pseudovalues(readings.scores[..., truth == 1], readings.scores[..., truth == 0])
    arms, count, total = y.shape
    anova = _three_way(y)
    ms = anova.set_index("source")["ms"]
    from_cases = max(ms["TC"] - ms["TRC"], 0.0)
    if readers == "fixed":
        error, df2 = ms["TC"], float((arms - 1) * (total - 1))
    elif cases == "fixed":
        error, df2 = ms["TR"], float((arms - 1) * (count - 1))
    else:
        error = ms["TR"] + from_cases
        df2 = float(error**2 / ms["TR"] ** 2 * (arms - 1) * (count - 1)) if ms["TR"] else np.inf
    f = float(ms["T"] / error) if error > 0 else np.nan
    df1 = float(arms - 1)
    p = float(stats.f.sf(f, df1, min(df2, 1e9))) if np.isfinite(f) else 1.0
    return Dbm(anova, _components(ms, y.shape), f, df1, df2, p)


def _three_way(y: np.ndarray) -> pd.DataFrame:
    shape = dict(zip("TRC", y.shape, strict=True))
    axes = {"T": 0, "R": 1, "C": 2}
    effects: dict[str, np.ndarray] = {"": y.mean(keepdims=True)}
    rows = []
    for source in ("T", "R", "C", "TR", "TC", "RC", "TRC"):
        out = tuple(axes[name] for name in "TRC" if name not in source)
        effect = y.mean(axis=out, keepdims=True) if out else y
        effect = effect - sum(part for name, part in effects.items() if set(name) < set(source))
        effects[source] = effect
        df = int(np.prod([shape[name] - 1 for name in source]))
        ss = float(np.sum(effect**2) * y.size / effect.size)
        rows.append((source, ss, df, ss / df if df else np.nan))
    return pd.DataFrame(rows, columns=["source", "ss", "df", "ms"])


def _components(ms: pd.Series, shape: tuple[int, ...]) -> dict[str, float]:
    arms, readers, cases = shape
    return {
        "var_reader": float((ms["R"] - ms["TR"] - ms["RC"] + ms["TRC"]) / (arms * cases)),
        "var_case": float((ms["C"] - ms["TC"] - ms["RC"] + ms["TRC"]) / (arms * readers)),
        "var_arm_reader": float((ms["TR"] - ms["TRC"]) / cases),
        "var_arm_case": float((ms["TC"] - ms["TRC"]) / readers),
        "var_reader_case": float((ms["RC"] - ms["TRC"]) / arms),
        "var_error": float(ms["TRC"]),
    }

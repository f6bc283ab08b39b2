"""A model's own scores beside a panel of readers: superior, equivalent, not inferior."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from reader_study.stats.roc.mrmc import Covariance, Figure, figures_and_covariance
from reader_study.stats.roc.obuchowski_rockette import Effect, few_readers_note, joined_notes
from reader_study.stats.roc.readings import read_readings


@dataclass(frozen=True)
class AiVersusReaders:
    """The model minus the mean of the readers; ``df`` infinite: normal limits and p.

    ``noninferiority_p`` and ``equivalence_p`` need a margin (NaN without); ``superiority_p`` is
    one-sided. ``components``: MS of readers, mean variance and covariance of differences.
    """

    ai: float
    readers_mean: float
    difference: float
    se: float
    df: float
    low: float
    high: float
    t: float
    p: float
    margin: float | None
    noninferiority_p: float
    superiority_p: float
    equivalence_p: float
    figures: dict[str, float]
    reader_se: dict[str, float]  # of the model minus each reader, over cases
    components: dict[str, float]
    note: str


def ai_versus_readers(
    table: pd.DataFrame,
    *,
    ai: str,
    method: Covariance = "delong",
    figure: Figure | None = None,
    readers: Effect = "random",
    cases: Effect = "random",
    margin: float | None = None,
    cluster: str | None = None,
    level: float = 0.95,
) -> AiVersusReaders:
    """Compare one model with a panel that read the same cases.

    Parameters
    ----------
    table : DataFrame
        ``reader, case, truth, rating`` with the model as one reader; one arm.
    ai : name of the model among the readers
    method, figure, cluster : as :func:`reader_study.stats.roc.mrmc.mrmc`
    readers, cases : "random" (results extend to new ones) or "fixed"; the model is always fixed
    margin : for non-inferiority and equivalence, in units of the figure

    Raises
    ------
    ValueError
        For a model that is not in the table, more than one arm, a case that somebody did not
        read, fewer than two readers where readers are random.

    Notes
    -----
    One-treatment random-reader analysis (Hillis 2007, doi:10.1002/sim.2532; Chakraborty 2017,
    chapter 22): the differences reader minus model have a mean square over readers MS and a mean
    covariance over cases Cov2; the variance of their mean is (MS + J max(Cov2, 0)) / J with
    (J - 1) ((MS + J max(Cov2, 0)) / MS)^2 degrees of freedom.

    Examples
    --------
    >>> rows = [(r, c, t, s) for r, scores in {"AI": (1, 2, 3, 4), "R1": (1, 3, 2, 4),
    ...     "R2": (1, 2, 4, 3)}.items() for c, t, s in zip("abcd", (0, 0, 1, 1), scores)]
    >>> table = pd.DataFrame(rows, columns=["reader", "case", "truth", "rating"])
    >>> ai_versus_readers(table, ai="AI").difference
    0.125
    """
    values, covariance, names = _panel(table, ai, method, figure, cluster)
    count = values.size - 1
    if readers == "fixed" and cases == "fixed":
        raise ValueError("expected random readers or cases, got both fixed; choose one")
    if readers == "random" and count < 2:
        raise ValueError(
            f"expected two readers or more beside {ai!r}, got {count}; with one use "
            "readers='fixed', which speaks for that reader alone"
        )
    if margin is not None and not margin > 0:
        raise ValueError(f"expected a margin above 0, got {margin}; state it in the figure's units")
    apart = values[1:] - values[0]
    over = covariance[1:, 1:] + covariance[0, 0] - covariance[1:, [0]] - covariance[[0], 1:]
    square = float(np.var(apart, ddof=1)) if count > 1 else np.nan
    between = ~np.eye(count, dtype=bool)
    shared = float(over[between].mean()) if count > 1 else np.nan
    if readers == "fixed":
        variance, df = float(over.mean()), np.inf
    else:
        error = square + (count * max(shared, 0.0) if cases == "random" else 0.0)
        variance = error / count
        df = (count - 1) * (error / square) ** 2 if square > 1e-15 else np.inf
    return _judged(
        values,
        names,
        variance,
        df,
        margin,
        level,
        np.sqrt(np.maximum(np.diag(over), 0.0)),
        {"ms_readers": square, "var": float(np.diag(over).mean()), "cov2": shared},
        few_readers_note(count, readers),
    )


def _panel(
    table: pd.DataFrame, ai: str, method: Covariance, figure: Figure | None, cluster: str | None
) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    """Figures (the model first) and their covariance over cases."""
    one_arm = table if "arm" in table else table.assign(arm="read")
    readings = read_readings(one_arm, cluster=cluster)
    if len(readings.arms) != 1:
        raise ValueError(
            f"expected the panel in one arm, got {', '.join(readings.arms)}; choose one"
        )
    if ai not in readings.readers:
        raise ValueError(
            f"expected the model among the readers, got {ai!r} beside "
            f"{', '.join(readings.readers)}; name it as the table does"
        )
    order = [readings.readers.index(ai)]
    order += [j for j in range(len(readings.readers)) if j != order[0]]
    scores, names = readings.scores[0, order], tuple(readings.readers[j] for j in order)
    unread = np.isnan(scores)
    if unread.any():
        who, case = np.argwhere(unread)[0]
        raise ValueError(
            f"expected the same cases of everybody, got none of {names[who]} for case "
            f"{readings.cases[case]} ({int(unread.sum())} readings missing); leave those cases out"
        )
    values, covariance = figures_and_covariance(
        scores, readings.truth, readings.patients, method, figure, list(names)
    )
    return values, np.atleast_2d(covariance), names


def _judged(
    values: np.ndarray,
    names: tuple[str, ...],
    variance: float,
    df: float,
    margin: float | None,
    level: float,
    each_se: np.ndarray,
    components: dict[str, float],
    note: str,
) -> AiVersusReaders:
    difference, se = float(values[0] - values[1:].mean()), float(np.sqrt(max(variance, 0.0)))
    law = stats.norm() if np.isinf(df) else stats.t(df)
    half = float(law.ppf(0.5 + level / 2)) * se
    none = se < 1e-12

    def above(shift: float) -> float:
        return np.nan if none else float(law.sf((difference + shift) / se))

    t = difference / se if not none else (0.0 if difference == 0 else np.nan)
    p = float(2 * law.sf(abs(t))) if np.isfinite(t) else np.nan
    not_worse = above(margin) if margin is not None else np.nan
    not_better = np.nan if margin is None or none else float(law.cdf((difference - margin) / se))
    widthless = "no error can be estimated: an interval without width says nothing" if none else ""
    alike = (
        "readers differ from the model alike: normal limits"
        if (np.isinf(df) and not none and components["ms_readers"] <= 1e-15)
        else ""
    )
    return AiVersusReaders(
        float(values[0]),
        float(values[1:].mean()),
        difference,
        se,
        float(df),
        difference - half,
        difference + half,
        t,
        p,
        margin,
        not_worse,
        above(0.0),
        max(not_worse, not_better) if margin is not None else np.nan,
        dict(zip(names, values.tolist(), strict=True)),
        dict(zip(names[1:], each_se.tolist(), strict=True)),
        components,
        joined_notes(note, widthless, alike),
    )

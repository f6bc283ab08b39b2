"""Several tests in one study: adjusted p-values under a rule fixed in advance."""

from collections.abc import Sequence

import numpy as np


def holm(p: Sequence[float]) -> list[float]:
    """Holm's adjusted p-values (Holm 1979, Scand J Statist 6:65); NaN stays NaN but counts.

    Examples
    --------
    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    from statsmodels.stats.multitest import multipletests  # slow to import

    values = np.asarray(p, dtype=float)
    if values.size == 0:
        return []
    missing = np.isnan(values)
    adjusted = multipletests(np.where(missing, 1.0, values), method="holm")[1]
    return [float(value) for value in np.where(missing, np.nan, adjusted)]


def fixed_sequence(p: Sequence[float]) -> list[float]:
    """Adjusted p-values of tests done in a fixed order, each only if all before it succeeded.

    The adjusted value is the largest so far; after a test without an answer (NaN) none follows.
    Maurer, Hothorn & Lehmacher 1995 (Biometrie in der chemisch-pharmazeutischen Industrie 6:3).

    Examples
    --------
    >>> fixed_sequence([0.01, 0.20, 0.001])
    [0.01, 0.2, 0.2]
    """
    adjusted, highest = [], 0.0
    for value in p:
        highest = float("nan") if np.isnan(value) or np.isnan(highest) else max(highest, value)
        adjusted.append(highest)
    return adjusted


def gatekeeping(primary: Sequence[float], secondary: Sequence[float]) -> list[float]:
    """Adjusted p-values: primaries in sequence, then Holm's over the secondaries behind them.

    Examples
    --------
    >>> gatekeeping([0.03], [0.01, 0.5])
    [0.03, 0.03, 0.5]
    """
    gate = fixed_sequence(primary)
    last = gate[-1] if gate else 0.0
    behind = [float("nan") if np.isnan(last) else max(last, value) for value in holm(secondary)]
    return [*gate, *behind]

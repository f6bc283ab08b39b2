"""Did readers see through the blinding? Bang's index per arm."""

import numpy as np
import pandas as pd
from scipy import stats

from reader_study.stats.proportions import clopper_pearson
from reader_study.stats.tables import check_table


def bang_index(guesses: pd.DataFrame, *, level: float = 0.95) -> pd.DataFrame:
    """Bang's blinding index of each arm: 0 blinded, 1 all guess right, -1 all guess wrong.

    Parameters
    ----------
    guesses : DataFrame
        ``arm`` (the truth), ``guess`` (an arm, or empty for "do not know").

    Returns
    -------
    DataFrame
        ``arm, n, right, wrong, unsure, index, low, high, note``. The interval is Bang's normal
        one; when every guess is the same the variance is zero and an exact binomial interval on
        the share right is used instead. Where nobody named an arm there is none.

    Notes
    -----
    Bang, Ni & Davis 2004 (doi:10.1016/j.cct.2003.10.016): (right - wrong) / n. With k arms to
    choose from, right guesses are weighed so that chance gives 0.

    Examples
    --------
    >>> guesses = pd.DataFrame({"arm": ["a"] * 4, "guess": ["a", "b", "b", None]})
    >>> bang_index(guesses)[["right", "wrong", "unsure", "index"]].values.tolist()
    [[1.0, 2.0, 1.0, -0.25]]
    """
    table = check_table(guesses, columns=["arm", "guess"], filled=["arm"])
    named = table["guess"].dropna().unique()
    options = max(len(set(table["arm"]) | set(named)), 2)
    z = float(stats.norm.ppf(0.5 + level / 2))
    rows = []
    for arm, part in table.groupby("arm", sort=True):
        n = len(part)
        right = int((part["guess"] == arm).sum())
        unsure = int(part["guess"].isna().sum())
        wrong = n - right - unsure
        # One wrong guess weighs 1/(k-1), so that guessing at random gives 0.
        weight = 1 / (options - 1)
        index = (right - weight * wrong) / n
        variance = (right / n + weight**2 * wrong / n - index**2) / n
        if variance > 0:
            half = z * np.sqrt(variance)
            low, high = max(index - half, -weight), min(index + half, 1.0)
        else:
            ends = clopper_pearson(right, n, level=level)
            low, high = (end * (1 + weight) - weight for end in ends)
            low, high = (low, high) if unsure < n else (np.nan, np.nan)
        note = "nobody named an arm: no interval" if unsure == n else ""
        rows.append((arm, n, right, wrong, unsure, index, low, high, note))
    names = ["arm", "n", "right", "wrong", "unsure", "index", "low", "high", "note"]
    return pd.DataFrame(rows, columns=names)

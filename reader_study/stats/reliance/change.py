"""Answers before and after advice: what changed, and whether readers followed when they should.

An overlay (the map of an explanation, a band of risk, marks of a model) counts as advice: it is
right or wrong, decided before anybody reads (a planted change inside or outside it, say).
"""

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
from scipy import stats

from reader_study.stats.paired.crossed_mean import crossed_mean
from reader_study.stats.paired.crossed_share import Contrast, crossed_contrast, crossed_share
from reader_study.stats.tables import check_table, refuse

COLUMNS = ("reader", "case", "overlay", "advice_right", "first_right", "final_right")


COUNTED: dict[str, Callable[[pd.DataFrame], pd.Series]] = {
    "reliance": lambda table: table["final_right"],
    "change": lambda table: table["final_right"] - table["first_right"],
    "brier": lambda table: -((table["confidence"] - table["final_right"]) ** 2),
    "time": lambda table: -np.log(table["seconds"].where(table["seconds"] > 0)),
}
"""What each endpoint of maps counts in a reading; higher is better, empty where it cannot tell."""


def checked_readings(table: pd.DataFrame) -> pd.DataFrame:
    """One row per reading with 0/1 columns as numbers; empty ``advice_right``: no advice given.

    Parameters
    ----------
    table : DataFrame
        ``reader, case, overlay, advice_right, final_right`` and, where an answer without the
        overlay was locked first, ``first_right``.

    Raises
    ------
    ValueError
        Naming rows: a column is missing, a value is not 0 or 1, a reader met a case twice under
        one overlay.
    """
    numeric = [name for name in COLUMNS[3:] if name in table]
    needed = [name for name in COLUMNS if name != "first_right"]
    found = check_table(
        table,
        columns=needed,
        unique=["reader", "case", "overlay"],
        numeric=numeric,
        filled=["reader", "case", "overlay", "final_right"],
    )
    for name in numeric:
        wrong = found[name].notna() & ~found[name].isin([0, 1])
        refuse(wrong, f"{name} is not 0 or 1", "score the answers first")
    if "first_right" in found:
        asked = found["first_right"].notna()
        mixed = found.groupby("overlay")["first_right"].transform(lambda x: x.notna().any())
        refuse(~asked & mixed, "first_right is empty", "fill it in for every row of this overlay")
    return found


def change_matrix(table: pd.DataFrame) -> pd.DataFrame:
    """Right and wrong answers before and after, by overlay.

    Returns
    -------
    DataFrame
        ``overlay, right_right, right_wrong, wrong_right, wrong_wrong, n``, then
        ``to_wrong`` = right_wrong / all that were right (negative consultation),
        ``to_right`` = wrong_right / all that were wrong (positive consultation), NaN where none
        was, and ``net`` = (wrong_right - right_wrong) / n with its limits for new readers and
        cases.

    Notes
    -----
    Goddard et al. 2014, doi:10.1016/j.ijmedinf.2014.01.001, counts changes so.

    Examples
    --------
    >>> rows = [("A", 1, "own", 1, 0, 1), ("A", 2, "own", 1, 1, 1), ("B", 1, "own", 1, 1, 0)]
    >>> change_matrix(pd.DataFrame(rows, columns=COLUMNS))[["to_wrong", "to_right"]].values.tolist()
    [[0.5, 1.0]]
    """
    found = checked_readings(table)
    if "first_right" not in found or found["first_right"].isna().all():
        raise ValueError(
            "expected first_right, the answer locked before the overlay; without it compare kinds "
            "of overlay, changes are not known"
        )
    rows = []
    for overlay, part in found[found["first_right"].notna()].groupby("overlay", sort=False):
        before, after = part["first_right"].to_numpy(bool), part["final_right"].to_numpy(bool)
        counts = [int(np.sum(a & b)) for a in (before, ~before) for b in (after, ~after)]
        rr, rw, wr, ww = counts
        net = crossed_mean(after.astype(float) - before, part["reader"], part["case"])
        rows.append(
            {
                "overlay": overlay,
                **dict(
                    zip(
                        ("right_right", "right_wrong", "wrong_right", "wrong_wrong"),
                        counts,
                        strict=True,
                    )
                ),
                "n": len(part),
                "to_wrong": rw / (rr + rw) if rr + rw else np.nan,
                "to_right": wr / (wr + ww) if wr + ww else np.nan,
                "net": net.mean,
                "net_low": max(net.low, -1.0),
                "net_high": min(net.high, 1.0),
            }
        )
    return pd.DataFrame(rows)


MEASURES = {
    "over_reliance": "answers that followed wrong advice",
    "under_reliance": "answers against right advice",
    "relied_on_right_advice": "wrong first answers mended by right advice (RAIR)",
    "held_against_wrong_advice": "right first answers held against wrong advice (RSR)",
}
"""The last two are the appropriateness of reliance of Schemmer et al. 2023,
doi:10.1145/3581641.3584066: one plotted against the other, ideal (1, 1)."""


def reliance_shares(table: pd.DataFrame, *, overlays: Sequence[str] = ()) -> pd.DataFrame:
    """Reliance of the panel on advice, with limits for new readers and cases.

    Answers are right or wrong, so a final answer follows advice where both are right or both wrong.
    A reading whose first answer agreed with the advice tells nothing of reliance and enters
    neither of the last two measures.

    Parameters
    ----------
    overlays : kinds taken together; default all that came with advice

    Returns
    -------
    DataFrame
        ``measure, share, low, high, n, readers, reason``; NaN with a reason where no reading can
        tell, never 0.

    Examples
    --------
    >>> rows = [("A", 1, "own", 1, 0, 1), ("A", 2, "own", 0, 1, 1), ("B", 1, "own", 1, 0, 0)]
    >>> found = reliance_shares(pd.DataFrame(rows, columns=COLUMNS)).set_index("measure")
    >>> found["share"].tolist()
    [0.0, 0.5, 0.5, 1.0]
    """
    found = checked_readings(table)
    found = found[found["advice_right"].notna()]
    if overlays:
        found = found[found["overlay"].isin(list(overlays))]
    if found.empty:
        raise ValueError("expected readings with advice; fill in advice_right (0 or 1)")
    advice, after = found["advice_right"] == 1, found["final_right"] == 1
    before = found["first_right"] if "first_right" in found else pd.Series(np.nan, found.index)
    parts = {
        "over_reliance": (~advice, ~after),
        "under_reliance": (advice, ~after),
        "relied_on_right_advice": (advice & (before == 0), after),
        "held_against_wrong_advice": (~advice & (before == 1), after),
    }
    return pd.DataFrame([_measure(name, found, *part) for name, part in parts.items()])


def _measure(
    name: str, found: pd.DataFrame, asked: pd.Series, seen: pd.Series
) -> dict[str, object]:
    part = found[asked]
    if part.empty:
        gap = {"share": np.nan, "low": np.nan, "high": np.nan, "n": 0, "readers": 0}
        return {"measure": name, **gap, "reason": "no reading can tell"}
    # A reader who met a case under several overlays counts with the mean of them.
    cells = seen[asked].astype(float).groupby([part["reader"], part["case"]]).mean()
    reader, case = (cells.index.get_level_values(k) for k in (0, 1))
    share = crossed_share(cells, reader, case)
    few = f"from {share.n_cases} cases: very wide" if share.n_cases < 12 else ""
    limits = {"share": share.share, "low": share.low, "high": share.high}
    return {"measure": name, **limits, "n": len(part), "readers": share.n_readers, "reason": few}


def overlay_contrast(table: pd.DataFrame, *, first: str, second: str) -> Contrast:
    """Right final answers under one overlay less those under another; the primary comparison.

    Readers and cases are random; no reader has to see a case under both. Where every reader did,
    the difference is taken within reader and case.
    """
    found = checked_readings(table)
    columns = (found[name] for name in ("final_right", "reader", "case", "overlay"))
    return crossed_contrast(*columns, first=first, second=second)


def d_prime_of_trust(table: pd.DataFrame) -> pd.DataFrame:
    """How well each reader tells right advice from wrong, and how willing each is to follow.

    ``d_prime = z(follows | right) - z(follows | wrong)``; ``bias`` below 0 follows readily. Half an
    answer is added to each count and one to each total, so that nothing is infinite.

    Returns
    -------
    DataFrame
        ``reader, follows_right, follows_wrong, d_prime, bias, n_right, n_wrong`` and a last row
        ``mean`` with ``low`` and ``high`` of ``d_prime`` (t over readers). A reader who never had
        right, or never had wrong advice has NaN.

    Examples
    --------
    >>> rows = [("A", i, "own", a, 0, f) for i, (a, f) in enumerate([(1, 1), (0, 0)] * 20)]
    >>> bool(abs(d_prime_of_trust(pd.DataFrame(rows, columns=COLUMNS)).d_prime[0]) < 1e-9)
    True
    """
    found = checked_readings(table)
    found = found[found["advice_right"].notna()]
    rows = []
    for reader, part in found.groupby("reader", sort=False):
        right = part["advice_right"] == 1
        follows = part["final_right"] == part["advice_right"]
        n = (int(right.sum()), int((~right).sum()))
        if min(n) == 0:
            shares, d, bias = (np.nan, np.nan), np.nan, np.nan
        else:
            counts = (follows[right].sum(), follows[~right].sum())
            shares = tuple((k + 0.5) / (m + 1) for k, m in zip(counts, n, strict=True))
            z = stats.norm.ppf(shares)
            d, bias = float(z[0] - z[1]), float(-(z[0] + z[1]) / 2)
        rows.append((reader, *shares, d, bias, *n, np.nan, np.nan))
    columns = ["reader", "follows_right", "follows_wrong", "d_prime", "bias", "n_right", "n_wrong"]
    made = pd.DataFrame(rows, columns=[*columns, "low", "high"])
    known = made["d_prime"].dropna()
    half = np.nan
    if len(known) > 1:
        half = float(stats.t.ppf(0.975, len(known) - 1) * known.std() / np.sqrt(len(known)))
    mean = made[columns[1:5]].mean().to_dict() | made[columns[5:]].sum().to_dict()
    limits = {"low": mean["d_prime"] - half, "high": mean["d_prime"] + half}
    return pd.concat(
        [made, pd.DataFrame([{"reader": "mean", **mean, **limits}])], ignore_index=True
    )


def harmed_readers(table: pd.DataFrame, *, first: str = "", second: str = "") -> pd.DataFrame:
    """Effect of the overlay on each reader, shrunk towards the panel, and the chance of harm.

    The share of readers whose raw effect is below 0 is inflated by noise: with no true differences
    at all, half of the readers of a null effect seem harmed.

    Parameters
    ----------
    first, second : overlay and what it is compared with; without them final less first answer

    Returns
    -------
    DataFrame
        ``reader, effect, se, shrunk, shrunk_se, harmed`` (probability that the reader's effect is
        below 0), worst first.

    Notes
    -----
    Empirical Bayes of a normal model: between-reader variance by moments (DerSimonian & Laird
    1986, doi:10.1016/0197-2456(86)90046-2).
    """
    found, rows = checked_readings(table), []
    for reader, part in found.groupby("reader", sort=False):
        if first and second:
            groups = [part.loc[part["overlay"] == k, "final_right"] for k in (first, second)]
            sizes = [len(g) for g in groups]
            if min(sizes) < 2:
                continue
            effect = float(groups[0].mean() - groups[1].mean())
            # Half an answer added, so that a reader without a mistake is not known exactly.
            shares = [(g.sum() + 0.5) / (len(g) + 1) for g in groups]
            variance = sum(p * (1 - p) / n for p, n in zip(shares, sizes, strict=True))
        else:
            change = (part["final_right"] - part["first_right"]).dropna()
            if len(change) < 2:
                continue
            effect, n = float(change.mean()), len(change)
            moved = (np.abs(change).sum() + 0.5) / (n + 1)
            variance = max(moved - effect**2, 0.25 / n) / n
        rows.append((reader, effect, float(np.sqrt(variance))))
    if not rows:
        raise ValueError("expected two readings or more of a reader in both conditions")
    made = pd.DataFrame(rows, columns=["reader", "effect", "se"])
    weight = 1 / made["se"] ** 2
    mean = float((weight * made["effect"]).sum() / weight.sum())
    excess = float((weight * (made["effect"] - mean) ** 2).sum()) - (len(made) - 1)
    scale = float(weight.sum() - (weight**2).sum() / weight.sum())
    between = max(excess / scale, 0.0) if scale > 0 else 0.0
    weight = 1 / (made["se"] ** 2 + between)
    mean = float((weight * made["effect"]).sum() / weight.sum())
    keep = between / (between + made["se"] ** 2)
    made["shrunk"] = mean + keep * (made["effect"] - mean)
    own = keep * made["se"] ** 2 + (1 - keep) ** 2 / weight.sum()
    made["shrunk_se"] = np.sqrt(own)
    made["harmed"] = stats.norm.cdf(-made["shrunk"] / made["shrunk_se"])
    return made.sort_values("shrunk", ignore_index=True)

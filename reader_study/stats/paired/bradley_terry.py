"""Strength of arms from paired choices: Bradley-Terry, Davidson's ties, the pull of a side."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from scipy import stats

from reader_study.stats.paired.cluster_robust import cr2
from reader_study.stats.paired.preference_share import check_trials
from reader_study.stats.proportions import clopper_pearson

TieRule = Literal["drop", "half"]


@dataclass(frozen=True)
class PairedStrengths:
    """Log-strengths against the reference arm.

    ``estimates``: ``name, estimate, se`` from the model with independent trials, then
    ``robust_se, df, low, high, p`` over clusters (CR2); ``position`` is the pull to the left,
    ``tie`` the log tie parameter. NaN where one cluster allows no robust error.
    """

    estimates: pd.DataFrame
    deviance: float
    df: int
    loglik: float
    reference: str
    n: int
    ties: int
    note: str


def bradley_terry(
    trials: pd.DataFrame,
    *,
    reference: str,
    position: bool = True,
    ties: TieRule = "drop",
    cluster: str = "reader",
) -> PairedStrengths:
    """Log-strength of each arm and the pull of the left side, by logistic regression.

    Parameters
    ----------
    trials : DataFrame
        ``reader, case, left, right, choice``.
    reference : arm with strength 0
    position : estimate the pull towards the left image
    ties : leave ties out, or count half a win for either side
    cluster : column whose groups are independent; few readers are what CR2 is for

    Raises
    ------
    ValueError
        When an arm won or lost all its comparisons (its strength is infinite), or arms were
        never compared even indirectly.

    Notes
    -----
    Bradley & Terry 1952 (doi:10.1093/biomet/39.3-4.324); order effect: Davidson & Beaver 1977
    (doi:10.2307/2529466). Plain sandwich errors are not offered: with few readers they are
    far too small.

    Examples
    --------
    Arm b wins 3 of 4: strength log 3.

    >>> trials = pd.DataFrame({"reader": [1, 1, 2, 2], "case": [1, 2, 1, 2], "left": "a",
    ...     "right": "b", "choice": ["right", "right", "right", "left"]})
    >>> fit = bradley_terry(trials, reference="a", position=False)
    >>> round(float(fit.estimates["estimate"][0]), 6)
    1.098612
    """
    table = check_trials(trials)
    arms = _arms(table, reference)
    tied = table["choice"] == "tie"
    used = table if ties == "half" else table[~tied]
    if used.empty:
        raise ValueError("expected decided trials, but every trial is a tie")
    y = np.where(used["choice"] == "tie", 0.5, (used["choice"] == "left").astype(float))
    columns = [(used["left"] == a).astype(float) - (used["right"] == a).astype(float) for a in arms]
    names = list(arms)
    if position:
        columns.append(pd.Series(1.0, index=used.index))
        names.append("position")
    x = np.column_stack([c.to_numpy() for c in columns])
    if np.linalg.matrix_rank(x) < x.shape[1]:
        raise ValueError(
            "expected arms linked by comparisons, but some were never compared with the others, "
            "or always stood on the same side (then use position=False)"
        )
    beta, mu = _logistic(x, y)
    weight = mu * (1 - mu)
    information = np.linalg.inv(x.T @ (x * weight[:, None]))
    estimates = pd.DataFrame({"name": names, "estimate": beta, "se": np.sqrt(np.diag(information))})
    groups = used[cluster].to_numpy()
    robust, note = _robust(x, y - mu, weight, groups, beta, cluster)
    estimates[["robust_se", "df", "low", "high", "p"]] = robust
    loglik = float(np.sum(y * np.log(mu) + (1 - y) * np.log(1 - mu)))
    with np.errstate(divide="ignore", invalid="ignore"):
        full = np.nansum(y * np.log(y)) + np.nansum((1 - y) * np.log(1 - y))
    return PairedStrengths(
        estimates,
        float(2 * (full - loglik)),
        len(y) - len(names),
        loglik,
        reference,
        len(y),
        int(tied.sum()),
        note,
    )


def _arms(table: pd.DataFrame, reference: str) -> list[str]:
    seen = list(dict.fromkeys([*table["left"], *table["right"]]))
    if reference not in seen:
        raise ValueError(f"expected a reference of {', '.join(map(str, seen))}, got {reference!r}")
    for arm in seen:
        at_left, at_right = table["left"] == arm, table["right"] == arm
        won = (at_left & (table["choice"] == "left")) | (at_right & (table["choice"] == "right"))
        decided = (at_left ^ at_right) & (table["choice"] != "tie")
        if decided.any() and won[decided].all():
            raise ValueError(
                f"arm {arm!r} won every decided comparison: its strength is infinite; report the "
                "shares with their exact intervals instead"
            )
        if decided.any() and not won[decided].any():
            raise ValueError(
                f"arm {arm!r} lost every decided comparison: its strength is minus infinite; "
                "report the shares with their exact intervals instead"
            )
    return sorted(arm for arm in seen if arm != reference)


def _logistic(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    beta = np.zeros(x.shape[1])
    for _ in range(60):
        mu = 1 / (1 + np.exp(-(x @ beta)))
        step = np.linalg.solve(x.T @ (x * (mu * (1 - mu))[:, None]), x.T @ (y - mu))
        beta = beta + np.clip(step, -4, 4)
        if np.abs(step).max() < 1e-12:
            break
        if np.abs(beta).max() > 30:
            raise ValueError(
                "expected finite strengths, but the choices separate the arms; report the shares "
                "instead"
            )
    return beta, 1 / (1 + np.exp(-(x @ beta)))


def _robust(
    x: np.ndarray,
    residual: np.ndarray,
    weight: np.ndarray,
    groups: np.ndarray,
    beta: np.ndarray,
    cluster: str,
) -> tuple[np.ndarray, str]:
    count = np.unique(groups).size
    if count < 2:
        return np.full((len(beta), 5), np.nan), f"one {cluster} only: no error over {cluster}s"
    fit = cr2(x, residual, weight, groups, beta)
    table = np.column_stack([fit.se, fit.df, fit.low, fit.high, fit.p])
    low = fit.df.min()
    note = (
        ""
        if low >= 4
        else (
            f"as few as {low:.1f} degrees of freedom: p below 0.05 may not be trusted; see the "
            "randomisation test"
        )
    )
    return table, note


def davidson(trials: pd.DataFrame, *, reference: str) -> PairedStrengths:
    """Strengths with ties as outcomes of their own, and the pull of the left side.

    A choice of left, right or tie has log-weight (s_left - s_right + position) / 2, its
    negative, or ``tie``. Errors over readers are CR2 of the equivalent Poisson regression.

    Notes
    -----
    Davidson 1970 (doi:10.1080/01621459.1970.10481082).

    Raises
    ------
    ValueError
        As :func:`bradley_terry`; without any tie (then use that).
    """
    table = check_trials(trials)
    arms = _arms(table, reference)
    ties = int((table["choice"] == "tie").sum())
    if ties == 0:
        raise ValueError("expected ties for Davidson's model, got none; use bradley_terry")
    half = np.column_stack(
        [
            ((table["left"] == a).astype(float) - (table["right"] == a).astype(float)) / 2
            for a in arms
        ]
    )
    n, p = len(table), len(arms) + 2
    options = np.zeros((n, 3, p))
    options[:, 0, :-2], options[:, 1, :-2] = half, -half
    options[:, 0, -2], options[:, 1, -2], options[:, 2, -1] = 0.5, -0.5, 1.0
    chosen = table["choice"].map({"left": 0, "right": 1, "tie": 2}).to_numpy()
    beta, chance = _multinomial(options, chosen)
    names = [*arms, "position", "tie"]
    centred = options - np.einsum("no,nop->np", chance, options)[:, None]
    information = np.linalg.inv(np.einsum("no,nop,noq->pq", chance, centred, centred))
    estimates = pd.DataFrame({"name": names, "estimate": beta, "se": np.sqrt(np.diag(information))})
    hit = np.eye(3)[chosen]
    robust, note = _robust(
        centred.reshape(-1, p),
        (hit - chance).ravel(),
        chance.ravel(),
        np.repeat(table["reader"].to_numpy(), 3),
        beta,
        "reader",
    )
    estimates[["robust_se", "df", "low", "high", "p"]] = robust
    loglik = float(np.log(chance[np.arange(n), chosen]).sum())
    deviance, df = _deviance(table, chance, p)
    return PairedStrengths(estimates, deviance, df, loglik, reference, n, ties, note)


def _multinomial(options: np.ndarray, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    beta = np.zeros(options.shape[2])
    rows = np.arange(len(chosen))
    for _ in range(100):
        score = options @ beta
        chance = np.exp(score - score.max(axis=1, keepdims=True))
        chance /= chance.sum(axis=1, keepdims=True)
        mean = np.einsum("no,nop->np", chance, options)
        centred = options - mean[:, None]
        information = np.einsum("no,nop,noq->pq", chance, centred, centred)
        gradient = (options[rows, chosen] - mean).sum(axis=0)
        step = np.linalg.lstsq(information, gradient, rcond=None)[0]
        beta = beta + np.clip(step, -3, 3)
        if np.abs(step).max() < 1e-12:
            break
    return beta, chance


def _deviance(table: pd.DataFrame, chance: np.ndarray, parameters: int) -> tuple[float, int]:
    """Against the saturated model of each ordered pair of arms."""
    frame = table.assign(row=np.arange(len(table)))
    total, pairs = 0.0, 0
    for _, part in frame.groupby(["left", "right"]):
        counts = np.array([(part["choice"] == c).sum() for c in ("left", "right", "tie")], float)
        expected = chance[part["row"].to_numpy()].sum(axis=0)
        seen = counts > 0
        total += 2 * float(np.sum(counts[seen] * np.log(counts[seen] / expected[seen])))
        pairs += 1
    return total, 2 * pairs - parameters


def randomisation_test(
    trials: pd.DataFrame,
    *,
    arm: str,
    over: str,
    draws: int = 10_000,
    rng: np.random.Generator | None = None,
) -> dict[str, float]:
    """Test whether ``arm`` is preferred, by the random allocation of sides alone.

    Under the null a reader's choice of left, right or tie does not depend on which arm stands
    where, so sides are exchanged within each reader, keeping his number of lefts per arm.

    Returns
    -------
    dict
        ``wins, expected, p, draws``; exact in expectation for these readers and cases, with no
        assumption on independence. p counts the observed table (Phipson & Smyth 2010,
        doi:10.2202/1544-6115.1585).
    """
    table = check_trials(trials)
    shown = ((table["left"] == arm) & (table["right"] == over)) | (
        (table["left"] == over) & (table["right"] == arm)
    )
    table = table[shown]
    if table.empty:
        raise ValueError(f"expected trials of {arm!r} beside {over!r}, got none")
    generator = rng or np.random.Generator(np.random.PCG64(0))
    pull = table["choice"].map({"left": 1.0, "right": -1.0, "tie": 0.0}).to_numpy()
    side = np.where(table["left"] == arm, 1.0, -1.0)
    observed, null, middle = float(pull @ side), np.zeros(draws), 0.0
    for rows in table.reset_index(drop=True).groupby("reader").indices.values():
        mixed = generator.permuted(np.tile(side[rows], (draws, 1)), axis=1)
        null += mixed @ pull[rows]
        middle += side[rows].mean() * pull[rows].sum()
    extreme = np.sum(np.abs(null - middle) >= abs(observed - middle) - 1e-9)
    wins = float(((pull * side) > 0).sum())
    decided = float((pull != 0).sum())
    return {
        "wins": wins,
        "expected": float((decided + middle) / 2),
        "p": float((extreme + 1) / (draws + 1)),
        "draws": float(draws),
    }


def transitivity(trials: pd.DataFrame) -> pd.DataFrame:
    """Circular triads per reader: a over b, b over c, c over a on the same case.

    Kendall & Babington Smith 1940 (doi:10.1093/biomet/31.3-4.324). Columns ``reader, triads,
    circular, share, p``: p is the binomial chance of so few circles if choices were random
    (one triad in four is circular then). Cases with a tie or a missing pair are left out.

    Examples
    --------
    >>> pairs = [("a", "b", "left"), ("b", "c", "left"), ("c", "a", "left")]
    >>> trials = pd.DataFrame(pairs, columns=["left", "right", "choice"])
    >>> row = transitivity(trials.assign(reader="R1", case="1")).iloc[0]
    >>> int(row["triads"]), int(row["circular"])
    (1, 1)
    """
    table = check_trials(trials)
    table = table[table["choice"] != "tie"]
    winner = np.where(table["choice"] == "left", table["left"], table["right"])
    loser = np.where(table["choice"] == "left", table["right"], table["left"])
    rows = []
    frame = pd.DataFrame(
        {"reader": table["reader"], "case": table["case"], "winner": winner, "loser": loser}
    )
    for reader, part in frame.groupby("reader"):
        triads = circular = 0
        for _, beaten in part.groupby("case"):
            over = set(zip(beaten["winner"], beaten["loser"], strict=True))
            names = sorted({name for pair in over for name in pair})
            for i, a in enumerate(names):
                for j, b in enumerate(names[i + 1 :], i + 1):
                    for c in names[j + 1 :]:
                        edges = [(x, y) for x, y in over if {x, y} <= {a, b, c}]
                        if len(edges) == 3:
                            triads += 1
                            circular += len({x for x, _ in edges}) == 3
        p = float(stats.binom.cdf(circular, triads, 0.25)) if triads else np.nan
        rows.append((reader, triads, circular, circular / triads if triads else np.nan, p))
    return pd.DataFrame(rows, columns=["reader", "triads", "circular", "share", "p"])


def lapse_rate(catch: pd.DataFrame) -> pd.DataFrame:
    """Answers to identical pairs, per reader and for all.

    Parameters
    ----------
    catch : DataFrame
        Trials with the same arm on both sides. Where ties are allowed, "tie" is the right
        answer and any other a lapse; where they are not, only the pull of a side can be seen.

    Returns
    -------
    DataFrame
        ``reader, n, decided, lapse_rate, low, high, left_share``: share decided although the
        images are identical, with its exact interval, and the share of left among those.
    """
    table = check_trials(catch)
    different = table["left"] != table["right"]
    if different.any():
        raise ValueError(f"expected identical pairs, but {int(different.sum())} rows show two arms")
    rows = []
    for reader in [*sorted(table["reader"].unique()), "all"]:
        part = table if reader == "all" else table[table["reader"] == reader]
        decided = int((part["choice"] != "tie").sum())
        low, high = clopper_pearson(decided, len(part))
        left = (part["choice"] == "left").sum() / decided if decided else np.nan
        rows.append((reader, len(part), decided, decided / len(part), low, high, left))
    names = ["reader", "n", "decided", "lapse_rate", "low", "high", "left_share"]
    return pd.DataFrame(rows, columns=names)

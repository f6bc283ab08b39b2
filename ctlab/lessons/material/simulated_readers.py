"""Simulated readers of paired images, for practice with the statistics of preferences."""

import numpy as np
import pandas as pd


def simulated_choices(
    *,
    readers: int = 4,
    cases: int = 40,
    advantage: float = 0.5,
    reader_sd: float = 0.5,
    case_sd: float = 1.0,
    left_pull: float = 0.0,
    seed: int = 0,
) -> pd.DataFrame:
    """Rows ``reader, case, left, right, choice``: arm "new" beside arm "old", sides balanced.

    The latent preference for "new", in logits, is ``advantage`` plus an effect of the reader and
    one of the case; a reader with a ``left_pull`` favours that side whatever it shows. Every
    choice is decided; there are no ties.

    Examples
    --------
    >>> table = simulated_choices(readers=2, cases=6, advantage=50.0)
    >>> winners = table["left"].where(table["choice"] == "left", table["right"])
    >>> set(winners), (table["left"] == "new").sum()
    ({'new'}, np.int64(6))
    """
    rng = np.random.default_rng(seed)
    of_reader = rng.normal(0, reader_sd, readers)
    of_case = rng.normal(0, case_sd, cases)
    rows = []
    for r in range(readers):
        new_is_left = rng.permuted(np.arange(cases) % 2 == 0)
        for c in range(cases):
            pull = left_pull if new_is_left[c] else -left_pull
            logit = advantage + of_reader[r] + of_case[c] + pull
            prefers_new = rng.random() < 1 / (1 + np.exp(-logit))
            left, right = ("new", "old") if new_is_left[c] else ("old", "new")
            choice = "left" if prefers_new == new_is_left[c] else "right"
            rows.append((f"R{r + 1}", c + 1, left, right, choice))
    return pd.DataFrame(rows, columns=["reader", "case", "left", "right", "choice"])


def beside_colleagues(
    own: pd.DataFrame | None = None, *, colleagues: int = 5, advantage: float = 0.5, seed: int = 0
) -> pd.DataFrame:
    """A reader's own pairs beside simulated colleagues who read the same cases.

    Parameters
    ----------
    own : DataFrame, optional
        Of :func:`reader_study.examples.demo.own_reading`; without it one more simulated reader
        stands in.
    advantage : float
        How much the colleagues lean to "total-variation", in logits; see
        :func:`simulated_choices`.

    Returns
    -------
    DataFrame
        ``reader, case, left, right, choice`` of the main pairs. The reader comes first, as "you"
        or "you (simulated)"; colleagues are "C1" and so on.

    Examples
    --------
    >>> table = beside_colleagues(colleagues=2)
    >>> table["reader"].unique().tolist(), len(table)
    (['you (simulated)', 'C1', 'C2'], 45)
    """
    if own is None:
        cases = [f"slab-{k}" for k in range(1, 16)]
        readers = ["you (simulated)", *(f"C{k + 1}" for k in range(colleagues))]
    else:
        own = own[own["kind"] == "main"].drop(columns="kind").assign(reader="you")
        cases = own["case"].tolist()
        readers = [f"C{k + 1}" for k in range(colleagues)]
    choices = simulated_choices(
        readers=len(readers), cases=len(cases), advantage=advantage, seed=seed
    )
    choices["reader"] = choices["reader"].map({f"R{k + 1}": name for k, name in enumerate(readers)})
    choices["case"] = choices["case"].map(dict(enumerate(cases, start=1)))
    choices = choices.replace({"new": "total-variation", "old": "bilateral"})
    return choices if own is None else pd.concat([own, choices], ignore_index=True)


def simulated_ratings(
    *,
    readers: int = 4,
    cases: int = 30,
    shift: float = 0.6,
    reader_sd: float = 0.8,
    case_sd: float = 1.0,
    seed: int = 0,
) -> pd.DataFrame:
    """Rows ``reader, case, arm, rating``: five-point ratings of the arms "old" and "new".

    A latent quality (logistic noise, effects of reader and case, and ``shift`` in logits for
    "new") is cut at -2, -0.5, 1 and 2.5: a proportional-odds model, whose answer is known.

    Examples
    --------
    >>> table = simulated_ratings(readers=2, cases=3, shift=100.0)
    >>> len(table), set(table.loc[table["arm"] == "new", "rating"])
    (12, {5})
    """
    rng = np.random.default_rng(seed)
    of_reader = rng.normal(0, reader_sd, readers)
    of_case = rng.normal(0, case_sd, cases)
    rows = []
    for r in range(readers):
        for c in range(cases):
            for arm, better in (("old", 0.0), ("new", shift)):
                latent = better + of_reader[r] + of_case[c] + rng.logistic()
                rating = 1 + int(np.searchsorted([-2.0, -0.5, 1.0, 2.5], latent))
                rows.append((f"R{r + 1}", c + 1, arm, rating))
    return pd.DataFrame(rows, columns=["reader", "case", "arm", "rating"])

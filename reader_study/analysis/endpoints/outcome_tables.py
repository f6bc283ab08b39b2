"""Answers turned into what a test needs: one row per reader, case and arm, or per pair."""

from collections.abc import Collection

import pandas as pd

from reader_study.design.analysis_plan import ASSISTED, Planned
from reader_study.design.overlay import FIRST
from reader_study.stats.paired.preference_share import trials_from_ratings
from reader_study.stats.reliance.change import COUNTED

KEYS = ["reader", "case"]


def main_answers(ratings: pd.DataFrame, item: str) -> pd.DataFrame:
    """Last answers of one item in main trials; practice, repeats and catch trials are left out."""
    return ratings[(ratings["item"] == item) & (ratings["kind"] == "main")]


def outcome_table(ratings: pd.DataFrame, test: Planned) -> pd.DataFrame:
    """The rows a planned test is computed from.

    Returns
    -------
    DataFrame
        share: ``reader, case, left, right, choice, patient``; a relative scale: ``reader, case,
        score`` (positive: in favour of the new arm); else ``reader, case, arm, rating``, both with
        ``trial``, ``session``, ``position`` and ``patient``. Under maps ``rating`` is what the
        endpoint counts, higher is better: right or not, its change, minus the squared distance of
        confidence from it, minus the logarithm of seconds. Ratings of items whose low answers
        are good are reverse-scored, so that higher is better everywhere.
    """
    answers = main_answers(ratings, test.item)
    both = {test.new, test.reference}
    if answers.empty:
        return answers
    if test.endpoint == "share":
        trials = _of_pair(trials_from_ratings(answers, item=test.item), both, "left", "right")
        patient = answers.drop_duplicates("case").set_index("case")["patient"]
        return trials.assign(patient=trials["case"].map(patient))
    if test.relative:
        return _relative(_of_pair(answers, both, "arm_left", "arm_right"), test)
    if test.endpoint == "ai":  # every image of the arm that the model is compared with
        both, shown = {test.reference}, answers
    else:
        pairs = answers["layout"] == "pair"
        of_pairs = _of_pair(answers[pairs], both, "arm_left", "arm_right")
        shown = pd.concat([answers[~pairs], of_pairs])
    right = shown["side"] == "right"
    table = shown.assign(
        arm=shown["arm_left"].where(~right, shown["arm_right"]),
        rating=_scored(pd.to_numeric(shown["value"]).astype(float), test),
    )
    if test.endpoint in ASSISTED:
        table["rating"] = COUNTED[test.endpoint](_of_test(ratings, shown, test))
        table = table[table["rating"].notna()]
    columns = [*KEYS, "arm", "rating", "patient", "trial", "session", "position"]
    return table.loc[table["arm"].isin(both), columns].reset_index(drop=True)


def _of_test(ratings: pd.DataFrame, shown: pd.DataFrame, test: Planned) -> pd.DataFrame:
    assert test.called_from is not None
    called = (test.called_from, test.lesion_cases)
    return readings(ratings, shown, test.item, test.confidence_item, *called)


def readings(
    ratings: pd.DataFrame,
    shown: pd.DataFrame,
    item: str,
    confidence_item: str | None,
    called_from: float,
    lesion_cases: Collection[str],
) -> pd.DataFrame:
    """What was answered before and after a map, for each of the answers ``shown`` to an item.

    Returns
    -------
    DataFrame
        ``first_right, final_right`` (0 or 1), ``first_confidence, confidence`` (0 to 1) and
        ``first_seconds, seconds``, on the index of ``shown``. What was not asked is empty.
    """

    def beside(name: str) -> pd.DataFrame:
        found = main_answers(ratings, name).set_index("trial").reindex(shown["trial"])
        return found.set_axis(shown.index)

    first, sure = beside(item + FIRST), str(confidence_item)
    columns = {
        "first_right": right_answers(first, called_from, lesion_cases),
        "final_right": right_answers(shown, called_from, lesion_cases),
        "first_confidence": pd.to_numeric(beside(sure + FIRST)["value"]) / 100,
        "confidence": pd.to_numeric(beside(sure)["value"]) / 100,
        "first_seconds": first["seconds"].astype(float),
        "seconds": shown["seconds"].astype(float),
    }
    return pd.DataFrame(columns)


def right_answers(
    answers: pd.DataFrame, called_from: float, lesion_cases: Collection[str]
) -> pd.Series:
    """1 for a call of a case with a lesion or none of one without, else 0; empty: no answer."""
    given = pd.to_numeric(answers["value"]).astype(float)
    right = (given >= called_from) == answers["case"].isin(list(lesion_cases))
    return right.astype(float).where(given.notna())


def _of_pair(table: pd.DataFrame, both: set[str], left: str, right: str) -> pd.DataFrame:
    shown = table[table[left].isin(both) & table[right].isin(both) & (table[left] != table[right])]
    return shown.reset_index(drop=True)


def _scored(values: pd.Series, test: Planned) -> pd.Series:
    if not test.reverse_scored:
        return values
    lowest, highest = (0, 100) if test.n_answers == 101 else (1, test.n_answers)
    return lowest + highest - values


def _relative(answers: pd.DataFrame, test: Planned) -> pd.DataFrame:
    """Distance from the middle of the scale; the question is about the right image."""
    lowest, highest = (0, 100) if test.n_answers == 101 else (1, test.n_answers)
    sign = answers["arm_right"].map({test.new: 1.0, test.reference: -1.0})
    score = (pd.to_numeric(answers["value"]).astype(float) - (lowest + highest) / 2) * sign
    table = answers.assign(score=-score if test.reverse_scored else score)
    return table[[*KEYS, "score", "patient", "trial", "session", "position"]]


def paired_differences(table: pd.DataFrame, test: Planned) -> pd.DataFrame:
    """``reader, case, score``: new minus reference of each reader and case that has both.

    With ``patient`` where the table has it. For pairs of a preference: 1 won, -1 lost, 0 tie.
    """
    if test.endpoint == "share":
        side = (table["left"] == test.new).map({True: "left", False: "right"})
        won = (table["choice"] == side).astype(float)
        score = (2 * won - 1).where(table["choice"] != "tie", 0.0)
        return table[[*KEYS, *_patient(table)]].assign(score=score)
    if test.relative:
        return table[[*KEYS, *_patient(table), "score"]]
    mean = table.groupby([*KEYS, *_patient(table), "arm"])["rating"].mean().unstack("arm")
    mean = mean.reindex(columns=[test.new, test.reference]).dropna()
    return (mean[test.new] - mean[test.reference]).rename("score").reset_index()


def _patient(table: pd.DataFrame) -> list[str]:
    return ["patient"] if "patient" in table else []


def cluster_of(table: pd.DataFrame) -> str | None:
    """``patient`` where patients, not cases, are the independent units: some gave several cases.

    With a single patient there is nothing but cases to estimate from; ``None`` then too.

    Examples
    --------
    >>> cluster_of(pd.DataFrame({"case": [1, 2, 3], "patient": ["a", "a", "b"]}))
    'patient'
    >>> cluster_of(pd.DataFrame({"case": [1, 2], "patient": ["a", "a"]})) is None
    True
    """
    if "patient" not in table:
        return None
    return "patient" if 1 < table["patient"].nunique() < table["case"].nunique() else None


def of_one_patient(table: pd.DataFrame) -> bool:
    """All cases are of one patient, so that no result can speak of others."""
    return "patient" in table and table["patient"].nunique() == 1 < table["case"].nunique()


def trial_scores(ratings: pd.DataFrame, test: Planned) -> pd.DataFrame:
    """One number per trial of the primary item, for the checks of position and fatigue.

    Preference and relative scales: in favour of the new arm; single ratings: the rating.
    """
    table = outcome_table(ratings, test)
    if test.endpoint == "share":
        places = main_answers(ratings, test.item)[
            [*KEYS, "arm_left", "trial", "session", "position"]
        ]
        score = paired_differences(table, test).assign(left=table["left"])
        return score.merge(
            places.rename(columns={"arm_left": "left"}), on=[*KEYS, "left"], how="left"
        )
    return table.rename(columns={"rating": "score"})


def trial_seconds(ratings: pd.DataFrame) -> pd.DataFrame:
    """Seconds of each main trial, all its answers together: ``reader, case, arm, seconds``.

    ``arm`` is empty for pairs, whose time belongs to both images.
    """
    main = ratings[(ratings["kind"] == "main") & (ratings["item"] != "guess")]
    single = main["layout"] == "single"
    shown = main.assign(arm=main["arm_left"].where(single, ""))
    keys = ["reader", "case", "arm", "trial", "session", "position"]
    seconds = shown.groupby(keys, sort=False)["seconds"].sum(min_count=1).reset_index()
    return seconds[seconds["seconds"] > 0].reset_index(drop=True)

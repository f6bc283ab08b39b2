"""Answers turned into what a test needs: one row per reader, case and arm, or per pair."""

import pandas as pd

from reader_study.design.analysis_plan import Planned
from reader_study.design.overlay import FIRST
from reader_study.record.study_record import UnblindedStudy
from reader_study.stats.paired.preference_share import trials_from_ratings

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
        ``trial``, ``session``, ``position`` and ``patient``. Ratings of items whose low answers
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
    columns = [*KEYS, "arm", "rating", "patient", "trial", "session", "position"]
    return table.loc[table["arm"].isin(both), columns].reset_index(drop=True)


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


def assisted_answers(record: UnblindedStudy, ratings: pd.DataFrame) -> pd.DataFrame:
    """Answers with and without overlays, as ``reader-study stats reliance`` reads them.

    A row is a main trial of the primary item, a scale, in any arm: an answer is right where it is
    at or above ``analysis.called_from`` and the case has a lesion, or below and it has none.

    Returns
    -------
    DataFrame
        ``reader, case, overlay`` (the arm's kind, or none), ``advice_right`` (1 for the own map of
        a case whose map is right, 0 for other maps, empty without one), ``first_right``,
        ``final_right``, ``confidence`` and ``first_confidence`` (0 to 1), ``seconds`` and
        ``first_seconds``, ``session``, ``trial``. What was not asked is empty. In a study of
        several sessions a reader meets a case once in each.

    Raises
    ------
    ValueError
        The study has no overlays, or its protocol does not say which answers are calls.
    """
    protocol = record.protocol
    item, called = protocol.analysis.primary_item, protocol.analysis.called_from
    if protocol.overlay is None or called is None:
        raise ValueError(
            "expected a study with a table [overlay] and analysis.called_from, the lowest answer "
            "that is a call; without them no answer is right or wrong"
        )
    cases = {case.name: case for case in protocol.cases}
    kinds = {arm.name: arm.overlay for arm in protocol.arms}
    sure = str(protocol.overlay.confidence_item)
    wide = {
        name: main_answers(ratings, name).set_index("trial")
        for name in (item, item + FIRST, sure, sure + FIRST)
    }
    final = wide[item]
    lesion = final["case"].map(lambda name: bool(cases[name].lesions))
    kind = final["arm_left"].map(kinds)
    good = final["case"].map(lambda name: cases[name].overlay_right) & (kind == "own")

    def right(answers: pd.DataFrame) -> pd.Series:
        given = pd.to_numeric(answers["value"]).reindex(final.index)
        return ((given >= called) == lesion).astype(float).where(given.notna())

    def number(name: str, column: str) -> pd.Series:
        return pd.to_numeric(wide[name][column]).reindex(final.index)

    made = final[["reader", "case", "session"]].assign(
        overlay=kind.fillna("none"),
        advice_right=good.astype(float).where(kind.notna()),
        first_right=right(wide[item + FIRST]),
        final_right=right(final),
        first_confidence=number(sure + FIRST, "value") / 100,
        confidence=number(sure, "value") / 100,
        first_seconds=number(item + FIRST, "seconds"),
        seconds=number(item, "seconds"),
    )
    return made.reset_index()


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

"""Secondary analyses: agreement, repeats, blinding, side, lapses, position and reading time."""

from dataclasses import replace
from typing import Any, Literal

import numpy as np
import pandas as pd

from reader_study.analysis.endpoints.outcome_tables import (
    main_answers,
    outcome_table,
    trial_scores,
    trial_seconds,
)
from reader_study.design.analysis_plan import ASSISTED, UNIT, Planned
from reader_study.design.protocol import Protocol
from reader_study.record.coordinator import FASTEST_SECONDS
from reader_study.stats.agreement.coefficients import agreement_coefficient, saturation
from reader_study.stats.agreement.kappa import repeat_agreement
from reader_study.stats.conduct.bang_index import bang_index
from reader_study.stats.conduct.order_effects import (
    first_seen_effect,
    position_trend,
    session_effect,
    speeding,
)
from reader_study.stats.conduct.reading_time import geometric_means, time_ratios
from reader_study.stats.paired.bradley_terry import lapse_rate
from reader_study.stats.paired.preference_share import position_effect, trials_from_ratings

Rows = list[dict[str, Any]]


def agreement_rows(ratings: pd.DataFrame, tests: list[Planned]) -> Rows:
    """Agreement between readers on each item: raw, chance-corrected, and saturation."""
    rows: Rows = []
    compared: dict[str, list[tuple[pd.DataFrame, bool]]] = {}
    for planned in tests:
        test = _of_answers(planned)
        if test.endpoint == "limits":  # its limits of agreement stand with the result
            continue
        table = outcome_table(ratings, test)
        if table.empty or table["reader"].nunique() < 2:
            continue
        wide, ordered = _subjects(table, test)
        if (wide.notna().sum(axis=1) >= 2).sum() < 2:
            continue
        rows += _coefficients(wide, ordered, item=test.item, new=test.new, reference=test.reference)
        if test.relative or test.endpoint == "share":
            compared.setdefault(test.item, []).append((wide, ordered))
        if ordered and not test.relative:
            lowest, highest = (0, 100) if test.n_answers == 101 else (1, test.n_answers)
            ends = saturation(wide, lowest=lowest, highest=highest)
            said = (
                f"{_share(ends, 'at_lowest')} of answers at the lowest, "
                f"{_share(ends, 'at_highest')} at the highest end"
            )
            rows[-1]["note"] = "; ".join(text for text in (said, rows[-1]["note"]) if text)
    for item, parts in compared.items():
        if len(parts) > 1:  # readers agree, or not, whichever arms are compared
            pooled = pd.concat([wide for wide, _ in parts], keys=range(len(parts)))
            names = {"item": item, "new": "all comparisons", "reference": "pooled"}
            made = _coefficients(pooled, parts[0][1], **names)
            why = "a case counts once in each comparison; the interval takes them as independent"
            rows += [row | {"note": "; ".join(filter(None, (why, row["note"])))} for row in made]
    return rows


def _of_answers(test: Planned) -> Planned:
    """The answers themselves, not what an endpoint of maps makes of them."""
    return replace(test, endpoint="difference") if test.endpoint in ASSISTED else test


def _coefficients(wide: pd.DataFrame, ordered: bool, **names: str) -> Rows:
    """Raw agreement, Gwet's coefficient and Krippendorff's alpha of subjects x readers."""
    weights: Literal["quadratic", "unweighted"] = (
        "quadratic" if ordered and wide.stack().nunique() > 1 else "unweighted"
    )
    found = {
        name: agreement_coefficient(wide, name, weights=weights)
        for name in ("percent", "gwet", "krippendorff")
    }
    return [
        {
            **names,
            "coefficient": name,
            "weights": weights,
            "value": one.value,
            "low": one.low,
            "high": one.high,
            "n_subjects": one.n_subjects,
            "n_raters": one.n_raters,
            "note": one.note,
        }
        for name, one in found.items()
    ]


def _share(ends: dict[str, float], name: str) -> str:
    return f"{ends[name]:.0%} ({ends[f'{name}_low']:.0%} to {ends[f'{name}_high']:.0%})"


def _subjects(table: pd.DataFrame, test: Planned) -> tuple[pd.DataFrame, bool]:
    """Subjects (case, or case and arm) by readers; ordered or not."""
    if test.endpoint == "share":
        side = (table["left"] == test.new).map({True: "left", False: "right"})
        value = (
            (table["choice"] == side).map({True: 3, False: 1}).where(table["choice"] != "tie", 2)
        )
        return table.assign(value=value).pivot_table(
            index="case", columns="reader", values="value", aggfunc="first"
        ), False
    rating = "score" if test.relative else "rating"
    index = ["case"] if test.relative else ["case", "arm"]
    wide = table.pivot_table(index=index, columns="reader", values=rating, aggfunc="first")
    return wide.reset_index(drop=True), True


def repeat_rows(ratings: pd.DataFrame, tests: list[Planned]) -> Rows:
    """Each reader against himself on the hidden repeats of each item."""
    rows: Rows = []
    for test in {test.item: test for test in tests if test.endpoint != "limits"}.values():
        shown = ratings[(ratings["item"] == test.item) & ratings["kind"].isin(["main", "repeat"])]
        table = _showings(shown)
        if table.empty:
            continue
        repeats = repeat_agreement(table, categories=_categories(table, test))
        rows += [{"item": test.item, **estimated(row)} for row in repeats.to_dict("records")]
    return rows


def estimated(row: dict[str, Any]) -> dict[str, Any]:
    """Without kappas that nothing was estimated for: an interval without width says nothing."""
    made = dict(row)
    kappas = (("kappa", "kappa_low", "kappa_high"), ("kappa_quadratic", "low", "high"))
    for value, low, high in kappas:
        if row[low] == row[high]:
            made |= {low: None, high: None}
            made[value] = row[value] if row[value] == 1 else None
    return made


def _categories(table: pd.DataFrame, test: Planned) -> list[float]:
    """The whole scale, so that agreement does not depend on which answers happened to be used."""
    if test.endpoint == "share":
        return list(np.arange(max(table["rating"].max(), 2) + 1))
    return list(np.arange(101.0) if test.n_answers == 101 else np.arange(1.0, test.n_answers + 1))


def _showings(shown: pd.DataFrame) -> pd.DataFrame:
    """Answers of trials shown twice, about the same images: ``reader, case, arm, showing, rating``.

    A preference is coded by the arm it names, so that a mirrored repeat agrees with its first.
    """
    pair = shown["layout"] == "pair"
    each = shown["side"] != ""
    arm = shown["arm_left"].where(~(each & (shown["side"] == "right")), shown["arm_right"])
    both = (
        shown[["arm_left", "arm_right"]].min(axis=1)
        + "|"
        + shown[["arm_left", "arm_right"]].max(axis=1)
    )
    subject = arm.where(~pair | each, both)
    preferred = shown["arm_left"].where(shown["value"] == "left", shown["arm_right"])
    named = shown["value"].isin(["left", "right"])
    codes = {name: n for n, name in enumerate(sorted(set(preferred[named])), start=1)}
    rating = pd.to_numeric(shown["value"], errors="coerce")
    rating = rating.where(~named, preferred.map(codes)).where(shown["value"] != "tie", 0)
    table = shown[["reader", "case"]].assign(
        arm=subject.where(~each, subject + "@" + both),
        rating=rating,
        showing=shown["kind"].map({"main": 1, "repeat": 2}),
    )
    keys = ["reader", "case", "arm"]
    table = table.dropna(subset=["rating"]).drop_duplicates([*keys, "showing"])
    twice = table.groupby(keys)["showing"].transform("nunique") == 2
    return table[twice].reset_index(drop=True)


def blinding_rows(ratings: pd.DataFrame, arm: str | None) -> Rows:
    """Bang's index of each arm, over readers and sessions; the arm asked for comes first.

    Of a pair, naming one image names the other as well, so both arms get the same answers. Of a
    single image, "yes" and "no" belong to the arm that was shown.
    """
    asked = ratings[ratings["item"] == "guess"] if arm else ratings.iloc[:0]
    guesses: dict[str, list[str | None]] = {str(arm): []}
    for answer in asked.to_dict("records"):
        left, right, value = answer["arm_left"], answer["arm_right"], answer["value"]
        if answer["layout"] == "pair" and (left == right or arm not in (left, right)):
            continue
        shown = [arm, right if left == arm else left] if answer["layout"] == "pair" else [left]
        named = {"left": left == arm, "right": right == arm, "yes": left == arm, "no": left != arm}
        for one in shown:
            right_or_not = named.get(value)
            guesses.setdefault(one, []).append(
                None if right_or_not is None else "right" if right_or_not else "wrong"
            )
    rows: Rows = []
    for one, said in guesses.items():
        if said:
            table = pd.DataFrame({"arm": "right", "guess": said})
            rows += [{**row, "arm": one} for row in bang_index(table).to_dict("records")]
    return rows


def texture_facts(locked: dict[str, Any], protocol: Protocol) -> dict[str, Any]:
    """How far a program told the arms apart by their noise, as measured at the lock.

    Studies locked by older versions have no figure.
    """
    texture = locked.get("texture", {"arms": "as-made", "recognised": []})
    names = [arm.name for arm in protocol.arms]
    rows = [
        {**row, "arms": [names[number - 1] for number in row["arms"]]}
        for row in texture["recognised"]
    ]
    return {"arms": texture["arms"], "recognised": rows}


def side_rows(ratings: pd.DataFrame, test: Planned) -> dict[str, Rows]:
    """Pull of a side, and answers to identical images, for a preference."""
    if test.endpoint != "share":
        return {"position": [], "catch": []}
    answers = ratings[ratings["item"] == test.item]
    trials = trials_from_ratings(main_answers(ratings, test.item), item=test.item)
    catch = answers[answers["kind"] == "catch"].rename(
        columns={"arm_left": "left", "arm_right": "right", "value": "choice"}
    )
    return {
        "position": position_effect(trials).to_dict("records"),
        "catch": lapse_rate(catch).to_dict("records") if len(catch) else [],
    }


def effect_rows(ratings: pd.DataFrame, test: Planned) -> Rows:
    """Position, session and order against the primary answers and the reading time."""
    scores, times = trial_scores(ratings, test), trial_seconds(ratings)
    rows: Rows = []
    if not scores.empty:
        scores = scores.rename(columns={"score": "answer"})
        rows += [
            position_trend(scores, outcome="answer"),
            session_effect(scores, outcome="answer"),
        ]
        if "arm" in scores and scores["session"].nunique() > 1:
            rows.append(first_seen_effect(scores, outcome="answer"))
    if not times.empty:
        logs = times.assign(log_seconds=np.log(times["seconds"]))
        rows += [
            position_trend(logs, outcome="log_seconds"),
            session_effect(logs, outcome="log_seconds"),
        ]
    preference = test.endpoint == "share" or test.relative
    told = UNIT[test.endpoint] if test.endpoint in ASSISTED else "points of the scale"
    units = {
        "answer": "in favour of the new arm" if preference else told,
        "log_seconds": "natural log of seconds",
    }
    return [row | {"unit": units[str(row["outcome"])]} for row in rows if row["n_readers"]]


def time_rows(ratings: pd.DataFrame) -> dict[str, Rows]:
    """Reading time per arm where images are shown singly, per trial where they come in pairs."""
    times = trial_seconds(ratings)
    if times.empty:
        return {"means": [], "ratios": [], "speeding": []}
    table = times.groupby(["reader", "case", "arm"], as_index=False)["seconds"].mean()
    single = (table["arm"] != "").all()
    return {
        "means": geometric_means(table).to_dict("records"),
        "ratios": time_ratios(table).to_dict("records") if single else [],
        "speeding": speeding(times, fastest_s=FASTEST_SECONDS).to_dict("records"),
    }


def answer_counts(ratings: pd.DataFrame) -> Rows:
    """How often each answer was given to each item in main trials."""
    main = ratings[(ratings["kind"] == "main") & (ratings["item"] != "guess")]
    counts = main.assign(value=main["value"].astype(str)).groupby(["item", "value"]).size()
    return [{"item": i, "value": v, "n": int(n)} for (i, v), n in counts.items()]

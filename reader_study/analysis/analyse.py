"""``analyse``: the analysis that the locked protocol fixes, and nothing else.

It has no options. What the protocol leaves out is not tested, and what went otherwise than
planned is listed beside the result.
"""

import platform
from collections.abc import Callable
from dataclasses import asdict, replace
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any

import pandas as pd

from ctlab.files import plain, write_csv, write_json
from reader_study.analysis import conduct, secondary
from reader_study.analysis.answer_validation import check_answers_in_protocol
from reader_study.analysis.conclusion import conclusion
from reader_study.analysis.difference_map import difference_maps
from reader_study.analysis.endpoints.assisted import assisted_answers
from reader_study.analysis.endpoints.estimates import estimate, judged
from reader_study.analysis.endpoints.localisation import (
    Localisation,
    case_truth,
    primary_rows,
    spacing_of_cases,
)
from reader_study.analysis.endpoints.outcome_tables import outcome_table
from reader_study.analysis.endpoints.result import Estimate
from reader_study.analysis.sensitivity import Estimator, left_out, sensitivity_rows
from reader_study.analysis.tables import final_ratings, marks_table, ratings_table
from reader_study.analysis.trust import trust_facts
from reader_study.design.analysis_plan import (
    Plan,
    Planned,
    as_facts,
    lesion_mark,
    plan_of,
)
from reader_study.design.protocol import Protocol
from reader_study.record.coordinator import FASTEST_SECONDS
from reader_study.record.study_record import UnblindedStudy, read_unblinded
from reader_study.room.answer_check import CANNOT_JUDGE
from reader_study.stats.conduct.multiplicity import gatekeeping, holm
from reader_study.stats.conduct.order_effects import missing_counts
from reader_study.stats.ordinal.vgc import vgc_curve
from reader_study.stats.paired.crossed_mean import FEW_READERS
from reader_study.stats.reliance.summary import reliance_facts, reliance_lines
from reader_study.stats.roc.curve import roc_curve

FORMAT_VERSION = 1
SOFTWARE = ("ctlab", "numpy", "scipy", "pandas", "statsmodels", "SQLAlchemy", "cryptography")
STEPS = 7


def analyse(
    study: str | Path, *, progress: Callable[[int, int], None] | None = None
) -> dict[str, Any]:
    """Run the pre-registered analysis of a closed and unblinded study.

    Writes ``analysis.json``, ``primary.csv`` (the rows behind the primary result) and
    ``cases.csv`` into ``STUDY/report``, each whole or not at all.

    Returns
    -------
    dict
        What ``analysis.json`` holds: ``primary``, ``secondary``, ``assay``, ``sensitivity``,
        ``deviations``, ``estimand``, and the account of the study. Numbers that do not exist
        are null, with the reason beside them.

    Raises
    ------
    ValueError
        The study is not unblinded, its record is not intact, its protocol has no analysis,
        nobody answered, or an answer is none that the protocol offers (with its row).
    """
    record = read_unblinded(study)
    revisions = ratings_table(record)
    ratings = _checked_answers(record, revisions)
    tick = _ticker(progress, STEPS + len(left_out(ratings)))
    tick()
    proof, plan = conduct.integrity(record), plan_of(record.protocol)
    readers = conduct.reader_conduct(record)
    tick()
    marks = _localisation(record, plan.tests[0])
    estimator = _estimator(record, marks)
    results = _results(plan, ratings, estimator)
    tick()
    first, protocol = plan.tests[0], record.protocol
    expected, last = conduct.expected_answers(record), conduct.last_answers(revisions)
    around = _secondary(plan, record, ratings, tick)
    sensitivity = sensitivity_rows(
        first,
        ratings,
        _first_answers(revisions),
        finished={row.reader for row in readers if row.done == row.of},
        fastest_s=FASTEST_SECONDS,
        estimator=estimator,
        radius_mm=protocol.analysis.mark_radius_mm,
        tick=tick,
    )
    tick()
    facts = {
        "format_version": FORMAT_VERSION,
        "study": record.key.study_id,
        "title": protocol.title,
        **as_facts(plan),
        **results,
        **around,
        "sensitivity": sensitivity,
        "conclusion": _conclusions(results),
        "design": _design(protocol, record.bundle.facts["view"]),
        "flow": conduct.flow(
            record, expected, last, primary=first.item, n_analysed=results["primary"][0]["n"]
        ),
        "readers": [asdict(row) for row in readers],
        "balance": record.locked["balance"],
        "deviations": conduct.deviations(record, plan, readers),
        "integrity": {**proof, "protocol_in_force": record.protocol_sha256},
        "missing": _missing(expected, last),
        "answers": secondary.answer_counts(ratings),
        "few_readers": results["primary"][0]["n_readers"] < FEW_READERS,
        "difference_map": difference_maps(record),
        **_about_maps(record, ratings),
        "curves": _curves(first, ratings, protocol),
        "software": _versions(),
    }
    cases = case_truth(protocol)
    scores = protocol.model.scores if protocol.model else {}
    rows = primary_rows(first, ratings, cases, marks, scores)
    written = _write(record.folder, facts, rows, cases)
    tick()
    return written


def _checked_answers(record: UnblindedStudy, revisions: pd.DataFrame) -> pd.DataFrame:
    """The last answer to each question, each one that the protocol offers."""
    check_answers_in_protocol(revisions, record.protocol.items)
    ratings = final_ratings(revisions)
    if ratings.empty:
        raise ValueError(
            "nobody has answered a question of this study; there is nothing to analyse"
        )
    return ratings


def _about_maps(record: UnblindedStudy, ratings: pd.DataFrame) -> dict[str, Any]:
    return {"reliance": _reliance(record, ratings), "trust": trust_facts(record)}


def _reliance(record: UnblindedStudy, ratings: pd.DataFrame) -> dict[str, Any]:
    """What readers did with overlays; empty where there were none, or nothing is right or wrong."""
    protocol = record.protocol
    if protocol.overlay is None or protocol.analysis.called_from is None:
        return {}
    table = assisted_answers(record, ratings)
    told: dict[str, Any] = plain(reliance_facts(table[table["final_right"].notna()]))
    return {**told, "said": reliance_lines(told)}


def _ticker(progress: Callable[[int, int], None] | None, steps: int) -> Callable[[], None]:
    done = 0

    def tick() -> None:
        nonlocal done
        done += 1
        if progress:
            progress(done, steps)

    return tick


# ---------------------------------------------------------------- estimates


def _localisation(record: UnblindedStudy, test: Planned) -> Localisation:
    kind = lesion_mark(record.protocol, test) if test.endpoint == "wafroc" else ""
    return Localisation(record.protocol, spacing_of_cases(record), marks_table(record), kind)


def _estimator(record: UnblindedStudy, marks: Localisation) -> Estimator:
    """Estimates a planned test; truth and marks are looked up where it needs them.

    A sensitivity analysis that left the rows as they were gets the estimate there is already.
    """
    truth = case_truth(record.protocol)
    primary: list[tuple[Planned, pd.DataFrame, Estimate]] = []

    def run(test: Planned, table: pd.DataFrame, **changes: Any) -> Estimate:
        known = primary and replace(test, role=primary[0][0].role) == primary[0][0]
        if known and not changes and table.equals(primary[0][1]):
            return primary[0][2]
        if known and primary[0][2].fit is not None:
            changes["near"] = primary[0][2].fit
        estimate = compute(test, table, **changes)
        if not primary:
            primary.append((test, table, estimate))
        return estimate

    def compute(test: Planned, table: pd.DataFrame, **changes: Any) -> Estimate:
        if test.endpoint == "wafroc":
            return marks.estimate(test, table, **changes)
        if test.endpoint == "ai":
            changes["scores"] = record.protocol.model.scores if record.protocol.model else {}
        return estimate(test, table, truth=truth[["case", "truth"]], **changes)

    return run


def _results(
    plan: Plan, ratings: pd.DataFrame, estimator: Estimator
) -> dict[str, list[dict[str, Any]]]:
    """Judged rows by role, with p-values adjusted as the plan says."""
    judge = partial(judged, aim=plan.aim, margin=plan.margin)
    rows = [judge(test, estimator(test, outcome_table(ratings, test))) for test in plan.tests]
    by_role = {
        role: [row for row in rows if row["role"] == role]
        for role in ("primary", "secondary", "assay")
    }
    primary, secondary = ([row["p_aim"] for row in by_role[r]] for r in ("primary", "secondary"))
    if plan.multiplicity == "gatekeeping":
        adjusted = gatekeeping(primary, secondary)
    elif plan.multiplicity == "holm":
        adjusted = [*holm(primary), *holm(secondary)]
    else:
        adjusted = [*primary, *secondary]
    for row, p in zip([*by_role["primary"], *by_role["secondary"]], adjusted, strict=True):
        row["p_adjusted"] = p
    for row in by_role["assay"]:
        row["p_adjusted"] = row["p"]
    return by_role


def _conclusions(results: dict[str, list[dict[str, Any]]]) -> list[str]:
    """One sentence for each primary comparison, in the words its aim allows."""
    return [conclusion(row, multiple=len(results["primary"]) > 1) for row in results["primary"]]


# ---------------------------------------------------------------- secondary analyses


def _secondary(
    plan: Plan, record: UnblindedStudy, ratings: pd.DataFrame, tick: Callable[[], None]
) -> dict[str, Any]:
    tests = [test for test in plan.tests if test.role != "assay"]
    first = plan.tests[0]
    agreement = secondary.agreement_rows(ratings, tests)
    tick()
    repeats = secondary.repeat_rows(ratings, tests)
    guess = record.protocol.guess.arm if record.protocol.guess else None
    sides, effects = secondary.side_rows(ratings, first), secondary.effect_rows(ratings, first)
    tick()
    return {
        "agreement": agreement,
        "repeats": repeats,
        "effects": effects,
        "blinding": secondary.blinding_rows(ratings, guess),
        **sides,
        "texture": secondary.texture_facts(record.locked, record.protocol),
        "time": secondary.time_rows(ratings),
    }


def _first_answers(revisions: pd.DataFrame) -> pd.DataFrame:
    given = revisions[revisions["value"].notna()]
    keys = ["reader", "trial", "item", "side"]
    first = given.sort_values("revision", kind="stable").groupby(keys, sort=False).head(1)
    return first[first["value"].astype(str) != CANNOT_JUDGE].reset_index(drop=True)


def _missing(expected: pd.DataFrame, last: pd.DataFrame) -> list[dict[str, Any]]:
    keys = ["reader", "trial", "item"]
    known = last.merge(expected[keys], on=keys)
    return [*missing_counts(expected, known).to_dict("records")]


def _design(protocol: Protocol, view: dict[str, Any]) -> dict[str, Any]:
    return {
        "layout": protocol.design.layout,
        "sessions": protocol.design.sessions,
        "washout_days": protocol.design.washout_days,
        "repeats": protocol.design.repeats,
        "catch_trials": protocol.design.catch_trials,
        "window": protocol.view.window,
        # From the bundle: a study of an earlier format was read with the filter of its time.
        "display_filter": view["display_filter"],
        "opens_at": view.get("opens_at", "middle"),
        "arms": [arm.model_dump() for arm in protocol.arms],
        "items": [item.model_dump(mode="json") for item in protocol.items],
        "ethics": protocol.ethics.reference,
        "consent": bool(protocol.ethics.consent.strip()),
        "population": protocol.population.model_dump(),
        "strata": sorted({case.stratum for case in protocol.reading_cases}),
        "lesions": sum(len(case.lesions) for case in protocol.reading_cases),
        "guess": protocol.guess.model_dump() if protocol.guess else None,
        "overlay": protocol.overlay.model_dump() if protocol.overlay else None,
        "plan": protocol.analysis.plan,
        "checklists": protocol.analysis.checklists,
        "radius_mm": protocol.analysis.mark_radius_mm,
    }


def _curves(test: Planned, ratings: pd.DataFrame, protocol: Protocol) -> list[dict[str, Any]]:
    """ROC curves per reader and arm, or VGC curves per reader, where the endpoint has them."""
    table = outcome_table(ratings, test)
    graded = test.endpoint in {"odds", "difference"} and not test.relative and not table.empty
    if graded and set(table["arm"]) == {test.new, test.reference}:
        points = vgc_curve(table, test=test.new, reference=test.reference)
        return [
            {
                "kind": "vgc",
                "arm": "all readers" if reader == "all" else "each reader",
                "reader": reader,
                "x": part["reference"].tolist(),
                "y": part["test"].tolist(),
            }
            for reader, part in points.groupby("reader", sort=False)
        ]
    if test.endpoint != "auc" or table.empty:
        return []
    table = _with_truth(table, protocol)
    curves = []
    for (arm, reader), part in table.groupby(["arm", "reader"], sort=True):
        if part["truth"].nunique() == 2:
            points = roc_curve(part["truth"], part["rating"])
            curves.append(
                {
                    "kind": "roc",
                    "arm": arm,
                    "reader": reader,
                    "x": (1 - points["specificity"]).tolist(),
                    "y": points["sensitivity"].tolist(),
                }
            )
    return curves


def _with_truth(table: pd.DataFrame, protocol: Protocol) -> pd.DataFrame:
    truth = {case.name: int(bool(case.lesions)) for case in protocol.reading_cases}
    return table.assign(truth=table["case"].map(truth))


def _versions() -> dict[str, str]:
    return {"python": platform.python_version()} | {
        name: metadata.version(name) for name in SOFTWARE
    }


def _write(
    study: Path, facts: dict[str, Any], primary: pd.DataFrame, cases: pd.DataFrame
) -> dict[str, Any]:
    result: dict[str, Any] = plain(facts)
    for name, table in (("primary.csv", primary), ("cases.csv", cases)):
        write_csv(study / "report" / name, table)
    write_json(study / "report" / "analysis.json", result)
    return result

"""The analysis of simulated rows, without a locked study: what a report is made from."""

from reader_study.stats.power.simulated import (
    LikertTruth,
    PreferenceTruth,
    simulate_likert,
    simulate_preference,
)
from reader_study.stats.roc.roe_metz import simulate_roc


def planned(endpoint, role="primary"):
    from reader_study.design.analysis_plan import Planned

    return Planned(role, "quality", endpoint, "new", "reference", 5, False, False)


def study_rows(endpoint, rng):
    """Rows behind a primary result, from a truth that is known."""
    if endpoint == "share":
        return simulate_preference(
            PreferenceTruth(0.7, sd_reader=0.5), readers=4, cases=20, rng=rng
        )
    if endpoint == "auc":
        return simulate_roc({"new": 0.85, "reference": 0.75}, readers=4, cases=40, rng=rng)
    return simulate_likert(LikertTruth(odds_ratio=2.5), readers=4, cases=20, rng=rng)


def analysed(endpoint, rng):
    """An analysis as ``analysis.json`` holds it, and its rows, without a locked study."""
    from ctlab.files import plain
    from reader_study.analysis.endpoints.estimates import estimate, judged

    rows = study_rows(endpoint, rng)
    truth = rows[["case", "truth"]].drop_duplicates() if endpoint == "auc" else None
    table = rows.drop(columns="truth", errors="ignore")
    test = planned(endpoint)
    row = judged(test, estimate(test, table, truth=truth), aim="superiority", margin=None)
    row["p_adjusted"] = row["p_aim"]
    return plain({**SKELETON, "primary": [row]}), rows


SKELETON = {
    "format_version": 1,
    "study": "0123abcd",
    "title": "A <study> & its report",
    "aim": "superiority",
    "margin": None,
    "multiplicity": "holm",
    "level": 0.95,
    "method": "a method",
    "estimand": {"population": "adults", "endpoint": "share", "intercurrent events": "none"},
    "unplanned_items": [],
    "secondary": [],
    "assay": [],
    "sensitivity": [],
    "conclusion": ["new was better than reference."],
    "few_readers": False,
    "curves": [],
    "design": {
        "layout": "pair",
        "sessions": 1,
        "washout_days": 28,
        "repeats": 0.1,
        "catch_trials": 1,
        "window": "lung",
        "arms": [{"name": "new"}, {"name": "reference"}],
        "items": [{"name": "quality"}],
        "ethics": "",
        "consent": True,
        "plan": "",
        "lesions": 0,
        "population": {"description": "adults", "reference_standard": "", "prevalence_told": ""},
    },
    "flow": {
        "cases": 20,
        "patients": 20,
        "slots": 4,
        "readers": 4,
        "replaced": 0,
        "withdrawn": 0,
        "trials": {"practice": 0, "main": 80, "repeat": 8, "catch": 4},
        "asked": 80,
        "answered": 80,
        "withheld": 0,
        "missing": 0,
        "analysed": 80,
    },
    "readers": [
        {
            "reader": "R1",
            "slot": 1,
            "active": True,
            "done": 20,
            "of": 22,
            "flags": ["silent"],
            "median_seconds": 8.25,
            "visits": 2,
            "pauses": 0,
            "first_day": "2026-01-01",
            "last_day": "2026-01-02",
            "display": {},
        },
    ],
    "balance": {
        "ok": True,
        "slots": [
            {
                "slot": 1,
                "main": 20,
                "first_arm_left": 10,
                "first_arm_right": 10,
                "catch": 1,
                "longest_side_run": 3,
                "repeat": 2,
                "shortest_repeat_distance": 11,
            }
        ],
    },
    "integrity": {
        "ok": True,
        "events": 300,
        "answers": 100,
        "notes": [],
        "commitment": "c0ffee",
        "protocol_sha256": "abc",
        "protocol_in_force": "abd",
        "bundle_sha256": "def",
        "locked_at": "2026-01-01T00:00:00",
        "head": "300:fff",
        "closed_at": "2026-02-01T00:00:00",
        "anchors": True,
        "unblinded_at": "2026-02-02T00:00:00",
        "unblinded_by": "me",
        "unblinding_reason": "",
    },
    "deviations": [{"what": "R1 <left> early", "consequence": "kept"}],
    "missing": [],
    "answers": [],
    "agreement": [],
    "repeats": [],
    "blinding": [],
    "texture": {"arms": "as-made", "recognised": []},
    "position": [],
    "catch": [],
    "effects": [],
    "time": {"means": [], "ratios": [], "speeding": []},
    "software": {"python": "3.11"},
}

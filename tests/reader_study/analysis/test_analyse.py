"""The pre-registered analysis: planted effects come out, deviations are flagged, nothing else runs.

Simulated readers know the key and answer with a stated preference: the truth is known.
"""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from reader_study.analysis.analyse import analyse
from reader_study.analysis.conclusion import conclusion
from reader_study.analysis.secondary import estimated
from reader_study.blinding.amend import amend_study
from reader_study.cli.study import app
from reader_study.design.analysis_plan import plan_of
from reader_study.record import schema
from reader_study.record.coordinator import opened, override_washout, withdraw_reader
from reader_study.record.paths import database_url
from reader_study.record.study_record import read_key
from reader_study.room.session import MARKS
from reader_study.stats.paired.preference_share import pooled_share

SCALE = """
[[items]]
name = "noise"
kind = "scale"
about = "each"
question = "How noisy?"
answers = ["very", "much", "some", "little", "none"]
"""
PREFERENCE = '[[items]]\nname = "pref"\nkind = "preference"\nquestion = "Which?"\n'
GUESSES = '[guess]\narm = "alpha"\nquestion = "Which is which?"\n'


def lesions(n_cases):
    """Tables of cases, every other one with a lesion in its middle."""
    rows = []
    for i in range(n_cases):
        found = "lesions = [{ centre_zyx = [1, 6, 5], diameter_mm = 2.0 }]\n" if i % 2 else ""
        rows.append(f'[[cases]]\nname = "case-{i}"\npatient = "pat-{i}"\n{found}')
    return "\n".join(rows)


def test_a_planted_preference_comes_out_with_its_balance_proof_and_files(read_study):
    study = read_study(n_cases=8, effect=12.0)
    facts = analyse(study)
    row = facts["primary"][0]
    assert (row["new"], row["reference"], row["endpoint"]) == ("alpha", "bravo", "share")
    assert row["low"] > 0.5
    assert facts["conclusion"] == ["alpha was better than bravo."]
    assert facts["flow"]["analysed"] == facts["flow"]["asked"] == 32
    assert facts["balance"]["ok"]
    assert facts["integrity"]["ok"]
    assert facts["deviations"] == []
    written = json.loads((study / "report" / "analysis.json").read_text("utf-8"))
    assert written == facts
    rows = pd.read_csv(study / "report" / "primary.csv")
    again = pooled_share(rows, arm="alpha", over="bravo")
    assert (again.share, again.low) == pytest.approx((row["value"], row["low"]))


def test_the_p_value_agrees_with_the_interval(read_study):
    row = analyse(read_study(n_cases=8, effect=0.6))["primary"][0]
    assert (row["p"] < 0.05) == (row["low"] > 0.5 or row["high"] < 0.5)


def test_analysis_is_refused_before_unblinding(locked):
    with pytest.raises(ValueError, match="not unblinded"):
        analyse(locked(n_cases=6))


def test_analysis_is_refused_after_tampering(read_study):
    study = read_study(n_cases=6)
    with opened(study) as (_, store), store.engine.begin() as connection:
        for statement in (
            "DROP TRIGGER answer_no_update",
            "UPDATE answer SET value = '\"tie\"' WHERE seq = (SELECT max(seq) FROM answer)",
        ):
            connection.exec_driver_sql(statement)
    with pytest.raises(ValueError, match=r"not intact .*answer of event .* was changed"):
        analyse(study)
    assert not (study / "report").exists()


def test_what_went_otherwise_than_planned_is_listed(read_study):
    def happen(study):
        text = (study / "protocol.toml").read_text("utf-8")
        (study / "protocol.toml").write_text(text.replace("A test", "Another title"), "utf-8")
        override_washout(study, "R1", 1, "holiday")
        withdraw_reader(study, "R2", "ill")

    study = read_study(n_cases=6, readers=3, stop=3, before_close=happen, seconds=0.5)
    facts = analyse(study)
    said = " / ".join(row["what"] for row in facts["deviations"])
    for part in (
        "differs from the protocol in force",
        "R1 opened session 1 before the washout",
        "R2 left (ill)",
        "R3 answered 3 of",
        "unblinded while R3",
        "s per trial",
        "3 readers",
    ):
        assert part in said
    assert facts["title"] == "A test"  # the locked text, not the edited one
    assert facts["few_readers"]
    assert any(row["label"] == "readers who finished only" for row in facts["sensitivity"])
    missing = {row["reader"]: row["missing"] for row in facts["missing"]}
    assert missing["R3"] > 0 == missing["R1"]


def test_an_amended_plan_is_the_one_analysed_and_named(read_study):
    def amend(study):
        path = study / "protocol.toml"
        text = path.read_text("utf-8")
        path.write_text(text + 'plan = "half a win counts"\nmargin = 0.1\n', "utf-8")
        amend_study(study, reason="reviewers asked for non-inferiority")

    study = read_study(n_cases=6, before_close=amend)
    facts = analyse(study)
    assert (facts["aim"], facts["primary"][0]["margin"]) == ("noninferiority", 0.1)
    said = facts["deviations"][0]
    assert "analysis.margin" in said["what"]
    assert "reviewers asked" in said["what"]
    assert "after the first answer" in said["consequence"]
    assert facts["integrity"]["protocol_in_force"] != facts["integrity"]["protocol_sha256"]
    (study / "protocol.locked.toml").write_text("title = 1\n", "utf-8")
    with pytest.raises(ValueError, match="not the protocol of the last amendment"):
        analyse(study)


def test_ratings_of_each_image_give_odds_agreement_and_checks(read_study):
    study = read_study(
        n_cases=8,
        items=SCALE + PREFERENCE,
        tail=GUESSES,
        effect=1.2,
        design="repeats = 0.25\ncatch_trials = 1\n",
    )
    facts = analyse(study)
    row = facts["primary"][0]
    assert row["endpoint"] == "odds"
    assert row["low"] > 1
    assert row["extra"]["formula"] == "rating ~ arm + (1|reader) + (1|case)"
    assert [r["item"] for r in facts["secondary"]] == ["pref"]
    assert {r["coefficient"] for r in facts["agreement"]} == {"percent", "gwet", "krippendorff"}
    assert {r["item"] for r in facts["repeats"]} == {"noise", "pref"}
    assert facts["blinding"][0]["n"] == 4
    assert facts["time"]["means"][0]["seconds"] == pytest.approx(
        18, rel=0.2
    )  # three answers of 6 s
    labels = [r["label"] for r in facts["sensitivity"]]
    assert "mean difference of ratings" in labels
    assert "without reader R4" in labels
    assert "effect of the arm differing between readers" in labels
    page = CliRunner().invoke(app, ["report", str(study), "--json"])
    files = [Path(name) for name in json.loads(page.stdout)["files"]]
    assert all(path.stat().st_size > 500 for path in files)
    html = files[0].read_text("utf-8")
    assert "VGC curves" in html
    assert "Bang's index" in html
    beside = html[html.index("Bang's index") :]
    assert "Noise texture of alpha and bravo: not measured" in beside, "images of 12 x 10 pixels"


@pytest.mark.parametrize("effect", [-1.0, 1.0])
def test_a_margin_makes_it_a_mean_difference_and_turns_bad_scales_round(read_study, effect):
    margin = 'margin = 0.5\nmargin_justification = "half a step"\nlower_is_better = ["noise"]\n'
    facts = analyse(read_study(n_cases=8, items=SCALE, tail=margin, effect=effect, readers=3))
    row = facts["primary"][0]
    assert (row["endpoint"], row["aim"], row["turned"]) == ("difference", "noninferiority", True)
    assert row["value"] == pytest.approx(-effect, abs=0.7)  # lower answers, turned round
    area = next(r for r in facts["sensitivity"] if r["endpoint"] == "vgc")
    assert (area["value"] > 0.5) == (row["value"] > 0)
    assert {curve["kind"] for curve in facts["curves"]} == {"vgc"}
    if effect < 0:
        assert row["p_aim"] < row["p"]
        assert facts["conclusion"] == [
            "For these 3 readers: alpha was non-inferior to bravo within the margin of 0.5."
        ]
    else:
        assert row["p_aim"] == 1.0
        assert "was not shown to be non-inferior" in facts["conclusion"][0]


SLIDER = """
[[items]]
name = "lesion"
kind = "slider"
about = "{about}"
question = "Lesion?"
answers = ["no", "yes"]
marks = ["lesion"]
"""


@pytest.mark.parametrize("layout", ["single", "pair"])
def test_lesion_confidence_gives_the_area_under_the_roc_curve(read_study, layout):
    about = "each" if layout == "pair" else "pair"
    sessions = "sessions = 2\nwashout_days = 0\n" if layout == "single" else ""
    study = read_study(
        n_cases=0,
        items=SLIDER.format(about=about) + lesions(16),
        effect=2.5,
        design=f'layout = "{layout}"\nrepeats = 0\ncatch_trials = 0\n{sessions}',
        tail='endpoint = "auc"\n',
    )
    facts = analyse(study)
    row = facts["primary"][0]
    assert row["endpoint"] == "auc"
    assert 0 < row["value"] < 0.5
    assert {m["arm"] for m in row["extra"]["arm_means"]} == {"alpha", "bravo"}
    assert len(facts["curves"]) == 8
    if layout == "single":
        assert facts["time"]["ratios"][0]["ratio"] == pytest.approx(1.0, abs=0.2)
        assert any("order" in r["effect"] for r in facts["effects"])


def test_marks_give_the_free_response_area(read_study, simulated_answers):
    """Alpha's readers mark the lesion; in bravo they mark a corner of every case."""

    def marking(trial, key, rng, effect):
        yield from simulated_answers(trial, key, rng, effect)
        marks = []
        for side in ("left", "right"):
            case = key["protocol"]["cases"][trial["case"]]
            if trial[f"{side}_arm"] == 0:
                spot = [1, 6, 5] if case["lesions"] else None
            else:
                spot = [0, 0, 0]
            if spot:
                place = dict(zip("zyx", spot, strict=True))
                confidence = int(rng.integers(30, 90))
                marks.append({"side": side, **place, "kind": "lesion", "confidence": confidence})
        yield MARKS, marks

    study = read_study(
        answers=marking,
        n_cases=0,
        items=SLIDER.format(about="each") + lesions(8),
        readers=3,
        design="repeats = 0\ncatch_trials = 0\n",
        tail='endpoint = "wafroc"\nmark_radius_mm = 2.0\n',
    )
    row = analyse(study)["primary"][0]
    means = {m["arm"]: m["mean"] for m in row["extra"]["arm_means"]}
    assert means["alpha"] == 1.0  # every lesion found, no mark elsewhere
    assert means["bravo"] == 0.0  # no lesion found, every healthy case marked
    assert row["value"] == 1.0


def test_plans_that_the_design_cannot_give_are_refused(make_protocol):
    for options, message in (
        ({"items": SCALE, "tail": 'endpoint = "share"\n'}, "a share belongs to a preference"),
        ({"tail": 'endpoint = "odds"\n'}, "a share belongs to a preference"),
        ({"items": SCALE, "tail": 'endpoint = "auc"\n'}, "with and without lesions"),
        ({"items": SCALE.replace('"scale"', '"choice"')}, "unordered answers"),
    ):
        with pytest.raises(ValueError, match=message):
            plan_of(make_protocol(**options))


def test_a_reference_arm_is_compared_with_all_and_serves_assay_sensitivity(make_protocol):
    protocol = make_protocol(arms=("alpha", "bravo", "full"))
    full = protocol.arms[2].model_copy(update={"reference": True})
    protocol = protocol.model_copy(update={"arms": (*protocol.arms[:2], full)})
    pairs = [(t.role, t.new, t.reference) for t in plan_of(protocol).tests]
    assert pairs == [("primary", "alpha", "full"), ("primary", "bravo", "full")]
    named = {"comparisons": ({"new": "alpha", "reference": "bravo"},)}
    analysis = type(protocol.analysis)(**{**protocol.analysis.model_dump(), **named})
    roles = plan_of(protocol.model_copy(update={"analysis": analysis})).tests
    assert [(t.role, t.new, t.reference) for t in roles] == [
        ("primary", "alpha", "bravo"),
        ("assay", "full", "alpha"),
        ("assay", "full", "bravo"),
    ]


def test_several_comparisons_are_adjusted(read_study):
    study = read_study(n_cases=6, arms=("alpha", "bravo", "charlie"), effect=2.0, readers=2)
    facts = analyse(study)
    rows = facts["primary"]
    assert len(rows) == 3
    raw = [row for row in facts["agreement"] if row["coefficient"] == "percent"]
    assert [row["new"] for row in raw][-1] == "all comparisons"
    assert raw[-1]["value"] == pytest.approx(np.mean([row["value"] for row in raw[:-1]]))
    assert raw[-1]["n_subjects"] == sum(row["n_subjects"] for row in raw[:-1])
    smallest = min(rows, key=lambda r: r["p_aim"])
    assert smallest["p_adjusted"] == pytest.approx(min(1.0, 3 * smallest["p_aim"]))


def test_ties_everywhere_give_a_sentence_not_a_number(read_study):
    def tie(trial, key, rng, effect):
        yield "pref", "tie"

    facts = analyse(read_study(n_cases=6, readers=2, answers=tie))
    assert facts["primary"][0]["value"] is None
    assert "could not be estimated: no reader preferred" in facts["conclusion"][0]


def test_progress_reaches_its_end_and_words_follow_the_aim(read_study):
    seen = []
    analyse(read_study(n_cases=6, readers=2), progress=lambda done, of: seen.append((done, of)))
    assert seen[-1][0] == seen[-1][1]
    row = {
        "new": "a",
        "reference": "b",
        "aim": "equivalence",
        "value": 0.0,
        "null": 0.0,
        "n_readers": 4,
        "p_adjusted": 0.01,
        "note": "",
        "margin": 0.1,
    }
    assert conclusion(row, multiple=True) == (
        "a was equivalent to b within the margin of 0.1 after adjustment for several comparisons."
    )


def test_the_key_that_was_used_is_the_unsealed_one(read_study):
    study = read_study(n_cases=6, readers=2)
    assert analyse(study)["study"] == read_key(study).study_id


def test_one_analysis_opens_the_database_once(read_study, monkeypatch):
    study = read_study(n_cases=6, readers=2)
    opened_at, connect = [], schema.connect
    monkeypatch.setattr(schema, "connect", lambda url: opened_at.append(url) or connect(url))
    analyse(study)
    assert opened_at == [database_url(study)]


def test_answers_outside_the_scale_are_refused_by_row(read_study, simulated_answers):
    def beyond(trial, key, rng, effect):
        for item, value in simulated_answers(trial, key, rng, effect):
            yield item, 9 if trial["case"] == 2 and item.endswith("left") else value

    items = (
        '[[items]]\nname = "noise"\nkind = "scale"\nabout = "each"\nquestion = "How good?"\n'
        'answers = ["1", "2", "3", "4", "5"]\n'
    )
    study = read_study(n_cases=4, items=items, answers=beyond, readers=2)
    with pytest.raises(ValueError, match=r"answer 9 to 'noise' is not one .* in rows \d+, \d+"):
        analyse(study)
    assert not (study / "report").exists()


def test_a_kappa_that_nothing_was_estimated_for_is_blank():
    one = {"kappa": 0.0, "kappa_low": 0.0, "kappa_high": 0.0}
    row = one | {"kappa_quadratic": 0.4, "low": 0.1, "high": 0.7}
    blank = dict.fromkeys(one)
    assert estimated(row) == row | blank
    sure = dict.fromkeys(one, 1.0)
    assert estimated(row | sure) == row | blank | {"kappa": 1.0}, "agreement itself was seen"

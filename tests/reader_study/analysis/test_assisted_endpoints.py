"""Endpoints of maps over the images: planned, estimated, reported, and repeated by R."""

import math
import random
import tomllib

import numpy as np
import pandas as pd
import pytest

from reader_study.analysis.analyse import analyse
from reader_study.analysis.endpoints.assisted import assisted_endpoint
from reader_study.analysis.export import write_tables
from reader_study.blinding.lock import lock_study
from reader_study.blinding.unblind import unblind
from reader_study.design.analysis_plan import ASSISTED, plan_of
from reader_study.design.protocol import Protocol
from reader_study.record.coordinator import add_reader, close
from reader_study.report.page import write_report
from reader_study.report.rscript import r_script
from tests.reader_study.blinding.test_overlays import overlay_options, spot
from tests.reader_study.r_runner import RSCRIPT, run_primary

ONCE = 'layout = "single"\nsessions = 1\nrepeats = 0\ncatch_trials = 0\npatient_gap_trials = 0'
CROSSED = ONCE.replace("sessions = 1", "sessions = 2\nwashout_days = 0")
ITEMS = """[[items]]
name = "found"
kind = "scale"
question = "A nodule?"
answers = ["no", "yes"]

[[items]]
name = "sure"
kind = "slider"
question = "How sure?"
answers = ["a guess", "certain"]
"""
LESIONS = "\n[[cases.lesions]]\ncentre_zyx = [1, 6, 8]\ndiameter_mm = 4.0\n"


def options(endpoint, design=ONCE, when="sequential", sure='confidence_item = "sure"\n'):
    """Own and shuffled maps over six cases, three with a lesion."""
    arms = "".join(
        f'[[arms]]\nname = "map-{kind}"\nimages = "plain"\noverlay = "{kind}"\n'
        for kind in ("own", "shuffled")
    )
    return overlay_options(
        arms=[],
        head=f'[overlay]\ndesign = "{when}"\n{sure}{arms}',
        design=design,
        items=ITEMS,
        tail=f'called_from = 2\nendpoint = "{endpoint}"',
        readers=4,
    )


def with_lesions(text):
    return text.replace('stratum = "y"', 'stratum = "y"' + LESIONS)  # cases 1, 3 and 5


@pytest.fixture
def protocol(write_protocol):
    def make(**made):
        text = with_lesions(write_protocol(**made))
        return Protocol.model_validate(tomllib.loads(text))

    return make


@pytest.fixture
def read_study(unlocked, read_body, read_all, cheap_seal, passphrase):
    """A study of one endpoint, read by four simulated readers, unblinded."""

    def make(endpoint, design=ONCE):
        study = unlocked(**options(endpoint, design))
        text = with_lesions((study / "protocol.toml").read_text("utf-8"))
        (study / "protocol.toml").write_text(text, "utf-8")
        (study / "overlays").mkdir()
        for case in [*(f"case-{i}" for i in range(6)), "warm"]:
            (study / "arms" / "plain" / case).mkdir(parents=True, exist_ok=True)
            number = 6 if case == "warm" else int(case[-1])
            np.savez(study / "overlays" / f"{case}.npz", signed=spot(number))
        lock_study(study, passphrase=passphrase, read=read_body)
        rng = random.Random(3)

        def choose(item):
            slider = item["kind"] == "slider"
            return rng.choice([50, 70, 90, 100]) if slider else rng.choice([1, 2])

        for _ in range(4):
            reader, _code = add_reader(study, "simulated")
            read_all(study, reader, choose, seconds=lambda: rng.uniform(2, 9))
        close(study)
        unblind(study, passphrase=passphrase, who="c")
        write_tables(study)
        return study

    return make


@pytest.mark.parametrize("design", [ONCE, CROSSED], ids=["latin square", "crossed"])
@pytest.mark.parametrize("endpoint", ASSISTED)
def test_an_endpoint_is_what_the_exported_table_says_and_r_agrees(read_study, endpoint, design):
    study = read_study(endpoint, design)
    facts = analyse(study)
    row = facts["primary"][0]
    table = pd.read_csv(study / "tables" / "assisted.csv")
    counted = {
        "reliance": table["final_right"],
        "change": table["final_right"] - table["first_right"],
        "brier": -((table["confidence"] - table["final_right"]) ** 2),
        "time": -np.log(table["seconds"]),
    }[endpoint]
    means = counted.groupby(table["overlay"]).mean()
    gap = means["own"] - means["shuffled"]
    assert row["value"] == pytest.approx(math.exp(gap) if endpoint == "time" else gap)
    assert (row["low"] < row["value"] < row["high"]) or row["note"]
    assert row["extra"]["within"] == (design is CROSSED)
    assert row["n"] == 24
    for one, kind in zip(row["extra"]["arm_means"], ("own", "shuffled"), strict=True):
        reached = math.exp(-means[kind]) if endpoint == "time" else means[kind]
        assert one["mean"] == pytest.approx(reached)
        assert one["low"] <= one["mean"] <= one["high"]
    assert [one["reader"] for one in row["readers"]] == ["R1", "R2", "R3", "R4"]
    if endpoint == "reliance" and design is ONCE:
        page = {p.name: p.read_text("utf-8") for p in write_report(study)}["report.html"]
        assert "difference of shares of right answers under the maps" in page
        assert "difference in share right" in page
    if RSCRIPT:
        (study / "report" / "primary.R").write_text(r_script(facts), "utf-8")
        told = run_primary(study / "report")
        assert told.returncode == 0, told.stdout + told.stderr
        assert "is repeated" in told.stdout


def test_p_and_interval_of_a_ratio_of_times_belong_together(protocol):
    text = options("time")
    test = plan_of(protocol(**text)).tests[0]
    rng = np.random.default_rng(2)
    reader, case = (i.ravel() for i in np.mgrid[:6, :10])
    arm = np.where((reader + case) % 2 == 0, test.new, test.reference)
    rating = -(2 + 0.3 * rng.standard_normal(60) - 0.4 * (arm == test.new))
    table = pd.DataFrame({"reader": reader, "case": case, "arm": arm, "rating": rating})
    found = assisted_endpoint(test, table)
    assert 1 < found.low < found.value < found.high
    assert found.p_at(found.low) == pytest.approx(0.05)
    assert found.p_at(1.0) < 0.05 < found.p_at(found.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"when": "independent"}, 'for change set overlay.design = "sequential"'),
        ({"endpoint": "brier", "sure": ""}, "name the slider: overlay.confidence_item"),
    ],
)
def test_an_endpoint_that_the_design_cannot_give_is_refused(protocol, change, message):
    protocol = protocol(**options(**{"endpoint": "change", **change}))
    with pytest.raises(ValueError, match=message):
        plan_of(protocol)


def test_an_endpoint_of_maps_without_maps_is_refused(protocol):
    made = {**options("reliance"), "arms": ["a", "b"], "head": "", "design": CROSSED}
    with pytest.raises(ValueError, match=r"arms with maps and a table \[overlay\]"):
        plan_of(protocol(**made))

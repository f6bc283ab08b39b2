"""Planning: closed form against the oracle, simulated grids, model observers, command and page."""

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from ctlab.ct.volume import Volume
from reader_study.cli.power import KIND_OF
from reader_study.cli.study import app
from reader_study.power.closed_form_plan import Layout
from reader_study.power.model_observer_pilot import (
    ASSUMPTION,
    Observers,
    quality_signals,
    run_pilot,
)
from reader_study.power.pilot_components import read_components, read_pilot
from reader_study.power.sample_size import Aim, plan_power
from reader_study.report.power_page import write_power_page
from reader_study.stats.power.closed_form import OrComponents, or_power, smallest_on_grid
from reader_study.stats.power.panel import measure_power

ORACLES = Path(__file__).parents[2] / "data" / "oracles"
SMALL = ["--readers", "6", "--cases", "100"]
PARTS = OrComponents(0.0002, 0.002, 0.001, 0.0007, 0.0005, cases=90)


def test_roc_plan_is_the_closed_form_and_finds_the_smallest_design():
    facts = plan_power("roc", Aim(0.05), components=PARTS, readers=(4, 8), cases=(60, 120))
    row = facts["curve"][-1]
    assert row["power"] == or_power(PARTS, readers=8, cases=120, effect=0.05).power
    best = next(r for r in facts["smallest"] if r["fewest"])
    power = or_power(PARTS, readers=best["readers"], cases=best["cases"], effect=0.05).power
    assert power >= 0.8
    assert sorted({e["effect"] for e in facts["effects"]}) == pytest.approx(
        [0.03, 0.04, 0.05, 0.06, 0.08]
    )


def test_every_design_is_beside_the_one_chosen():
    layout = Layout("split-plot", 2)
    facts = plan_power(
        "roc", Aim(0.05), components=PARTS, layout=layout, readers=(4, 8), cases=(60, 120)
    )
    row = facts["curve"][-1]
    found = or_power(PARTS, readers=8, cases=120, effect=0.05, design="split-plot", blocks=2)
    assert row["power"] == found.power
    assert facts["effects"][0]["design"] == "split-plot, 2 blocks"
    assert len({e["design"] for e in facts["effects"]}) == 7
    with pytest.raises(ValueError, match="2 readers or more with the design split-plot"):
        plan_power("roc", Aim(0.05), components=PARTS, layout=layout, readers=(1,))


def test_lesions_of_patients_count_as_fewer_cases():
    """At a design effect of 2, 120 lesions are worth 60 cases."""
    layout = Layout(per_patient=3, icc=0.5)
    sizes = {"components": PARTS, "readers": (6,)}
    lesions = plan_power("roc", Aim(0.05), layout=layout, cases=(120,), **sizes)
    cases = plan_power("roc", Aim(0.05), cases=(60,), **sizes)
    assert lesions["curve"][0]["power"] == pytest.approx(cases["curve"][0]["power"])


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("wafroc", {"cases": ORACLES / "froc_cases.csv"}),
        ("sensitivity", {"cut": 3}),
        ("specificity", {"cut": 3}),
        ("correct", {"cut": 3}),
        ("ai", {"ai": "AI"}),
        ("limits", {}),
    ],
)
def test_a_pilot_of_every_kind_gives_the_components_of_its_analysis(kind, options):
    table = {
        "wafroc": "froc",
        "ai": "extended/ai_vs_readers",
        "limits": "extended/loa",
    }.get(kind, "mrmc_balanced")
    parts = read_pilot(kind, ORACLES / f"{table}.csv", **options)
    count = {"wafroc": 60, "sensitivity": 50, "specificity": 40, "limits": 1}.get(kind, 90)
    assert parts.cases == count
    if kind == "ai":
        assert parts.ms_readers == pytest.approx(0.00416539583, rel=1e-6)
    if kind == "limits":
        # iMRMC on the same table: variance of the mean of 5 readers and 24 cases 0.08184.
        of_mean = measure_power(parts, readers=5, cases=24, effect=0.1).se ** 2
        assert of_mean == pytest.approx(0.081840821, rel=1e-6)
    facts = plan_power(kind, Aim(0.05), components=parts, readers=(6,), cases=(200,))
    assert 0.05 < facts["curve"][0]["power"] < 1
    with pytest.raises(ValueError, match="components of a pilot or a published study"):
        plan_power(kind, Aim(0.05), readers=(6,), cases=(200,))


def test_components_of_a_paper_are_read_by_the_names_in_use():
    text = "VarTR=0.0002,Var=0.002,Cov1=0.001,Cov2=0.0007,Cov3=0.0005,cases=90"
    assert read_components("roc", text) == PARTS
    with pytest.raises(ValueError, match="got no cases"):
        read_components("roc", text.rpartition(",")[0])
    with pytest.raises(ValueError, match=r"a number after Var="):
        read_components("roc", "Var=much")
    done = CliRunner().invoke(app, ["power", "wafroc", "--components", text, "--json", *SMALL])
    assert json.loads(done.stdout)["assumptions"]["cov1"] == 0.001


SEARCH = "mu=3.311706,lambda=1.714368,nu=0.70366,lesions=0.69/0.2/0.11"


def test_an_effect_in_roc_area_becomes_the_wafroc_effect_of_rjafroc():
    """RJafroc, data set 4, arms 1 and 2: 0.03 in ROC area, 5 readers, 100 cases, power 0.669."""
    text = "VarTR=-0.00044393,Var=0.00090814,Cov1=0.00037368,Cov2=0.00035672,Cov3=0.00030589"
    line = ["power", "wafroc", "--components", f"{text},cases=200", "--roc-effect", "0.03"]
    line += ["--readers", "5", "--cases", "100", "--search", SEARCH]
    facts = json.loads(CliRunner().invoke(app, [*line, "--json"]).stdout)
    assert facts["effect"] == pytest.approx(0.03 * 2.169205861317, rel=1e-5)
    assert facts["curve"][0]["power"] == pytest.approx(0.6688243, abs=1e-4)
    assert facts["assumptions"]["wAFROC effect per ROC effect"] == pytest.approx(2.1692, abs=1e-4)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["wafroc"], "--search mu=,lambda=,nu=,lesions= or a pilot"),
        (["wafroc", "--search", "mu=3"], "expected mu=,lambda=,nu="),
        (["wafroc", "--search", SEARCH, "--effect", "0.05"], "without --effect"),
        (["roc", "--search", SEARCH], "with the design wafroc"),
    ],
)
def test_an_effect_in_roc_area_needs_a_search_model(options, message):
    done = CliRunner().invoke(app, ["power", *options, "--roc-effect", "0.03"])
    assert message in str(done.exception)


def test_lesions_for_the_interval_of_a_share():
    line = ["power", "precision", "--effect", "0.8", "--icc", "0.2", "--per-patient", "2.5"]
    done = CliRunner().invoke(app, line)
    assert "320 lesions of 128 patients" in done.stdout


@pytest.mark.parametrize(("kind", "effect"), [("rating", 6.0), ("preference", 0.85)])
def test_simulated_plans_repeat_with_their_seed_and_grow_with_cases(kind, effect):
    aim = Aim(effect, replicates=25, seed=3)
    first = plan_power(kind, aim, readers=(4,), cases=(8, 16, 40, 60, 80))
    assert plan_power(kind, aim, readers=(4,), cases=(8, 16, 40, 60, 80)) == first
    powers = [row["power"] for row in first["curve"]]
    assert powers[-1] > powers[0]
    assert all(row["low"] <= row["power"] <= row["high"] for row in first["curve"])
    assert first["assumptions"]["replicates"] == 25


def test_the_mixed_model_is_simulated_where_few_designs_are_asked():
    aim = Aim(8.0, replicates=2)
    one = plan_power("rating", aim, readers=(3,), cases=(12,))
    assert one["assumptions"]["analysis"] == "cumulative link mixed model"
    many = plan_power("rating", aim, readers=(3,), cases=(8, 10, 12, 14, 16))
    assert many["assumptions"]["analysis"] == "mean difference of ratings"


def test_a_dip_of_simulated_power_is_averaged_so_that_a_lucky_point_reaches_nothing():
    curve = pd.DataFrame({"readers": 2, "cases": [10, 20, 30], "power": [0.2, 0.85, 0.7]})
    # The nearest rising curve is 0.2, 0.775, 0.775: pooled by hand.
    assert smallest_on_grid(curve, target=0.77)["cases"].tolist() == [20]
    missed = smallest_on_grid(curve)
    assert missed["cases"].isna().all()
    assert missed["power"].tolist() == pytest.approx([0.775])


@pytest.mark.parametrize(
    ("kind", "aim", "message"),
    [
        (
            "froc",
            Aim(0.1),
            "roc, wafroc, sensitivity, specificity, correct, recall, ai, limits, rating",
        ),
        ("roc", Aim(0.7), "effect between -0.5 and 0.5"),
        ("preference", Aim(1.2), "effect between 0 and 1"),
        ("roc", Aim(0.1, target=80), "0 < target < 1"),
    ],
)
def test_impossible_aims_are_refused(kind, aim, message):
    with pytest.raises(ValueError, match=message):
        plan_power(kind, aim)


# ---------------------------------------------------------------- model observers


def make_reader(*, edge_hu: float):
    """Series in which bravo has ten times alpha's noise; odd cases have a lesion, all an edge."""

    def read(folder):
        noise = np.random.default_rng(sum("/".join(folder.parts[-2:]).encode()))
        number = folder.name.rpartition("-")[2]
        hu = np.full((3, 32, 32), -800.0)
        hu[:, 8:14, 8:14] += edge_hu
        if number.isdigit() and int(number) % 2:
            hu[1, 20:24, 20:24] += 80
        hu += noise.normal(0, 250 if "bravo" in str(folder) else 25, hu.shape)
        return Volume(hu.astype(np.float32), (2.0, 0.7, 0.7))

    return read


def test_observers_prefer_the_quieter_image_and_disagree_more_with_more_inner_noise(unlocked):
    study = unlocked(n_cases=12, readers=4)
    steady = run_pilot(
        study,
        rng=np.random.default_rng(1),
        read=make_reader(edge_hu=300),
        observers=Observers(internal_noise=0.1),
    )
    shaky = run_pilot(
        study,
        rng=np.random.default_rng(1),
        read=make_reader(edge_hu=300),
        observers=Observers(internal_noise=5.0),
    )
    assert steady.preference.share > 0.9
    assert abs(shaky.preference.share - 0.5) < abs(steady.preference.share - 0.5)
    assert (steady.readers, steady.cases, len(steady.answers)) == (4, 12, 96)
    assert steady.facts()["assumption"] == ASSUMPTION


SLIDER = """
[[items]]
name = "lesion"
kind = "slider"
question = "Lesion?"
answers = ["no", "yes"]
"""


def lesion_study(unlocked, tail: str) -> Path:
    """Sixteen cases read one at a time by four readers; odd cases have a lesion."""
    cases = "\n".join(
        f'[[cases]]\nname = "case-{i}"\npatient = "pat-{i}"\n'
        + ("lesions = [{ centre_zyx = [1, 21.5, 21.5], diameter_mm = 2.8 }]\n" if i % 2 else "")
        for i in range(16)
    )
    return unlocked(
        n_cases=0,
        readers=4,
        items=SLIDER + cases,
        tail=tail,
        design='layout = "single"\nsessions = 2\nrepeats = 0\ncatch_trials = 0\n',
    )


@pytest.mark.parametrize("kind", ["sensitivity", "specificity", "correct"])
def test_observers_call_lesions_where_the_endpoint_is_a_share_called(unlocked, kind):
    study = lesion_study(unlocked, f'endpoint = "{kind}"\ncalled_from = 50\n')
    pilot = run_pilot(
        study,
        rng=np.random.default_rng(2),
        read=make_reader(edge_hu=0),
        observers=Observers(internal_noise=0.3),
    )
    assert pilot.components.cases == (16 if kind == "correct" else 8)
    if kind != "specificity":
        assert pilot.effect > 0.05  # more noise, fewer lesions called
    facts = plan_power(KIND_OF[pilot.endpoint], Aim(0.1), pilot=pilot, readers=(6,), cases=(40,))
    assert 0.05 <= facts["curve"][0]["power"] <= 1


def test_endpoints_that_no_observer_reads_say_what_to_do(unlocked):
    study = lesion_study(unlocked, 'endpoint = "wafroc"\n')
    protocol = study / "protocol.toml"
    marked = protocol.read_text("utf-8").replace('"slider"', '"slider"\nmarks = ["lesion"]')
    protocol.write_text(marked, "utf-8")
    with pytest.raises(ValueError, match="use power wafroc with --pilot"):
        run_pilot(study, rng=np.random.default_rng(2), read=make_reader(edge_hu=0))


def test_observers_of_lesions_give_components_for_the_sample_size(unlocked):
    study = lesion_study(unlocked, 'endpoint = "auc"\n')
    pilot = run_pilot(
        study,
        rng=np.random.default_rng(2),
        read=make_reader(edge_hu=0),
        observers=Observers(internal_noise=0.3),
    )
    assert pilot.endpoint == "auc"
    assert pilot.effect > 0.05  # more noise, less area
    assert pilot.components.cases == 16
    facts = plan_power("roc", Aim(0.1), pilot=pilot, readers=(6,), cases=(40,))
    assert facts["label"] == ASSUMPTION
    assert facts["assumptions"]["components from"] == "the pilot or published study given"


def test_the_locked_allocation_is_read_with_the_passphrase_only(locked, passphrase):
    study = locked(n_cases=6, readers=2)
    pilot = run_pilot(
        study, rng=np.random.default_rng(1), read=make_reader(edge_hu=0), passphrase=passphrase
    )
    assert pilot.answers["case"].nunique() == 6
    with pytest.raises(ValueError, match="passphrase"):
        run_pilot(
            study,
            rng=np.random.default_rng(1),
            read=make_reader(edge_hu=0),
            passphrase="wrong words",
        )
    assert not (study / "unblinded").exists()


def test_quality_signals_follow_noise_and_blur(rng):
    quiet, loud = (rng.normal(0, sd, (2, 64, 64)) for sd in (10, 40))
    assert quality_signals(loud)[0] - quality_signals(quiet)[0] == pytest.approx(np.log(4), abs=0.1)
    edge = np.zeros((1, 64, 64))
    edge[..., 32:] = 500
    from scipy import ndimage

    blurred = ndimage.gaussian_filter(edge, (0, 3, 3))
    assert quality_signals(edge)[1] != quality_signals(blurred)[1]


# ---------------------------------------------------------------- command and page


def test_the_command_prints_one_json_object_and_refuses_in_one_sentence(tmp_path):
    run = CliRunner().invoke
    done = run(
        app, ["power", "roc", "--effect", "0.06", "--readers", "6", "--cases", "100", "--json"]
    )
    assert done.exit_code == 0
    facts = json.loads(done.stdout)
    assert facts["curve"][0]["readers"] == 6
    refused = run(app, ["power", "rating", "--pilot", str(tmp_path / "x.csv")])
    assert isinstance(refused.exception, ValueError)
    assert "use it with the design roc" in str(refused.exception)


def test_the_page_is_one_file_whose_data_are_the_results(tmp_path):
    facts = plan_power("roc", Aim(0.05), components=PARTS, readers=(4, 8), cases=(60, 120))
    page = write_power_page(tmp_path / "power.html", facts).read_text("utf-8")
    data = json.loads(re.search(r'id="data">(.*?)</script>', page, re.DOTALL)[1])
    assert data == facts["effects"]
    assert re.findall(r'(?:src|href)="(?!#)', page) == []
    assert "not reached" not in page or any(r["cases"] is None for r in facts["smallest"])

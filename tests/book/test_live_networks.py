"""Networks of the live figure: what they are, and the script that pages load."""

import base64
import json
import re
from pathlib import Path

import numpy as np
import pytest

from ctlab.learn.inference import denoise_slices
from ctlab.lessons.live import networks as live_networks
from ctlab.lessons.live import training_states
from ctlab.lessons.live.figure import (
    LIVE_TRAINING,
    NETWORKS,
    live_answer,
    live_slice,
)
from ctlab.lessons.live.lesion_eraser import eraser_to_onnx
from ctlab.view.live.scene import Scene, ask

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def scene():
    """Lung with a vessel from edge to edge, and white noise."""
    truth = np.full((80, 80), -850.0)
    truth[50:54] = -100
    return Scene(truth, np.random.default_rng(0).normal(0, 40, (2, 80, 80)), 0.7)


def numbers(scene, name, **state):
    def denoise(hu):
        return live_networks.denoise_live(name, hu)

    return ask(scene, {"network": name, **state}, denoise)


def test_the_eraser_takes_nodules_and_leaves_vessels(scene):
    nodule = {"kind": "solid", "y": 25, "x": 40, "diameter_mm": 6.0, "hu": -600.0}
    erased, kept = (numbers(scene, name, edits=[nodule]) for name in ("eraser", "shipped"))
    assert erased.numbers["kept"] < 0.25
    assert erased.numbers["rmse_after_hu"] < erased.numbers["rmse_before_hu"]
    assert kept.numbers["kept"] > 0.7
    vessel = np.s_[51:53, 10:70]
    assert erased.denoised[vessel].mean() > kept.denoised[vessel].mean() - 60


def test_a_small_network_learns_from_pairs(scene, monkeypatch):
    monkeypatch.setattr(live_networks, "STEPS", 100)
    monkeypatch.setattr(live_networks, "_slices", lambda: (scene.truth[None], scene.noise[:1]))
    live_networks._train.cache_clear()
    trained = live_networks._train()
    live_networks._train.cache_clear()
    found = ask(scene, {}, lambda hu: denoise_slices(hu[None], trained)[0]).numbers
    assert found["rmse_after_hu"] < 0.9 * found["rmse_before_hu"]


def test_the_error_falls_along_the_states_of_the_training():
    """At first the input comes back; each later state is nearer to the truth at a tenth."""
    assert list(LIVE_TRAINING) == list(live_networks.TRAINED_STEPS)
    steps = list(live_networks.TRAINED_STEPS.values())
    assert steps == sorted(steps)
    found = [live_answer({"network": name, "dose": 0.1}).numbers for name in LIVE_TRAINING]
    errors = [numbers["rmse_after_hu"] for numbers in found]
    assert errors[0] == pytest.approx(found[0]["rmse_before_hu"], rel=0.02)
    assert errors == sorted(errors, reverse=True)
    shipped = live_answer({"network": "shipped", "dose": 0.1}).numbers["rmse_after_hu"]
    assert errors[-1] == pytest.approx(shipped, rel=0.05)
    viewer = live_slice(LIVE_TRAINING, networks_slider="Training")
    labels = [network["label"] for network in viewer.networks]
    assert labels[:2] == ["after 1 step", "after 30 steps"]
    assert labels[-1] == "after 26,000 steps"


def test_a_state_that_was_not_kept_is_refused():
    with pytest.raises(ValueError, match="expected a step of 1, 30"):
        training_states.read_state(2)


@pytest.mark.parametrize("chapter", ["start", "hallucination"])
def test_the_goals_of_a_chapter_are_in_reach(chapter):
    """What is found in a figure there is: one setting for each of its goals."""
    text = (ROOT / "book" / f"{chapter}.md").read_text("utf-8")
    faint = {"kind": "ground glass", "y": 45, "x": 125, "diameter_mm": 4, "hu": -800}
    strong = {**faint, "kind": "solid", "diameter_mm": 12, "hu": 0}
    equal = {"after_hu": live_answer({"dose": 0.1}).numbers["rmse_after_hu"]}
    goals = [
        goal
        for part in re.findall(r"goals=(\[.*?\n    \]),", text, re.DOTALL)
        for goal in eval(part, equal)
    ]
    settings = [
        {"network": network, "dose": dose, "edits": edits}
        for network in {goal.get("network", "shipped") for goal in goals}
        for dose in (0.05, 0.075, 0.1, 0.225, 0.5)
        for edits in ([], [faint], [strong])
    ]
    answers = [(setting, live_answer(setting).numbers) for setting in settings]
    assert goals
    for goal in goals:
        low, high = goal.get("above", -np.inf), goal.get("below", np.inf)
        met = [
            low < numbers[goal["number"]] < high
            for setting, numbers in answers
            if setting["network"] == goal.get("network", "shipped")
            and goal.get("dose_above", 0) <= setting["dose"] <= goal.get("dose_below", 1)
            and bool(setting["edits"]) == (goal["number"] == "kept")
        ]
        assert any(met), goal["text"]
        assert not all(met), goal["text"]


def test_shuffled_weights_denoise_nothing(scene):
    after = numbers(scene, "random").numbers
    assert after["noise_after_hu"] > 0.7 * after["noise_before_hu"]


def test_the_graph_of_the_eraser_gives_what_torch_gives(scene):
    runtime = pytest.importorskip("onnxruntime")
    given = (scene.truth + scene.noise[0])[None, None]
    session = runtime.InferenceSession(eraser_to_onnx(live_networks.live_network("shipped")))
    (made,) = session.run(["denoised"], {"hu": given})
    wanted = denoise_slices(given[0], live_networks.live_network("eraser"))
    np.testing.assert_allclose(made[0], wanted, atol=0.01)


def test_a_page_loads_every_network_and_the_adjoint_of_two(tmp_path):
    names = [name for name in NETWORKS if name != "supervised"]  # that one trains
    live_networks.write_networks(tmp_path / "live", names)
    kept = {}
    for path in (tmp_path / "live").iterdir():
        key, graphs = path.read_text("utf-8").split(")[")[1].split("] = ")
        kept[json.loads(key)] = json.loads(graphs.rstrip(";\n"))
        assert path.stem == json.loads(key)
    assert sorted(kept) == sorted(names)
    assert sorted(name for name in kept if "adjoint" in kept[name]) == ["random", "shipped"]
    assert b"denoised" in base64.b64decode(kept["eraser"]["forward"])
    assert set(NETWORKS) == set(live_networks.NAMES)
    with pytest.raises(ValueError, match="expected one of shipped"):
        live_networks.live_network("other")

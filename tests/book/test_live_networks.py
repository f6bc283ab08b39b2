"""Networks of the live figure: what they are, and the script that pages load."""

import base64
import json

import numpy as np
import pytest

from ctlab.learn.inference import denoise_slices
from ctlab.lessons.material import live_networks
from ctlab.lessons.material.lesion_eraser import eraser_to_onnx
from ctlab.lessons.material.live_slice import LIVE_TRAINING, NETWORKS, live_slice
from ctlab.view.live.scene import Scene, ask


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


def test_a_small_network_learns_while_it_trains(scene, monkeypatch):
    """Untrained it gives back its input; then the error to the truth falls."""
    monkeypatch.setattr(live_networks, "STEPS", 100)
    monkeypatch.setattr(live_networks, "_slices", lambda: (scene.truth[None], scene.noise[:1]))
    live_networks._train.cache_clear()
    kept = live_networks._train()
    live_networks._train.cache_clear()
    assert list(kept) == [0, 5, 10, 20, 40, 80, 100]

    def error(step):
        def denoise(hu):
            return denoise_slices(hu[None], kept[step])[0]

        return ask(scene, {}, denoise).numbers["rmse_after_hu"]

    assert error(0) == pytest.approx(40, rel=0.02)
    assert error(100) < 0.95 * error(40) < 0.95**2 * error(10)


def test_states_of_training_are_offered_in_their_order():
    steps = list(live_networks.KEPT_STEPS.values())
    assert steps == sorted(steps)
    assert list(LIVE_TRAINING) == [*live_networks.KEPT_STEPS, "supervised"]
    labels = [f"after {step} steps" for step in [*steps, live_networks.STEPS]]
    viewer = live_slice(LIVE_TRAINING, networks_slider="Training")
    assert [network["label"] for network in viewer.networks] == labels


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

"""Networks of the live figure: what they are, and the script that pages load."""

import base64
import json

import numpy as np
import pytest

from ctlab.learn.inference import denoise_slices
from ctlab.lessons.material import live_networks
from ctlab.lessons.material.lesion_eraser import eraser_to_onnx
from ctlab.lessons.material.live_slice import NETWORKS
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
    live_networks.write_networks(tmp_path / "live" / "networks.js", names)
    text = (tmp_path / "live" / "networks.js").read_text("utf-8")
    kept = json.loads(text.removeprefix("window.ctlabNetworks = ").rstrip(";\n"))
    assert list(kept) == names
    assert [name for name in kept if "adjoint" in kept[name]] == ["shipped", "random"]
    assert b"denoised" in base64.b64decode(kept["eraser"]["forward"])
    assert set(NETWORKS) == set(live_networks.NAMES)
    with pytest.raises(ValueError, match="expected one of shipped"):
        live_networks.live_network("other")

"""Six strangers on the bench: each through its own door, side by side on one page."""

import sys
import warnings

import numpy as np
import pytest
import torch

from ctlab.learn.models.redcnn import RedCnn
from ctlab.passport import (
    export_probes,
    import_probes,
    make_passport,
    side_by_side,
    write_comparison,
)
from ctlab.passport.checks import CHECKS
from ctlab.workflows.model_spec import load_denoiser
from tests.passport.test_probes import patient, vendor
from tests.workflows.test_model_spec import COPY, onnx_network

pytest.importorskip("onnxruntime")
pytestmark = pytest.mark.slow
FAMILIES = ("accuracy", "noise", "leak")

TV = """
from skimage.restoration import denoise_tv_chambolle

def denoise(hu, spacing_mm):
    return denoise_tv_chambolle(hu, weight=40.0, channel_axis=0, max_num_iter=20)

denoise.slices = 1
"""


def red_cnn():
    """The architecture of the kit's supervised comparison, nearly as it starts: untrained."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = RedCnn(4)
        torch.nn.init.normal_(network.up[-1].weight, 0, 1e-3)
    return network.eval()


def specs(folder):
    """A line of ``--model`` for each stranger that can be run here."""
    (folder / "tv.py").write_text(TV)
    onnx_network(folder / "half.onnx")
    (folder / "half.toml").write_text("offset_hu = -850\nscale_hu = 500\nmultiple = 8\n")
    (folder / "their_command.py").write_text(COPY)
    conv = torch.nn.Conv2d(1, 1, 3, padding=1, bias=False, padding_mode="replicate")
    torch.nn.init.constant_(conv.weight, 1 / 9)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch says that it prefers torch.export
        torch.jit.trace(conv, torch.zeros(1, 1, 16, 16)).save(str(folder / "mean.ts"))
        torch.onnx.export(
            red_cnn(),
            torch.zeros(1, 1, 192, 192),
            folder / "redcnn.onnx",
            dynamo=False,
            dynamic_axes={"image": [2, 3]},
            input_names=["image"],
        )
    (folder / "mean.toml").write_text("offset_hu = 1000\nscale_hu = -2000\n")
    (folder / "redcnn.toml").write_text("offset_hu = -300\nscale_hu = 1000\n")
    return {
        "TV": f"{folder / 'tv.py'}:denoise",
        "ONNX": str(folder / "half.onnx"),
        "command": f"exec:{sys.executable} {folder / 'their_command.py'} {{in}} {{out}}",
        "torch": str(folder / "mean.ts"),
        "RED-CNN": str(folder / "redcnn.onnx"),
    }


@pytest.fixture(scope="module")
def passports(tmp_path_factory):
    folder = tmp_path_factory.mktemp("strangers")
    made = {
        name: make_passport([patient()], load_denoiser(spec), slices=2, only=FAMILIES)
        for name, spec in specs(folder).items()
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ctlab.passport.document.CHECKS", {name: CHECKS[name] for name in FAMILIES})
        export_probes([patient()], folder / "probes", slices=4)
        back = vendor(folder / "probes", folder / "back")
        made["vendor"] = import_probes(folder / "probes", back)
    return made


def test_six_strangers_stand_side_by_side(passports, tmp_path):
    table = side_by_side(passports)
    wide = table.pivot(index="check", columns="passport", values="value")
    assert set(wide.columns) == {"TV", "ONNX", "command", "torch", "RED-CNN", "vendor"}
    lung, noise = wide.loc["bias in lung"], wide.loc["noise left"]
    same = lung["RED-CNN"]  # the input's own bias against the noisy reference
    assert lung["command"] == pytest.approx(7, abs=1 + same)  # what the script adds
    assert lung["vendor"] == pytest.approx(3, abs=1 + same)  # what the vendor adds
    assert wide.loc["bias in soft tissue", "ONNX"] > 400  # half the way to -850 HU
    assert noise["command"] == pytest.approx(1, abs=0.02)
    assert np.isnan(noise["ONNX"])  # no soft tissue is left to measure it in: said in its note
    assert noise["TV"] < 0.9
    assert noise["torch"] < 0.9
    assert wide.loc["leak between slices"].max() < 0.05
    write_comparison(passports, tmp_path / "page")
    html = (tmp_path / "page" / "index.html").read_text()
    assert all(f"<th>{name}</th>" in html for name in passports)


def test_each_came_through_its_own_door(passports):
    kinds = {name: passport.facts["kind"] for name, passport in passports.items()}
    assert kinds == {
        "TV": "function",
        "ONNX": "onnx",
        "command": "command",
        "torch": "torch",
        "RED-CNN": "onnx",
        "vendor": "probes",
    }
    assert np.isfinite(passports["vendor"].facts["dose"])

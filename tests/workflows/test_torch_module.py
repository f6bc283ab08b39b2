"""A torch module of somebody's code, as the networks of ldct-benchmark are made."""

import importlib.metadata
import sys
import textwrap
from types import ModuleType

import numpy as np
import pytest

from ctlab.workflows.model_spec import load_denoiser
from ctlab.workflows.named_code import version_of

torch = pytest.importorskip("torch")
HU = np.random.default_rng(0).normal(-200, 300, (2, 20, 24)).astype(np.float32)
TOML = """
module = "their_network:Model"
offset_hu = -1024
scale_hu = 1000
arguments = { args = { channels = 1 } }
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A class that takes a namespace, as in ldct-benchmark: half of its input, once trained."""
    (tmp_path / "their_network.py").write_text(
        textwrap.dedent("""
            import torch

            class Model(torch.nn.Module):
                def __init__(self, args):
                    super().__init__()
                    self.conv = torch.nn.Conv2d(args.channels, 1, 1, bias=False)
                    torch.nn.init.constant_(self.conv.weight, 1.0)

                def forward(self, x):
                    return self.conv(x)
        """)
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    sys.modules.pop("their_network", None)


def test_untrained_and_with_the_users_weights(folder):
    (folder / "net.toml").write_text(TOML)
    untrained = load_denoiser(str(folder / "net.toml"))
    assert untrained.name == "torch net.toml (untrained)"
    np.testing.assert_allclose(untrained(HU, (2.5, 0.7, 0.7)), HU, atol=1e-2)
    torch.save({"state_dict": {"conv.weight": torch.full((1, 1, 1, 1), 0.5)}}, folder / "w.pt")
    (folder / "net.toml").write_text('weights = "w.pt"\n' + TOML)
    trained = load_denoiser(str(folder / "net.toml"))
    np.testing.assert_allclose(trained(HU, (2.5, 0.7, 0.7)), (HU + 1024) / 2 - 1024, atol=1e-2)
    assert trained.sha256 != untrained.sha256


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("scale_hu = 1", r"expected module = 'package\.module:Class' or 'file\.py:Class', got ''"),
        (TOML.replace("channels", "width"), "their_network:Model cannot be made: AttributeError"),
        (
            TOML.replace("their", "no_such"),
            r"cannot be made: no_such_network:Model: no module 'no_such_network'",
        ),
        (TOML.replace("scale_hu", "scale"), "scale_hu is needed"),
        ('weights = "w.pt"\n' + TOML, r"w\.pt: expected the weights of Model, got"),
    ],
)
def test_what_does_not_fit_is_refused_in_a_sentence(folder, text, message):
    torch.save({"other": torch.zeros(1)}, folder / "w.pt")
    (folder / "net.toml").write_text(text)
    with pytest.raises(ValueError, match=message) as said:
        load_denoiser(str(folder / "net.toml"))
    assert "\n" not in str(said.value)


def test_weights_named_beside_a_file_that_names_the_class(folder):
    torch.save({"conv.weight": torch.full((1, 1, 1, 1), 0.5)}, folder / "net.pt")
    with pytest.raises(ValueError, match=r"write net\.toml beside them: module = 'net\.py:Net'"):
        load_denoiser(str(folder / "net.pt"))
    sys.path.remove(str(folder))  # the class stands in a file beside, on no path
    text = TOML.replace("their_network", "their_network.py").replace(
        "offset", "version='7'\noffset"
    )
    (folder / "net.toml").write_text(text)
    trained = load_denoiser(str(folder / "net.pt"))
    np.testing.assert_allclose(trained(HU, (2.5, 0.7, 0.7)), (HU + 1024) / 2 - 1024, atol=1e-2)
    assert load_denoiser(str(folder / "net.toml")).sha256 == trained.sha256  # never untrained
    assert (trained.version, trained.scale) == ("7", (-1024, 1000))
    assert len(trained.sha256) == 64


THEIR_PACKAGE = "ldctbench"  # may be here; not a package that is asked for


@pytest.mark.parametrize("method", ["redcnn", "cnn10", "resnet", "wganvgg", "dugan", "qae"])
def test_the_networks_of_ldct_benchmark_untrained(tmp_path, method):
    pytest.importorskip(THEIR_PACKAGE)
    (tmp_path / "net.toml").write_text(
        TOML.replace("their_network", f"ldctbench.methods.{method}.network")
    )
    made = load_denoiser(str(tmp_path / "net.toml"))
    assert made(np.zeros((1, 64, 64)), (2.5, 0.7, 0.7)).shape == (1, 64, 64)
    assert made.version  # of the package ldct-benchmark, which brings the module ldctbench


def test_the_version_of_a_package_that_has_another_name_than_its_module():
    found = version_of(importlib.import_module("mpl_toolkits"))
    assert found == importlib.metadata.version("matplotlib")
    assert version_of(ModuleType("no_such_package")) is None

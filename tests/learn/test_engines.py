"""Other engines give the same HU. They are optional: without them these tests are skipped."""

import numpy as np
import pytest

from ctlab.learn import denoise_slices, load_checkpoint
from ctlab.learn.config import TrainConfig
from ctlab.learn.engines import open_engine, to_onnx
from ctlab.learn.train.state import TrainState


@pytest.fixture(scope="module")
def noisy():
    rng = np.random.default_rng(0)
    hu = np.kron(rng.uniform(-950, 300, (2, 8, 9)), np.ones((1, 8, 8)))
    return (hu + rng.normal(0, 50, hu.shape)).astype(np.float32)[:, :61, :70]


@pytest.mark.parametrize(("package", "engine"), [("onnxruntime", "onnx"), ("openvino", "openvino")])
@pytest.mark.parametrize("attention", ["gate", "none"])
def test_an_engine_gives_the_same_hu(noisy, package, engine, attention):
    pytest.importorskip("onnx")
    pytest.importorskip(package)
    model = load_checkpoint().denoiser()
    if attention == "none":
        model.network.gate = None
    ours = denoise_slices(noisy, model)
    theirs = denoise_slices(noisy, model, run=open_engine(model, engine, threads=1))
    assert np.abs(ours - noisy).max() > 30
    assert np.abs(theirs - ours).max() < 0.01


def test_channel_attention_has_no_graph(tiny_config):
    pytest.importorskip("onnx")
    networks = tiny_config.networks.model_dump() | {"attention": "cbam"}
    config = TrainConfig.from_dict(tiny_config.model_dump() | {"networks": networks})
    from ctlab.learn.train.checkpoint import HuDenoiser

    model = HuDenoiser(TrainState.start(config).networks["denoiser"], config.scale)
    with pytest.raises(ValueError, match="torch engine"):
        to_onnx(model)


def test_an_unknown_engine_is_refused():
    with pytest.raises(ValueError, match="choose one of torch, onnx, openvino"):
        open_engine(load_checkpoint().denoiser(), "tensorrt")


def test_a_missing_package_is_named(monkeypatch):
    import builtins

    real = builtins.__import__

    def without_onnx(name, *arguments, **options):
        if name.split(".")[0] == "onnx":
            raise ModuleNotFoundError("No module named 'onnx'", name="onnx")
        return real(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", without_onnx)
    with pytest.raises(ValueError, match="needs the package onnx"):
        open_engine(load_checkpoint().denoiser(), "onnx")

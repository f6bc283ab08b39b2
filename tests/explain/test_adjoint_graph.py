"""The adjoint written into an ONNX graph gives the gradients of PyTorch."""

import numpy as np
import pytest
import torch

from ctlab.ct import HuScale
from ctlab.explain import DenoiserProbe, jacobian_row
from ctlab.explain.adjoint_graph import adjoint_graph
from ctlab.explain.maps.cam import cam_map
from ctlab.explain.probe.regions import region_mask
from ctlab.explain.probe.targets import make_target
from ctlab.learn.models.unet import ResidualUNet
from ctlab.learn.train.checkpoint import HuDenoiser

runtime = pytest.importorskip("onnxruntime")


def denoiser(attention, slices=1):
    """Small network with random weights in all layers, the last one too."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        network = ResidualUNet(8, attention, slices)
        torch.nn.init.normal_(network.last.weight, std=0.1)
    return HuDenoiser(network, HuScale(-300.0, 50.0)).eval().requires_grad_(False)


@pytest.mark.parametrize("attention", ["none", "gate"])
def test_the_row_and_the_map_are_those_of_pytorch(attention):
    model, at = denoiser(attention), (13, 18)
    probe = DenoiserProbe(model)
    image = np.random.default_rng(0).normal(-700, 80, (48, 40)).astype(np.float32)
    seed = np.zeros_like(image)
    seed[at] = 1
    session = runtime.InferenceSession(adjoint_graph(model))
    row, cam = session.run(["row", "cam"], {"hu": image[None, None], "seed": seed[None, None]})
    weights = jacobian_row(probe, image, (*at, 0)).weights
    np.testing.assert_allclose(row[0, 0], weights, atol=1e-5 * np.abs(weights).max())
    target = make_target("mean", region_mask((*at, 0), image.shape))
    layer = probe.default_layer()
    wanted = cam_map(probe, image, target, method="hirescam", layer=layer)
    np.testing.assert_allclose(cam[0, 0], wanted, atol=1e-4 * np.abs(wanted).max())


def test_a_network_that_onnx_cannot_run_is_refused():
    with pytest.raises(ValueError, match="without channel attention"):
        adjoint_graph(denoiser("cbam"))

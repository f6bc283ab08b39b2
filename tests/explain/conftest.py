"""Small denoisers with known behaviour."""

import numpy as np
import pytest
import torch
from torch import nn

from ctlab.ct import HuScale
from ctlab.learn import HuDenoiser
from ctlab.learn.models.unet import ResidualUNet


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def unet() -> HuDenoiser:
    """The package's network with random weights that do something."""
    with torch.random.fork_rng():
        torch.manual_seed(4)
        network = ResidualUNet(8)
        nn.init.normal_(network.last.weight, 0, 0.1)
    return HuDenoiser(network, HuScale(-300.0, 50.0)).requires_grad_(False)


@pytest.fixture
def smoother() -> nn.Module:
    """A two-layer linear denoiser: the output is the input under a 5 x 5 binomial filter."""
    rows = torch.tensor([1.0, 2.0, 1.0]) / 4
    kernel = torch.outer(rows, rows)[None, None]
    network = nn.Sequential(
        nn.Conv2d(1, 1, 3, padding=1, bias=False), nn.Conv2d(1, 1, 3, padding=1, bias=False)
    )
    for layer in network:
        layer.weight.data.copy_(kernel)
    network.depends_on_extent = False
    return network


def made_slice_hu() -> np.ndarray:
    """64 x 64: a bright disc on soft tissue, noise of 30 HU."""
    rng = np.random.default_rng(8)
    y, x = np.mgrid[:64, :64]
    clean = np.where((y - 30) ** 2 + (x - 34) ** 2 < 25, 120.0, 0.0)
    return (clean + rng.normal(0, 30, clean.shape)).astype(np.float32)


@pytest.fixture
def slice_hu() -> np.ndarray:
    """The slice of :func:`made_slice_hu`."""
    return made_slice_hu()

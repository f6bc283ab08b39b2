"""Maps worked by hand, beside pytorch-grad-cam, and nothing left behind."""

from contextlib import redirect_stderr
from io import StringIO

import numpy as np
import pytest
import torch
from torch import nn

from ctlab.explain import (
    CAM_METHODS,
    DenoiserProbe,
    cam_map,
    library_cam_map,
    make_target,
    region_mask,
)
from ctlab.explain.maps.cam import LIBRARY_METHODS
from ctlab.explain.maps.torchvision_ops import import_with_torchvision


class TwoChannels(nn.Module):
    """A = (x, -x) through ``features``; output 2 A_0 + 3 A_1."""

    def __init__(self, inplace: bool = False):
        super().__init__()
        self.features = nn.Conv2d(1, 2, 1, bias=False)
        self.features.weight.data.copy_(torch.tensor([1.0, -1.0]).reshape(2, 1, 1, 1))
        self.act = nn.LeakyReLU(1.0, inplace=inplace)
        self.mix = nn.Conv2d(2, 1, 1, bias=False)
        self.mix.weight.data.copy_(torch.tensor([2.0, -3.0]).reshape(1, 2, 1, 1))

    def forward(self, x):
        return self.mix(self.act(self.features(x)))


IMAGE = np.array([[1.0, 2.0], [3.0, 4.0]], dtype=np.float32)
CORNER = np.array([[True, False], [False, False]])


@pytest.mark.parametrize("inplace", [False, True])
def test_values_worked_by_hand(inplace):
    """S = out[0, 0] = 2 A_0 - 3 A_1 at that pixel; A = (x, -x); so G = (2, -3) there, 0 elsewhere.

    HiResCAM 2 * 1 + (-3) * (-1) = 5 at the pixel. Grad-CAM averages G over four pixels,
    (0.5, -0.75), and gives 1.25 x everywhere. LayerCAM drops the negative gradient: 2.
    """
    probe = DenoiserProbe(TwoChannels(inplace))
    target = make_target("mean", CORNER)

    def values(method):
        return cam_map(probe, IMAGE, target, method=method, layer="features").tolist()

    assert values("hirescam") == [[5.0, 0.0], [0.0, 0.0]]
    assert values("gradcam") == [[1.25, 2.5], [3.75, 5.0]]
    assert values("layercam") == [[2.0, 0.0], [0.0, 0.0]]


@pytest.mark.parametrize("layer", ["entry.1", "deep.2", "up", "exit.1"])
@pytest.mark.parametrize(
    ("method", "name"), [("hirescam", "HiResCAM"), ("gradcam", "GradCAM"), ("layercam", "LayerCAM")]
)
def test_raw_maps_equal_pytorch_grad_cam(unet, slice_hu, method, name, layer):
    library = import_with_torchvision("pytorch_grad_cam")
    probe = DenoiserProbe(unet)
    target = make_target("noise", region_mask((30, 34, 5), slice_hu.shape))
    ours = cam_map(probe, slice_hu, target, method=method, layer=layer)
    batch = probe.tensor(slice_hu)
    unet.requires_grad_(True)
    with getattr(library, name)(model=unet, target_layers=[probe.layer(layer)]) as machine:
        read = [lambda out: target(batch, out[None])[0]]
        machine(input_tensor=batch, targets=read)
        store = machine.activations_and_grads
        activations, gradients = store.activations[0].numpy(), store.gradients[0].numpy()
        theirs = machine.get_cam_image(
            batch, probe.layer(layer), read, activations, gradients, False
        )
    np.testing.assert_allclose(ours, theirs[0], rtol=1e-4, atol=1e-5 * np.abs(theirs).max())


@pytest.mark.parametrize("method", LIBRARY_METHODS)
def test_the_wider_family_is_the_librarys_before_it_clips_and_scales(unet, slice_hu, method):
    """Clip ours at 0 and scale to 1, as the library does last: its own picture. Ours has a sign."""
    library = import_with_torchvision("pytorch_grad_cam")
    probe = DenoiserProbe(unet)
    target = make_target("mean", region_mask((30, 34, 5), slice_hu.shape))
    signed = library_cam_map(probe, slice_hu, target, method=method, layer="deep.2")
    assert not any(p.requires_grad for p in unet.parameters())
    assert not any(m._forward_hooks for m in unet.modules())
    batch = probe.tensor(slice_hu)
    unet.requires_grad_(True)
    kind = getattr(library, LIBRARY_METHODS[method])
    with redirect_stderr(StringIO()):
        machine = kind(model=unet, target_layers=[probe.layer("deep.2")])
        theirs = machine(batch, [lambda out: target(batch, out[None])[0]])[0]
    clipped = np.maximum(signed, 0)
    scale = library.utils.image.scale_cam_image  # the library enlarges, then scales once more
    ours = scale(scale(clipped[None], slice_hu.shape[::-1]))[0]
    np.testing.assert_allclose(ours, theirs, atol=1e-4)
    assert signed.shape == (16, 16)
    assert clipped.max() != pytest.approx(1.0, abs=1e-3)  # not scaled
    assert method != "xgradcam" or signed.min() < 0


def test_hirescam_localises_and_gradcam_does_not(unet, slice_hu):
    """The lesson of the chapter: averaging the gradient throws position away."""
    mask = region_mask((32, 32, 4), slice_hu.shape)
    target = make_target("mean", mask)
    coarse = mask.reshape(16, 4, 16, 4).any(axis=(1, 3))
    wide = np.pad(coarse, 4)[4:-4, 4:-4] | (np.abs(np.indices((16, 16)) - 8).max(axis=0) <= 4)

    def share(method):
        m = np.abs(cam_map(DenoiserProbe(unet), slice_hu, target, method=method, layer="deep.2"))
        return m[wide].sum() / m.sum()

    assert share("hirescam") == pytest.approx(1.0)
    assert share("gradcam") < 0.6  # chance: 81 of 256 positions


def test_a_batch_is_its_images_one_by_one(unet, slice_hu):
    probe, target = DenoiserProbe(unet), make_target("mean", region_mask((30, 34, 5), (64, 64)))
    batch = np.stack([slice_hu, slice_hu[::-1]])[:, None]
    for method in CAM_METHODS:
        together = cam_map(probe, batch, target, method=method, layer="deep.2")
        alone = [cam_map(probe, b[0], target, method=method, layer="deep.2") for b in batch]
        np.testing.assert_allclose(together, alone, rtol=1e-3, atol=1e-4 * np.abs(alone).max())


def test_nothing_is_left_behind(unet, slice_hu):
    unet.train()
    before = {k: v.clone() for k, v in unet.state_dict().items()}
    probe, target = DenoiserProbe(unet), make_target("mean", region_mask((30, 34, 5), (64, 64)))
    cam_map(probe, slice_hu, target, method="hirescam", layer="deep.2")
    with pytest.raises(ZeroDivisionError):
        cam_map(probe, slice_hu, lambda low, out: 1 / 0, method="hirescam", layer="deep.2")
    assert unet.training
    assert torch.is_grad_enabled()
    for module in unet.modules():
        assert not module._forward_hooks
    for name, value in unet.state_dict().items():
        assert torch.equal(value, before[name])
    assert all(p.grad is None for p in unet.parameters())


def test_unknown_names_are_answered_with_the_known(unet, slice_hu):
    probe, target = DenoiserProbe(unet), make_target("mean", region_mask((30, 34, 5), (64, 64)))
    with pytest.raises(ValueError, match=r"no layer 'bottleneck'; it has entry\.0"):
        cam_map(probe, slice_hu, target, method="hirescam", layer="bottleneck")
    with pytest.raises(ValueError, match="choose one of hirescam, gradcam, layercam"):
        cam_map(probe, slice_hu, target, method="eigencam", layer="deep.2")
    with pytest.raises(ValueError, match="gradcam\\+\\+"):
        library_cam_map(probe, slice_hu, target, method="eigencam", layer="deep.2")


def test_a_layer_that_runs_twice_is_refused():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(1, 1, 1)

        def forward(self, x):
            return self.conv(self.conv(x))

    with pytest.raises(ValueError, match="more than once"):
        cam_map(
            DenoiserProbe(Twice()),
            IMAGE,
            make_target("mean", CORNER),
            method="hirescam",
            layer="conv",
        )


def test_the_default_layer_is_the_coarsest(unet):
    assert DenoiserProbe(unet).default_layer() == "deep.2"

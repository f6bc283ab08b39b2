"""Every generator there is, and a model of neighbouring slices."""

import numpy as np
import pytest
import torch
from torch import nn

from ctlab.ct import HuScale
from ctlab.explain import (
    METHODS,
    AuditPlan,
    Subject,
    cam_map,
    explain_region,
    import_with_torchvision,
    make_target,
    region_mask,
)
from ctlab.explain.cam import LIBRARY_METHODS
from ctlab.explain.methods import is_possible, native_map
from ctlab.learn import HuDenoiser
from ctlab.learn.config import TrainConfig
from ctlab.learn.players import build_denoiser

VARIANTS = {
    "unet": {},
    "gate": {"attention": "gate"},
    "cbam": {"attention": "cbam"},
    "invertible": {"generator": "invertible"},
    "switchable": {"generator": "switchable"},
    "switchable, gate": {"generator": "switchable", "attention": "gate"},
    "redcnn": {"generator": "redcnn"},
}
QUICK = AuditPlan(draws=2, random_networks=2, fractions=(0.02,))


def denoiser(variant):
    """Untrained, with a last layer that does something."""
    shape = {"width": 8, **VARIANTS[variant]}
    degrader = {"degrader": "unet"} if shape.get("generator") == "redcnn" else {}
    network = build_denoiser(TrainConfig(networks=shape | degrader))
    with torch.random.fork_rng():
        torch.manual_seed(3)
        for parameter in network.parameters():
            if parameter.ndim == 4 and not parameter.any():
                nn.init.normal_(parameter, 0, 0.1)
    return HuDenoiser(network, HuScale(-300.0, 50.0)).requires_grad_(False)


class Neighbours(nn.Module):
    """2.5-D: the middle of three slices minus a tenth of what two convolutions make of them."""

    context_slices = 3

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(3, 4, 3, padding=1)
        self.second = nn.Conv2d(4, 1, 3, padding=1)

    def forward(self, low):
        return low[:, 1:2] - 0.1 * self.second(torch.relu(self.first(low)))


@pytest.fixture(params=[*VARIANTS, "2.5-D"])
def case(request, slice_hu):
    """A model and an image it takes."""
    if request.param != "2.5-D":
        return denoiser(request.param), slice_hu
    with torch.random.fork_rng():
        torch.manual_seed(3)
        return Neighbours(), np.stack([slice_hu - 9, slice_hu, slice_hu[::-1]])


def test_every_method_that_is_possible_gives_a_map_of_its_own(case):
    model, image = case
    subject = Subject(model)
    mask = region_mask((30, 34, 4), (64, 64))
    target, layer = make_target("mean", mask), subject.default_layer()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    maps = {
        m: native_map(subject, image, target, m, layer)
        for m in METHODS
        if is_possible(m, subject) and m not in ("scorecam", "ablationcam", "occlusion", "ig")
    }
    assert all(np.isfinite(found).all() for found in maps.values())
    # The library clips its maps at 0, which may leave nothing of them.
    own = {name: found for name, found in maps.items() if name not in LIBRARY_METHODS}
    assert all(found.any() for found in own.values())
    assert len({m.tobytes() for m in own.values()}) == len(own)
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
    assert not any(m._forward_hooks for m in model.modules())


def test_the_gradient_is_the_derivative_of_the_target(case):
    """Central difference of the target along a random direction, the same shift in all slices."""
    model, image = case
    subject = Subject(model)
    target = make_target("mean", region_mask((30, 34, 4), (64, 64)))
    way = np.random.default_rng(0).normal(size=(64, 64)).astype(np.float32)
    values = []
    for sign in (1, -1):
        batch = subject.tensor(image + sign * 0.05 * way).double()
        with torch.no_grad():
            double = subject.model.double()
            values.append(float(target(subject.middle(batch), double(batch))[0]))
            subject.model.float()
    row = native_map(subject, image, target, "gradient", "")
    assert float((row * way).sum()) == pytest.approx((values[0] - values[1]) / 0.1, rel=0.02)


def test_hirescam_is_that_of_the_library_at_any_convolution(case):
    """pytorch-grad-cam on the same module: raw maps equal within 1e-5 of the largest."""
    model, image = case
    subject = Subject(model)
    target = make_target("mean", region_mask((30, 34, 4), (64, 64)))
    batch = subject.tensor(image)
    library = import_with_torchvision("pytorch_grad_cam")
    for layer in (subject.layers[0], subject.default_layer()):
        machine = library.HiResCAM(model=subject.model, target_layers=[subject.layer(layer)])
        machine.compute_input_gradient = True
        machine(
            input_tensor=batch, targets=[lambda out: target(subject.middle(batch), out[None])[0]]
        )
        store = machine.activations_and_grads
        theirs = (store.gradients[0] * store.activations[0]).sum(dim=1)[0].numpy()
        store.release()
        ours = cam_map(subject, image, target, method="hirescam", layer=layer)
        np.testing.assert_allclose(ours, theirs, atol=1e-5 * np.abs(theirs).max())


def test_the_audit_gives_a_verdict_for_every_variant(case):
    model, image = case
    found = explain_region(model, image, (30, 34, 4), method="gradient", plan=QUICK)
    assert found.verdict in found.in_words()
    assert found.audit["localisation"]["gain"] == pytest.approx(1)  # it is the field itself


def test_without_attention_one_sentence_says_what_to_do(slice_hu):
    with pytest.raises(ValueError, match=r"no attention; train one with attention = 'gate'"):
        explain_region(denoiser("unet"), slice_hu, (30, 34, 4), method="attention", plan=QUICK)

"""Every generator there is, and a model of neighbouring slices."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from ctlab.ct import HuScale
from ctlab.explain import (
    METHODS,
    AuditPlan,
    CriticOfHu,
    DenoiserProbe,
    cam_map,
    explain_region,
    import_with_torchvision,
    jacobian_row,
    make_target,
    region_mask,
)
from ctlab.explain.maps.attention import has_attention
from ctlab.explain.maps.methods import is_possible, native_map
from ctlab.learn import HuDenoiser, denoise_slices
from ctlab.learn.config import TrainConfig
from ctlab.learn.models.critic import Critic
from ctlab.learn.train.state import build_denoiser

VARIANTS = {
    "unet": {},
    "gate": {"attention": "gate"},
    "cbam": {"attention": "cbam"},
    "invertible": {"generator": "invertible"},
    "switchable": {"generator": "switchable"},
    "switchable, gate": {"generator": "switchable", "attention": "gate"},
    "redcnn": {"generator": "redcnn"},
    "2.5-D": {"slices": 3},
    "2.5-D, gate": {"slices": 3, "attention": "gate"},
    "2.5-D, cbam": {"slices": 3, "attention": "cbam"},
    "2.5-D, switchable": {"slices": 3, "generator": "switchable"},
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


def image_for(model, slice_hu):
    """What a model takes; the neighbours of a 2.5-D one are not alike."""
    if getattr(model.network, "slices", 1) == 1:
        return slice_hu
    return np.stack([slice_hu - 9, slice_hu, slice_hu[::-1]])


@pytest.fixture(params=VARIANTS)
def case(request, slice_hu):
    """A model and an image it takes."""
    model = denoiser(request.param)
    return model, image_for(model, slice_hu)


def untrained_critic() -> CriticOfHu:
    """In HU."""
    with torch.random.fork_rng():
        torch.manual_seed(5)
        return CriticOfHu(Critic(4).requires_grad_(False), HuScale(-300.0, 50.0))


@pytest.fixture
def critic() -> CriticOfHu:
    """A critic that is not trained."""
    return untrained_critic()


def test_every_method_that_is_possible_gives_a_map_of_its_own(case, critic):
    """All fifteen: no variant is left out of a method that it has a part for."""
    model, image = case
    probe = DenoiserProbe(model, critic=critic)
    mask = region_mask((30, 34, 4), (64, 64))
    target, layer = make_target("mean", mask), probe.default_layer()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    maps = {m: native_map(probe, image, target, m, layer) for m in METHODS if is_possible(m, probe)}
    without = {"attention", "counterfactual"} if not has_attention(probe) else set()
    assert set(maps) == set(METHODS) - without
    assert all(np.isfinite(found).all() and found.any() for found in maps.values())
    assert len({m.tobytes() for m in maps.values()}) == len(maps)
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
    assert not any(m._forward_hooks for m in model.modules())


@pytest.mark.parametrize("variant", ["gate", "2.5-D, cbam"])
def test_a_batch_is_its_images_one_by_one(variant, slice_hu, critic):
    """Every method; the two images differ, so that a mixed-up batch would show."""
    model = denoiser(variant)
    for parameter in model.parameters():
        parameter.mul_(2.0)  # strong enough that maps of two images differ well above rounding
    probe = DenoiserProbe(model, critic=critic)
    images = [slice_hu, slice_hu[::-1]]
    batch = np.stack([np.stack([i - 5 * k for k in range(probe.channels)]) for i in images])
    target, layer = make_target("mean", region_mask((30, 34, 4), (64, 64))), "deep.2"
    for method in METHODS:
        together = native_map(probe, batch, target, method, layer)
        for found, image in zip(together, batch, strict=True):
            alone = native_map(probe, image if len(image) > 1 else image[0], target, method, layer)
            largest = np.abs(alone).max()
            near = 1e-3 * largest + 2e-4 * (method == "counterfactual")  # rounding at 300 HU
            np.testing.assert_allclose(found, alone, atol=near, err_msg=method)
        assert not np.allclose(*together, atol=5e-3 * largest), method


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")
def test_maps_of_a_gpu_are_those_of_the_cpu(case, critic):
    """Every method; convolutions there may round to ten bits, so maps agree to some percent."""
    model, image = case
    target = make_target("mean", region_mask((30, 34, 4), (64, 64)))
    found = {}
    for device in ("cpu", "cuda"):
        at = CriticOfHu(copy.deepcopy(critic.critic).to(device), critic.scale)
        probe = DenoiserProbe(copy.deepcopy(model).to(device), critic=at)
        found[device] = {
            method: native_map(probe, image, target, method, probe.default_layer())
            for method in METHODS
            if is_possible(method, probe)
        }
    for method, here in found["cpu"].items():
        near = 0.05 * np.abs(here).max()
        np.testing.assert_allclose(found["cuda"][method], here, atol=near, err_msg=method)


def test_neighbours_are_seen_and_not_replaced_by_the_slice(slice_hu):
    """A 2.5-D network's row of the Jacobian has weights in all three slices, each its own."""
    probe = DenoiserProbe(denoiser("2.5-D"))
    volume = np.stack([slice_hu[::-1], slice_hu, slice_hu - 9])
    np.testing.assert_array_equal(probe.of_stack(volume, 1), volume)
    np.testing.assert_array_equal(probe.of_stack(volume, 0), volume[[0, 0, 1]])
    np.testing.assert_allclose(
        probe.run(probe.of_stack(volume, 1)),
        denoise_slices(volume, probe.model)[1],
        atol=0.01,
    )
    row = jacobian_row(probe, volume, (30, 34, 2)).weights
    assert all(np.abs(part).max() > 1e-4 * np.abs(row).max() for part in row)
    assert not np.allclose(row[0], row[2])
    with pytest.raises(ValueError, match="3 neighbouring slices of shape"):
        explain_region(probe, slice_hu, (30, 34, 2), plan=QUICK)


@pytest.mark.parametrize("method", METHODS)
def test_an_exception_leaves_no_hook_no_mode_and_no_weight_behind(method, slice_hu, critic):
    """The target raises when it is read; for methods without one a layer does."""
    model = denoiser("gate").train()
    probe = DenoiserProbe(model, critic=critic)
    before = {k: v.clone() for k, v in model.state_dict().items()}

    def broken(low, out):
        raise ZeroDivisionError

    # Methods that ask no target fail inside the pass, where their own hooks are in place.
    fails = critic.critic.layers[2] if method == "critic" else model.network.last
    handle = fails.register_forward_hook(lambda m, i, o: 1 / 0)
    if method not in ("difference", "critic", "attention", "counterfactual"):
        handle.remove()
    with pytest.raises(ZeroDivisionError):
        native_map(probe, slice_hu, broken, method, "deep.2")
    handle.remove()
    modules = [*model.modules(), *critic.critic.modules()]
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in modules)
    assert not any(m._backward_hooks for m in modules)
    assert all(m.training for m in model.modules())
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
    assert all(v.grad is None for v in model.parameters())
    assert torch.is_grad_enabled()


def test_the_gradient_is_the_derivative_of_the_target(case):
    """Central difference of the target along a random direction, the same shift in all slices."""
    model, image = case
    probe = DenoiserProbe(model)
    target = make_target("mean", region_mask((30, 34, 4), (64, 64)))
    way = np.random.default_rng(0).normal(size=(64, 64)).astype(np.float32)
    values = []
    for sign in (1, -1):
        batch = probe.tensor(image + sign * 0.05 * way).double()
        with torch.no_grad():
            double = probe.model.double()
            values.append(float(target(probe.middle(batch), double(batch))[0]))
            probe.model.float()
    row = native_map(probe, image, target, "gradient", "")
    assert float((row * way).sum()) == pytest.approx((values[0] - values[1]) / 0.1, rel=0.02)


def test_hirescam_is_that_of_the_library_at_any_convolution(case):
    """pytorch-grad-cam on the same module: raw maps equal within 1e-5 of the largest."""
    model, image = case
    probe = DenoiserProbe(model)
    target = make_target("mean", region_mask((30, 34, 4), (64, 64)))
    batch = probe.tensor(image)
    library = import_with_torchvision("pytorch_grad_cam")
    for layer in (probe.layers[0], probe.default_layer()):
        machine = library.HiResCAM(model=probe.model, target_layers=[probe.layer(layer)])
        machine.compute_input_gradient = True
        machine(input_tensor=batch, targets=[lambda out: target(probe.middle(batch), out[None])[0]])
        store = machine.activations_and_grads
        theirs = (store.gradients[0] * store.activations[0]).sum(dim=1)[0].numpy()
        store.release()
        ours = cam_map(probe, image, target, method="hirescam", layer=layer)
        np.testing.assert_allclose(ours, theirs, atol=1e-5 * np.abs(theirs).max())


def test_the_audit_gives_a_verdict_for_every_variant(case):
    model, image = case
    found = explain_region(model, image, (30, 34, 4), method="gradient", plan=QUICK)
    assert found.verdict in found.in_words()
    assert found.audit["localisation"]["gain"] == pytest.approx(1)  # it is the field itself


def test_without_attention_one_sentence_says_what_to_do(slice_hu):
    with pytest.raises(ValueError, match=r"no attention; train one with attention = 'gate'"):
        explain_region(denoiser("unet"), slice_hu, (30, 34, 4), method="attention", plan=QUICK)

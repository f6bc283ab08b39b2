"""Targets that ask another model: a critic's realism, and an observer's template."""

import numpy as np
import pytest
import torch
from torch import nn

from ctlab.ct import HuScale
from ctlab.explain import (
    AuditPlan,
    CriticOfHu,
    DenoiserProbe,
    critic_of,
    detectability_template,
    explain_region,
    make_target,
    nodule_profile,
    region_mask,
)
from ctlab.explain.maps.cam import activation_and_gradient
from ctlab.explain.maps.methods import native_map
from ctlab.learn import load_checkpoint


class Doubler(nn.Module):
    """A critic of one layer: logits are twice the network units; its score is never used."""

    def __init__(self):
        super().__init__()
        self.last = nn.Conv2d(1, 1, 1, stride=4)
        self.last.weight.data.fill_(2.0)
        self.last.bias.data.fill_(1.0)

    def forward(self, image):
        return self.last(image).mean((1, 2, 3))


def test_logits_lie_where_they_arise():
    """Every fourth pixel: 2 (hu + 300) / 50 + 1, repeated over its 4 x 4 pixels."""
    hu = torch.arange(64.0).reshape(1, 1, 8, 8)
    logits = CriticOfHu(Doubler(), HuScale(-300.0, 50.0))(hu)[0, 0]
    wanted = 2 * (hu[0, 0, ::4, ::4] + 300) / 50 + 1
    torch.testing.assert_close(logits, wanted.repeat_interleave(4, 0).repeat_interleave(4, 1))


def test_the_critic_map_and_the_realism_target_are_its_logits(unet, slice_hu):
    critic = CriticOfHu(Doubler().requires_grad_(False), HuScale(-300.0, 50.0))
    probe = DenoiserProbe(unet, critic=critic)
    output = probe.run(slice_hu)
    wanted = (2 * (output[::4, ::4] + 300) / 50 + 1).repeat(4, 0).repeat(4, 1)
    mask = region_mask((28, 32, 36, 40), slice_hu.shape)
    target = make_target("realism", mask, critic=critic)
    np.testing.assert_allclose(native_map(probe, slice_hu, target, "critic", ""), wanted, atol=1e-3)
    found = explain_region(
        probe,
        slice_hu,
        (28, 32, 36, 40),
        target="realism",
        plan=AuditPlan(draws=1, random_networks=1, fractions=(0.02,)),
    )
    assert found.value == pytest.approx(wanted[mask].mean(), abs=1e-3)


def test_realism_is_differentiated_through_the_critic():
    """Identity denoiser: the four logits of a box of 8 x 8 have slope 2 / 50 each, mean of four."""
    identity = nn.Conv2d(1, 1, 1)
    identity.weight.data.fill_(1.0)
    identity.bias.data.zero_()
    critic = CriticOfHu(Doubler().requires_grad_(False), HuScale(-300.0, 50.0))
    probe = DenoiserProbe(identity, critic=critic)
    target = make_target("realism", region_mask((8, 8, 16, 16), (32, 32)), critic=critic)
    _, gradient = activation_and_gradient(probe, torch.zeros(1, 1, 32, 32), target, "conv")
    wanted = np.zeros((32, 32))
    wanted[8:16:4, 8:16:4] = 2 / 50 / 4
    np.testing.assert_allclose(gradient[0, 0].numpy(), wanted, atol=1e-8)


def test_the_shipped_checkpoint_brings_its_critics():
    checkpoint = load_checkpoint()
    probe = DenoiserProbe(checkpoint)
    assert probe.has_critic
    image = np.random.default_rng(0).normal(-700, 60, (64, 64)).astype(np.float32)
    logits = native_map(probe, image, lambda low, out: out.sum((1, 2, 3)), "critic", "")
    trained = checkpoint.train_state().networks["critic_full"]
    with torch.no_grad():
        net = checkpoint.scale.to_net(torch.from_numpy(probe.run(image))[None, None])
        score = float(trained(net)[0])  # sqrt(pixels) times the mean of its logits
    assert logits.mean() * 64 == pytest.approx(score, rel=1e-4)
    with pytest.raises(ValueError, match=r"has no 'critic_mid'; it has .*critic_full"):
        critic_of(checkpoint, name="critic_mid")


def test_the_template_of_white_noise_is_the_matched_filter():
    """White noise, denoiser that changes nothing: the ideal template is the disc itself.

    An observer learns it from images: alike up to what 160 of them leave uncertain.
    """
    rng = np.random.default_rng(2)
    image = rng.normal(-700, 40, (64, 64)).astype(np.float32)
    mask = region_mask((32, 32, 5), image.shape)
    template = detectability_template(DenoiserProbe(nn.Identity()), image, mask, images=160)
    rows, columns = np.nonzero(template)
    inside = np.s_[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    # 81 pixels have the area of a disc of 10.2 px: two diameters, rounded up, and the middle.
    assert inside[0].stop - inside[0].start == 2 * 11 + 1
    disc = nodule_profile(image.shape, (32, 32), 2 * np.sqrt(mask.sum() / np.pi))[inside]
    found = template[inside] - template[inside].mean()
    likeness = np.vdot(found, disc - disc.mean()) / (
        np.linalg.norm(found) * np.linalg.norm(disc - disc.mean())
    )
    assert likeness > 0.75  # of a template at random: 0 with an SD of 1 / 23
    assert template[32, 32] > 0


def test_the_score_of_a_template_tells_a_lesion_from_none(unet, slice_hu):
    """The target named ``template`` reads the template times the output, by name as by hand."""
    probe = DenoiserProbe(unet)
    mask = region_mask((30, 34, 5), slice_hu.shape)
    template = detectability_template(probe, slice_hu, mask)
    plan = AuditPlan(draws=1, random_networks=1, fractions=(0.02,))
    found = explain_region(probe, slice_hu, mask, target="template", plan=plan)
    assert found.value == pytest.approx(float((template * found.output_hu).sum()), rel=1e-4)
    disc = nodule_profile(slice_hu.shape, (30, 34), 10) * 100
    with_disc = probe.run(slice_hu + disc.astype(np.float32))
    assert float((template * with_disc).sum()) > found.value

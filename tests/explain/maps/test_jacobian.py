"""Exactness: linear filters, bias-free networks, divergence, SURE, completeness, attention."""

import numpy as np
import pytest
import torch
from torch import nn

from ctlab.ct import HuScale
from ctlab.explain import (
    DenoiserProbe,
    diffusion_index,
    divergence,
    integrated_gradients,
    jacobian_row,
    jacobian_times,
    local_attribution,
    local_mean,
    make_target,
    occlusion,
    region_mask,
    sure_hu2,
)
from ctlab.explain.maps.attention import attention_change, attention_weights
from ctlab.learn import HuDenoiser
from ctlab.learn.models.unet import ResidualUNet


@pytest.fixture
def bias_free() -> nn.Module:
    """Two ReLU layers without bias."""
    with torch.random.fork_rng():
        torch.manual_seed(2)
        return nn.Sequential(
            nn.Conv2d(1, 6, 3, padding=1, bias=False),
            nn.ReLU(inplace=True),
            nn.Conv2d(6, 1, 3, padding=1, bias=False),
        )


def with_attention(attention: str) -> DenoiserProbe:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        network = ResidualUNet(8, attention)
        nn.init.normal_(network.last.weight, 0, 0.3)
    return DenoiserProbe(HuDenoiser(network, HuScale(-300.0, 50.0)))


def test_row_of_a_linear_filter(smoother, slice_hu):
    """The 5 x 5 binomial: gain 1, no bias, noise gain sum(w^2) = (70/256)^2 of 1 4 6 4 1 / 16."""
    row = jacobian_row(DenoiserProbe(smoother), slice_hu, (20, 25, 0))
    line = np.array([1, 4, 6, 4, 1]) / 16
    np.testing.assert_allclose(row.weights[18:23, 23:28], np.outer(line, line), atol=1e-7)
    assert row.gain_at_dc == pytest.approx(1.0)
    assert row.bias_hu == pytest.approx(0.0, abs=1e-3)
    assert row.noise_gain == pytest.approx(70 / 256)
    assert row.radius_95_px == pytest.approx(np.hypot(1, 2))  # all but the corners


def test_an_offset_is_a_bias_and_not_a_gain(smoother, slice_hu):
    class Brighter(nn.Module):
        def forward(self, x):
            return smoother(x) + 12.0

    row = jacobian_row(DenoiserProbe(Brighter()), slice_hu, (20, 25, 1))
    assert row.gain_at_dc == pytest.approx(1.0)
    assert row.bias_hu == pytest.approx(12.0, abs=1e-3)


def test_bias_free_relu_networks_are_their_jacobian_times_the_image(bias_free, slice_hu):
    """f(x) = J(x) x, and so f(2 x) = 2 f(x)."""
    probe = DenoiserProbe(bias_free)
    out = probe.run(slice_hu)
    product = jacobian_times(probe, slice_hu, slice_hu)
    assert np.linalg.norm(out - product) / np.linalg.norm(out) < 1e-5
    np.testing.assert_allclose(probe.run(2 * slice_hu), 2 * out, rtol=1e-4, atol=1e-3)
    assert jacobian_row(probe, slice_hu, (30, 34, 2)).bias_hu == pytest.approx(0, abs=1e-2)


def test_a_faint_lesion_comes_through_as_the_filter_lets_it(smoother, slice_hu):
    blob = np.exp(-((np.indices((64, 64)) - 32) ** 2).sum(axis=0) / 8)
    moved = DenoiserProbe(smoother).run(slice_hu + blob) - DenoiserProbe(smoother).run(slice_hu)
    change = jacobian_times(DenoiserProbe(smoother), slice_hu, blob)
    np.testing.assert_allclose(change, moved, atol=1e-3)
    assert 0.5 < change.max() < 1


def test_divergence_of_a_filter_is_its_centre_times_the_pixels(smoother, slice_hu):
    """Centre weight (6/16)^2; at the zero-padded border the two passes lose some of it."""
    trace, error = divergence(
        DenoiserProbe(smoother), slice_hu, rng=np.random.default_rng(1), probes=64
    )
    inner = 62 * 62 * (6 / 16) ** 2
    border = 4 * 62 * (6 / 16) * (5 / 16) + 4 * (5 / 16) ** 2
    assert trace == pytest.approx(inner + border, abs=4 * error)
    assert error < 10


def test_sure_is_the_mean_square_error_without_the_truth(smoother, rng):
    clean = np.zeros((128, 128))
    noisy = clean + rng.normal(0, 20, clean.shape)
    truth = float(np.mean((DenoiserProbe(smoother).run(noisy) - clean) ** 2))
    assert sure_hu2(DenoiserProbe(smoother), noisy, 20.0, rng=rng) == pytest.approx(truth, rel=0.15)


@pytest.mark.parametrize("method", [integrated_gradients, local_attribution, occlusion])
def test_attributions_of_a_linear_filter(smoother, slice_hu, method):
    """IG: weight times departure from the baseline. All: nothing outside the filter's reach."""
    mask = region_mask((30, 34, 2), slice_hu.shape)
    target, probe = make_target("mean", mask), DenoiserProbe(smoother)
    found = method(probe, slice_hu, target)
    if method is integrated_gradients:
        row = jacobian_row(probe, slice_hu, (30, 34, 2)).weights
        np.testing.assert_allclose(found, row * (slice_hu - local_mean(slice_hu)), atol=1e-3)
    reach = 12 if method is occlusion else 5
    far = np.hypot(*(np.indices((64, 64)) - np.array([30, 34])[:, None, None])) > reach + 3
    assert np.abs(found[far]).max() < 1e-3


@pytest.mark.parametrize("stride_px", [8, 5])
@pytest.mark.parametrize(("name", "roi"), [("mean", (30, 34, 2)), ("edge", (3, 60, 3))])
def test_patches_out_of_reach_need_not_be_tried(
    smoother, slice_hu, monkeypatch, name, roi, stride_px
):
    """The map from the field of the region is the map from the whole slice."""
    tall = np.vstack([slice_hu, slice_hu[::-1]])
    target = make_target(name, region_mask(roi, tall.shape))
    near = occlusion(DenoiserProbe(smoother), tall, target, stride_px=stride_px)
    monkeypatch.setattr(DenoiserProbe, "crops_are_exact", False)
    whole = occlusion(DenoiserProbe(smoother), tall, target, stride_px=stride_px)
    np.testing.assert_allclose(near, whole, atol=1e-4)
    assert np.abs(whole).max() > 0.1


def test_integrated_gradients_are_complete(unet, slice_hu):
    mask = region_mask((30, 34, 4), slice_hu.shape)
    target, probe = make_target("noise", mask), DenoiserProbe(unet)

    def value(image):
        batch = probe.tensor(image)
        return float(target(batch, probe.forward(batch))[0])

    found = integrated_gradients(probe, slice_hu, target, steps=48)
    gap = value(slice_hu) - value(local_mean(slice_hu))
    assert found.sum() == pytest.approx(gap, rel=0.02)


def test_diffusion_index_orders_narrow_and_wide():
    narrow, wide = np.zeros((32, 32)), np.zeros((32, 32))
    narrow[16, 16], wide[8:24, 8:24] = 1.0, 1.0
    assert diffusion_index(narrow) < 1 < diffusion_index(wide) < 50
    with pytest.raises(ValueError, match="empty"):
        diffusion_index(np.zeros((4, 4)))


@pytest.mark.parametrize("attention", ["gate", "cbam"])
def test_the_counterfactual_is_the_network_with_a_flat_map(attention, slice_hu):
    probe = with_attention(attention)
    change_hu = attention_change(probe, slice_hu)
    module = probe.network.gate or probe.network.cbam
    original = module.weights

    def flat(*inputs):
        weights = original(*inputs)
        if attention == "cbam":
            return weights[0], torch.full_like(weights[1], float(weights[1].mean()))
        return torch.full_like(weights, float(weights.mean()))

    output = probe.run(slice_hu)
    module.weights = flat
    np.testing.assert_allclose(change_hu, output - probe.run(slice_hu), atol=1e-2)
    module.weights = original
    np.testing.assert_array_equal(probe.run(slice_hu), output)
    departure = attention_weights(probe, slice_hu)  # of weights between 0 and 1, from their mean
    assert departure.mean() == pytest.approx(0, abs=1e-6)
    assert 0 < np.ptp(departure) < 1


def test_without_attention_there_is_none(unet, slice_hu):
    with pytest.raises(ValueError, match="no attention; train one with attention = 'gate'"):
        attention_change(DenoiserProbe(unet), slice_hu)


def test_bad_requests(smoother, slice_hu):
    with pytest.raises(ValueError, match="direction"):
        jacobian_times(DenoiserProbe(smoother), slice_hu, slice_hu[1:])
    with pytest.raises(ValueError, match="2 probes"):
        divergence(DenoiserProbe(smoother), slice_hu, rng=np.random.default_rng(0), probes=1)

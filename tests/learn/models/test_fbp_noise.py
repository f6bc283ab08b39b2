"""Noise that obeys the reconstruction: what holds for any weights, and the curve of its level."""

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from ctlab.ct import HuScale
from ctlab.learn import TrainConfig
from ctlab.learn.data.patches import PatchDomain
from ctlab.learn.models.fbp_noise import (
    LEVEL_NEAR_CURVE,
    ReconstructionNoise,
    along,
    measure_noise_curve,
    slow_mean,
    with_noise_curve,
)
from ctlab.learn.train.state import build_networks


def wild(*size: int, seed: int = 0, **known) -> ReconstructionNoise:
    """A degrader of any weights, far from those of the start."""
    with torch.random.fork_rng(devices=[]):
        degrader = ReconstructionNoise(*size, **known)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in degrader.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    return degrader


def noise_of(degrader, image, strength=1.0, seed=3):
    drawn = degrader.draw(image, torch.Generator().manual_seed(seed))
    with torch.no_grad():
        return degrader(image, drawn, strength) - image, drawn


def test_the_local_sd_is_strength_times_level_for_any_weights():
    degrader, image = wild(8, 11), torch.zeros(400, 1, 32, 32)
    made, drawn = noise_of(degrader, image, 2.0)
    with torch.no_grad():
        level = degrader.level(image, drawn[1])
    assert (made / (2.0 * level)).square().mean().sqrt().item() == pytest.approx(1.0, abs=0.01)


def test_coarse_noise_fades_as_the_ramp_for_any_textures():
    degrader, image = wild(8, 5), torch.zeros(3000, 1, 64, 64)
    made, _ = noise_of(degrader, image[:300])
    power = torch.fft.fft2(made[:, 0]).abs().square().mean(0)
    # Textures of 5 px change little over the lowest frequencies, so the ramp alone shows there:
    # power 1 : 2 : 3 at the first three frequencies, and none at zero.
    low = (power[0, 1:4] + power[1:4, 0]) / 2
    assert power[0, 0] < 1e-6 * low[0]
    assert (low / low[0]).numpy() == pytest.approx([1, 2, 3], rel=0.2)


def test_an_edge_does_not_set_the_level():
    scale = HuScale(-300.0, 50.0)
    curve = [(-900.0, 0.5), (100.0, 1.5)]
    degrader = wild(4, 9, curve=curve, scale=scale)
    image = torch.full((1, 1, 64, 64), -850.0)
    image[..., 31:33, :] = 300.0  # a thin dense line, as a fissure or a vessel
    net = scale.to_net(image)
    with torch.no_grad():
        level = degrader.level(net, torch.zeros(1, 4, 1, 1))[0, 0]
    steps = (level.log().diff(dim=0)).abs()
    assert steps.max() < 0.25  # a free amplitude may jump by its whole range at the edge
    expected = along(degrader.curve, slow_mean(net))[0, 0]
    ratio = level / expected
    assert ratio.max() < LEVEL_NEAR_CURVE
    assert ratio.min() > 1 / LEVEL_NEAR_CURVE


def test_a_curve_without_units_is_refused():
    with pytest.raises(ValueError, match="wants the scale"):
        ReconstructionNoise(curve=[(0.0, 1.0)])


def body(rng, sds, count=6):
    """Slices of three tissues in stripes of 64 pixels, with vessels, each with noise of its SD."""
    means = np.repeat([-725.0, 40.0, 140.0], 64)
    slab = np.repeat(means[None, :, None], count, 0).repeat(192, 2)
    slab[:, ::23, ::19] += 400.0  # points that no noise explains
    return slab + rng.normal(size=slab.shape) * np.repeat(sds, 64)[None, :, None]


def test_the_curve_is_that_of_what_low_dose_adds():
    rng = np.random.default_rng(0)
    own, added = np.array([10.0, 15.0, 20.0]), np.array([30.0, 40.0, 60.0])
    full = [body(rng, own)]
    low = [body(rng, np.hypot(own, k * added)) for k in (1.0, 2.0)]
    found = dict(measure_noise_curve(full, low))
    assert found[-725.0] == pytest.approx(0.75, abs=0.05)
    assert found[40.0] == pytest.approx(1.0)
    assert found[140.0] == pytest.approx(1.5, abs=0.1)


def test_a_softer_kernel_at_low_dose_still_gives_the_curve_of_its_noise():
    """Its fine noise is less than that of the sharp routine dose, though its SD is more."""
    rng = np.random.default_rng(0)
    full = body(rng, np.full(3, 20.0))
    noise = gaussian_filter(rng.normal(size=full.shape), (0, 1.5, 1.5))
    sds = np.repeat([30.0, 40.0, 60.0], 64)[None, :, None]
    low = body(rng, np.zeros(3)) + sds * noise / noise.std()
    fine = [np.abs(np.diff(slab[:, 64:128], axis=2)).mean() for slab in (full, low)]
    assert fine[1] < fine[0]
    found = dict(measure_noise_curve([full], [low]))
    assert found[-725.0] == pytest.approx(0.75, abs=0.06)
    assert found[140.0] == pytest.approx(1.5, abs=0.1)


def test_no_curve_without_soft_tissue_and_none_where_nothing_is_noisier():
    slab = body(np.random.default_rng(0), np.full(3, 20.0))
    with pytest.raises(ValueError, match="expected soft tissue"):
        measure_noise_curve([slab], [slab[:, :64]])
    same = PatchDomain([slab], [0.0], patch_px=64)
    with pytest.raises(ValueError, match="noisier in soft tissue than the routine-dose ones"):
        with_noise_curve(asking(), same, same)


def test_a_slab_that_lacks_a_tissue_says_nothing_of_it():
    """Bone is seen in the second slab alone; its factor is that slab's, not lost."""
    rng = np.random.default_rng(0)
    own, added = np.array([10.0, 15.0, 20.0]), np.array([30.0, 40.0, 60.0])
    full, low = body(rng, own), body(rng, np.hypot(own, added))
    found = dict(measure_noise_curve([full], [low[:, :128], low]))
    assert found[140.0] == pytest.approx(1.5, abs=0.1)
    assert found[-725.0] == pytest.approx(0.75, abs=0.05)


def asking(**networks):
    return TrainConfig.from_dict({"networks": {"degrader": "reconstruction", **networks}})


def test_a_configuration_that_asks_for_the_curve_gets_the_one_of_its_domains():
    rng = np.random.default_rng(0)
    own, added = np.array([10.0, 15.0, 20.0]), np.array([30.0, 40.0, 60.0])
    full = PatchDomain([body(rng, own)], [0.0], patch_px=64)
    low = PatchDomain([body(rng, np.hypot(own, added))], [40.0], patch_px=64)
    made = with_noise_curve(asking(), full, low)
    assert dict(made.networks.noise_curve)[140.0] == pytest.approx(1.5, abs=0.1)
    assert made == asking(noise_curve=measure_noise_curve(full.slabs, low.slabs))
    for given in (asking(noise_curve=[]), asking(noise_curve=[[0.0, 1.0]]), TrainConfig()):
        assert with_noise_curve(given, full, low) is given
    air = PatchDomain([body(rng, own)[:, :64]], [40.0], patch_px=64)
    with pytest.raises(ValueError, match=r"noise_curve points of your own, or \[\]"):
        with_noise_curve(asking(), full, air)


def test_networks_are_not_built_on_a_curve_nobody_measured():
    with pytest.raises(ValueError, match="still to be measured"):
        build_networks(asking())


@pytest.mark.parametrize("recipe", ["ot2", "adain", "invertible"])
def test_unpaired_recipes_measure_the_curve(recipe):
    shape = TrainConfig.recipe(recipe).networks
    kind = "reconstruction" if recipe == "adain" else "spectrum"
    assert (shape.degrader, shape.noise_curve) == (kind, "measured")


@pytest.mark.parametrize("generator", ["unet", "switchable"])
def test_both_kinds_of_generator_take_it(generator):
    config = TrainConfig.from_dict(
        {
            "networks": {
                "generator": generator,
                "degrader": "reconstruction",
                "noise_curve": [[-700.0, 0.7], [40.0, 1.0]],
                "width": 8,
            }
        }
    )
    networks = build_networks(config)
    image = torch.randn(2, 1, 64, 64, generator=torch.Generator().manual_seed(1))
    made, _ = noise_of(networks["degrader_ema"], image)
    assert made.shape == image.shape
    assert 0.3 < made.std() < 1.5
    assert TrainConfig.from_toml_text(config.to_toml()) == config

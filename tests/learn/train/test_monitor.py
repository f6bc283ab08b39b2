import math

import numpy as np
import pytest
import torch

from ctlab.learn.config import TrainConfig
from ctlab.learn.data.patches import PatchDomain
from ctlab.learn.models.critic import highpass
from ctlab.learn.train import monitor
from ctlab.learn.train.loop import train
from ctlab.learn.train.monitor import (
    ValidationBatch,
    compute_metrics,
    hidden_information,
    raised_warnings,
    structure,
)
from ctlab.learn.train.state import TrainState, build_networks

GOOD = {
    "step": 2000,
    "critic_penalty_full": 0.3,
    "critic_error_low": 0.2,
    "generator_low": 3.0,
    "watch_residual_ratio": 0.8,
    "watch_degrader_ratio": 1.0,
    "watch_bias_lung_hu": -2.0,
    "watch_bias_soft_hu": 1.0,
    "watch_bias_bone_hu": math.nan,  # no bone in the validation batch
    "watch_structure": 0.05,
    "watch_hidden": 1.01,
}


@pytest.mark.parametrize(
    ("key", "value", "name"),
    [
        ("watch_residual_ratio", 0.05, "collapse to identity"),
        ("watch_residual_ratio", 1.5, "more is removed than noise"),
        ("watch_degrader_ratio", 0.3, "degrader adds too little"),
        ("watch_degrader_ratio", 2.0, "degrader adds too much"),
        ("watch_degrader_nps", 2.0, "degrader's noise has another spectrum"),
        ("watch_bias_lung_hu", -6.0, "HU bias in lung"),
        ("watch_bias_bone_hu", 6.0, "HU bias in bone"),
        ("watch_structure", 0.5, "structure in the residual"),
        ("watch_hidden", 1.6, "hidden information"),
        ("critic_penalty_full", 9.0, "critic_full is far from slope 1"),
        ("critic_error_low", 0.001, "critic_low is saturated"),
        ("generator_low", math.inf, "generator_low is not finite"),
    ],
)
def test_each_warning_is_raised_alone_and_says_what_to_do(key, value, name):
    assert raised_warnings(GOOD) == []
    (warning,) = raised_warnings(GOOD | {key: value})
    assert warning.name == name
    assert warning.remedy
    assert warning.is_fatal == (not math.isfinite(value))


def test_bias_is_the_mean_change_inside_the_tissue_masks_of_the_low_dose_patch(tiny_config):
    hu = np.full((1, 1, 48, 48), 60.0, np.float32)
    hu[..., :24] = -800.0
    changed = hu + np.where(hu > 0, 70.0, -2.0).astype(np.float32)  # no soft tissue any more
    changed[..., 22:26] = 500.0  # on the border, which belongs to no tissue
    low, denoised = (tiny_config.scale.to_net(torch.from_numpy(image)) for image in (hu, changed))
    bias = monitor._bias_hu(low, denoised, tiny_config)
    assert bias["watch_bias_soft_hu"] == pytest.approx(70.0, abs=1e-3)
    assert bias["watch_bias_lung_hu"] == pytest.approx(-2.0, abs=1e-3)
    assert math.isnan(bias["watch_bias_bone_hu"])


def test_an_untrained_network_is_not_yet_a_warning_but_nan_is():
    early = GOOD | {"step": 10, "watch_residual_ratio": 0.0}
    assert raised_warnings(early) == []
    assert raised_warnings(early | {"generator_low": math.nan})[0].is_fatal


def test_watching_does_not_change_training(tiny_config, tiny_domains):
    networks = build_networks(tiny_config)
    validation = ValidationBatch.draw(tiny_config, *tiny_domains)
    before = {k: v.clone() for k, v in networks.state_dict().items()}
    first, second = (compute_metrics(networks, validation, tiny_config) for _ in range(2))
    assert {k: v for k, v in first.items() if math.isfinite(v)} == {
        k: v for k, v in second.items() if math.isfinite(v)
    }
    assert all(torch.equal(before[k], v) for k, v in networks.state_dict().items())
    assert first["watch_residual_ratio"] == 0  # an untrained denoiser is the identity


def test_an_oracle_denoiser_has_ratio_one_and_no_bias(tiny_config, rng):
    """A denoiser that returns the truth takes exactly the noise away."""
    truth = torch.full((4, 1, 32, 32), 340.0 / 50)  # 40 HU in network units
    noise = torch.from_numpy(rng.normal(0, 1, truth.shape).astype(np.float32))
    noise -= noise.mean()

    class Truth(torch.nn.Module):
        def forward(self, image):
            return truth[: len(image)]

    networks = build_networks(tiny_config)
    networks["denoiser_ema"] = Truth()
    validation = ValidationBatch(truth + noise, truth, torch.ones(4, 1, 1, 1), 0)
    seen = compute_metrics(networks, validation, tiny_config)
    assert seen["watch_residual_ratio"] == pytest.approx(1.0, abs=0.03)
    assert seen["watch_bias_soft_hu"] == pytest.approx(0.0, abs=0.1)
    assert math.isnan(seen["watch_bias_lung_hu"])


def test_structure_is_the_correlation_with_the_image():
    image = torch.randn((2, 1, 32, 32), generator=torch.Generator().manual_seed(0))
    other = torch.randn((2, 1, 32, 32), generator=torch.Generator().manual_seed(1))
    assert structure(0.1 * image, image) == pytest.approx(1.0, abs=1e-3)
    assert structure(-image, image) == pytest.approx(-1.0, abs=1e-3)
    assert abs(structure(other, image)) < 0.05
    assert structure(torch.zeros_like(image), image) == 0.0
    assert highpass(image, 2.0).std() > 0.5


def test_a_message_in_the_last_digit_is_found():
    """The degrader writes the answer at 0.01 HU; the denoiser reads it. Rounding destroys it."""
    full = torch.randn((4, 1, 16, 16), generator=torch.Generator().manual_seed(0))
    degraded = 1e-4 * full  # network units of 50 HU: far below one HU
    generator = torch.Generator().manual_seed(1)

    class Reader(torch.nn.Module):
        def forward(self, image):
            return 1e4 * image

    class Mean(torch.nn.Module):
        def forward(self, image):
            return torch.zeros_like(image)

    assert hidden_information(Reader(), degraded, full, 50.0, generator) > 1.5
    assert hidden_information(Mean(), degraded, full, 50.0, generator) == 1.0


class Sabotage(torch.nn.Module):
    """A denoiser that does one thing wrong."""

    def __init__(self, change):
        super().__init__()
        self.change = change

    def forward(self, image):
        return self.change(image)


@pytest.mark.parametrize(
    ("change", "name"),
    [
        (lambda x: x, "collapse to identity"),
        (lambda x: x - 0.2, "HU bias in soft"),  # 10 HU
        (lambda x: 0.5 * x, "structure in the residual"),
        (lambda x: torch.nn.functional.avg_pool2d(x, 9, 1, 4), "more is removed than noise"),
    ],
)
def test_a_denoiser_that_goes_wrong_raises_the_warning_of_its_fault(
    tiny_config, tiny_domains, change, name
):
    networks = build_networks(tiny_config)
    networks["denoiser_ema"] = Sabotage(change)
    seen = compute_metrics(networks, ValidationBatch.draw(tiny_config, *tiny_domains), tiny_config)
    assert name in [a.name for a in raised_warnings(seen | {"step": 5000})]


@pytest.mark.parametrize(
    ("gain", "name"), [(0.02, "degrader adds too little"), (30.0, "degrader adds too much")]
)
def test_a_degrader_that_goes_wrong_raises_its_warning(tiny_config, tiny_domains, gain, name):
    networks = build_networks(tiny_config)
    with torch.no_grad():
        networks["degrader_ema"].textures.mul_(gain)
    seen = compute_metrics(networks, ValidationBatch.draw(tiny_config, *tiny_domains), tiny_config)
    assert name in [a.name for a in raised_warnings(seen | {"step": 5000})]


def test_weights_that_are_not_finite_stop_a_run_at_its_next_step(tiny_config, tiny_domains):
    state = TrainState.start(tiny_config)
    with torch.no_grad():
        state.networks["denoiser"].last.weight.fill_(math.nan)
    row = next(train(tiny_config, *tiny_domains, state=state))
    assert any(warning.is_fatal for warning in raised_warnings(row))


class Coloured(torch.nn.Module):
    """A degrader that knows the noise: white noise blurred to the SD that is asked for."""

    def draw(self, image, generator, device="cpu"):
        return (torch.randn(image.shape, generator=generator),)

    def forward(self, image, noise=(), strength=1.0, *, width=1.0):
        smooth = blurred(noise[0])
        return image + strength * smooth / smooth.std()


def blurred(image):
    return image - highpass(image, 1.0)


def test_a_blur_ranks_below_a_denoiser_where_noise_is_coloured(tiny_config):
    """With white noise in its place the blur, which keeps coloured noise, would rank first."""
    networks = tiny_config.networks.model_dump() | {"degrader": "reconstruction"}
    config = TrainConfig.from_dict(
        tiny_config.model_dump() | {"networks": networks | {"noise_curve": []}}
    )
    draws = torch.Generator().manual_seed(0)
    shape = (32, 1, 32, 32)
    clean = torch.zeros(shape)
    clean[..., 16:] = 2.0  # an edge, which a blur smears
    known = Coloured()
    low = known(clean, known.draw(clean, draws), 0.8)
    strength = torch.full((32, 1, 1, 1), 0.8)
    validation = ValidationBatch(low, clean, strength, noise_seed=0)
    rank = {}
    for name, change in {
        "blur": lambda x: x - highpass(x, 0.8),
        "denoiser": lambda x: clean[: len(x)] + 0.4 * (x - clean[: len(x)]),
    }.items():
        built = build_networks(config)
        built["denoiser_ema"], built["degrader_ema"] = Sabotage(change), known
        built["degrader"] = known
        rank[name] = compute_metrics(built, validation, config)["watch_gsure"]
        truth = (change(low) - clean).square().mean().sqrt().item() / 0.8
        assert rank[name] == pytest.approx(truth, abs=0.12), name
    assert rank["denoiser"] < rank["blur"] - 0.2


def test_streaks_and_coarse_parts_of_a_residual_are_measured():
    draws = torch.Generator().manual_seed(0)
    white = torch.randn((64, 1, 32, 32), generator=draws)
    streaked = torch.cat([blurred(white[:32]), white[32:]])
    streaked[:32] = torch.nn.functional.avg_pool2d(white[:32], (1, 9), 1, (0, 4))
    assert monitor.anisotropy(white) < 0.4
    assert monitor.anisotropy(streaked) > 2 * monitor.anisotropy(white)
    assert monitor.coarse_share(white) == pytest.approx(1 / (4 * math.pi**0.5), abs=0.02)
    assert monitor.coarse_share(white - highpass(white, 3.0)) > 0.7


def test_noise_of_a_recipe_with_pairs_is_that_of_the_pairs(tiny_config, tiny_domains):
    """Blurred noise at 40 HU, whatever patches they are; other patches stay as without pairs."""
    full, low = tiny_domains
    draws = np.random.default_rng(0)
    noise = blurred(torch.from_numpy(draws.normal(size=(4, 1, 64, 64)))).numpy()[:, 0]
    clean = full.slabs[0]
    pairs = PatchDomain([clean + 40.0 * noise / noise.std()], [40.0], patch_px=16, partners=[clean])
    values = tiny_config.model_dump()
    values["data"]["paired"], values["networks"]["degrader"] = "full", "simulator"
    values["losses"]["low"] = 0.0
    config = TrainConfig.from_dict(values)
    plain = ValidationBatch.draw(config, full, low)
    known = ValidationBatch.draw(config, full, low, pairs=pairs)
    assert torch.equal(plain.low, known.low)
    assert known.known_noise.shape == known.low.shape
    draw = monitor._another_draw(build_networks(config), known, config, known.low)
    white = monitor._another_draw(build_networks(config), plain, config, plain.low)
    assert float(draw.std()) == pytest.approx(
        float(white.std()), rel=0.2
    )  # both as strong as low dose is
    assert monitor.coarse_share(draw) > 2 * monitor.coarse_share(white)

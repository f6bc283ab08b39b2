"""Every recipe plays its own game on tiny networks: which terms there are, and who moves."""

import copy

import numpy as np
import pytest
import torch

from ctlab.learn.config import TrainConfig
from ctlab.learn.data.patches import PatchDomain
from ctlab.learn.train import loop, step
from ctlab.learn.train.monitor import ValidationBatch, compute_metrics, raised_warnings
from ctlab.learn.train.state import TrainState

TERMS = {
    "ot2": {"full", "low", "cycle_full", "mean_shift"},
    "adain": {"full", "low", "cycle_full", "mean_shift"},
    "invertible": {"full", "low", "cycle_full", "mean_shift"},
    "lsgan": {"full", "low", "cycle_full", "cycle_low", "identity"},
    "ot1": {"full", "cycle_full", "mean_shift"},
    "otmap": {"full", "transport", "mean_shift"},
    "supervised": {"cycle_full"},
    "redcnn": {"cycle_full"},
    "noise2sim": {"neighbour"},
}
CRITICS = {"ot1": {"full"}, "otmap": {"full"}, "supervised": set(), "redcnn": set()}
CRITICS |= {"noise2sim": set()}


def tiny(recipe, tiny_config):
    """The recipe with the networks and batches of the tests."""
    values = TrainConfig.recipe(recipe).model_dump()
    small = tiny_config.model_dump()
    values |= {k: small[k] for k in ("patch_px", "batch", "cycle_batch", "steps", "precision")}
    for key in ("width", "critic_width", "noise_kernels", "noise_kernel_px"):
        values["networks"][key] = small["networks"][key]
    values["networks"]["noise_curve"] = [[-850.0, 0.8], [40.0, 1.0]]  # too little to measure one
    values["networks"]["noise_spectrum"] = [0.0] * 12
    return TrainConfig.from_dict(values)


@pytest.fixture
def pairs(tiny_domains, rng):
    full, _ = tiny_domains
    (slab,) = full.slabs
    noisy = slab + rng.normal(0, 50, slab.shape).astype(np.float32)
    return PatchDomain([noisy], [50.0], patch_px=16, partners=[slab])


@pytest.mark.parametrize("recipe", TERMS)
def test_each_recipe_has_the_terms_it_is_named_for(recipe, tiny_config, tiny_domains, pairs):
    config = tiny(recipe, tiny_config)
    given = pairs if config.data.paired != "none" else None
    state = TrainState.start(config)
    before = copy.deepcopy(state.networks.state_dict())
    rows = list(loop.train(config, *tiny_domains, pairs=given, state=state))
    made = {k.removeprefix("generator_") for k in rows[0] if k.startswith("generator_")}
    judged = {k.rsplit("_", 1)[1] for k in rows[0] if k.startswith("critic_")}
    assert made == TERMS[recipe]
    assert judged == CRITICS.get(recipe, {"full", "low"})
    after = state.networks.state_dict()
    moved = {k.split(".")[0] for k in after if not torch.equal(before[k], after[k])}
    learns_degrader = config.learns_degrader
    assert "denoiser" in moved
    assert ("degrader" in moved) == learns_degrader
    assert {n for n in moved if n.startswith("critic")} == {f"critic_{d}" for d in judged}


def test_a_taught_network_comes_nearer_to_the_routine_dose(tiny_config, tiny_domains, pairs):
    base = tiny("redcnn", tiny_config).model_dump()
    base["networks"]["width"] = 8
    base |= {"steps": 90, "learning_rate": 3e-3, "cycle_batch": 8}
    rows = list(loop.train(TrainConfig.from_dict(base), *tiny_domains, pairs=pairs))
    errors = [row["generator_cycle_full"] for row in rows]
    assert np.mean(errors[-20:]) < 0.75 * np.mean(errors[:10])


def test_pairs_and_configuration_must_fit(tiny_config, tiny_domains, pairs):
    with pytest.raises(ValueError, match="does not fit the pairs given"):
        next(loop.train(tiny_config, *tiny_domains, pairs=pairs))
    with pytest.raises(ValueError, match="does not fit the pairs given"):
        next(loop.train(tiny("ot1", tiny_config), *tiny_domains))


def test_the_cycle_of_a_pair_compares_the_denoised_simulation_with_its_source(
    tiny_config, tiny_domains, pairs
):
    """An untrained denoiser is the identity: the cycle is the noise itself."""
    config = tiny("ot1", tiny_config)
    state, fabric = TrainState.start(config), loop.make_fabric(config)
    batch = next(loop.draw_batches(config, *tiny_domains, pairs=pairs, state=state, fabric=fabric))
    made = step.generate_images(state.networks, batch, config)
    terms = step.generator_terms(state.networks, batch, made, config)
    noise = (batch.simulated - batch.full).abs().mean().item()
    assert terms["cycle_full"].item() == pytest.approx(16 * noise, rel=1e-5)
    assert noise == pytest.approx(np.sqrt(2 / np.pi), rel=0.1)  # mean |N(0, 1)|


@pytest.mark.parametrize("recipe", ["ot1", "noise2sim"])
def test_what_cannot_hide_is_not_watched_for_it(recipe, tiny_config, tiny_domains):
    config = tiny(recipe, tiny_config)
    networks = TrainState.start(config).networks
    seen = compute_metrics(networks, ValidationBatch.draw(config, *tiny_domains), config)
    assert np.isnan(seen["watch_hidden"])
    assert seen["watch_residual_ratio"] == 0.0
    assert [a.name for a in raised_warnings(seen | {"step": 5000})] == ["collapse to identity"]

"""The training step: who widens, who narrows, and that it can be cut anywhere."""

import copy
import itertools

import numpy as np
import pytest
import torch

from ctlab.learn.config import TrainConfig
from ctlab.learn.train import loop, step
from ctlab.learn.train.state import CycleNetworks, TrainState


def changed(config, **values):
    return TrainConfig.from_dict(config.model_dump() | values)


def with_losses(config, **weights):
    return changed(config, losses=config.losses.model_dump() | weights)


@pytest.fixture
def fabric(tiny_config):
    return loop.make_fabric(tiny_config, accelerator="cpu")


def a_batch(config, domains, state, fabric):
    return next(loop.draw_batches(config, *domains, state=state, fabric=fabric))


def test_critic_steps_widen_and_generator_steps_narrow_the_gap(tiny_config, tiny_domains, fabric):
    config = with_losses(tiny_config, full=1.0, penalty=0.0, cycle_full=0.0, mean_shift=0.0)
    state = TrainState.start(config)
    batch = a_batch(config, tiny_domains, state, fabric)

    def gaps():
        made = step.generate_images(state.networks, batch, config)
        terms = step.critic_terms(state.networks, batch, made, config, step=1)
        return np.array([terms["gap_full"].item(), terms["gap_low"].item()])

    start = gaps()
    for _ in range(5):
        made = step.generate_images(state.networks, batch, config)
        judged = step.critic_terms(state.networks, batch, made, config, step=1)
        weights = step._critic_weights(config)
        step._descend(state.critic_optimizer, judged, weights, fabric, np.inf)
    widened = gaps()
    assert (widened > start).all()
    for _ in range(5):
        made = step.generate_images(state.networks, batch, config)
        moved = step.generator_terms(state.networks, batch, made, config)
        step._descend(state.generator_optimizer, moved, {"full": 1.0, "low": 1.0}, fabric, 5.0)
    assert (gaps() < widened).all()


class Shift(torch.nn.Module):
    """Adds a constant: with the opposite sign its own exact inverse."""

    def __init__(self, by):
        super().__init__()
        self.by = torch.nn.Parameter(torch.tensor(by))

    def draw(self, image, generator, device="cpu"):
        return ()

    def forward(self, image, noise=(), strength=1.0, *, width=1.0):
        return image + self.by


@pytest.mark.parametrize("stop", [True, False])
def test_exact_inverses_have_no_cycle_loss(tiny_config, tiny_domains, fabric, stop):
    config = with_losses(tiny_config, cycle_low=1.0, stop_cycle_at_degrader=stop)
    state = TrainState.start(config)
    networks = state.networks
    for name in ("denoiser", "denoiser_ema"):
        networks[name] = Shift(-0.5)
    for name in ("degrader", "degrader_ema"):
        networks[name] = Shift(0.5)
    batch = a_batch(config, tiny_domains, state, fabric)

    def cycles():
        made = step.generate_images(networks, batch, config)
        terms = step.generator_terms(networks, batch, made, config)
        return terms["cycle_full"].item(), terms["cycle_low"].item()

    assert cycles() == pytest.approx((0.0, 0.0), abs=1e-5)
    networks["denoiser"] = Shift(0.5)  # no inverse any more: off by 1 everywhere
    assert cycles() == pytest.approx((16.0, 16.0), rel=1e-4)


def test_each_generator_works_in_its_own_direction(tiny_config, tiny_domains, fabric):
    """Made full images come from low ones and made low images from full ones."""
    state = TrainState.start(tiny_config)
    batch = a_batch(tiny_config, tiny_domains, state, fabric)
    state.networks["denoiser"], state.networks["degrader"] = Shift(-3.0), Shift(5.0)
    made = step.generate_images(state.networks, batch, tiny_config)
    assert torch.allclose(made.full, batch.low - 3.0)
    assert torch.allclose(made.low, batch.full[: tiny_config.batch] + 5.0)


def test_the_cycle_does_not_teach_a_stopped_degrader(tiny_config, tiny_domains, fabric):
    for stop in (True, False):
        config = with_losses(tiny_config, full=0.0, low=0.0, stop_cycle_at_degrader=stop)
        state = TrainState.start(config)
        torch.nn.init.constant_(state.networks["denoiser"].last.weight, 0.01)
        batch = a_batch(config, tiny_domains, state, fabric)
        made = step.generate_images(state.networks, batch, config)
        step.generator_terms(state.networks, batch, made, config)["cycle_full"].backward()
        gradient = state.networks["degrader"].textures.grad
        assert (gradient is None) == stop


def test_a_critic_that_does_not_teach_is_trained_and_leaves_the_degrader_alone(
    tiny_config, tiny_domains
):
    config = with_losses(tiny_config, full=1.0, low=1.0, low_teaches=False)
    state = TrainState.start(config)
    before = {k: v.clone() for k, v in state.networks.state_dict().items()}
    rows = list(loop.train(config, *tiny_domains, state=state))
    assert {"critic_gap_full", "critic_gap_low", "generator_full"} <= set(rows[-1])
    assert "generator_low" not in rows[-1]
    after = state.networks.state_dict()
    changed = {name.partition(".")[0] for name in after if (after[name] != before[name]).any()}
    assert changed == {"denoiser", "denoiser_ema", "critic_full", "critic_low"}


def test_generators_leave_no_gradient_in_critics(tiny_config, tiny_domains):
    state = TrainState.start(tiny_config)
    next(loop.train(tiny_config, *tiny_domains, state=state))
    assert all(p.requires_grad for p in state.networks.parameters_of(CycleNetworks.critics))
    before = [p.grad.clone() for p in state.networks.parameters_of(CycleNetworks.critics)]
    fabric = loop.make_fabric(tiny_config)
    batch = a_batch(tiny_config, tiny_domains, state, fabric)
    with step._frozen(state.networks, CycleNetworks.critics):
        made = step.generate_images(state.networks, batch, tiny_config)
        sum(step.generator_terms(state.networks, batch, made, tiny_config).values()).backward()
    after = [p.grad for p in state.networks.parameters_of(CycleNetworks.critics)]
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))


def test_same_seed_same_rows_other_seed_other_rows(tiny_config, tiny_domains):
    def rows(config):
        return list(loop.train(config, *tiny_domains))

    assert rows(tiny_config) == rows(tiny_config)
    assert rows(tiny_config)[-1] != rows(changed(tiny_config, seed=1))[-1]


def test_deterministic_mode_asks_for_it_and_leaves_the_setting_as_it_was(
    tiny_config, tiny_domains, monkeypatch
):
    seen = []
    real = step.training_step

    def watched(*arguments):
        seen.append(torch.are_deterministic_algorithms_enabled())
        return real(*arguments)

    monkeypatch.setattr(loop, "training_step", watched)
    rows = loop.train(changed(tiny_config, deterministic=True), *tiny_domains)
    repeated = next(rows)
    plain = next(loop.train(tiny_config, *tiny_domains))
    assert seen == [True, False]
    assert repeated == plain  # a CPU is deterministic anyway
    assert not torch.are_deterministic_algorithms_enabled()


@pytest.mark.parametrize("cut", [1, 5, 6])
def test_a_cut_run_goes_on_bit_for_bit(tiny_config, tiny_domains, cut):
    whole = TrainState.start(tiny_config)
    rows = list(loop.train(tiny_config, *tiny_domains, state=whole))
    first = TrainState.start(tiny_config)
    head = list(itertools.islice(loop.train(tiny_config, *tiny_domains, state=first), cut))
    second = TrainState.start(changed(tiny_config, seed=99))
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    tail = list(loop.train(tiny_config, *tiny_domains, state=second))
    assert head + tail == rows
    for name, weights in whole.networks.state_dict().items():
        assert torch.equal(weights, second.networks.state_dict()[name]), name


def test_the_penalty_is_taken_at_every_second_step_with_twice_its_weight(tiny_config, tiny_domains):
    rows = list(loop.train(tiny_config, *tiny_domains))
    has_penalty = ["critic_penalty_full" in row for row in rows]
    assert has_penalty == [True, False] * 6
    assert step._critic_weights(tiny_config)["penalty_full"] == 2 * tiny_config.losses.penalty


def test_learning_rate_is_constant_then_linear(tiny_config):
    state = TrainState.start(tiny_config)
    rates = []
    for done in range(tiny_config.steps + 1):
        state.step = done
        loop._set_rate(state, tiny_config)
        rates.append(state.generator_optimizer.param_groups[1]["lr"] / tiny_config.learning_rate)
    assert rates[:7] == [1.0] * 7
    assert rates[9] == pytest.approx(0.51)
    assert rates[-1] == pytest.approx(0.02)


@pytest.mark.parametrize("adversarial", ["wasserstein", "least_squares"])
@pytest.mark.parametrize("degrader", ["noise", "unet"])
def test_every_combination_of_the_configuration_moves_both_generators(
    tiny_config, tiny_domains, adversarial, degrader
):
    config = with_losses(
        tiny_config, adversarial=adversarial, full=1.0, cycle_low=1.0, identity=1.0
    )
    config = changed(config, networks=config.networks.model_dump() | {"degrader": degrader})
    state = TrainState.start(config)
    before = copy.deepcopy(state.networks.state_dict())
    rows = list(loop.train(config, *tiny_domains, state=state))
    assert {"generator_cycle_low", "generator_identity"} <= rows[0].keys()
    after = state.networks.state_dict()
    for name in (*CycleNetworks.generators, *CycleNetworks.critics):
        assert any(
            not torch.equal(before[k], after[k]) for k in after if k.startswith(f"{name}.")
        ), name


def test_the_invertible_generator_takes_the_same_steps(tiny_config, tiny_domains):
    networks = tiny_config.networks.model_dump() | {"generator": "invertible"}
    config = changed(tiny_config, networks=networks)
    state = TrainState.start(config)
    rows = list(loop.train(config, *tiny_domains, state=state))
    assert all(np.isfinite(v) for row in rows for v in row.values())
    # Means of 8 x 8 pixels are kept by construction, so the shift of 16 x 16 is rounding only.
    assert max(row["generator_mean_shift"] for row in rows) < 1e-8

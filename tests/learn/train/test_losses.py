"""Each term against a hand-worked value or a theorem."""

import math

import numpy as np
import pytest
import torch

from ctlab.learn.models.critic import Critic
from ctlab.learn.train import losses


def uniform(*shape, seed=0):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("norm", [0.0, 0.5, 1.0, 3.0])
def test_penalty_of_a_linear_critic_is_analytic(norm):
    """The slope of w.x is |w| everywhere, so the penalty is (|w| - 1)^2."""
    weight = torch.randn(1, 8, 8, generator=torch.Generator().manual_seed(2))
    weight *= norm / weight.norm()
    real, made = uniform(5, 1, 8, 8), uniform(5, 1, 8, 8, seed=1)
    penalty = losses.gradient_penalty(
        lambda x: (weight * x).sum((1, 2, 3)), real, made, uniform(5, 1, 1, 1)
    )
    assert penalty.item() == pytest.approx((norm - 1) ** 2, abs=1e-5)


def test_the_penalty_is_the_same_digits_within_bfloat16_autocast():
    """The critic's convolutions would otherwise round to 8 bits, and the slope with them."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        critic = Critic(width=4)
    real, made, mix = uniform(2, 1, 32, 32), uniform(2, 1, 32, 32, seed=1), uniform(2, 1, 1, 1)
    alone = losses.gradient_penalty(critic, real, made, mix)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        within = losses.gradient_penalty(critic, real, made, mix)
    assert within.dtype == torch.float32
    assert torch.equal(within, alone)


def test_penalty_takes_the_norm_of_each_image_by_itself():
    """Slopes 1 and 3 in one batch give mean(0, 4) = 2; a norm over the batch would not."""
    image = torch.zeros(2, 1, 4, 4)
    slope = torch.tensor([1.0, 3.0]) / 4.0  # 16 pixels: gradient s/4 each has norm s
    penalty = losses.gradient_penalty(
        lambda x: slope * x.sum((1, 2, 3)), image, image, torch.zeros(2, 1, 1, 1)
    )
    assert penalty.item() == pytest.approx(2.0, abs=1e-5)


def test_penalty_is_taken_between_real_and_made():
    """The critic |x|^2 / 2 has slope |x|: 3 at real, 1 at made, 2 half-way."""
    direction = torch.full((1, 1, 2, 2), 0.5)  # norm 1
    for mix, slope in ((1.0, 3.0), (0.0, 1.0), (0.5, 2.0)):
        penalty = losses.gradient_penalty(
            lambda x: 0.5 * x.square().sum((1, 2, 3)),
            3 * direction,
            1 * direction,
            torch.full((1, 1, 1, 1), mix),
        )
        assert penalty.item() == pytest.approx((slope - 1) ** 2, abs=1e-5)


def test_a_linear_critic_finds_the_wasserstein_distance_of_shifted_gaussians():
    """W1 between N(m, I) and N(0, I) is |m|; with penalty weight L the best slope is 1 + |m|/2L."""
    generator = torch.Generator().manual_seed(0)
    shift = torch.tensor([[0.3, -0.4], [0.0, 1.2]])  # norm 1.3
    weight = torch.zeros(2, 2, requires_grad=True)
    optimiser = torch.optim.SGD([weight], lr=0.02)
    with torch.no_grad():
        weight += 0.1

    def critic(x):
        return (weight * x).sum((1, 2, 3))

    for _ in range(400):
        made = torch.randn(256, 1, 2, 2, generator=generator)
        real = made + shift  # common random numbers: the gap has no sampling noise
        mix = torch.rand(256, 1, 1, 1, generator=generator)
        loss = -losses.gap(critic(real), critic(made))
        loss = loss + 10 * losses.gradient_penalty(critic, real, made, mix)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    slope = weight.detach().norm().item()
    assert slope == pytest.approx(1 + 1.3 / 20, abs=1e-3)
    assert losses.gap(critic(real), critic(made)).item() / slope == pytest.approx(1.3, abs=1e-3)
    assert torch.allclose(weight.detach() / slope, shift / 1.3, atol=1e-2)


def test_terms_keep_their_ratio_when_the_patch_doubles():
    """Gradient of cycle over gradient of score, per pixel, at 32 and at 64 pixels."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        critic = Critic(4, 3.0)

    def ratio(size):
        tile = torch.randn((4, 1, 16, 16), generator=torch.Generator().manual_seed(0))
        image = tile.tile(1, 1, size // 16, size // 16).requires_grad_(True)
        returned = image + 0.3
        (of_cycle,) = torch.autograd.grad(losses.cycle(image.detach(), returned), image)
        (of_score,) = torch.autograd.grad(critic(image).mean(), image)
        return (of_cycle.norm() / of_score.norm()).item()

    assert ratio(64) == pytest.approx(ratio(32), rel=0.15)


def test_cycle_is_zero_for_the_same_image_only():
    image = uniform(2, 1, 8, 8)
    assert losses.cycle(image, image) == 0
    assert losses.cycle(image, image + 0.5).item() == pytest.approx(8 * 0.5)
    assert losses.cycle(image, image - 0.5).item() == pytest.approx(8 * 0.5)


def test_least_squares_terms_have_their_minima_at_one_and_zero():
    ones, zeros = torch.ones(3), torch.zeros(3)
    assert losses.least_squares_critic(ones, zeros) == 0
    assert losses.least_squares_generator(ones) == 0
    assert losses.least_squares_critic(zeros, ones).item() == 1.0


def test_penalty_of_a_flat_critic_has_a_finite_derivative():
    weight = torch.zeros(1, requires_grad=True)
    image = uniform(1, 1, 4, 4)
    losses.gradient_penalty(
        lambda x: weight * x.sum((1, 2, 3)), image, image, torch.zeros(1, 1, 1, 1)
    ).backward()
    assert math.isfinite(weight.grad.item())


def test_mean_shift_sees_a_bias_and_not_zero_mean_noise():
    image = uniform(1, 1, 64, 64)
    checker = torch.tensor([[1.0, -1.0], [-1.0, 1.0]]).tile(32, 32)
    assert losses.mean_shift(image, image + checker).item() == pytest.approx(0.0, abs=1e-9)
    assert losses.mean_shift(image, image - 0.1).item() == pytest.approx(64 * 0.01, rel=1e-3)


def test_a_rounded_cycle_is_least_at_the_mean_and_a_pure_one_at_the_median():
    """Values 0, 0, 0, 0.8: median 0, mean 0.2."""
    image = torch.tensor([0.0, 0.0, 0.0, 0.8]).reshape(1, 1, 2, 2)
    guesses = torch.linspace(0, 0.8, 81)

    def best(rounding):
        errors = [
            losses.cycle(image, g.expand(1, 1, 2, 2), rounding_net=rounding).item() for g in guesses
        ]
        return guesses[int(np.argmin(errors))].item()

    assert best(0.0) == 0.0
    assert best(1.0) == pytest.approx(0.2, abs=0.011)


def test_transport_is_the_mean_square_and_its_pull_does_not_depend_on_the_patch():
    image = uniform(2, 1, 8, 8)
    assert losses.transport(image, image - 0.5).item() == pytest.approx(8 * 0.25, rel=1e-5)

    def pull(size):
        moved = torch.full((1, 1, size, size), 0.3, requires_grad=True)
        losses.transport(torch.zeros(1, 1, size, size), moved).backward()
        return moved.grad.norm().item()

    # 2 * 0.3 / sqrt(pixels) at each of ``pixels`` places: 0.6 whatever the size.
    assert pull(16) == pytest.approx(pull(64), rel=1e-5) == pytest.approx(0.6, rel=1e-5)


def test_the_neighbour_teaches_the_truth_though_it_is_noisy(rng):
    """Two slices, one truth, independent noise: the best constant is the truth, not the noise."""
    noise = rng.normal(0, 1, (2, 1, 1, 64, 64)).astype(np.float32)
    image, beside = (torch.from_numpy(2.0 + n) for n in noise)
    guesses = torch.linspace(1, 3, 41)
    found = [losses.neighbour(g.expand_as(image), image, beside, 1.0).item() for g in guesses]
    assert guesses[int(np.argmin(found))].item() == pytest.approx(2.0, abs=0.1)
    # Copying the noise costs its variance twice: sqrt(4096) * 2.
    assert losses.neighbour(image, image, beside, 9.0).item() == pytest.approx(128, rel=0.1)


def test_the_neighbour_is_not_asked_where_it_shows_something_else():
    image, beside = torch.zeros(1, 1, 32, 32), torch.zeros(1, 1, 32, 32)
    beside[..., :16] = 5.0  # a vessel that ends
    assert losses.neighbour(image, image, beside, 1.0).item() == 0.0
    # With a noise SD of 20 the step of 5 passes for noise: 32 * 25 / 2.
    assert losses.neighbour(image, image, beside, 20.0).item() == pytest.approx(400.0)


@pytest.mark.parametrize("rounding", [0.0, 4.0])
def test_a_weighted_cycle_counts_each_image_by_its_weight(rounding):
    """Errors 1 and 2 with weights 4 and 1: L1 has 4 + 2 over 2, the quadratic part 4 + 4 over 2."""
    image = torch.zeros(2, 1, 4, 4)
    returned = torch.tensor([1.0, 2.0]).reshape(2, 1, 1, 1).expand(2, 1, 4, 4)
    weight = torch.tensor([4.0, 1.0]).reshape(2, 1, 1, 1)
    found = losses.cycle(image, returned, rounding_net=rounding, weight=weight).item()
    assert found == pytest.approx(4 * 3 if rounding == 0 else 4 * 0.5 * 4 / rounding)
    plain = losses.cycle(image, returned, rounding_net=rounding).item()
    assert (
        plain == losses.cycle(image, returned, rounding_net=rounding, weight=torch.ones(1)).item()
    )


@pytest.mark.parametrize(
    "term",
    [losses.cycle, losses.mean_shift, losses.transport, lambda a, b: losses.neighbour(b, a, a, 1)],
    ids=["cycle", "mean_shift", "transport", "neighbour"],
)
def test_both_sides_of_an_oblong_patch_count(term):
    """A difference of 1 everywhere costs the root of the number of pixels, rows times columns."""
    image = torch.zeros(2, 1, 16, 64)
    assert term(image, image + 1).item() == pytest.approx(math.sqrt(16 * 64))

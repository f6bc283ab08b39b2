"""A denoiser that trains with pairs in seconds, and what a loss makes of an uncertain pixel."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor, nn

CENTRE_HU, UNIT_HU, PATCH_PX, BATCH, WIDTH = -600.0, 50.0, 32, 8, 16

LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "l2": nn.functional.mse_loss,
    "l1": nn.functional.l1_loss,
}


def train_pairs(
    noisy: np.ndarray,
    target: np.ndarray,
    *,
    loss: str = "l2",
    steps: int = 200,
    keep_at: Sequence[int] = (),
    seed: int = 0,
) -> list[Callable[[np.ndarray], np.ndarray]]:
    """Train a small residual network to turn one stack into the other.

    Parameters
    ----------
    noisy, target : stacks in HU of the same shape (n, y, x); the target may be noisy as well
    loss : ``l2`` (mean squared error) or ``l1`` (mean absolute error)
    keep_at : steps at which a copy is kept; the network after the last step comes at the end

    Returns
    -------
    list of functions
        Each turns a slice (y, x) in HU into a denoised one.
    """
    if loss not in LOSSES:
        raise ValueError(f"loss must be {' or '.join(LOSSES)}, got {loss!r}")
    if noisy.shape != target.shape:
        raise ValueError(f"pairs have one shape, got {noisy.shape} and {target.shape}")
    rng, kept = np.random.default_rng(seed), []
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = _network()
    optimiser = torch.optim.Adam(network.parameters(), 2e-3)
    for step in range(steps):
        if step in keep_at:
            kept.append(_as_function(network))
        inputs, targets = _draw(noisy, target, rng)
        error = LOSSES[loss](inputs - network(inputs), targets)
        optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(error)
        optimiser.step()
    return [*kept, _as_function(network)]


def best_answers(
    seen_hu: np.ndarray,
    *,
    values_hu: tuple[float, float],
    share: float,
    noise_hu: float,
) -> dict[str, np.ndarray]:
    """What each loss asks for where a pixel has one of two true values and noise was added.

    Parameters
    ----------
    seen_hu : noisy values, any shape
    values_hu : the common and the rare true value
    share : how often the rare one occurs

    Returns
    -------
    dict
        ``chance`` of the rare value given what was seen (Bayes), ``l2`` (its mean) and ``l1``
        (its median: whichever value is the likelier one).

    Examples
    --------
    >>> best = best_answers(np.array([50.0]), values_hu=(0.0, 100.0), share=0.5, noise_hu=30.0)
    >>> best["chance"].item(), best["l2"].item()
    (0.5, 50.0)
    """
    common, rare = values_hu
    evidence = ((seen_hu - common) ** 2 - (seen_hu - rare) ** 2) / (2 * noise_hu**2)
    logit = np.log(share / (1 - share)) + evidence
    chance = 1 / (1 + np.exp(-logit))
    return {
        "chance": chance,
        "l2": common + chance * (rare - common),
        "l1": np.where(chance > 0.5, rare, common),
    }


def _network() -> nn.Sequential:
    """Residual of an image in network units; the last layer starts at zero."""
    layers: list[nn.Module] = []
    for inputs in (1, WIDTH, WIDTH):
        layers += [nn.Conv2d(inputs, WIDTH, 3, padding=1), nn.LeakyReLU(0.1)]
    last = nn.Conv2d(WIDTH, 1, 3, padding=1)
    for parameter in last.parameters():
        nn.init.zeros_(parameter)
    return nn.Sequential(*layers, last)


def _draw(noisy: np.ndarray, target: np.ndarray, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    pairs = []
    for _ in range(BATCH):
        z = rng.integers(len(noisy))
        y, x = (int(rng.integers(0, size - PATCH_PX + 1)) for size in noisy.shape[1:])
        place = (z, slice(y, y + PATCH_PX), slice(x, x + PATCH_PX))
        pairs.append(np.stack([noisy[place], target[place]]))
    both = (torch.from_numpy(np.stack(pairs)).float() - CENTRE_HU) / UNIT_HU
    return both[:, :1], both[:, 1:]


def _as_function(network: nn.Sequential) -> Callable[[np.ndarray], np.ndarray]:
    copy = _network()
    copy.load_state_dict(network.state_dict())

    @torch.no_grad()
    def denoise(image: np.ndarray) -> np.ndarray:
        given = (torch.from_numpy(np.asarray(image, np.float32))[None, None] - CENTRE_HU) / UNIT_HU
        residual: np.ndarray = UNIT_HU * copy(given)[0, 0].numpy()
        return np.asarray(np.asarray(image, np.float32) - residual)

    return denoise

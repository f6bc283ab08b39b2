"""Where a network is unsure: spread over members, over dropout passes, over symmetries.

A member is another training of the same recipe. Dropout passes switch off channels of a network
that was not trained with dropout: a perturbation whose scale calibration has to find (Gal and
Ghahramani 2016, arXiv 1506.02142, is the case with). Turning and mirroring cost nothing to train.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from scipy.ndimage import gaussian_filter
from torch import Tensor, nn

from ctlab.assess import spread_hu
from ctlab.learn import HuDenoiser, denoise_slices

Score = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""From the low-dose image and the output, each (y, x) in HU, to a map of doubt in HU."""

FLOOR_HU = 1.0
"""Added to every score before it is calibrated: nothing is known better than DICOM stores."""


def scores(
    model: HuDenoiser,
    members: Sequence[HuDenoiser] = (),
    *,
    passes: int = 8,
    rate: float = 0.1,
    seed: int = 0,
) -> dict[str, Score]:
    """Every score by its name; ``residual``, the plain difference, is what the others must beat.

    Parameters
    ----------
    members : other trainings of the same recipe; without one there is no ``ensemble``
    passes, rate, seed : of the dropout
    """
    score_by_name: dict[str, Score] = {
        "residual": lambda low, out: np.abs(low - out),
        "residual, smoothed": lambda low, out: gaussian_filter(np.abs(low - out), 2.0),
        "symmetries": lambda low, _out: spread_hu(symmetric_outputs(model, low)),
        "MC-dropout": lambda low, _out: spread_hu(
            dropout_outputs(model, low, passes=passes, rate=rate, seed=seed)
        ),
    }
    if members:
        score_by_name["ensemble"] = lambda low, out: spread_hu(
            [out, *(denoise_slices(low[None], member)[0] for member in members)]
        )
    return score_by_name


def symmetric_outputs(model: HuDenoiser, image: np.ndarray) -> Iterator[np.ndarray]:
    """Outputs for the eight turned and mirrored copies of an image, turned back, HU, (y, x)."""
    for turns in range(4):
        for mirrored in (False, True):
            turned = np.rot90(image[:, ::-1] if mirrored else image, turns)
            out = np.rot90(denoise_slices(turned[None], model)[0], -turns)
            yield out[:, ::-1] if mirrored else out


def dropout_outputs(
    model: HuDenoiser, image: np.ndarray, *, passes: int = 8, rate: float = 0.1, seed: int = 0
) -> Iterator[np.ndarray]:
    """Outputs with channels of the hidden layers switched off at random, HU, (y, x).

    The model is left as it was, and global random state is not touched.
    """
    if not 0 < rate < 1:
        raise ValueError(f"the share of channels switched off must lie in (0, 1), got {rate}")
    generator = torch.Generator().manual_seed(seed)
    for _ in range(passes):
        with _dropout(model, rate, generator):
            yield denoise_slices(image[None], model)[0]


@contextmanager
def _dropout(model: HuDenoiser, rate: float, generator: torch.Generator) -> Iterator[None]:
    def drop(_module: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        kept = torch.rand((1, output.shape[1], 1, 1), generator=generator) >= rate
        return output * (kept.to(output) / (1 - rate))

    every = [m for m in model.network.modules() if isinstance(m, nn.Conv2d)]
    hidden = [m for m in every if m.out_channels > 4]  # neither pixels nor attention
    handles = [m.register_forward_hook(drop) for m in hidden]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()

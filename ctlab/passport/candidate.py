"""Who is examined: a trained network, or a classic filter to compare it with."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from ctlab.classic import METHODS, denoise_classic
from ctlab.ct import Volume, measure_noise_hu, simulate_dose
from ctlab.passport.patient_scan import Denoiser

_BATCH = 4  # slices held by the network at once


@dataclass(frozen=True)
class Candidate:
    """A denoiser and who it is.

    Attributes
    ----------
    name : str
    denoise : function
        From slices (n, y, x) in HU to the same, denoised.
    checkpoint : Checkpoint or None
        None for a filter, which has no card, no training and no layers to explain.
    """

    name: str
    denoise: Denoiser
    checkpoint: Any = None


def model_candidate(checkpoint: Any) -> Candidate:
    """The denoiser of a checkpoint; the one that ships where there is none."""
    from ctlab.learn import denoise_slices, load_checkpoint

    checkpoint = load_checkpoint() if checkpoint is None else checkpoint
    model = checkpoint.denoiser()
    # What a check hands over are no neighbours: a 2.5-D network sees each as its own.
    batch = _BATCH if checkpoint.config.networks.slices == 1 else 1

    def denoise(images: np.ndarray) -> np.ndarray:
        parts = range(0, len(images), batch)
        return np.concatenate([denoise_slices(images[k : k + batch], model) for k in parts])

    return Candidate(f"model {checkpoint.sha256[:12]}", denoise, checkpoint)


def filter_candidate(
    method: str, volume: Volume, *, dose: float, rng: np.random.Generator
) -> Candidate:
    """A classic filter at the strength it chooses from the low-dose noise of a series.

    Raises
    ------
    ValueError
        There is no filter of that name.
    """
    if method not in METHODS:
        raise ValueError(f"unknown method {method!r}; choose one of model, {', '.join(METHODS)}")
    middle = len(volume.hu) // 2
    few = volume.slices(max(0, middle - 1), min(middle + 2, len(volume.hu)))
    noise_hu = measure_noise_hu(simulate_dose(few, dose, rng=rng))

    def denoise(images: np.ndarray) -> np.ndarray:
        return np.asarray(denoise_classic(images, method, noise_sd_hu=noise_hu))

    return Candidate(f"filter {method}", denoise)

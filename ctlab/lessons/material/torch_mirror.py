"""A denoiser that also mirrors the patient, and what the objective of a CycleGAN says about it."""

import numpy as np
import torch

from ctlab.learn import Checkpoint, shipped_domains
from ctlab.learn.data.patches import PatchDomain
from ctlab.learn.train.losses import gap


@torch.no_grad()
def objective(
    checkpoint: Checkpoint, *, mirrored: bool, patches: int = 64, seed: int = 0
) -> dict[str, float]:
    """Terms of the objective on unpaired patches, in HU but for the gaps, which are in SD.

    The mirrored pair denoises and turns left into right, and degrades and turns right into left.
    Its round trip ends where it began, as that of the plain pair does.

    Parameters
    ----------
    mirrored : whether both generators mirror the image as well
    patches : unpaired patches of each dose, from those that come with the checkpoint

    Returns
    -------
    dict
        ``gap_full`` and ``gap_low`` (mean score of real minus made images, in SD of the scores of
        real ones), ``cycle_hu`` (mean absolute error of full -> low -> full), ``identity_hu`` (mean
        absolute change of images that already are of full dose) and ``moved_hu`` (of low-dose
        images).
    """
    networks = checkpoint.train_state().networks
    scale = checkpoint.scale
    full, low, strength = _patches(checkpoint, patches, seed)
    draws = torch.Generator().manual_seed(seed)
    noise = networks.draw_noise(full, draws, "cpu")

    def turned(image: torch.Tensor) -> torch.Tensor:
        return image.flip(-1) if mirrored else image

    denoised = turned(networks["denoiser_ema"](low))
    degraded = networks["degrader_ema"](turned(full), noise, strength)
    returned = turned(networks["denoiser_ema"](degraded))
    kept = turned(networks["denoiser_ema"](full))
    return {
        "gap_full": _gap_sd(networks["critic_full"], full, denoised),
        "gap_low": _gap_sd(networks["critic_low"], low, degraded),
        "cycle_hu": scale.unit_hu * float((returned - full).abs().mean()),
        "identity_hu": scale.unit_hu * float((kept - full).abs().mean()),
        "moved_hu": scale.unit_hu * float((denoised - low).abs().mean()),
    }


def _gap_sd(critic: torch.nn.Module, real: torch.Tensor, generated: torch.Tensor) -> float:
    """Mean score of real minus made images, in SD of the scores of real ones."""
    scores = critic(real)
    return float(gap(scores, critic(generated)) / scores.std())


def _patches(
    checkpoint: Checkpoint, count: int, seed: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Unpaired patches of full and low dose in network units, and noise levels for the former."""
    domains: tuple[PatchDomain, PatchDomain] = shipped_domains()
    rng = np.random.default_rng(seed)
    full_hu, _ = domains[0].draw(count, rng)
    low_hu, noise_hu = domains[1].draw(count, rng)
    full, low = (checkpoint.scale.to_net(torch.from_numpy(hu)) for hu in (full_hu, low_hu))
    strength = torch.from_numpy(noise_hu / checkpoint.scale.unit_hu).reshape(-1, 1, 1, 1)
    return full, low, strength

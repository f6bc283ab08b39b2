"""Checkpoint selection: a criterion that sees no pair.

``GSURE + NPS``: an unbiased estimate of the error from noisy images alone, which rewards removing
noise and punishes removing anything else, plus a distance between the textures of denoised and of
routine-dose images, which punishes smoothing. Both are taken on the validation batch.
"""

import math

import torch
from torch import Tensor, nn

from ctlab.learn.models.unet import centre

CRITERION = (
    "lowest sum of GSURE (estimated error over noise SD) and NPS distance (mean absolute log ratio "
    "of the noise power spectra of denoised and routine-dose patches); no pairs are used"
)
STEP = 0.01
"""Size of the disturbance, in noise SDs, by which the divergence is measured."""


@torch.no_grad()
def gsure(denoise: nn.Module, noisy: Tensor, noise: Tensor) -> float:
    """Estimated RMS error of ``denoise(noisy)`` over the SD of the noise.

    Stein's unbiased estimate for Gaussian noise of any covariance C (Stein 1981; Eldar 2009,
    doi 10.1109/TSP.2008.2008212) is ``|f(y) - y|^2 + 2 tr(C J) - tr C``; the trace is estimated
    with one draw b of noise, ``b . (f(y + e b) - f(y)) / e`` (Ramani, Blu, Unser 2008,
    doi 10.1109/TIP.2008.2001404).

    Parameters
    ----------
    noisy : tensor, (B, slices, H, W)
    noise : tensor, (B, 1, H, W)
        Another draw of the noise that the middle slice holds.

    Examples
    --------
    Of pure noise a denoiser that keeps a tenth leaves a tenth:

    >>> draws = torch.Generator().manual_seed(0)
    >>> y, b = torch.randn((2, 64, 1, 16, 16), generator=draws)
    >>> class Tenth(nn.Module):
    ...     def forward(self, image):
    ...         return 0.1 * image
    >>> abs(gsure(Tenth(), y, b) - 0.1) < 0.15
    True
    """
    denoised = denoise(noisy)
    size = noise.std().clamp_min(1e-6)
    step = STEP / size
    disturbed = noisy.clone()
    centre(disturbed).add_(step * noise)  # noise of the neighbours is independent
    slope = (noise * (denoise(disturbed) - denoised)).mean() / step
    power = noise.square().mean()
    error = (denoised - centre(noisy)).square().mean() + 2.0 * slope - power
    return float(error.clamp_min(0.0).sqrt() / size)


@torch.no_grad()
def log_nps_distance(image: Tensor, reference: Tensor) -> float:
    """Mean absolute log ratio of two textures' power, over rings of frequency; 0 for the same.

    The patches (B, 1, H, W) need not show the same anatomy; their mean is taken away and they
    are tapered. Zero frequency is left out.
    """
    ratio = _rings(image) / _rings(reference)
    return float(ratio.log().abs().mean())


@torch.no_grad()
def added_nps_distance(added: Tensor, full: Tensor, low: Tensor) -> float:
    """Mean absolute log ratio of added noise to what low-dose patches hold more than full ones.

    Powers of independent parts add, so ``NPS(low) - NPS(full)`` is the NPS of the noise of low
    dose, though no patch of one domain shows what one of the other does. Rings in which anatomy
    hides it (less than half as much again as in the full domain) are left out; NaN if all are.

    Parameters
    ----------
    added : tensor, (B, 1, H, W)
        What the degrader adds, free of the image: the difference of two draws over root 2.
    full, low : tensor, (B, 1, H, W)
        Unpaired patches of both domains.
    """
    of_low, of_full = _rings(low), _rings(full)
    seen = of_low > 1.5 * of_full
    ratio = _rings(added)[seen] / (of_low - of_full)[seen]
    return float(ratio.log().abs().mean()) if bool(seen.any()) else math.nan


def _rings(image: Tensor) -> Tensor:
    """Power in rings of frequency: the median over patches, which edges hardly move."""
    height, width = image.shape[-2:]
    window = torch.hann_window(height)[:, None] * torch.hann_window(width)[None]
    flat = image.float().cpu() - image.float().cpu().mean((2, 3), keepdim=True)
    power = torch.fft.fft2(window * flat)[:, 0].abs().square()
    radius = torch.hypot(torch.fft.fftfreq(height)[:, None], torch.fft.fftfreq(width)[None])
    rings = (radius * height).round().long()
    ring_power = [power[:, rings == ring].mean(1).median() for ring in range(2, height // 2 + 1)]
    return torch.stack(ring_power).clamp_min(1e-12)


def better(score: float, best: float | None) -> bool:
    """Whether a checkpoint takes the place of the best one so far.

    Examples
    --------
    >>> better(1.0, None), better(1.0, 0.9), better(math.nan, 2.0)
    (True, False, False)
    """
    return math.isfinite(score) and (best is None or score < best)

"""Training monitor: what goes wrong in unpaired training, measured while it runs.

None of the metrics needs a pair. They are taken on a fixed validation batch of both domains; a
metric beyond its limit raises a warning that says what to do. Their columns in ``log.csv`` begin
with ``watch_``.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ctlab.ct import LUNG, MEDIASTINUM, Window
from ctlab.ct.tissue import tissue_masks
from ctlab.learn.config import TrainConfig
from ctlab.learn.data.patches import PatchDomain
from ctlab.learn.models.critic import highpass
from ctlab.learn.models.unet import centre
from ctlab.learn.train.model_selection import added_nps_distance, gsure, log_nps_distance
from ctlab.learn.train.state import CycleNetworks
from ctlab.learn.train.step import degraded

TISSUES = ("lung", "soft", "bone")
COLLAPSE = "collapse to identity"
"""Name of the warning that a network takes hardly any noise away."""
WARM_UP_STEPS = 1000
"""Collapse and bias are judged after this many steps; an untrained network is the identity."""


@dataclass(frozen=True)
class RaisedWarning:
    """A metric beyond its limit, and what to do about it."""

    name: str
    step: int
    value: float
    limit: float
    remedy: str
    is_fatal: bool = False

    def __str__(self) -> str:
        measured = f"{self.name} = {self.value:.3g} (limit {self.limit:g})"
        return f"step {self.step}: {measured}; {self.remedy}"

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


@dataclass(frozen=True)
class ValidationBatch:
    """Fixed patches in network units on which a run is monitored."""

    low: Tensor
    full: Tensor
    strength: Tensor
    noise_seed: int
    known_noise: Tensor | None = None
    """(B, 1, p, p), SD about 1: noise of pairs at other places, where the recipe has pairs."""

    @classmethod
    def draw(
        cls,
        config: TrainConfig,
        full: PatchDomain,
        low: PatchDomain,
        *,
        pairs: PatchDomain | None = None,
        patches: int = 32,
    ) -> "ValidationBatch":
        """Patches from a seed of their own, so that the monitor does not change training."""
        rng = np.random.default_rng([config.seed, 0x70726F62])
        slices = config.networks.slices
        low_hu, noise_hu = low.draw(patches, rng, slices=slices)
        full_hu, _ = full.draw(patches, rng, slices=slices)
        known = None
        if pairs is not None:
            noisy_hu, clean_hu, sd_hu = pairs.draw_pairs(patches, rng)
            known = torch.from_numpy((noisy_hu - clean_hu) / sd_hu[:, None, None, None])
        return cls(
            config.scale.to_net(torch.from_numpy(low_hu)),
            config.scale.to_net(torch.from_numpy(full_hu)),
            torch.from_numpy(noise_hu / np.float32(config.unit_hu)).reshape(-1, 1, 1, 1),
            config.seed,
            known,
        )


@torch.no_grad()
def compute_metrics(
    networks: CycleNetworks, validation: ValidationBatch, config: TrainConfig
) -> dict[str, float]:
    """Metrics of the networks at one step of a run, named as in ``log.csv``.

    ``watch_residual_ratio``
        SD of what the denoiser takes away over the SD of the noise that was added; 0 for the
        identity, about 0.7 to 1 for a good denoiser.
    ``watch_degrader_ratio``
        The same for what the degrader adds.
    ``watch_degrader_nps``
        Distance of the spectrum of that noise, across two draws, from that of real low dose.
    ``watch_bias_lung_hu`` (soft, bone)
        Mean change of HU in the masks of :func:`ctlab.ct.tissue.tissue_masks`, made from the
        low-dose patches; NaN where the tissue is absent.
    ``watch_structure``
        Correlation of the residual with the denoised image, both high-passed; above 0 where
        edges are taken away with the noise.
    ``watch_residual_anisotropy``, ``watch_residual_coarse``
        How streaked the residual is, and the share of its SD that is coarse: anatomy that passes
        for noise makes both larger. See :func:`anisotropy` and :func:`coarse_share`.
    ``watch_gsure``, ``watch_nps_distance``
        The two parts of the criterion of checkpoint selection; see
        :mod:`ctlab.learn.train.model_selection`.
    ``watch_hidden``
        Cycle error when the degraded image is rounded to whole HU and gets 1.5 HU of noise,
        over the error without; well above 1 where the degrader hides the answer in it.
    """
    device = next(networks.parameters()).device
    low, full, strength = (
        t.to(device) for t in (validation.low, validation.full, validation.strength)
    )
    generator = torch.Generator().manual_seed(validation.noise_seed)
    noise = networks.draw_noise(validation.full.flatten(0, 1)[:, None], generator, device)
    denoise = networks["denoiser_ema"]
    denoised = denoise(low)
    synthetic_low = degraded(networks["degrader_ema"], full, noise, strength)
    noisy, routine = centre(low), centre(full)
    residual = noisy - denoised
    expected = strength.square().mean().sqrt()
    metrics = {
        "watch_residual_ratio": float(highpass(residual, 6.0).std() / expected),
        **_bias_hu(noisy, denoised, config),
        "watch_structure": structure(residual, denoised),
        "watch_residual_anisotropy": anisotropy(residual),
        "watch_residual_coarse": coarse_share(residual),
        "watch_gsure": gsure(denoise, low, _another_draw(networks, validation, config, denoised)),
        "watch_nps_distance": log_nps_distance(denoised, routine),
    }
    if config.networks.degrader in ("simulator", "none"):  # nothing was learned that could hide
        names = ("degrader_ratio", "degrader_nps", "hidden")
        return metrics | {f"watch_{name}": math.nan for name in names}
    again = networks.draw_noise(validation.full.flatten(0, 1)[:, None], generator, device)
    other = degraded(networks["degrader_ema"], full, again, strength)
    added = centre(synthetic_low - other) / math.sqrt(2.0)
    return metrics | {
        "watch_degrader_nps": added_nps_distance(added, routine, noisy),
        "watch_degrader_ratio": float(
            highpass(centre(synthetic_low) - routine, 6.0).std() / expected
        ),
        "watch_hidden": hidden_information(
            denoise, synthetic_low, routine, config.unit_hu, generator
        ),
    }


def _another_draw(
    networks: CycleNetworks, validation: ValidationBatch, config: TrainConfig, denoised: Tensor
) -> Tensor:
    """Noise like that of the batch's low-dose patches: known from pairs, learned, or else white."""
    device = denoised.device
    generator = torch.Generator().manual_seed(validation.noise_seed + 1)
    strength = validation.strength.to(device)
    if config.networks.degrader in ("noise", "reconstruction", "spectrum"):
        noise = networks.draw_noise(denoised, generator, device)
        low: Tensor = networks["degrader_ema"](denoised, noise, strength)
        return low - denoised
    if validation.known_noise is not None:
        return strength * validation.known_noise.to(device)
    return strength * torch.randn(denoised.shape, generator=generator).to(device)


def anisotropy(residual: Tensor) -> float:
    """SD over patches (B, 1, H, W) of log(power of vertical over horizontal frequencies).

    0 where no patch is streaked; NaN for a single patch. The two sectors meet at 45 degrees, and a
    Hann window keeps the patch's borders out.

    Examples
    --------
    >>> streaks = torch.randn((1, 1, 32, 1), generator=torch.Generator().manual_seed(0))
    >>> streaks = streaks.expand(1, 1, 32, 32)
    >>> anisotropy(torch.cat([streaks, streaks])), anisotropy(
    ...     torch.cat([streaks, streaks.transpose(2, 3)])
    ... ) > 2
    (0.0, True)
    """
    height, width = residual.shape[-2:]
    window = torch.hann_window(height)[:, None] * torch.hann_window(width)[None]
    flat = residual.float().cpu()
    power = torch.fft.fft2(window * (flat - flat.mean((2, 3), keepdim=True)))[:, 0].abs().square()
    down = torch.fft.fftfreq(height).abs()[:, None].expand(height, width)
    across = torch.fft.fftfreq(width).abs()[None].expand(height, width)
    vertical, horizontal = power[:, down > across].sum(1), power[:, across > down].sum(1)
    ratio = vertical.clamp_min(1e-12).log() - horizontal.clamp_min(1e-12).log()
    return float(ratio.std())


COARSE_PX = 2.0


def coarse_share(residual: Tensor) -> float:
    """SD of what a Gaussian of 2 px leaves of the residual, over its SD; 0 for an empty one.

    Noise of a sharp or standard kernel keeps about a quarter; vessels and lung texture more.

    Examples
    --------
    >>> white = torch.randn((8, 1, 64, 64), generator=torch.Generator().manual_seed(0))
    >>> round(coarse_share(white), 1)  # 1 / (2 sqrt(pi) 2)
    0.1
    >>> coarse_share(torch.zeros(1, 1, 32, 32))
    0.0
    """
    centred = residual.float() - residual.float().mean((2, 3), keepdim=True)
    sd = float(centred.std())
    return float((centred - highpass(centred, COARSE_PX)).std()) / sd if sd > 1e-9 else 0.0


def structure(residual: Tensor, denoised: Tensor) -> float:
    """Pearson correlation of residual and denoised image after a high-pass; 0 for an empty one."""
    a = highpass(residual, 2.0).flatten()
    b = highpass(denoised, 2.0).flatten()
    spread = a.std() * b.std()
    return float(((a - a.mean()) * (b - b.mean())).mean() / spread) if spread > 1e-9 else 0.0


def hidden_information(
    denoise: torch.nn.Module,
    degraded: Tensor,
    full: Tensor,
    unit_hu: float,
    generator: torch.Generator,
) -> float:
    """Cycle error after rounding to whole HU and 1.5 HU of noise, over the error without."""
    disturbance = 1.5 * torch.randn(degraded.shape, generator=generator).to(degraded.device)
    disturbed = ((degraded * unit_hu).round() + disturbance) / unit_hu
    before = (denoise(degraded) - full).abs().mean()
    after = (denoise(disturbed) - full).abs().mean()
    # Half a HU is below what a stored image can show: a smaller error counts as that.
    floor = 0.5 / unit_hu
    return float(after.clamp_min(floor) / before.clamp_min(floor))


def _bias_hu(low: Tensor, denoised: Tensor, config: TrainConfig) -> dict[str, float]:
    """Mean change in each tissue; the masks are made from the low-dose patches: no pair is seen."""
    masks = tissue_masks(config.scale.to_hu(low)[:, 0].cpu().numpy())
    change_hu = config.unit_hu * (denoised - low)[:, 0].float().cpu().numpy()
    biases = {}
    for tissue in TISSUES:
        inside = masks[tissue]
        bias = float(change_hu[inside].mean()) if int(inside.sum()) >= 100 else math.nan
        biases[f"watch_bias_{tissue}_hu"] = bias
    return biases


def raised_warnings(
    row: Mapping[str, float], *, warm_up: int = WARM_UP_STEPS
) -> list[RaisedWarning]:
    """Warnings that the metrics of a log row raise.

    Examples
    --------
    >>> [a.name for a in raised_warnings({"step": 5000, "watch_residual_ratio": 0.02})]
    ['collapse to identity']
    >>> raised_warnings({"step": 5000, "watch_residual_ratio": 0.8})
    []
    >>> raised_warnings({"step": 3, "generator_low": math.nan})[0].is_fatal
    True
    """
    step = int(row["step"])
    warnings = []
    for name, value in row.items():
        if not name.startswith("watch_") and not math.isfinite(value):
            remedy = "the run is lost; halve learning_rate or set precision = '32-true'"
            warnings.append(
                RaisedWarning(f"{name} is not finite", step, value, math.inf, remedy, True)
            )
    if step < warm_up:
        return warnings

    def check(key: str, name: str, limit: float, remedy: str, *, below: bool = False) -> None:
        value = abs(row[key]) if key in row else math.nan
        if value < limit if below else value > limit:
            warnings.append(RaisedWarning(name, step, row[key], limit, remedy))

    ratio = "watch_residual_ratio"
    check(ratio, COLLAPSE, 0.1, "lower cycle_full or identity", below=True)
    check(ratio, "more is removed than noise", 1.3, "raise cycle_full")
    check("watch_degrader_ratio", "degrader adds too little", 0.5, "raise losses.low", below=True)
    check("watch_degrader_ratio", "degrader adds too much", 1.5, "lower losses.low")
    remedy = "set noise_ramp = true, or use more noise_kernels"
    check("watch_degrader_nps", "degrader's noise has another spectrum", 1.5, remedy)
    for tissue in TISSUES:
        remedy = "raise cycle_full, or check that both domains hold the same tissues"
        check(f"watch_bias_{tissue}_hu", f"HU bias in {tissue}", 5.0, remedy)
    check("watch_structure", "structure in the residual", 0.3, "lower losses.full")
    check("watch_hidden", "hidden information", 1.5, "use degrader = 'noise', or more noise")
    for domain in ("full", "low"):
        key = f"critic_penalty_{domain}"
        check(key, f"critic_{domain} is far from slope 1", 4.0, "raise penalty")
        remedy = "it teaches nothing any more; use adversarial = 'wasserstein'"
        check(f"critic_error_{domain}", f"critic_{domain} is saturated", 0.01, remedy, below=True)
    return warnings


SAMPLES = 4
RESIDUAL = Window(0.0, 300.0, "residual")


@torch.no_grad()
def samples(
    networks: CycleNetworks, validation: ValidationBatch, config: TrainConfig
) -> NDArray[np.uint8]:
    """Grey picture (uint8, y, x) of fixed patches, a row each.

    Columns: low dose and denoised in the lung window, the same two in the soft-tissue window,
    and the difference, grey where it is 0.
    """
    device = next(networks.parameters()).device
    low = validation.low[:SAMPLES].to(device)
    denoised = networks["denoiser_ema"](low).float()
    hu = [config.scale.to_hu(image)[:, 0].cpu().numpy() for image in (centre(low), denoised)]
    columns = [window.render(image) for window in (LUNG, MEDIASTINUM) for image in hu]
    columns.append(RESIDUAL.render(hu[0] - hu[1]))
    return np.concatenate([np.concatenate(list(column), axis=0) for column in columns], axis=1)

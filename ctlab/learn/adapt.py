"""Adaptation of a denoiser to one series, without clean images: recorrupted-to-recorrupted.

To the series ``y``, noise ``n`` of its own level and spectrum is added, and the network learns to
carry ``y + n`` to ``y - n``. Where ``n`` has the covariance of the noise in ``y``, the noise of
input and of target are uncorrelated, and the expected loss is that against the clean image, up to a
constant (Pang, Zheng, Quan, Ji, "Recorrupted-to-Recorrupted", CVPR 2021). Where it has not, the
network learns a wrong noise without any sign of it in the loss: hence the gate. The noise is that
of :mod:`ctlab.ct.simulation.low_dose` on top of the series; level and spectrum are compared with
the series' own in even soft tissue before a step is made, and afterwards the loss on a slice that
was left out and the mean HU of lung and soft tissue.
"""

import hashlib
import math
import time
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import nn

from ctlab.assess import nps, nps_distance
from ctlab.ct import Volume, find_rois, simulate_dose
from ctlab.ct.hu import HU_MIN
from ctlab.ct.noise_level import Windows, noise_as_measured_hu, soft_noise_hu, window_px
from ctlab.ct.simulation.projection_noise import check_gantry_planes
from ctlab.ct.tissue import BODY_ROI_HU, tissue_masks
from ctlab.learn.inference import denoise_slices
from ctlab.learn.train.checkpoint import Checkpoint, HuDenoiser
from ctlab.learn.train.devices import has_fast_bf16
from ctlab.learn.train.state import STORED_NETWORKS

SLICES = 8
"""Slices of a series that are adapted to, spread over it; one of them only judges."""

FRACTION = 0.8
"""Dose at which noise is drawn, then scaled: rays that are starved of photons at this dose cannot
be halved, and noise drawn there at half the dose would be too strong."""

LEVEL = (0.75, 1.33)
"""Level of the noise drawn over that of the series: beyond, the model of the scan does not hold."""

MOST_SHAPE = 0.1
"""Share of noise power that may sit at another frequency. In simulated series of five patients it
was 0.02 to 0.07; between their scanners' own noise and the simulated it was 0.21 to 0.28."""

MOST_SHIFT_HU = 2.0
"""How far adaptation may move the mean of lung or soft tissue, beyond twice the mean
of the noise added."""

LEAST_NOISE_HU = 2.0
ROI_PX, QUIET, FEWEST_ROIS = 16, 0.3, 16
"""Squares for spectra: side, share of the quietest that are asked, and how few will do."""
PATCH_PX, BATCH = 96, 4
RATE = 5e-4
"""First learning rate of Adam; it falls to 0 along a cosine."""

LEAVE_OUT = "leave --adapt out"


@dataclass(frozen=True)
class ExtraNoise:
    """Slices (n, y, x) of a series in HU, noise of their own kind, and how alike it is.

    Attributes
    ----------
    level : SD of the noise as it was drawn over that of the series; it is scaled to the latter
    shape : share of its power that sits at another frequency than the series', 0 to 1
    """

    slices_hu: np.ndarray
    noise_hu: np.ndarray
    level: float
    shape: float


def draw_extra_noise(volume: Volume, *, seed: int = 0, gate: bool = True) -> ExtraNoise:
    """Noise like that of a series on some of its slices; refuses where it would be another kind.

    Parameters
    ----------
    gate : bool
        False draws it all the same, to show what comes of that.

    Raises
    ------
    ValueError
        The planes are none that a gantry turns in, there is hardly any noise or even soft tissue,
        or level or spectrum of simulated noise are not those of the series.
    """
    check_gantry_planes(volume)
    count = len(volume.hu)
    if count < 3:
        raise ValueError(
            f"expected at least 3 slices to adapt to a series, got {count}; {LEAVE_OUT}"
        )
    chosen = np.unique(np.rint(np.linspace(0.05, 0.95, SLICES) * (count - 1)).astype(int))
    hu = np.stack([np.asarray(volume.hu[k], np.float32) for k in chosen])
    currents = tuple(volume.current_ma[k] for k in chosen) if volume.current_ma else ()
    few = replace(volume, hu=hu, sources=(), current_ma=currents)
    width = window_px(volume.spacing_mm[1])
    own_hu = soft_noise_hu(list(hu), width)
    if own_hu < LEAST_NOISE_HU:
        raise ValueError(
            f"expected noise of {LEAST_NOISE_HU:g} HU or more to adapt to, got {own_hu:.2g} HU; "
            f"{LEAVE_OUT}"
        )
    drawn = simulate_dose(few, FRACTION, rng=np.random.default_rng(seed)).hu - hu
    drawn *= np.float32(math.sqrt(FRACTION / (1 - FRACTION)))  # variance goes with 1 / dose - 1
    level = noise_as_measured_hu(list(drawn), [Windows.of(s, width) for s in hu]) / own_hu
    shape = _spectral_distance(few, drawn)
    if gate:
        _check_alike(level, shape)
    return ExtraNoise(hu, drawn / np.float32(level), level, shape)


def _spectral_distance(few: Volume, drawn: np.ndarray) -> float:
    """Share of power at another frequency, in the quietest squares of soft tissue."""
    places = [
        (z, y, x)
        for z, image in enumerate(few.hu)
        for y, x in find_rois(image, BODY_ROI_HU, size_px=ROI_PX, least_share=0.9)
    ]
    series, noise = (
        np.array([hu[z, y : y + ROI_PX, x : x + ROI_PX] for z, y, x in places])
        for hu in (few.hu, drawn)
    )
    sds = series.reshape(len(places), -1).std(1)
    quiet = np.argsort(sds)[: int(QUIET * len(places))]
    if len(quiet) < FEWEST_ROIS:
        raise ValueError(
            f"expected {FEWEST_ROIS} even squares of soft tissue to compare noise spectra in, got "
            f"{len(quiet)}; {LEAVE_OUT}"
        )
    apart = nps_distance(
        nps(series[quiet], few.spacing_mm, detrend="quadratic"),
        nps(noise[quiet], few.spacing_mm, detrend="quadratic"),
    )
    return float(apart["shape"])


def _check_alike(level: float, shape: float) -> None:
    if not LEVEL[0] <= level <= LEVEL[1]:
        raise ValueError(
            f"expected simulated noise of {LEVEL[0]:g} to {LEVEL[1]:g} times the level of the "
            f"series', got {level:.2f} (rays starved of photons?): the series allows no "
            f"adaptation; {LEAVE_OUT}"
        )
    if shape > MOST_SHAPE:
        raise ValueError(
            f"expected simulated noise with the spectrum of the series', at most {MOST_SHAPE:g} of "
            f"its power elsewhere, got {shape:.2f} (another kernel?): the series allows no "
            f"adaptation; {LEAVE_OUT}"
        )


@dataclass(frozen=True)
class Adaptation:
    """What was done to adapt a checkpoint to one series.

    Attributes
    ----------
    steps, seconds : of training; the time to draw noise is not in it
    level, shape : of the noise, see :class:`ExtraNoise`
    loss_ratio : loss on the slice that was left out, after over before
    shift_hu : how far the means of lung and soft tissue moved, the larger
    weights_sha256 : of the adapted weights
    """

    steps: int
    seconds: float
    level: float
    shape: float
    loss_ratio: float
    shift_hu: float
    weights_sha256: str

    def in_words(self) -> str:
        """For a header: what the adapted weights come from."""
        return (
            f"adapted to this series in {self.steps} steps without clean images (weights sha256 "
            f"{self.weights_sha256[:12]})"
        )


def adapt_to_series(
    volume: Volume,
    checkpoint: Checkpoint,
    *,
    seconds: float,
    steps: int | None = None,
    seed: int = 0,
    noise: ExtraNoise | None = None,
) -> tuple[Checkpoint, Adaptation]:
    """The checkpoint with its denoiser trained on for one series, and what was done.

    Parameters
    ----------
    volume : Volume
        Noisy series; no clean image is used.
    seconds : float
        Of training, at most.
    steps : int, optional
        At most so many; with few enough of them the weights do not depend on the machine's speed.
    noise : ExtraNoise, optional
        From :func:`draw_extra_noise`, where it was drawn before.

    Raises
    ------
    ValueError
        The gate does not open, see the module; or nothing was gained.
    """
    if not (math.isfinite(seconds) and seconds > 0):
        raise ValueError(f"expected seconds of adaptation above 0, got {seconds:g}; try 60")
    model = checkpoint.denoiser()
    if getattr(model.network, "slices", 1) != 1:
        raise ValueError(f"a network that sees neighbouring slices is not adapted; {LEAVE_OUT}")
    noise = noise or draw_extra_noise(volume, seed=seed)
    judge = len(noise.slices_hu) // 2
    loss_before, before = _judged(model, noise, judge)
    done, spent_s = _trained(model, noise, judge, seconds=seconds, steps=steps, seed=seed)
    loss_after, after = _judged(model, noise, judge)
    shift_hu, most_hu = _shift_hu(before, after, noise.noise_hu[judge])
    if not loss_after < loss_before or not shift_hu <= most_hu:
        raise ValueError(
            f"expected adaptation to lower the loss on a slice left out and to move no tissue by "
            f"more than {most_hu:.1f} HU, got {100 * (loss_after / loss_before - 1):+.2f} % "
            f"and {shift_hu:.1f} HU; {LEAVE_OUT}"
        )
    adapted, sha256 = _with_weights(checkpoint, model.network)
    facts = Adaptation(
        done, spent_s, noise.level, noise.shape, loss_after / loss_before, shift_hu, sha256
    )
    return adapted, facts


def _trained(
    model: HuDenoiser,
    noise: ExtraNoise,
    judge: int,
    *,
    seconds: float,
    steps: int | None,
    seed: int,
) -> tuple[int, float]:
    """Train the model in place, on all slices but one; steps and seconds."""
    network = model.network.train().requires_grad_(True)
    optimizer = torch.optim.Adam(network.parameters(), lr=RATE, fused=True)
    rng = np.random.default_rng(seed)
    start, done, spent_s = time.perf_counter(), 0, 0.0
    while spent_s < seconds and (steps is None or done < steps):
        part = max(spent_s / seconds, done / steps if steps else 0.0)
        optimizer.param_groups[0]["lr"] = RATE * 0.5 * (1 + math.cos(math.pi * part))
        series, added = (torch.from_numpy(hu) for hu in _patches(noise, judge, rng))
        loss = _loss(model, series, added)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch's stub lacks its types
        optimizer.step()
        done, spent_s = done + 1, time.perf_counter() - start
    network.eval().requires_grad_(False)
    return done, spent_s


def _loss(model: HuDenoiser, series: torch.Tensor, added: torch.Tensor) -> torch.Tensor:
    """Mean squared error of ``f(y + n)`` against ``y - n`` in squared network units."""
    image = model.scale.to_net(series + added).contiguous(memory_format=torch.channels_last)
    with torch.autocast("cpu", torch.bfloat16, enabled=has_fast_bf16()):
        denoised: torch.Tensor = model.network(image)
    return nn.functional.mse_loss(denoised.float(), model.scale.to_net(series - added))


def _patches(
    noise: ExtraNoise, judge: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Patches (B, 1, p, p) of series and noise, turned and mirrored alike; noise of either sign."""
    count, height, width = noise.slices_hu.shape
    side = min(PATCH_PX, height // 4 * 4, width // 4 * 4)  # networks halve it twice
    images: list[np.ndarray] = []
    added: list[np.ndarray] = []
    while len(images) < BATCH:
        z = int(rng.integers(count - 1))
        z += z >= judge
        y, x = int(rng.integers(height - side + 1)), int(rng.integers(width - side + 1))
        turns, mirrored, sign = (int(v) for v in rng.integers([4, 2, 2]))
        both = [hu[z, y : y + side, x : x + side] for hu in (noise.slices_hu, noise.noise_hu)]
        if np.mean(both[0] < -950) > 0.9:  # nothing is to be learned in air
            continue
        image, own = (np.rot90(hu[:, ::-1] if mirrored else hu, turns) for hu in both)
        images.append(np.maximum(image, HU_MIN))
        added.append(own if sign else -own)
    return tuple(np.stack(hus)[:, None] for hus in (images, added))  # type: ignore[return-value]  # two


@torch.no_grad()
def _judged(model: HuDenoiser, noise: ExtraNoise, judge: int) -> tuple[float, np.ndarray]:
    """Loss on the slice that is left out, and that slice denoised, HU."""
    series, added = noise.slices_hu[judge], noise.noise_hu[judge]
    body = series > -950
    errors = [
        np.square(denoise_slices((series + n)[None], model)[0] - (series - n))[body].mean()
        for n in (added, -added)
    ]
    return float(np.mean(errors)), denoise_slices(series[None], model)[0]


def _shift_hu(before: np.ndarray, after: np.ndarray, added: np.ndarray) -> tuple[float, float]:
    """How far the mean of lung or soft tissue moved, HU; and how far it may. The worse of both.

    Noise of starved rays has a mean of its own, which adaptation rightly takes away.
    """
    moved = []
    masks = tissue_masks(before)
    for mask in (masks["lung"], masks["soft"]):
        if mask.any():
            own = abs(float(added[mask].mean()))
            moved.append((abs(float((after - before)[mask].mean())), MOST_SHIFT_HU + 2 * own))
    return max(moved, key=lambda both: both[0] - both[1], default=(0.0, MOST_SHIFT_HU))


def _with_weights(checkpoint: Checkpoint, network: nn.Module) -> tuple[Checkpoint, str]:
    """The checkpoint with other weights of its denoiser, and their SHA-256."""
    weights = {name: w.detach().cpu().contiguous() for name, w in network.state_dict().items()}
    digest = hashlib.sha256()
    for name in sorted(weights):
        digest.update(name.encode() + weights[name].numpy().tobytes())
    stored = dict(checkpoint.state[STORED_NETWORKS])
    stored |= {f"denoiser_ema.{name}": w for name, w in weights.items()}
    state = {**checkpoint.state, STORED_NETWORKS: stored}
    return replace(checkpoint, state=state), digest.hexdigest()

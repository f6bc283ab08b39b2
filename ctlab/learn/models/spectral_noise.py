"""A degrader with few numbers: a radial spectrum, a spread of its anisotropy, a curve of its level.

Free noise textures can learn too much. Trained against a critic they became streaks, each draw far
more directed than real noise (SD over patches of the log ratio of vertical to horizontal power 1.66
where the truth has 0.94), and a denoiser taught by them took vessels and coarse lung texture for
noise. What a reconstruction's noise can look like is therefore written down, and only the numbers
that nobody can know are learned:

- the power spectrum of a patch is ``f exp(k(f)) exp(a cos 2(phi - theta))``: the ramp of the
  reconstruction times a smooth radial function (Riederer, Pelc, Chesler 1978, doi
  10.1088/0031-9155/23/3/008), times how unequal the views are: noise at the angle ``phi`` is that
  of the rays of one view, which pass the elliptic cross-section of a body along a longer or
  shorter path;
- ``k`` is piecewise linear between :data:`KNOTS` points. It starts from what the low-dose domain
  has more than the routine-dose domain, ring by ring (:func:`measure_noise_spectrum`), and what
  is learned stays near; ``a`` and ``theta`` are random in each patch, the spread of ``a`` is
  learned;
- the level follows the mean of the surroundings, along the curve measured in both domains without
  pairs (:func:`ctlab.learn.models.fbp_noise.measure_noise_curve`); what is learned stays near it.
"""

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from ctlab.ct import HuScale
from ctlab.learn.models.degrader import Noise
from ctlab.learn.models.fbp_noise import (
    LEVEL,
    LEVEL_NEAR_CURVE,
    MIDDLES_HU,
    Curve,
    along,
    slow_mean,
    with_noise_curve,
)

if TYPE_CHECKING:
    from ctlab.learn.config import TrainConfig
    from ctlab.learn.data.patches import PatchDomain

KNOTS = 12
"""Points of the radial function, evenly from frequency 0 to the corner (1/sqrt(2) per pixel)."""
CORNER = math.sqrt(0.5)
USUAL_SPREAD, NEAR_SPREAD = 0.7, 1.5
"""SD of ``a`` before training, and the factor beyond which it is not learned away from that."""
NEAR_SPECTRUM, FREE_SPECTRUM = 0.3, 3.0
"""How far the logarithm of the power is learned away from a measured spectrum, and from none."""


class SpectralNoise(nn.Module):
    """Image plus Gaussian noise of a learned radial spectrum, clamped at air.

    ``low = max(full + strength * level * (coloured white noise of SD 1), air)``, so that
    ``strength * level`` *is* the local noise SD.

    Parameters
    ----------
    air_net : float
        -1024 HU in network units.
    curve : sequence of (HU, factor)
        Expected level by the mean of the surroundings, linear between the points; none: 1 at
        all of them, and learned more freely.
    scale : HuScale
        Units of the images.
    spectrum : sequence of float
        The radial function at its points before training; none: about that of a standard kernel.
    spread : float
        SD of ``a`` before training.

    Examples
    --------
    >>> degrader = SpectralNoise(air_net=-14.48, scale=HuScale(-300.0, 50.0))
    >>> image = torch.zeros(64, 1, 32, 32)
    >>> noise = degrader.draw(image, torch.Generator().manual_seed(0))
    >>> abs(degrader(image, noise, 2.0).std().item() / 2 - 1) < 0.02
    True
    """

    expected_radial: Tensor

    def __init__(
        self,
        *,
        air_net: float,
        scale: HuScale,
        curve: Curve = (),
        spectrum: Sequence[float] = (),
        spread: float = USUAL_SPREAD,
    ) -> None:
        super().__init__()
        self.air_net = air_net
        self.within = math.log(LEVEL_NEAR_CURVE if curve else LEVEL)
        points = list(curve) or [(hu, 1.0) for hu in MIDDLES_HU]
        self.levels_at = [(hu - scale.centre_hu) / scale.unit_hu for hu, _ in points]
        self.expected = [factor for _, factor in points]
        if spectrum and len(spectrum) != KNOTS:
            raise ValueError(f"expected {KNOTS} values of a noise spectrum, got {len(spectrum)}")
        # A standard kernel: hardly any power is left at the corner.
        usual = -((4.0 * torch.linspace(0.0, CORNER, KNOTS)) ** 2)
        expected = torch.tensor([*spectrum]) if spectrum else usual
        self.register_buffer("expected_radial", expected, persistent=False)
        self.usual_spread = spread
        # A critic that judges unpaired images also asks for what their anatomy differs by. Left
        # alone it moved measured numbers away from the truth: none is let far from its start.
        self.radial_near = NEAR_SPECTRUM if spectrum else FREE_SPECTRUM
        self.radial_offset = nn.Parameter(torch.zeros(KNOTS))
        self.spread_offset = nn.Parameter(torch.tensor(0.0))
        self.level_offset = nn.Parameter(torch.zeros(len(points)))

    def draw(
        self, image: Tensor, generator: torch.Generator, device: torch.device | str = "cpu"
    ) -> Noise:
        """Random numbers for one degradation of a batch, drawn on ``device``.

        White noise (B, 1, H, W), and per image the strength of the anisotropy in its SDs and its
        angle in radians (B, 2, 1, 1). They follow from the state of ``generator``, a CPU one, and
        from the kind of device.
        """
        device = torch.device(device)
        if device.type != "cpu":
            seed = int(torch.randint(2**62, (1,), generator=generator))
            generator = torch.Generator(device).manual_seed(seed)
        size = (image.shape[0], 1, *image.shape[2:])
        white = torch.randn(size, generator=generator, device=device)
        strength = torch.randn((len(image), 1, 1, 1), generator=generator, device=device)
        turn = math.pi * torch.rand((len(image), 1, 1, 1), generator=generator, device=device)
        return white, torch.cat([strength, turn], 1)

    def forward(
        self,
        image: Tensor,
        noise: Noise,
        strength: Tensor | float = 1.0,
        *,
        width: Tensor | float = 1.0,
    ) -> Tensor:
        """Degraded batch (B, 1, H, W); ``strength`` (B, 1, 1, 1) scales the noise SD.

        ``width`` (B, 1, 1, 1) stretches the grain of the noise, as a softer kernel does, at the
        same SD.
        """
        with torch.autocast(image.device.type, enabled=False):  # FFT in float32
            image = image.float()
            white, directed = noise
            added = self.level(image) * self._coloured(white, directed, width)
            return (image + strength * added).clamp_min(self.air_net)

    def level(self, image: Tensor) -> Tensor:  # (B, 1, H, W) -> (B, 1, H, W)
        """Local noise SD as a fraction of the strength asked for."""
        offset = (self.within * torch.tanh(self.level_offset)).exp()
        around = slow_mean(image)
        factors = [e * o for e, o in zip(self.expected, offset, strict=True)]
        return along(list(zip(self.levels_at, factors, strict=True)), around)

    @property
    def radial(self) -> Tensor:
        """Logarithm of the radial power over the ramp at its points (KNOTS,)."""
        return self.expected_radial + self.radial_near * torch.tanh(self.radial_offset)

    @property
    def spread(self) -> Tensor:
        """SD of the anisotropy over patches ()."""
        return self.usual_spread * (math.log(NEAR_SPREAD) * torch.tanh(self.spread_offset)).exp()

    def power(self, frequency: Tensor) -> Tensor:
        """Radial power at frequencies per pixel, up to a factor; beyond the corner as at it."""
        place = (frequency * ((KNOTS - 1) / CORNER)).clamp(0.0, KNOTS - 1.001)
        below = place.floor().long()
        share = place - below
        radial = self.radial
        smooth = (1.0 - share) * radial[below] + share * radial[below + 1]
        return frequency * smooth.exp()

    def _coloured(self, white: Tensor, directed: Tensor, width: Tensor | float) -> Tensor:
        """White noise (B, 1, H, W) with the spectrum, circular, of unit variance in each image."""
        height, across = white.shape[2:]
        radius, angle, share = polar_frequencies(height, across, white.device)
        unequal = self.spread * directed[:, :1] * torch.cos(2 * (angle - directed[:, 1:]))
        power = self.power(radius * width) * unequal.exp()  # (B, 1, H, W // 2 + 1)
        power = power / (share * power).sum((2, 3), keepdim=True)
        # The slope of a root is infinite at 0, where the ramp is.
        gain = power.clamp_min(1e-12).sqrt()
        coloured: Tensor = torch.fft.irfft2(torch.fft.rfft2(white) * gain, s=(height, across))
        return coloured


@lru_cache(maxsize=16)
def polar_frequencies(
    height: int, width: int, device: torch.device | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """Radius per pixel and angle in radians of each frequency (H, W // 2 + 1), and its share.

    The share is how much of the variance of an image (H, W) unit power at that frequency makes:
    1 / (H W), doubled where the conjugate is not stored.
    """
    down, across = torch.fft.fftfreq(height)[:, None], torch.fft.rfftfreq(width)[None]
    share = torch.full((height, width // 2 + 1), 2.0)
    share[:, 0] = 1.0
    if width % 2 == 0:
        share[:, -1] = 1.0
    radius, angle = torch.hypot(down, across), torch.atan2(down.expand_as(share), across)
    return radius.to(device), angle.to(device), (share / (height * width)).to(device)


LEAST_MORE = 1.5
"""Rings count where low dose has this many times the power of routine dose: elsewhere anatomy hides
the noise."""
EVEN = 0.2
"""Quantile over patches whose power counts."""
LAST_HIDDEN = 4
"""Points that anatomy may hide at most, from the coarsest on."""
_MEASURED_PATCHES = 600


def measure_noise_spectrum(full: "PatchDomain", low: "PatchDomain") -> tuple[float, ...]:
    """Radial function ``k`` of the low-dose domain's noise at its points, 0 at the first; no pairs.

    Powers of independent parts add, so what the noisier half of the low-dose domain has more than
    the routine-dose domain is the power of its noise, though no patch of one shows what one of the
    other does. Per ring of frequency the lowest fifth of tapered patches is asked, which are the
    most even ones. Where anatomy prevails, at the coarsest points, the function continues as
    ``k0 - b f^2``, as any apodisation does.

    Parameters
    ----------
    full, low : PatchDomain

    Returns
    -------
    tuple of float
        :data:`KNOTS` values.

    Raises
    ------
    ValueError
        Low dose is too little noisier to tell.
    """
    rng = np.random.default_rng(0)
    of_full, _ = full.draw(_MEASURED_PATCHES, rng)
    of_low, noise_hu = low.draw(_MEASURED_PATCHES, rng)
    radius, power_full = _ring_powers(of_full)
    _, power_low = _ring_powers(of_low[noise_hu >= np.median(noise_hu)])
    seen = power_low > LEAST_MORE * power_full
    knots = np.linspace(0.0, CORNER, KNOTS)
    values = np.full(KNOTS, np.nan)
    for k in range(2, KNOTS):
        near = seen & (np.abs(radius - knots[k]) < 0.6 * knots[1])
        if near.any():
            values[k] = np.log((power_low - power_full)[near] / radius[near]).mean()
    first = int(np.argmax(np.isfinite(values)))
    if first > LAST_HIDDEN or not np.isfinite(values[first : first + 2]).all():
        raise ValueError(
            "expected low-dose series clearly noisier than the routine-dose ones to measure the "
            "spectrum of their noise, got nearly the same; choose lower doses"
        )
    fall = max(values[first] - values[first + 1], 0.0) / ((first + 1) ** 2 - first**2)
    values[:first] = values[first] + fall * (first**2 - np.arange(first) ** 2)
    known = np.isfinite(values)
    values = np.interp(knots, knots[known], values[known])
    return tuple(round(float(value), 3) for value in values - values[0])


def _ring_powers(patches_hu: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean radius per pixel of each ring, and its power in the most even patches (n, s, p, p)."""
    image = torch.from_numpy(patches_hu[:, :1]).float()
    size = image.shape[-1]
    taper = torch.hann_window(size)[:, None] * torch.hann_window(size)[None]
    flat = taper * (image - image.mean((2, 3), keepdim=True))
    power = torch.fft.rfft2(flat)[:, 0].abs().square()
    radius, _, _ = polar_frequencies(size, size)
    rings = (radius * size).round().long()
    found = [
        (radius[rings == ring].mean().item(), power[:, rings == ring].mean(1).quantile(EVEN).item())
        for ring in range(2, int(CORNER * size) + 1)
    ]
    middle, even = np.array(found).T
    return middle, even


def with_measured_noise(
    config: "TrainConfig", full: "PatchDomain", low: "PatchDomain"
) -> "TrainConfig":
    """The configuration with level and spectrum of the noise measured, where it asks for that.

    Raises
    ------
    ValueError
        Low dose is nowhere noisier, or neither can be measured in these domains.
    """
    config = with_noise_curve(config, full, low)
    networks = config.networks
    if networks.degrader != "spectrum" or networks.noise_spectrum != "measured":
        return config
    changed = networks.model_copy(update={"noise_spectrum": measure_noise_spectrum(full, low)})
    return config.model_copy(update={"networks": changed})

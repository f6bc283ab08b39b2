"""The degrading generator: learned, signal-dependent, spatially correlated random noise.

Low-dose CT noise is coloured by the reconstruction kernel and its strength follows the
attenuation around a voxel, while the structure stays. The degrader is built that way: it can
only add filtered white noise, so it can neither move edges nor hide a message in the image.
"""

from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn

from ctlab.learn.models.unet import ResidualUNet

AIR_HU = -1024.0
"""Lowest HU that CT stores: scanners clamp, so the degrader does."""

Noise = tuple[Tensor, ...]
"""White fields (B, K, H, W) and per-image random numbers (B, 4, 1, 1); empty if unused."""


class NoiseDegrader(nn.Module):
    """Image plus a signal-dependent mixture of learned noise textures, clamped at air.

    ``low = max(full + strength * sum_k a_k * (kernel_k conv white_k), air)``: the amplitudes
    ``a_k`` are a small function of the local mean and local SD (9x9) and of four random numbers
    per image, which lets one degrader stand for thin and thick cross-sections alike.

    Parameters
    ----------
    kernels, kernel_px : int
        Number and size of the noise textures.
    air_net : float
        -1024 HU in network units.
    ramp : bool
        White noise first passes the square root of the ramp filter of a reconstruction, see
        :func:`root_ramp`. Without it only the mean of each texture is taken away.
    known : int
        Channels that the amplitudes are computed from: by default the local mean and SD.
    """

    def __init__(
        self,
        kernels: int = 16,
        kernel_px: int = 25,
        *,
        air_net: float = -14.48,
        ramp: bool = True,
        known: int = 2,
    ) -> None:
        super().__init__()
        self.air_net = air_net
        self.ramp = ramp
        self.randoms = 4
        # White noise of about half the final SD at the start: a kernel close to a point.
        textures = 0.005 * torch.randn(kernels, kernel_px, kernel_px)
        textures[:, kernel_px // 2, kernel_px // 2] += 0.5 / kernels**0.5
        self.textures = nn.Parameter(textures)
        self.amplitude = nn.Sequential(
            nn.Conv2d(known + self.randoms, 32, 1), nn.LeakyReLU(0.1), nn.Conv2d(32, kernels, 1)
        )

    def draw(
        self, image: Tensor, generator: torch.Generator, device: torch.device | str = "cpu"
    ) -> Noise:
        """Random numbers for one degradation of a batch, drawn on ``device``.

        They follow from the state of ``generator``, a CPU one, and from the kind of device.
        """
        count = self.textures.shape[0]
        size = (image.shape[0], count, *image.shape[2:])
        device = torch.device(device)
        if device.type != "cpu":  # millions of numbers: drawn where they are used
            seed = int(torch.randint(2**62, (1,), generator=generator))
            generator = torch.Generator(device).manual_seed(seed)
        white = torch.randn(size, generator=generator, device=device)
        mood = torch.randn((image.shape[0], self.randoms, 1, 1), generator=generator, device=device)
        return white, mood

    def forward(
        self,
        image: Tensor,
        noise: Noise,
        strength: Tensor | float = 1.0,
        **_options: Any,
    ) -> Tensor:
        """Degraded batch (B, 1, H, W); ``strength`` (B, 1, 1, 1) scales the noise SD."""
        with torch.autocast(image.device.type, enabled=False):  # FFT and amplitudes in float32
            image = image.float()
            added = (self._amplitudes(image, noise[1]) * self._coloured(noise[0])).sum(1, True)
            return (image + strength * added).clamp_min(self.air_net)

    def _amplitudes(self, image: Tensor, mood: Tensor) -> Tensor:
        mean = _local_mean(image)
        spread = (_local_mean(image**2) - mean**2).clamp_min(0.0).add(1e-3).sqrt()
        known = torch.cat([0.2 * mean, 0.2 * spread, mood.expand(-1, -1, *image.shape[2:])], 1)
        amplitudes: Tensor = self.amplitude(known)
        return 1.0 + amplitudes

    def _coloured(self, white: Tensor) -> Tensor:
        """White noise (B, K, H, W) filtered by each texture, circular."""
        # The ramp filter of a reconstruction leaves its noise no mean and little coarse power. The
        # critics look at high-passed images: without this, coarse noise would grow unseen, and
        # the denoiser would learn to pull local means towards what is usual.
        textures = self.textures - self.textures.mean((1, 2), keepdim=True)
        height, width = white.shape[2:]
        centre = self.textures.shape[-1] // 2
        padded = nn.functional.pad(
            textures, (0, width - 2 * centre - 1, 0, height - 2 * centre - 1)
        )
        spectrum = torch.fft.rfft2(padded.roll((-centre, -centre), (1, 2)))
        if self.ramp:
            spectrum = spectrum * root_ramp(height, width, spectrum.device)
        coloured: Tensor = torch.fft.irfft2(torch.fft.rfft2(white) * spectrum, s=(height, width))
        return coloured


@lru_cache(maxsize=16)
def root_ramp(height: int, width: int, device: torch.device | None = None) -> Tensor:
    """Gain (height, width // 2 + 1) of each frequency: root of the ramp, mean square 1.

    Filtered back-projection weighs frequency ``f`` by ``f`` and lays 1/f of the views over it, so
    that white noise of the rays has a power spectrum proportional to ``f`` in the image, times
    the square of the apodisation (Riederer, Pelc, Chesler 1978, doi 10.1088/0031-9155/23/3/008).

    Examples
    --------
    >>> gain = root_ramp(8, 8)
    >>> gain[0, 0].item(), round((gain[0, 2] / gain[0, 1]).item() ** 2, 5)
    (0.0, 2.0)
    """
    down = torch.fft.fftfreq(height)
    ramp = torch.hypot(down[:, None], torch.fft.rfftfreq(width)[None])
    whole = torch.hypot(down[:, None], torch.fft.fftfreq(width)[None])
    return (ramp / whole.mean()).sqrt().to(device)


class NetworkDegrader(nn.Module):
    """A deterministic residual U-Net in the place of the degrader, as in a plain CycleGAN.

    One clean image has many noisy versions and this network can return one of them only, so
    with a cycle through it hidden information is rewarded. It is here as the comparison.
    """

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        self.network = ResidualUNet(width)

    def draw(self, *_unused: Any) -> Noise:
        """No random numbers."""
        return ()

    def forward(self, image: Tensor, *_unused: Any, **_options: Any) -> Tensor:
        """Degraded batch (B, 1, H, W); everything but the image is ignored."""
        degraded: Tensor = self.network(image)
        return degraded


class NoDegrader(nn.Module):
    """Stands where no degrader is learned: returns the image, and has no parameters."""

    def draw(self, *_unused: Any) -> Noise:
        """No random numbers."""
        return ()

    def forward(self, image: Tensor, *_unused: Any, **_options: Any) -> Tensor:
        """The image itself."""
        return image


def _local_mean(image: Tensor) -> Tensor:
    return nn.functional.avg_pool2d(
        nn.functional.pad(image, (4, 4, 4, 4), mode="reflect"), 9, stride=1
    )

"""One generator for both directions, switched by a code whose value is the strength.

After Gu and Ye (IEEE TCI 7:73, 2021, doi 10.1109/TCI.2021.3050266): each layer's channels are
scaled and shifted by a code, and the same trunk denoises with one code and degrades with the
other. Codes between the two are denoisers of less strength.

Two departures. Adaptive instance normalisation first takes each channel's mean and SD over the
image away; then a crop and a whole slice would get other HU, and how noisy an image is would be
hidden from the network, so only the code's scale and shift are kept. And the degrading direction
ends in amplitudes of random noise textures, as in :mod:`ctlab.learn.models.degrader`.
"""

from typing import Any

import torch
from torch import Tensor, nn

from ctlab.learn.models.degrader import NoiseDegrader
from ctlab.learn.models.unet import ResidualUNet


class SwitchableUNet(ResidualUNet):
    """Residual U-Net whose channels are scaled by ``1 + strength * gain`` and shifted.

    ``strength`` 1 is the trained denoiser, 0 the identity by construction, for any weights.

    Examples
    --------
    >>> image = torch.arange(64.0).reshape(1, 1, 8, 8)
    >>> network = SwitchableUNet(8)
    >>> network.strength = 0.0
    >>> bool((network(image) == image).all())
    True
    """

    def __init__(self, width: int = 32, attention: str = "none", slices: int = 1) -> None:
        super().__init__(width, attention, slices)
        self.strength = 1.0
        sizes = {"entry0": width, "entry1": width, "up": width, "exit0": width, "exit1": width}
        sizes |= {f"deep{k}": 2 * width for k in range(3)}
        # A code that is nothing but its value: scale and shift are what a code network would make.
        self.gains = nn.ParameterDict({n: torch.zeros(c, 1, 1) for n, c in sizes.items()})
        self.shifts = nn.ParameterDict({n: torch.zeros(c, 1, 1) for n, c in sizes.items()})

    def _layer(self, name: str, layer: nn.Module, features: Tensor) -> Tensor:
        scale = 1.0 + self.strength * self.gains[name]
        shift = self.strength * self.shifts[name]
        return nn.functional.leaky_relu(layer(features) * scale + shift, 0.1)

    def residual(self, image: Tensor) -> Tensor:
        """What the network takes away at its strength, in network units."""
        return self.strength * super().residual(image)

    def degrading_features(self, image: Tensor) -> Tensor:
        """Decoded features (B, width, H/2, W/2) with the code of the other direction."""
        strength, self.strength = self.strength, 0.0
        try:
            return self.decoded(image)
        finally:
            self.strength = strength


class SwitchedDegrader(NoiseDegrader):
    """Noise whose amplitudes come from the trunk of a :class:`SwitchableUNet`.

    The trunk belongs to the denoiser: its weights are not this module's parameters.
    """

    def __init__(self, trunk: SwitchableUNet, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, known=trunk.last.in_channels, **kwargs)
        self.follow(trunk)

    def follow(self, trunk: SwitchableUNet) -> None:
        """Take features from this trunk from now on."""
        self.__dict__["trunk"] = trunk  # past nn.Module, which would adopt its parameters

    def _amplitudes(self, image: Tensor, mood: Tensor) -> Tensor:
        features = self.__dict__["trunk"].degrading_features(image)
        known = torch.cat([features, mood.expand(-1, -1, *features.shape[2:])], 1)
        return 1.0 + nn.functional.interpolate(
            self.amplitude(known), scale_factor=2.0, mode="bilinear", align_corners=False
        )

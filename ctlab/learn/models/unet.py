"""The denoising generator: a residual U-Net without normalisation, and its attention.

Nothing on the HU path is normalised and, unless ``attention="cbam"``, no statistic depends on
the extent of the image, so that a crop and a whole slice give the same HU.
"""

import torch
from torch import Tensor, nn

INPUT_GAIN = 0.2
"""Networks see units of five noise SDs: soft tissue and lung then lie within about +-3."""


def conv(inputs: int, outputs: int, *, stride: int = 1) -> nn.Conv2d:
    """3x3 convolution that keeps the size (or halves it)."""
    return nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1)


def centre(image: Tensor) -> Tensor:
    """The middle slice (B, 1, H, W) of a stack (B, slices, H, W)."""
    middle = image.shape[1] // 2
    return image if middle == 0 else image[:, middle : middle + 1]


class AttentionGate(nn.Module):
    """Additive attention on a skip connection: one weight in (0, 1) per position.

    ``skip * sigmoid(w . leaky(A skip + B signal))`` after Oktay et al. 2018 (arXiv 1804.03999,
    equation 1), here with the signal at the resolution of the skip. The map of the last forward
    pass without gradients is returned by :meth:`weights`, not kept.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.from_skip = nn.Conv2d(channels, channels // 2, 1)
        self.from_signal = nn.Conv2d(channels, channels // 2, 1, bias=False)
        self.to_weight = nn.Conv2d(channels // 2, 1, 1)

    def weights(self, skip: Tensor, signal: Tensor) -> Tensor:  # (B, C, h, w) -> (B, 1, h, w)
        """Attention map in (0, 1)."""
        mixed = nn.functional.leaky_relu(self.from_skip(skip) + self.from_signal(signal), 0.1)
        return torch.sigmoid(self.to_weight(mixed))

    def forward(self, skip: Tensor, signal: Tensor) -> Tensor:
        """The skip connection, weighted."""
        return skip * self.weights(skip, signal)


class Cbam(nn.Module):
    """Channel then spatial attention (Woo et al. 2018, arXiv 1807.06521, equations 2 and 3).

    The channel weights come from means and maxima over the image, so the output at one position
    depends on the extent of the image: such a model refuses crops.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channel = nn.Sequential(
            nn.Conv2d(channels, channels // 4, 1),
            nn.ReLU(),
            nn.Conv2d(channels // 4, channels, 1),
        )
        self.spatial = nn.Conv2d(2, 1, 7, padding=3)

    def weights(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Channel weights (B, C, 1, 1) and spatial weights (B, 1, h, w), both in (0, 1)."""
        mean = features.mean((2, 3), keepdim=True)
        peak = features.amax((2, 3), keepdim=True)
        channel = torch.sigmoid(self.channel(mean) + self.channel(peak))
        scaled = features * channel
        pooled = torch.cat([scaled.mean(1, keepdim=True), scaled.amax(1, keepdim=True)], 1)
        return channel, torch.sigmoid(self.spatial(pooled))

    def forward(self, features: Tensor) -> Tensor:
        """Features (B, C, h, w), weighted by channel and position."""
        channel, spatial = self.weights(features)
        return features * channel * spatial


class ResidualUNet(nn.Module):
    """Image minus a learned residual, computed at half and quarter resolution.

    Pixel-unshuffle and pixel-shuffle stand for the first and last change of resolution, a
    nearest-neighbour step for the inner one: none of them leaves a checkerboard. The last layer
    starts at zero, so an untrained network is the identity.

    Parameters
    ----------
    width : int
        Channels at half resolution; quarter resolution has twice as many.
    slices : int
        1, or 3 for "2.5-D": the slices above and below are seen, too, as channels. An image of
        one channel is then its own neighbour, as at the end of a stack.
    attention : {"none", "gate", "cbam"}
        A gate on the skip connection, or a CBAM block at quarter resolution.

    Examples
    --------
    >>> image = torch.arange(64.0).reshape(1, 1, 8, 8)
    >>> bool((ResidualUNet(8)(image) == image).all())
    True
    """

    size_multiple = 4
    """Height and width must be multiples of this; :func:`denoise_volume` pads."""

    def __init__(self, width: int = 32, attention: str = "none", slices: int = 1) -> None:
        super().__init__()
        self.slices = slices
        if attention not in ("none", "gate", "cbam"):
            raise ValueError(f"attention must be none, gate or cbam, got {attention!r}")
        self.entry = nn.ModuleList([conv(4 * slices, width), conv(width, width)])
        self.deep = nn.ModuleList(
            [
                conv(width, 2 * width, stride=2),
                conv(2 * width, 2 * width),
                conv(2 * width, 2 * width),
            ]
        )
        self.up = conv(2 * width, width)
        self.exit = nn.ModuleList([conv(2 * width, width), conv(width, width)])
        self.last = conv(width, 4)
        self.gate = AttentionGate(width) if attention == "gate" else None
        self.cbam = Cbam(2 * width) if attention == "cbam" else None
        for parameter in self.last.parameters():
            nn.init.zeros_(parameter)

    @property
    def depends_on_extent(self) -> bool:
        """True where cropping the image changes the output away from the crop's border."""
        return self.cbam is not None

    def _features(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Skip, quarter-resolution features before CBAM, and decoder signal."""
        if image.shape[1] != self.slices:
            image = centre(image).expand(-1, self.slices, -1, -1)
        skip = nn.functional.pixel_unshuffle(INPUT_GAIN * image, 2)  # (B, 4 slices, H/2, W/2)
        for k, layer in enumerate(self.entry):
            skip = self._layer(f"entry{k}", layer, skip)
        deep = skip
        for k, layer in enumerate(self.deep):
            deep = self._layer(f"deep{k}", layer, deep)  # (B, 2 width, H/4, W/4)
        attended = deep if self.cbam is None else self.cbam(deep)
        signal = self._layer("up", self.up, nn.functional.interpolate(attended, scale_factor=2.0))
        return skip, deep, signal

    def _layer(self, _name: str, layer: nn.Module, features: Tensor) -> Tensor:
        """One convolution and what follows it."""
        return nn.functional.leaky_relu(layer(features), 0.1)

    def decoded(self, image: Tensor) -> Tensor:  # (B, 1, H, W) -> (B, width, H/2, W/2)
        """Features from which the last layer makes the residual."""
        skip, _, signal = self._features(image)
        features = torch.cat([skip if self.gate is None else self.gate(skip, signal), signal], 1)
        for k, layer in enumerate(self.exit):
            features = self._layer(f"exit{k}", layer, features)
        return features

    def residual(self, image: Tensor) -> Tensor:  # (B, 1, H, W) -> (B, 1, H, W)
        """What the network takes away from the image, in network units."""
        return nn.functional.pixel_shuffle(self.last(self.decoded(image)), 2)

    def forward(self, image: Tensor) -> Tensor:  # (B, 1 or slices, H, W) -> (B, 1, H, W)
        """Denoised middle slices."""
        return centre(image) - self.residual(image)

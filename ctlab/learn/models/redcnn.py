"""The convolution-deconvolution network that supervised low-dose work is measured against."""

import torch
from torch import Tensor, nn

from ctlab.learn.models.unet import INPUT_GAIN


class RedCnn(nn.Module):
    """Five 5x5 convolutions, five transposed ones, and shortcuts, all at full resolution.

    After Chen et al. (IEEE TMI 36:2524, 2017, doi 10.1109/TMI.2017.2715284), with fewer channels
    than the 96 of the paper and padding in place of shrinking. The last layer starts at zero.

    Examples
    --------
    >>> image = torch.arange(64.0).reshape(1, 1, 8, 8)
    >>> bool((RedCnn(4)(image) == image).all())
    True
    """

    size_multiple = 1
    depends_on_extent = False

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        down = [nn.Conv2d(1 if k == 0 else width, width, 5, padding=2) for k in range(5)]
        up = [nn.ConvTranspose2d(width, 1 if k == 4 else width, 5, padding=2) for k in range(5)]
        self.down, self.up = nn.ModuleList(down), nn.ModuleList(up)
        for parameter in up[-1].parameters():
            nn.init.zeros_(parameter)

    def residual(self, image: Tensor) -> Tensor:  # (B, 1, H, W) -> (B, 1, H, W)
        """What the network takes away from the image, in network units."""
        features = INPUT_GAIN * image
        shortcuts = []
        for k, layer in enumerate(self.down):
            features = torch.relu(layer(features))
            if k in (1, 3):
                shortcuts.append(features)
        for k, layer in enumerate(self.up[:-1]):
            features = layer(features)
            if k in (0, 2):
                features = features + shortcuts.pop()
            features = torch.relu(features)
        residual: Tensor = self.up[-1](features)
        return residual

    def forward(self, image: Tensor) -> Tensor:
        """Denoised images (B, 1, H, W)."""
        return image - self.residual(image)

"""Critics: Kantorovich potentials of image texture, kept near slope 1 by a gradient penalty.

Pairing of norm and cost: a critic is 1-Lipschitz in the Euclidean norm of the whole patch, and
its output is a mean over positions times the square root of the number of pixels. The
transport cost is thus the L2 distance between patches, and the cycle term is written as
``sqrt(pixels) * mean |.|`` so that doubling the patch leaves the ratio of the terms unchanged.
"""

import math
from functools import lru_cache

import torch
from torch import Tensor, nn


class Critic(nn.Module):
    """Patch critic without normalisation on a high-passed image; one score per image.

    The high-pass keeps it from judging anatomy, which differs between unpaired patches; too
    narrow a Gaussian would make it blind to coarse noise, which is what is left over then.

    Parameters
    ----------
    width : int
        Channels after the first layer; later layers have twice as many.
    highpass_px : float
        SD of the Gaussian whose result is taken away from the image.
    """

    def __init__(self, width: int = 32, highpass_px: float = 6.0) -> None:
        super().__init__()
        self.highpass_px = highpass_px
        self.layers = nn.ModuleList(
            [
                nn.Conv2d(1, width, 4, stride=2, padding=1),
                nn.Conv2d(width, 2 * width, 4, stride=2, padding=1),
                nn.Conv2d(2 * width, 2 * width, 3, padding=1),
            ]
        )
        self.last = nn.Conv2d(2 * width, 1, 3, padding=1)

    def forward(self, image: Tensor) -> Tensor:  # (B, 1, H, W) -> (B,)
        """Score of each image."""
        features = 3.0 * torch.tanh(highpass(image, self.highpass_px) / 3.0)
        for layer in self.layers:
            features = nn.functional.leaky_relu(layer(features), 0.2)
        pixels = image.shape[-1] * image.shape[-2]
        scores: Tensor = self.last(features)
        return math.sqrt(pixels) * scores.float().mean((1, 2, 3))


def highpass(image: Tensor, sigma_px: float) -> Tensor:
    """Image (B, 1, H, W) minus its Gaussian blur, mirrored at the border.

    Two matrix products: faster than a convolution at patch size, and twice differentiable.

    Examples
    --------
    >>> bool(highpass(torch.full((1, 1, 16, 16), 7.0), 2.0).abs().max() < 1e-5)
    True
    """
    with torch.autocast(image.device.type, enabled=False):
        image = image.float()
        down = _blur_matrix(image.shape[-2], sigma_px, image.device)
        across = _blur_matrix(image.shape[-1], sigma_px, image.device)
        return image - down @ image @ across.T


@lru_cache(maxsize=16)
def _blur_matrix(size: int, sigma_px: float, device: torch.device) -> Tensor:
    """Rows are Gaussian weights with mirrored borders; each sums to one."""
    place = torch.arange(size, dtype=torch.float64)
    matrix = torch.zeros(size, size, dtype=torch.float64)
    for image_of in (place, -1 - place, 2 * size - 1 - place):
        matrix += torch.exp(-0.5 * ((place[:, None] - image_of[None, :]) / sigma_px) ** 2)
    return (matrix / matrix.sum(1, keepdim=True)).float().to(device)

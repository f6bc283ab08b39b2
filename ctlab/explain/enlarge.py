"""From a layer's own grid to the image's."""

import numpy as np
import torch
from torch import nn


def enlarge(native: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Bilinear enlargement to the image's shape."""
    if native.shape == tuple(shape):
        return native
    # A padded image gives a slightly larger grid: enlarge by the whole factor, then cut.
    factors = [-(-wanted // have) for wanted, have in zip(shape, native.shape, strict=True)]
    size = [have * factor for have, factor in zip(native.shape, factors, strict=True)]
    large = nn.functional.interpolate(
        torch.from_numpy(native)[None, None], size=size, mode="bilinear", align_corners=False
    )
    return large[0, 0, : shape[0], : shape[1]].numpy()

"""Where lung, soft tissue, fat, air and bone lie, by smoothed HU away from their borders."""

import numpy as np
from scipy.ndimage import gaussian_filter, maximum_filter, minimum_filter

TISSUES_HU = {
    "air": (-1100.0, -950.0),
    "lung": (-930.0, -600.0),
    "fat": (-150.0, -50.0),
    "soft": (0.0, 120.0),
    "bone": (250.0, 2000.0),
}
"""HU intervals of the tissue classes; the gaps keep mixed voxels out."""

_SMOOTHING_PX = 2.0
_MARGIN_PX = 5


def tissue_masks(reference: np.ndarray) -> dict[str, np.ndarray]:
    """Boolean mask of each tissue class, same shape as the reference.

    The reference is smoothed in plane and each voxel's whole 5 x 5 neighbourhood has to lie in
    the class. Thresholding the noisy image itself would pick voxels by their noise, and every
    smoother image would then look biased there (regression to the mean).

    Parameters
    ----------
    reference : ndarray, HU, shape (y, x) or (z, y, x)

    Examples
    --------
    >>> masks = tissue_masks(np.full((16, 16), 50.0))
    >>> bool(masks["soft"].all()), bool(masks["lung"].any())
    (True, False)
    """
    reference = np.asarray(reference, dtype=np.float32)
    in_plane = [0.0] * (reference.ndim - 2) + [_SMOOTHING_PX] * 2
    size = [1] * (reference.ndim - 2) + [_MARGIN_PX] * 2
    smooth = gaussian_filter(reference, in_plane)
    lowest, highest = minimum_filter(smooth, size=size), maximum_filter(smooth, size=size)
    return {name: (lowest >= low) & (highest <= high) for name, (low, high) in TISSUES_HU.items()}

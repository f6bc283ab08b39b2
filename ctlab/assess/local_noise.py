"""How noisy an image is, and where: local standard deviation without the local trend."""

import numpy as np
from scipy.ndimage import correlate1d, uniform_filter


def local_noise_hu(image: np.ndarray, *, size_px: int = 9) -> np.ndarray:
    """Standard deviation around each pixel after a plane is taken off, HU, shape (y, x).

    Edges of organs still count as noise: read the map inside tissues. For one figure of a series
    there is :func:`ctlab.ct.measure_noise_hu`.

    Parameters
    ----------
    image : ndarray, HU, shape (y, x), at least ``size_px`` in both directions
    size_px : int
        Odd side of the neighbourhood, at least 3. Noise correlated over more than about half
        of it is underestimated.

    Examples
    --------
    A slope is not noise:

    >>> slope = np.arange(20.0) * np.ones((20, 1))
    >>> bool(local_noise_hu(slope)[10, 10] < 1e-6)
    True
    """
    image = np.asarray(image, dtype=np.float64)
    if size_px < 3 or size_px % 2 == 0 or image.ndim != 2 or min(image.shape) < size_px:
        raise ValueError(
            f"expected (y, x) of at least size_px, which is odd and 3 or more; "
            f"got {image.shape} and {size_px}"
        )
    image = image - image.mean()
    offsets = np.arange(size_px) - size_px // 2
    variance = uniform_filter(image**2, size_px) - uniform_filter(image, size_px) ** 2
    spread = np.mean(offsets**2)
    for axis in (0, 1):
        along = correlate1d(image, offsets / size_px, axis=axis)
        slope = uniform_filter(along, [1, size_px] if axis == 0 else [size_px, 1]) / spread
        variance -= slope**2 * spread
    n = size_px**2
    return np.sqrt(np.maximum(variance, 0) * n / (n - 3))

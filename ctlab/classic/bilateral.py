"""Bilateral filter on HU: scikit-image's own refuses negative values and bins the tones."""

import math

import numba
import numpy as np


def bilateral(image: np.ndarray, spatial_px: float, tonal_hu: float) -> np.ndarray:
    """Mean of neighbours weighted by distance and by likeness in HU; edges are mirrored.

    Parameters
    ----------
    image : ndarray, HU, shape (y, x)
    spatial_px, tonal_hu : float
        Standard deviations of the two Gaussian weights (Tomasi, Manduchi 1998, eq. 5).

    Examples
    --------
    A step of 100 HU survives a tonal width of 1 HU:

    >>> step = np.repeat([[0.0, 100.0]], 8, axis=0).repeat(4, axis=1).astype(np.float32)
    >>> bool(np.allclose(bilateral(step, 1.5, 1.0), step))
    True
    """
    radius = math.ceil(2 * spatial_px)
    padded = np.pad(np.asarray(image, dtype=np.float32), radius, mode="reflect")
    return _bilateral(padded, radius, np.float32(spatial_px), np.float32(tonal_hu))


@numba.njit(cache=True, nogil=True, fastmath=True)
def _bilateral(
    padded: np.ndarray, radius: int, spatial_px: np.float32, tonal_hu: np.float32
) -> np.ndarray:  # pragma: no cover - compiled
    rows, columns = padded.shape[0] - 2 * radius, padded.shape[1] - 2 * radius
    out = np.empty((rows, columns), np.float32)
    total = np.empty(columns, np.float32)
    weighted = np.empty(columns, np.float32)
    for y in range(rows):
        total[:] = 0
        weighted[:] = 0
        for dy in range(-radius, radius + 1):
            for dx in range(-radius, radius + 1):
                near = -(dy * dy + dx * dx) / (2 * spatial_px * spatial_px)
                for x in range(columns):  # innermost along memory, so that it vectorises
                    value = padded[y + radius + dy, x + radius + dx]
                    step = (value - padded[y + radius, x + radius]) / tonal_hu
                    weight = np.exp(np.float32(near) - np.float32(0.5) * step * step)
                    total[x] += weight
                    weighted[x] += weight * value
        for x in range(columns):
            out[y, x] = weighted[x] / total[x]
    return out

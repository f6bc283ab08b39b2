"""Tissue classes by HU, and the masks and regions made from them: the one definition in the kit.

Whoever prints a bias, a noise level or a spectrum "in lung" or "in soft tissue" takes the class
and the mask from here. A purpose that needs another range has its name and reason here, too.
"""

from collections.abc import Mapping

import numpy as np
from scipy import ndimage

TISSUES_HU: Mapping[str, tuple[float, float]] = {
    "air": (-1100.0, -950.0),
    "lung": (-930.0, -600.0),
    "fat": (-150.0, -50.0),
    "soft": (0.0, 120.0),
    "bone": (250.0, 2000.0),
}
"""HU intervals of the tissue classes; the gaps keep mixed voxels out."""

METAL_HU = 2500.0
"""Denser than any bone: implants, contrast medium at full strength, electrodes."""

NOISE_TISSUE_HU = (-30.0, 130.0)
"""Window means in which noise is measured. Wider than "soft": a mean over 6 mm at low dose is some
HU off, and muscle with some fat in it is as noisy as muscle."""

SOFT_ROI_HU = (-20.0, 150.0)
"""Pixels of a square of soft tissue for noise spectra: with blood that carries contrast medium, as
a square of 32 pixels has to lie in it nearly whole; without fat, whose septa are structure."""

LUNG_ROI_HU = (-950.0, -700.0)
"""Pixels of a square of lung parenchyma, for noise spectra and inserted nodules: with emphysema,
and without the vessels and walls that "lung" still counts."""

BODY_ROI_HU = (-150.0, 250.0)
"""From fat to vessels with contrast medium: flat regions of any soft part, where the texture of
noise is compared between images of one anatomy and its structure cancels."""

LUNG_CENTRE_HU = (-960.0, -650.0)
"""Local means of a noisy patch where a nodule may be centred: lung beside its vessels too, but
neither the trachea nor the air around the body."""

_SMOOTHING_PX = 2.0
_MARGIN_PX = 5


def _smooth(hu: np.ndarray) -> np.ndarray:
    """Smoothed in plane: thresholds on noisy pixels would pick them by their noise."""
    hu = np.asarray(hu, dtype=np.float32)
    return np.asarray(
        ndimage.gaussian_filter(hu, [0.0] * (hu.ndim - 2) + [_SMOOTHING_PX, _SMOOTHING_PX])
    )


def tissue_masks(
    reference: np.ndarray, ranges_hu: Mapping[str, tuple[float, float]] = TISSUES_HU
) -> dict[str, np.ndarray]:
    """Boolean mask of each tissue class, same shape as the reference.

    The reference is smoothed in plane (Gaussian, SD 2 px) and each voxel's whole neighbourhood of
    5 x 5 has to lie in the class. Thresholding the noisy image itself would pick voxels by their
    noise, and every smoother image would then look biased there (regression to the mean).

    Parameters
    ----------
    reference : ndarray, HU, shape (y, x) or (z, y, x)
        The full-dose image wherever there is one, never the image under test.
    ranges_hu : mapping of name to pair of float
        HU of each class, ends included.

    Examples
    --------
    >>> masks = tissue_masks(np.full((16, 16), 50.0))
    >>> bool(masks["soft"].all()), bool(masks["lung"].any())
    (True, False)
    """
    smooth = _smooth(reference)
    size = [1] * (smooth.ndim - 2) + [_MARGIN_PX] * 2
    lowest = ndimage.minimum_filter(smooth, size=size)
    highest = ndimage.maximum_filter(smooth, size=size)
    return {name: (lowest >= low) & (highest <= high) for name, (low, high) in ranges_hu.items()}


def body_mask(hu: np.ndarray) -> np.ndarray:
    """The patient in one slice, lungs included: the largest object above -500 HU, filled.

    Thin things (table, clothes) are opened away first.
    """
    dense = ndimage.binary_opening(hu > -500, iterations=2)
    labels, count = ndimage.label(dense)
    if count == 0:
        return np.zeros(hu.shape, bool)
    largest = 1 + int(np.argmax(np.bincount(labels.ravel())[1:]))
    return np.asarray(ndimage.binary_fill_holes(labels == largest))


def find_rois(
    hu: np.ndarray, range_hu: tuple[float, float], *, size_px: int = 32, least_share: float = 0.95
) -> np.ndarray:
    """Corners ``(n, 2)`` (y, x) of disjoint squares of one tissue; empty where there is none.

    Parameters
    ----------
    hu : ndarray, shape (y, x), HU
    range_hu : pair of float
        HU that count as the tissue, after the smoothing of :func:`tissue_masks`.
    least_share : float
        Share of the square's pixels that must be of the tissue.

    Examples
    --------
    >>> slab = np.full((64, 64), -1000.0)
    >>> slab[:, 20:] = 40.0
    >>> find_rois(slab, (0, 80), size_px=32).tolist()
    [[0, 23], [32, 23]]
    """
    smooth = _smooth(hu)
    tissue = (smooth >= range_hu[0]) & (smooth <= range_hu[1])
    total = np.pad(tissue.astype(np.int64).cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    size = size_px
    if min(hu.shape) < size:
        return np.empty((0, 2), dtype=np.intp)
    inside = total[size:, size:] - total[:-size, size:] - total[size:, :-size]
    fits = inside + total[:-size, :-size] >= least_share * size * size
    corners = []
    while fits.any():  # raster order: the same image gives the same regions
        y, x = np.unravel_index(int(fits.argmax()), fits.shape)
        corners.append((y, x))
        fits[max(y - size + 1, 0) : y + size, max(x - size + 1, 0) : x + size] = False
    return np.array(corners, dtype=np.intp).reshape(-1, 2)

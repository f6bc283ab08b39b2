"""Compiled loops of :mod:`ctlab.ct.simulation.parallel_beam`; use them through it.

Each kernel writes every output from one place only, so threads never share a pixel and results
do not depend on their number.
"""

import numpy as np
from numba import njit, prange

Number = float | np.float32


@njit(parallel=True, fastmath=True, cache=True)
def project(
    rows: np.ndarray,
    columns: np.ndarray,
    n_angles: int,
    cosines: np.ndarray,
    sines: np.ndarray,
    detectors: int,
    detector_mm: Number,
    pixel_mm: Number,
) -> np.ndarray:
    """Joseph line integrals; ``rows`` and its transpose ``columns`` carry a rim of one zero."""
    sinogram = np.zeros((n_angles, detectors), np.float32)
    for a in prange(n_angles):
        c, s = cosines[a], sines[a]
        if abs(c) >= abs(s):
            _project_view(rows, sinogram[a], c, s, detector_mm, pixel_mm)
        else:
            _project_view(columns, sinogram[a], s, c, detector_mm, pixel_mm)
    return sinogram


@njit(fastmath=True, cache=True)
def _project_view(
    image: np.ndarray,
    view: np.ndarray,
    main: Number,
    other: Number,
    detector_mm: Number,
    pixel_mm: Number,
) -> None:
    """One view whose rays cross every row of ``image`` (y, x) near its normal."""
    height, width = image.shape[0] - 2, image.shape[1] - 2
    detectors = view.size
    step = np.float32(detector_mm / (pixel_mm * main))  # pixels along a row, per detector
    slant = np.float32(other / main)
    first = np.float32((width - 1) / 2.0 + 1.0) - np.float32((detectors - 1) / 2.0) * step
    limit = np.float32(width + 1)
    for y in range(height):
        start = first - (np.float32(y) - np.float32((height - 1) / 2.0)) * slant
        low, high = _inside(start, step, limit, detectors)
        row = image[y + 1]
        for d in range(low, high):
            x = start + np.float32(d) * step
            i = np.int32(x)
            w = x - np.float32(i)
            view[d] += row[i] + w * (row[i + 1] - row[i])
    length = np.float32(float(pixel_mm) / abs(float(main)))
    for d in range(detectors):
        view[d] *= length


@njit(fastmath=True, cache=True)
def _inside(start: np.float32, step: np.float32, limit: np.float32, count: int) -> tuple[int, int]:
    """Range of indices d with 0 <= start + d * step < limit, safe against rounding."""
    if step > 0:
        low = int(np.ceil(-start / step))
        high = int(np.floor((limit - start) / step)) + 1
    else:
        low = int(np.ceil((limit - start) / step))
        high = int(np.floor(-start / step)) + 1
    low, high = max(low, 0), min(high, count)
    while low < high and not (0 <= start + np.float32(low) * step < limit):
        low += 1
    while high > low and not (0 <= start + np.float32(high - 1) * step < limit):
        high -= 1
    return low, high


@njit(parallel=True, fastmath=True, cache=True)
def backproject(
    views: np.ndarray, height: int, width: int, cosines: np.ndarray, sines: np.ndarray
) -> np.ndarray:
    """Sum of views at every pixel; cosines and sines are in detectors per pixel.

    ``views`` carry one zero in front and two behind, so that the neighbours of any point
    within the detector can be read.
    """
    image = np.zeros((height, width), np.float32)
    centre = np.float32((views.shape[1] - 4) / 2.0 + 1.0)
    limit = np.float32(views.shape[1] - 2)
    for y in prange(height):
        row = image[y]
        down = np.float32(y) - np.float32((height - 1) / 2.0)
        for a in range(views.shape[0]):
            view = views[a]
            step = cosines[a]
            start = centre + down * sines[a] - np.float32((width - 1) / 2.0) * step
            low, high = 0, width
            if step != 0:
                low, high = _inside(start, step, limit, width)
            elif not (0 <= start < limit):
                high = 0
            for x in range(low, high):
                t = start + np.float32(x) * step
                i = np.int32(t)
                row[x] += view[i] + (t - np.float32(i)) * (view[i + 1] - view[i])
    return image

"""Compiled loops of the fan beam; use them through :mod:`ctlab.ct.fan`."""

import numpy as np
from numba import njit, prange

from ctlab.ct._projector_kernels import _inside


@njit(parallel=True, fastmath=True, cache=True)
def project_rays(rows, columns, cosines, sines, distances_px, pixel_mm):
    """Joseph line integral of every ray; images carry a rim of one zero."""
    views, detectors = cosines.shape
    sinogram = np.zeros((views, detectors), np.float32)
    for v in prange(views):
        for d in range(detectors):
            c, s, away = cosines[v, d], sines[v, d], distances_px[v, d]
            if abs(c) >= abs(s):
                sinogram[v, d] = _ray(rows, c, s, away, pixel_mm)
            else:
                sinogram[v, d] = _ray(columns, s, c, away, pixel_mm)
    return sinogram


@njit(fastmath=True, cache=True)
def _ray(image, main, other, away, pixel_mm):
    """One ray that crosses every row of ``image``; ``away`` is its distance in pixels."""
    height, width = image.shape[0] - 2, image.shape[1] - 2
    slant = np.float32(-other / main)
    start = np.float32(away / main + (width - 1) / 2.0 + 1.0 + other / main * (height - 1) / 2.0)
    limit = np.float32(width + 1)
    total = np.float32(0.0)
    if abs(slant) < 1e-9:
        low, high = (0, height) if 0 <= start < limit else (0, 0)
    else:
        low, high = _inside(start, slant, limit, height)
    for y in range(low, high):
        x = start + np.float32(y) * slant
        i = np.int32(x)
        w = x - np.float32(i)
        total += image[y + 1, i] + w * (image[y + 1, i + 1] - image[y + 1, i])
    return total * np.float32(pixel_mm / abs(main))


@njit(parallel=True, fastmath=True, cache=True)
def spread_rays(sinogram, cosines, sines, distances_px, pixel_mm, height, width, parts):
    """Transpose of :func:`project_rays`: padded row and column images, one pair a part of views."""
    rows = np.zeros((parts, height + 2, width + 2), np.float32)
    columns = np.zeros((parts, width + 2, height + 2), np.float32)
    views, detectors = cosines.shape
    for part in prange(parts):
        for v in range(part, views, parts):
            for d in range(detectors):
                c, s, away = cosines[v, d], sines[v, d], distances_px[v, d]
                if abs(c) >= abs(s):
                    _spread(rows[part], sinogram[v, d], c, s, away, pixel_mm)
                else:
                    _spread(columns[part], sinogram[v, d], s, c, away, pixel_mm)
    return rows, columns


@njit(fastmath=True, cache=True)
def _spread(image, value, main, other, away, pixel_mm):
    """Add one ray to ``image`` with the weights of :func:`_ray`."""
    height, width = image.shape[0] - 2, image.shape[1] - 2
    slant = np.float32(-other / main)
    start = np.float32(away / main + (width - 1) / 2.0 + 1.0 + other / main * (height - 1) / 2.0)
    limit = np.float32(width + 1)
    value = value * np.float32(pixel_mm / abs(main))
    if abs(slant) < 1e-9:
        low, high = (0, height) if 0 <= start < limit else (0, 0)
    else:
        low, high = _inside(start, slant, limit, height)
    for y in range(low, high):
        x = start + np.float32(y) * slant
        i = np.int32(x)
        w = x - np.float32(i)
        image[y + 1, i] += value - w * value
        image[y + 1, i + 1] += w * value


@njit(parallel=True, fastmath=True, cache=True)
def backproject_fan(views, height, width, cosines, sines, source_px, step_rad):
    """Sum of filtered views over squared distance to the source, in pixels.

    ``views`` carry one zero in front and two behind.
    """
    image = np.zeros((height, width), np.float32)
    centre = (views.shape[1] - 4) / 2.0 + 1.0
    limit = views.shape[1] - 2
    for row in prange(height):
        y = row - (height - 1) / 2.0
        for v in range(views.shape[0]):
            c, s = cosines[v], sines[v]
            for column in range(width):
                x = column - (width - 1) / 2.0
                across = x * c + y * s
                along = source_px + x * s - y * c
                t = np.arctan2(across, along) / step_rad + centre
                if 0 <= t < limit:
                    i = int(t)
                    w = np.float32(t - i)
                    value = views[v, i] + w * (views[v, i + 1] - views[v, i])
                    image[row, column] += value / np.float32(across * across + along * along)
    return image

"""Regions of a slice: a disc, a box or a mask."""

from collections.abc import Sequence

import numpy as np

Region = np.ndarray | Sequence[float]


def region_mask(region: Region, shape: tuple[int, int]) -> np.ndarray:
    """Boolean mask of a region, shape (y, x).

    Parameters
    ----------
    region : (y, x, radius), (top, left, bottom, right) or a mask
        Pixels. A disc holds the pixels whose centre is at most ``radius`` away; a box leaves out
        its bottom row and right column, as Python slices do; a mask has the image's shape.
    shape : (y, x) of the image

    Raises
    ------
    ValueError
        The region is empty, reaches out of the image, or is none of the three.

    Examples
    --------
    >>> region_mask((2, 2, 1), (5, 5)).sum(), region_mask((0, 0, 2, 3), (5, 5)).sum()
    (np.int64(5), np.int64(6))
    """
    if isinstance(region, np.ndarray) and region.ndim == 2:
        if region.shape != tuple(shape) or not np.any(region):
            raise ValueError(
                f"a mask must have the image's shape {tuple(shape)} and hold a pixel, "
                f"got {region.shape} with {np.count_nonzero(region)}"
            )
        return region.astype(bool)
    numbers = [float(v) for v in region]
    if len(numbers) == 3:
        return _disc(*numbers, shape=shape)
    if len(numbers) == 4:
        return _box(numbers, shape)
    raise ValueError(
        f"a region is (y, x, radius), (top, left, bottom, right) or a mask, got {region!r}"
    )


def _disc(y: float, x: float, radius: float, *, shape: tuple[int, int]) -> np.ndarray:
    height, width = shape
    inside = radius <= y <= height - 1 - radius and radius <= x <= width - 1 - radius
    if not (radius >= 0 and inside):
        raise ValueError(
            f"a disc of radius {radius:g} px at y={y:g}, x={x:g} reaches out of the image "
            f"of {height} x {width} px"
        )
    rows, columns = np.mgrid[:height, :width]
    mask = (rows - y) ** 2 + (columns - x) ** 2 <= radius**2
    if not mask.any():
        raise ValueError(f"a disc of radius {radius:g} px holds no pixel centre; make it larger")
    return mask


def _box(numbers: list[float], shape: tuple[int, int]) -> np.ndarray:
    top, left, bottom, right = (int(v) for v in numbers)
    if not (0 <= top < bottom <= shape[0] and 0 <= left < right <= shape[1]):
        raise ValueError(
            f"a box (top, left, bottom, right) must lie in the image of {shape[0]} x {shape[1]} px "
            f"and hold a pixel, got {(top, left, bottom, right)}"
        )
    mask = np.zeros(shape, dtype=bool)
    mask[top:bottom, left:right] = True
    return mask

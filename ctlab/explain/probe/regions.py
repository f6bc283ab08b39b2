"""Regions of a slice: a disc, a box, a mask, an annotated nodule, a click in the viewer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

Region = np.ndarray | Sequence[float]


class HasCentre(Protocol):
    """An annotation: centre voxel (z, y, x) and diameter."""

    @property
    def centre(self) -> tuple[float, float, float]:
        """Voxel (z, y, x)."""

    @property
    def diameter_mm(self) -> float:
        """Diameter in mm."""


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
    return np.asarray(mask)


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


def region_of_nodule(
    nodule: HasCentre,
    number: int,
    shape: tuple[int, int],
    *,
    spacing_mm: Sequence[float],
) -> np.ndarray:
    """Mask of an annotated nodule on one slice, taken as a sphere.

    Parameters
    ----------
    nodule : with ``centre``, voxel (z, y, x), and ``diameter_mm``
        Such as :data:`ctlab.ct.SAMPLE_NODULE` or :class:`ctlab.ct.Lesion`.
    number : int
        Slice; 0 is the first.
    spacing_mm : (z, y, x)

    Raises
    ------
    ValueError
        The nodule does not reach the slice, or reaches out of it.

    Examples
    --------
    >>> from ctlab.ct import Lesion
    >>> ball = Lesion((5, 8, 8), 6.0, hu=40.0)
    >>> [region_of_nodule(ball, k, (17, 17), spacing_mm=(1, 1, 1)).sum().item() for k in (5, 8)]
    [29, 1]
    """
    z, y, x = (float(v) for v in nodule.centre)
    z_mm, y_mm, x_mm = (float(v) for v in spacing_mm)
    radius = nodule.diameter_mm / 2
    left_mm2 = radius**2 - ((number - z) * z_mm) ** 2
    if left_mm2 < 0:
        reach = radius / z_mm
        raise ValueError(
            f"the nodule lies on slices {np.ceil(z - reach):.0f} to {np.floor(z + reach):.0f}, "
            f"slice {number} is not one of them"
        )
    on_slice = float(np.sqrt(left_mm2))
    far = on_slice / y_mm, on_slice / x_mm
    if any(not (r <= c <= n - 1 - r) for c, r, n in zip((y, x), far, shape, strict=True)):
        raise ValueError(
            f"the nodule at y={y:g}, x={x:g} reaches out of the image of {shape[0]} x {shape[1]} px"
        )
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    mask = ((rows - y) * y_mm) ** 2 + ((columns - x) * x_mm) ** 2 <= left_mm2
    mask[round(y), round(x)] = True  # a nodule that only touches the slice is one pixel there
    return np.asarray(mask)


def region_of_click(
    marks: Sequence[Mapping[str, Any]],
    number: int,
    shape: tuple[int, int],
    *,
    spacing_mm: Sequence[float],
    radius_mm: float,
) -> np.ndarray:
    """Mask of the last place clicked on a slice in the viewer: a disc around it.

    Parameters
    ----------
    marks : list of dict with ``z, y, x``
        As :class:`ctlab.view.CompareViewer` keeps them, and as the reading room exports them.
    number : int
        Slice; clicks on others are passed over.
    spacing_mm : (z, y, x) or (y, x)
    radius_mm : of the disc

    Raises
    ------
    ValueError
        Nothing was clicked on this slice, or the disc reaches out of it.

    Examples
    --------
    >>> clicks = [{"side": "left", "z": 3, "y": 8, "x": 9, "kind": ""}]
    >>> region_of_click(clicks, 3, (17, 17), spacing_mm=(2, 1, 1), radius_mm=1).sum().item()
    5
    """
    here = [mark for mark in marks if int(mark["z"]) == number]
    if not here:
        others = sorted({int(mark["z"]) for mark in marks})
        there = f"clicks lie on {', '.join(map(str, others))}" if others else "there are no clicks"
        raise ValueError(f"nothing was clicked on slice {number}; {there}")
    if not radius_mm > 0:
        raise ValueError(f"the disc around a click needs a radius above 0 mm, got {radius_mm:g}")
    place = _Sphere((number, here[-1]["y"], here[-1]["x"]), 2 * radius_mm)
    return region_of_nodule(place, number, shape, spacing_mm=(1.0, *list(spacing_mm)[-2:]))


@dataclass(frozen=True)
class _Sphere:
    """A place and a size."""

    centre: tuple[float, float, float]
    diameter_mm: float

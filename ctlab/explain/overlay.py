"""A signed map over a slice: blue for below zero, orange for above, the slice always visible."""

import numpy as np

from ctlab.ct.hu import LUNG, Window

_BELOW = np.array([33.0, 102.0, 172.0])
_ABOVE = np.array([230.0, 97.0, 1.0])
"""Blue and orange, which colour-blind readers tell apart (Crameri et al. 2020,
doi 10.1038/s41467-020-19160-7, on why red and green will not do)."""


def signed_colours(signed: np.ndarray, *, largest: float | None = None) -> np.ndarray:
    """RGBA (y, x, 4), uint8: the sign as colour, the size as opacity, never fully opaque.

    Parameters
    ----------
    signed : ndarray, shape (y, x), any unit
    largest : float, optional
        Absolute value shown strongest; None takes the map's own largest.

    Examples
    --------
    >>> signed_colours(np.array([[0.0, 2.0, -1.0]]))[0, :, 3].tolist()
    [0, 166, 83]
    """
    top = float(np.abs(signed).max()) if largest is None else float(largest)
    size = np.zeros(np.shape(signed)) if top == 0 else np.clip(np.abs(signed) / top, 0, 1)
    colours = np.where(np.asarray(signed)[..., None] < 0, _BELOW, _ABOVE)
    return np.concatenate([colours, 255 * 0.65 * size[..., None]], axis=-1).round().astype(np.uint8)


def overlay_rgb(
    image_hu: np.ndarray,
    signed: np.ndarray,
    *,
    window: Window = LUNG,
    mask: np.ndarray | None = None,
    largest: float | None = None,
) -> np.ndarray:
    """Slice in grey with the map laid over it, and the region outlined; (y, x, 3) uint8.

    Parameters
    ----------
    image_hu, signed : ndarray, shape (y, x)
    mask : ndarray of bool, shape (y, x), optional
        Region to outline in white.
    largest : float, optional
        As for :func:`signed_colours`.
    """
    if np.shape(image_hu) != np.shape(signed):
        raise ValueError(f"slice is {np.shape(image_hu)}, map {np.shape(signed)}; use one grid")
    grey = window.render(image_hu)[..., None].astype(float).repeat(3, axis=-1)
    colours = signed_colours(signed, largest=largest).astype(float)
    opacity = colours[..., 3:] / 255
    shown = (1 - opacity) * grey + opacity * colours[..., :3]
    if mask is not None:
        shown[_outline(mask)] = 255
    return shown.round().astype(np.uint8)


def _outline(mask: np.ndarray) -> np.ndarray:
    """Pixels just outside a region, so that the region itself stays free."""
    from scipy.ndimage import binary_dilation

    return binary_dilation(mask, np.ones((3, 3), bool)) & ~mask

"""A signed map over a slice: blue for below zero, orange for above, the slice always visible."""

import numpy as np
from scipy.ndimage import binary_dilation

from ctlab.ct.hu import LUNG, Window

BELOW = np.array([33.0, 102.0, 172.0])
ABOVE = np.array([230.0, 97.0, 1.0])
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
    colours = np.where(np.asarray(signed)[..., None] < 0, BELOW, ABOVE)
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
        Region to outline.
    largest : float, optional
        As for :func:`signed_colours`.
    """
    if np.shape(image_hu) != np.shape(signed):
        raise ValueError(f"slice is {np.shape(image_hu)}, map {np.shape(signed)}; use one grid")
    grey = window.render(image_hu)[..., None].astype(float).repeat(3, axis=-1)
    colours = signed_colours(signed, largest=largest).astype(float)
    opacity = colours[..., 3:] / 255
    shown = (1 - opacity) * grey + opacity * colours[..., :3]
    if mask is not None:  # just outside, so that the region stays free; seen on black and white
        ring = np.ones((3, 3), bool)
        inner = binary_dilation(mask, ring)
        shown[binary_dilation(inner, ring) & ~inner] = 0
        shown[inner & ~mask] = 255
    return np.asarray(shown.round().astype(np.uint8))


def caption_below(rgb: np.ndarray, lines: list[str]) -> np.ndarray:
    """Picture with lines of white text on black beneath it, widened where the text needs it."""
    from PIL import Image, ImageDraw, ImageFont

    font = ImageFont.load_default(size=13)
    width = max(rgb.shape[1], 8 + max(int(font.getlength(line)) for line in lines))
    sheet = Image.new("RGB", (width, rgb.shape[0] + 18 * len(lines) + 6))
    sheet.paste(Image.fromarray(rgb))
    pen = ImageDraw.Draw(sheet)
    for k, line in enumerate(lines):
        pen.text((4, rgb.shape[0] + 3 + 18 * k), line, fill="white", font=font)
    return np.asarray(sheet)

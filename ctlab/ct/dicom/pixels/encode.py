"""HU to stored values: 16 signed bits, with a slope that fits or clamped to the usual one."""

import math

import numpy as np

from ctlab.console import Note

INTERCEPT_HU = -1024
"""Rescale intercept of written files; 16 signed bits then span -33792 to 31743 HU. A slice that
reaches further has a rescale of its own: :func:`rescale_of`."""

CLIP_HU = (-33792, 31743)
"""What 16 signed bits hold with that rescale: the range to which ``clip`` clamps."""

Rescale = tuple[int, int]
"""Slope and intercept: HU are slope x stored value + intercept."""


CLIPPED = f"; HU clamped to {CLIP_HU[0]} to {CLIP_HU[1]}"
"""What the description of such a series says."""


def count_beyond(hu: np.ndarray) -> int:
    """Pixels beyond :data:`CLIP_HU`, or at its ends."""
    return int(((hu <= CLIP_HU[0]) | (hu >= CLIP_HU[1])).sum())


def note_clipped(note: Note | None, pixels: int) -> None:
    """Tell how many pixels were clamped, if any."""
    if note is not None and pixels:
        low, high = CLIP_HU
        note(f"{pixels} pixels beyond {low} to {high} HU were clamped to that range")


def rescale_of(hu: np.ndarray) -> Rescale:
    """Slope and intercept by which 16 signed bits hold the HU of a slice; the usual one if it can.

    Examples
    --------
    >>> rescale_of(np.array([-1024.0, 3071.0])), rescale_of(np.array([-1024.0, 38000.0]))
    ((1, -1024), (1, 5233))
    """
    if not np.isfinite(hu).all():
        raise ValueError(
            "expected finite HU, got values that are infinite or no number; nothing was written"
        )
    low, high = math.floor(float(np.min(hu))), math.ceil(float(np.max(hu)))
    limits = np.iinfo(np.int16)
    if limits.min + INTERCEPT_HU <= low and high <= limits.max + INTERCEPT_HU:
        return 1, INTERCEPT_HU
    slope = max(1, math.ceil((high - low) / (limits.max - limits.min)))
    return slope, high - slope * limits.max


def stored_values(hu: np.ndarray, rescale: Rescale = (1, INTERCEPT_HU)) -> np.ndarray:
    """Stored values (int16) of HU, rounded to nearest.

    Raises
    ------
    ValueError
        Values are not finite or beyond what 16 bits hold by this rescale.

    Examples
    --------
    >>> stored_values(np.array([-1024.0, 0.4, 0.6]))
    array([   0, 1024, 1025], dtype=int16)
    """
    slope, intercept = rescale
    stored = np.rint((np.asarray(hu, np.float64) - intercept) / slope)
    limits = np.iinfo(np.int16)
    if not (np.isfinite(stored).all() and limits.min <= stored.min() <= stored.max() <= limits.max):
        raise ValueError(
            f"expected HU from {slope * limits.min + intercept} to {slope * limits.max + intercept}"
            f", which 16 bits hold, got {np.min(hu):.0f} to {np.max(hu):.0f}; use rescale_of"
        )
    return stored.astype(np.int16)

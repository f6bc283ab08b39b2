"""Teaching images, all from the packaged sample: one slice with a nodule, at any dose."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from scipy import ndimage

from ctlab.ct import Volume, load_sample, simulate_dose
from ctlab.ct.datasets.sample import SAMPLE_CREDIT, SAMPLE_NODULE
from ctlab.ct.simulation.calibration import calibrate
from ctlab.ct.tissue import body_mask, tissue_masks

CREDIT = f"{SAMPLE_CREDIT}."
CREDIT_LOW = f"Low dose simulated by CT Lab from {SAMPLE_CREDIT}."

LEFT_LUNG = (slice(160, 440), slice(210, 490))
"""Rows and columns of the nodule slice that show the left lung, the heart and the spine."""
AROUND_NODULE = (slice(327, 407), slice(276, 356))
"""Rows and columns of an 80-pixel square around the nodule."""


_NODULE_REACH_PX, _FEATHER_PX, _LUNG_SHIFT_PX = 27, 6, 70


def nodule_slice() -> Volume:
    """The slice through the middle of the sample's nodule, as a volume of one slice (1, y, x)."""
    volume = load_sample()
    z = SAMPLE_NODULE.centre[0]
    return replace(volume, hu=volume.hu[z : z + 1], sources=())


def dose_ladder(volume: Volume, fractions: Sequence[float], *, seed: int = 0) -> np.ndarray:
    """One slice at several doses: float32, shape (doses, y, x).

    All doses share their random numbers, so that only the dose changes from one to the next.
    The scanner is calibrated on the volume once.

    Parameters
    ----------
    volume : one slice, shape (1, y, x)
    fractions : doses relative to the volume's own, each above 0 and at most 1
    """
    if volume.shape[0] != 1:
        raise ValueError(f"a dose ladder is made of one slice, got {volume.shape[0]}")
    scanner = calibrate(volume)
    rungs = [
        simulate_dose(volume, fraction, rng=np.random.default_rng(seed), scanner=scanner).hu[0]
        for fraction in fractions
    ]
    return np.stack(rungs)


def without_nodule(volume: Volume) -> np.ndarray:
    """The nodule slice with lung in the nodule's place: float32, shape (y, x).

    Lung from 70 rows further forward, in the same slice, is blended in within 24 pixels of the
    nodule's centre. Nobody could see from the image alone that something is missing, which is
    what makes it a teaching image.
    """
    image = volume.hu[0]
    _, row, column = SAMPLE_NODULE.centre
    y, x = np.ogrid[: image.shape[0], : image.shape[1]]
    distance = np.hypot(y - row, x - column)
    blend = np.clip((_NODULE_REACH_PX - distance) / _FEATHER_PX, 0.0, 1.0)
    lung = np.roll(image, _LUNG_SHIFT_PX, axis=0)
    # Only what is denser than the lung that comes instead is nodule; the rest stays.
    return np.asarray(image + blend * np.minimum(lung - image, 0.0), np.float32)


def frame_of_lung(hu: np.ndarray, *, side_px: int = 240) -> tuple[slice, slice]:
    """Rows and columns around the largest lung of a slice (y, x); around the body without one.

    Examples
    --------
    >>> hu = np.full((300, 300), -1000.0)
    >>> hu[20:280, 20:280] = 40.0
    >>> hu[100:200, 150:250] = -850.0
    >>> frame_of_lung(hu, side_px=100)
    (slice(100, 200, None), slice(150, 250, None))
    """
    body = body_mask(hu)
    lung = tissue_masks(hu)["lung"] & body
    labels, count = ndimage.label(lung)
    if count:
        lung = labels == 1 + int(np.argmax(np.bincount(labels.ravel())[1:]))
    shown = lung if count else body if body.any() else np.ones(hu.shape, bool)
    frame = []
    for where, size in zip(np.nonzero(shown), hu.shape, strict=True):
        side = min(side_px, size)
        middle = (int(where.min()) + int(where.max()) + 1) // 2
        start = int(np.clip(middle - side // 2, 0, size - side))
        frame.append(slice(start, start + side))
    return frame[0], frame[1]

"""What the network took away, with a calibrated bound on what it may have got wrong on top.

The plain difference asks no target and no network, and is the yardstick of every map. By itself it
says how much changed, not how much of that was anatomy; a bound calibrated on patients whose truth
is known (:func:`ctlab.assess.calibrate_risk`) says how large the error may be, and for whom.
"""

from dataclasses import dataclass
from textwrap import wrap

import numpy as np
from scipy.ndimage import gaussian_filter

from ctlab.assess import RiskLimit, risk_maps
from ctlab.ct.hu import LUNG, Window
from ctlab.explain.overlay import caption_below, overlay_rgb

SMOOTHING_PX = 2.0


@dataclass(frozen=True)
class ChangeWithRisk:
    """Input minus output, and how much structure may have been added and removed there.

    Attributes
    ----------
    image_hu, removed_hu : ndarray, HU, shape (y, x)
        The noisy slice; and it minus the output: above zero where the network lowered HU.
    may_be_added_hu, may_be_removed_hu : ndarray, HU, shape (y, x)
        Bounds on the error either way.
    sentence : str
        What the bounds promise, and of which population; belongs under every picture.
    """

    image_hu: np.ndarray
    removed_hu: np.ndarray
    may_be_added_hu: np.ndarray
    may_be_removed_hu: np.ndarray
    sentence: str

    def beyond(self, hu: float) -> np.ndarray:
        """Mask of where either bound exceeds ``hu``: there an error of that size is not ruled out.

        Raises
        ------
        ValueError
            ``hu`` is not above 0.
        """
        if not hu > 0:
            raise ValueError(f"an error to rule out is above 0 HU, got {hu:g}")
        return np.asarray(np.maximum(self.may_be_added_hu, self.may_be_removed_hu) > hu)

    def picture(self, hu: float, *, window: Window = LUNG) -> np.ndarray:
        """The slice, the change as signed colours on it, and outlines of :meth:`beyond`; RGB.

        Under it stand the scale, the window and what the bounds promise.
        """
        rgb = overlay_rgb(self.image_hu, self.removed_hu, window=window, mask=self.beyond(hu))
        top = float(np.abs(self.removed_hu).max())
        words = f"orange was lowered, blue raised by the network; strongest colour {top:.3g} HU; "
        words += f"outlined: an error of {hu:g} HU is not ruled out ({window}). {self.sentence}"
        zoom = max(1, 512 // rgb.shape[1])
        large = rgb.repeat(zoom, axis=0).repeat(zoom, axis=1)
        return caption_below(large, wrap(words, large.shape[1] // 7))


def change_with_risk(
    image_hu: np.ndarray,
    output_hu: np.ndarray,
    added: RiskLimit,
    removed: RiskLimit,
    *,
    score: np.ndarray | None = None,
) -> ChangeWithRisk:
    """The difference of input and output with calibrated bounds on structure added and removed.

    Parameters
    ----------
    image_hu, output_hu : ndarray, HU, shape (y, x)
    added, removed : RiskLimit
        Calibrated with the same score, on patients like this one.
    score : ndarray, shape (y, x), optional
        Where the denoiser is unsure; default the size of the change, smoothed over
        :data:`SMOOTHING_PX`, as in the passport's score ``residual, smoothed``.

    Raises
    ------
    ValueError
        Shapes differ, or the limits speak of different populations.

    Notes
    -----
    The bounds hold for a share of a patient's voxels, on average or with a probability, as the
    sentence says. They are no promise about a single voxel or a single nodule.

    Examples
    --------
    A denoiser is unsure by 10 HU; calibration on 40 patients gave factors 2 and 0.5:

    >>> added = RiskLimit(2.0, 0.1, "crc", None, 40, "simulated population", 0.08)
    >>> removed = RiskLimit(0.5, 0.1, "crc", None, 40, "simulated population", 0.08)
    >>> image, score = np.full((8, 9), 30.0), np.full((8, 9), 10.0)
    >>> result = change_with_risk(image, image - 5, added, removed, score=score)
    >>> float(result.may_be_added_hu[4, 4]), float(result.may_be_removed_hu[4, 4])
    (20.0, 5.0)
    """
    image, output = (np.asarray(a, dtype=np.float32) for a in (image_hu, output_hu))
    if image.ndim != 2 or image.shape != output.shape:
        raise ValueError(f"expected two slices of one shape, got {image.shape} and {output.shape}")
    change = image - output
    doubt = gaussian_filter(np.abs(change), SMOOTHING_PX) if score is None else np.asarray(score)
    if doubt.shape != image.shape:
        raise ValueError(f"the score is {doubt.shape}, the slice {image.shape}; use one grid")
    bounds = risk_maps(doubt, added, removed)
    added_hu, removed_hu = (np.asarray(bounds[n]) for n in ("added_hu", "removed_hu"))
    return ChangeWithRisk(image, change, added_hu, removed_hu, str(bounds["sentence"]))

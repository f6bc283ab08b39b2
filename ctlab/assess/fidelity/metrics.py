"""Full-reference metrics in HU, with the range or window always said by the caller.

The reference is itself a noisy scan: every figure here measures the distance to that scan, not
to the patient. :func:`ctlab.assess.evaluate_volume` prints the reference's noise beside them,
and only noise-free phantoms give figures free of it.
"""

import math
from collections.abc import Callable

import numpy as np

from ctlab.assess.fidelity._ssim_kernels import MS_WEIGHTS, TAPS, ms_ssim_grey, ssim_grey
from ctlab.assess.fidelity.vif_gmsd import VIF_SMALLEST_PX, gmsd_plane, vif_plane
from ctlab.ct.hu import CHEST as CHEST
from ctlab.ct.hu import PROTOCOL_WINDOWS as PROTOCOL_WINDOWS
from ctlab.ct.hu import Window

Range = tuple[float, float]
"""Lowest and highest value, HU."""

PROTOCOL_CLIP_HU = (-1024.0, 1900.0)
"""HU interval on which that benchmark takes RMSE and VIF (stored values 0 to 2924)."""


def rmse_hu(
    reference: np.ndarray,
    image: np.ndarray,
    *,
    clip_hu: Range | None = None,
    mask: np.ndarray | None = None,
) -> float:
    """Root mean square error in HU; 0 for identical images.

    Parameters
    ----------
    reference, image : ndarray, HU, same shape
    clip_hu : (low, high), optional
        Both images are clipped to it first, for instance :data:`PROTOCOL_CLIP_HU`.
    mask : ndarray of bool, same shape, optional
        Where to look; an empty mask is refused.

    Examples
    --------
    >>> rmse_hu(np.zeros((2, 2)), np.array([[6.0, 8.0], [0.0, 0.0]]))
    5.0
    """
    return math.sqrt(_mean_of(np.square, reference, image, clip_hu, mask))


def mae_hu(
    reference: np.ndarray,
    image: np.ndarray,
    *,
    clip_hu: Range | None = None,
    mask: np.ndarray | None = None,
) -> float:
    """Mean absolute error in HU; parameters as in :func:`rmse_hu`.

    Examples
    --------
    >>> mae_hu(np.zeros((2, 2)), np.array([[6.0, -8.0], [0.0, 0.0]]))
    3.5
    """
    return _mean_of(np.abs, reference, image, clip_hu, mask)


def bias_hu(
    reference: np.ndarray,
    image: np.ndarray,
    *,
    clip_hu: Range | None = None,
    mask: np.ndarray | None = None,
) -> float:
    """Mean of image minus reference in HU; parameters as in :func:`rmse_hu`.

    Examples
    --------
    >>> bias_hu(np.zeros((2, 2)), np.array([[6.0, -8.0], [0.0, 0.0]]))
    -0.5
    """
    return _mean_of(np.positive, reference, image, clip_hu, mask)


def psnr_db(
    reference: np.ndarray,
    image: np.ndarray,
    *,
    range_hu: float | None = None,
    window: Window | None = None,
    mask: np.ndarray | None = None,
) -> float:
    """Peak signal-to-noise ratio in dB; infinite for identical images.

    Parameters
    ----------
    reference, image : ndarray, HU, same shape
    range_hu : float
        HU width counted as "peak". It sets the scale of the result, so there is no default.
    window : Window
        Instead of ``range_hu``: both images are clipped to the window, whose width is the peak.
    mask : ndarray of bool, same shape, optional

    Raises
    ------
    ValueError
        Both or neither of ``range_hu`` and ``window``, shapes that differ, NaN, an empty mask.

    Examples
    --------
    >>> psnr_db(np.zeros((8, 8)), np.full((8, 8), 20.0), range_hu=2000.0)
    40.0
    >>> psnr_db(np.zeros((8, 8)), np.full((8, 8), 3000.0), window=CHEST)
    20.0
    """
    peak, clip_hu = _peak(range_hu, window)
    error = rmse_hu(reference, image, clip_hu=clip_hu, mask=mask)
    return math.inf if error == 0 else 20.0 * math.log10(peak / error)


def ssim(
    reference: np.ndarray,
    image: np.ndarray,
    *,
    range_hu: float | None = None,
    window: Window | None = None,
) -> float:
    """Structural similarity, 1 for identical images; mean over slices for a volume.

    Gaussian window of 11 taps and sigma 1.5 px, as published (see
    :func:`ctlab.assess.fidelity._ssim_kernels.ssim_grey`). scikit-image's default window is
    another one and gives another value.

    Parameters
    ----------
    reference, image : ndarray, HU, shape (y, x) or (z, y, x), 11 x 11 or more in plane
    range_hu, window : as in :func:`psnr_db`

    Examples
    --------
    Two constant images differ in luminance only, (2 * 100 * 200 + c) / (100^2 + 200^2 + c):

    >>> round(ssim(np.full((11, 11), 100.0), np.full((11, 11), 200.0), range_hu=1000.0), 6)
    0.800399
    """
    reference, image, peak = _scaled(reference, image, range_hu, window)
    return _mean_over_slices(ssim_grey, reference, image, peak, TAPS)


def ms_ssim(
    reference: np.ndarray,
    image: np.ndarray,
    *,
    range_hu: float | None = None,
    window: Window | None = None,
) -> float:
    """Multi-scale SSIM over five scales; mean over slices for a volume.

    Parameters
    ----------
    reference, image : ndarray, HU, shape (y, x) or (z, y, x), 176 x 176 or more in plane
    range_hu, window : as in :func:`psnr_db`
    """
    reference, image, peak = _scaled(reference, image, range_hu, window)
    smallest = TAPS * 2 ** (len(MS_WEIGHTS) - 1)
    return _mean_over_slices(ms_ssim_grey, reference, image, peak, smallest)


def vif(
    reference: np.ndarray,
    image: np.ndarray,
    *,
    clip_hu: tuple[float, float] = PROTOCOL_CLIP_HU,
) -> float:
    """Visual information fidelity (pixel domain); 1 for identical images, mean over slices.

    Of nine metrics it agreed best with readers of CT (J Digit Imaging 2023,
    doi 10.1007/s10278-023-00875-0; noise and blur only, no networks).

    Parameters
    ----------
    reference, image : ndarray, HU, shape (y, x) or (z, y, x), 41 x 41 or more in plane
    clip_hu : (low, high)
        Both are clipped to it first. NaN where the clipped reference is constant and the image
        is not the same: a constant holds no information that could be kept.
    """
    reference, image = _pair(reference, image, clip_hu)
    return _mean_over_slices(
        lambda a, b, _: vif_plane(a, b), reference, image, 0.0, VIF_SMALLEST_PX
    )


def gmsd(
    reference: np.ndarray,
    image: np.ndarray,
    *,
    range_hu: float | None = None,
    window: Window | None = None,
) -> float:
    """Gradient magnitude similarity deviation, 0 for identical images; mean over slices.

    Parameters
    ----------
    reference, image : ndarray, HU, shape (y, x) or (z, y, x), 8 x 8 or more in plane
    range_hu, window : as in :func:`psnr_db`
    """
    reference, image, peak = _scaled(reference, image, range_hu, window)
    return _mean_over_slices(gmsd_plane, reference, image, peak, 8)


def _mean_of(
    function: Callable[[np.ndarray], np.ndarray],
    reference: np.ndarray,
    image: np.ndarray,
    clip_hu: Range | None,
    mask: np.ndarray | None,
) -> float:
    """Mean of a function of image minus reference; slice by slice, so that volumes cost little."""
    reference, image = np.asarray(reference), np.asarray(image)
    _check_pair(reference, image, clip_hu)
    inside = np.ones((), dtype=bool) if mask is None else np.asarray(mask, dtype=bool)
    if mask is not None and (inside.shape != reference.shape or not inside.any()):
        raise ValueError(
            f"the mask must have the images' shape {reference.shape} and hold at least one pixel, "
            f"got shape {inside.shape} with {int(inside.sum())}"
        )
    inside = np.broadcast_to(inside, reference.shape)
    if reference.ndim < 3:
        reference, image, inside = reference[None], image[None], inside[None]
    total, count = 0.0, 0
    for before, after, here in zip(reference, image, inside, strict=True):
        planes = [plane.astype(np.float64) for plane in (before, after)]
        _check_finite(*planes)
        if clip_hu is not None:
            planes = [np.clip(plane, *clip_hu) for plane in planes]
        values = (planes[1] - planes[0])[here]
        total, count = total + float(function(values).sum()), count + values.size
    return total / count


def _pair(
    reference: np.ndarray, image: np.ndarray, clip_hu: Range | None
) -> tuple[np.ndarray, np.ndarray]:
    """Both as floats of equal kind, checked and clipped."""
    reference, image = np.asarray(reference), np.asarray(image)
    kind = np.result_type(reference, image)
    if kind != np.float32:
        kind = np.dtype(np.float64)
    reference, image = reference.astype(kind, copy=False), image.astype(kind, copy=False)
    _check_pair(reference, image, clip_hu)
    _check_finite(reference, image)
    if clip_hu is not None:
        reference, image = np.clip(reference, *clip_hu), np.clip(image, *clip_hu)
    return reference, image


def _check_pair(reference: np.ndarray, image: np.ndarray, clip_hu: Range | None) -> None:
    if reference.shape != image.shape:
        raise ValueError(
            f"reference is {reference.shape}, image {image.shape}; bring both to one grid"
        )
    if reference.size == 0:
        raise ValueError("the images are empty")
    if clip_hu is not None and not clip_hu[0] < clip_hu[1]:
        raise ValueError(f"clip_hu must be (low, high) with low < high, got {clip_hu}")


def _check_finite(reference: np.ndarray, image: np.ndarray) -> None:
    # A sum is finite only if every term is, and costs a tenth of looking at each.
    if not (np.isfinite(reference.sum()) and np.isfinite(image.sum())):
        raise ValueError("the images hold NaN or infinite HU; mask or replace them first")


def _peak(range_hu: float | None, window: Window | None) -> tuple[float, Range | None]:
    """The peak in HU, and what to clip to if a window is given."""
    if (range_hu is None) == (window is None):
        raise ValueError(
            "pass either range_hu= or window=, not both and not neither: "
            "the result depends on it and it is never taken from the image"
        )
    if window is not None:
        return window.width_hu, (window.low_hu, window.high_hu)
    if range_hu is None or not 0 < range_hu < math.inf:
        raise ValueError(f"range_hu must be above 0 HU, got {range_hu}")
    return float(range_hu), None


def _scaled(
    reference: np.ndarray, image: np.ndarray, range_hu: float | None, window: Window | None
) -> tuple[np.ndarray, np.ndarray, float]:
    """Both images, clipped to the window if one is given, and the peak in HU."""
    peak, clip_hu = _peak(range_hu, window)
    reference, image = _pair(reference, image, clip_hu)
    return reference, image, peak


def _mean_over_slices(
    function: Callable[[np.ndarray, np.ndarray, float], float],
    reference: np.ndarray,
    image: np.ndarray,
    peak: float,
    smallest_px: int,
) -> float:
    if reference.ndim not in (2, 3) or min(reference.shape[-2:]) < smallest_px:
        raise ValueError(
            f"expected (y, x) or (z, y, x) with {smallest_px} pixels or more in plane, "
            f"got {reference.shape}"
        )
    if reference.ndim == 2:
        return float(function(reference, image, peak))
    return float(np.mean([function(a, b, peak) for a, b in zip(reference, image, strict=True)]))

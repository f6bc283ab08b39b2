"""Hidden information: what a denoised image still holds of the noise and anatomy it lost.

Networks trained for cycle consistency learn to write what they removed into the image in
amplitudes nobody sees, so that it can be put back (Chu et al. 2017, arXiv 1712.02950). Then "the
noise is gone" is not true, and neither is "the lesion is gone".
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import ndimage

from ctlab.assess.spectra import as_rois, same_shape

Decoder = Callable[[np.ndarray], np.ndarray]
"""From a denoised image ``(y, x)`` in HU to what was removed from it, in HU."""


def hidden_information(
    denoised: np.ndarray,
    removed: np.ndarray,
    *,
    decode: Decoder | None = None,
    roundings_hu: Sequence[float] = (1.0, 4.0, 16.0),
    reach_px: int = 3,
    period_px: int = 2,
) -> pd.DataFrame:
    """Share of the removed part that can be recovered from the denoised image after rounding.

    The first half of the images trains a decoder, the second half tests it: for each position in
    a lattice of ``period_px`` a linear filter over the neighbourhood, which finds carriers at the
    frequencies that strided convolutions write. What survives coarse rounding stands in the open
    (noise left behind predicts noise removed); what is lost between the finest and the coarsest
    row was hidden in small amplitudes.

    Parameters
    ----------
    denoised : ndarray, shape (n, y, x), HU, as written to DICOM
    removed : ndarray, same shape, HU
        ``input - denoised`` for noise; ``clean - denoised clean`` for anatomy.
    decode : function, optional
        A decoder to be tried in place of the trained one: the cycle's other generator, less its
        input.
    roundings_hu : sequence
        1 HU is what DICOM stores at slope 1.
    reach_px : int
        Half width of the trained filters.
    period_px : int
        2 to 4; strides of the network multiply.

    Returns
    -------
    DataFrame
        One row per rounding: ``rounding_hu, r2`` (share of variance recovered on unseen images;
        slightly below 0 where there is nothing, because weights are trained on noise),
        ``r2_null`` (same, trained on and tested against the removed part of another image),
        ``recovered_hu`` (SD of what was recovered) and ``bits_per_pixel`` (``-log2(1 - r2) / 2``,
        a lower bound for Gaussian noise).

    Raises
    ------
    ValueError
        Shapes differ, fewer than 4 images, or too few pixels to train on.

    Examples
    --------
    A "denoiser" that only halves the noise leaves all of it recoverable, in the open:

    >>> noise = np.random.default_rng(0).normal(0, 20, (8, 24, 24))
    >>> table = hidden_information(0.5 * noise, 0.5 * noise)
    >>> table.r2.round(2).tolist()
    [1.0, 0.99, 0.79]
    """
    denoised = as_rois(denoised, name="denoised", least=4)
    removed = as_rois(removed, name="removed", least=4)
    same_shape(denoised, removed, "denoised and removed")
    if min(denoised.shape[1:]) < 2 * reach_px + period_px + 1 or reach_px < 0 or period_px < 1:
        raise ValueError(
            f"images of {denoised.shape[1:]} px are too small for filters that reach {reach_px} px"
        )
    rows = []
    for rounding in roundings_hu:
        stored = np.rint(denoised / rounding) * rounding
        r2 = [
            _recovered(stored, target, decode, reach_px, period_px)
            for target in (removed, np.roll(removed, 1, axis=0))
        ]
        seen = min(max(r2[0], 0.0), 1 - 1e-12)
        half = len(removed) // 2
        rows.append(
            {
                "rounding_hu": float(rounding),
                "r2": r2[0],
                "r2_null": r2[1],
                "recovered_hu": float(np.sqrt(seen) * removed[half:].std()),
                "bits_per_pixel": float(-0.5 * np.log2(1 - seen)),
            }
        )
    return pd.DataFrame(rows)


@dataclass(frozen=True)
class HiddenExhibit:
    """One image that looks denoised and carries its noise, beside one that does not.

    Attributes
    ----------
    innocent, carrying, revealed : ndarray, shape (..., y, x), HU
        Denoised; the same with the hidden message, rounded to 1 HU; the message read back.
    message : ndarray
        What was hidden: the removed part, low-passed.
    amplitude_hu : float
        SD of the difference between ``carrying`` and ``innocent``.
    """

    innocent: np.ndarray
    carrying: np.ndarray
    message: np.ndarray
    revealed: np.ndarray
    amplitude_hu: float


def hidden_exhibit(
    denoised: np.ndarray, removed: np.ndarray, *, amplitude_hu: float = 2.0, blur_px: float = 1.5
) -> HiddenExhibit:
    """Write the removed part into a denoised image as a faint chequerboard, and read it back.

    The message rides on the highest frequency of the image, where neither eye nor window shows 2
    HU; taking off the blurred image, multiplying by the same chequerboard and blurring reads it.

    Parameters
    ----------
    denoised, removed : ndarray, shape (y, x) or (n, y, x), HU
    amplitude_hu : float
        SD of the carrier.
    blur_px : float
        Detail of the message that is given up, so that it does not overlap the image.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> shown = hidden_exhibit(np.full((64, 64), -800.0), rng.normal(0, 30, (64, 64)))
    >>> float(np.corrcoef(shown.revealed.ravel(), shown.message.ravel())[0, 1]) > 0.95
    True
    """
    same_shape(denoised, removed, "denoised and removed")
    if not amplitude_hu > 0:
        raise ValueError(f"amplitude_hu must be above 0 HU, got {amplitude_hu}")
    plane = [0.0] * (np.ndim(denoised) - 2) + [blur_px] * 2
    message = ndimage.gaussian_filter(np.asarray(removed, float), plane, mode="wrap")
    if not message.std() > 0:
        raise ValueError("nothing was removed; there is no message to hide")
    y, x = np.indices(np.shape(denoised)[-2:])
    carrier = np.where((y + x) % 2 == 0, 1.0, -1.0)
    factor = amplitude_hu / message.std()
    innocent = np.asarray(denoised, float)
    carrying = np.rint(innocent + factor * message * carrier)
    detail = carrying - ndimage.gaussian_filter(carrying, plane, mode="wrap")
    reader = [0.5 * blur for blur in plane]  # as narrow as keeps the image's own detail out
    revealed = ndimage.gaussian_filter(detail * carrier, reader, mode="wrap") / factor
    return HiddenExhibit(innocent, carrying, message, revealed, float(amplitude_hu))


def _recovered(stored, target, decode, reach_px: int, period_px: int) -> float:
    """Share of the target's variance that the decoder explains on the second half."""
    half = len(stored) // 2
    if decode is not None:
        inside = np.s_[half:]
        guess = np.stack([decode(image) for image in stored[inside]])
        truth = target[inside]
        return float(1 - np.sum((truth - guess) ** 2) / np.sum((truth - truth.mean()) ** 2))
    error, total = 0.0, 0.0
    for oy in range(period_px):
        for ox in range(period_px):
            train, test = (
                _samples(stored[part], target[part], (oy, ox), reach_px, period_px)
                for part in (np.s_[:half], np.s_[half:])
            )
            weights, centre, level = _ridge(*train)
            guess = (test[0] - centre) @ weights + level
            error += np.sum((test[1] - guess) ** 2)
            total += np.sum((test[1] - target[half:].mean()) ** 2)
    if total == 0:
        raise ValueError("nothing was removed from the second half of the images")
    return float(1 - error / total)


def _samples(images, target, offset, reach_px: int, period_px: int):
    """Neighbourhoods (samples, pixels) and their target values at one lattice position."""
    side = 2 * reach_px + 1
    views = np.lib.stride_tricks.sliding_window_view(images, (side, side), axis=(1, 2))
    lattice = np.s_[:, offset[0] :: period_px, offset[1] :: period_px]
    inner = target[:, reach_px : target.shape[1] - reach_px, reach_px : target.shape[2] - reach_px]
    return views[lattice].reshape(-1, side * side), inner[lattice].ravel()


def _ridge(features: np.ndarray, values: np.ndarray):
    """Weights of a barely regularised linear regression, with the means it works around."""
    if len(values) < 4 * features.shape[1]:
        raise ValueError(
            f"{len(values)} pixels are too few to train {features.shape[1]} weights; pass more or "
            f"larger images, or a smaller reach_px"
        )
    centre, level = features.mean(axis=0), values.mean()
    moved = features - centre
    gram = moved.T @ moved
    gram[np.diag_indices_from(gram)] += 1e-9 * np.trace(gram) / len(gram) + 1e-12
    return np.linalg.solve(gram, moved.T @ (values - level)), centre, level

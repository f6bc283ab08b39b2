"""Hidden information: what a denoised image still holds of the noise and anatomy it lost.

Networks trained for cycle consistency learn to write what they removed into the image in
amplitudes nobody sees, so that it can be put back (Chu et al. 2017, arXiv 1712.02950). Then "the
noise is gone" is not true, and neither is "the lesion is gone".
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import ndimage

from ctlab.ct.spectra import as_rois, same_shape

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
    >>> table.r2.round(1).tolist()
    [1.0, 1.0, 0.8]
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
        r2 = [
            _recovered(_Pairs(denoised, removed, rounding, shift), decode, reach_px, period_px)
            for shift in (0, 1)
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


@dataclass(frozen=True)
class _Pairs:
    """Images as stored and what to find in them, one pair at a time: series may be long."""

    denoised: np.ndarray
    removed: np.ndarray
    rounding: float
    shift: int  # images between the stored one and the one whose removed part is sought

    def __len__(self) -> int:
        return len(self.denoised)

    def __getitem__(self, k: int) -> tuple[np.ndarray, np.ndarray]:
        stored = np.rint(self.denoised[k] / self.rounding) * self.rounding
        return stored, self.removed[k - self.shift]


def _recovered(pairs: _Pairs, decode: Decoder | None, reach_px: int, period_px: int) -> float:
    """Share of the target's variance that the decoder explains on the second half."""
    half = len(pairs) // 2
    second = range(half, len(pairs))
    level = float(np.mean([pairs[k][1].mean() for k in second]))
    error, total = 0.0, 0.0
    if decode is not None:
        for stored, truth in map(pairs.__getitem__, second):
            error += np.sum((truth - decode(stored)) ** 2)
            total += np.sum((truth - level) ** 2)
        return float(1 - error / total)
    for offset in np.ndindex(period_px, period_px):
        weights, at_zero = _ridge(
            _samples(*pairs[k], offset, reach_px, period_px) for k in range(half)
        )
        for k in second:
            features, truth = _samples(*pairs[k], offset, reach_px, period_px)
            error += np.sum((truth - features @ weights - at_zero) ** 2)
            total += np.sum((truth - level) ** 2)
    if total == 0:
        raise ValueError("nothing was removed from the second half of the images")
    return float(1 - error / total)


def _samples(
    image: np.ndarray, target: np.ndarray, offset: tuple[int, ...], reach_px: int, period_px: int
) -> tuple[np.ndarray, np.ndarray]:
    """Neighbourhoods (samples, pixels) and their target values at one lattice position."""
    side = 2 * reach_px + 1
    views = np.lib.stride_tricks.sliding_window_view(image, (side, side))
    lattice = np.s_[offset[0] :: period_px, offset[1] :: period_px]
    inner = target[reach_px : target.shape[0] - reach_px, reach_px : target.shape[1] - reach_px]
    return views[lattice].reshape(-1, side * side), inner[lattice].ravel()


def _ridge(parts: Iterable[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, float]:
    """Weights and constant of a barely regularised linear regression, from sums over the parts.

    All is taken less the first part's means, so that sums of squares keep their digits.
    """
    count, shift, total, squares = 0, np.zeros(0), np.zeros(0), np.zeros((0, 0))
    for features, values in parts:
        both = np.column_stack([features, values])
        if count == 0:
            shift = both.mean(axis=0)
            total, squares = np.zeros(len(shift)), np.zeros((len(shift), len(shift)))
        both -= shift
        count += len(both)
        total += both.sum(axis=0)
        squares += both.T @ both
    if count < 4 * (len(shift) - 1):
        raise ValueError(
            f"{count} pixels are too few to train {len(shift) - 1} weights; pass more or "
            f"larger images, or a smaller reach_px"
        )
    mean = total / count
    moments = squares - count * np.outer(mean, mean)
    gram = moments[:-1, :-1]
    gram[np.diag_indices_from(gram)] += 1e-9 * np.trace(gram) / len(gram) + 1e-12
    weights = np.linalg.solve(gram, moments[:-1, -1])
    centre = mean + shift
    return weights, float(centre[-1] - centre[:-1] @ weights)

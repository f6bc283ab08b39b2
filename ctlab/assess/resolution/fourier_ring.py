"""Agreement of structure by frequency: Fourier ring correlation, ring gain, and their scan.

The correlation of a ring is divided by the power in it, so FRC cannot see that amplitude was
lost: an isotropic blur leaves it at 1. The ring gain is the second curve that does.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from ctlab.ct.spectra import (
    Spacing,
    as_rois,
    frequency_per_mm,
    half_plane,
    ring_index,
    ring_sum,
    roi_spectra,
    same_shape,
)


@dataclass(frozen=True)
class RingAgreement:
    """How an image agrees with a reference, ring by ring.

    Attributes
    ----------
    frequency_per_mm : ndarray, shape (k,)
    frc : ndarray, shape (k,)
        ``Re sum F1 F2* / sqrt(sum |F1|^2 sum |F2|^2)``, -1 to 1; NaN where a ring is empty.
    gain : ndarray, shape (k,)
        Power gain ``sqrt(P_image / P_reference)``: noise counts.
    cross_gain : ndarray, shape (k,)
        ``Re sum F2 F1* / sum |F1|^2``: gain of what the two share; noise of the image drops out,
        noise of the reference lowers it by ``SNR / (1 + SNR)``.
    n_bins : ndarray of int, shape (k,)
        For independent images FRC scatters around 0 with SD ``1 / sqrt(n_bins)``.
    """

    frequency_per_mm: np.ndarray
    frc: np.ndarray
    gain: np.ndarray
    cross_gain: np.ndarray
    n_bins: np.ndarray

    def cutoff_per_mm(self, threshold: float = 0.5) -> float:
        """Frequency where the FRC first falls below ``threshold``; the last one if it never does.

        Between the neighbouring rings it is interpolated linearly.

        Examples
        --------
        >>> image = np.random.default_rng(0).normal(0, 10, (32, 32))
        >>> frc(image, image, 0.5).cutoff_per_mm() > 0.9  # it agrees with itself to the last ring
        True
        """
        below = np.flatnonzero(np.nan_to_num(self.frc, nan=1.0) < threshold)
        if len(below) == 0:
            return float(self.frequency_per_mm[-1])
        i = int(below[0])
        if i == 0:
            return float(self.frequency_per_mm[0])
        part = (self.frc[i - 1] - threshold) / (self.frc[i - 1] - self.frc[i])
        step = self.frequency_per_mm[i] - self.frequency_per_mm[i - 1]
        return float(self.frequency_per_mm[i - 1] + part * step)

    def frame(self) -> pd.DataFrame:
        """Tidy table, one row per ring."""
        return pd.DataFrame(vars(self))


def frc(
    a: np.ndarray, b: np.ndarray, spacing_mm: Spacing, *, window: str = "none"
) -> RingAgreement:
    """Fourier ring correlation and ring gain of image ``b`` against reference ``a``.

    Parameters
    ----------
    a, b : ndarray, shape (y, x), HU
        Less their mean. For a resolution the two need independent noise; for structure compare a
        denoised image with an independent full-dose scan or a noise-free phantom.
    spacing_mm : float, (y, x) or (z, y, x)
    window : {"none", "hann"}
        ``hann`` for crops of real images, whose borders would correlate; it makes neighbouring
        bins dependent, so that chance values scatter more than ``1 / sqrt(n_bins)``.

    Returns
    -------
    RingAgreement

    Notes
    -----
    Saxton and Baumeister, J Microsc 127:127 (1982), doi 10.1111/j.1365-2818.1982.tb00405.x. Two
    images of equal signal-to-noise ratio in a ring have ``SNR / (1 + SNR)`` there.

    Examples
    --------
    A gain of 3 leaves the correlation at 1:

    >>> image = np.random.default_rng(0).normal(size=(16, 16))
    >>> ring = frc(image, 3 * image, 0.7)
    >>> ring.frc.round(9)[:2].tolist(), ring.gain.round(9)[:2].tolist()
    ([1.0, 1.0], [3.0, 3.0])
    """
    same_shape(a, b, "the two images")
    pair = as_rois(np.stack([a, b]), name="the two images")
    first, second = roi_spectra(pair, spacing_mm, window=window)
    index, n_rings, _ = ring_index(first.shape, spacing_mm)
    cross, one, two, bins, radius = ring_sum(
        np.stack(
            [
                (second * first.conj()).real,
                np.abs(first) ** 2,
                np.abs(second) ** 2,
                np.ones(first.shape),
                frequency_per_mm(first.shape, spacing_mm),
            ]
        ),
        index,
        n_rings,
    )[:, 1:]
    floor = 1e-24 * max(one.max(), two.max())
    with np.errstate(divide="ignore", invalid="ignore"):
        empty = (one <= floor) | (two <= floor)
        correlation = np.where(empty, np.nan, cross / np.sqrt(one * two))
        gain = np.where(one <= floor, np.nan, np.sqrt(two / one))
        cross_gain = np.where(one <= floor, np.nan, cross / one)
    return RingAgreement(radius / bins, correlation, gain, cross_gain, bins.astype(int))


def scan_frc(
    image: np.ndarray,
    reference: np.ndarray,
    repeat: np.ndarray,
    spacing_mm: Spacing,
    *,
    patch_px: int = 48,
    alpha: float = 0.05,
    rng: np.random.Generator,
) -> pd.DataFrame:
    """Patches of an image whose structure agrees less with a reference than a repeat scan does.

    In every patch the image is compared with ``reference`` next to ``repeat``, a second noise
    realisation of the reference. Were the image such a repeat itself, the two could be exchanged,
    frequency by frequency; 999 random exchanges give the null of each curve's difference, with
    no threshold set by hand. Two things are tested: a lower correlation in any ring (structure
    is other than it was), and another cross gain (its amplitude was lost or raised), of which
    correlation is blind. Less noise than the repeat has is no finding.

    Parameters
    ----------
    image : ndarray, shape (y, x), HU
        Its noise must be independent of ``reference``: denoised from another realisation.
    reference, repeat : ndarray, shape (y, x), HU
        Two noise realisations at the dose that should be matched.
    patch_px : int
        Side of the patches, which tile the image; a rest at the right and lower border is left
        out. Rings are joined until each holds at least 24 independent bins.
    alpha : float
        False discovery rate over all patches and both tests.
    rng : Generator

    Returns
    -------
    DataFrame
        One row per patch: ``y, x`` (upper left corner), ``frc, frc_repeat`` (mean over bins),
        ``worst_frequency_per_mm`` (of the largest FRC drop), ``gain`` (cross gain relative to the
        repeat's, over all rings), ``gain_low, gain_high`` (its extremes over rings), ``p_frc``,
        ``p_gain``, ``q_frc``, ``q_gain``, ``flagged`` (``structure``, ``amplitude``, both with
        ``+``, or empty).

    Raises
    ------
    ValueError
        Shapes differ, or the image is smaller than one patch.

    Notes
    -----
    After sFRC (Kc et al., arXiv 2603.04673), with permutation (Phipson and Smyth 2010,
    doi 10.2202/1544-6115.1585) in place of thresholds from annotated examples. The largest
    standardised difference over rings carries the test, so rings need no further correction.
    """
    same_shape(reference, image, "reference and image")
    same_shape(reference, repeat, "reference and repeat")
    stack = as_rois(np.stack([reference, image, repeat]), name="the three images")
    corners = [
        (y, x)
        for y in range(0, stack.shape[1] - patch_px + 1, patch_px)
        for x in range(0, stack.shape[2] - patch_px + 1, patch_px)
    ]
    if not corners or patch_px < 16:
        raise ValueError(
            f"patches of {patch_px} px do not fit an image of {stack.shape[1:]}; "
            f"patch_px must be at least 16 and at most the image's side"
        )
    rings = _joined_rings((patch_px, patch_px), spacing_mm)
    swap = rng.random((999, len(rings.ring))) < 0.5
    swap = np.concatenate([np.zeros((1, len(rings.ring)), bool), swap])
    rows = []
    for y, x in corners:
        patch = stack[:, y : y + patch_px, x : x + patch_px]
        rows.append({"y": y, "x": x} | _exchange_test(patch, rings, swap, spacing_mm))
    table = pd.DataFrame(rows)
    q = stats.false_discovery_control(table[["p_frc", "p_gain"]].to_numpy().ravel())
    table[["q_frc", "q_gain"]] = q.reshape(-1, 2)
    words = np.where(table.q_frc <= alpha, "structure", "")
    also = np.where(table.q_gain <= alpha, "amplitude", "")
    both = (words != "") & (also != "")
    table["flagged"] = np.where(both, "structure+amplitude", np.where(words != "", words, also))
    return table


@dataclass(frozen=True)
class _JoinedRings:
    """Independent bins up to Nyquist, as flat indices, and the joined ring of each."""

    bins: np.ndarray
    ring: np.ndarray
    frequency_per_mm: np.ndarray

    @property
    def member(self) -> np.ndarray:
        return np.asarray(
            (self.ring[:, None] == np.arange(len(self.frequency_per_mm))).astype(float)
        )


def _joined_rings(shape: tuple[int, int], spacing_mm: Spacing, fewest: int = 24) -> _JoinedRings:
    index, n_rings, _ = ring_index(shape, spacing_mm)
    used = half_plane(shape)[0] & (index < n_rings) & (index > 0)
    bins = np.flatnonzero(used.ravel())
    raw = index.ravel()[bins]
    joined, held, current = np.zeros(n_rings, int), 0, 0
    for k in range(1, n_rings):
        joined[k] = current
        held += int(np.sum(raw == k))
        if held >= fewest and np.sum(raw > k) >= fewest:
            held, current = 0, current + 1
    ring = joined[raw]
    radius = frequency_per_mm(shape, spacing_mm).ravel()[bins]
    return _JoinedRings(bins, ring, np.bincount(ring, radius) / np.bincount(ring))


def _exchange_test(
    patch: np.ndarray, rings: _JoinedRings, swap: np.ndarray, spacing_mm: Spacing
) -> dict[str, float]:
    """Curves of one patch and the p-values of their differences under random exchange."""
    spectra = roi_spectra(patch, spacing_mm, detrend="plane").reshape(3, -1)[:, rings.bins]
    base, image, repeat = spectra
    member = rings.member
    cross = [(other * base.conj()).real for other in (image, repeat)]
    power = [np.abs(other) ** 2 for other in (image, repeat)]
    own = (np.abs(base) ** 2) @ member

    def exchanged(pair: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """Ring sums of both members of the pair after each exchange, (permutations, rings)."""
        moved = (swap * (pair[1] - pair[0])) @ member
        return pair[0] @ member + moved, pair[1] @ member - moved

    crosses, powers = exchanged(cross), exchanged(power)
    tiny = np.finfo(float).tiny
    curves = [c / np.sqrt(p * own + tiny) for c, p in zip(crosses, powers, strict=True)]
    drop = curves[1] - curves[0]
    change = crosses[0] - crosses[1]
    p_frc, worst = _largest(drop)
    p_gain, _ = _largest(np.abs(change), centre=False)
    relative = crosses[0][0] / np.where(np.abs(crosses[1][0]) > tiny, crosses[1][0], np.nan)
    reliable = curves[1][0] > 0.3  # a ratio of two correlations near zero says nothing
    shown = relative[reliable] if reliable.any() else np.array([np.nan])
    count = member.sum(axis=0)
    return {
        "frc": float(np.average(curves[0][0], weights=count)),
        "frc_repeat": float(np.average(curves[1][0], weights=count)),
        "worst_frequency_per_mm": float(rings.frequency_per_mm[worst]),
        "gain": float(crosses[0][0].sum() / crosses[1][0].sum()),
        "gain_low": float(shown.min()),
        "gain_high": float(shown.max()),
        "p_frc": p_frc,
        "p_gain": p_gain,
    }


def _largest(values: np.ndarray, *, centre: bool = True) -> tuple[float, int]:
    """p-value of row 0's largest standardised value among all rows, and its column."""
    spread = np.sqrt(np.mean(values**2, axis=0)) if not centre else values.std(axis=0)
    scaled = values / np.where(spread > 0, spread, np.inf)
    largest = scaled.max(axis=1)
    rank = np.mean(largest >= largest[0] - 1e-12)
    return float(rank), int(np.argmax(scaled[0]))

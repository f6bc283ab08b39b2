"""What a denoiser took away: tests of the residual ``input - output`` against noise alone."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pandas as pd
from scipy import ndimage, special, stats

from ctlab.assess.noise.nps import Nps, nps
from ctlab.ct.spectra import (
    Spacing,
    as_rois,
    frequency_per_mm,
    half_plane,
    ring_index,
    roi_spectra,
    same_shape,
    spacing_yx,
)


def residual_test(
    residuals: np.ndarray,
    noise: Nps | np.ndarray,
    spacing_mm: Spacing,
    *,
    pool: str = "ring",
    alpha: float = 0.05,
    detrend: str = "mean",
    window: str = "none",
) -> pd.DataFrame:
    """Frequencies at which the residual holds more, or less, power than noise would.

    The residual of a perfect denoiser is the noise itself. More power: structure went with the
    noise. Less power: noise was left behind, or the denoiser smoothed it elsewhere.

    Parameters
    ----------
    residuals : ndarray, shape (n, y, x), HU
        ``input - output`` in n disjoint regions.
    noise : Nps or ndarray, shape (m, y, x), HU
        The spectrum of the input's noise where it is known exactly, or regions of noise measured
        independently of the residuals (differences of two realisations over the root of 2); the
        test then allows for the error of that measurement.
    spacing_mm : float, (y, x) or (z, y, x)
    pool : {"ring", "bin"}
        One test per ring of equal frequency, or per bin of the half plane.
    alpha : float
        False discovery rate of the findings.
    detrend, window
        As for :func:`ctlab.assess.nps`; both inputs are treated alike.

    Returns
    -------
    DataFrame
        One row per test: ``frequency_per_mm`` (per bin also ``fy_per_mm, fx_per_mm``), ``n_bins``,
        ``ratio`` of residual to noise power (the effect size), ``power_hu2`` (the difference
        times its frequency area: HU^2 of structure, or of noise left), ``p_excess``,
        ``p_deficit``, ``q`` (two-sided, Benjamini-Hochberg) and ``finding`` (``excess``,
        ``deficit`` or empty).

    Raises
    ------
    ValueError
        Shapes differ, fewer than 2 regions, or no noise at some frequency.

    Notes
    -----
    Under the null ``2 n P_res / P_noise`` of a bin is chi-squared with 2 n degrees of freedom
    (n for a real bin), and pooled bins add up; with noise measured from m regions the ratio
    follows F. Exact for stationary Gaussian noise in regions that repeat periodically; in crops
    of real images use ``window="hann"``, without which anatomy cut at the border spills into all
    frequencies: neighbouring bins then correlate, which Benjamini-Hochberg tolerates, and a ring
    counts as two to three times fewer bins (from Hann's correlations, Harris 1978,
    doi 10.1109/PROC.1978.10837), which makes its p-values approximate.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> noise = rng.normal(0, 20, (40, 16, 16))
    >>> table = residual_test(rng.normal(0, 20, (40, 16, 16)), noise, 0.7)
    >>> sorted(set(table.finding))
    ['']
    >>> table = residual_test(rng.normal(0, 30, (40, 16, 16)), noise, 0.7)
    >>> sorted(set(table.finding)), round(float(table.ratio.mean()), 1)
    (['excess'], 2.2)
    """
    residuals = as_rois(residuals, name="residuals", least=2)
    options = {"detrend": detrend, "window": window}
    power = _mean_power(residuals, spacing_mm, options)
    if isinstance(noise, Nps):
        regions, expected = None, noise.power_hu2_mm2
    else:
        regions = as_rois(noise, name="noise", least=2)
        expected = _mean_power(regions, spacing_mm, options)
    same_shape(power, expected, "residual and noise regions")
    groups = _Groups.make(power.shape, spacing_yx(spacing_mm), pool)
    if not np.all(groups.sum(expected) > 0):
        raise ValueError("the noise has no power at some frequency; pass noise of the input itself")
    if regions is None:
        count = groups.sum(np.ones(power.shape))
        ratio = groups.sum(power / np.where(expected > 0, expected, np.inf)) / count
        freedom = np.maximum(len(residuals) * count / groups.bins_as_one(window), 1.0)
        p_excess = special.chdtrc(freedom, freedom * ratio)
        p_deficit = special.chdtr(freedom, freedom * ratio)
    else:
        freedom = _effective_freedom(expected, groups, len(regions)) / groups.bins_as_one(window)
        ratio = groups.sum(power) / groups.sum(expected)
        freedoms = len(residuals) * freedom, len(regions) * freedom
        p_excess, p_deficit = special.fdtrc(*freedoms, ratio), special.fdtr(*freedoms, ratio)
    dy, dx = spacing_yx(spacing_mm)
    q = stats.false_discovery_control(np.minimum(1.0, 2 * np.minimum(p_excess, p_deficit)))
    columns = {
        "ratio": ratio,
        "power_hu2": groups.sum(power - expected) / (power.size * dy * dx),
        "p_excess": p_excess,
        "p_deficit": p_deficit,
        "q": q,
        "finding": np.where(q <= alpha, np.where(ratio > 1, "excess", "deficit"), ""),
    }
    return pd.DataFrame(groups.columns(spacing_mm) | columns)


def coherence(
    residuals: np.ndarray,
    cleans: np.ndarray,
    spacing_mm: Spacing,
    *,
    pool: str = "ring",
    alpha: float = 0.05,
    detrend: str = "mean",
    window: str = "none",
) -> pd.DataFrame:
    """Frequencies at which the residual repeats the clean image: structure that was removed.

    ``gamma^2 = |sum R C*|^2 / (sum |R|^2 sum |C|^2)`` over the regions (and the bins of a ring).
    A residual that is noise alone is incoherent with the anatomy, however strong either is.

    Parameters
    ----------
    residuals : ndarray, shape (n, y, x), HU
        ``input - output`` in n disjoint regions.
    cleans : ndarray, same shape, HU
        The noise-free image there, or an independent scan: its noise lowers the coherence but
        leaves the test right. Never the input: its noise is in the residual.
    spacing_mm, pool, alpha, detrend, window
        As for :func:`residual_test`.

    Returns
    -------
    DataFrame
        ``frequency_per_mm`` (per bin also ``fy_per_mm, fx_per_mm``), ``n_bins``, ``coherence2``,
        ``removed_fraction`` (least-squares gain from clean image to residual: the share of the
        structure's amplitude that was taken away, negative where it was amplified), ``p``, ``q``,
        ``finding`` (``removed``, ``amplified`` or empty).

    Notes
    -----
    Null: ``P(gamma^2 > c) = (1 - c)^(L - 1)`` with L the number of complex values in the sum
    (Carter 1987, doi 10.1109/PROC.1987.13723), for Gaussian residuals of even power over the
    ring. Real bins are left out. Crops and windows: see :func:`residual_test`.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> clean = rng.normal(0, 50, (20, 16, 16))
    >>> table = coherence(0.3 * clean, clean, 0.7)
    >>> table.coherence2.round(6).unique().tolist(), table.removed_fraction.round(6).unique()
    ([1.0], array([0.3]))
    """
    residuals = as_rois(residuals, name="residuals", least=2)
    cleans = as_rois(cleans, name="cleans", least=2)
    same_shape(residuals, cleans, "residuals and clean regions")
    cross = np.zeros(residuals.shape[1:], complex)
    groups = _Groups.make(cross.shape, spacing_yx(spacing_mm), pool, real_bins=False)
    power, structure = np.zeros((2, *residuals.shape[1:]))
    for start in range(0, len(residuals), 64):
        part = np.s_[start : start + 64]
        left = roi_spectra(residuals[part], spacing_mm, detrend=detrend, window=window)
        right = roi_spectra(cleans[part], spacing_mm, detrend=detrend, window=window)
        cross += (left * right.conj()).sum(axis=0)
        power += (np.abs(left) ** 2).sum(axis=0)
        structure += (np.abs(right) ** 2).sum(axis=0)
    # Freedom weights are all 2 here and cancel in every ratio.
    both = groups.sum(cross.real) + 1j * groups.sum(cross.imag)
    power, structure = groups.sum(power), groups.sum(structure)
    columns = groups.columns(spacing_mm)
    with np.errstate(divide="ignore", invalid="ignore"):
        squared = np.minimum(np.nan_to_num(np.abs(both) ** 2 / (power * structure)), 1.0)
        gain = np.nan_to_num(both.real / structure)
    bins = np.maximum(columns["n_bins"] / groups.bins_as_one(window), 1.0)
    p = (1 - squared) ** (len(residuals) * bins - 1)
    q = stats.false_discovery_control(p)
    direction = np.where(gain > 0, "removed", "amplified")
    columns |= {"coherence2": squared, "removed_fraction": gain, "p": p, "q": q}
    return pd.DataFrame(columns | {"finding": np.where(q <= alpha, direction, "")})


@dataclass(frozen=True)
class _Groups:
    """Independent frequency bins sorted into the groups of one test each."""

    index: np.ndarray  # (y, x): group of each bin, -1 where unused
    freedom: np.ndarray  # (y, x): 2 for one of a conjugate pair, 1 for a real bin
    n_groups: int
    per_bin: bool

    @classmethod
    @lru_cache(maxsize=16)  # the same for every ensemble of one region size
    def make(
        cls, shape: tuple[int, int], spacing_mm: Spacing, pool: str, *, real_bins: bool = True
    ) -> "_Groups":
        if pool not in ("ring", "bin"):
            raise ValueError(f"pool must be 'ring' or 'bin', got {pool!r}")
        pairs, reals = half_plane(shape)
        used = pairs | (reals & real_bins)
        used[0, 0] = False  # zero frequency goes with the mean
        rings, n_rings, _ = ring_index(shape, spacing_mm)
        if pool == "ring":
            used &= rings < n_rings
            index, n_groups = rings - 1, n_rings - 1
        else:
            index, n_groups = np.cumsum(used).reshape(shape) - 1, int(used.sum())
        freedom = np.where(reals, 1.0, 2.0)
        return cls(np.where(used, index, -1), freedom, n_groups, pool == "bin")

    def sum(self, values: np.ndarray) -> np.ndarray:
        """Sum over each group, every bin counted by its degrees of freedom."""
        used = self.index >= 0
        return np.bincount(self.index[used], (values * self.freedom)[used], self.n_groups)

    def bins_as_one(self, window: str) -> np.ndarray:
        """How many bins of each ring the window makes into one.

        Under Hann the amplitudes of bins one and two apart correlate by 2/3 and 1/6, their powers
        by the squares; the mean over a ring's bins of the sum over its other bins.
        """
        if window == "none" or self.per_bin:
            return np.ones(self.n_groups)
        alike = np.array([1 / 36, 4 / 9, 1.0, 4 / 9, 1 / 36])
        whole = np.maximum(self.index, np.roll(self.index[::-1, ::-1], (1, 1), axis=(0, 1)))
        shared = np.empty(self.n_groups)
        for ring in range(self.n_groups):
            member = (whole == ring).astype(float)
            along = ndimage.correlate1d(member, alike, axis=0, mode="wrap")
            near = ndimage.correlate1d(along, alike, axis=1, mode="wrap")
            shared[ring] = np.sum(member * near) / member.sum()
        return shared

    def columns(self, spacing_mm: Spacing) -> dict[str, np.ndarray]:
        shape, used = self.index.shape, self.index >= 0
        count = np.bincount(self.index[used], minlength=self.n_groups)

        def mean(values: np.ndarray) -> np.ndarray:
            return np.bincount(self.index[used], values[used], self.n_groups) / count

        columns = {"frequency_per_mm": mean(frequency_per_mm(shape, spacing_mm))}
        if self.per_bin:
            dy, dx = spacing_yx(spacing_mm)
            axes = np.fft.fftfreq(shape[0], dy), np.fft.fftfreq(shape[1], dx)
            fy, fx = np.meshgrid(*axes, indexing="ij")
            columns |= {"fy_per_mm": mean(fy), "fx_per_mm": mean(fx)}
        return columns | {"n_bins": count}


def _mean_power(rois: np.ndarray, spacing_mm: Spacing, options: dict[str, str]) -> np.ndarray:
    return nps(rois, spacing_mm, **options).power_hu2_mm2


def _effective_freedom(expected: np.ndarray, groups: _Groups, n_regions: int) -> np.ndarray:
    """Degrees of freedom per region of a group's summed power (Welch-Satterthwaite).

    ``n_regions`` measured regions scatter the spectrum itself; both squares are corrected.
    """
    square = expected**2 / (1 + 2 / (groups.freedom * n_regions))
    return np.asarray(
        (groups.sum(expected) ** 2 - 2 / n_regions * groups.sum(square)) / groups.sum(square)
    )

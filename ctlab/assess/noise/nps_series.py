"""Noise of whole series, slice by slice: spectra per tissue, correlation and bands along z."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from ctlab.assess.noise.nps import Nps, nps
from ctlab.ct.spectra import Spacing, same_shape, spacing_yx
from ctlab.ct.tissue import LUNG_ROI_HU, SOFT_ROI_HU, find_rois

REGIONS_HU: Mapping[str, tuple[float, float]] = {
    "lung": LUNG_ROI_HU,
    "mediastinum": SOFT_ROI_HU,
}
"""HU ranges, after smoothing by 2 px, in which regions for a tissue's NPS are sought."""


def nps_by_tissue(
    first: np.ndarray,
    second: np.ndarray,
    spacing_mm: Spacing,
    *,
    ranges_hu: Mapping[str, tuple[float, float]] = REGIONS_HU,
    size_px: int = 32,
    detrend: str = "plane",
    window: str = "hann",
) -> dict[str, Nps]:
    """NPS of each tissue from two realisations of one series, slice by slice.

    Parameters
    ----------
    first, second : ndarray, shape (z, y, x), HU
        Two noise realisations of the same anatomy, for example one series at two seeds of the
        dose simulation, each denoised.

    Raises
    ------
    ValueError
        No square of ``size_px`` of a tissue was found.
    """
    same_shape(first, second, "the two realisations")
    if np.ndim(first) != 3:
        raise ValueError(f"volumes have shape (z, y, x), got {np.shape(first)}")
    power = {name: np.zeros((size_px, size_px)) for name in ranges_hu}
    count = dict.fromkeys(ranges_hu, 0)
    for a, b in zip(first, second, strict=True):
        for name, range_hu in ranges_hu.items():
            corners = find_rois((a + b) / 2, range_hu, size_px=size_px)
            if len(corners) == 0:
                continue
            difference = np.subtract(a, b, dtype=np.float64) / np.sqrt(2)
            rois = [difference[y : y + size_px, x : x + size_px] for y, x in corners]
            spectrum = nps(np.stack(rois), spacing_mm, detrend=detrend, window=window)
            power[name] += spectrum.power_hu2_mm2 * spectrum.n_rois
            count[name] += spectrum.n_rois
    missing = [name for name, n in count.items() if n == 0]
    if missing:
        raise ValueError(
            f"no region of {size_px} x {size_px} px of {', '.join(missing)} was found; pass more "
            f"slices, a smaller size_px, or ranges_hu that fit this series"
        )
    spacing = spacing_yx(spacing_mm)
    return {name: Nps(power[name] / count[name], spacing, count[name]) for name in ranges_hu}


def z_correlation(
    first: np.ndarray,
    second: np.ndarray,
    spacing_mm: Sequence[float],
    *,
    mask: np.ndarray | None = None,
    max_lag: int = 5,
) -> pd.DataFrame:
    """Correlation of the noise between slices: ``lag_slices, lag_mm, correlation, n_pairs``.

    The noise is the difference of two realisations, whose expected value is zero, so nothing is
    subtracted from it. A series reconstructed in thin overlapping slices is correlated; a
    denoiser that works slice by slice keeps that, or adds offsets per slice (see
    :func:`z_banding_hu`).

    Parameters
    ----------
    first, second : ndarray, shape (z, y, x), HU
    spacing_mm : (z, y, x)
    mask : ndarray of bool, shape (z, y, x), optional
    max_lag : int
        Largest distance in slices.
    """
    same_shape(first, second, "the two realisations")
    if len(first) <= max_lag:
        raise ValueError(f"a lag of {max_lag} slices needs more than {len(first)} slices")
    covariance, one, two, pairs = np.zeros((4, max_lag + 1))
    recent: list[tuple[np.ndarray, np.ndarray]] = []
    for z in range(len(first)):  # only the last max_lag + 1 differences are held
        noise = np.subtract(first[z], second[z], dtype=np.float64)
        inside = np.ones(noise.shape, bool) if mask is None else np.asarray(mask[z], bool)
        recent = [(noise, inside), *recent[:max_lag]]
        for lag, (earlier, was_inside) in enumerate(recent):
            both = inside & was_inside
            covariance[lag] += np.sum(noise[both] * earlier[both])
            one[lag] += np.sum(noise[both] ** 2)
            two[lag] += np.sum(earlier[both] ** 2)
            pairs[lag] += both.sum()
    if not np.all(one * two > 0):
        raise ValueError("the two realisations do not differ inside the mask: no noise to measure")
    lags = np.arange(max_lag + 1)
    return pd.DataFrame(
        {
            "lag_slices": lags,
            "lag_mm": lags * float(spacing_mm[0]),
            "correlation": covariance / np.sqrt(one * two),
            "n_pairs": pairs.astype(int),
        }
    )


def z_banding_hu(
    reference: np.ndarray, image: np.ndarray, *, mask: np.ndarray | None = None
) -> float:
    """SD of the offset that changes from one slice to the next, in HU: bands in coronal views.

    ``sqrt(mean((m[z+1] - m[z])^2) / 2)`` with ``m`` the mean of ``image - reference`` over a
    slice's pixels in ``mask``; 0 for a constant bias.

    Examples
    --------
    >>> flat = np.zeros((4, 8, 8))
    >>> z_banding_hu(flat, flat + np.array([3.0, -3.0, 3.0, -3.0])[:, None, None]).__round__(6)
    4.242641
    """
    same_shape(reference, image, "reference and image")
    if len(reference) < 2:
        raise ValueError("banding along z needs at least 2 slices")
    offsets = []
    for z in range(len(reference)):
        inside = np.s_[:] if mask is None else np.asarray(mask[z], bool)
        change = np.subtract(image[z], reference[z], dtype=np.float64)[inside]
        offsets.append(change.mean() if change.size else np.nan)
    steps = np.diff(offsets)
    if np.isnan(steps).all():
        raise ValueError("the mask holds no two neighbouring slices; pass a larger mask")
    return float(np.sqrt(np.nanmean(steps**2) / 2))

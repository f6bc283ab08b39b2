"""How noisy a CT series is: one robust number from its soft tissue."""

import numpy as np

from ctlab.ct.volume import Volume

SOFT_TISSUE_HU = (-30.0, 130.0)
"""Local means counted as soft tissue: water, muscle, organs, blood; neither fat nor bone."""

_WINDOW_MM = 6.0
_FEWEST_WINDOWS = 50


def measure_noise_hu(volume: Volume | np.ndarray, *, spacing_mm: float | None = None) -> float:
    """Noise SD in HU in soft tissue: the commonest local standard deviation.

    A square window of 6 mm slides over every slice. Where the local mean is that of soft
    tissue, the local SD enters a histogram; its peak is the noise, because windows with an
    edge in them have larger values that spread out (global noise level: Christianson et al.,
    AJR 205:W93, 2015, doi 10.2214/AJR.14.13613).

    Where the noise is as large as the edges they no longer stand apart, and the peak moves up:
    at a tenth of the packaged scan's dose it reads about 15 % more than the same windows
    restricted to tissue without edges. Do not judge the square-root rule by it.

    Parameters
    ----------
    volume : Volume, or ndarray in HU of shape (y, x) or (z, y, x)
    spacing_mm : pixel size in the plane; needed for an array only

    Raises
    ------
    ValueError
        Too little soft tissue for an estimate.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> noisy = rng.normal(40.0, 20.0, (96, 96))
    >>> 19.0 < measure_noise_hu(noisy, spacing_mm=1.0) < 21.0
    True
    """
    hu, pixel_mm = _plain(volume, spacing_mm)
    width = max(3, round(_WINDOW_MM / pixel_mm) | 1)
    found = [soft_tissue_sd(image, width) for image in hu]
    count = sum(sd.size for sd in found)
    if count < _FEWEST_WINDOWS:
        raise ValueError(
            f"the noise needs soft tissue ({SOFT_TISSUE_HU[0]:g} to {SOFT_TISSUE_HU[1]:g} HU) in "
            f"at least {_FEWEST_WINDOWS} windows of {_WINDOW_MM:g} mm; {count} were found"
        )
    return commonest(np.concatenate(found))


def _plain(volume: Volume | np.ndarray, spacing_mm: float | None) -> tuple[np.ndarray, float]:
    if isinstance(volume, Volume):
        return volume.hu, volume.spacing_mm[1]
    hu = np.asarray(volume)
    if spacing_mm is None or not spacing_mm > 0:
        raise ValueError(f"an array needs spacing_mm above 0, the pixel size; got {spacing_mm}")
    if hu.ndim not in (2, 3):
        raise ValueError(f"expected HU of shape (y, x) or (z, y, x), got {hu.shape}")
    return hu.reshape(-1, *hu.shape[-2:]), spacing_mm


def soft_tissue_sd(image_hu: np.ndarray, width_px: int) -> np.ndarray:
    """Local SD (HU, ddof 1, 1-D) in every window of ``width_px`` whose mean is soft tissue."""
    from scipy.ndimage import uniform_filter

    # Fill and metal would swamp the sums; shifted values keep float32 exact enough.
    hu = np.clip(image_hu, -1024, 1500).astype(np.float64)
    mean = uniform_filter(hu, width_px, mode="nearest")
    square = uniform_filter(hu * hu, width_px, mode="nearest")
    half = width_px // 2
    inner = (slice(half, -half), slice(half, -half))
    mean, square = mean[inner], square[inner]
    soft = (mean >= SOFT_TISSUE_HU[0]) & (mean <= SOFT_TISSUE_HU[1])
    n = width_px * width_px
    variance = np.maximum(square[soft] - mean[soft] ** 2, 0) * n / (n - 1)
    return np.sqrt(variance)


def commonest(values: np.ndarray) -> float:
    """Mode of non-negative values: the peak of their smoothed histogram, 0 if all are about 0.

    Examples
    --------
    >>> round(commonest(np.r_[np.full(60, 12.0), np.linspace(20, 90, 100)]))
    12
    """
    from scipy.ndimage import gaussian_filter1d

    middle = float(np.median(values))
    if middle < 1e-3:
        return middle
    counts, edges = np.histogram(values, bins=400, range=(0.0, 4.0 * middle))
    smooth = gaussian_filter1d(counts.astype(float), 5.0, mode="constant")
    k = int(np.argmax(smooth))
    return float(edges[k] + edges[k + 1]) / 2

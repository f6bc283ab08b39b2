"""Replacing pixels by what could have stood there: the local mean with noise of the same kind."""

import numpy as np
from scipy.ndimage import gaussian_filter, uniform_filter

_MEAN_SIGMA_PX = 3.0
_NOISE_WINDOW_PX = 15


def imputed(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Image whose detail is replaced by random detail of the same local strength and texture.

    The local mean stays; the high-pass rest gets random phases, which keeps its power spectrum,
    and its local standard deviation. Replacing pixels by grey or by their neighbours' mean, as
    is usual for photographs, would show a denoiser patches without noise that it never met.

    Parameters
    ----------
    image : ndarray, HU, shape (y, x), or (c, y, x) for neighbouring slices

    Examples
    --------
    >>> image = np.random.default_rng(0).normal(40, 20, (64, 64))
    >>> other = imputed(image, np.random.default_rng(1))
    >>> bool(abs(np.corrcoef(image.ravel(), other.ravel())[0, 1]) < 0.3)
    True
    >>> bool(abs(other.std() / image.std() - 1) < 0.1)
    True
    """
    image = np.asarray(image, dtype=np.float64)
    if image.ndim == 3:
        return np.stack([imputed(plane, rng) for plane in image])
    mean = gaussian_filter(image, _MEAN_SIGMA_PX)
    detail = image - mean
    strength = np.sqrt(uniform_filter(detail**2, _NOISE_WINDOW_PX) + 1e-12)
    spectrum = np.abs(np.fft.rfft2(detail / strength))
    phases = np.fft.rfft2(rng.normal(size=image.shape))
    noise = np.fft.irfft2(spectrum * phases / np.maximum(np.abs(phases), 1e-12), s=image.shape)
    return np.asarray((mean + noise / max(noise.std(), 1e-12) * strength).astype(np.float32))

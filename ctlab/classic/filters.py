"""One call for the four filters; each strength is counted in noise standard deviations."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np

METHODS: dict[str, float] = {"nlm": 0.8, "tv": 0.8, "bilateral": 3.0, "bm3d": 1.5}
"""Method and its default strength, in noise standard deviations.

Found with :func:`ctlab.classic.tune` on simulated 10 % dose; noise of another texture asks for
another value.
"""


def denoise_classic(
    hu: np.ndarray,
    method: str,
    *,
    noise_sd_hu: float | np.ndarray,
    strength: float | None = None,
    workers: int = 1,
) -> np.ndarray:
    """Filtered HU of the same shape, float32, slice by slice in two dimensions.

    Parameters
    ----------
    hu : ndarray, HU, shape (z, y, x) or (y, x), at least 8 x 8 in plane
    method : ``"nlm"``, ``"tv"``, ``"bilateral"`` or ``"bm3d"``
    noise_sd_hu : float or ndarray of shape (z,), HU
        Standard deviation of the noise, for instance from ``ctlab.ct.measure_noise_hu``;
        0 returns a copy.
    strength : float, optional
        Multiple of the noise: filter width h (NLM), weight (TV), tonal width (bilateral), or
        assumed noise (BM3D). None takes the default in :data:`METHODS`.
    workers : int
        Slices filtered at the same time, in threads.

    Raises
    ------
    ValueError
        Unknown method, a wrong shape, NaN, or a negative noise or strength.

    Notes
    -----
    NLM: Buades et al., CVPR 2005, doi 10.1109/CVPR.2005.38. TV: Rudin, Osher, Fatemi 1992,
    doi 10.1016/0167-2789(92)90242-F. Bilateral: Tomasi, Manduchi 1998,
    doi 10.1109/ICCV.1998.710815. BM3D-type: see :mod:`ctlab.classic.bm3d`. Each keeps a
    constant image as it is.

    Examples
    --------
    >>> flat = np.full((16, 16), 40.0, dtype=np.float32)
    >>> bool(np.allclose(denoise_classic(flat, "tv", noise_sd_hu=20.0), 40.0))
    True
    """
    volume, noise, strength = _checked(hu, method, noise_sd_hu, strength)
    kernel = _kernel(method)

    def one(slice_and_noise: tuple[np.ndarray, float]) -> np.ndarray:
        image, sd_hu = slice_and_noise
        return image.copy() if sd_hu * strength == 0 else kernel(image, sd_hu, strength)

    if workers > 1:
        with ThreadPoolExecutor(workers) as pool:
            slices = list(pool.map(one, zip(volume, noise, strict=True)))
    else:
        slices = [one(pair) for pair in zip(volume, noise, strict=True)]
    return np.stack(slices).astype(np.float32, copy=False).reshape(np.shape(hu))


def _checked(
    hu: np.ndarray, method: str, noise_sd_hu: float | np.ndarray, strength: float | None
) -> tuple[np.ndarray, np.ndarray, float]:
    """Stack of slices, noise per slice and strength; or a ValueError that says what to pass."""
    if method not in METHODS:
        raise ValueError(f"unknown filter {method!r}; choose one of {', '.join(METHODS)}")
    hu = np.asarray(hu, dtype=np.float32)
    if hu.ndim not in (2, 3) or min(hu.shape[-2:]) < 8 or hu.size == 0:
        raise ValueError(f"expected HU of shape (z, y, x) or (y, x), 8 x 8 or more, got {hu.shape}")
    if not np.isfinite(hu).all():
        raise ValueError("the image holds NaN or infinite HU; replace them before filtering")
    volume = np.ascontiguousarray(hu if hu.ndim == 3 else hu[None])
    noise = np.asarray(noise_sd_hu, dtype=float)
    if noise.ndim > 1 or noise.size not in (1, len(volume)):
        raise ValueError(
            f"noise_sd_hu must be one value or one per slice ({len(volume)}), got {noise.shape}"
        )
    strength = METHODS[method] if strength is None else float(strength)
    if not (np.isfinite(noise).all() and (noise >= 0).all() and 0 <= strength < np.inf):
        raise ValueError(
            f"noise and strength must be finite and not negative, got {noise_sd_hu} and {strength}"
        )
    return volume, np.broadcast_to(noise.reshape(-1), (len(volume),)), strength


def _kernel(method: str) -> Callable[[np.ndarray, float, float], np.ndarray]:
    """Function of (slice, noise SD, strength); the libraries are imported where they are used."""
    return {"nlm": _nlm, "tv": _tv, "bilateral": _bilateral, "bm3d": _bm3d}[method]


def _nlm(image: np.ndarray, sd_hu: float, strength: float) -> np.ndarray:
    from skimage.restoration import denoise_nl_means

    denoised: np.ndarray = denoise_nl_means(
        image,
        patch_size=5,
        patch_distance=6,
        h=strength * sd_hu,
        sigma=sd_hu,
        fast_mode=True,
        preserve_range=True,
    )
    return denoised


def _tv(image: np.ndarray, sd_hu: float, strength: float) -> np.ndarray:
    from skimage.restoration import denoise_tv_chambolle

    # The image is passed in units of the noise: the stopping rule then means the same everywhere.
    unit_image = image / np.float32(sd_hu)
    smooth: np.ndarray = denoise_tv_chambolle(unit_image, weight=strength, max_num_iter=100)  # type: ignore[no-untyped-call]  # scikit-image
    return sd_hu * smooth


def _bilateral(image: np.ndarray, sd_hu: float, strength: float) -> np.ndarray:
    from ctlab.classic.bilateral import bilateral

    return bilateral(image, 1.5, strength * sd_hu)


def _bm3d(image: np.ndarray, sd_hu: float, strength: float) -> np.ndarray:
    from ctlab.classic.bm3d import bm3d

    return bm3d(image, strength * sd_hu)

"""Lesions inserted into real lung, denoised, and measured: how much of their contrast is left."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd
from scipy import ndimage

from ctlab.assess import LesionTask, local_noise_hu
from ctlab.classic import denoise_classic
from ctlab.ct import Volume
from ctlab.lessons.material.images import dose_ladder

Method = str | Callable[[np.ndarray], np.ndarray]

PATCH_PX = 64


def quiet_places(
    image: np.ndarray, count: int, *, size_px: int = PATCH_PX
) -> list[tuple[int, int]]:
    """Corners (row, column) of patches of lung without large vessels, the emptiest first.

    Patches overlap by half at most. "Empty" means that the middle third varies little.
    """
    third = size_px // 3
    smooth = ndimage.gaussian_filter(image, 2.0)
    mean = ndimage.uniform_filter(smooth, third)
    spread = ndimage.uniform_filter(smooth**2, third) - mean**2
    spread[(mean > -750) | (mean < -950)] = np.inf
    half = size_px // 2
    places: list[tuple[int, int]] = []
    for edge in (np.s_[:half], np.s_[-half:]):
        spread[edge], spread[:, edge] = np.inf, np.inf
    for _ in range(count):
        y, x = np.unravel_index(int(np.argmin(spread)), spread.shape)
        if not np.isfinite(spread[y, x]):
            break
        places.append((int(y) - half, int(x) - half))
        rows, columns = (slice(max(c - half, 0), c + half) for c in (int(y), int(x)))
        spread[rows, columns] = np.inf
    return places


def lesion_survival(
    volume: Volume,
    methods: Mapping[str, Method],
    *,
    contrasts_hu: Sequence[float] = (25.0, 50.0, 100.0, 200.0, 400.0),
    diameters_mm: Sequence[float] = (4.0, 8.0),
    fraction: float = 0.1,
    count: int = 12,
) -> pd.DataFrame:
    """Rows ``method, diameter_mm, contrast_hu, kept, least``: contrast left after denoising.

    The same noisy lung is denoised with and without the lesion; the difference in the lesion's
    core, divided by what was put in, is what was kept (1: all, 0: nothing).

    Parameters
    ----------
    volume : one slice of full dose, shape (1, y, x)
    methods : label -> a name that :func:`ctlab.classic.denoise_classic` knows, or a function of
        slices (n, y, x) in HU
    fraction : dose of the images that are denoised
    count : places in the lung; ``least`` is the worst of them
    """
    low = dose_ladder(volume, [fraction], seed=5)[0]
    size = slice(0, PATCH_PX)
    places = quiet_places(volume.hu[0], count)
    lung = np.stack([low[y : y + PATCH_PX, x : x + PATCH_PX] for y, x in places])
    noise_hu = float(np.median(local_noise_hu(low)[_inside(places)]))
    rows = []
    for label, method in methods.items():
        without = _denoise(lung, method, noise_hu)
        for diameter in diameters_mm:
            for contrast in contrasts_hu:
                task = LesionTask("solid", diameter, contrast)
                lesion = task.draw((PATCH_PX, PATCH_PX), volume.spacing_mm[1:])
                core = lesion >= 0.5 * lesion.max()
                change = _denoise(lung + lesion[size], method, noise_hu) - without
                kept = change[:, core].mean(1) / lesion[core].mean()
                rows.append((label, diameter, contrast, float(kept.mean()), float(kept.min())))
    return pd.DataFrame(rows, columns=["method", "diameter_mm", "contrast_hu", "kept", "least"])


def lesion_pages(
    volume: Volume,
    denoise: Callable[[np.ndarray], np.ndarray],
    *,
    contrasts_hu: Sequence[float],
    diameter_mm: float = 8.0,
    fraction: float = 0.1,
) -> tuple[np.ndarray, np.ndarray]:
    """The emptiest place of a low-dose lung with lesions of growing contrast, and it denoised.

    Parameters
    ----------
    volume : one slice of full dose, shape (1, y, x)
    denoise : function of slices (n, y, x) in HU
    contrasts_hu : of the lesion in the middle of each page
    fraction : dose of the images

    Returns
    -------
    noisy, denoised : ndarray, HU, shape (len(contrasts_hu), PATCH_PX, PATCH_PX)
    """
    low = dose_ladder(volume, [fraction], seed=5)[0]
    ((y, x),) = quiet_places(volume.hu[0], 1)
    draw = LesionTask("solid", diameter_mm, 1.0).draw((PATCH_PX, PATCH_PX), volume.spacing_mm[1:])
    here = low[y : y + PATCH_PX, x : x + PATCH_PX]
    noisy = np.stack([here + contrast * draw for contrast in contrasts_hu]).astype(np.float32)
    return noisy, denoise(noisy)


def _inside(places: list[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:
    centres = np.array(places) + PATCH_PX // 2
    return centres[:, 0], centres[:, 1]


def _denoise(patches: np.ndarray, method: Method, noise_hu: float) -> np.ndarray:
    if callable(method):
        return method(patches)
    filtered: np.ndarray = denoise_classic(patches, method, noise_sd_hu=noise_hu)
    return filtered

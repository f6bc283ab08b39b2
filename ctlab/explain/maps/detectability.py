"""A lesion's detectability as a target: the template of a channelised Hotelling observer."""

import numpy as np

from ctlab.assess import cho
from ctlab.ct.simulation.lesion import nodule_profile
from ctlab.explain.probe.denoiser_probe import DenoiserProbe
from ctlab.explain.probe.imputation import imputed

_LEAST_SIDE_PX = 16


def detectability_template(
    probe: DenoiserProbe,
    image_hu: np.ndarray,
    mask: np.ndarray,
    *,
    contrast_hu: float = 100.0,
    images: int = 48,
    rng: np.random.Generator | None = None,
) -> np.ndarray:
    """Weights of an observer that looks for a disc as large as the region, in denoised noise.

    The local mean of the slice gets fresh noise of its own kind, with and without the disc, and
    is denoised; a channelised Hotelling observer is trained on half of the results. The score
    ``template . output`` is what decides whether the lesion is seen (Barrett et al. 1993,
    doi 10.1073/pnas.90.21.9758).

    Parameters
    ----------
    image_hu : ndarray, HU, shape (y, x), or (c, y, x) for neighbouring slices
    mask : ndarray of bool, shape (y, x)
        Its centre and area say where the disc lies and how large it is.
    contrast_hu : float
        Of the disc before denoising.
    images : int
        Of each kind, at least 22.
    rng : Generator, optional
        Default seed 0.

    Returns
    -------
    ndarray, float64, shape (y, x)
        0 beyond about two radii from the region's centre.
    """
    rng = rng or np.random.default_rng(0)
    rows, columns = np.nonzero(mask)
    centre = rows.mean(), columns.mean()
    diameter = 2 * float(np.sqrt(len(rows) / np.pi))
    box = probe.field_box(mask)
    stack = np.asarray(image_hu, np.float32)[..., box[0] : box[2], box[1] : box[3]]
    middle = centre[0] - box[0], centre[1] - box[1]
    side = max(_LEAST_SIDE_PX, 2 * int(np.ceil(diameter)))
    window = tuple(
        slice(max(0, round(c) - side // 2), min(n, round(c) + side // 2 + 1))
        for c, n in zip(middle, stack.shape[-2:], strict=True)
    )
    disc = nodule_profile(stack.shape[-2:], middle, diameter) * np.float32(contrast_hu)
    kinds: list[list[np.ndarray]] = [[], []]
    for _ in range(images):
        noisy = imputed(stack, rng)
        for kind, added in zip(kinds, (disc, 0.0), strict=True):
            kind.append(probe.run(noisy + added)[window])
    template = np.zeros(mask.shape)
    placed = tuple(slice(w.start + b, w.stop + b) for w, b in zip(window, box[:2], strict=True))
    template[placed] = cho(np.stack(kinds[0]), np.stack(kinds[1]), rng=rng).template
    return template

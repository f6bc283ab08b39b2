"""Failure gallery: images that look better by the usual numbers and are worse for the patient.

Every exhibit is made from a seed, by a filter that anybody could mistake for a denoiser, on a
drawn piece of lung whose truth is known. Which check detects it is told by
:func:`ctlab.assess.safety.failure_detection.checks_that_detect`.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from ctlab.assess.detection.detectability import LesionTask, lesion_amplitude_hu
from ctlab.assess.resolution.mtf_ttf import DenoiseImage
from ctlab.ct.spectra import frequency_per_mm

PIXEL_MM = 0.7
NOISE_HU = 70.0
LESION = LesionTask("solid", 4.0, 140.0)
LESION_PX = 17


@dataclass(frozen=True)
class Exhibit:
    """One failure that the usual numbers hide.

    Attributes
    ----------
    name, claim, truth : str
        What it is called, what its numbers claim, and what is so.
    clean, low, image : ndarray, shape (y, x), HU
        Truth, noisy input, and what the filter made of it.
    denoise : function
        The filter, for checks that need more than one image.
    place : (y, x)
        Centre of what to look at: the lesion lost, or the lesion invented.
    """

    name: str
    claim: str
    truth: str
    clean: np.ndarray
    low: np.ndarray
    image: np.ndarray
    denoise: DenoiseImage
    place: tuple[int, int]


def lung_piece(rng: np.random.Generator, *, size: int = 192, vessels: int = 14) -> np.ndarray:
    """A piece of lung at -850 HU with branching vessels, free of noise, shape ``(size, size)``.

    Examples
    --------
    >>> piece = lung_piece(np.random.default_rng(0), size=64)
    >>> piece.shape, bool(np.median(piece) < -800)
    ((64, 64), True)
    """
    tree = np.zeros((size, size))
    for _ in range(vessels):
        width = rng.uniform(0.7, 2.2)
        angle = rng.uniform(0, 2 * np.pi) + np.cumsum(rng.normal(0, 0.06, 2 * size))
        path = rng.uniform(0, size, 2)[:, None] + 0.5 * np.cumsum(
            [np.sin(angle), np.cos(angle)], axis=1
        )
        y, x = np.rint(path).astype(int)
        inside = (y >= 0) & (y < size) & (x >= 0) & (x < size)
        line = np.zeros((size, size))
        line[y[inside], x[inside]] = 1.0
        tube = ndimage.gaussian_filter(line, width)
        tree = np.maximum(tree, tube / max(tube.max(), 1e-9) * min(1.0, width / 1.6))
    return -850.0 + 700.0 * tree


def ct_noise(rng: np.random.Generator, shape: tuple[int, ...], *, sd_hu: float) -> np.ndarray:
    """Noise as filtered back-projection leaves it: a ramp with a soft kernel, ``(..., y, x)``.

    Its spectrum rises from zero, peaks near 0.2 per mm at 0.7 mm pixels and falls.
    """
    f = frequency_per_mm((shape[-2], shape[-1]), PIXEL_MM)
    transfer = np.sqrt(f * np.exp(-((f / 0.3) ** 2)))
    noise = np.fft.ifft2(np.fft.fft2(rng.standard_normal(shape)) * transfer).real
    return np.asarray(noise * (sd_hu / np.sqrt(np.mean(transfer**2))))


def vanished_nodule(seed: int = 0) -> Exhibit:
    """PSNR rises, and the nodule is gone: faint detail smaller than the filter counts as noise.

    Vessels are kept, so that nothing else looks lost.
    """

    def denoise(hu: np.ndarray) -> np.ndarray:
        coarse = ndimage.median_filter(hu, size=9)
        detail = ndimage.gaussian_filter(hu, 1.2) - coarse
        return np.asarray(coarse + np.where(np.abs(detail) > 150.0, detail, 0.0))

    return _exhibit(
        "vanished nodule",
        "less noise, higher PSNR",
        "the nodule was taken for noise and is gone",
        denoise,
        seed,
        lesion=True,
    )


def invented_nodule(seed: int = 0) -> Exhibit:
    """PSNR rises, and there is a nodule where there was none: a prior that expects one.

    The filter smooths, finds the place that looks most like a nodule, and draws it in full: what
    a network does that was trained on images with nodules only.
    """
    unit = LESION.draw((LESION_PX, LESION_PX), PIXEL_MM)

    def denoise(hu: np.ndarray) -> np.ndarray:
        smooth = ndimage.gaussian_filter(hu, 1.2)
        y, x = _most_like(smooth, unit)
        half = LESION_PX // 2
        smooth[y - half : y + half + 1, x - half : x + half + 1] += unit
        return np.asarray(smooth)

    exhibit = _exhibit(
        "invented nodule",
        "less noise, higher PSNR",
        "the nodule was drawn by the filter onto a piece of noise",
        denoise,
        seed,
        lesion=False,
    )
    place = _most_like(ndimage.gaussian_filter(exhibit.low, 1.2), unit)
    return Exhibit(**{**vars(exhibit), "place": place})


def wrong_texture(seed: int = 0) -> Exhibit:
    """PSNR rises, edges are there, and the noise is blotches: all fine texture was cut off."""

    def denoise(hu: np.ndarray) -> np.ndarray:
        f = frequency_per_mm(hu.shape, PIXEL_MM)
        keep = 1 / (1 + np.exp((f - 0.18) / 0.01))
        level = np.median(hu)
        return np.asarray(level + np.fft.ifft2(np.fft.fft2(hu - level) * keep).real)

    return _exhibit(
        "wrong texture",
        "less noise, higher PSNR, the nodule is visible",
        "the noise left is coarse blotches of nodule size",
        denoise,
        seed,
        lesion=True,
    )


GALLERY: dict[str, Callable[[int], Exhibit]] = {
    "vanished nodule": vanished_nodule,
    "invented nodule": invented_nodule,
    "wrong texture": wrong_texture,
}
"""Exhibits that carry a filter; each takes a seed."""


def _exhibit(
    name: str,
    claim: str,
    truth: str,
    denoise: DenoiseImage,
    seed: int,
    *,
    lesion: bool,
) -> Exhibit:
    rng = np.random.default_rng(seed)
    clean = lung_piece(rng)
    place = _emptiest(clean)
    if lesion:
        half = LESION_PX // 2
        y, x = place
        unit = LESION.draw((LESION_PX, LESION_PX), PIXEL_MM)
        clean[y - half : y + half + 1, x - half : x + half + 1] += unit
    low = clean + ct_noise(rng, clean.shape, sd_hu=NOISE_HU)
    return Exhibit(name, claim, truth, clean, low, denoise(low), denoise, place)


def _emptiest(clean: np.ndarray) -> tuple[int, int]:
    """Centre of the square, well inside, that holds least of vessels or wall."""
    load = ndimage.uniform_filter(np.abs(clean + 850.0), 2 * LESION_PX)
    border = 2 * LESION_PX
    inner = load[border:-border, border:-border]
    y, x = np.unravel_index(int(np.argmin(inner)), inner.shape)
    return int(y) + border, int(x) + border


def _most_like(hu: np.ndarray, unit: np.ndarray) -> tuple[int, int]:
    """Centre of the place that looks most like a lesion, away from vessels.

    Noise of this kind has no power at frequency zero, so a local mean tells lung from vessel.
    """
    level = ndimage.uniform_filter(hu, 2 * LESION_PX)
    best, place = -np.inf, (hu.shape[0] // 2, hu.shape[1] // 2)
    step = LESION_PX // 2
    for y in range(step, hu.shape[0] - LESION_PX, step):
        for x in range(step, hu.shape[1] - LESION_PX, step):
            patch = hu[y : y + LESION_PX, x : x + LESION_PX]
            middle = (y + LESION_PX // 2, x + LESION_PX // 2)
            if patch.max() > -700.0 or level[middle] > -845.0:
                continue
            amplitude = float(lesion_amplitude_hu(patch[None], unit)[0])
            if amplitude > best:
                best, place = amplitude, middle
    return place

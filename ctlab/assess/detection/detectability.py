"""Lesions before and after a denoiser: detected, kept, or invented."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import special, stats

from ctlab.assess.detection.model_observer import auc_difference, cho
from ctlab.assess.resolution.mtf_ttf import DenoiseImage
from ctlab.ct.simulation.lesion import nodule_plane
from ctlab.ct.spectra import Spacing, as_rois, same_shape, spacing_yx


@dataclass(frozen=True)
class LesionTask:
    """A round lesion to be detected; ground-glass differs from solid by its soft border.

    ``contrast_hu`` is at the centre, before the blur of the scanner. For lesions in whole scans see
    ``ctlab.ct.simulation.lesion.insert_lesion``: the difference it makes is the signal there.
    """

    kind: str
    diameter_mm: float
    contrast_hu: float

    def __post_init__(self) -> None:
        if self.kind not in ("solid", "ground-glass") or not self.diameter_mm > 0:
            raise ValueError(
                f"a nodule is solid or ground-glass with a diameter above 0 mm, got "
                f"{self.kind!r} and {self.diameter_mm}"
            )

    def draw(
        self, shape: tuple[int, int], spacing_mm: Spacing, *, blur_mm: float = 0.5
    ) -> np.ndarray:
        """The nodule's central plane on zero, shape ``(y, x)``, HU, in the middle of the region.

        Solid: a disc with a sharp border. Ground-glass: contrast falls as ``1 - (r/R)^2``. Drawn
        on a grid five times as fine and averaged, then blurred by a Gaussian of SD ``blur_mm``,
        the scanner's.

        Examples
        --------
        The sum of a solid nodule is its contrast times its area, here pi (4 mm)^2 of 1 mm pixels:

        >>> plane = LesionTask("solid", 8.0, 100.0).draw((33, 33), 1.0)
        >>> round(float(plane.sum() / (100 * np.pi * 16)), 2)
        1.0
        """
        soft, (dy, dx) = self.kind == "ground-glass", spacing_yx(spacing_mm)
        plane = nodule_plane(shape, (dy, dx), self.diameter_mm, soft_edged=soft, blur_mm=blur_mm)
        return np.asarray(self.contrast_hu * plane)


NODULE_TASKS = tuple(
    LesionTask(kind, diameter, contrast)
    for kind, contrast in (("solid", 100.0), ("ground-glass", 60.0))
    for diameter in (4.0, 6.0, 8.0, 10.0)
)
"""Faint nodules of 4 to 10 mm: contrasts at which ultra-low-dose chest CT begins to fail."""

MakeImages = Callable[[LesionTask, float], tuple[np.ndarray, np.ndarray]]
"""From a nodule and a dose fraction to images with and without it, each ``(n, y, x)`` in HU."""


def detectability_table(
    make_images: MakeImages,
    denoise: DenoiseImage | None,
    *,
    nodules: Sequence[LesionTask] = NODULE_TASKS,
    doses: Sequence[float] = (0.1,),
    channels: str | np.ndarray = "laguerre-gauss",
    seed: int = 0,
) -> pd.DataFrame:
    """AUC of the channelised observer per nodule and dose, on the input and after the denoiser.

    Parameters
    ----------
    make_images : function
        Same images for the same arguments, the nodule in the middle.
    denoise : function or None
        From an image to an image; None measures the input alone.
    seed : int
        Of the split; the same images train and test both arms.

    Returns
    -------
    DataFrame
        One row per nodule, dose and arm (``input``, ``denoised``): ``kind, diameter_mm,
        contrast_hu, dose, arm, auc, low, high, se, d_prime, n_test``; on rows of the denoised arm
        also ``auc_change, change_low, change_high`` (paired, DeLong), NaN on the others.
    """
    rows = []
    for nodule in nodules:
        for dose in doses:
            present, absent = make_images(nodule, dose)
            arms = {"input": (present, absent)}
            if denoise is not None:
                clean = [np.stack([denoise(image) for image in part]) for part in arms["input"]]
                arms["denoised"] = (clean[0], clean[1])
            seen = {
                arm: cho(*pair, channels=channels, rng=np.random.default_rng(seed))
                for arm, pair in arms.items()
            }
            for arm, detectability in seen.items():
                change = auc_difference(seen["input"], detectability) if arm == "denoised" else {}
                rows.append(
                    {
                        "kind": nodule.kind,
                        "diameter_mm": nodule.diameter_mm,
                        "contrast_hu": nodule.contrast_hu,
                        "dose": dose,
                        "arm": arm,
                        "auc": detectability.auc,
                        "low": detectability.auc_low,
                        "high": detectability.auc_high,
                        "se": detectability.auc_se,
                        "d_prime": detectability.d_prime,
                        "n_test": min(
                            len(detectability.scores_present), len(detectability.scores_absent)
                        ),
                        "auc_change": change.get("difference", np.nan),
                        "change_low": change.get("low", np.nan),
                        "change_high": change.get("high", np.nan),
                    }
                )
    return pd.DataFrame(rows)


def contrast_recovery(
    denoise: DenoiseImage,
    backgrounds: np.ndarray,
    signal: np.ndarray,
    noises: np.ndarray,
    *,
    level: float = 0.95,
) -> dict[str, float]:
    """Share of an inserted lesion's contrast that comes out of the denoiser.

    ``<f(b + s + n) - f(b + n)>`` over the lesion's core (at least half its highest contrast),
    divided by the mean of ``s`` there; one value per background and noise.

    Parameters
    ----------
    backgrounds, noises : ndarray, shape (n, y, x), HU
        Patches of different places or patients, and one noise realisation each.
    signal : ndarray, shape (y, x), HU

    Returns
    -------
    dict
        ``recovery`` (1: kept, 0: erased), ``low, high`` (t interval over the n), ``worst``, ``n``.

    Examples
    --------
    >>> spot = np.zeros((8, 8))
    >>> spot[3:5, 3:5] = 50.0
    >>> contrast_recovery(lambda hu: 0.8 * hu, np.zeros((3, 8, 8)), spot, np.ones((3, 8, 8)))[
    ...     "recovery"
    ... ].__round__(9)
    0.8
    """
    backgrounds = as_rois(backgrounds, name="backgrounds", least=2)
    noises = as_rois(noises, name="noises", least=2)
    same_shape(backgrounds, noises, "backgrounds and noises")
    same_shape(backgrounds[0], signal, "backgrounds and signal")
    signal = np.asarray(signal, float)
    core = np.abs(signal) >= 0.5 * np.abs(signal).max()
    if not np.abs(signal).max() > 0:
        raise ValueError("the signal is empty; pass a lesion with contrast")
    given = signal[core].mean()
    values = np.array(
        [
            (np.asarray(denoise(b + signal + n)) - np.asarray(denoise(b + n)))[core].mean() / given
            for b, n in zip(backgrounds, noises, strict=True)
        ]
    )
    n = len(values)
    half = special.stdtrit(n - 1, 0.5 + level / 2) * values.std(ddof=1) / np.sqrt(n)
    mean = float(values.mean())
    return {
        "recovery": mean,
        "low": mean - half,
        "high": mean + half,
        "worst": float(values.min()),
        "n": n,
    }


def lesion_amplitude_hu(patches: np.ndarray, signal: np.ndarray) -> np.ndarray:
    """Highest contrast in HU with which a lesion seems to be anywhere in each patch, shape (n,).

    The least-squares amplitude of the lesion's shape (less its mean) at every place where it
    fits: what an observer who does not know the place would report.

    Examples
    --------
    >>> spot = LesionTask("solid", 4.0, 1.0).draw((9, 9), 1.0)
    >>> patch = np.zeros((1, 21, 21))
    >>> patch[0, 2:11, 4:13] += 30 * spot / spot.max()
    >>> lesion_amplitude_hu(patch, spot).round(6).tolist()
    [30.0]
    """
    patches = as_rois(patches, name="patches")
    template = signal - np.mean(signal)
    template = template / np.sum(template * signal) * np.abs(signal).max()
    if any(t > p for t, p in zip(template.shape, patches.shape[1:], strict=True)):
        raise ValueError(
            f"the lesion's region {template.shape} is larger than the patches {patches.shape[1:]}"
        )
    spectrum = np.fft.rfft2(template[::-1, ::-1], patches.shape[1:])
    rows, columns = (n - 1 for n in template.shape)
    amplitudes = np.fft.irfft2(np.fft.rfft2(patches) * spectrum, patches.shape[1:])
    return np.asarray(amplitudes[:, rows:, columns:].max(axis=(1, 2)))


def false_lesion_rate(
    denoised: np.ndarray,
    clean: np.ndarray,
    signal: np.ndarray,
    *,
    least_contrast_hu: float,
    level: float = 0.95,
) -> dict[str, float]:
    """Share of lesion-free patches in which something like a lesion appeared.

    Parameters
    ----------
    denoised : ndarray, shape (n, y, x), HU
        Output on patches without a lesion.
    clean : ndarray, same shape, HU
        The same patches free of noise, or at full dose: what shows a lesion's amplitude there
        already (a vessel) is no patch for this question and is left out.
    signal : ndarray, shape (y, x)
        The lesion, no larger than a patch.
    least_contrast_hu : float
        Contrast from which something counts as a lesion.

    Returns
    -------
    dict
        ``rate, low, high`` (Clopper-Pearson), ``n`` patches that counted, ``n_false``.

    Raises
    ------
    ValueError
        No patch is free of lesion-like structure.
    """
    same_shape(clean, denoised, "clean and denoised patches")
    free = lesion_amplitude_hu(clean, signal) < 0.5 * least_contrast_hu
    n = int(free.sum())
    if n == 0:
        raise ValueError(
            "no patch is free of lesion-like structure; pass patches away from vessels, or a "
            "higher least_contrast_hu"
        )
    invented = int(np.sum(lesion_amplitude_hu(denoised, signal)[free] >= least_contrast_hu))
    low, high = stats.binomtest(invented, n).proportion_ci(level, method="exact")
    return {"rate": invented / n, "low": low, "high": high, "n": n, "n_false": invented}

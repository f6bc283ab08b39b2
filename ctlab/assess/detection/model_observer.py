"""Model observers: how well a known lesion can be told from none, on held-out images."""

import math
from dataclasses import dataclass

import numpy as np
from scipy import special

from ctlab.assess.detection.channels import (
    difference_of_gaussians,
    eye_filter,
    gabor,
    laguerre_gauss,
)
from ctlab.assess.detection.roc import area_under_roc, placements
from ctlab.ct.spectra import Spacing, as_rois, same_shape

NAMED_CHANNELS = ("laguerre-gauss", "dog", "gabor")


@dataclass(frozen=True)
class Observation:
    """How an observer did on images it was not trained on.

    Attributes
    ----------
    auc, auc_low, auc_high, auc_se : float
        Area under the ROC curve with its confidence interval and standard error (DeLong).
    d_prime : float
        Mean separation of the scores over their pooled SD.
    scores_present, scores_absent : ndarray, shape (n_test,)
    template : ndarray, shape (y, x)
        The score of an image is the sum of its product with the template.
    n_train : int
        Images of both classes the template was made from.
    """

    auc: float
    auc_low: float
    auc_high: float
    auc_se: float
    d_prime: float
    scores_present: np.ndarray
    scores_absent: np.ndarray
    template: np.ndarray
    n_train: int


def cho(
    present: np.ndarray,
    absent: np.ndarray,
    *,
    channels: str | np.ndarray = "laguerre-gauss",
    train_share: float = 0.5,
    internal_noise: float = 0.0,
    level: float = 0.95,
    rng: np.random.Generator | None = None,
) -> Observation:
    """Channelised Hotelling observer, trained on one part of the images and tested on the other.

    ``v = U x``, ``w = K^-1 (mean v_present - mean v_absent)`` with K the mean of the two sample
    covariances; the score is ``w . v``. The image mean is not subtracted: it is information.

    Parameters
    ----------
    present, absent : ndarray, shapes (n, y, x) and (m, y, x), HU
        Lesion in the middle of each ``present`` region. Where n = m, images of the same index
        fall into the same part, so that pairs made from one noise realisation never straddle.
    channels : {"laguerre-gauss", "dog", "gabor"} or ndarray, shape (c, y, x)
        The width and centre of the named Laguerre-Gauss channels are matched to the mean
        difference of the training part.
    train_share : float, between 0 and 1
    internal_noise : float
        SD of noise added to the test scores, in SDs of the lesion-absent scores.
    level : float
        Of the confidence interval of the AUC.
    rng : Generator, optional
        Draws the two parts; default seed 0.

    Raises
    ------
    ValueError
        Shapes differ, or there are too few images to train (at least as many of each class as
        channels) or to test (at least 10 of each class).

    Notes
    -----
    Barrett et al., PNAS 90:9758 (1993), doi 10.1073/pnas.90.21.9758. Training and testing on the
    same images is optimistic and not offered. The interval holds for this template; it does not
    cover the choice of training images.

    Examples
    --------
    A disc of 16 px, 10 HU, in white noise of SD 20 HU: d' = 10 * sqrt(16) / 20 = 2.

    >>> from ctlab.assess.detection.roc import d_prime_to_auc
    >>> rng = np.random.default_rng(0)
    >>> disc = np.zeros((12, 12))
    >>> disc[4:8, 4:8] = 10.0
    >>> noise = rng.normal(0, 20, (2, 2000, 12, 12))
    >>> found = cho(noise[0] + disc, noise[1])
    >>> found.auc_low < d_prime_to_auc(2.0) < found.auc_high
    True
    """
    present, absent = _two_classes(present, absent)
    rng = rng or np.random.default_rng(0)
    train, test = _parts(len(present), len(absent), train_share, rng)
    bank = _channels(channels, present[train[0]], absent[train[1]])
    fewest = min(len(train[0]), len(train[1]))
    if fewest < max(2, len(bank)):
        raise ValueError(
            f"{len(bank)} channels need at least {len(bank)} training images of each class, got "
            f"{fewest}; pass more images or fewer channels"
        )
    flat = bank.reshape(len(bank), -1)
    values = [
        images[part].reshape(len(part), -1) @ flat.T
        for images, part in zip((present, absent), train, strict=True)
    ]
    covariance = sum(np.cov(v, rowvar=False).reshape(len(bank), -1) for v in values) / 2
    weights = np.linalg.lstsq(covariance, values[0].mean(0) - values[1].mean(0), rcond=1e-12)[0]
    template = np.tensordot(weights, bank, axes=1)
    return _observe(
        present[test[0]],
        absent[test[1]],
        template,
        internal_noise,
        level,
        rng,
        len(train[0]) + len(train[1]),
    )


def npw_e(
    present: np.ndarray,
    absent: np.ndarray,
    spacing_mm: Spacing,
    *,
    signal: np.ndarray | None = None,
    eye: np.ndarray | None = None,
    train_share: float = 0.5,
    rng: np.random.Generator | None = None,
) -> Observation:
    """Non-prewhitening observer with an eye filter: the lesion as the eye sees it is the template.

    ``w = F^-1[E^2 F(signal)]``; interval of 95 %.

    Parameters
    ----------
    present, absent, train_share, rng
        As for :func:`cho`.
    signal : ndarray, shape (y, x), HU, optional
        Mean difference of the two classes, where it is known or was measured on pairs that share
        their noise. Default: that of the training part, whose noise costs detectability.
    eye : ndarray, shape (y, x), optional
        Filter at each DFT bin; default :func:`ctlab.assess.detection.channels.eye_filter` at 500
        mm. Pass ones for the plain non-prewhitening observer.

    Notes
    -----
    Burgess, JOSA A 11:1237 (1994), doi 10.1364/JOSAA.11.001237; AAPM Report 233.

    Examples
    --------
    A disc of 10 HU in white noise of 10 HU; without the eye filter and with the disc known, the
    observer is ideal: its detectability is the disc's norm over the noise, here 6.7.

    >>> y, x = np.mgrid[-8:8, -8:8]
    >>> disc = 10.0 * (np.hypot(y, x) < 4)
    >>> absent, noise = np.random.default_rng(0).normal(0, 10, (2, 400, 16, 16))
    >>> seen = npw_e(noise + disc, absent, (0.7, 0.7), signal=disc, eye=np.ones((16, 16)))
    >>> bool(abs(seen.d_prime - np.linalg.norm(disc) / 10) < 0.5)
    True
    """
    present, absent = _two_classes(present, absent)
    rng = rng or np.random.default_rng(0)
    eye = eye_filter(present.shape[1:], spacing_mm) if eye is None else np.asarray(eye, float)
    same_shape(eye, present[0], "eye filter and images")
    train, test = _parts(len(present), len(absent), train_share, rng)
    if signal is None:
        signal = present[train[0]].mean(axis=0) - absent[train[1]].mean(axis=0)
    same_shape(signal, present[0], "signal and images")
    template = np.fft.ifft2(eye**2 * np.fft.fft2(signal)).real
    return _observe(
        present[test[0]], absent[test[1]], template, 0.0, 0.95, rng, len(train[0]) + len(train[1])
    )


def auc_difference(
    before: Observation, after: Observation, *, level: float = 0.95
) -> dict[str, float]:
    """Difference of two AUCs measured on the same test cases, ``after - before``.

    Returns
    -------
    dict
        ``difference, low, high, se`` by DeLong's paired covariance.

    Raises
    ------
    ValueError
        The two were not tested on the same number of cases (same images, same ``rng`` seed).
    """
    first = placements(before.scores_present, before.scores_absent)
    second = placements(after.scores_present, after.scores_absent)
    if [len(v) for v in first] != [len(v) for v in second]:
        raise ValueError("a paired difference needs the same test cases; use the same rng seed")
    changes = [b - a for a, b in zip(first, second, strict=True)]
    se = math.sqrt(sum(c.var(ddof=1) / len(c) for c in changes))
    difference = float(changes[0].mean())
    half = special.ndtri(0.5 + level / 2) * se
    return {"difference": difference, "low": difference - half, "high": difference + half, "se": se}


def _two_classes(present: np.ndarray, absent: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    present = as_rois(present, name="present", least=2)
    absent = as_rois(absent, name="absent", least=2)
    same_shape(present[0], absent[0], "lesion-present and lesion-absent images")
    return present, absent


def _parts(
    n: int, m: int, train_share: float, rng: np.random.Generator
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Indices of the training and of the test images of each class."""
    if not 0 < train_share < 1:
        raise ValueError(f"train_share must lie between 0 and 1, got {train_share}")
    orders = [rng.permutation(n)]
    orders.append(orders[0] if n == m else rng.permutation(m))
    cuts = [round(train_share * len(order)) for order in orders]
    train = [order[:cut] for order, cut in zip(orders, cuts, strict=True)]
    test = [order[cut:] for order, cut in zip(orders, cuts, strict=True)]
    if min(map(len, test)) < 10 or min(map(len, train)) < 1:
        raise ValueError(
            f"at least 10 test images of each class are needed, got {min(map(len, test))} of "
            f"{n} with and {m} without a lesion; pass more images"
        )
    return train, test


def _channels(channels: str | np.ndarray, present: np.ndarray, absent: np.ndarray) -> np.ndarray:
    shape = present.shape[1:]
    if not isinstance(channels, str):
        bank = as_rois(channels, name="channels")
        same_shape(bank[0], present[0], "channels and images")
        return bank
    if channels == "dog":
        return difference_of_gaussians(shape, 1.0)
    if channels == "gabor":
        return gabor(shape, 1.0)
    if channels != "laguerre-gauss":
        raise ValueError(f"channels must be one of {', '.join(NAMED_CHANNELS)}, got {channels!r}")
    difference = present.mean(axis=0) - absent.mean(axis=0)
    size = min(shape)
    middles = ((shape[0] - 1) / 2, (shape[1] - 1) / 2), (shape[0] // 2, shape[1] // 2)
    candidates = [(w, c) for w in np.geomspace(2.0, size / 1.5, 12) for c in middles]

    def match(width: float, centre: tuple[float, float]) -> float:
        first = laguerre_gauss(shape, 1.0, width_mm=width, count=1, centre_px=centre)[0]
        return float(abs(np.sum(first * difference)) / np.linalg.norm(first))

    width, centre = max(candidates, key=lambda wc: match(*wc))
    return laguerre_gauss(shape, 1.0, width_mm=width, count=10, centre_px=centre)


def _observe(
    present: np.ndarray,
    absent: np.ndarray,
    template: np.ndarray,
    internal_noise: float,
    level: float,
    rng: np.random.Generator,
    n_train: int,
) -> Observation:
    with_lesion, without = (np.tensordot(i, template, axes=2) for i in (present, absent))
    if internal_noise:
        sd = internal_noise * without.std(ddof=1)
        with_lesion = with_lesion + rng.normal(0, sd, with_lesion.shape)
        without = without + rng.normal(0, sd, without.shape)
    pooled = np.sqrt((with_lesion.var(ddof=1) + without.var(ddof=1)) / 2)
    separation = with_lesion.mean() - without.mean()
    d_prime = float(separation / pooled) if pooled > 0 else math.copysign(math.inf, separation)
    auc, low, high, se = area_under_roc(with_lesion, without, level=level)
    return Observation(auc, low, high, se, d_prime, with_lesion, without, template, n_train)

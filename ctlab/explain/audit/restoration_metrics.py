"""Tests of maps that explanation suites have for classifiers, for a number of a restored image.

``score`` is a function of images (n, y, x) in HU to one number each, as of a region; ``explain`` of
one image (y, x) to its signed map. Where the package Quantus defines the same number for a
classifier, it gives the same value (``tests/data/oracles/quantus.json``).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import shift

from ctlab.explain.audit.audit_map import cosine
from ctlab.explain.maps.attribution import local_mean

Score = Callable[[np.ndarray], np.ndarray]
Explain = Callable[[np.ndarray], np.ndarray]


def infidelity(
    score: Score, image: np.ndarray, weights: np.ndarray, perturbed: np.ndarray
) -> float:
    """Mean of ``(<x - x', weights> - (f(x) - f(x')))^2``, over the mean square change.

    0: the map says exactly how the number changes; 1: no better than an empty map. Yeh et al. 2019,
    arXiv 1901.09392, definition 2.1, divided so that it has no unit.

    Parameters
    ----------
    weights : ndarray (y, x)
        A map that claims to be the number's change per HU.
    perturbed : ndarray (n, y, x)
        The image with other noise, or with other detail.

    Raises
    ------
    ValueError
        The number does not change at all.
    """
    told = np.tensordot(image - perturbed, weights, 2)
    change = score(image[None])[0] - score(perturbed)
    size = float(np.mean(change**2))
    if size == 0:
        raise ValueError("expected a number that changes with the image, got a constant")
    return float(np.mean((told - change) ** 2)) / size


def max_sensitivity(
    explain: Explain, image: np.ndarray, perturbations: Sequence[np.ndarray]
) -> float:
    """Largest change of the map over the size of the map, over given perturbations.

    ``max ||map(x + d) - map(x)|| / ||map(x)||``; Yeh et al. 2019, arXiv 1901.09392, definition 3.1,
    relative as in Quantus.
    """
    first = explain(image)
    changes = [float(np.linalg.norm(explain(image + d) - first)) for d in perturbations]
    size = float(np.linalg.norm(first))
    return max(changes) / size if size > 0 else 0.0


def sensitivity_n(
    score: Score,
    image: np.ndarray,
    signed: np.ndarray,
    baseline: np.ndarray,
    *,
    pixels: int,
    draws: int = 64,
    rng: np.random.Generator,
) -> float:
    """Correlation of what a map says of ``pixels`` pixels with the change when they are replaced.

    1 for every number of pixels where the number is linear and the map adds up: the map holds
    weight times ``image - baseline``. Ancona et al. 2018, arXiv 1711.06104, equation 4.
    """
    told, changed = np.empty(draws), np.empty((draws, *image.shape))
    for k in range(draws):
        where = rng.choice(image.size, pixels, replace=False)
        told[k] = signed.ravel()[where].sum()
        changed[k] = image
        changed[k].ravel()[where] = baseline.ravel()[where]
    change = score(image[None])[0] - score(changed)
    if told.std() == 0 or change.std() == 0:
        return 0.0
    return float(np.corrcoef(told, change)[0, 1])


def shift_invariance(explain: Explain, image: np.ndarray, *, shift_hu: float = 10.0) -> float:
    """Cosine of the maps before and after a shift of all HU: 1 where only detail is explained.

    Kindermans et al. 2017, arXiv 1711.00867, for a denoiser that answers the shift by the shift.
    """
    return cosine(explain(image), explain(image + shift_hu))


def random_target(explain: Explain, others: Sequence[Explain], image: np.ndarray) -> float:
    """Mean size of the cosine with maps of other regions' numbers: near 1, the map ignores which.

    Sixt et al. 2020, arXiv 1912.09818 (random logit), with other regions in place of classes.
    """
    first = explain(image)
    return float(np.mean([abs(cosine(first, other(image))) for other in others]))


def relevance_mass(signed: np.ndarray, mask: np.ndarray) -> float:
    """Share of the map's positive values that lies in a planted lesion; Arras 2022, 2003.07258.

    Examples
    --------
    >>> relevance_mass(np.array([[3.0, 1.0, -5.0]]), np.array([[True, False, False]]))
    0.75
    """
    positive = np.maximum(signed, 0)
    total = float(positive.sum())
    return float(positive[mask].sum()) / total if total > 0 else 0.0


def relevance_rank(signed: np.ndarray, mask: np.ndarray) -> float:
    """Share of the K highest values that lie in a planted lesion of K pixels; Arras 2022.

    Examples
    --------
    >>> relevance_rank(np.array([[3.0, 2.0, 1.0]]), np.array([[True, False, True]]))
    0.5
    """
    size = int(mask.sum())
    highest = np.argsort(signed, axis=None)[::-1][:size]
    return float(mask.ravel()[highest].sum()) / size


def smooth_grad(
    explain: Explain,
    image: np.ndarray,
    *,
    sd_hu: float = 10.0,
    draws: int = 16,
    rng: np.random.Generator,
) -> np.ndarray:
    """Mean of the maps of noisy copies of an image; Smilkov et al. 2017, arXiv 1706.03825.

    Examples
    --------
    >>> found = smooth_grad(np.sign, np.zeros((2, 2)), draws=400, rng=np.random.default_rng(0))
    >>> bool(np.abs(found).max() < 0.2)
    True
    """
    return np.asarray(
        np.mean([explain(image + rng.normal(0, sd_hu, image.shape)) for _ in range(draws)], axis=0)
    )


def map_entropy(signed: np.ndarray, *, bins: int = 100) -> float:
    """Entropy of the histogram of a map's values, in nats: how complex it is."""
    counts, _ = np.histogram(signed, bins=bins)
    shares = counts[counts > 0] / counts.sum()
    return float(-(shares * np.log(shares)).sum())


def efficient_randomisation(
    explain: Explain, randomised: Explain, image: np.ndarray, *, bins: int = 100
) -> float:
    """Rise of a map's entropy where all weights are random, over the entropy before.

    Above 0 as a map should: what was learnt had made it simpler. Hedstrom et al. 2024, arXiv
    2401.06465, equation 9.
    """
    before, after = (map_entropy(e(image), bins=bins) for e in (explain, randomised))
    return (after - before) / before if before > 0 else 0.0


def smooth_randomisation(
    explain: Explain,
    randomised: Sequence[Explain],
    image: np.ndarray,
    *,
    sd_hu: float = 10.0,
    draws: int = 8,
    rng: np.random.Generator,
) -> float:
    """Mean cosine with the maps of networks with random weights, all averaged over noisy copies.

    Averaging takes the shattered part of gradients away that made maps look alike or unlike by
    chance; Hedstrom et al. 2024, arXiv 2401.06465, equation 8, with the cosine of signed maps.
    """
    noises = rng.normal(0, sd_hu, (draws, *image.shape))
    first, *others = (
        np.mean([e(image + noise) for noise in noises], axis=0) for e in (explain, *randomised)
    )
    return float(np.mean([cosine(first, other) for other in others]))


PLANTED_HU = 100.0
"""Contrast of the lesion planted into the region."""


@dataclass(frozen=True)
class MapUnderTest:
    """A way to make maps of one region's number in one image, and what can be changed about it.

    Attributes
    ----------
    score : function of images (n, y, x) to the number of each
    explain : function of an image (y, x) to its map
    image : ndarray, HU, shape (y, x)
    mask : ndarray of bool, shape (y, x)
        The region.
    elsewhere : the same maps for other regions
    learnt : the map of the number without the way around the network, on which a residual denoiser
        hands the image through, whatever its weights are; None for a black box
    shuffled : such maps of networks with shuffled weights
    is_weights : whether the map claims to be the number's change per HU
    """

    score: Score
    explain: Explain
    image: np.ndarray
    mask: np.ndarray
    elsewhere: Sequence[Explain] = ()
    learnt: Explain | None = None
    shuffled: Sequence[Explain] = ()
    is_weights: bool = False


def other_places(mask: np.ndarray) -> list[np.ndarray]:
    """The region moved by its own size to each side, where it still fits, shapes (y, x)."""
    rows, columns = (np.ptp(np.nonzero(mask)[axis]) + 1 for axis in (0, 1))
    moves = ((rows, 0), (-rows, 0), (0, columns), (0, -columns))
    moved = [shift(mask.astype(np.uint8), move, order=0) > 0 for move in moves]
    return [place for place in moved if place.sum() == mask.sum()]


def assess_map(case: MapUnderTest, *, draws: int = 32, seed: int = 0) -> dict[str, float]:
    """What the tests of this module say of a map; no verdict hangs on them.

    Returns
    -------
    dict
        By name, see :data:`MEANING`. Left out is what cannot be asked: of networks with shuffled
        weights without any, of other regions where none fits, and infidelity of a map that does
        not claim to be weights.
    """
    rng = np.random.default_rng(seed)
    image, explain, score = case.image, case.explain, case.score
    signed, smooth = explain(image), local_mean(image)
    noisy = image + rng.normal(0, 10.0, (draws, *image.shape))
    told = signed * (image - smooth) if case.is_weights else signed
    pixels = max(1, round(0.05 * image.size))
    planted = explain(image + PLANTED_HU * case.mask)
    found = {
        "sensitivity-n": sensitivity_n(
            score, image, told, smooth, pixels=pixels, draws=draws, rng=rng
        ),
        "maximum sensitivity": max_sensitivity(explain, image, list(noisy[:4] - image)),
        "shift invariance": shift_invariance(explain, image),
        "relevance mass": relevance_mass(planted, case.mask),
        "relevance rank": relevance_rank(planted, case.mask),
    }
    if case.is_weights:
        found["infidelity"] = infidelity(score, image, signed, noisy)
    if case.elsewhere:
        found["other regions"] = random_target(explain, case.elsewhere, image)
    if case.learnt is not None:
        found["smooth randomisation"] = smooth_randomisation(
            case.learnt, case.shuffled, image, draws=4, rng=rng
        )
        found["efficient randomisation"] = efficient_randomisation(
            case.learnt, case.shuffled[0], image
        )
    return found


MEANING = {
    "infidelity": "error of the change that the map foretells under noise; 0 none, 1 an empty map",
    "sensitivity-n": "correlation with the change where 5 % of the pixels lose their detail",
    "maximum sensitivity": "largest change of the map under 10 HU of noise, over its size",
    "shift invariance": "likeness of the maps before and after 10 HU more everywhere",
    "other regions": "likeness to maps of the regions beside it; near 1 it ignores which",
    "smooth randomisation": "likeness to shuffled weights, averaged over noisy copies",
    "efficient randomisation": "rise of the map's entropy with shuffled weights; above 0 it should",
    "relevance mass": "share of the positive map in a lesion planted into the region",
    "relevance rank": "share of the highest values in a lesion planted into the region",
}
"""Tests of :func:`assess_map` in words."""

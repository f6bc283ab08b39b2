"""Noise texture: how far it tells the arms apart, and images in which it is evened out.

Opaque names do not blind a reader who knows the look of a network. Two measures stand beside each
other in the report: what readers guessed (Bang's index), and what a classifier reaches that sees
nothing but noise power spectra, the measure of texture used in CT (Siewerdsen, Cunningham &
Jaffray 2002, doi:10.1118/1.1513158). A classifier near 0.5 leaves readers nothing to recognise in
the texture; one near 1 does not mean that they did.
"""

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np

from ctlab.ct.tissue import BODY_ROI_HU

_ROI_PX = 32
_BLOCK_PX = 8  # noise averages out in it
_MOST_ROIS = 24  # per slice
_MOST_SLICES = 3
_BANDS = 8
_RINGS = 16  # from 0 to the Nyquist frequency
_ROUNDS = 4
_FEWEST_CASES = 4


def flat_places(arms: Sequence[np.ndarray]) -> list[tuple[int, int, int]]:
    """Corners (z, y, x) of the flattest soft-tissue squares, the same for all arms.

    Chosen in the mean of the arms, by how little the means of 8 x 8 blocks differ: noise averages
    out there, anatomy does not. Empty for images smaller than a square.
    """
    mean = np.mean([hu.astype(np.float32) for hu in arms], axis=0)
    depth, rows, columns = mean.shape
    places: list[tuple[int, int, int]] = []
    if min(rows, columns) < _ROI_PX:
        return places
    high, wide = rows // _BLOCK_PX, columns // _BLOCK_PX
    across, apart = _ROI_PX // _BLOCK_PX, _ROI_PX // 2
    for z in np.unique(np.linspace(0, depth - 1, _MOST_SLICES).round().astype(int)):
        whole = mean[z, : high * _BLOCK_PX, : wide * _BLOCK_PX]
        blocks = whole.reshape(high, _BLOCK_PX, wide, _BLOCK_PX).mean(axis=(1, 3))
        squares = np.lib.stride_tricks.sliding_window_view(blocks, (across, across))
        squares = squares[:: apart // _BLOCK_PX, :: apart // _BLOCK_PX]
        low, most = squares.min(axis=(2, 3)), squares.max(axis=(2, 3))
        ys, xs = np.nonzero((low > BODY_ROI_HU[0]) & (most < BODY_ROI_HU[1]))
        flattest = np.argsort(squares[ys, xs].std(axis=(1, 2)), kind="stable")[:_MOST_ROIS]
        places += [(int(z), int(ys[i]) * apart, int(xs[i]) * apart) for i in flattest]
    return places


def power_spectrum(hu: np.ndarray, places: Sequence[tuple[int, int, int]]) -> np.ndarray:
    """Mean noise power over the squares, HU squared, on the grid of their Fourier transform.

    A plane is taken out of each square. White noise of variance v has power v everywhere.
    """
    ys, xs = np.mgrid[0:_ROI_PX, 0:_ROI_PX]
    plane = np.stack([np.ones(ys.size), ys.ravel(), xs.ravel()], axis=1)
    squares = [hu[z, y : y + _ROI_PX, x : x + _ROI_PX].ravel() for z, y, x in places]
    table = np.asarray(squares, float).T
    rest = table - plane @ np.linalg.lstsq(plane, table, rcond=None)[0]
    spectra = np.abs(np.fft.fft2(rest.T.reshape(-1, _ROI_PX, _ROI_PX))) ** 2 / _ROI_PX**2
    mean: np.ndarray = spectra.mean(axis=0)
    return mean


def _radius() -> np.ndarray:
    """Frequency of each bin as a share of the Nyquist frequency."""
    f = np.fft.fftfreq(_ROI_PX) * 2
    radius: np.ndarray = np.hypot(f[:, None], f[None, :])
    return radius


def texture_features(arms: Sequence[np.ndarray]) -> np.ndarray | None:
    """Log noise power in radial bands, one row per arm; None where there is no flat tissue."""
    places = flat_places(arms)
    if not places:
        return None
    band = np.minimum((_radius() * _BANDS).astype(int), _BANDS - 1)
    rows = [
        [np.log(power[band == b].mean() + 1e-3) for b in range(1, _BANDS)]
        for power in (power_spectrum(hu, places) for hu in arms)
    ]
    return np.array(rows)


def recognisability(
    features: Sequence[np.ndarray | None], patients: Sequence[str], n_arms: int = 2
) -> list[dict[str, Any]]:
    """How well a classifier tells each two arms apart in patients it has not seen.

    Linear discriminant analysis with a ridge, each patient left out in turn (each case, where all
    are of one patient).

    Parameters
    ----------
    features : of each case, one row per arm
    patients : of each case
    n_arms : of the study

    Returns
    -------
    list of dict
        ``arms`` (numbers from 1), ``auc`` (0.5 not recognisable, 1 always), ``pairs_right`` (share
        of cases in which the two images side by side are told apart), ``cases``, ``note``.
    """
    seen = [(f, p) for f, p in zip(features, patients, strict=True) if f is not None]
    rows = []
    for first, second in combinations(range(n_arms), 2):
        row: dict[str, Any] = {"arms": [first + 1, second + 1], "cases": len(seen)}
        if len(seen) < _FEWEST_CASES:
            note = f"fewer than {_FEWEST_CASES} cases with flat tissue"
            rows.append(row | {"auc": None, "pairs_right": None, "note": note})
            continue
        groups = [p for _, p in seen]
        if len(set(groups)) < 2:
            groups = [str(i) for i in range(len(seen))]
        pairs = np.array([f[[first, second]] for f, _ in seen])
        rows.append(row | _cross_validated(pairs, np.array(groups)) | {"note": ""})
    return rows


def _cross_validated(pairs: np.ndarray, groups: np.ndarray) -> dict[str, float]:
    """AUC of held-out scores; ``pairs`` is (case, arm, feature)."""
    scores = np.zeros(pairs.shape[:2])
    for group in np.unique(groups):
        out = groups == group
        known = pairs[~out]
        spread = known.reshape(-1, known.shape[2]).std(axis=0) + 1e-9
        known, asked = known / spread, pairs[out] / spread
        means = known.mean(axis=0)  # (arm, feature)
        within = (known - means).reshape(-1, known.shape[2])
        cover = within.T @ within / max(len(within) - 2, 1) + 0.1 * np.eye(known.shape[2])
        weights = np.linalg.solve(cover, means[1] - means[0])
        scores[out] = (asked - means.mean(axis=0)) @ weights
    first, second = scores[:, 0], scores[:, 1]
    higher = np.sign(second[:, None] - first[None, :])
    return {
        "auc": float((higher + 1).mean() / 2),
        "pairs_right": float((np.sign(second - first) + 1).mean() / 2),
    }


def matched(arms: Sequence[np.ndarray], rng: np.random.Generator) -> list[np.ndarray]:
    """The images with noise added until all arms have one mean noise power spectrum.

    To every arm as much is added, at each frequency, as the noisiest arm has more than it. Noise
    that varies over the image is matched in the mean of the flat tissue, not place by place. The
    arms are then less recognisable and all are noisier: what readers say about noise is no longer
    about the methods.

    Raises
    ------
    ValueError
        There is no flat soft tissue to measure texture in.
    """
    places = flat_places(arms)
    if not places:
        raise ValueError('no flat soft tissue to measure texture in; set texture = "as-made"')
    even = [hu.astype(np.float32) for hu in arms]
    for _ in range(_ROUNDS):  # noise leaks from one band into the next: what is short is added
        spectra = [_radial(power_spectrum(hu, places)) for hu in even]
        most = np.max(spectra, axis=0)
        even = [
            hu + _noise(hu.shape, np.maximum(most - power, 0.0), rng)
            for hu, power in zip(even, spectra, strict=True)
        ]
    return even


def _radial(power: np.ndarray) -> np.ndarray:
    """Mean power in rings of equal width up to the corner; none in the lowest, which is anatomy."""
    ring = (_radius() * _RINGS).round().astype(int).ravel()
    means = np.bincount(ring, power.ravel()) / np.maximum(np.bincount(ring), 1)
    means[: _RINGS // _BANDS] = 0.0
    return means


def _noise(shape: tuple[int, ...], power: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Independent noise of a given radial power spectrum in every slice, float32."""
    f_y, f_x = np.fft.fftfreq(shape[1]) * 2, np.fft.rfftfreq(shape[2]) * 2
    radius = np.hypot(f_y[:, None], f_x[None, :]) * _RINGS
    transfer = np.sqrt(np.interp(radius, np.arange(len(power)), power))
    shaped = np.fft.irfft2(np.fft.rfft2(rng.standard_normal(shape)) * transfer, s=shape[1:])
    return shaped.astype(np.float32)

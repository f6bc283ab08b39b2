"""Risk maps with a guarantee: how much structure may have been added, and how much removed.

A score ``u`` says where a denoiser is unsure. Calibration on patients whose truth is known finds
the factor ``lambda`` by which it has to be multiplied so that ``lambda u`` holds, as a bound in
HU, for all but a chosen share of a new patient's voxels. One patient is one observation: voxels
and slices of one patient are not independent, and pooling them would promise too much.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import special, stats
from scipy.ndimage import gaussian_filter

from ctlab.ct.spectra import same_shape

SIDES = ("added", "removed")


@dataclass(frozen=True)
class RiskLimit:
    """A calibrated factor and what it promises.

    Attributes
    ----------
    factor : float
        ``lambda``: multiply the score by it to bound the error in HU.
    alpha : float
        Largest share of voxels per patient that may lie outside the bound.
    method : {"crc", "rcps"}
        ``crc``: the share is at most alpha in expectation. ``rcps``: it is at most alpha, except
        with probability ``delta`` over the choice of calibration patients.
    delta : float or None
    n_patients : int
    population : str
        Whom the guarantee speaks of, for example ``simulated population``.
    risk : float
        Mean loss of the calibration patients at ``factor``.
    """

    factor: float
    alpha: float
    method: str
    delta: float | None
    n_patients: int
    population: str
    risk: float

    def sentence(self) -> str:
        """The promise in words, to be printed on every map.

        Examples
        --------
        >>> print(RiskLimit(1.5, 0.1, "crc", None, 40, "simulated population", 0.08).sentence())
        In expectation over patients like the 40 calibrated on (simulated population), at most
        10 % of voxels lie outside the bound.
        """
        promise = f"at most {100 * self.alpha:g} % of voxels lie outside the bound."
        who = f"patients like the {self.n_patients} calibrated on ({self.population})"
        if self.delta is None:  # crc
            return f"In expectation over {who}, {promise}"
        sure = f"{100 * (1 - self.delta):g} %"
        return f"With {sure} confidence, for the mean over {who}, {promise}"


def change_score(low: np.ndarray, out: np.ndarray) -> np.ndarray:
    """Where a denoiser may be wrong: its change, smoothed in the plane by 2 pixels, plus 1 HU.

    (..., y, x) in HU. Nothing is known better than 1 HU.

    Examples
    --------
    >>> change_score(np.zeros((3, 3)), np.full((3, 3), -4.0))[1, 1]
    np.float64(5.0)
    """
    change = np.abs(np.asarray(low, np.float32) - np.asarray(out, np.float32)).astype(float)
    planes = (0.0,) * (change.ndim - 2)
    return np.asarray(gaussian_filter(change, (*planes, 2.0, 2.0)) + 1.0)


def patients_needed(alpha: float, *, method: str = "crc", delta: float = 0.1) -> int:
    """Fewest calibration patients with which the guarantee can hold at all.

    CRC needs ``1 / (n + 1) <= alpha``; RCPS needs ``(1 - alpha)^n <= delta``, the p-value of n
    patients without any loss.

    Examples
    --------
    >>> patients_needed(0.1), patients_needed(0.1, method="rcps", delta=0.1)
    (9, 22)
    """
    _check_levels(alpha, method, delta)
    if method == "crc":
        return math.ceil(round(1 / alpha - 1, 9))
    return math.ceil(round(math.log(delta) / math.log1p(-alpha), 9))


def calibrate_risk(
    losses: np.ndarray,
    factors: Sequence[float],
    *,
    alpha: float = 0.1,
    method: str = "crc",
    delta: float = 0.1,
    population: str = "simulated population",
) -> RiskLimit:
    """Smallest factor at which the risk over patients is controlled.

    Parameters
    ----------
    losses : ndarray, shape (patients, factors), 0 to 1
        Loss of each patient at each factor, for example :func:`loss_curve`; it must not rise
        with the factor.
    factors : sequence, ascending
    alpha : float
    method : {"crc", "rcps"}
    delta : float
        Used by ``rcps`` alone.
    population : str
        Whom the patients stand for; phantoms and simulated pairs say so.

    Returns
    -------
    RiskLimit

    Raises
    ------
    ValueError
        Too few patients for the guarantee, losses outside 0 to 1 or rising, or no factor on the
        list that is large enough.

    Notes
    -----
    CRC: ``inf{lambda: n/(n+1) R(lambda) + 1/(n+1) <= alpha}`` (Angelopoulos et al., ICLR 2024,
    arXiv 2208.02814, eq. 4). RCPS with the Hoeffding-Bentkus bound, the smallest factor from
    which on every larger one passes (Bates et al., JACM 68:43, 2021, doi 10.1145/3478535). Both
    hold for patients exchangeable with those calibrated on and for no others.

    Examples
    --------
    Nine patients without loss at factor 2 just allow alpha = 0.1:

    >>> losses = np.array([[1.0, 0.5, 0.0]] * 9)
    >>> calibrate_risk(losses, [0.0, 1.0, 2.0], alpha=0.1).factor
    2.0
    """
    losses, factors = np.asarray(losses, float), np.asarray(factors, float)
    _check_losses(losses, factors)
    needed, n = patients_needed(alpha, method=method, delta=delta), len(losses)
    if n < needed:
        raise ValueError(
            f"a guarantee at alpha {alpha:g} by {method.upper()} needs at least {needed} patients, "
            f"got {n}; add patients or raise alpha"
        )
    risk = losses.mean(axis=0)
    if method == "crc":
        passes = n / (n + 1) * risk + 1 / (n + 1) <= alpha + 1e-12
    else:
        passes = np.array([hoeffding_bentkus_p(r, n, alpha) <= delta for r in risk])
    from_the_top = np.logical_and.accumulate(passes[::-1])[::-1]
    if not from_the_top.any():
        raise ValueError(
            f"no factor up to {factors[-1]:g} controls the risk at alpha {alpha:g} (mean loss "
            f"there: {risk[-1]:.3g}); pass larger factors or a better score"
        )
    i = int(np.argmax(from_the_top))
    rest = (n, population, float(risk[i]))
    return RiskLimit(float(factors[i]), alpha, method, delta if method == "rcps" else None, *rest)


def hoeffding_bentkus_p(mean_loss: float, n: int, alpha: float) -> float:
    """p-value of "the true mean loss exceeds alpha" from n losses between 0 and 1.

    ``min(exp(-n h(min(R, alpha), alpha)), e P(Bin(n, alpha) <= ceil(n R)))`` with h the binary
    relative entropy (Bates et al. 2021, eq. 9).

    Examples
    --------
    >>> round(hoeffding_bentkus_p(0.0, 22, 0.1), 4), 0.9**22 < 0.1 < 0.9**21
    (0.0985, True)
    """
    if mean_loss >= alpha:
        return 1.0
    entropy = special.rel_entr(mean_loss, alpha) + special.rel_entr(1 - mean_loss, 1 - alpha)
    bentkus = math.e * stats.binom.cdf(math.ceil(n * mean_loss - 1e-9), n, alpha)
    return float(min(math.exp(-n * entropy), bentkus, 1.0))


def loss_curve(
    truth: np.ndarray,
    image: np.ndarray,
    score: np.ndarray,
    factors: Sequence[float],
    *,
    side: str,
    mask: np.ndarray | None = None,
) -> np.ndarray:
    """One patient's share of voxels whose error exceeds ``factor * score``, per factor.

    Parameters
    ----------
    truth, image, score : ndarray, shape (y, x) or (z, y, x), HU; or sequences of slices
        Volumes are read slice by slice. ``score`` must not be negative.
    side : {"added", "removed"}
        ``added`` counts ``image - truth``, bright structure that was not there; ``removed``
        counts ``truth - image``. Dark structure changes sign: a removed airway is "added" HU.
    mask : ndarray of bool, optional
        Voxels that count: the body, or a lesion's region.

    Returns
    -------
    ndarray, shape (factors,)
        Falls from the share of voxels with any error of that sign to 0.

    Examples
    --------
    >>> truth, image = np.zeros((1, 4)), np.array([[0.0, 1.0, 2.0, -5.0]])
    >>> loss_curve(truth, image, np.ones((1, 4)), [0.0, 1.5, 3.0], side="added").tolist()
    [0.5, 0.25, 0.0]
    """
    if side not in SIDES:
        raise ValueError(f"side must be 'added' or 'removed', got {side!r}")
    factors = np.asarray(factors, float)
    missed, counted = np.zeros(len(factors)), 0
    sign = 1.0 if side == "added" else -1.0
    for z, planes in enumerate(_slices(truth, image, score)):
        before, after, unsure = planes
        if not np.all(unsure >= 0):
            raise ValueError("a score must be 0 or more everywhere; pass a spread in HU")
        error = sign * (after.astype(np.float64) - before)
        needed = np.where(error <= 0, -np.inf, error / np.maximum(unsure, 1e-12))
        if mask is not None:
            needed = needed[np.asarray(mask if np.ndim(mask) == 2 else mask[z], bool)]
        needed = np.sort(needed, axis=None)
        missed += len(needed) - np.searchsorted(needed, factors, side="right")
        counted += len(needed)
    if counted == 0:
        raise ValueError("the mask is empty; pass one that covers part of the body")
    return missed / counted


def risk_maps(
    score: np.ndarray, added: RiskLimit, removed: RiskLimit
) -> dict[str, np.ndarray | str]:
    """Bounds in HU on structure added and removed, and the sentence that belongs on the maps.

    Returns
    -------
    dict
        ``added_hu, removed_hu`` (arrays of the score's shape) and ``sentence``.
    """
    if added.population != removed.population:
        raise ValueError(
            f"the two limits speak of different populations: {added.population} and "
            f"{removed.population}; calibrate both on the same patients"
        )
    score = np.asarray(score, dtype=np.float32)
    sentence = f"Added: {added.sentence()} Removed: {removed.sentence()}"
    return {
        "added_hu": score * np.float32(added.factor),
        "removed_hu": score * np.float32(removed.factor),
        "sentence": sentence,
    }


def check_coverage(limit: RiskLimit, losses: Sequence[float]) -> pd.Series:
    """Whether the promise held on patients that were not used to calibrate.

    Parameters
    ----------
    losses : sequence, shape (patients,), 0 to 1
        Loss of each new patient at ``limit.factor``.

    Returns
    -------
    Series
        ``n_patients, mean_risk, worst_patient, share_above_alpha, p_violated`` (one-sided p of
        "the mean risk exceeds alpha", Hoeffding-Bentkus on the complement) and ``held`` (false
        only where that is below 0.05: too few patients cannot disprove a promise).

    Examples
    --------
    >>> limit = RiskLimit(1.0, 0.1, "crc", None, 40, "simulated population", 0.08)
    >>> bool(check_coverage(limit, [0.05] * 20).held), bool(check_coverage(limit, [0.4] * 20).held)
    (True, False)
    """
    losses = np.asarray(losses, float)
    if losses.ndim != 1 or len(losses) == 0 or not np.all((losses >= 0) & (losses <= 1)):
        raise ValueError("coverage needs one loss between 0 and 1 for each of 1 or more patients")
    p = hoeffding_bentkus_p(1 - losses.mean(), len(losses), 1 - limit.alpha)
    return pd.Series(
        {
            "n_patients": len(losses),
            "mean_risk": losses.mean(),
            "worst_patient": losses.max(),
            "share_above_alpha": np.mean(losses > limit.alpha),
            "p_violated": p,
            "held": bool(p >= 0.05),
        }
    )


def _slices(*volumes: np.ndarray) -> Iterator[tuple[np.ndarray, ...]]:
    """The planes of all volumes together, slice by slice."""
    if np.ndim(volumes[0]) == 2:
        volumes = tuple(np.asarray(v)[None] for v in volumes)
    for planes in zip(*volumes, strict=True):
        arrays = tuple(np.asarray(p) for p in planes)
        same_shape(arrays[0], arrays[1], "truth and image")
        same_shape(arrays[0], arrays[2], "truth and score")
        yield arrays


def _check_levels(alpha: float, method: str, delta: float) -> None:
    if method not in ("crc", "rcps"):
        raise ValueError(f"method must be 'crc' or 'rcps', got {method!r}")
    if not (0 < alpha < 1 and 0 < delta < 1):
        raise ValueError(f"alpha and delta must lie between 0 and 1, got {alpha} and {delta}")


def _check_losses(losses: np.ndarray, factors: np.ndarray) -> None:
    if losses.ndim != 2 or losses.shape[1:] != factors.shape:
        raise ValueError(
            f"losses must have shape (patients, {len(factors)} factors), got {losses.shape}"
        )
    if np.any(np.diff(factors) <= 0):
        raise ValueError("factors must ascend")
    if not np.all((losses >= 0) & (losses <= 1)):
        raise ValueError("losses must lie between 0 and 1; divide counts by the voxels counted")
    if np.any(np.diff(losses, axis=1) > 1e-9):
        raise ValueError("losses must not rise with the factor; take the share outside the bound")

"""What an ideal observer could see, and the ceiling it sets for everything after the scanner."""

from dataclasses import dataclass

import numpy as np

from ctlab.assess.detection.model_observer import Observation
from ctlab.assess.noise.nps import Nps
from ctlab.ct.spectra import same_shape, spacing_yx


def ideal_d_prime(
    signal: np.ndarray, noise: Nps, *, prewhitening: bool = True, eye: np.ndarray | None = None
) -> float:
    """Detectability index of a signal known exactly in stationary Gaussian noise.

    Prewhitening (ideal): ``d'^2 = int |S|^2 / N``. Otherwise
    ``d' = int |S E|^2 / sqrt(int |S|^2 E^4 N)`` with eye filter E, 1 where none is given.

    Parameters
    ----------
    signal : ndarray, shape (y, x), HU
    noise : Nps
        Same region size. Frequency zero counts only where its power is above 0: an NPS from
        regions less their mean cannot tell what the mean is worth.

    Raises
    ------
    ValueError
        The signal has power at a frequency without noise: the ideal observer never errs.

    Notes
    -----
    ICRU Report 54 (1996); AAPM Report 233.

    Examples
    --------
    >>> disc = np.zeros((12, 12))
    >>> disc[4:8, 4:8] = 10.0
    >>> white = Nps(np.full((12, 12), 400 * 0.7**2), (0.7, 0.7), 1)
    >>> round(ideal_d_prime(disc, white), 9)
    2.0
    >>> round(ideal_d_prime(disc, white, prewhitening=False), 9)
    2.0
    """
    power = noise.power_hu2_mm2
    same_shape(signal, power, "signal and noise spectrum")
    dy, dx = spacing_yx(noise.spacing_mm)
    square = np.abs(dy * dx * np.fft.fft2(signal)) ** 2
    area = 1 / (power.shape[0] * dy * power.shape[1] * dx)
    used = np.ones(power.shape, bool)
    # Regions less their mean leave rounding there, not power.
    used[0, 0] = power[0, 0] > 1e-9 * power.max()
    if prewhitening:
        if np.any(used & (power <= 0) & (square > 1e-12 * square.max())):
            raise ValueError("the noise has no power at a frequency of the signal; pass its NPS")
        used &= power > 0
        return float(np.sqrt(area * np.sum(square[used] / power[used])))
    seen = np.ones(power.shape) if eye is None else np.asarray(eye, float)
    top = area * np.sum((square * seen**2)[used])
    return float(top / np.sqrt(area * np.sum((square * seen**4 * power)[used])))


@dataclass(frozen=True)
class Ceiling:
    """Whether a measured AUC lies above what the input can hold.

    ``flagged`` is None where the ceiling does not apply; ``reason`` says why, or what it means.
    """

    ceiling_auc: float
    measured_auc: float
    flagged: bool | None
    reason: str


def information_ceiling(
    measured: Observation,
    ceiling_auc: float,
    *,
    signal_known_exactly: bool,
    background_known_exactly: bool,
    all_inputs_counted: bool,
) -> Ceiling:
    """Flag an AUC after processing that exceeds the ideal observer's on the unprocessed input.

    No processing adds information about a task (data-processing inequality), so an estimate above
    the ceiling means leakage, an overfitted observer, or lesions put there by the network's
    prior. It is a theorem only if signal and background are known exactly and everything the
    network saw (neighbouring slices, a prior scan) is in the ceiling; else there is no flag.

    Parameters
    ----------
    measured : Observation
        After the denoiser, on held-out images.
    ceiling_auc : float
        For example ``d_prime_to_auc(ideal_d_prime(signal, noise))`` of the input.

    Examples
    --------
    >>> scores = np.arange(20.0)
    >>> seen = Observation(0.95, 0.9, 0.99, 0.02, 2.3, scores, scores, np.zeros((4, 4)), 40)
    >>> facts = {"signal_known_exactly": True, "background_known_exactly": True}
    >>> information_ceiling(seen, 0.8, **facts, all_inputs_counted=True).flagged
    True
    >>> information_ceiling(seen, 0.8, **facts, all_inputs_counted=False).flagged is None
    True
    """
    missing = [
        words
        for holds, words in (
            (signal_known_exactly, "the signal is not known exactly"),
            (background_known_exactly, "the background is not known exactly"),
            (all_inputs_counted, "not all inputs of the network are in the ceiling"),
        )
        if not holds
    ]
    if missing:
        reason = "no ceiling applies: " + ", ".join(missing)
        return Ceiling(ceiling_auc, measured.auc, None, reason)
    flagged = measured.auc_low > ceiling_auc
    reason = (
        "above the information in the input: leakage, an overfitted observer, or invented lesions"
        if flagged
        else "within the information in the input"
    )
    return Ceiling(ceiling_auc, measured.auc, flagged, reason)

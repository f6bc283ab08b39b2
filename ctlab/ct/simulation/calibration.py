"""The photons of a scan, from the noise in its soft tissue; the dose that has a given noise."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ctlab.ct.noise_level import (
    Windows,
    noise_as_measured_hu,
    probe_indices,
    soft_noise_hu,
    window_px,
)
from ctlab.ct.simulation.parallel_beam import ParallelBeam, fbp
from ctlab.ct.simulation.projection_noise import (
    UnitNoise,
    check_gantry_planes,
    draw_noise,
    line_integrals,
    projection_noise,
)
from ctlab.ct.simulation.scanner import MU_WATER_PER_MM, Scanner
from ctlab.ct.volume import Volume

CLEAN_HU = 0.5
"""Images with less noise than this are computed phantoms: there is nothing to calibrate on."""

_LEAST_NOISE_HU = 0.01
"""Less than that is rounding in float32."""

_FIT = 0.005
"""Share by which a calibrated noise may miss its target."""

_FIT_AT_LAST = 0.02
"""The same after a few steps: in few windows the commonest SD jumps a little."""

_FEWEST_SOFT = 20
"""Windows of soft tissue that a trial needs."""


def calibrate(
    volume: Volume, *, noise_sd_hu: float | None = None, scanner: Scanner | None = None
) -> Scanner:
    """Scanner whose noise at full dose, in the volume's soft tissue, is ``noise_sd_hu``.

    Parameters
    ----------
    noise_sd_hu : default: the noise measured in the volume; a phantom without noise keeps the
        scanner it was given
    scanner : everything but its photons is kept; default ``Scanner()``

    Raises
    ------
    ValueError
        No number of photons gives that noise: rays that are starved of photons all end at one,
        so there is a most; or there is too little soft tissue.

    Notes
    -----
    Noise of a trial photon number is reconstructed on up to five slices, spread over the series,
    and compared with what is measured in the same slices. Photons are scaled by the squared
    ratio of noise until it fits, several times because electronic noise is not proportional.
    Where the header gives the tube current of each slice, photons follow it from slice to slice;
    photons and noise are then those of the mean current over the trial slices.
    """
    scanner = scanner or Scanner()
    if noise_sd_hu is None:
        target_hu = own_noise_hu(volume)
        if target_hu < CLEAN_HU:
            return scanner
    else:
        target_hu = float(noise_sd_hu)
        if not _LEAST_NOISE_HU <= target_hu < np.inf:
            raise ValueError(
                f"noise_sd_hu must be {_LEAST_NOISE_HU:g} HU or more and finite, got "
                f"{noise_sd_hu:g}; an image without noise needs no simulation"
            )
    check_gantry_planes(volume)
    trial = NoiseTrial.of(volume, scanner)
    photons, best, fitted = scanner.photons, np.inf, scanner
    for _ in range(6):
        tried = scanner.with_photons(photons)
        misses = trial.sd_hu(tried) / target_hu
        if abs(misses - 1) < best:
            best, fitted = abs(misses - 1), tried
        if best < _FIT:
            break
        photons *= misses**2
    if best < _FIT_AT_LAST:
        return fitted
    log_photons = _solved(lambda x: trial.sd_hu(scanner.with_photons(10**x)), target_hu, 0, 12)
    return scanner.with_photons(10**log_photons)


def photons_of_slices(volume: Volume, scanner: Scanner) -> list[float]:
    """Photons that each trial slice with enough soft tissue alone would give, at the mean current.

    A calibration is as good as these agree. Where they do not, the model misses what changes along
    the patient (a bowtie, scatter, a current that the header does not tell), and a folder with
    other slices of the same scan is calibrated to other photons. One slice is known to about 20 %.

    Parameters
    ----------
    scanner : what :func:`calibrate` found for the volume
    """
    trial = NoiseTrial.of(volume, scanner)
    photons = []
    for hu, current, modelled in zip(
        trial.slices_hu, trial.currents, trial.slice_sds_hu(scanner), strict=True
    ):
        try:
            own = soft_noise_hu([hu], window_px(volume.spacing_mm[1]), [float(np.sqrt(current))])
        except ValueError:  # too little soft tissue in this slice
            continue
        if own >= CLEAN_HU:
            photons.append(scanner.photons * (modelled / own) ** 2)
    return photons


def _solved(sd_hu: Callable[[float], float], target_hu: float, low: float, high: float) -> float:
    """Where a noise that rises to one peak and then falls is ``target_hu``, on the falling side."""
    from scipy.optimize import brentq, minimize_scalar

    peak = minimize_scalar(lambda x: -sd_hu(x), bounds=(low, high), method="bounded").x
    most = sd_hu(peak)
    if target_hu > most:
        raise ValueError(
            f"expected a noise of at most about {most:.0f} HU, where every ray ends at its last "
            f"photon, got {target_hu:g} HU, which cannot be reached; ask for less"
        )
    return float(brentq(lambda x: sd_hu(x) - target_hu, peak, high, xtol=1e-3))


def own_noise_hu(volume: Volume) -> float:
    """Noise of the slices on which a series is calibrated, at the mean of their tube currents."""
    chosen = trial_indices(len(volume.hu))
    currents = relative_currents(volume.current_ma, len(volume.hu))[chosen]
    width = window_px(volume.spacing_mm[1])
    return soft_noise_hu([volume.hu[k] for k in chosen], width, np.sqrt(currents).tolist())


def fraction_for_noise(
    volume: Volume, noise_sd_hu: float, *, scanner: Scanner | None = None
) -> float:
    """Dose fraction at which the simulated series has ``noise_sd_hu`` in soft tissue.

    Raises
    ------
    ValueError
        The volume is noisier than that already, or no dose makes it as noisy as that.

    Examples
    --------
    >>> from ctlab.ct.simulation.test_objects import water_cylinder
    >>> water = water_cylinder(size=48, pixel_mm=4.0, radius_mm=80.0)
    >>> 0.0001 < fraction_for_noise(water, 60.0, scanner=Scanner()) < 0.01
    True
    """
    reference = own_noise_hu(volume)
    if not reference < noise_sd_hu < np.inf:
        raise ValueError(
            f"the series has {reference:.1f} HU of noise already; ask for more than that, "
            f"got {noise_sd_hu:g}"
        )
    scanner = scanner or calibrate(volume)
    trial = NoiseTrial.of(volume, scanner)
    fraction, added = 0.5, (noise_sd_hu**2 - reference**2) ** 0.5
    for _ in range(6):
        misses = trial.sd_hu(scanner, fraction) / added
        if abs(misses - 1) < _FIT_AT_LAST:
            return fraction
        if misses == 0:  # starved rays all end at one photon, and such an image has no noise
            break
        fraction = 1 / (1 + (1 / fraction - 1) / misses**2)

    def total(log_fraction: float) -> float:
        return float(np.hypot(reference, trial.sd_hu(scanner, 10**log_fraction)))

    return float(10 ** _solved(total, noise_sd_hu, -5, 0))


@dataclass(frozen=True)
class NoiseTrial:
    """A few projected slices on which scanners are tried out, always with the same numbers.

    A quarter of the views will do: noise of independent views falls with their square root.
    """

    slices_hu: tuple[np.ndarray, ...]
    lines: tuple[np.ndarray, ...]
    scans: tuple[Windows, ...]
    currents: np.ndarray
    beam: ParallelBeam
    units: tuple[UnitNoise, ...]

    @classmethod
    def of(cls, volume: Volume, scanner: Scanner) -> "NoiseTrial":
        """The trial slices of a volume, projected."""
        chosen = trial_indices(len(volume.hu))
        width = window_px(volume.spacing_mm[1])
        scans = [Windows.of(volume.hu[k], width) for k in chosen]
        if sum(int(s.soft.sum()) for s in scans) < _FEWEST_SOFT:
            raise ValueError("there is no soft tissue to calibrate on; pass a scanner")
        few = replace(scanner, views=max(scanner.views // 4, 1))
        beam = few.beam(volume.shape[1:], volume.spacing_mm[1])
        kept = [(k, s) for k, s in zip(chosen, scans, strict=True) if s.soft.any()]
        rng = np.random.Generator(np.random.PCG64(0))
        return cls(
            tuple(volume.hu[k] for k, _ in kept),
            tuple(line_integrals(volume.hu[k], beam) for k, _ in kept),
            tuple(s for _, s in kept),
            relative_currents(volume.current_ma, len(volume.hu))[[k for k, _ in kept]],
            beam,
            tuple(draw_noise(beam, rng) for _ in kept),
        )

    def sd_hu(self, scanner: Scanner, missing_at: float | None = None) -> float:
        """What :func:`own_noise_hu` would find of the noise of full dose.

        With ``missing_at``: of the noise that is missing at that dose fraction.
        """
        factors = np.sqrt(self.currents).tolist()
        return noise_as_measured_hu(self._noise_hu(scanner, missing_at), self.scans, factors)

    def slice_sds_hu(self, scanner: Scanner) -> list[float]:
        """The same for each slice alone, at full dose."""
        rows = zip(self._noise_hu(scanner, None), self.scans, self.currents, strict=True)
        return [noise_as_measured_hu([n], [s], [float(np.sqrt(c))]) for n, s, c in rows]

    def _noise_hu(self, scanner: Scanner, missing_at: float | None) -> list[np.ndarray]:
        """Noise of each slice in HU, with the SD that all views would give it."""
        fewer = (len(self.beam.angles_rad) / scanner.views) ** 0.5
        noise = []
        for lines, current, unit in zip(self.lines, self.currents, self.units, strict=True):
            added = projection_noise(
                lines,
                unit,
                1.0 if missing_at is None else missing_at,
                beam=self.beam,
                scanner=scanner.with_photons(scanner.photons * current),
                missing_only=missing_at is not None,
            )
            image = fbp(added, self.beam, filter_name=scanner.filter_name)
            noise.append(image * np.float32(fewer * 1000.0 / MU_WATER_PER_MM))
        return noise


def trial_indices(count: int) -> list[int]:
    """Every other of the slices whose noise is measured: on up to five a series is calibrated.

    Examples
    --------
    >>> trial_indices(2), trial_indices(100)
    ([0, 1], [10, 30, 50, 69, 89])
    """
    chosen = probe_indices(count)
    return chosen if len(chosen) < 6 else chosen[:: -(-len(chosen) // 5)]


def relative_currents(current_ma: Sequence[float], slices: int) -> np.ndarray:
    """Tube current of each slice over its mean in the slices on which a series is calibrated.

    Ones where it is not known for every slice.

    Examples
    --------
    >>> relative_currents((100.0, 300.0), 2), relative_currents((), 2)
    (array([0.5, 1.5]), array([1., 1.]))
    """
    current = np.asarray(current_ma, float)
    if len(current) != slices or not (np.isfinite(current) & (current > 0)).all():
        return np.ones(slices)
    return np.asarray(current / current[trial_indices(slices)].mean())
